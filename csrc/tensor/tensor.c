#include "tensor.h"

#include <stdint.h>
#include <stdio.h>

#include "../base/count.h"

size_t lx_dtype_size(lx_dtype dtype)
{
    static const size_t sizes[] = {4, 1, 4};
    LX_ASSERT_ROWS(sizes, LX_DTYPES);
    return sizes[dtype];
}

const char *lx_dtype_name(lx_dtype dtype)
{
    static const char *const names[] = {"float32", "uint8", "int32"};
    LX_ASSERT_ROWS(names, LX_DTYPES);
    return names[dtype];
}

const char *lx_shape_text(int ndim, const long *shape, char *buffer)
{
    int used = snprintf(buffer, LX_SHAPE_TEXT, "[");
    for (int i = 0; i < ndim; i++)
        used += snprintf(buffer + used, (size_t)(LX_SHAPE_TEXT - used), i ? ",%ld" : "%ld", shape[i]);
    snprintf(buffer + used, (size_t)(LX_SHAPE_TEXT - used), "]");
    return buffer;
}

long lx_shape_count(int ndim, const long *shape)
{
    long count = 1;
    bool empty = false;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0 || (shape[i] > 0 && __builtin_mul_overflow(count, shape[i], &count)) || count > INT64_MAX / 64)
            return -1;
        empty |= shape[i] == 0;
    }
    return empty ? 0 : count;
}

/* Takes storage for `count` elements and sets all but the shape. An empty tensor still has a (tiny) storage. */
static lx_code start(lx_tensor *out, lx_device *device, lx_dtype dtype, int ndim, long count, lx_error *error)
{
    LX_ASSERT(!out->storage); /* else what it holds is never released */
    const size_t bytes = (size_t)(count ? count : 1) * lx_dtype_size(dtype);
    lx_storage *storage = lx_storage_new(device, bytes, error);
    if (!storage)
        return error->code;
    out->storage = storage;
    out->offset = 0;
    out->ndim = ndim;
    out->dtype = dtype;
    out->block = 0;
    return LX_OK;
}

static lx_code check_shape(int ndim, const long *shape, long *count, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    *count = 0;
    if (ndim > LX_MAX_DIMS)
        return lx_fail(error, LX_EARG, "a tensor has at most %d dimensions, asked for %d", LX_MAX_DIMS, ndim);
    *count = lx_shape_count(ndim, shape);
    if (*count < 0)
        return lx_fail(error, LX_EARG, "cannot make a tensor of shape %s", lx_shape_text(ndim, shape, text));
    return LX_OK;
}

/* Rows one behind the other, without gaps. */
static void set_shape(lx_tensor *out, int ndim, const long *shape)
{
    long stride = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        out->shape[i] = shape[i];
        out->stride[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
    }
}

lx_code lx_tensor_new(lx_tensor *out, lx_device *device, lx_dtype dtype, int ndim, const long *shape, lx_error *error)
{
    long count;
    if (check_shape(ndim, shape, &count, error) || start(out, device, dtype, ndim, count, error))
        return error->code;
    set_shape(out, ndim, shape);
    return LX_OK;
}

void lx_tensor_over(lx_tensor *out, lx_storage *storage, lx_dtype dtype, int ndim, const long *shape)
{
    *out = (lx_tensor){.storage = storage, .ndim = ndim, .dtype = dtype};
    set_shape(out, ndim, shape);
}

lx_code lx_tensor_new_blocked(lx_tensor *out, lx_device *device, const long shape[4], lx_error *error)
{
    const long block = device->lanes;
    long count;
    long stored[4] = {shape[0], lx_ceil_div(shape[1], block) * block, shape[2], shape[3]};
    if (check_shape(4, stored, &count, error) || start(out, device, LX_FLOAT32, 4, count, error))
        return error->code;
    out->block = (int)block;
    for (int i = 0; i < 4; i++) {
        out->shape[i] = shape[i];
        out->stride[i] = 0;
    }
    return LX_OK;
}

void lx_tensor_share(lx_tensor *out, const lx_tensor *from)
{
    LX_ASSERT(!out->storage ||
              (out->storage == from->storage && out->offset == from->offset && out->block == from->block));
    lx_storage_retain(from->storage);
    *out = *from;
}

void lx_tensor_free(lx_tensor *tensor)
{
    lx_storage *storage = tensor->storage;
    tensor->storage = NULL;
    lx_storage_release(storage);
}

long lx_tensor_count(const lx_tensor *tensor)
{
    long count = 1;
    for (int i = 0; i < tensor->ndim; i++)
        count *= tensor->shape[i];
    return count;
}

bool lx_tensor_dense(const lx_tensor *tensor)
{
    if (tensor->block)
        return false;
    long stride = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        if (tensor->shape[i] == 0)
            return true;
        if (tensor->shape[i] != 1 && tensor->stride[i] != stride)
            return false;
        stride *= tensor->shape[i];
    }
    return true;
}

bool lx_same_shape(const lx_tensor *a, const lx_tensor *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

lx_tensor lx_as_stored(const lx_tensor *tensor)
{
    lx_tensor view = *tensor;
    if (!tensor->block)
        return view;
    LX_ASSERT(tensor->offset == 0);
    const long *shape = tensor->shape, block = tensor->block;
    view.block = 0;
    set_shape(&view, 5, (const long[]){shape[0], lx_ceil_div(shape[1], block), shape[2], shape[3], block});
    view.ndim = 5;
    return view;
}

lx_argument lx_argument_of(const lx_tensor *tensor)
{
    return (lx_argument){tensor->storage, (size_t)tensor->offset * lx_dtype_size(tensor->dtype)};
}
