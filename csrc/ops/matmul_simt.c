#include "matmul_simt.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "../../kernels/activation.h"
#include "ops.h"
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
    MOST_WAYS = 2 * (TILES + SLICES),
    MOST_VECTORS = 4,       /* rows or columns that count as few */
    VECTOR_ITEMS = 256,     /* as in kernels/simt/matmul.cl */
    CHUNK_LEAST = 128,      /* depth of a chunk */
    CHUNK_UNIT = 64,        /* of which that is a multiple, and so a multiple of all depths of steps */
    COALESCED = 32,         /* neighbours in memory that are best read by neighbouring work-items */
    FLOPS_PER_BYTE = 32     /* arithmetic operations in the time that a byte takes, on common GPUs */
};

/* A way to compute the product: a tile, or a number of slices, and the chunks that the depth is cut into. */
typedef struct {
    const lx_tile *tile; /* NULL: slices */
    int slices;
    long chunks;
} way;

typedef struct {
    lx_product product;
    const lx_tensor *a, *b;
    lx_tensor *y;
    int a_deep, b_deep, a_wide, b_wide; /* as the kernel has them */
    way ways[MOST_WAYS];
    int count;
} job;

/* ---- ways ------------------------------------------------------------------------------------------------------ */

static bool few_rows(const matmul_args *args)
{
    return args->rows <= args->columns;
}

/* Work-items that have something to do while the depth is not cut. */
static double items_of(const job *j, const way *w)
{
    const matmul_args *args = &j->product.args;
    const double batch = (double)j->product.batch;
    if (!w->tile)
        return batch * (double)(few_rows(args) ? args->columns : args->rows) * w->slices;
    return batch * (double)lx_ceil_div(args->rows, w->tile->m) * (double)lx_ceil_div(args->columns, w->tile->n) *
           lx_tile_items(w->tile);
}

/* Neighbours in memory that neighbouring work-items of a way with slices read. */
static int neighbours(const job *j, const way *w)
{
    const bool deep = few_rows(&j->product.args) ? j->b_deep : j->a_deep;
    return deep ? w->slices : VECTOR_ITEMS / w->slices;
}

/* The time that a way should take, in arithmetic operations: to compute what its tiles hold, though not faster
 * than memory brings it, and longer if there are too few work-items; then to add up the chunks. */
static double guess(const job *j, const way *w)
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

/* Adds a way with the depth whole, and one with as many chunks as keep the device busy. */
static void add_way(job *j, way w)
{
    const long depth = w.tile ? CHUNK_LEAST : w.slices * 8L > CHUNK_LEAST ? w.slices * 8L : CHUNK_LEAST;
    const long wanted = (long)ceil((double)j->a->storage->device->gpu.busy_items / items_of(j, &w));
    w.chunks = 1;
    j->ways[j->count++] = w;
    w.chunks = lx_least(wanted, j->product.args.depth / depth);
    if (w.chunks > 1)
        j->ways[j->count++] = w;
}

/* All ways that are not plainly too large for the result. */
static void find_ways(job *j)
{
    const matmul_args *args = &j->product.args;
    if (lx_least(args->rows, args->columns) <= MOST_VECTORS)
        for (int i = 0; i < SLICES; i++)
            add_way(j, (way){NULL, slices[i], 1});
    for (int i = 0; i < TILES; i++)
        if (lx_tile_fits(j->a->storage->device, &tiles[i], args->rows, args->columns))
            add_way(j, (way){&tiles[i], 0, 1});
}

static int likely_best(const job *j)
{
    int best = 0;
    for (int i = 1; i < j->count; i++)
        if (guess(j, &j->ways[i]) < guess(j, &j->ways[best]))
            best = i;
    return best;
}

static void name_way(const void *of, int index, char name[LX_WAY_NAME])
{
    const way *w = &((const job *)of)->ways[index];
    if (w->tile)
        snprintf(name, LX_WAY_NAME, "%dx%dx%d by %dx%d in %ld", w->tile->m, w->tile->n, w->tile->k, w->tile->item_m,
                 w->tile->item_n, w->chunks);
    else
        snprintf(name, LX_WAY_NAME, "%d slices in %ld", w->slices, w->chunks);
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static double work_of(const lx_product *product)
{
    const matmul_args *args = &product->args;
    return 2.0 * (double)product->batch * (double)args->rows * (double)args->columns * (double)args->depth;
}

static lx_code run_tiles(const job *j, const lx_tile *t, const lx_product *product, const lx_tensor *to,
                         lx_error *error)
{
    char options[LX_TILE_OPTIONS];
    const matmul_args *args = &product->args;
    const long groups = lx_ceil_div(args->rows, t->m) * lx_ceil_div(args->columns, t->n) * args->chunks * product->batch;
    const int length = lx_tile_options(t, options);
    snprintf(options + length, sizeof options - (size_t)length, " -DA_DEEP=%d -DB_DEEP=%d -DA_WIDE=%d -DB_WIDE=%d",
             j->a_deep, j->b_deep, j->a_wide, j->b_wide);
    return LX_RUN_GROUPS(k_matmul_tiles, options, groups, 1, 1, lx_tile_items(t), 1,
                         work_of(product), *args, error, j->a, j->b, product->bias, to);
}

static lx_code run_vectors(const job *j, int share, const lx_product *product, const lx_tensor *to, lx_error *error)
{
    char options[96];
    const matmul_args *args = &product->args;
    const bool few = few_rows(args);
    const long lines = few ? args->columns : args->rows, vectors = few ? args->rows : args->columns;
    const long groups = lx_ceil_div(lines, VECTOR_ITEMS / share) * args->chunks * product->batch;
    snprintf(options, sizeof options, "-DVECTORS=%ld -DSLICES=%d -DLINES_DEEP=%d -DFEW_ROWS=%d", vectors, share,
             few ? j->b_deep : j->a_deep, few);
    return LX_RUN_GROUPS(k_matmul_vectors, options, groups, 1, 1, VECTOR_ITEMS, 1, work_of(product), *args, error,
                         j->a, j->b, product->bias, to);
}

static lx_code run_way(void *of, int index, lx_error *error)
{
    const job *j = of;
    const way *w = &j->ways[index];
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

bool lx_matmul_simt_fits(const lx_product *product)
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

lx_code lx_matmul_simt(const lx_product *product, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                       lx_error *error)
{
    char problem[LX_PROBLEM_TEXT];
    const matmul_args *args = &product->args;
    job j = {.product = *product, .a = a, .b = b, .y = y};
    j.a_deep = is_deep(args->a_row, args->a_depth);
    j.b_deep = is_deep(args->b_column, args->b_depth);
    j.a_wide = width_of(a, j.a_deep, args->rows, args->depth, args->a_row, args->a_depth, args->a_batch);
    j.b_wide = width_of(b, j.b_deep, args->columns, args->depth, args->b_column, args->b_depth, args->b_batch);
    find_ways(&j);
    if (j.count == 0)
        return lx_no_tile(a->storage->device, "matmul", error);
    snprintf(problem, sizeof problem, "matmul [%ld,%ld,%ld] x [%ld,%ld]%s%s%s%s", product->batch, args->rows,
             args->depth, args->depth, args->columns, j.a_deep ? "" : ", left turned",
             j.b_deep ? ", right turned" : "", j.a_wide == 1 ? ", left uneven" : "",
             j.b_wide == 1 ? ", right uneven" : "");
    const size_t bytes = (size_t)(product->batch * args->rows * args->columns) * sizeof(float);
    const lx_choice choice = {.problem = problem,
                              .count = j.count,
                              .usual = likely_best(&j),
                              .job = &j,
                              .name = name_way,
                              .run = run_way,
                              .result = y->storage,
                              .offset = (size_t)y->offset * sizeof(float),
                              .bytes = bytes};
    return lx_choose(a->storage->device, &choice, error);
}
