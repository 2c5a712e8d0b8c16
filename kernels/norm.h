/* Parameters of the normalisation kernels. */
#ifndef LX_NORM_KERNELS_H
#define LX_NORM_KERNELS_H

/* A dense [images][channels][size]; which of weight and bias are there; whether the statistics are the batch's. */
typedef struct {
    long images, channels, size;
    float eps;
    int has_weight, has_bias, training;
} batch_norm_args;

/* Rows of `size` numbers. */
typedef struct {
    long size;
    float eps;
} row_norm_args;

#endif
