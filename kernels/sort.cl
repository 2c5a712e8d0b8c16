/* Stable sorting of the rows of a dense [rows][size], with the places, from 1, that the elements come from. */
#include "luxel.h"
#include "sort.h"

/* Runs of this many are sorted by insertion before merging begins. */
#define RUN 16

/* NaN is greater than every number. */
static LX_ITEM int before(float a, float b, int descending)
{
    return descending ? a > b || (a != a && b == b) : a < b || (b != b && a == a);
}

static LX_ITEM void insert_runs(GLOBAL const float *x, GLOBAL float *values, GLOBAL int *places, long begin, long stop,
                                int descending)
{
    for (long first = begin; first < stop; first += RUN) {
        const long end = first + RUN < stop ? first + RUN : stop;
        for (long i = first; i < end; i++) {
            const float value = x[i];
            long at = i;
            for (; at > first && before(value, values[at - 1], descending); at--) {
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

/* id0: run of the row; id1: row. Merges go back and forth between result and spare; the first runs are put where the last
 * merge then ends in the result. */
KERNEL5(sort_runs, sort_args, GLOBAL const float *, x, GLOBAL float *, values, GLOBAL int *, places, GLOBAL float *,
        spare_values, GLOBAL int *, spare_places)
{
    int merges = 0;
    for (long run = RUN; run < p.run; run *= 2)
        merges++;
    const long begin = id0 * p.run, stop = begin + p.run < p.size ? begin + p.run : p.size;
    GLOBAL float *from_values = (merges % 2 ? spare_values : values) + id1 * p.size;
    GLOBAL float *to_values = (merges % 2 ? values : spare_values) + id1 * p.size;
    GLOBAL int *from_places = (merges % 2 ? spare_places : places) + id1 * p.size;
    GLOBAL int *to_places = (merges % 2 ? places : spare_places) + id1 * p.size;
    insert_runs(x + id1 * p.size, from_values, from_places, begin, stop, p.descending);
    for (long run = RUN; run < p.run; run *= 2) {
        for (long first = begin; first < stop; first += 2 * run) {
            const long middle = first + run < stop ? first + run : stop;
            const long end = middle + run < stop ? middle + run : stop;
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

/* id0: pair of runs of the row; id1: row. */
KERNEL4(sort_merge, sort_args, GLOBAL const float *, values, GLOBAL const int *, places, GLOBAL float *, to_values,
        GLOBAL int *, to_places)
{
    const long first = id0 * 2 * p.run, row = id1 * p.size;
    const long middle = first + p.run < p.size ? first + p.run : p.size;
    const long end = middle + p.run < p.size ? middle + p.run : p.size;
    merge(values + row, places + row, to_values + row, to_places + row, first, middle, end, p.descending);
}
