#include "winograd_tile.h"

#include "../../../kernels/winograd.h"
#include "../../base/count.h"
#include "../ops.h"

LX_KERNEL(winograd, winograd_weights);
LX_KERNEL(winograd, winograd_tile);
LX_KERNEL(winograd, winograd_tile_pool);
LX_KERNEL(winograd, winograd_tile_unpool);
LX_KERNEL(winograd, winograd_gradient);
LX_KERNEL(winograd, winograd_gradient_unpool);
LX_KERNEL(winograd, winograd_gradient_end);
LX_KERNEL(winograd, winograd_patches);
LX_KERNEL(winograd, winograd_products);
LX_KERNEL(winograd, winograd_tiles);
LX_KERNEL(winograd, winograd_tiles_unpool);
LX_KERNEL(winograd, winograd_gradient_products);

enum {
    TILE = 4,     /* output pixels along a side */
    WORKERS = 16, /* at least: more than threads, so that an unlucky one does not hold up the rest */
    WORKERS_PER_THREAD = 4,
    MOST_GROUPS = 8,        /* of tiles in a forward strip */
    MOST_PATCHES = 5 << 17, /* bytes of its patches, which share a core's second cache with sums and weights */
    MOST_STRIP = 1 << 20,   /* bytes of a strip of the gradient, for the share of a core in the last cache */
    LEAST_STRIP = 16,       /* tiles of it: with fewer, reading and writing the sums takes longer than adding to them */
    MOST_SUMS = 5 << 20,    /* floats of all workers' sums of the gradient */
    LEAST_SHARE = 4,        /* strips of a worker of the gradient, unless that would leave too few workers */
    FEW_WORKERS = 8,
    MANY_WORKERS = 32,
    MANY_CHANNELS = 256,        /* from which on their weights do not stay in a core's second cache */
    CHUNK_BYTES = 300 << 10,    /* of the weights that are transformed at once, beside as many of sums */
    STRIP_BYTES = 400 << 10,    /* of these sums */
    LARGE_STRIP = 256,          /* tiles of the gradient's */
    MOST_TRANSFORMED = 16 << 20 /* floats of all patches, and of all gradients */
};

static long tiles_of(const lx_winograd_pass *pass)
{
    return pass->batch * lx_ceil_div(pass->g->out_height, TILE) * lx_ceil_div(pass->g->out_width, TILE);
}

/* The sums of one worker of the gradient. */
static long sums_of(const lx_winograd_pass *pass, long lanes)
{
    return WINOGRAD_PRODUCTS * pass->out_blocks * lanes * pass->in_blocks * lanes;
}

bool lx_winograd_fits(const lx_winograd_pass *pass, const lx_device *device)
{
    const conv2d_geometry *g = pass->g;
    return !device->exact && g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 && g->stride_w == 1 &&
           g->dilation_h == 1 && g->dilation_w == 1;
}

bool lx_winograd_pays(const lx_winograd_pass *pass)
{
    const double pixels = (double)pass->batch * pass->g->out_height * pass->g->out_width;
    return (double)tiles_of(pass) * TILE * TILE < 1.7 * pixels;
}

/* All but how tiles are shared out. */
static winograd_strips strips_of(const lx_winograd_pass *pass)
{
    const conv2d_geometry *g = pass->g;
    return (winograd_strips){.tiles = tiles_of(pass),
                             .rows = (int)lx_ceil_div(g->out_height, TILE),
                             .columns = (int)lx_ceil_div(g->out_width, TILE),
                             .height = g->height,
                             .width = g->width,
                             .out_height = g->out_height,
                             .out_width = g->out_width,
                             .padding_h = g->padding_h,
                             .padding_w = g->padding_w,
                             .in_blocks = pass->in_blocks,
                             .out_blocks = pass->out_blocks};
}

/* Floats that a worker needs for the patches of a strip, for what there is of `others` blocks, and for a square. */
static long scratch_of(const winograd_strips *s, long others, long lanes)
{
    const long vectors = WINOGRAD_STRIDE((long)s->in_blocks * s->strip, 1) + WINOGRAD_STRIDE(others * s->strip, 1);
    return (WINOGRAD_PRODUCTS * vectors + WINOGRAD_SQUARE) * lanes;
}

/* ---- forward and backward-data -------------------------------------------------------------------------------- */

static winograd_strips share_out(const lx_winograd_pass *pass, lx_device *device)
{
    winograd_strips s = strips_of(pass);
    const long lanes = device->lanes, group = CONV2D_PIXELS_OF_TWO(lanes);
    const long patches = WINOGRAD_PRODUCTS * pass->in_blocks * lanes * (long)sizeof(float); /* bytes for a tile */
    s.strip = (int)(group * lx_most(1, lx_least(MOST_PATCHES / (group * patches), MOST_GROUPS)));
    s.strips = lx_ceil_div(s.tiles, s.strip);
    s.workers = lx_least(s.strips, lx_most(WORKERS, WORKERS_PER_THREAD * (long)device->runtime->threads(device, 0)));
    s.scratch = scratch_of(&s, 2, lanes);
    return s;
}

static lx_code transform_weights(const lx_winograd_pass *pass, lx_tensor *u, const lx_tensor *packed, lx_error *error)
{
    lx_device *device = packed->storage->device;
    const winograd_weight_args args = {pass->out_blocks, pass->in_blocks};
    const long count = sums_of(pass, device->lanes);
    const long room = WINOGRAD_PRODUCTS * WINOGRAD_STRIDE(count / WINOGRAD_PRODUCTS / device->lanes, device->lanes);
    if (lx_tensor_new(u, device, LX_FLOAT32, 1, &room, error))
        return error->code;
    return LX_RUN(k_winograd_weights, (long)pass->in_blocks * device->lanes, pass->out_blocks, 1, 4 * count, args,
                  error, packed, u);
}

/* Launches whichever of the three kernels the operands and results are for. */
static lx_code launch(const winograd_args *args, const lx_winograd_operands *from, const lx_tensor *u,
                      const lx_tensor *scratch, lx_tensor *out, lx_tensor *codes, lx_error *error)
{
    const long workers = args->s.workers;
    if (codes)
        return LX_RUN(k_winograd_tile_pool, workers, 1, 1, from->work, *args, error, from->x, u, from->bias, scratch,
                      out, codes);
    if (from->codes)
        return LX_RUN(k_winograd_tile_unpool, workers, 1, 1, from->work, *args, error, from->x, from->codes, u,
                      from->bias, scratch, out);
    return LX_RUN(k_winograd_tile, workers, 1, 1, from->work, *args, error, from->x, u, from->bias, scratch, out);
}

static lx_code run(const lx_winograd_pass *pass, const lx_winograd_operands *from, int activation, lx_tensor *out,
                   lx_tensor *codes, lx_error *error)
{
    lx_device *device = from->x->storage->device;
    const winograd_args args = {.s = share_out(pass, device),
                                .out_channels = (int)out->shape[1],
                                .bias = from->bias != NULL,
                                .activation = activation};
    const long floats = args.s.workers * args.s.scratch;
    lx_tensor u = {0}, scratch = {0};
    lx_code code = transform_weights(pass, &u, from->packed, error);
    if (!code)
        code = lx_tensor_new(&scratch, device, LX_FLOAT32, 1, &floats, error);
    if (!code)
        code = launch(&args, from, &u, &scratch, out, codes, error);
    lx_tensor_free(&scratch);
    lx_tensor_free(&u);
    return code;
}

/* ---- forward and backward-data with many channels ------------------------------------------------------------- */

/* Strips of about as many tiles each, at most `most`, and what the transformed tiles of one take. */
static winograd_strips share_out_evenly(const lx_winograd_pass *pass, long most, long lanes)
{
    winograd_strips s = strips_of(pass);
    const long group = CONV2D_PIXELS_OF_TWO(lanes);
    s.strips = lx_ceil_div(s.tiles, lx_most(group, most / group * group));
    s.strip = (int)(lx_ceil_div(lx_ceil_div(s.tiles, s.strips), group) * group);
    s.strips = lx_ceil_div(s.tiles, s.strip);
    return s;
}

/* Floats of the transformed tiles of a strip, of so many blocks, with a square for each block. */
static long transformed_of(const winograd_strips *s, long blocks, long lanes)
{
    return (WINOGRAD_PRODUCTS * WINOGRAD_STRIDE(blocks * s->strip, 1) + blocks * WINOGRAD_SQUARE) * lanes;
}

static winograd_chunk_args share_out_chunks(const lx_winograd_pass *pass, lx_device *device)
{
    const long lanes = device->lanes, vector = lanes * (long)sizeof(float);
    winograd_chunk_args args = {
        .all = {.s = share_out_evenly(pass, STRIP_BYTES / (WINOGRAD_PRODUCTS * 2 * vector), lanes)}};
    winograd_strips *s = &args.all.s;
    const long chunk = lx_most(1, CHUNK_BYTES / (WINOGRAD_PRODUCTS * 2 * lanes * vector));
    args.chunk = (int)lx_least(chunk, pass->in_blocks);
    args.scratch = WINOGRAD_PRODUCTS * lanes *
                   (WINOGRAD_STRIDE(2L * s->strip, 1) + WINOGRAD_STRIDE(2 * args.chunk * lanes, 1));
    s->scratch = transformed_of(s, s->in_blocks, lanes);
    s->workers = lx_least(lx_ceil_div(s->out_blocks, 2) * s->strips,
                          lx_most(WORKERS, WORKERS_PER_THREAD * (long)device->runtime->threads(device, 0)));
    return args;
}

static bool has_channels(const lx_winograd_pass *pass, const winograd_strips *s, long lanes, long least)
{
    return lx_least(pass->in_blocks, pass->out_blocks) * lanes >= least && s->strips * s->scratch <= MOST_TRANSFORMED;
}

static lx_code run_chunks(const winograd_chunk_args *args, const lx_winograd_operands *from, lx_tensor *out,
                          lx_error *error)
{
    lx_device *device = from->x->storage->device;
    const winograd_strips *s = &args->all.s;
    const long floats = s->strips * s->scratch, own = s->workers * args->scratch;
    lx_tensor patches = {0}, scratch = {0};
    if (!lx_tensor_new(&patches, device, LX_FLOAT32, 1, &floats, error) &&
        !lx_tensor_new(&scratch, device, LX_FLOAT32, 1, &own, error) &&
        !LX_RUN(k_winograd_patches, s->in_blocks, s->strips, 1, 4 * floats, *s, error, from->x, &patches))
        LX_RUN(k_winograd_products, s->workers, 1, 1, from->work, *args, error, &patches, from->packed, from->bias,
               &scratch, out);
    lx_tensor_free(&scratch);
    lx_tensor_free(&patches);
    return error->code;
}

lx_code lx_winograd(const lx_winograd_pass *pass, const lx_winograd_operands *from, int activation, lx_tensor *out,
                    lx_error *error)
{
    winograd_chunk_args args = share_out_chunks(pass, from->x->storage->device);
    args.all.out_channels = (int)out->shape[1];
    args.all.bias = from->bias != NULL;
    args.all.activation = activation;
    if (!from->codes && has_channels(pass, &args.all.s, from->x->storage->device->lanes, MANY_CHANNELS))
        return run_chunks(&args, from, out, error);
    return run(pass, from, activation, out, NULL, error);
}

lx_code lx_winograd_pool(const lx_winograd_pass *pass, const lx_winograd_operands *from, lx_tensor *out,
                         lx_tensor *codes, lx_error *error)
{
    return run(pass, from, ACTIVATION_relu, out, codes, error);
}

/* ---- backward-weight ------------------------------------------------------------------------------------------ */

/* How many workers depends on the shapes alone, so that results do not depend on the number of threads. */
static winograd_strips share_out_gradient(const lx_winograd_pass *pass, long lanes)
{
    winograd_strips s = strips_of(pass);
    const long tile = WINOGRAD_PRODUCTS * (pass->in_blocks + pass->out_blocks) * lanes; /* floats */
    s.strip = (int)lx_most(LEAST_STRIP, MOST_STRIP / (tile * (long)sizeof(float)));
    s.strips = lx_ceil_div(s.tiles, s.strip);
    const long wanted = lx_least(lx_most(FEW_WORKERS, s.strips / LEAST_SHARE), MANY_WORKERS);
    s.workers = lx_least(lx_least(wanted, s.strips), MOST_SUMS / sums_of(pass, lanes));
    s.scratch = scratch_of(&s, s.out_blocks, lanes);
    return s;
}

/* With many channels, the strips are those of all; a worker has the sums of a block by two. */
static winograd_gradient_args share_out_pairs(const lx_winograd_pass *pass, long lanes)
{
    winograd_gradient_args args = {.s = share_out_evenly(pass, LARGE_STRIP, lanes)};
    args.of_patches = transformed_of(&args.s, args.s.in_blocks, lanes);
    args.of_gradients = transformed_of(&args.s, args.s.out_blocks, lanes);
    args.s.scratch = lx_most(args.of_patches, args.of_gradients);
    args.s.workers = lx_least(lx_ceil_div(args.s.out_blocks, 2) * args.s.in_blocks, MANY_WORKERS);
    return args;
}

bool lx_winograd_gradient_fits(const lx_winograd_pass *pass, const lx_device *device)
{
    const winograd_gradient_args pairs = share_out_pairs(pass, device->lanes);
    return lx_winograd_fits(pass, device) && (has_channels(pass, &pairs.s, device->lanes, MANY_CHANNELS / 2) ||
                                              sums_of(pass, device->lanes) <= MOST_SUMS / 2);
}

static lx_code transform_gradients(const winograd_strips *s, long floats, const lx_tensor *dy, const lx_tensor *codes,
                                   const lx_tensor *to, lx_error *error)
{
    if (codes)
        return LX_RUN(k_winograd_tiles_unpool, s->out_blocks, s->strips, 1, 4 * floats, *s, error, dy, codes, to);
    return LX_RUN(k_winograd_tiles, s->out_blocks, s->strips, 1, 4 * floats, *s, error, dy, to);
}

static lx_code run_pairs(const winograd_gradient_args *args, double work, lx_tensor *taps, const lx_tensor *x,
                         const lx_tensor *dy, const lx_tensor *codes, lx_error *error)
{
    lx_device *device = x->storage->device;
    const winograd_strips *s = &args->s;
    const long of_sums = WINOGRAD_PRODUCTS * WINOGRAD_STRIDE(2L * device->lanes, device->lanes);
    const long floats[] = {s->strips * args->of_patches, s->strips * args->of_gradients, s->workers * of_sums};
    winograd_strips of_x = *s, of_dy = *s;
    of_x.scratch = args->of_patches;
    of_dy.scratch = args->of_gradients;
    lx_tensor made[3] = {{0}};
    lx_code code = LX_OK;
    for (int i = 0; i < 3 && !code; i++)
        code = lx_tensor_new(&made[i], device, LX_FLOAT32, 1, &floats[i], error);
    if (!code && !LX_RUN(k_winograd_patches, s->in_blocks, s->strips, 1, 4 * floats[0], of_x, error, x, &made[0]) &&
        !transform_gradients(&of_dy, floats[1], dy, codes, &made[1], error))
        LX_RUN(k_winograd_gradient_products, s->workers, 1, 1, work, *args, error, &made[0], &made[1], &made[2], taps);
    for (int i = 0; i < 3; i++)
        lx_tensor_free(&made[i]);
    return error->code;
}

lx_code lx_winograd_gradient(const lx_winograd_pass *pass, double work, lx_tensor *taps, const lx_tensor *x,
                             const lx_tensor *dy, const lx_tensor *codes, lx_error *error)
{
    lx_device *device = x->storage->device;
    const winograd_gradient_args pairs = share_out_pairs(pass, device->lanes);
    if (has_channels(pass, &pairs.s, device->lanes, MANY_CHANNELS / 2))
        return run_pairs(&pairs, work, taps, x, dy, codes, error);
    const winograd_strips s = share_out_gradient(pass, device->lanes);
    const long floats = s.workers * s.scratch, count = s.workers * sums_of(pass, device->lanes);
    lx_tensor scratch = {0}, sums = {0};
    lx_code code = lx_tensor_new(&scratch, device, LX_FLOAT32, 1, &floats, error);
    if (!code)
        code = lx_tensor_new(&sums, device, LX_FLOAT32, 1, &count, error);
    if (!code && codes)
        code = LX_RUN(k_winograd_gradient_unpool, s.workers, 1, 1, work, s, error, x, dy, codes, &scratch, &sums);
    else if (!code)
        code = LX_RUN(k_winograd_gradient, s.workers, 1, 1, work, s, error, x, dy, &scratch, &sums);
    if (!code)
        code = LX_RUN(k_winograd_gradient_end, (long)s.in_blocks * device->lanes, s.out_blocks, 1, count, s, error,
                      &sums, taps);
    lx_tensor_free(&sums);
    lx_tensor_free(&scratch);
    return code;
}
