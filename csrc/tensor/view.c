/* Views: other shapes and strides on the same storage. */
#include "tensor.h"

/* Starts a view as a copy of the input; the caller then changes shape, stride and offset. */
static lx_tensor view_of(const lx_tensor *in)
{
    LX_ASSERT(!in->block); /* its strides mean nothing */
    lx_storage_retain(in->storage);
    return *in;
}

static lx_code check_dim(const char *function, const lx_tensor *in, int dim, int limit, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (dim >= 0 && dim < limit)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: dimension %d is out of range for shape %s", function, dim + 1,
                   lx_shape_text(in->ndim, in->shape, text));
}

lx_code lx_slice(lx_tensor *out, const lx_tensor *in, int dim, long start, long length, long step, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (check_dim("narrow", in, dim, in->ndim, error))
        return error->code;
    const long size = in->shape[dim];
    if (step < 1)
        return lx_fail(error, LX_EARG, "narrow: the step must be at least 1, got %ld", step);
    if (start < 0 || length < 0 || start > size || length > (size - start) / step + ((size - start) % step > 0))
        return lx_fail(error, LX_EARG, "narrow: %ld elements from %ld do not fit dimension %d of shape %s", length,
                       start + 1, dim + 1, lx_shape_text(in->ndim, in->shape, text));
    lx_tensor view = view_of(in);
    view.offset += start * in->stride[dim];
    view.shape[dim] = length;
    if (length > 1)
        view.stride[dim] *= step;
    *out = view;
    return LX_OK;
}

lx_code lx_narrow(lx_tensor *out, const lx_tensor *in, int dim, long start, long length, lx_error *error)
{
    return lx_slice(out, in, dim, start, length, 1, error);
}

/* Removes dimension `dim` from a view's shape and strides. */
static void drop_dim(lx_tensor *view, int dim)
{
    for (int i = dim; i + 1 < view->ndim; i++) {
        view->shape[i] = view->shape[i + 1];
        view->stride[i] = view->stride[i + 1];
    }
    view->ndim--;
}

lx_code lx_select(lx_tensor *out, const lx_tensor *in, int dim, long index, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (check_dim("select", in, dim, in->ndim, error))
        return error->code;
    if (index < 0 || index >= in->shape[dim])
        return lx_fail(error, LX_EARG, "select: index %ld is out of range for dimension %d of shape %s", index + 1,
                       dim + 1, lx_shape_text(in->ndim, in->shape, text));
    lx_tensor view = view_of(in);
    view.offset += index * in->stride[dim];
    drop_dim(&view, dim);
    *out = view;
    return LX_OK;
}

lx_code lx_permute(lx_tensor *out, const lx_tensor *in, const int *dims, int count, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    bool seen[LX_MAX_DIMS] = {false};
    bool valid = count == in->ndim;
    for (int i = 0; valid && i < count; i++) {
        valid = dims[i] >= 0 && dims[i] < in->ndim && !seen[dims[i]];
        if (valid)
            seen[dims[i]] = true;
    }
    if (!valid)
        return lx_fail(error, LX_EARG, "permute: each of the %d dimensions of shape %s must be named once", in->ndim,
                       lx_shape_text(in->ndim, in->shape, text));
    lx_tensor view = view_of(in);
    for (int i = 0; i < count; i++) {
        view.shape[i] = in->shape[dims[i]];
        view.stride[i] = in->stride[dims[i]];
    }
    *out = view;
    return LX_OK;
}

lx_code lx_expand(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, lx_error *error)
{
    char from[LX_SHAPE_TEXT], to[LX_SHAPE_TEXT];
    const int added = ndim - in->ndim;
    bool fits = added >= 0 && ndim <= LX_MAX_DIMS;
    for (int i = 0; fits && i < in->ndim; i++)
        fits = shape[added + i] == in->shape[i] || (in->shape[i] == 1 && shape[added + i] >= 0) ||
               shape[added + i] == -1;
    for (int i = 0; fits && i < added; i++)
        fits = shape[i] >= 0;
    if (!fits)
        return lx_fail(error, LX_EARG, "expand: shape %s cannot become %s; only dimensions of size 1 expand",
                       lx_shape_text(in->ndim, in->shape, from), lx_shape_text(ndim < 8 ? ndim : 8, shape, to));
    LX_ASSERT(!in->block);
    lx_tensor view = *in;
    view.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        const long size = i < added ? 1 : in->shape[i - added];
        const bool kept = i >= added && (shape[i] == -1 || shape[i] == size);
        view.shape[i] = kept ? size : shape[i];
        view.stride[i] = kept ? in->stride[i - added] : 0;
    }
    if (lx_shape_count(ndim, view.shape) < 0)
        return lx_fail(error, LX_EARG, "expand: shape %s has too many elements", lx_shape_text(ndim, view.shape, to));
    lx_storage_retain(view.storage);
    *out = view;
    return LX_OK;
}

/* Replaces a size of -1 by what the others leave. */
static lx_code infer_shape(const lx_tensor *in, int ndim, const long *shape, long *full, lx_error *error)
{
    char from[LX_SHAPE_TEXT], to[LX_SHAPE_TEXT];
    const long count = lx_tensor_count(in);
    long known = 1;
    int unknown = -1;
    bool valid = ndim <= LX_MAX_DIMS;
    for (int i = 0; valid && i < ndim; i++) {
        full[i] = shape[i];
        if (shape[i] == -1 && unknown < 0)
            unknown = i;
        else
            valid = shape[i] >= 0 && !__builtin_mul_overflow(known, shape[i], &known);
    }
    if (valid && unknown >= 0) {
        valid = known > 0 && count % known == 0;
        if (valid)
            known *= full[unknown] = count / known;
    }
    if (valid && known == count && lx_shape_count(ndim, full) == count)
        return LX_OK;
    return lx_fail(error, LX_EARG, "view: shape %s (%ld elements) cannot be seen as %s",
                   lx_shape_text(in->ndim, in->shape, from), count, lx_shape_text(ndim < 8 ? ndim : 8, shape, to));
}

/* Strides for the new shape, matching groups of old dimensions with groups of new ones from the last on. */
static bool view_strides(const lx_tensor *in, int ndim, const long *shape, long *stride)
{
    int old = in->ndim - 1, new = ndim - 1;
    while (new >= 0) {
        if (shape[new] == 1) {
            stride[new --] = 1;
            continue;
        }
        while (old >= 0 && in->shape[old] == 1)
            old--;
        long step = in->stride[old], have = in->shape[old], need = shape[new];
        stride[new] = step;
        while (have != need) {
            if (need < have) {
                if (--new < 0)
                    return false;
                stride[new] = step * need;
                need *= shape[new];
            } else {
                if (--old < 0 || (in->shape[old] != 1 && in->stride[old] != step * have))
                    return false;
                have *= in->shape[old];
            }
        }
        new --;
        old--;
    }
    return true;
}

lx_code lx_view(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, lx_error *error)
{
    char from[LX_SHAPE_TEXT], to[LX_SHAPE_TEXT];
    long full[LX_MAX_DIMS], stride[LX_MAX_DIMS] = {0};
    if (infer_shape(in, ndim, shape, full, error))
        return error->code;
    if (lx_tensor_count(in) > 0 && !view_strides(in, ndim, full, stride))
        return lx_fail(error, LX_EARG, "view: shape %s is not contiguous enough to be seen as %s; use reshape",
                       lx_shape_text(in->ndim, in->shape, from), lx_shape_text(ndim, full, to));
    lx_tensor view = view_of(in);
    view.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        view.shape[i] = full[i];
        view.stride[i] = stride[i];
    }
    *out = view;
    return LX_OK;
}

lx_code lx_as_strided(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, const long *stride, long offset,
                      lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    lx_tensor view = *in;
    long last = 0;
    bool empty = false, valid = ndim <= LX_MAX_DIMS && lx_shape_count(ndim, shape) >= 0 &&
                                !__builtin_add_overflow(in->offset, offset, &view.offset) && view.offset >= 0;
    view.ndim = ndim;
    for (int i = 0; valid && i < ndim; i++) {
        long reach;
        valid = shape[i] >= 0 && stride[i] >= 0 && !__builtin_mul_overflow(shape[i] - 1, stride[i], &reach) &&
                !__builtin_add_overflow(last, reach, &last);
        empty = empty || shape[i] == 0;
        view.shape[i] = shape[i];
        view.stride[i] = stride[i];
    }
    const long stored = (long)(in->storage->bytes / lx_dtype_size(in->dtype));
    if (!valid || (!empty && (view.offset >= stored || last >= stored - view.offset)))
        return lx_fail(error, LX_EARG, "as_strided: shape %s does not lie in the tensor's memory",
                       lx_shape_text(ndim < 8 ? ndim : 8, shape, text));
    lx_storage_retain(view.storage);
    *out = view;
    return LX_OK;
}

int lx_repeated_dim(const lx_tensor *tensor)
{
    for (int i = 0; i < tensor->ndim && !tensor->block; i++)
        if (tensor->shape[i] > 1 && tensor->stride[i] == 0)
            return i;
    return -1;
}

lx_code lx_unsqueeze(lx_tensor *out, const lx_tensor *in, int dim, lx_error *error)
{
    if (check_dim("unsqueeze", in, dim, in->ndim + 1, error))
        return error->code;
    if (in->ndim == LX_MAX_DIMS)
        return lx_fail(error, LX_EARG, "unsqueeze: a tensor has at most %d dimensions", LX_MAX_DIMS);
    lx_tensor view = view_of(in);
    for (int i = in->ndim; i > dim; i--) {
        view.shape[i] = in->shape[i - 1];
        view.stride[i] = in->stride[i - 1];
    }
    view.shape[dim] = 1;
    view.stride[dim] = dim < in->ndim ? in->stride[dim] * in->shape[dim] : 1;
    view.ndim++;
    *out = view;
    return LX_OK;
}

lx_code lx_squeeze(lx_tensor *out, const lx_tensor *in, int dim, lx_error *error)
{
    if (check_dim("squeeze", in, dim, in->ndim, error))
        return error->code;
    lx_tensor view = view_of(in);
    if (in->shape[dim] == 1)
        drop_dim(&view, dim);
    *out = view;
    return LX_OK;
}

lx_code lx_broadcast_shape(const char *function, const lx_tensor *a, const lx_tensor *b, int *ndim, long *shape,
                           lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int i = 0; i < *ndim; i++) {
        const int ia = i - (*ndim - a->ndim), ib = i - (*ndim - b->ndim);
        const long sa = ia < 0 ? 1 : a->shape[ia], sb = ib < 0 ? 1 : b->shape[ib];
        if (sa != sb && sa != 1 && sb != 1)
            return lx_fail(error, LX_EARG, "%s: shapes %s and %s do not broadcast", function,
                           lx_shape_text(a->ndim, a->shape, left), lx_shape_text(b->ndim, b->shape, right));
        shape[i] = sa == 1 ? sb : sa;
    }
    return LX_OK;
}
