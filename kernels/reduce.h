/* Parameters of the kernels in reduce.cl. */
#ifndef LUXEL_REDUCE_KERNELS_H
#define LUXEL_REDUCE_KERNELS_H

/* Elements that a work-item reduces. They depend on nothing but the shape, so neither does the order of additions. */
#define REDUCE_ROW_CHUNK 4096
#define REDUCE_COLUMN_CHUNK 64

/* Vectors of columns side by side that a work-item of columns reduces. */
#define REDUCE_COLUMN_VECTORS 32

/* A dense [outer][size][inner], reduced over `size` in chunks. */
typedef struct {
    long size, inner, chunk, chunks;
    int reverse; /* cumsum: from the end */
    int filler; /* see kernels/luxel.h */
} reduce_args;

#endif
