/* Parameters of the resizing kernels, for height and width: sizes of the image and of the result, and what a step in
 * the result is in the image. */
#ifndef LX_UPSAMPLE_KERNELS_H
#define LX_UPSAMPLE_KERNELS_H

typedef struct {
    int size[2], out[2];
    float scale[2];
    int half_pixel; /* positions are of the pixels' centres, else of their corners */
} upsample_args;

#endif
