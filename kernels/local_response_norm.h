/* Parameters of the kernels in local_response_norm.cl: images of `channels` planes of `pixels`. Channel c is normalised by the
 * channels from c - before to c + after. */
#ifndef LX_LOCAL_RESPONSE_NORM_KERNELS_H
#define LX_LOCAL_RESPONSE_NORM_KERNELS_H

typedef struct {
    long channels, pixels;
    long before, after;
    float share, beta; /* share: alpha over the size of the window */
    float k;
    int filler; /* see kernels/luxel.h */
} local_response_norm_args;

#endif
