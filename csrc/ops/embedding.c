/* Table look-up by indices from 1, and its gradient. */
#include "../../kernels/embedding.h"

#include <string.h>

#include "layers.h"
#include "ops.h"

LX_KERNEL(embedding, embedding);
LX_KERNEL(embedding, embedding_backward);

enum {
    READ_AT_ONCE = 1024, /* indices that the host checks at a time */
    MOST_SHARES = 32     /* the gradient's table is cut into: each reads all indices */
};

/* Makes `dense` of the indices, all of which must be from 1 to `rows`. */
static lx_code take_indices(lx_tensor *dense, const char *function, const lx_tensor *indices, long rows,
                            lx_error *error)
{
    int values[READ_AT_ONCE];
    if (indices->dtype != LX_INT32)
        return lx_fail(error, LX_EARG, "%s: indices should be int32, got %s; convert them with :to(\"int32\")",
                       function, lx_dtype_name(indices->dtype));
    if (lx_contiguous(dense, indices, error))
        return error->code;
    const struct lx_runtime *runtime = dense->storage->device->runtime;
    const long count = lx_tensor_count(dense);
    for (long start = 0; start < count; start += READ_AT_ONCE) {
        const long some = count - start < READ_AT_ONCE ? count - start : READ_AT_ONCE;
        const size_t offset = (size_t)(dense->offset + start) * sizeof *values;
        if (runtime->read(dense->storage, offset, values, (size_t)some * sizeof *values, error))
            goto failed;
        for (long i = 0; i < some; i++) {
            if (values[i] >= 1 && values[i] <= rows)
                continue;
            lx_fail(error, LX_EARG, "%s: index %d (element %ld of indices) is out of range; weight has rows 1 to %ld",
                    function, values[i], start + i + 1, rows);
            goto failed;
        }
    }
    return LX_OK;
failed:
    lx_tensor_free(dense);
    return error->code;
}

lx_code lx_embedding(lx_tensor *out, const lx_tensor *weight, const lx_tensor *indices, lx_error *error)
{
    static const char *const function = "embedding";
    char text[LX_SHAPE_TEXT], index_text[LX_SHAPE_TEXT];
    lx_tensor table = {0}, places = {0};
    long shape[LX_MAX_DIMS];
    if (weight->ndim != 2 || indices->ndim >= LX_MAX_DIMS)
        return lx_fail(error, LX_EARG,
                       "%s: weight should be [V,D] and indices of less than %d dimensions, got %s and %s", function,
                       LX_MAX_DIMS, lx_shape_text(weight->ndim, weight->shape, text),
                       lx_shape_text(indices->ndim, indices->shape, index_text));
    const embedding_args args = {.count = lx_tensor_count(indices), .columns = weight->shape[1]};
    memcpy(shape, indices->shape, sizeof shape);
    shape[indices->ndim] = args.columns;
    if (lx_same_device(function, weight, indices, error))
        return error->code;
    if (!take_indices(&places, function, indices, weight->shape[0], error) && !lx_dense_float(&table, weight, error) &&
        !lx_tensor_new(out, weight->storage->device, LX_FLOAT32, indices->ndim + 1, shape, error) &&
        LX_RUN(k_embedding, args.columns, args.count, 1, lx_tensor_count(out), args, error, &table, &places, out))
        lx_tensor_free(out);
    lx_tensor_free(&table);
    lx_tensor_free(&places);
    return error->code;
}

/* dy must have the shape of the indices, and one dimension more. */
static lx_code check_gradient(const char *function, const lx_tensor *dy, const lx_tensor *indices, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    bool fits = dy->ndim == indices->ndim + 1;
    for (int i = 0; fits && i < indices->ndim; i++)
        fits = dy->shape[i] == indices->shape[i];
    if (fits)
        return lx_same_device(function, dy, indices, error);
    return lx_fail(error, LX_EARG,
                   "%s: dy should have the shape of indices and one more dimension, got %s for indices %s", function,
                   lx_shape_text(dy->ndim, dy->shape, left),
                   lx_shape_text(indices->ndim, indices->shape, right));
}

lx_code lx_embedding_backward(lx_tensor *dweight, const lx_tensor *dy, const lx_tensor *indices, long rows,
                              lx_error *error)
{
    static const char *const function = "embedding_backward";
    lx_tensor gradient = {0}, places = {0};
    if (check_gradient(function, dy, indices, error))
        return error->code;
    const long shape[2] = {rows, dy->shape[dy->ndim - 1]};
    const long groups = (shape[1] + EMBEDDING_COLUMNS - 1) / EMBEDDING_COLUMNS;
    const embedding_args args = {.count = lx_tensor_count(indices),
                                 .rows = rows,
                                 .columns = shape[1],
                                 .share = (rows + MOST_SHARES - 1) / MOST_SHARES};
    if (!take_indices(&places, function, indices, rows, error) && !lx_dense_float(&gradient, dy, error) &&
        !lx_tensor_new(dweight, dy->storage->device, LX_FLOAT32, 2, shape, error)) {
        const long shares = args.share ? (rows + args.share - 1) / args.share : 0;
        if (lx_fill(dweight, 0, error) ||
            LX_RUN(k_embedding_backward, groups, shares, 1, lx_tensor_count(dy), args, error, &gradient, &places,
                   dweight))
            lx_tensor_free(dweight);
    }
    lx_tensor_free(&gradient);
    lx_tensor_free(&places);
    return error->code;
}
