/* Parameters of winograd_weights in simt/winograd.cl; winograd_conv2d has those of conv2d_gemm. */
#ifndef LX_SIMT_WINOGRAD_H
#define LX_SIMT_WINOGRAD_H

#define WINOGRAD_STEP 4           /* input channels of a step: a block */
#define WINOGRAD_WEIGHT_ITEMS 256 /* work-items of a group that transforms weights */

typedef struct {
    long quads; /* of four output channels and one input channel each, in all */
    int groups, out_blocks, in_blocks;
    int tiles, tile_blocks; /* tiles of output channels in a group; output blocks of a tile */
    int filler; /* see kernels/luxel.h */
} winograd_weight_args;

#endif
