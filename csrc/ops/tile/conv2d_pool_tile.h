/* The pooled part of lx_conv2d_ops (forms.h) for the tile form. */
#ifndef LX_CONV2D_POOL_TILE_H
#define LX_CONV2D_POOL_TILE_H

#include "../convolution.h"

lx_code lx_conv2d_pool_tile(const lx_convolution *c, lx_tensor *out, lx_tensor *codes, const lx_tensor *x,
                            const lx_tensor *w, const lx_tensor *b, const lx_conv2d_options *options, lx_error *error);
lx_code lx_conv2d_unpool_data_tile(lx_conv2d_unpooling *job, lx_tensor *dx, lx_error *error);
lx_code lx_conv2d_unpool_weight_tile(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error);
lx_code lx_conv2d_unpool_bias_tile(lx_conv2d_unpooling *job, lx_tensor *db, lx_error *error);

#endif
