/* Parameters of the kernels in winograd.cl. */
#ifndef LUXEL_WINOGRAD_KERNELS_H
#define LUXEL_WINOGRAD_KERNELS_H

#include "conv2d.h"

/* A line of a transformed tile, and the products that there are of one. */
#define WINOGRAD_LINE 6
#define WINOGRAD_PRODUCTS 36

/* Floats from one product to the next, of so many vectors for each. An odd number of them: with an even one, those of one
 * tile would meet in few sets of the nearest cache. */
#define WINOGRAD_STRIDE(vectors, lanes) (((vectors) | 1L) * (lanes))

/* Pixels of a square that is copied: eight a side, the windows of 2x2 that a patch reaches into. */
#define WINOGRAD_SQUARE 64

/* winograd_weights: from what conv2d_pack makes of a 3x3 kernel. */
typedef struct {
    int out_blocks, in_blocks;
} winograd_weight_args;

/* The tiles of 4x4 output pixels of all images; those that hang over the edge of an output are cut off. A worker, which is
 * a work-item, computes a strip of tiles at a time in scratch memory of its own. */
typedef struct {
    long tiles, strips, workers;
    long scratch; /* floats of a worker */
    int strip;    /* tiles in a strip */
    int rows, columns; /* of tiles in an image */
    int height, width, out_height, out_width, padding_h, padding_w;
    int in_blocks, out_blocks;
    int filler; /* see kernels/luxel.h */
} winograd_strips;

/* winograd_tile: a strip is a multiple of CONV2D_PIXELS_OF_TWO. */
typedef struct {
    winograd_strips s;
    int out_channels;
    int bias, activation; /* of kernels/activation.h */
    int filler; /* see kernels/luxel.h */
} winograd_args;

/* winograd_products: all.s.scratch is what the patches of a strip take, with a square for each in block. */
typedef struct {
    winograd_args all;
    long scratch; /* floats of a worker */
    int chunk;    /* in blocks whose weights a worker transforms at once */
    int filler;
} winograd_chunk_args;

/* winograd_gradient_products */
typedef struct {
    winograd_strips s;
    long of_patches, of_gradients; /* floats of a strip */
} winograd_gradient_args;

#endif
