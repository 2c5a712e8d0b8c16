#ifndef LX_POOL_H
#define LX_POOL_H

typedef struct {
    long count; /* stored elements of the result */
    long out_height, out_width;
    int height, width; /* of the input */
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;
} pool_args;

#endif
