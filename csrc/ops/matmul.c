/* Matrix products: folding of batches, the choice of form, and how it is cut into work-items. */
#include "matmul.h"

#include <string.h>

#include "matmul_simt.h"
#include "ops.h"

LX_KERNEL(matmul, matmul_pack);
LX_KERNEL(matmul, matmul_strips);
LX_KERNEL(matmul, matmul_dots);
LX_KERNEL(matmul, matmul_finish);

enum {
    ENOUGH_ITEMS = 16,    /* work-items that keep all threads busy; fixed, as the number of threads may not matter */
    STRIP_BLOCK = 384,    /* rows of a work-item of the strip form: as much of a as stays in the second cache */
    FEWEST_ROWS = 32,     /* rows of a work-item for what it reads of b to be worth it */
    DOT_BLOCK = 128,      /* rows of a work-item of the dot form */
    DOT_BLOCK_COLUMNS = 32,
    DOT_FROM_DEPTH = 64,  /* shallower products leave vectors along the depth mostly idle */
    DOT_TO_ROWS = 128,    /* with more rows, turning b while its strips are copied costs less than dots */
    CHUNK_LEAST = 1024    /* depth below which cutting it is not worth the sum of the parts */
};

static double work_of(const lx_product *job)
{
    return 2.0 * (double)job->batch * (double)job->args.rows * (double)job->args.columns * (double)job->args.depth;
}

/* ---- the two tile forms --------------------------------------------------------------------------------------- */

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

static void plan_strips(lx_product *job, int lanes)
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

static void plan_dots(lx_product *job, int lanes)
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
                  job->batch * args->chunks, work_of(job), *args, error, a, b, y);
}

/* Multiplies into `parts`: y itself, or a new tensor if the depth is cut. */
static lx_code run_form(lx_tensor *parts, lx_product *job, bool dots, const lx_tensor *a, const lx_tensor *b,
                        lx_tensor *y, lx_error *error)
{
    lx_tensor packed = {0};
    lx_device *device = a->storage->device;
    if (dots)
        plan_dots(job, device->lanes);
    else
        plan_strips(job, device->lanes);
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

/* ---- operands as the forms want them -------------------------------------------------------------------------- */

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

/* Chooses the form, and copies what it cannot read where it is. */
static lx_code multiply(lx_tensor *parts, lx_product *job, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
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
    run_form(parts, job, dots, a_copy.storage ? &a_copy : a, b_copy.storage ? &b_copy : b, y, error);
done:
    lx_tensor_free(&a_copy);
    lx_tensor_free(&b_copy);
    return error->code;
}

lx_code lx_matmul_finish(const lx_product *job, const lx_tensor *parts, lx_tensor *y, lx_error *error)
{
    const matmul_args *args = &job->args;
    const long work = args->columns * args->rows * job->batch * args->chunks;
    return LX_RUN(k_matmul_finish, args->columns, args->rows, job->batch, work, *args, error, parts, job->bias, y);
}

/* The result of a product of depth 0. */
static lx_code finish_nothing(lx_product *job, lx_tensor *y, lx_error *error)
{
    job->args.chunks = 1;
    job->batch = 1;
    job->args.rows = lx_tensor_count(y) / job->args.columns;
    return lx_fill(y, 0, error) ? error->code : lx_matmul_finish(job, y, y, error);
}

static lx_code run_product(lx_product job, const lx_tensor *a, const lx_tensor *b, lx_tensor *y, lx_error *error)
{
    lx_tensor parts = {0};
    if (a->storage->device->form == LX_SIMT && lx_matmul_simt_fits(&job))
        return lx_matmul_simt(&job, a, b, y, error);
    if (!multiply(&parts, &job, a, b, y, error) && (job.args.chunks > 1 || job.args.bias || job.args.activation))
        lx_matmul_finish(&job, &parts, y, error);
    lx_tensor_free(&parts);
    return error->code;
}

/* ---- batches -------------------------------------------------------------------------------------------------- */

/* The dimensions before the last two, innermost first, with the strides of both operands. */
typedef struct {
    int ndim;
    long size[LX_MAX_DIMS], a[LX_MAX_DIMS], b[LX_MAX_DIMS];
} batches;

static long batch_stride(const lx_tensor *tensor, int from_end)
{
    const int dim = tensor->ndim - 1 - from_end;
    return dim < 0 || tensor->shape[dim] == 1 ? 0 : tensor->stride[dim];
}

/* Drops sizes of 1, turns a batch that only repeats b into more rows of a, and merges neighbours. */
static batches fold(lx_product *job, const lx_tensor *a, const lx_tensor *b, int ndim, const long *shape)
{
    batches all = {0};
    for (int i = 0; i < ndim; i++) {
        const long size = shape[ndim - 1 - i], sa = batch_stride(a, i + 2), sb = batch_stride(b, i + 2);
        const int last = all.ndim - 1;
        if (size == 1)
            continue;
        if (all.ndim == 0 && sb == 0 && (job->args.rows == 1 || sa == job->args.rows * job->args.a_row)) {
            job->args.a_row = job->args.rows == 1 ? sa : job->args.a_row;
            job->args.rows *= size;
        } else if (all.ndim > 0 && sa == all.a[last] * all.size[last] && sb == all.b[last] * all.size[last]) {
            all.size[last] *= size;
        } else {
            all.size[all.ndim] = size;
            all.a[all.ndim] = sa;
            all.b[all.ndim++] = sb;
        }
    }
    return all;
}

/* One launch for the innermost batch dimension, repeated over the others (rare: most batches fold into one). */
static lx_code run_batches(lx_product job, const batches *all, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                           lx_error *error)
{
    lx_tensor a_at = *a, b_at = *b, y_at = *y;
    long outer = 1;
    job.batch = all->ndim ? all->size[0] : 1;
    job.args.a_batch = all->ndim ? all->a[0] : 0;
    job.args.b_batch = all->ndim ? all->b[0] : 0;
    for (int i = 1; i < all->ndim; i++)
        outer *= all->size[i];
    for (long position = 0; position < outer && !error->code; position++) {
        long rest = position;
        a_at.offset = a->offset;
        b_at.offset = b->offset;
        for (int i = 1; i < all->ndim; rest /= all->size[i++]) {
            a_at.offset += rest % all->size[i] * all->a[i];
            b_at.offset += rest % all->size[i] * all->b[i];
        }
        y_at.offset = y->offset + position * job.batch * job.args.rows * job.args.columns;
        run_product(job, &a_at, &b_at, &y_at, error);
    }
    return error->code;
}

/* ---- operations ------------------------------------------------------------------------------------------------ */

/* The product of tensors of at least two dimensions whose shapes fit; `shape` is that of the result. */
static lx_code run_matmul(lx_tensor *out, const lx_tensor *a, const lx_tensor *b, int ndim, const long *shape,
                          const lx_tensor *bias, int activation, lx_error *error)
{
    lx_product job = {.bias = bias};
    job.args = (matmul_args){.rows = shape[ndim - 2],
                             .columns = shape[ndim - 1],
                             .depth = a->shape[a->ndim - 1],
                             .a_row = a->stride[a->ndim - 2],
                             .a_depth = a->shape[a->ndim - 1] == 1 ? 1 : a->stride[a->ndim - 1],
                             .b_depth = b->shape[b->ndim - 2] == 1 ? 1 : b->stride[b->ndim - 2],
                             .b_column = b->shape[b->ndim - 1] == 1 ? 1 : b->stride[b->ndim - 1],
                             .bias = bias != NULL,
                             .activation = activation};
    if (lx_tensor_new(out, a->storage->device, LX_FLOAT32, ndim, shape, error))
        return error->code;
    if (lx_tensor_count(out) == 0)
        return LX_OK;
    const batches all = fold(&job, a, b, ndim - 2, shape);
    if (job.args.depth == 0)
        finish_nothing(&job, out, error);
    else
        run_batches(job, &all, a, b, out, error);
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

/* The shape of the product, with both operands as matrices. */
static lx_code result_shape(const lx_tensor *a, const lx_tensor *b, int *ndim, long *shape, lx_error *error)
{
    char first[LX_SHAPE_TEXT], second[LX_SHAPE_TEXT];
    lx_tensor left = *a, right = *b;
    left.ndim -= 2;
    right.ndim -= 2;
    if (lx_broadcast_shape("matmul", &left, &right, ndim, shape, error))
        return lx_fail(error, LX_EARG, "matmul: shapes %s and %s do not match: their batches do not broadcast",
                       lx_shape_text(a->ndim, a->shape, first), lx_shape_text(b->ndim, b->shape, second));
    shape[(*ndim)++] = a->shape[a->ndim - 2];
    shape[(*ndim)++] = b->shape[b->ndim - 1];
    return LX_OK;
}

static lx_code check_matmul(const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    lx_shape_text(a->ndim, a->shape, left);
    lx_shape_text(b->ndim, b->shape, right);
    if (a->ndim == 0 || b->ndim == 0)
        return lx_fail(error, LX_EARG, "matmul: operands need at least 1 dimension, got shapes %s and %s", left,
                       right);
    const long columns = a->shape[a->ndim - 1], rows = b->shape[b->ndim == 1 ? 0 : b->ndim - 2];
    if (columns != rows)
        return lx_fail(error, LX_EARG, "matmul: shapes %s and %s do not match: %ld columns against %ld rows", left,
                       right, columns, rows);
    return lx_same_device("matmul", a, b, error);
}

/* A vector as a matrix of one row or column; float32. */
static lx_code as_matrix(lx_tensor *out, const lx_tensor *in, int dim, lx_error *error)
{
    lx_tensor view = {0};
    if (in->ndim > 1)
        return lx_cast(out, in, LX_FLOAT32, error);
    if (!lx_unsqueeze(&view, in, dim, error))
        lx_cast(out, &view, LX_FLOAT32, error);
    lx_tensor_free(&view);
    return error->code;
}

lx_code lx_matmul(lx_tensor *out, const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    int ndim;
    long shape[LX_MAX_DIMS];
    lx_tensor left = {0}, right = {0}, y = {0};
    if (check_matmul(a, b, error))
        return error->code;
    if (!as_matrix(&left, a, 0, error) && !as_matrix(&right, b, 1, error) &&
        !result_shape(&left, &right, &ndim, shape, error) &&
        !run_matmul(&y, &left, &right, ndim, shape, NULL, false, error)) {
        int kept = ndim - 2;
        if (a->ndim > 1)
            shape[kept++] = left.shape[left.ndim - 2];
        if (b->ndim > 1)
            shape[kept++] = right.shape[right.ndim - 1];
        lx_view(out, &y, kept, shape, error);
    }
    lx_tensor_free(&left);
    lx_tensor_free(&right);
    lx_tensor_free(&y);
    return error->code;
}

static lx_code check_linear(const lx_tensor *x, const lx_tensor *w, const lx_tensor *b, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    lx_shape_text(x->ndim, x->shape, left);
    lx_shape_text(w->ndim, w->shape, right);
    if (w->ndim != 2 || x->ndim == 0 || x->shape[x->ndim - 1] != w->shape[1])
        return lx_fail(error, LX_EARG, "linear: input %s and weight %s do not match: the weight must be [out, %ld]",
                       left, right, x->ndim ? x->shape[x->ndim - 1] : 1);
    if (b && (b->ndim != 1 || b->shape[0] != w->shape[0]))
        return lx_fail(error, LX_EARG, "linear: bias %s does not match weight %s: it must be [%ld]",
                       lx_shape_text(b->ndim, b->shape, left), right, w->shape[0]);
    if (b && lx_same_device("linear", x, b, error))
        return error->code;
    return lx_same_device("linear", x, w, error);
}

lx_code lx_linear(lx_tensor *out, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b, int activation,
                  lx_error *error)
{
    lx_tensor left = {0}, weight = {0}, turned = {0}, bias = {0}, y = {0};
    long shape[LX_MAX_DIMS];
    if (check_linear(x, w, b, error))
        return error->code;
    if (!as_matrix(&left, x, 0, error) && !lx_cast(&weight, w, LX_FLOAT32, error) &&
        !lx_permute(&turned, &weight, (const int[2]){1, 0}, 2, error) && !(b && lx_dense_float(&bias, b, error))) {
        memcpy(shape, left.shape, sizeof shape);
        shape[left.ndim - 1] = w->shape[0];
        if (!run_matmul(&y, &left, &turned, left.ndim, shape, b ? &bias : NULL, activation, error))
            lx_view(out, &y, x->ndim, shape + left.ndim - x->ndim, error);
    }
    lx_tensor_free(&left);
    lx_tensor_free(&weight);
    lx_tensor_free(&turned);
    lx_tensor_free(&bias);
    lx_tensor_free(&y);
    return error->code;
}
