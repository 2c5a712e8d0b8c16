/* Matrix products: merging of batches, and what the operands are. How one is computed is for the form of the device. */
#include "matmul.h"

#include <string.h>

#include "forms.h"
#include "ops.h"

LX_KERNEL(matmul, matmul_finish);

double lx_product_work(const lx_product *job)
{
    return 2.0 * (double)job->batch * (double)job->args.rows * (double)job->args.columns * (double)job->args.depth;
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
static batches merge_batches(lx_product *job, const lx_tensor *a, const lx_tensor *b, int ndim, const long *shape)
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

/* One launch for the innermost batch dimension, repeated over the others (rare: most batches merge into one). */
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
        lx_form_ops_of(a)->multiply(&job, &a_at, &b_at, &y_at, error);
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
    const batches all = merge_batches(&job, a, b, ndim - 2, shape);
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
        return lx_fail(error, LX_EARG, "matmul: operands need at least 1 dimension, got shapes %s and %s", left, right);
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
