/* Between the plain and the blocked layout. */
#include "../../kernels/layout.h"
#include "ops.h"

LX_KERNEL(layout, to_blocked);
LX_KERNEL(layout, to_plain);

static lx_code check_images(const char *function, const lx_tensor *in, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (in->ndim == 4 && in->dtype == LX_FLOAT32)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: expected float32 [N,C,H,W], got %s %s", function, lx_dtype_name(in->dtype),
                   lx_shape_text(in->ndim, in->shape, text));
}

/* The parameters for a plain tensor beside a blocked one. A plane without gaps is taken as one long row. */
static layout_args arguments_of(const lx_tensor *plain)
{
    layout_args args = {.image = plain->stride[0],
                        .channel = plain->stride[1],
                        .row = plain->stride[2],
                        .column = plain->shape[3] == 1 ? 1 : plain->stride[3],
                        .channels = (int)plain->shape[1],
                        .height = (int)plain->shape[2],
                        .width = (int)plain->shape[3]};
    if (args.column == 1 && args.row == args.width && plain->shape[2] * plain->shape[3] < 1L << 30) {
        args.width *= args.height;
        args.height = 1;
    }
    return args;
}

static lx_code convert(const lx_kernel *kernel, const lx_tensor *from, const lx_tensor *to, const lx_tensor *plain,
                       lx_error *error)
{
    const layout_args args = arguments_of(plain);
    const long lanes = from->storage->device->lanes;
    const long pieces = lx_ceil_div(args.width, lanes), blocks = lx_ceil_div(plain->shape[1], lanes);
    return LX_RUN(*kernel, pieces, args.height, plain->shape[0] * blocks, lx_tensor_count(plain), args, error, from,
                  to);
}

lx_code lx_to_blocked(lx_tensor *out, const lx_tensor *in, lx_error *error)
{
    if (check_images("to_blocked", in, error))
        return error->code;
    if (in->block) {
        lx_tensor_share(out, in);
        return LX_OK;
    }
    lx_tensor blocked = {0};
    if (lx_tensor_new_blocked(&blocked, in->storage->device, in->shape, error))
        return error->code;
    if (convert(&k_to_blocked, in, &blocked, in, error)) {
        lx_tensor_free(&blocked);
        return error->code;
    }
    *out = blocked;
    return LX_OK;
}

lx_code lx_to_plain(lx_tensor *out, const lx_tensor *in, lx_error *error)
{
    if (!in->block) {
        lx_tensor_share(out, in);
        return LX_OK;
    }
    lx_tensor plain = {0};
    if (lx_tensor_new(&plain, in->storage->device, LX_FLOAT32, 4, in->shape, error))
        return error->code;
    if (convert(&k_to_plain, in, &plain, &plain, error)) {
        lx_tensor_free(&plain);
        return error->code;
    }
    *out = plain;
    return LX_OK;
}
