/* What every operation does last: launch a kernel on tensors. */
#include "ops.h"

/* What a kernel reads and writes if it touches each tensor once; of a repeated one, what there is of it. */
static double bytes_of(const lx_tensor *const *tensors, int count)
{
    double bytes = 0;
    for (int i = 0; i < count; i++) {
        if (!tensors[i])
            continue;
        const double all = (double)lx_tensor_count(tensors[i]) * (double)lx_dtype_size(tensors[i]->dtype);
        const double stored = (double)tensors[i]->storage->bytes;
        bytes += all < stored && !tensors[i]->block ? all : stored;
    }
    return bytes;
}

/* Whether a tensor is inside its storage: a blocked one all of it, in whole blocks of the device's lanes. Of a plain
 * one its first element is, for a tensor of many dimensions is launched part by part, from where each part starts. */
static bool fits_storage(const lx_tensor *tensor)
{
    const long elements = (long)(tensor->storage->bytes / lx_dtype_size(tensor->dtype));
    if (!tensor->block)
        return lx_tensor_count(tensor) == 0 || (tensor->offset >= 0 && tensor->offset < elements);
    const long channels = lx_ceil_div(tensor->shape[1], tensor->block) * tensor->block;
    return tensor->block == tensor->storage->device->lanes && tensor->ndim == 4 && tensor->dtype == LX_FLOAT32 &&
           tensor->offset == 0 && tensor->shape[0] * channels * tensor->shape[2] * tensor->shape[3] <= elements;
}

/* What every launch relies on: a kernel of its device's kind, and tensors of one device, each inside its storage. */
static void check_launch(const lx_launch *launch, const lx_tensor *const *tensors)
{
    LX_ASSERT(launch->count >= 1 && launch->count <= LX_MAX_ARGUMENTS && tensors[0]);
    LX_ASSERT((launch->kernel->native[LX_ISA_BASE] == NULL) == (launch->group[0] > 0));
    for (int i = 0; i < launch->count; i++) {
        if (!tensors[i])
            continue;
        LX_ASSERT(tensors[i]->storage && tensors[i]->storage->device == tensors[0]->storage->device);
        LX_ASSERT(fits_storage(tensors[i]));
    }
}

static lx_code launch_on(lx_launch *launch, const lx_tensor *const *tensors, lx_error *error)
{
    check_launch(launch, tensors);
    for (int i = 0; i < launch->count; i++)
        launch->arguments[i] = tensors[i] ? lx_argument_of(tensors[i]) : (lx_argument){NULL, 0};
    launch->bytes = bytes_of(tensors, launch->count);
    lx_device *device = tensors[0]->storage->device;
    bool done = false;
    if (device->recording && (lx_note_launch(device->recording, device, launch, &done, error) || done))
        return error->code;
    return lx_device_launch(device, launch, error);
}

lx_code lx_run_check(lx_check *check, const void *params, size_t params_size, const lx_tensor *const *tensors,
                     int count, lx_error *error)
{
    lx_argument arguments[LX_MAX_ARGUMENTS];
    lx_device *device = tensors[0]->storage->device;
    for (int i = 0; i < count; i++)
        arguments[i] = lx_argument_of(tensors[i]);
    if (device->recording)
        lx_note_check(device->recording, device, check, params, params_size, arguments, count);
    return check(params, arguments, error);
}

lx_code lx_run(const lx_kernel *kernel, const lx_build_options *options, const long size[3], double work,
               const void *params, size_t params_size, const lx_tensor *const *tensors, int count, lx_error *error)
{
    lx_launch launch = {.kernel = kernel,
                        .size = {size[0], size[1], size[2]},
                        .options = options ? *options : (lx_build_options){0},
                        .params = params,
                        .params_size = params_size,
                        .count = count,
                        .work = work};
    return launch_on(&launch, tensors, error);
}

lx_code lx_run_groups(const lx_kernel *kernel, const lx_build_options *options, const long groups[3],
                      const int group[3], double work, const void *params, size_t params_size,
                      const lx_tensor *const *tensors, int count, lx_error *error)
{
    lx_launch launch = {.kernel = kernel,
                        .size = {groups[0] * group[0], groups[1] * group[1], groups[2] * group[2]},
                        .group = {group[0], group[1], group[2]},
                        .options = options ? *options : (lx_build_options){0},
                        .params = params,
                        .params_size = params_size,
                        .count = count,
                        .work = work};
    return launch_on(&launch, tensors, error);
}

lx_code lx_same_device(const char *function, const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    if (a->storage->device == b->storage->device)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: tensors are on different devices, %s and %s; move one with :to(device)",
                   function, a->storage->device->name, b->storage->device->name);
}
