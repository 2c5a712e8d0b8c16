/* Parameters of the kernels in conv2d.cl. */
#ifndef LUXEL_CONV2D_KERNELS_H
#define LUXEL_CONV2D_KERNELS_H

/* Output pixels of a register tile. With two blocks of output channels they fill the vector registers: 32 with
 * 16 lanes, 16 otherwise. */
#define CONV2D_PIXELS(lanes) ((lanes) == 16 ? 7 : 6)

/* Pixels whose patches conv2d_weight_patches holds at once. */
#define CONV2D_PATCHES 32

typedef struct {
    int height, width, out_height, out_width;
    int kernel_h, kernel_w;
    int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
} conv2d_geometry;

/* conv2d_pack: a weight of any strides (in elements, from `base`; negative ones flip the kernel) to
 * [group][out block][in block][kernel_h][kernel_w][inner][lanes of out], zero beyond the channels. */
typedef struct {
    long base, group_stride, out_stride, in_stride, stride_h, stride_w;
    int out_blocks, out_channels; /* in a group */
    int in_blocks, in_channels;   /* in a group */
    int inner;                    /* input channels in a block */
    int kernel_h, kernel_w;
} conv2d_pack_args;

/* conv2d_tile and conv2d_depthwise. The input is read as if `up - 1` zeros stood between its pixels, which turns
 * backward-data with a stride, where stride here is 1, into a forward pass; otherwise up is 1. */
typedef struct {
    long x_image, x_block, x_row; /* strides in elements; x_block is that of a channel when the input is plain */
    conv2d_geometry g;
    int up_h, up_w;
    int tiles; /* in the longest run of pixels of one column phase */
    int groups;
    int out_blocks, in_blocks, in_channels; /* in a group */
    int out_channels;                       /* in all */
    int bias, relu;
} conv2d_tile_args;

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
    int chunks;
    int out_blocks, out_channels;
    int in_blocks, in_channels;
    int taps, inner;
} conv2d_reduce_args;

/* The general kernels. Strides are of N,C,H,W and of O,I,H,W, in elements. */
typedef struct {
    long x_stride[4], w_stride[4], y_stride[4];
    conv2d_geometry g;
    int batch, groups;
    int in_channels, out_channels; /* in a group */
    int bias, relu;
} conv2d_general_args;

#endif
