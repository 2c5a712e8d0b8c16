/* Stable sorting of the rows of a dense [rows][size], with the places, from 1, that the elements come from. */
#include "luxel.h"
#include "sort.h"

#ifndef LX_ITEM
#define LX_ITEM inline
#endif

/* Runs of this many are sorted by insertion before merging begins. */
#define RUN 16

/* NaN is greater than every number. */
static LX_ITEM int before(float a, float b, int descending)
{
    return descending ? a > b || (a != a && b == b) : a < b || (b != b && a == a);
}

static LX_ITEM void insert_runs(GLOBAL const float *x, GLOBAL float *values, GLOBAL int *places, const sort_args p)
{
    for (long first = 0; first < p.size; first += RUN) {
        const long end = first + RUN < p.size ? first + RUN : p.size;
        for (long i = first; i < end; i++) {
            const float value = x[i];
            long at = i;
            for (; at > first && before(value, values[at - 1], p.descending); at--) {
                values[at] = values[at - 1];
                places[at] = places[at - 1];
            }
            values[at] = value;
            places[at] = (int)i + 1;
        }
    }
}

/* Merges the sorted [first, middle) and [middle, end). */
static LX_ITEM void merge(GLOBAL const float *values, GLOBAL const int *places, GLOBAL float *to_values,
                          GLOBAL int *to_places, long first, long middle, long end, int descending)
{
    long left = first, right = middle;
    for (long to = first; to < end; to++) {
        const int from_right = left == middle || (right < end && before(values[right], values[left], descending));
        const long from = from_right ? right : left;
        to_values[to] = values[from];
        to_places[to] = places[from];
        right += from_right;
        left += !from_right;
    }
}

/* id0: row. Merges go back and forth between result and spare; the first runs are put where the last merge then ends
 * in the result. */
KERNEL5(sort_rows, sort_args, GLOBAL const float *, x, GLOBAL float *, values, GLOBAL int *, places, GLOBAL float *,
        spare_values, GLOBAL int *, spare_places)
{
    int merges = 0;
    for (long run = RUN; run < p.size; run *= 2)
        merges++;
    GLOBAL float *from_values = (merges % 2 ? spare_values : values) + id0 * p.size;
    GLOBAL float *to_values = (merges % 2 ? values : spare_values) + id0 * p.size;
    GLOBAL int *from_places = (merges % 2 ? spare_places : places) + id0 * p.size;
    GLOBAL int *to_places = (merges % 2 ? places : spare_places) + id0 * p.size;
    insert_runs(x + id0 * p.size, from_values, from_places, p);
    for (long run = RUN; run < p.size; run *= 2) {
        for (long first = 0; first < p.size; first += 2 * run) {
            const long middle = first + run < p.size ? first + run : p.size;
            const long end = middle + run < p.size ? middle + run : p.size;
            merge(from_values, from_places, to_values, to_places, first, middle, end, p.descending);
        }
        GLOBAL float *sorted_values = to_values;
        GLOBAL int *sorted_places = to_places;
        to_values = from_values;
        to_places = from_places;
        from_values = sorted_values;
        from_places = sorted_places;
    }
}
