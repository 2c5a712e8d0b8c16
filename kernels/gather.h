/* Parameters of the kernels in gather.cl. */
#ifndef LUXEL_GATHER_KERNELS_H
#define LUXEL_GATHER_KERNELS_H

/* Vectors of columns side by side that a work-item of index_add adds. */
#define GATHER_ADD_VECTORS 2

/* Indices that a work-item of gather_check looks at. */
#define GATHER_CHECK_CHUNK 65536

/* Dense tensors: `size` elements along the dimension that indices count in, `count` indices. */
typedef struct {
    long size, count, inner;
    long low; /* the least number that gather_check lets pass; `size` is the greatest */
    int absent; /* the bits of what is picked by an index out of range */
    int filler; /* see kernels/luxel.h */
} gather_args;

#endif
