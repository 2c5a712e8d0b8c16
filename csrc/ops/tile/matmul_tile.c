/* Matrix products in tile form: by strips of b, or by dots of rows and columns; and how that is cut into work-items. */
#include <string.h>

#include "../forms.h"
#include "../ops.h"

LX_KERNEL(matmul, matmul_pack);
LX_KERNEL(matmul, matmul_strips);
LX_KERNEL(matmul, matmul_dots);

enum {
    ENOUGH_ITEMS = 16, /* work-items that keep all threads busy; fixed, as the number of threads may not matter */
    STRIP_BLOCK = 384, /* rows of a work-item for strips: as much of a as stays in the second cache */
    FEWEST_ROWS = 32,  /* rows of a work-item for what it reads of b to be worth it */
    DOT_BLOCK = 128,   /* rows of a work-item for dots */
    DOT_BLOCK_COLUMNS = 32,
    DOT_FROM_DEPTH = 64, /* shallower products leave vectors along the depth mostly idle */
    DOT_TO_ROWS = 128,   /* with more rows, turning b while its strips are copied costs less than dots */
    CHUNK_LEAST = 1024   /* depth below which cutting it is not worth the sum of the parts */
};

/* ---- the two kernels ------------------------------------------------------------------------------------------ */

/* Cuts the depth into chunks if there are too few work-items without. */
static void cut_depth(matmul_args *args, long items)
{
    const long wanted = lx_least(lx_ceil_div(ENOUGH_ITEMS, items), args->depth / CHUNK_LEAST);
    args->chunk_depth = wanted > 1 ? lx_ceil_div(lx_ceil_div(args->depth, wanted), 64) * 64 : args->depth;
    args->chunks = lx_ceil_div(args->depth, args->chunk_depth);
}

static long items_of(const lx_product *job)
{
    const matmul_args *args = &job->args;
    return lx_ceil_div(args->rows, args->block_rows) * lx_ceil_div(args->columns, args->block_columns) * job->batch;
}

/* Cuts the rows into equal blocks, multiples of `tile`: of at most `most` rows, and smaller, though not below
 * FEWEST_ROWS, if that makes too few work-items. */
static void cut_rows(lx_product *job, long most, long tile)
{
    matmul_args *args = &job->args;
    args->block_rows = args->rows;
    long count = lx_least(lx_ceil_div(ENOUGH_ITEMS, items_of(job)), args->rows / FEWEST_ROWS);
    if (count < lx_ceil_div(args->rows, most))
        count = lx_ceil_div(args->rows, most);
    args->block_rows = lx_ceil_div(lx_ceil_div(args->rows, count), tile) * tile;
}

static void cut_into_strips(lx_product *job, int lanes)
{
    matmul_args *args = &job->args;
    const long width = MATMUL_VECTORS * lanes;
    const long fit = args->depth < MATMUL_DEPTH ? lx_least(MATMUL_DEPTH / args->depth, MATMUL_STRIPS) : 1;
    args->block_columns = fit * width;
    if (lx_ceil_div(args->columns, args->block_columns) * job->batch < ENOUGH_ITEMS)
        args->block_columns = width;
    cut_rows(job, STRIP_BLOCK, MATMUL_ROWS(lanes));
    cut_depth(args, items_of(job));
}

static void cut_into_dots(lx_product *job, int lanes)
{
    matmul_args *args = &job->args;
    args->block_columns = DOT_BLOCK_COLUMNS;
    if (lx_ceil_div(args->columns, DOT_BLOCK_COLUMNS) * job->batch < ENOUGH_ITEMS)
        args->block_columns = MATMUL_DOT_COLUMNS(lanes);
    cut_rows(job, DOT_BLOCK, MATMUL_DOT_ROWS);
    cut_depth(args, items_of(job));
}

static lx_code pack(lx_tensor *packed, const lx_tensor *a, lx_product *job, lx_error *error)
{
    matmul_args *args = &job->args;
    lx_device *device = a->storage->device;
    const long tiles = lx_ceil_div(args->rows, MATMUL_ROWS(device->lanes));
    const long one = tiles * args->depth * MATMUL_ROWS(device->lanes), copies = args->a_batch == 0 ? 1 : job->batch;
    const long count = one * copies, pieces = lx_ceil_div(args->depth, MATMUL_PACK_DEPTH);
    if (lx_tensor_new(packed, device, LX_FLOAT32, 1, &count, error) ||
        LX_RUN(k_matmul_pack, pieces, tiles, copies, count, *args, error, a, packed))
        return error->code;
    args->a_batch = args->a_batch == 0 ? 0 : one;
    return LX_OK;
}

static lx_code launch(const lx_kernel *kernel, const lx_product *job, const lx_tensor *a, const lx_tensor *b,
                      lx_tensor *y, lx_error *error)
{
    const matmul_args *args = &job->args;
    return LX_RUN(*kernel, lx_ceil_div(args->columns, args->block_columns), lx_ceil_div(args->rows, args->block_rows),
                  job->batch * args->chunks, lx_product_work(job), *args, error, a, b, y);
}

/* Multiplies into `parts`: y itself, or a new tensor if the depth is cut. */
static lx_code run_kernel(lx_tensor *parts, lx_product *job, bool dots, const lx_tensor *a, const lx_tensor *b,
                          lx_tensor *y, lx_error *error)
{
    lx_tensor packed = {0};
    lx_device *device = a->storage->device;
    if (dots)
        cut_into_dots(job, device->lanes);
    else
        cut_into_strips(job, device->lanes);
    const long count = job->batch * job->args.chunks * job->args.rows * job->args.columns;
    if (job->args.chunks == 1)
        lx_tensor_share(parts, y);
    else if (lx_tensor_new(parts, device, LX_FLOAT32, 1, &count, error))
        return error->code;
    if (dots)
        return launch(&k_matmul_dots, job, a, b, parts, error);
    if (!pack(&packed, a, job, error))
        launch(&k_matmul_strips, job, &packed, b, parts, error);
    lx_tensor_free(&packed);
    return error->code;
}

/* ---- operands as the kernels want them ------------------------------------------------------------------------ */

/* A dense copy of an operand with its depth innermost; updates its strides. */
static lx_code copy_operand(lx_tensor *out, const lx_tensor *in, long lines, const lx_product *job, long *line_stride,
                            long *depth_stride, long *batch_stride, lx_error *error)
{
    const bool repeated = *batch_stride == 0;
    const long shape[3] = {repeated ? 1 : job->batch, lines, job->args.depth};
    const long stride[3] = {*batch_stride, *line_stride, *depth_stride};
    lx_tensor view = *in;
    view.ndim = 3;
    memcpy(view.shape, shape, sizeof shape);
    memcpy(view.stride, stride, sizeof stride);
    if (lx_tensor_new(out, in->storage->device, LX_FLOAT32, 3, shape, error) || lx_copy(out, &view, error))
        return error->code;
    *line_stride = shape[2];
    *depth_stride = 1;
    *batch_stride = repeated ? 0 : lines * shape[2];
    return LX_OK;
}

/* Chooses the kernel, and copies what it cannot read where it is. */
static lx_code multiply_parts(lx_tensor *parts, lx_product *job, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                              lx_error *error)
{
    lx_tensor a_copy = {0}, b_copy = {0};
    matmul_args *args = &job->args;
    const bool narrow = args->columns <= a->storage->device->lanes && args->a_depth == 1;
    const bool wide = args->b_depth == 1 && args->b_column != 1 && args->rows <= DOT_TO_ROWS;
    const bool dots = args->depth >= DOT_FROM_DEPTH && (narrow || wide);
    if (dots && args->a_depth != 1 &&
        copy_operand(&a_copy, a, args->rows, job, &args->a_row, &args->a_depth, &args->a_batch, error))
        goto done;
    if (dots && args->b_depth != 1 &&
        copy_operand(&b_copy, b, args->columns, job, &args->b_column, &args->b_depth, &args->b_batch, error))
        goto done;
    run_kernel(parts, job, dots, a_copy.storage ? &a_copy : a, b_copy.storage ? &b_copy : b, y, error);
done:
    lx_tensor_free(&a_copy);
    lx_tensor_free(&b_copy);
    return error->code;
}

lx_code lx_multiply_tile(const lx_product *product, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                         lx_error *error)
{
    lx_product job = *product;
    lx_tensor parts = {0};
    if (!multiply_parts(&parts, &job, a, b, y, error) && (job.args.chunks > 1 || job.args.bias || job.args.activation))
        lx_matmul_finish(&job, &parts, y, error);
    lx_tensor_free(&parts);
    return error->code;
}
