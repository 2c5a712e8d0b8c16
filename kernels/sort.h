/* Parameters of the kernels in sort.cl. */
#ifndef LUXEL_SORT_KERNELS_H
#define LUXEL_SORT_KERNELS_H

typedef struct {
    long size; /* of a row */
    long run;  /* what is sorted already in stretches that begin at multiples of it; sort_runs: what is to be */
    int descending;
    int filler; /* see kernels/luxel.h */
} sort_args;

#endif
