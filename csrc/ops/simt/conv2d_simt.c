/* Convolution on GPUs: which kernel of kernels/simt/conv2d.cl suits a problem, and running it. Tensors are blocked, but
 * the input may be plain where it has fewer channels than a block: then weights are packed with one channel in a block.
 */
#include <math.h>
#include <stdio.h>

#include "../../../kernels/conv2d.h"
#include "../../../kernels/simt/convolution.h"
#include "../forms.h"
#include "../ops.h"
#include "tiles.h"
#include "winograd_simt.h"

LX_SIMT_KERNEL(conv2d, conv2d_gemm, 3);
LX_SIMT_KERNEL(conv2d, conv2d_add_parts, 2);
LX_SIMT_KERNEL(conv2d, conv2d_add_chunks, 1);
LX_SIMT_KERNEL(conv2d, conv2d_depthwise_pixels, 3);
LX_SIMT_KERNEL(conv2d, conv2d_weight_gemm, 2);
LX_SIMT_KERNEL(conv2d, conv2d_weight_depthwise_group, 2);
LX_SIMT_KERNEL(conv2d, conv2d_bias_group, 1);
LX_KERNEL(conv2d, conv2d_reduce);

/* Speeds by the share of arithmetic in the inner loop as compiled for NVIDIA, and by the registers that it takes: a
 * guess until tuned. In conv2d_gemm no more columns than work-items. */
static const lx_tile tiles[] = {
    {128, 128, 16, 8, 8, 1.0}, {128, 128, 8, 8, 8, 0.98}, {128, 64, 8, 8, 8, 0.95},  {64, 128, 8, 8, 8, 0.95},
    {64, 64, 16, 8, 8, 0.9},   {128, 64, 16, 8, 4, 0.9},  {64, 128, 16, 4, 8, 0.88}, {64, 64, 16, 4, 4, 0.75},
    {32, 128, 16, 4, 8, 0.8},  {32, 64, 16, 4, 4, 0.65},  {64, 32, 16, 4, 4, 0.65},  {32, 32, 16, 4, 4, 0.55},
    {16, 64, 16, 4, 4, 0.55},
};

enum {
    TILES = sizeof tiles / sizeof *tiles,
    MOST_VARIANTS = 2 * (TILES + LX_WINOGRAD_TILES),
    PART_LEAST = 64,     /* quads of a part: input blocks times taps */
    CHUNK_LEAST = 256,   /* pixels of a chunk */
    CHUNK_UNIT = 64,     /* of which that is a multiple, and so a multiple of all depths of steps */
    SUM_LEAST = 1024,    /* pixels of a chunk, where all that is done with them is to add them up */
    MOST_TAPS = 16,      /* that a work-item adds up at once, where each channel has its own kernel */
    MOST_UNROLLED = 7,   /* width and height of kernels whose loops are */
    MOST_SUMS = 1 << 23, /* elements of all parts or chunks together */
    MOST_CHUNKS = 256,
    FEW_CHUNKS = 4,
    MOST_GROUPS = 65535, /* along the third dimension: NVIDIA's limit */
    FLOPS_PER_BYTE = 16  /* operations in the time that a byte of sums takes, on common GPUs */
};

/* A variant: a tile, and the parts (of input channels) or chunks (of pixels) that the depth is cut into. */
typedef struct {
    const lx_tile *tile;
    long parts;
    bool winograd; /* the tile is one of lx_winograd_tiles */
} variant;

/* What is common to both products: columns are pixels of a phase, or columns of the weight. */
typedef struct {
    const lx_device *device;
    long rows, columns, copies; /* copies: groups of channels and phases, each with a product of its own */
    double sums;                /* elements of the result */
    variant variants[MOST_VARIANTS];
    int count, default_variant;
} candidates;

static double groups_of(const candidates *p, const lx_tile *t)
{
    return (double)lx_ceil_div(p->rows, t->m) * (double)lx_ceil_div(p->columns, t->n) * (double)p->copies;
}

/* ---- variants -------------------------------------------------------------------------------------------------- */

/* The time that a variant should take, in arithmetic operations for each step of the depth and column: what its tiles
 * hold, longer if there are too few work-items; then to add up the parts. */
static double guess(const candidates *p, const variant *w, double depth)
{
    const lx_tile *t = w->tile;
    const double held = groups_of(p, t) * t->m * t->n * 2 * depth;
    const double items = groups_of(p, t) * lx_tile_items(t) * (double)w->parts;
    const double busy = fmin(1, items / (double)p->device->gpu.busy_items);
    const double adding = w->parts > 1 ? p->sums * (double)w->parts * 8 * FLOPS_PER_BYTE : 0;
    return held / lx_tile_speed(p->device, t) / busy + adding;
}

static void add_variant(candidates *p, const lx_tile *t, long parts, double depth)
{
    p->variants[p->count] = (variant){t, parts, false};
    if (p->count == 0 || guess(p, &p->variants[p->count], depth) < guess(p, &p->variants[p->default_variant], depth))
        p->default_variant = p->count;
    p->count++;
}

/* All tiles that are not plainly too large, with the depth whole, and with as many parts as keep the device busy. */
static void find_variants(candidates *p, long most_parts, double depth)
{
    for (int i = 0; i < TILES; i++) {
        const lx_tile *t = &tiles[i];
        if (!lx_tile_fits(p->device, t, p->rows, p->columns))
            continue;
        const long wanted = (long)ceil((double)p->device->gpu.busy_items / (groups_of(p, t) * lx_tile_items(t)));
        add_variant(p, t, 1, depth);
        if (lx_least(wanted, most_parts) > 1)
            add_variant(p, t, lx_least(wanted, most_parts), depth);
    }
}

/* Winograd's variants, where there are any. On which GPUs they are faster is for measurements to say: the default
 * variant is none of them. */
static void add_winograd_variants(candidates *p, const conv2d_gemm_args *args, const lx_tensor *x, long most_parts)
{
    for (int i = 0; i < LX_WINOGRAD_TILES && !p->device->exact; i++) {
        const lx_tile *t = &lx_winograd_tiles[i];
        if (!lx_winograd_simt_fits(t, args, x))
            continue;
        const double items = lx_winograd_groups(t, args) * lx_winograd_items(t);
        const long parts = lx_least((long)ceil((double)p->device->gpu.busy_items / items), most_parts);
        p->variants[p->count++] = (variant){t, 1, true};
        if (parts > 1)
            p->variants[p->count++] = (variant){t, parts, true};
    }
}

static void name_variant(const variant *w, char name[LX_VARIANT_NAME])
{
    snprintf(name, LX_VARIANT_NAME, "%s %dx%dx%d by %dx%d in %ld", w->winograd ? "winograd 2x2" : "gemm", w->tile->m,
             w->tile->n, w->tile->k, w->tile->item_m, w->tile->item_n, w->parts);
}

/* Whether the kernels can count that far, in 32 bits: pixels, vectors of tensors, and what divides by reciprocals. */
static lx_code check_counts(double pixels, double vectors, double units, int groups, lx_error *error)
{
    if (pixels < 1 << 30 && vectors < 1 << 30 && units < 1 << 30 && groups <= MOST_GROUPS)
        return LX_OK;
    return lx_fail(error, LX_EARG,
                   "conv2d: %.0f pixels, %.0f MiB in a tensor or %d groups of channels are more than "
                   "the GPU's kernels count; use a smaller batch or fewer channels",
                   pixels, vectors / 65536, groups);
}

static double most_of(double a, double b, double c)
{
    return fmax(a, fmax(b, c));
}

/* Strides of a blocked input, in pixels of a block. */
#define BLOCKED_STRIDES(g, blocks) (g)->height *(g)->width *(blocks), (g)->height *(g)->width, (g)->width

/* ---- forward and backward-data --------------------------------------------------------------------------------- */

typedef struct {
    candidates found;
    conv2d_gemm_args args;
    const lx_tensor *x, *packed, *bias;
    lx_tensor *out;
    double work;
} gemm_job;

static void name_gemm(const void *job, int index, char name[LX_VARIANT_NAME])
{
    name_variant(&((const gemm_job *)job)->found.variants[index], name);
}

/* The sum of the parts, with bias and ReLU. */
static lx_code add_parts(const gemm_job *job, const lx_tensor *parts, int count, lx_error *error)
{
    const conv2d_gemm_args *args = &job->args;
    conv2d_parts_args p = {.pixels = (long)args->g.out_height * args->g.out_width,
                           .parts = count,
                           .blocks = args->groups * args->out_blocks,
                           .out_channels = args->out_channels,
                           .bias = args->bias,
                           .activation = args->activation};
    p.sums = args->batch * p.blocks * p.pixels;
    return LX_RUN_GROUPS(k_conv2d_add_parts, NULL, lx_ceil_div(p.sums, CONV2D_SUM_ITEMS), 1, 1, CONV2D_SUM_ITEMS, 1,
                         4 * p.sums * count, p, error, parts, job->bias, job->out);
}

/* Output pixels of a dimension that meet the same taps are a phase. */
static long phases_of(const conv2d_gemm_args *args)
{
    return lx_least(args->up_h, args->g.out_height) * lx_least(args->up_w, args->g.out_width);
}

/* Pixels of the largest phase. */
static long phase_pixels(const conv2d_gemm_args *args)
{
    return args->batch * lx_ceil_div(args->g.out_height, args->up_h) * lx_ceil_div(args->g.out_width, args->up_w);
}

static lx_code launch_gemm(const gemm_job *job, const lx_tile *t, conv2d_gemm_args args, lx_tensor *out,
                           lx_error *error)
{
    lx_build_options options = lx_tile_options(t);
    options.thin = !job->x->block;
    options.phases = phases_of(&args) > 1;
    args.tiles = (int)lx_ceil_div(job->found.columns, t->n);
    const long groups = lx_ceil_div(args.out_blocks * 4L, t->m) * args.tiles * phases_of(&args);
    return LX_RUN_GROUPS(k_conv2d_gemm, &options, groups, args.parts, args.groups, lx_tile_items(t), 1, job->work, args,
                         error, job->x, job->packed, job->bias, out);
}

static lx_code run_gemm(void *of, int index, lx_error *error)
{
    const gemm_job *job = of;
    const variant *w = &job->found.variants[index];
    conv2d_gemm_args args = job->args;
    lx_tensor parts = {0};
    args.part_blocks = (int)lx_ceil_div(args.in_blocks, w->parts);
    args.parts = (int)lx_ceil_div(args.in_blocks, args.part_blocks);
    const bool cut = args.parts > 1;
    if (cut) {
        const long count = args.parts * (long)(job->found.sums);
        args.bias = 0;
        args.activation = ACTIVATION_none;
        if (lx_tensor_new(&parts, job->x->storage->device, LX_FLOAT32, 1, &count, error))
            return error->code;
    }
    lx_tensor *out = cut ? &parts : job->out;
    lx_code code = w->winograd ? lx_winograd_simt(w->tile, &args, job->work, out, job->x, job->packed, job->bias, error)
                               : launch_gemm(job, w->tile, args, out, error);
    if (!code && cut)
        code = add_parts(job, &parts, args.parts, error);
    lx_tensor_free(&parts);
    return code;
}

static lx_code run_depthwise(const gemm_job *job, lx_error *error)
{
    conv2d_gemm_args args = job->args;
    const conv2d_geometry *g = &args.g;
    lx_build_options options = {.phases = phases_of(&args) > 1};
    if (!options.phases && g->kernel_h <= MOST_UNROLLED && g->kernel_w <= MOST_UNROLLED) {
        options.kernel_h = g->kernel_h;
        options.kernel_w = g->kernel_w;
    }
    args.tiles = (int)lx_ceil_div(phase_pixels(&args) * args.out_blocks, CONV2D_SUM_ITEMS);
    return LX_RUN_GROUPS(k_conv2d_depthwise_pixels, &options, args.tiles * phases_of(&args), 1, 1, CONV2D_SUM_ITEMS, 1,
                         job->work, args, error, job->x, job->packed, job->bias, job->out);
}

/* The arguments of the kernels, from those of the tile form. */
static lx_code gemm_args(conv2d_gemm_args *args, const lx_convolution *c, const conv2d_tile_args *pass,
                         const lx_tensor *x, bool bias, lx_error *error)
{
    const conv2d_geometry *g = &pass->g;
    const long batch = c->batch;
    const double pixels = (double)batch * g->out_height * g->out_width, taps = (double)g->kernel_h * g->kernel_w;
    const double outs = (double)pass->groups * pass->out_blocks;
    const double ins = c->depthwise ? outs : (double)pass->groups * pass->in_blocks;
    const double read = x->block ? (double)batch * ins * g->height * g->width
                                 : (double)batch * (double)pass->x_image + ins * (double)pass->x_block;
    const double weights = 4 * outs * pass->in_blocks * taps, units = pass->in_blocks * taps;
    if (check_counts(pixels, most_of(read, pixels * outs, weights), units * taps / 4, pass->groups, error))
        return error->code;
    *args = (conv2d_gemm_args){BLOCKED_STRIDES(g, (int)ins),
                               .g = *g,
                               .up_h = pass->up_h,
                               .up_w = pass->up_w,
                               .batch = (int)batch,
                               .groups = pass->groups,
                               .out_blocks = pass->out_blocks,
                               .in_blocks = pass->in_blocks,
                               .out_channels = pass->out_channels,
                               .bias = bias,
                               .activation = pass->activation};
    if (!x->block) {
        args->x_image = (int)pass->x_image;
        args->x_block = (int)pass->x_block;
        args->x_row = (int)pass->x_row;
    }
    return LX_OK;
}

static lx_code convolve(const lx_convolution *c, const char *problem, const conv2d_tile_args *pass, lx_tensor *out,
                        const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error)
{
    gemm_job job = {.x = x, .packed = packed, .bias = bias, .out = out, .work = lx_conv2d_work(c)};
    if (gemm_args(&job.args, c, pass, x, bias != NULL, error))
        return error->code;
    if (c->batch == 0)
        return LX_OK;
    if (c->depthwise)
        return run_depthwise(&job, error);
    const long cells = (long)pass->in_blocks * pass->g.kernel_h * pass->g.kernel_w;
    job.found.device = x->storage->device;
    job.found.rows = pass->out_blocks * 4L;
    job.found.columns = phase_pixels(&job.args);
    job.found.copies = pass->groups * phases_of(&job.args);
    job.found.sums = (double)c->batch * pass->groups * pass->out_blocks * 4 * pass->g.out_height * pass->g.out_width;
    const long most_parts = lx_least(lx_least(pass->in_blocks, (long)(MOST_SUMS / job.found.sums)), cells / PART_LEAST);
    find_variants(&job.found, most_parts, (x->block ? 4.0 : 1.0) * (double)cells / (pass->up_h * pass->up_w));
    if (job.found.count == 0)
        return lx_no_tile(job.found.device, "conv2d", error);
    add_winograd_variants(&job.found, &job.args, x, most_parts);
    const lx_choice choice = {.problem = problem,
                              .count = job.found.count,
                              .default_variant = job.found.default_variant,
                              .job = &job,
                              .name = name_gemm,
                              .run = run_gemm,
                              .result = out->storage,
                              .bytes = out->storage->bytes};
    return lx_choose(x->storage->device, &choice, error);
}

/* ---- gradients of weight and bias ------------------------------------------------------------------------------ */

typedef struct {
    candidates found;
    conv2d_sums_args args;
    conv2d_reduce_args reduce;
    const lx_tensor *x, *dy;
    lx_tensor *gradient;
    double work;
} sums_job;

/* Adds the chunks' sums up to one, if there are many: conv2d_reduce has too few work-items to do that fast. */
static lx_code join_chunks(const sums_job *job, lx_tensor *sums, long *chunks, lx_error *error)
{
    lx_tensor joined = {0};
    const conv2d_parts_args p = {.sums = job->args.chunk_size / 4, .parts = (int)*chunks};
    if (*chunks <= FEW_CHUNKS)
        return LX_OK;
    if (lx_tensor_new(&joined, sums->storage->device, LX_FLOAT32, 1, &job->args.chunk_size, error))
        return error->code;
    lx_code code = LX_RUN_GROUPS(k_conv2d_add_chunks, NULL, lx_ceil_div(p.sums, CONV2D_CHUNK_CELLS), 1, 1,
                                 CONV2D_SUM_ITEMS, 1, job->args.chunk_size * *chunks, p, error, sums, &joined);
    lx_tensor_free(code ? &joined : sums);
    if (code)
        return code;
    *sums = joined;
    *chunks = 1;
    return LX_OK;
}

/* Writes the sum of the chunks where the gradient has it. */
static lx_code add_chunks(const sums_job *job, lx_tensor *sums, long chunks, lx_error *error)
{
    if (join_chunks(job, sums, &chunks, error))
        return error->code;
    conv2d_reduce_args args = job->reduce;
    args.chunks = (int)chunks;
    args.chunk_size = job->args.chunk_size;
    const long blocks = (long)job->args.groups * job->args.out_blocks;
    return LX_RUN(k_conv2d_reduce, lx_ceil_div(args.in_channels, sums->storage->device->lanes) * args.taps, blocks, 1,
                  chunks * args.chunk_size, args, error, sums, job->gradient);
}

static lx_code launch_sums(const sums_job *job, const conv2d_sums_args *args, const lx_tile *t, long chunks,
                           const lx_tensor *sums, lx_error *error)
{
    const conv2d_geometry *g = &args->g;
    if (t) {
        lx_build_options options = lx_tile_options(t);
        options.thin = !job->x->block;
        return LX_RUN_GROUPS(k_conv2d_weight_gemm, &options,
                             lx_ceil_div(job->found.rows, t->m) * lx_ceil_div(job->found.columns, t->n), chunks,
                             args->groups, lx_tile_items(t), 1, job->work, *args, error, job->x, job->dy, sums);
    }
    if (!job->x)
        return LX_RUN_GROUPS(k_conv2d_bias_group, NULL, args->out_blocks, chunks, 1, CONV2D_SUM_ITEMS, 1, job->work,
                             *args, error, job->dy, sums);
    const long taps = (long)g->kernel_h * g->kernel_w, at_once = lx_ceil_div(taps, lx_ceil_div(taps, MOST_TAPS));
    const lx_build_options options = {.taps = (int)at_once, .kernel_h = g->kernel_h, .kernel_w = g->kernel_w};
    const long groups = args->out_blocks * lx_ceil_div(taps, at_once);
    return LX_RUN_GROUPS(k_conv2d_weight_depthwise_group, &options, groups, chunks, 1, CONV2D_SUM_ITEMS, 1, job->work,
                         *args, error, job->x, job->dy, sums);
}

/* Runs a kernel that leaves sums for each chunk, with `tile` or (NULL) a group of work-items for each sum, and adds
 * them. */
static lx_code run_chunks(const sums_job *job, const lx_tile *t, long chunks, lx_error *error)
{
    lx_tensor sums = {0};
    conv2d_sums_args args = job->args;
    args.chunk_pixels = lx_ceil_div(lx_ceil_div(args.pixels, chunks), CHUNK_UNIT) * CHUNK_UNIT;
    chunks = args.chunk_pixels ? lx_ceil_div(args.pixels, args.chunk_pixels) : 1;
    const long shape[2] = {chunks, args.chunk_size};
    if (lx_tensor_new(&sums, job->dy->storage->device, LX_FLOAT32, 2, shape, error))
        return error->code;
    lx_code code = launch_sums(job, &args, t, chunks, &sums, error);
    if (!code)
        code = add_chunks(job, &sums, chunks, error);
    lx_tensor_free(&sums);
    return code;
}

static lx_code run_weight(void *job, int index, lx_error *error)
{
    const variant *w = &((const sums_job *)job)->found.variants[index];
    return run_chunks(job, w->tile, w->parts, error);
}

static void name_weight(const void *job, int index, char name[LX_VARIANT_NAME])
{
    name_variant(&((const sums_job *)job)->found.variants[index], name);
}

/* As many chunks as there may be of sums of this size, each of `pixels` or more. */
static long most_chunks(const conv2d_sums_args *args, long pixels)
{
    const long most = lx_least(lx_least(MOST_CHUNKS, MOST_SUMS / args->chunk_size), args->pixels / pixels);
    return most < 1 ? 1 : most;
}

/* As many as keep the device busy, where a group adds up the pixels of each chunk. */
static long busy_chunks(const conv2d_sums_args *args, const lx_device *device)
{
    const long wanted = lx_ceil_div(device->gpu.busy_items, (long)args->out_blocks * CONV2D_SUM_ITEMS);
    return lx_least(most_chunks(args, SUM_LEAST), wanted < 1 ? 1 : wanted);
}

/* The arguments of the kernels, from those of the tile form; x is NULL for the gradient of the bias. */
static lx_code sums_args(conv2d_sums_args *args, const lx_conv2d_gradient *of, lx_error *error)
{
    const conv2d_weight_args *pass = &of->args;
    const conv2d_reduce_args *reduce = &of->reduce;
    const conv2d_geometry *g = &pass->g;
    const lx_tensor *x = of->x;
    const long batch = of->dy->shape[0];
    const bool thin = x && !x->block;
    const int in_blocks = thin ? (int)x->shape[1] : pass->in_blocks;
    const double pixels = (double)batch * g->out_height * g->out_width;
    const double outs = (double)pass->groups * pass->out_blocks;
    const double ins = of->kind == LX_GRADIENT_DEPTHWISE ? outs : (double)pass->groups * in_blocks;
    const double read = !x     ? 0
                        : thin ? (double)batch * (double)pass->x_image + ins * (double)pass->x_channel
                               : (double)batch * ins * g->height * g->width;
    args->chunk_size = (long)pass->groups * pass->out_blocks * 4 * reduce->in_blocks * reduce->taps * reduce->inner;
    if (check_counts(pixels, most_of(read, pixels * outs, (double)args->chunk_size / 4), 0, pass->groups, error))
        return error->code;
    *args = (conv2d_sums_args){BLOCKED_STRIDES(g, (int)ins), .g = *g,
                               .pixels = (long)pixels,       .chunk_size = args->chunk_size,
                               .groups = pass->groups,       .out_blocks = pass->out_blocks,
                               .in_blocks = in_blocks};
    if (thin) {
        args->x_image = (int)pass->x_image;
        args->x_block = (int)pass->x_channel;
        args->x_row = (int)pass->x_row;
    }
    return LX_OK;
}

static lx_code find_gradient(const lx_conv2d_gradient *of, lx_error *error)
{
    const conv2d_weight_args *pass = &of->args;
    const conv2d_reduce_args *reduce = &of->reduce;
    lx_tensor *gradient = of->gradient;
    sums_job job = {.reduce = *reduce, .x = of->x, .dy = of->dy, .gradient = gradient, .work = of->work};
    const lx_device *device = of->dy->storage->device;
    if (sums_args(&job.args, of, error))
        return error->code;
    job.reduce.out_blocks = pass->out_blocks;
    if (of->kind == LX_GRADIENT_DEPTHWISE || of->kind == LX_GRADIENT_BIAS)
        return run_chunks(&job, NULL, busy_chunks(&job.args, device), error);
    job.found.device = device;
    job.found.rows = pass->out_blocks * 4L;
    job.found.columns = (long)reduce->in_blocks * reduce->taps * reduce->inner;
    job.found.copies = pass->groups;
    job.found.sums = (double)job.args.chunk_size;
    find_variants(&job.found, most_chunks(&job.args, CHUNK_LEAST), (double)job.args.pixels);
    if (job.found.count == 0)
        return lx_no_tile(job.found.device, "conv2d", error);
    const lx_choice choice = {.problem = of->problem,
                              .count = job.found.count,
                              .default_variant = job.found.default_variant,
                              .job = &job,
                              .name = name_weight,
                              .run = run_weight,
                              .result = gradient->storage,
                              .bytes = gradient->storage->bytes};
    return lx_choose(of->dy->storage->device, &choice, error);
}

/* ---- with ReLU and max-pooling: always in turn ------------------------------------------------------------------- */

static lx_code pool(const lx_convolution *c, lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w,
                    const lx_tensor *b, const lx_conv2d_options *options, lx_error *error)
{
    (void)c;
    return lx_conv2d_pool_in_turn(out, codes, x, w, b, options, error);
}

const lx_conv2d_ops lx_conv2d_simt = {
    .thin_by_channel = true,
    .convolve = convolve,
    .gradient = find_gradient,
    .pool = pool,
    .unpool_data = lx_conv2d_unpool_data,
    .unpool_weight = lx_conv2d_unpool_weight,
    .unpool_bias = lx_conv2d_unpool_bias,
};
