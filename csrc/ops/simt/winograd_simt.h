/* Winograd's way to convolve on GPUs, for kernels of 3x3 at stride 1: see kernels/simt/winograd.cl. */
#ifndef LX_WINOGRAD_SIMT_H
#define LX_WINOGRAD_SIMT_H

#include "../../../kernels/conv2d.h"
#include "../../../kernels/simt/convolution.h"
#include "../../tensor/tensor.h"
#include "tiles.h"

enum { LX_WINOGRAD_TILES = 6 };

/* Tiles of the sixteen products: m output channels, n tiles of 2x2 pixels, steps of k input channels. */
extern const lx_tile lx_winograd_tiles[LX_WINOGRAD_TILES];

/* Work-groups for all images and channels, and work-items in one. */
double lx_winograd_groups(const lx_tile *tile, const conv2d_gemm_args *args);
int lx_winograd_items(const lx_tile *tile);

/* Whether a convolution of x can be computed so on its device, and the tile is not plainly too large for it. */
bool lx_winograd_simt_fits(const lx_tile *tile, const conv2d_gemm_args *args, const lx_tensor *x);

/* out = x * packed + bias, or parts of it, as conv2d_gemm makes them from the same arguments. */
lx_code lx_winograd_simt(const lx_tile *tile, const conv2d_gemm_args *args, double work, lx_tensor *out,
                         const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error);

#endif
