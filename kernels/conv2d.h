/* Parameters of the kernels in conv2d.cl. */
#ifndef LUXEL_CONV2D_KERNELS_H
#define LUXEL_CONV2D_KERNELS_H

/* Output pixels of a register tile of one or two blocks of output channels. Two fill the vector registers (32 with
 * 16 lanes, 16 otherwise) and are faster by about a seventh; one is for widths that two would waste more on. */
#define CONV2D_PIXELS_OF_TWO(lanes) ((lanes) == 16 ? 7 : 6)
#define CONV2D_PIXELS_OF_ONE 7

/* Windows of 2x2 output pixels that conv2d_plain_pool computes at once. */
#define CONV2D_WINDOWS(lanes) ((lanes) == 16 ? 2 : 1)

/* Pixels whose patches conv2d_weight_patches holds at once. */
#define CONV2D_PATCHES 32

typedef struct {
    int height, width, out_height, out_width;
    int kernel_h, kernel_w;
    int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
} conv2d_geometry;

/* Groups of fewer channels than a block are merged: `merged` of them are treated as one group, whose weights
 * between channels of different ones are zero. `groups` and the blocks below are those after merging. */

/* conv2d_pack: a weight of any strides (in elements, from `base`; negative ones flip the kernel) to
 * [group][out block][in block][kernel_h][kernel_w][inner][lanes of out], zero where there is no weight. */
typedef struct {
    long base, group_stride, out_stride, in_stride, stride_h, stride_w; /* group_stride before merging */
    int merged;
    int out_blocks, out_channels; /* blocks in a merged group, channels in one before merging */
    int in_blocks, in_channels;
    int inner; /* input channels in a block */
    int kernel_h, kernel_w;
    int by_rows; /* id0 is the group and out block, whose weights lie in one row */
    int filler; /* see kernels/luxel.h */
} conv2d_pack_args;

/* conv2d_tile and conv2d_depthwise. The input is read as if `up - 1` zeros stood between its pixels, which turns
 * backward-data with a stride, where stride here is 1, into a forward pass; otherwise up is 1. */
typedef struct {
    long x_image, x_block, x_row; /* strides in elements; x_block is that of a channel when the input is plain */
    conv2d_geometry g;
    int up_h, up_w;
    int together; /* output blocks that a work-item computes: 1 or 2 */
    int tiles;    /* in the longest run of pixels of one column phase */
    int groups;
    int out_blocks, in_blocks, in_channels; /* in a group */
    int out_channels;                       /* in all */
    int bias, activation; /* of kernels/activation.h */
    int filler; /* see kernels/luxel.h */
} conv2d_tile_args;

/* conv2d_rectify: floats from one row to the next. */
typedef struct {
    long row;
} conv2d_rectify_args;

/* Backward-weight kernels: each chunk of `chunk_rows` output rows of the batch has sums of its own. */
typedef struct {
    long x_image, x_channel, x_row; /* strides of a plain input */
    long rows, chunk_rows, chunk_size;
    conv2d_geometry g;
    int groups;
    int out_blocks, in_blocks; /* in a group */
    int taps;                  /* conv2d_weight_patches: channels * kernel_h * kernel_w */
} conv2d_weight_args;

/* conv2d_reduce: adds the chunks' [group][out block][in block][taps][inner][lanes of out] in order and writes
 * [out][in][taps]. */
typedef struct {
    long chunk_size;
    int chunks, merged;
    int out_blocks, out_channels; /* blocks in a merged group, channels in one before merging */
    int in_blocks, in_channels;
    int taps, inner;
} conv2d_reduce_args;

#endif
