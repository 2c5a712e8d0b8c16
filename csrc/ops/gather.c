/* Joining and picking. Everything runs on dense tensors seen as [outer][size][inner]. */
#include "gather.h"

#include "../../kernels/gather.h"

#include <string.h>

#include "exact.h"
#include "ops.h"
#include "reduce.h"

LX_KERNEL(gather, index_select_int);
LX_KERNEL(gather, index_select_uchar);
LX_KERNEL(gather, take_along_int);
LX_KERNEL(gather, take_along_uchar);
LX_KERNEL(gather, index_add);
LX_KERNEL(gather, scatter_along);
LX_KERNEL(gather, last_along);

/* ---- joining -------------------------------------------------------------------------------------------------- */

/* Whether the shapes are the same but along `dim`. */
static bool same_but_along(int dim, int ndim, const long *shape, const lx_tensor *tensor)
{
    bool same = tensor->ndim == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = i == dim || tensor->shape[i] == shape[i];
    return same;
}

static lx_code check_cat(const lx_tensor *const *tensors, int count, int dim, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    const lx_tensor *first = tensors[0];
    if (dim < 0 || dim >= first->ndim)
        return lx_fail(error, LX_EARG, "cat: dimension %d is out of range for shape %s", dim + 1,
                       lx_shape_text(first->ndim, first->shape, left));
    for (int i = 1; i < count; i++) {
        const lx_tensor *other = tensors[i];
        if (lx_same_device("cat", first, other, error))
            return error->code;
        if (other->dtype != first->dtype)
            return lx_fail(error, LX_EARG, "cat: tensor 1 is %s and tensor %d is %s; convert one with :to(dtype)",
                           lx_dtype_name(first->dtype), i + 1, lx_dtype_name(other->dtype));
        if (!same_but_along(dim, first->ndim, first->shape, other))
            return lx_fail(error, LX_EARG,
                           "cat: shapes %s (tensor 1) and %s (tensor %d) differ not only in dimension %d",
                           lx_shape_text(first->ndim, first->shape, left),
                           lx_shape_text(other->ndim, other->shape, right), i + 1, dim + 1);
    }
    return LX_OK;
}

bool lx_cats_blocked(const lx_tensor *const *tensors, int count, int dim)
{
    for (int i = 0; i < count; i++)
        if (!tensors[i]->block || (dim == 1 && i < count - 1 && tensors[i]->shape[1] % tensors[i]->block != 0))
            return false;
    return true;
}

/* How many positions of a dimension of lx_as_stored hold `size` of the tensor. */
static long stored_size(const lx_tensor *tensor, int dim, long size)
{
    return tensor->block && dim == 1 ? lx_ceil_div(size, tensor->block) : size;
}

lx_code lx_cat(lx_tensor *out, const lx_tensor *const *tensors, int count, int dim, lx_error *error)
{
    long shape[LX_MAX_DIMS], start = 0;
    if (check_cat(tensors, count, dim, error))
        return error->code;
    const lx_tensor *first = tensors[0];
    for (int i = 0; i < first->ndim; i++)
        shape[i] = i == dim ? 0 : first->shape[i];
    for (int i = 0; i < count; i++)
        shape[dim] += tensors[i]->shape[dim];
    if (first->block ? lx_tensor_new_blocked(out, first->storage->device, shape, error)
                     : lx_tensor_new(out, first->storage->device, first->dtype, first->ndim, shape, error))
        return error->code;
    const lx_tensor whole = lx_as_stored(out);
    for (int i = 0; i < count && !error->code; i++) {
        const lx_tensor from = lx_as_stored(tensors[i]);
        lx_tensor part = {0};
        if (!lx_narrow(&part, &whole, dim, start, from.shape[dim], error))
            lx_copy(&part, &from, error);
        lx_tensor_free(&part);
        start += from.shape[dim];
    }
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

bool lx_parts_blocked(const lx_tensor *x, int dim, long start, long length)
{
    if (!x->block || start < 0 || length < 0 || start > x->shape[dim] || length > x->shape[dim] - start)
        return false;
    return dim != 1 || (start % x->block == 0 && (length % x->block == 0 || start + length == x->shape[1]));
}

lx_code lx_part(lx_tensor *out, const lx_tensor *x, int dim, long start, long length, lx_error *error)
{
    long shape[4];
    const lx_tensor whole = lx_as_stored(x);
    lx_tensor part = {0};
    if (!x->block)
        return lx_narrow(out, x, dim, start, length, error);
    for (int i = 0; i < 4; i++)
        shape[i] = i == dim ? length : x->shape[i];
    if (lx_narrow(&part, &whole, dim, stored_size(x, dim, start), stored_size(x, dim, length), error))
        return error->code;
    if (!lx_tensor_new_blocked(out, x->storage->device, shape, error)) {
        lx_tensor stored = lx_as_stored(out);
        if (lx_copy(&stored, &part, error))
            lx_tensor_free(out);
    }
    lx_tensor_free(&part);
    return error->code;
}

/* ---- indices -------------------------------------------------------------------------------------------------- */

/* Of what report_bad says that an index is wrong. */
typedef struct {
    const char *function;
    long chunks;
    long shape[LX_MAX_DIMS];
    int ndim, dim;
} checked_indices;

/* Fails at the first index out of range. */
static lx_code report_bad(const void *params, const lx_argument *arguments, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    const checked_indices *of = params;
    long place;
    int value;
    if (lx_first_bad(arguments, of->chunks, &place, &value, error) || place < 0)
        return error->code;
    return lx_fail(error, LX_EARG, "%s: index %d, at place %ld, is not from 1 to %ld, the size of dimension %d of %s",
                   of->function, value, place + 1, of->shape[of->dim], of->dim + 1,
                   lx_shape_text(of->ndim, of->shape, text));
}

static lx_code check_bad(const char *function, const lx_tensor *bad, const lx_tensor *index, int ndim,
                         const long *shape, int dim, lx_error *error)
{
    checked_indices checked;
    memset(&checked, 0, sizeof checked);
    checked.function = function;
    checked.chunks = bad->shape[0];
    checked.ndim = ndim;
    checked.dim = dim;
    memcpy(checked.shape, shape, (size_t)ndim * sizeof *shape);
    return lx_run_check(report_bad, &checked, sizeof checked, (const lx_tensor *const[]){bad, index}, 2, error);
}

/* The indices as dense int32, all of them found to be in range unless that would take a wait. */
static lx_code prepare_index(lx_tensor *out, const char *function, const lx_tensor *index, int ndim, const long *shape,
                             int dim, lx_error *error)
{
    lx_tensor converted = {0}, dense = {0}, bad = {0};
    if (!lx_cast(&converted, index, LX_INT32, error) && !lx_contiguous(&dense, &converted, error) &&
        (lx_reading_waits(index->storage->device) || (!lx_find_bad(&bad, &dense, 1, shape[dim], error) &&
                                                      !check_bad(function, &bad, &dense, ndim, shape, dim, error))))
        lx_tensor_share(out, &dense);
    lx_tensor_free(&converted);
    lx_tensor_free(&dense);
    lx_tensor_free(&bad);
    return error->code;
}

static lx_code check_dim(const char *function, int ndim, const long *shape, int dim, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (dim >= 0 && dim < ndim)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: dimension %d is out of range for shape %s", function, dim + 1,
                   lx_shape_text(ndim, shape, text));
}

static lx_code check_list(const char *function, const lx_tensor *index, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (index->ndim == 1)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: the indices must have 1 dimension, got shape %s", function,
                   lx_shape_text(index->ndim, index->shape, text));
}

/* index must have the shape but for the size of `dim`. */
static lx_code check_along(const char *function, int ndim, const long *shape, int dim, const lx_tensor *index,
                           lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (same_but_along(dim, ndim, shape, index))
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: shape %s of the indices and %s differ not only in dimension %d", function,
                   lx_shape_text(index->ndim, index->shape, left), lx_shape_text(ndim, shape, right), dim + 1);
}

/* ---- picking -------------------------------------------------------------------------------------------------- */

/* What stands for an element that does not exist: not a number where the dtype has that, else 0. */
static int absent_of(lx_dtype dtype)
{
    return dtype == LX_FLOAT32 ? 0x7fc00000 : 0;
}

lx_code lx_index_select(lx_tensor *out, const lx_tensor *x, int dim, const lx_tensor *index, lx_error *error)
{
    static const char *const function = "index_select";
    lx_tensor dense = {0}, places = {0};
    if (check_dim(function, x->ndim, x->shape, dim, error) || check_list(function, index, error) ||
        lx_same_device(function, x, index, error))
        return error->code;
    const lx_axis axis = lx_axis_of(x->ndim, x->shape, dim);
    const gather_args args = {
        .size = axis.size, .count = index->shape[0], .inner = axis.inner, .absent = absent_of(x->dtype)};
    const lx_kernel *kernel = x->dtype == LX_UINT8 ? &k_index_select_uchar : &k_index_select_int;
    long shape[LX_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[dim] = args.count;
    if (!prepare_index(&places, function, index, x->ndim, x->shape, dim, error) && !lx_contiguous(&dense, x, error) &&
        !lx_tensor_new(out, x->storage->device, x->dtype, x->ndim, shape, error) &&
        LX_RUN(*kernel, axis.inner, args.count, axis.outer, lx_tensor_count(out), args, error, &dense, &places, out))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    lx_tensor_free(&places);
    return error->code;
}

lx_code lx_take_along(lx_tensor *out, const lx_tensor *x, int dim, const lx_tensor *index, lx_error *error)
{
    static const char *const function = "take_along";
    lx_tensor dense = {0}, places = {0};
    if (check_dim(function, x->ndim, x->shape, dim, error) ||
        check_along(function, x->ndim, x->shape, dim, index, error) || lx_same_device(function, x, index, error))
        return error->code;
    const lx_axis axis = lx_axis_of(x->ndim, x->shape, dim);
    const gather_args args = {
        .size = axis.size, .count = index->shape[dim], .inner = axis.inner, .absent = absent_of(x->dtype)};
    const lx_kernel *kernel = x->dtype == LX_UINT8 ? &k_take_along_uchar : &k_take_along_int;
    if (!prepare_index(&places, function, index, x->ndim, x->shape, dim, error) && !lx_contiguous(&dense, x, error) &&
        !lx_tensor_new(out, x->storage->device, x->dtype, index->ndim, index->shape, error) &&
        LX_RUN(*kernel, args.count * axis.inner, axis.outer, 1, lx_tensor_count(out), args, error, &dense, &places,
               out))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    lx_tensor_free(&places);
    return error->code;
}

/* ---- adding --------------------------------------------------------------------------------------------------- */

/* Zeros of the shape, to which the kernel adds src by the indices. `columns` are what a work-item takes of inner. */
static lx_code add_by(lx_tensor *out, const char *function, const lx_kernel *kernel, long columns, int ndim,
                      const long *shape, int dim, const lx_tensor *index, const lx_tensor *src, lx_error *error)
{
    lx_tensor dense = {0}, places = {0};
    const lx_axis axis = lx_axis_of(ndim, shape, dim);
    const gather_args args = {.size = axis.size, .count = src->shape[dim], .inner = axis.inner};
    const long groups = lx_ceil_div(axis.inner, columns);
    if (lx_same_device(function, src, index, error))
        return error->code;
    if (!prepare_index(&places, function, index, ndim, shape, dim, error) && !lx_dense_float(&dense, src, error) &&
        !lx_tensor_new(out, src->storage->device, LX_FLOAT32, ndim, shape, error) &&
        (lx_fill(out, 0, error) ||
         LX_RUN(*kernel, groups, axis.outer, 1, lx_tensor_count(src), args, error, &dense, &places, out)))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    lx_tensor_free(&places);
    return error->code;
}

lx_code lx_index_add(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index, const lx_tensor *src,
                     lx_error *error)
{
    static const char *const function = "index_add";
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (check_dim(function, ndim, shape, dim, error) || check_list(function, index, error))
        return error->code;
    if (!same_but_along(dim, ndim, shape, src) || src->shape[dim] != index->shape[0])
        return lx_fail(error, LX_EARG, "%s: cannot add slices of %s to %s by %ld indices along dimension %d", function,
                       lx_shape_text(src->ndim, src->shape, left), lx_shape_text(ndim, shape, right), index->shape[0],
                       dim + 1);
    const long columns = GATHER_ADD_VECTORS * src->storage->device->lanes;
    return add_by(out, function, &k_index_add, columns, ndim, shape, dim, index, src, error);
}

lx_code lx_scatter_along(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index,
                         const lx_tensor *src, lx_error *error)
{
    static const char *const function = "scatter_along";
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (check_dim(function, ndim, shape, dim, error) || check_along(function, ndim, shape, dim, index, error))
        return error->code;
    if (!lx_same_shape(index, src))
        return lx_fail(error, LX_EARG, "%s: the indices have shape %s, what to add has %s", function,
                       lx_shape_text(index->ndim, index->shape, left), lx_shape_text(src->ndim, src->shape, right));
    return add_by(out, function, &k_scatter_along, 1, ndim, shape, dim, index, src, error);
}

lx_code lx_last_along(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index, lx_error *error)
{
    static const char *const function = "scatter";
    lx_tensor places = {0};
    if (check_dim(function, ndim, shape, dim, error) || check_along(function, ndim, shape, dim, index, error))
        return error->code;
    const lx_axis axis = lx_axis_of(ndim, shape, dim);
    const gather_args args = {.size = axis.size, .count = index->shape[dim], .inner = axis.inner};
    const long work = (axis.size + args.count) * axis.inner * axis.outer;
    if (!prepare_index(&places, function, index, ndim, shape, dim, error) &&
        !lx_tensor_new(out, index->storage->device, LX_INT32, ndim, shape, error) &&
        LX_RUN(k_last_along, axis.inner, axis.outer, 1, work, args, error, &places, out))
        lx_tensor_free(out);
    lx_tensor_free(&places);
    return error->code;
}
