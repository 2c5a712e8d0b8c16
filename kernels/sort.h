/* Parameters of the kernels in sort.cl. */
#ifndef LUXEL_SORT_KERNELS_H
#define LUXEL_SORT_KERNELS_H

typedef struct {
    long size; /* of a row */
    int descending;
    int filler; /* see kernels/luxel.h */
} sort_args;

#endif
