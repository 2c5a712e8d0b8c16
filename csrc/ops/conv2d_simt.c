#include "conv2d_simt.h"

#include <math.h>
#include <stdio.h>

#include "../../kernels/simt/convolution.h"
#include "ops.h"
#include "tiles.h"

LX_SIMT_KERNEL(conv2d, conv2d_gemm);
LX_SIMT_KERNEL(conv2d, conv2d_add_parts);
LX_SIMT_KERNEL(conv2d, conv2d_weight_gemm);
LX_SIMT_KERNEL(conv2d, conv2d_weight_depthwise_group);
LX_SIMT_KERNEL(conv2d, conv2d_bias_group);
LX_KERNEL(conv2d, conv2d_reduce);

static const lx_tile tiles[] = {
    {128, 128, 8, 8, 8, 1.0}, {128, 128, 16, 8, 8, 1.0}, {128, 64, 16, 8, 4, 0.85}, {64, 128, 16, 4, 8, 0.85},
    {64, 64, 16, 8, 8, 0.9},  {64, 64, 16, 4, 4, 0.7},   {32, 128, 16, 4, 8, 0.75}, {32, 64, 16, 4, 4, 0.6},
    {32, 32, 16, 4, 4, 0.5},
};

enum {
    TILES = sizeof tiles / sizeof *tiles,
    MOST_WAYS = 2 * TILES,
    PART_LEAST = 64,        /* quads of a part: input blocks times taps */
    CHUNK_LEAST = 256,      /* pixels of a chunk */
    CHUNK_UNIT = 64,        /* of which that is a multiple, and so a multiple of all depths of steps */
    MOST_SUMS = 1 << 23,    /* elements of all parts or chunks together */
    MOST_CHUNKS = 256,
    MOST_GROUPS = 65535,    /* along the second and third dimension: NVIDIA's limit */
    FLOPS_PER_BYTE = 16     /* operations in the time that a byte of sums takes, on common GPUs */
};

/* A way to compute: a tile, and the parts (of input channels) or chunks (of pixels) that the depth is cut into. */
typedef struct {
    const lx_tile *tile;
    long parts;
} way;

/* What is common to both products: columns are pixels of a phase, or columns of the weight. */
typedef struct {
    const lx_device *device;
    long rows, columns, copies; /* copies: groups of channels and phases, each with a product of its own */
    double sums;                /* elements of the result */
    way ways[MOST_WAYS];
    int count, usual;
} plan;

static long ceil_div(long a, long b)
{
    return (a + b - 1) / b;
}

static long least(long a, long b)
{
    return a < b ? a : b;
}

static double groups_of(const plan *p, const lx_tile *t)
{
    return (double)ceil_div(p->rows, t->m) * (double)ceil_div(p->columns, t->n) * (double)p->copies;
}

/* ---- ways ------------------------------------------------------------------------------------------------------ */

/* The time that a way should take, in arithmetic operations for each step of the depth and column: what its tiles hold,
 * longer if there are too few work-items; then to add up the parts. */
static double guess(const plan *p, const way *w, double depth)
{
    const lx_tile *t = w->tile;
    const double held = groups_of(p, t) * t->m * t->n * 2 * depth;
    const double busy = fmin(1, groups_of(p, t) * lx_tile_items(t) * (double)w->parts / (double)p->device->gpu.busy_items);
    const double adding = w->parts > 1 ? p->sums * (double)w->parts * 8 * FLOPS_PER_BYTE : 0;
    return held / lx_tile_speed(p->device, t) / busy + adding;
}

static void add_way(plan *p, const lx_tile *t, long parts, double depth)
{
    p->ways[p->count] = (way){t, parts};
    if (p->count == 0 || guess(p, &p->ways[p->count], depth) < guess(p, &p->ways[p->usual], depth))
        p->usual = p->count;
    p->count++;
}

/* All tiles that are not plainly too large, with the depth whole, and with as many parts as keep the device busy. */
static void find_ways(plan *p, long most_parts, double depth)
{
    for (int i = 0; i < TILES; i++) {
        const lx_tile *t = &tiles[i];
        if (!lx_tile_fits(p->device, t, p->rows, p->columns))
            continue;
        const long wanted = (long)ceil((double)p->device->gpu.busy_items / (groups_of(p, t) * lx_tile_items(t)));
        add_way(p, t, 1, depth);
        if (least(wanted, most_parts) > 1)
            add_way(p, t, least(wanted, most_parts), depth);
    }
}

static void name_way(const way *w, char name[LX_WAY_NAME])
{
    snprintf(name, LX_WAY_NAME, "gemm %dx%dx%d by %dx%d in %ld", w->tile->m, w->tile->n, w->tile->k, w->tile->item_m,
             w->tile->item_n, w->parts);
}

static void write_options(char options[LX_TILE_OPTIONS], const lx_tile *t, const conv2d_geometry *g, bool phases)
{
    const int length = lx_tile_options(t, options);
    snprintf(options + length, (size_t)(LX_TILE_OPTIONS - length), " -DKERNEL_H=%d -DKERNEL_W=%d%s", g->kernel_h,
             g->kernel_w, phases ? " -DPHASES" : "");
}

/* ---- forward and backward-data ---------------------------------------------------------------------------------- */

typedef struct {
    plan plan;
    conv2d_gemm_args args;
    const lx_tensor *x, *packed, *bias;
    lx_tensor *out;
    double work;
} gemm_job;

static void name_gemm(const void *job, int index, char name[LX_WAY_NAME])
{
    name_way(&((const gemm_job *)job)->plan.ways[index], name);
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
                           .relu = args->relu};
    p.sums = args->batch * p.blocks * p.pixels;
    return LX_RUN_GROUPS(k_conv2d_add_parts, NULL, ceil_div(p.sums, CONV2D_SUM_ITEMS), 1, 1, CONV2D_SUM_ITEMS, 1,
                         4 * p.sums * count, p, error, parts, job->bias, job->out);
}

static lx_code run_gemm(void *of, int index, lx_error *error)
{
    const gemm_job *job = of;
    const lx_tile *t = job->plan.ways[index].tile;
    char options[LX_TILE_OPTIONS];
    conv2d_gemm_args args = job->args;
    lx_tensor parts = {0};
    args.part_blocks = (int)ceil_div(args.in_blocks, job->plan.ways[index].parts);
    args.parts = (int)ceil_div(args.in_blocks, args.part_blocks);
    args.tiles = (int)ceil_div(job->plan.columns, t->n);
    const bool cut = args.parts > 1;
    if (cut) {
        const long count = args.parts * (long)(job->plan.sums);
        args.bias = args.relu = 0;
        if (lx_tensor_new(&parts, job->x->storage->device, LX_FLOAT32, 1, &count, error))
            return error->code;
    }
    write_options(options, t, &args.g, args.up_h * args.up_w > 1);
    lx_code code = LX_RUN_GROUPS(k_conv2d_gemm, options, (long)args.tiles * args.up_h * args.up_w,
                                 ceil_div(args.out_blocks * 4L, t->m), (long)args.groups * args.parts, lx_tile_items(t), 1,
                                 job->work, args, error, job->x, job->packed, job->bias, cut ? &parts : job->out);
    if (!code && cut)
        code = add_parts(job, &parts, args.parts, error);
    lx_tensor_free(&parts);
    return code;
}

/* Whether the kernels can count that far: they do so in 32 bits. */
static bool fits(const conv2d_gemm_args *args, lx_error *error)
{
    const double pixels = (double)args->batch * args->g.out_height * args->g.out_width;
    const double reach = (double)args->g.height * args->g.width, most = 1 << 30;
    if (pixels < most && reach < most && (double)args->groups * args->in_blocks < MOST_GROUPS)
        return true;
    lx_fail(error, LX_EARG, "conv2d: %.0f output pixels and %d groups are more than the GPU's kernels count; use a smaller "
                            "batch", pixels, args->groups);
    return false;
}

lx_code lx_conv2d_simt(const char *problem, const conv2d_tile_args *pass, long batch, double work, lx_tensor *out,
                       const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error)
{
    gemm_job job = {.args = {.g = pass->g,
                             .up_h = pass->up_h,
                             .up_w = pass->up_w,
                             .batch = (int)batch,
                             .groups = pass->groups,
                             .out_blocks = pass->out_blocks,
                             .in_blocks = pass->in_blocks,
                             .out_channels = pass->out_channels,
                             .bias = bias != NULL,
                             .relu = pass->relu},
                    .x = x,
                    .packed = packed,
                    .bias = bias,
                    .out = out,
                    .work = work};
    const conv2d_geometry *g = &pass->g;
    if (!fits(&job.args, error))
        return error->code;
    const double depth = 4.0 * pass->in_blocks * g->kernel_h * g->kernel_w / (pass->up_h * pass->up_w);
    job.plan.device = x->storage->device;
    job.plan.rows = pass->out_blocks * 4L;
    job.plan.columns = batch * ceil_div(g->out_height, pass->up_h) * ceil_div(g->out_width, pass->up_w);
    job.plan.copies = (long)pass->groups * pass->up_h * pass->up_w;
    job.plan.sums = (double)batch * pass->groups * pass->out_blocks * 4 * g->out_height * g->out_width;
    find_ways(&job.plan,
              least(least(pass->in_blocks, (long)(MOST_SUMS / job.plan.sums)),
                    (long)pass->in_blocks * g->kernel_h * g->kernel_w / PART_LEAST),
              depth);
    if (job.plan.count == 0)
        return lx_no_tile(job.plan.device, "conv2d", error);
    const lx_choice choice = {.problem = problem,
                              .count = job.plan.count,
                              .usual = job.plan.usual,
                              .job = &job,
                              .name = name_gemm,
                              .run = run_gemm,
                              .result = out->storage,
                              .bytes = out->storage->bytes};
    return lx_choose(x->storage->device, &choice, error);
}

/* ---- gradients of weight and bias ------------------------------------------------------------------------------- */

typedef struct {
    plan plan;
    conv2d_sums_args args;
    conv2d_reduce_args reduce;
    const lx_tensor *x, *dy;
    lx_tensor *gradient;
    double work;
} sums_job;

/* Adds the chunks' sums in order. */
static lx_code add_chunks(const sums_job *job, const lx_tensor *sums, long chunks, lx_error *error)
{
    conv2d_reduce_args args = job->reduce;
    args.chunks = (int)chunks;
    args.chunk_size = job->args.chunk_size;
    return LX_RUN(k_conv2d_reduce, (long)args.in_channels * args.taps, (long)job->args.groups * job->args.out_blocks, 1,
                  chunks * args.chunk_size, args, error, sums, job->gradient);
}

/* Runs a kernel that leaves sums for each chunk, with `tile` or (NULL) a group of work-items for each sum, and adds them. */
static lx_code run_chunks(const sums_job *job, const lx_tile *t, long chunks, lx_error *error)
{
    char options[LX_TILE_OPTIONS];
    lx_tensor sums = {0};
    conv2d_sums_args args = job->args;
    args.chunk_pixels = ceil_div(ceil_div(args.pixels, chunks), CHUNK_UNIT) * CHUNK_UNIT;
    chunks = args.chunk_pixels ? ceil_div(args.pixels, args.chunk_pixels) : 1;
    const long shape[2] = {chunks, args.chunk_size};
    if (lx_tensor_new(&sums, job->dy->storage->device, LX_FLOAT32, 2, shape, error))
        return error->code;
    const long taps = (long)args.g.kernel_h * args.g.kernel_w;
    lx_code code;
    if (t) {
        write_options(options, t, &args.g, false);
        code = LX_RUN_GROUPS(k_conv2d_weight_gemm, options, ceil_div(job->plan.columns, t->n), ceil_div(job->plan.rows, t->m),
                             args.groups * chunks, lx_tile_items(t), 1, job->work, args, error, job->x, job->dy, &sums);
    } else if (job->x) {
        code = LX_RUN_GROUPS(k_conv2d_weight_depthwise_group, NULL, args.out_blocks, taps, chunks, CONV2D_SUM_ITEMS, 1,
                             job->work, args, error, job->x, job->dy, &sums);
    } else {
        code = LX_RUN_GROUPS(k_conv2d_bias_group, NULL, args.out_blocks, chunks, 1, CONV2D_SUM_ITEMS, 1, job->work, args,
                             error, job->dy, &sums);
    }
    if (!code)
        code = add_chunks(job, &sums, chunks, error);
    lx_tensor_free(&sums);
    return code;
}

static lx_code run_weight(void *job, int index, lx_error *error)
{
    const way *w = &((const sums_job *)job)->plan.ways[index];
    return run_chunks(job, w->tile, w->parts, error);
}

static void name_weight(const void *job, int index, char name[LX_WAY_NAME])
{
    name_way(&((const sums_job *)job)->plan.ways[index], name);
}

/* As many chunks as there may be of sums of this size. */
static long most_chunks(const conv2d_sums_args *args)
{
    const long most = least(least(MOST_CHUNKS, MOST_SUMS / args->chunk_size), args->pixels / CHUNK_LEAST);
    return most < 1 ? 1 : most;
}

lx_code lx_conv2d_gradient_simt(const char *problem, const conv2d_weight_args *pass, const conv2d_reduce_args *reduce,
                                bool depthwise, long batch, double work, lx_tensor *gradient, const lx_tensor *x,
                                const lx_tensor *dy, lx_error *error)
{
    const conv2d_geometry *g = &pass->g;
    sums_job job = {.args = {.g = *g,
                             .pixels = batch * g->out_height * g->out_width,
                             .groups = pass->groups,
                             .out_blocks = pass->out_blocks,
                             .in_blocks = pass->in_blocks},
                    .reduce = *reduce,
                    .x = x,
                    .dy = dy,
                    .gradient = gradient,
                    .work = work};
    job.reduce.out_blocks = pass->out_blocks;
    job.args.chunk_size = (long)pass->groups * pass->out_blocks * 4 * reduce->in_blocks * reduce->taps * reduce->inner;
    const long most = most_chunks(&job.args);
    if (depthwise || !x)
        return run_chunks(&job, NULL, most, error);
    job.plan.device = dy->storage->device;
    job.plan.rows = pass->out_blocks * 4L;
    job.plan.columns = (long)pass->in_blocks * g->kernel_h * g->kernel_w * 4;
    job.plan.copies = pass->groups;
    job.plan.sums = (double)job.args.chunk_size;
    find_ways(&job.plan, least(most, MOST_GROUPS / pass->groups), (double)job.args.pixels);
    if (job.plan.count == 0)
        return lx_no_tile(job.plan.device, "conv2d", error);
    const lx_choice choice = {.problem = problem,
                              .count = job.plan.count,
                              .usual = job.plan.usual,
                              .job = &job,
                              .name = name_weight,
                              .run = run_weight,
                              .result = gradient->storage,
                              .bytes = gradient->storage->bytes};
    return lx_choose(dy->storage->device, &choice, error);
}
