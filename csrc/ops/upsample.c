/* Resizing of images, as torch.nn.functional.interpolate defines it. */
#include "../../kernels/upsample.h"

#include <limits.h>

#include "layers.h"
#include "ops.h"

LX_KERNEL(upsample, upsample_nearest);
LX_KERNEL(upsample, upsample_nearest_blocked);
LX_KERNEL(upsample, upsample_bilinear);
LX_KERNEL(upsample, upsample_nearest_backward);
LX_KERNEL(upsample, upsample_nearest_backward_blocked);
LX_KERNEL(upsample, upsample_bilinear_backward);

static lx_code check_side(const char *function, const char *what, long height, long width, lx_error *error)
{
    if (height >= 1 && width >= 1 && height <= INT_MAX / 4 && width <= INT_MAX / 4)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: the size of the %s should be at least {1, 1}, got {%ld, %ld}", function, what,
                   height, width);
}

/* From an image of one size to a result of another. */
static upsample_args args_of(const long from[2], const long to[2], lx_upsampling how)
{
    upsample_args args = {.half_pixel = how == LX_BILINEAR};
    for (int i = 0; i < 2; i++) {
        args.size[i] = (int)from[i];
        args.out[i] = (int)to[i];
        if (how != LX_BILINEAR_CORNERS)
            args.scale[i] = (float)from[i] / (float)to[i];
        else if (to[i] > 1)
            args.scale[i] = (float)(from[i] - 1) / (float)(to[i] - 1);
    }
    return args;
}

/* Resizes `in` with the kernel, of which each work-item makes a row, to another height and width. */
static lx_code run(lx_tensor *out, const lx_kernel *kernel, const lx_tensor *in, const long size[2],
                   const upsample_args *args, lx_error *error)
{
    lx_tensor dense = {0};
    lx_device *device = in->storage->device;
    const long shape[4] = {in->shape[0], in->shape[1], size[0], size[1]};
    const long planes = shape[0] * (in->block ? lx_ceil_div(shape[1], in->block) : shape[1]);
    if (in->block)
        lx_tensor_share(&dense, in);
    else if (lx_dense_float(&dense, in, error))
        return error->code;
    if (!(in->block ? lx_tensor_new_blocked(out, device, shape, error)
                    : lx_tensor_new(out, device, LX_FLOAT32, 4, shape, error))) {
        const double work = 8 * ((double)lx_tensor_count(in) + (double)lx_tensor_count(out));
        if (LX_RUN(*kernel, size[0], planes, 1, work, *args, error, &dense, out))
            lx_tensor_free(out);
    }
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_upsample2d(lx_tensor *out, const lx_tensor *x, const long size[2], lx_upsampling how, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    const char *function = how == LX_NEAREST ? "upsample_nearest2d" : "upsample_bilinear2d";
    if (x->ndim != 4)
        return lx_fail(error, LX_EARG, "%s: input should be [N,C,H,W], got %s", function,
                       lx_shape_text(x->ndim, x->shape, text));
    if (check_side(function, "input", x->shape[2], x->shape[3], error) ||
        check_side(function, "result", size[0], size[1], error))
        return error->code;
    const upsample_args args = args_of(x->shape + 2, size, how);
    const lx_kernel *nearest = x->block ? &k_upsample_nearest_blocked : &k_upsample_nearest;
    return run(out, how == LX_NEAREST ? nearest : &k_upsample_bilinear, x, size, &args, error);
}

lx_code lx_upsample2d_backward(lx_tensor *dx, const lx_tensor *dy, const long size[2], lx_upsampling how,
                               lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    const char *function = how == LX_NEAREST ? "upsample_nearest2d_backward" : "upsample_bilinear2d_backward";
    if (dy->ndim != 4)
        return lx_fail(error, LX_EARG, "%s: dy should be [N,C,H,W], got %s", function,
                       lx_shape_text(dy->ndim, dy->shape, text));
    if (check_side(function, "result", dy->shape[2], dy->shape[3], error) ||
        check_side(function, "input", size[0], size[1], error))
        return error->code;
    const upsample_args args = args_of(size, dy->shape + 2, how);
    const lx_kernel *nearest = dy->block ? &k_upsample_nearest_backward_blocked : &k_upsample_nearest_backward;
    return run(dx, how == LX_NEAREST ? nearest : &k_upsample_bilinear_backward, dy, size, &args, error);
}
