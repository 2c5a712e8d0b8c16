/* Parameters of the softmax kernels: rows of `size` numbers. */
#ifndef LX_SOFTMAX_KERNELS_H
#define LX_SOFTMAX_KERNELS_H

typedef struct {
    long size;
} softmax_args;

#endif
