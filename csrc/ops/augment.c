/* Batches out of a set of images in memory. */
#include "../../kernels/augment.h"

#include <stdlib.h>

#include "nn.h"

LX_KERNEL(augment, augment);

static lx_code check(const lx_tensor *images, const lx_tensor *indices, const lx_tensor *maps, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (images->ndim != 4 || images->dtype != LX_UINT8)
        return lx_fail(error, LX_EARG, "augment_batch: images must be uint8 [N,C,H,W], got %s %s",
                       lx_dtype_name(images->dtype), lx_shape_text(images->ndim, images->shape, text));
    if (indices->ndim != 1 || indices->dtype != LX_INT32)
        return lx_fail(error, LX_EARG, "augment_batch: indices must be int32 [B], got %s %s",
                       lx_dtype_name(indices->dtype), lx_shape_text(indices->ndim, indices->shape, text));
    if (maps->ndim != 2 || maps->dtype != LX_FLOAT32 || maps->shape[0] != indices->shape[0] || maps->shape[1] != 6)
        return lx_fail(error, LX_EARG, "augment_batch: maps must be float32 [%ld,6], got %s %s", indices->shape[0],
                       lx_dtype_name(maps->dtype), lx_shape_text(maps->ndim, maps->shape, text));
    return LX_OK;
}

/* Keeps a wrong index from reading past the images. Indices are few, and without a wait for those on the cpu. */
static lx_code check_indices(const lx_tensor *indices, long images, lx_error *error)
{
    const long count = indices->shape[0];
    const lx_argument from = lx_argument_of(indices);
    int32_t *values = malloc(sizeof *values * (size_t)(count ? count : 1));
    if (!values)
        return lx_fail(error, LX_ENOMEM, "out of memory");
    lx_storage_read(from.storage, from.offset, values, sizeof *values * (size_t)count, error);
    for (long i = 0; i < count && !error->code; i++)
        if (values[i] < 1 || values[i] > images)
            lx_fail(error, LX_EARG, "augment_batch: index %d is out of range, there are %ld images", values[i], images);
    free(values);
    return error->code;
}

lx_code lx_augment_batch(lx_tensor *out, const lx_tensor *images, const lx_tensor *indices, const lx_tensor *maps,
                         double scale, double bias, lx_error *error)
{
    lx_tensor all = {0}, listed = {0}, which = {0}, how = {0};
    if (check(images, indices, maps, error))
        return error->code;
    const long *s = images->shape;
    const long shape[] = {indices->shape[0], s[1], s[2], s[3]};
    const augment_args args = {s[1], s[2], s[3], (float)scale, (float)bias};
    lx_device *device = images->storage->device;
    if (!lx_contiguous(&all, images, error) && !lx_contiguous(&listed, indices, error) &&
        !check_indices(&listed, s[0], error) && !lx_place(&which, &listed, device, error) &&
        !lx_place(&how, maps, device, error) && !lx_tensor_new(out, device, LX_FLOAT32, 4, shape, error) &&
        LX_RUN(k_augment, s[3], s[2], shape[0] * s[1], (double)(shape[0] * s[1] * s[2] * s[3]) * 40, args, error, &all,
               &which, &how, out))
        lx_tensor_free(out);
    lx_tensor_free(&all);
    lx_tensor_free(&listed);
    lx_tensor_free(&which);
    lx_tensor_free(&how);
    return error->code;
}
