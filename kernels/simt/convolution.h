/* Parameters of the kernels in simt/conv2d.cl; conv2d.h comes before. */
#ifndef LX_SIMT_CONVOLUTION_H
#define LX_SIMT_CONVOLUTION_H

#define CONV2D_SUM_ITEMS 256  /* work-items of a group that adds up pixels or chunks */
#define CONV2D_CHUNK_CELLS 32 /* of which so many take neighbouring sums, where it adds up chunks */

/* conv2d_gemm. Blocks are of four channels. The input is read as if `up - 1` zeros stood between its pixels, as in
 * conv2d_tile_args; output pixels that meet the same taps are a phase, and there are up_h * up_w of these. What is
 * read of the input at once is a cell: a pixel of a block, or with THIN a number of the plain layout, whose channels
 * then count as blocks. */
typedef struct {
    int x_image, x_block, x_row; /* strides in cells */
    conv2d_geometry g;
    int up_h, up_w;
    int batch, groups;
    int out_blocks, in_blocks; /* in a group */
    int out_channels;          /* in all */
    int tiles;                 /* of pixels, in the largest phase */
    int parts;                 /* that the input blocks are cut into; each has sums of its own if there are several */
    int part_blocks;           /* input blocks of a part */
    int bias, activation; /* of kernels/activation.h */
} conv2d_gemm_args;

/* conv2d_add_parts: [parts][sums] float4 are added in order, with bias and ReLU. conv2d_add_chunks: without these. */
typedef struct {
    long sums;   /* of a part: images, blocks, pixels */
    long pixels; /* of a plane */
    int parts, blocks, out_channels;
    int bias, activation; /* of kernels/activation.h */
} conv2d_parts_args;

/* conv2d_weight_gemm, conv2d_weight_depthwise_group and conv2d_bias_group: each chunk of `chunk_pixels` output
 * pixels of the batch has sums of its own, which conv2d_reduce then adds. */
typedef struct {
    int x_image, x_block, x_row; /* strides in cells */
    conv2d_geometry g;
    long pixels, chunk_pixels; /* of the batch, of a chunk */
    long chunk_size;           /* sums of a chunk */
    int groups;
    int out_blocks, in_blocks; /* in a group */
} conv2d_sums_args;

#endif
