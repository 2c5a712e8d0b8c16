/* Parameters of the kernels in layout.cl. */
#ifndef LUXEL_LAYOUT_KERNELS_H
#define LUXEL_LAYOUT_KERNELS_H

/* Between a plain tensor of these strides (in elements) and a blocked one, row by row. */
typedef struct {
    long image, channel, row, column;
    int channels, height, width;
    int filler; /* see kernels/luxel.h */
} layout_args;

#endif
