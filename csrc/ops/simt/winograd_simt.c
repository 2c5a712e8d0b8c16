#include "winograd_simt.h"

#include "../../../kernels/simt/winograd.h"
#include "../ops.h"

LX_SIMT_KERNEL(winograd, winograd_weights, 1);
LX_SIMT_KERNEL(winograd, winograd_conv2d, 3);

enum {
    PRODUCTS = 16,
    LEAST = 16,          /* the smallest tile, which is not too large for anything */
    WIDEST = 1 << 26,    /* pixels of a row, for the kernel counts the floats of four rows in 32 bits */
    WEIGHT_WORK = 28 * 4 /* operations for the weights of four output channels */
};

const lx_tile lx_winograd_tiles[LX_WINOGRAD_TILES] = {
    {.m = 32, .n = 64, .k = WINOGRAD_STEP, .item_m = 8, .item_n = 8},
    {.m = 64, .n = 32, .k = WINOGRAD_STEP, .item_m = 8, .item_n = 8},
    {.m = 32, .n = 32, .k = WINOGRAD_STEP, .item_m = 8, .item_n = 8},
    {.m = 32, .n = 16, .k = WINOGRAD_STEP, .item_m = 8, .item_n = 4},
    {.m = 16, .n = 32, .k = WINOGRAD_STEP, .item_m = 4, .item_n = 8},
    {.m = 16, .n = 16, .k = WINOGRAD_STEP, .item_m = 4, .item_n = 4},
};

int lx_winograd_items(const lx_tile *tile)
{
    return PRODUCTS * lx_tile_items(tile);
}

/* The tiles of 2x2 pixels of all images. */
static long pixel_tiles(const conv2d_gemm_args *args)
{
    return args->batch * lx_ceil_div(args->g.out_height, 2) * lx_ceil_div(args->g.out_width, 2);
}

static long channel_tiles(const lx_tile *tile, const conv2d_gemm_args *args)
{
    return lx_ceil_div(args->out_blocks * 4L, tile->m);
}

double lx_winograd_groups(const lx_tile *tile, const conv2d_gemm_args *args)
{
    return (double)channel_tiles(tile, args) * (double)lx_ceil_div(pixel_tiles(args), tile->n) * args->groups;
}

/* Bytes of two copies of what a step needs, or of the sums that change places in the end. */
static size_t local_memory(const lx_tile *tile)
{
    const int copies = 2 * PRODUCTS * tile->k * (tile->m + tile->n);
    const int sums = PRODUCTS * (4 * tile->n / tile->item_n) * (4 * tile->m / tile->item_m + 4);
    return (size_t)(copies > sums ? copies : sums) * sizeof(float);
}

bool lx_winograd_simt_fits(const lx_tile *tile, const conv2d_gemm_args *args, const lx_tensor *x)
{
    const conv2d_geometry *g = &args->g;
    const lx_gpu *gpu = &x->storage->device->gpu;
    if (!x->block || g->kernel_h != 3 || g->kernel_w != 3 || g->stride_h != 1 || g->stride_w != 1 ||
        g->dilation_h != 1 || g->dilation_w != 1 || args->up_h != 1 || args->up_w != 1 || g->width > WIDEST)
        return false;
    if (local_memory(tile) > gpu->local_memory || lx_winograd_items(tile) > gpu->most_group)
        return false;
    return (tile->m == LEAST || tile->m < 8 * args->out_blocks) &&
           (tile->n == LEAST || tile->n < 2 * pixel_tiles(args));
}

/* The weights as the sixteen products want them, padded to whole tiles of output channels. */
static lx_code transform_weights(const lx_tile *tile, const conv2d_gemm_args *args, lx_tensor *to,
                                 const lx_tensor *packed, lx_error *error)
{
    winograd_weight_args p = {.groups = args->groups,
                              .out_blocks = args->out_blocks,
                              .in_blocks = args->in_blocks,
                              .tiles = (int)channel_tiles(tile, args),
                              .tile_blocks = tile->m / 4};
    p.quads = (long)p.groups * p.tiles * p.in_blocks * 4 * p.tile_blocks;
    const long count = p.quads * 4 * PRODUCTS, groups = lx_ceil_div(p.quads, WINOGRAD_WEIGHT_ITEMS);
    if (lx_tensor_new(to, packed->storage->device, LX_FLOAT32, 1, &count, error))
        return error->code;
    return LX_RUN_GROUPS(k_winograd_weights, NULL, groups, 1, 1, WINOGRAD_WEIGHT_ITEMS, 1, WEIGHT_WORK * p.quads, p,
                         error, packed, to);
}

lx_code lx_winograd_simt(const lx_tile *tile, const conv2d_gemm_args *args, double work, lx_tensor *out,
                         const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error)
{
    lx_tensor weights = {0};
    const lx_build_options options = lx_tile_options(tile);
    const long groups = lx_ceil_div(pixel_tiles(args), tile->n) * channel_tiles(tile, args);
    lx_code code = transform_weights(tile, args, &weights, packed, error);
    if (!code)
        code = LX_RUN_GROUPS(k_winograd_conv2d, &options, groups, args->parts, args->groups, lx_winograd_items(tile), 1,
                             work, *args, error, x, &weights, bias, out);
    lx_tensor_free(&weights);
    return code;
}
