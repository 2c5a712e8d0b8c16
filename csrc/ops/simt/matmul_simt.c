/* Matrix products on GPUs: which tile suits a shape, and running it. */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "../../../kernels/activation.h"
#include "../forms.h"
#include "../ops.h"
#include "tiles.h"

LX_SIMT_KERNEL(matmul, matmul_tiles, 3);
LX_SIMT_KERNEL(matmul, matmul_vectors, 3);

static const lx_tile tiles[] = {
    {128, 128, 8, 8, 8, 1.0}, {128, 128, 16, 8, 8, 1.0}, {128, 64, 16, 8, 4, 0.85}, {64, 128, 16, 4, 8, 0.85},
    {64, 64, 16, 4, 4, 0.7},  {64, 64, 16, 8, 4, 0.75},  {32, 128, 16, 4, 8, 0.75}, {128, 32, 16, 8, 4, 0.75},
    {32, 64, 32, 4, 4, 0.6},  {64, 32, 32, 4, 4, 0.6},   {32, 32, 32, 4, 4, 0.5},
};

/* Work-items that share a line where there are few rows or columns. */
static const int slices[] = {8, 32, 256};

enum {
    TILES = sizeof tiles / sizeof *tiles,
    SLICES = sizeof slices / sizeof *slices,
    MOST_VARIANTS = 2 * (TILES + SLICES),
    MOST_VECTORS = 4,   /* rows or columns that count as few */
    CHUNK_LEAST = 128,  /* depth of a chunk */
    CHUNK_UNIT = 64,    /* of which that is a multiple, and so a multiple of all depths of steps */
    COALESCED = 32,     /* neighbours in memory that are best read by neighbouring work-items */
    FLOPS_PER_BYTE = 32 /* arithmetic operations in the time that a byte takes, on common GPUs */
};

/* A variant of the product: a tile, or a number of slices, and the chunks that the depth is cut into. */
typedef struct {
    const lx_tile *tile; /* NULL: slices */
    int slices;
    long chunks;
} variant;

typedef struct {
    lx_product product;
    const lx_tensor *a, *b;
    lx_tensor *y;
    bool a_deep, b_deep; /* as the kernel has them */
    int a_wide, b_wide;
    variant variants[MOST_VARIANTS];
    int count;
} job;

/* ---- variants -------------------------------------------------------------------------------------------------- */

static bool few_rows(const matmul_args *args)
{
    return args->rows <= args->columns;
}

/* Work-items that have something to do while the depth is not cut. */
static double items_of(const job *j, const variant *w)
{
    const matmul_args *args = &j->product.args;
    const double batch = (double)j->product.batch;
    if (!w->tile)
        return batch * (double)(few_rows(args) ? args->columns : args->rows) * w->slices;
    return batch * (double)lx_ceil_div(args->rows, w->tile->m) * (double)lx_ceil_div(args->columns, w->tile->n) *
           lx_tile_items(w->tile);
}

/* Neighbours in memory that neighbouring work-items of a variant by slices read. */
static int neighbours(const job *j, const variant *w)
{
    const bool deep = few_rows(&j->product.args) ? j->b_deep : j->a_deep;
    return deep ? w->slices : MATMUL_VECTOR_ITEMS / w->slices;
}

/* The time that a variant should take, in arithmetic operations: to compute what its tiles hold, though not faster
 * than memory brings it, and longer if there are too few work-items; then to add up the chunks. */
static double guess(const job *j, const variant *w)
{
    const matmul_args *args = &j->product.args;
    const double batch = (double)j->product.batch, rows = (double)args->rows, columns = (double)args->columns;
    const lx_device *device = j->a->storage->device;
    const double depth = (double)args->depth;
    const double busy = fmin(1, items_of(j, w) * (double)w->chunks / (double)device->gpu.busy_items);
    double time = 4 * batch * depth * (rows + columns) * FLOPS_PER_BYTE;
    if (w->tile) {
        const double m = (double)lx_ceil_div(args->rows, w->tile->m) * w->tile->m;
        const double n = (double)lx_ceil_div(args->columns, w->tile->n) * w->tile->n;
        time = fmax(time, 2 * batch * depth * m * n / lx_tile_speed(device, w->tile));
    } else {
        time *= fmax(1, (double)COALESCED / neighbours(j, w));
    }
    const double sums = w->chunks > 1 ? 8 * batch * rows * columns * (double)w->chunks * FLOPS_PER_BYTE : 0;
    return time / busy + sums;
}

/* Adds a variant with the depth whole, and one with as many chunks as keep the device busy. */
static void add_variant(job *j, variant w)
{
    const long depth = w.tile ? CHUNK_LEAST : w.slices * 8L > CHUNK_LEAST ? w.slices * 8L : CHUNK_LEAST;
    const long wanted = (long)ceil((double)j->a->storage->device->gpu.busy_items / items_of(j, &w));
    w.chunks = 1;
    j->variants[j->count++] = w;
    w.chunks = lx_least(wanted, j->product.args.depth / depth);
    if (w.chunks > 1)
        j->variants[j->count++] = w;
}

/* All variants that are not plainly too large for the result. */
static void find_variants(job *j)
{
    const matmul_args *args = &j->product.args;
    if (lx_least(args->rows, args->columns) <= MOST_VECTORS)
        for (int i = 0; i < SLICES; i++)
            add_variant(j, (variant){NULL, slices[i], 1});
    for (int i = 0; i < TILES; i++)
        if (lx_tile_fits(j->a->storage->device, &tiles[i], args->rows, args->columns))
            add_variant(j, (variant){&tiles[i], 0, 1});
}

static int likely_best(const job *j)
{
    int best = 0;
    for (int i = 1; i < j->count; i++)
        if (guess(j, &j->variants[i]) < guess(j, &j->variants[best]))
            best = i;
    return best;
}

static void name_variant(const void *of, int index, char name[LX_VARIANT_NAME])
{
    const variant *w = &((const job *)of)->variants[index];
    if (w->tile)
        snprintf(name, LX_VARIANT_NAME, "%dx%dx%d by %dx%d in %ld", w->tile->m, w->tile->n, w->tile->k, w->tile->item_m,
                 w->tile->item_n, w->chunks);
    else
        snprintf(name, LX_VARIANT_NAME, "%d slices in %ld", w->slices, w->chunks);
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static lx_code run_tiles(const job *j, const lx_tile *t, const lx_product *product, const lx_tensor *to,
                         lx_error *error)
{
    const matmul_args *args = &product->args;
    const long groups = lx_ceil_div(args->rows, t->m) * lx_ceil_div(args->columns, t->n) * args->chunks *
                        product->batch;
    lx_build_options options = lx_tile_options(t);
    options.a_deep = j->a_deep;
    options.b_deep = j->b_deep;
    options.a_wide = j->a_wide;
    options.b_wide = j->b_wide;
    return LX_RUN_GROUPS(k_matmul_tiles, &options, groups, 1, 1, lx_tile_items(t), 1, lx_product_work(product), *args,
                         error, j->a, j->b, product->bias, to);
}

static lx_code run_vectors(const job *j, int share, const lx_product *product, const lx_tensor *to, lx_error *error)
{
    const matmul_args *args = &product->args;
    const bool few = few_rows(args);
    const long lines = few ? args->columns : args->rows, vectors = few ? args->rows : args->columns;
    const long groups = lx_ceil_div(lines, MATMUL_VECTOR_ITEMS / share) * args->chunks * product->batch;
    const lx_build_options options = {
        .vectors = (int)vectors, .slices = share, .lines_deep = few ? j->b_deep : j->a_deep, .few_rows = few};
    return LX_RUN_GROUPS(k_matmul_vectors, &options, groups, 1, 1, MATMUL_VECTOR_ITEMS, 1, lx_product_work(product),
                         *args, error, j->a, j->b, product->bias, to);
}

static lx_code run_variant(void *of, int index, lx_error *error)
{
    const job *j = of;
    const variant *w = &j->variants[index];
    lx_tensor parts = {0};
    lx_product product = j->product;
    matmul_args *args = &product.args;
    args->chunk_depth = lx_ceil_div(lx_ceil_div(args->depth, w->chunks), CHUNK_UNIT) * CHUNK_UNIT;
    args->chunks = lx_ceil_div(args->depth, args->chunk_depth);
    const bool cut = args->chunks > 1;
    const long count = product.batch * args->chunks * args->rows * args->columns;
    if (cut && lx_tensor_new(&parts, j->a->storage->device, LX_FLOAT32, 1, &count, error))
        return error->code;
    args->bias = !cut && j->product.args.bias;
    args->activation = cut ? ACTIVATION_none : j->product.args.activation;
    const lx_tensor *to = cut ? &parts : j->y;
    if (w->tile)
        run_tiles(j, w->tile, &product, to, error);
    else
        run_vectors(j, w->slices, &product, to, error);
    args->bias = j->product.args.bias;
    args->activation = j->product.args.activation;
    if (!error->code && cut)
        lx_matmul_finish(&product, &parts, j->y, error);
    lx_tensor_free(&parts);
    return error->code;
}

/* ---- what the operands are like ------------------------------------------------------------------------------- */

/* Whether neighbours in memory follow each other along the depth rather than along the lines. */
static bool is_deep(long line_stride, long depth_stride)
{
    return line_stride != 1 && (depth_stride == 1 || depth_stride < line_stride);
}

/* 4 if neighbours can be read as vectors of four, else 1. */
static int width_of(const lx_tensor *tensor, bool deep, long lines, long depth, long line_stride, long depth_stride,
                    long batch_stride)
{
    const bool side_by_side = (deep ? depth_stride : line_stride) == 1;
    const bool whole = (deep ? depth : lines) % 4 == 0;
    const bool aligned = ((deep ? line_stride : depth_stride) | batch_stride | tensor->offset) % 4 == 0;
    return side_by_side && whole && aligned ? 4 : 1;
}

/* Whether the kernels can count that far. */
static bool can_count(const lx_product *product)
{
    const matmul_args *args = &product->args;
    const long tiles_most = args->rows * args->columns / (LX_LEAST_TILE * LX_LEAST_TILE) * product->batch;
    const long numbers[] = {args->rows,    args->columns, args->depth,    args->a_row,
                            args->a_depth, args->b_depth, args->b_column, tiles_most};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] < 0 || numbers[i] > INT_MAX / 2)
            return false;
    return true;
}

lx_code lx_multiply_simt(const lx_product *product, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                         lx_error *error)
{
    char problem[LX_PROBLEM_TEXT];
    const matmul_args *args = &product->args;
    if (!can_count(product))
        return lx_multiply_tile(product, a, b, y, error);
    job j = {.product = *product, .a = a, .b = b, .y = y};
    j.a_deep = is_deep(args->a_row, args->a_depth);
    j.b_deep = is_deep(args->b_column, args->b_depth);
    j.a_wide = width_of(a, j.a_deep, args->rows, args->depth, args->a_row, args->a_depth, args->a_batch);
    j.b_wide = width_of(b, j.b_deep, args->columns, args->depth, args->b_column, args->b_depth, args->b_batch);
    find_variants(&j);
    if (j.count == 0)
        return lx_no_tile(a->storage->device, "matmul", error);
    snprintf(problem, sizeof problem, "matmul [%ld,%ld,%ld] x [%ld,%ld]%s%s%s%s", product->batch, args->rows,
             args->depth, args->depth, args->columns, j.a_deep ? "" : ", left turned", j.b_deep ? ", right turned" : "",
             j.a_wide == 1 ? ", left uneven" : "", j.b_wide == 1 ? ", right uneven" : "");
    const size_t bytes = (size_t)(product->batch * args->rows * args->columns) * sizeof(float);
    const lx_choice choice = {.problem = problem,
                              .count = j.count,
                              .default_variant = likely_best(&j),
                              .job = &j,
                              .name = name_variant,
                              .run = run_variant,
                              .result = y->storage,
                              .offset = (size_t)y->offset * sizeof(float),
                              .bytes = bytes};
    return lx_choose(a->storage->device, &choice, error);
}
