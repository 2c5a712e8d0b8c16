/* What every operation does last: launch a kernel on tensors. */
#include "ops.h"

lx_code lx_run(const lx_kernel *kernel, const long size[3], double work, const void *params, size_t params_size,
               const lx_tensor *const *tensors, int count, lx_error *error)
{
    lx_launch launch = {.kernel = kernel,
                        .size = {size[0], size[1], size[2]},
                        .params = params,
                        .params_size = params_size,
                        .count = count,
                        .work = work};
    for (int i = 0; i < count; i++)
        launch.arguments[i] = tensors[i] ? lx_argument_of(tensors[i]) : (lx_argument){NULL, 0};
    lx_device *device = tensors[0]->storage->device;
    return device->runtime->launch(device, &launch, error);
}

lx_code lx_same_device(const char *function, const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    if (a->storage->device == b->storage->device)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: tensors are on different devices, %s and %s; move one with :to(device)", function,
                   a->storage->device->name, b->storage->device->name);
}
