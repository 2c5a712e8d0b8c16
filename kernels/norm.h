/* Parameters of the normalisation kernels. */
#ifndef LX_NORM_KERNELS_H
#define LX_NORM_KERNELS_H

/* A dense [images][channels][size], or the blocked [images][stored / lanes][size][lanes]; which of weight and bias are
 * there; whether the statistics are the batch's. */
typedef struct {
    long images, channels, size;
    long stored; /* channels with those that fill up the last block; partial sums are [images][stored] */
    float eps;
    int has_weight, has_bias, training;
    int activation; /* of kernels/activation.h; this and an addend in the blocked layout alone */
    int has_addend; /* what is added to the normalised values, before the activation */
} batch_norm_args;

#endif
