/* Parameters of the mean-pooling kernels: for height and width, the sizes of the image and of the result,
 * and the windows. */
#ifndef LX_AVGPOOL_KERNELS_H
#define LX_AVGPOOL_KERNELS_H

typedef struct {
    int size[2], out[2]; /* of height, width */
    int window[2], stride[2], padding[2];
    int adaptive;      /* `out` windows share out the axis, whatever window, stride and padding are */
    int count_padding; /* a window's mean is over all of its positions, not only those in the image */
} avg_pool_args;

/* Planes of `size` numbers with one mean each. */
typedef struct {
    long size;
} plane_mean_args;

#endif
