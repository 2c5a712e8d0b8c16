#ifndef LX_POOL_H
#define LX_POOL_H

/* Max-pooling over planes of `vector` interleaved numbers: 1 in the plain layout, LANES in the blocked one. */
typedef struct {
    long out_height, out_width;
    int height, width; /* of the input */
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;
} pool_args;

#endif
