/* Local response normalisation of x [N,C,...]. Numbers: the size of the window, alpha, beta, k. */
#include "../../../kernels/local_response_norm.h"

#include "../layer_table.h"

LX_KERNEL(local_response_norm, local_response_norm);
LX_KERNEL(local_response_norm, local_response_norm_backward);

static lx_code plan(const lx_tensor *x, const double *numbers, local_response_norm_args *args, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (x->ndim < 2)
        return lx_fail(error, LX_EARG, "local_response_norm: input should be [N,C,...], got %s",
                       lx_shape_text(x->ndim, x->shape, text));
    if (!(numbers[0] >= 1 && numbers[0] <= 1 << 30))
        return lx_fail(error, LX_EARG, "local_response_norm: size should be at least 1, got %g", numbers[0]);
    const long size = (long)numbers[0];
    *args = (local_response_norm_args){.channels = x->shape[1],
                                       .pixels = 1,
                                       .before = size / 2,
                                       .after = (size - 1) / 2,
                                       .share = (float)(numbers[1] / (double)size),
                                       .beta = (float)numbers[2],
                                       .k = (float)numbers[3]};
    for (int i = 2; i < x->ndim; i++)
        args->pixels *= x->shape[i];
    return LX_OK;
}

/* What each element costs: the window, and powers. */
static double work_of(const lx_tensor *x, const local_response_norm_args *args, int powers)
{
    const double window = (double)(args->before + args->after + 1), channels = (double)args->channels;
    return (double)lx_tensor_count(x) * (2 * (window < channels ? window : channels) + 20.0 * powers);
}

static lx_code forward(lx_tensor *const *results, const lx_tensor *const *inputs, const double *numbers,
                       lx_error *error)
{
    const lx_tensor *x = inputs[0];
    lx_device *device = x->storage->device;
    local_response_norm_args args;
    lx_tensor dense = {0};
    if (plan(x, numbers, &args, error) || lx_dense_float(&dense, x, error))
        return error->code;
    for (int i = 0; i < 2 && !error->code; i++)
        lx_tensor_new(results[i], device, LX_FLOAT32, x->ndim, x->shape, error);
    if (!error->code)
        LX_RUN(k_local_response_norm, args.pixels, args.channels, x->shape[0], work_of(x, &args, 1), args, error,
               &dense, results[0], results[1]);
    for (int i = 0; i < 2 && error->code; i++)
        lx_tensor_free(results[i]);
    lx_tensor_free(&dense);
    return error->code;
}

static lx_code backward(lx_tensor *const *gradients, const lx_tensor *dy, const lx_tensor *const *inputs,
                        const double *numbers, lx_error *error)
{
    const lx_tensor *x = inputs[0];
    local_response_norm_args args;
    lx_tensor dense[3] = {{0}, {0}, {0}};
    if (!gradients[0] || plan(x, numbers, &args, error))
        return error->code;
    if (!lx_same_shape(x, dy) || !lx_same_shape(x, inputs[1]))
        return lx_fail(error, LX_EARG, "local_response_norm_backward: dy and scale should have the shape of the input");
    if (!lx_dense_float(&dense[0], dy, error) && !lx_dense_float(&dense[1], x, error) &&
        !lx_dense_float(&dense[2], inputs[1], error) &&
        !lx_tensor_new(gradients[0], x->storage->device, LX_FLOAT32, x->ndim, x->shape, error) &&
        LX_RUN(k_local_response_norm_backward, args.pixels, args.channels, x->shape[0],
               work_of(x, &args, (int)(args.before + args.after + 2)), args, error, &dense[0], &dense[1], &dense[2],
               gradients[0]))
        lx_tensor_free(gradients[0]);
    for (int i = 0; i < 3; i++)
        lx_tensor_free(&dense[i]);
    return error->code;
}

extern const lx_layer lx_layer_local_response_norm;
const lx_layer lx_layer_local_response_norm = {"local_response_norm", 1, 1, 4, forward, backward};
