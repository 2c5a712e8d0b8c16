/* Rows of numbers side by side, each shared by some work-items of a group. */
#ifndef LX_SIMT_ROW_GROUPS_H
#define LX_SIMT_ROW_GROUPS_H

#include "simt/rows.h"
#include "simt/simt.h"

/* Which elements a work-item takes: each `along` after the last one. */
typedef struct {
    long row, first, end;
    int first_of_row; /* the one that writes what the row has one of */
} row_place;

static LX_ITEM row_place row_place_of(const row_groups_args p)
{
    const int id = LOCAL_ID, slice = id % p.along;
    row_place at;
    at.row = (long)GROUP_ID(0) * (ROW_ITEMS / p.along) + id / p.along;
    at.first = at.row * p.size + slice;
    at.end = at.row < p.rows ? (at.row + 1) * p.size : 0;
    at.first_of_row = at.row < p.rows && slice == 0;
    return at;
}

/* The sum of what a row's work-items have, for all of them. */
static LX_ITEM float row_total(LOCAL float *share, float own, const row_groups_args p)
{
    const int id = LOCAL_ID, slice = id % p.along;
    share[id] = own;
    for (int width = p.along / 2; width > 0; width /= 2) {
        BARRIER();
        if (slice < width)
            share[id] += share[id + width];
    }
    BARRIER();
    const float total = share[id - slice];
    BARRIER();
    return total;
}

/* The largest of what a row's work-items have, for all of them. A NaN is passed over. */
static LX_ITEM float row_top(LOCAL float *share, float own, const row_groups_args p)
{
    const int id = LOCAL_ID, slice = id % p.along;
    share[id] = own;
    for (int width = p.along / 2; width > 0; width /= 2) {
        BARRIER();
        if (slice < width && share[id + width] > share[id])
            share[id] = share[id + width];
    }
    BARRIER();
    const float top = share[id - slice];
    BARRIER();
    return top;
}

#endif
