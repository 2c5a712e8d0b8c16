/* Losses that need a kernel of their own; the others are composed in Lua. */
#include "../../kernels/loss.h"

#include "nn.h"
#include "reduce.h"

LX_KERNEL(loss, bce_with_logits);
LX_KERNEL(loss, bce_with_logits_backward);

static lx_code check(const lx_tensor *x, const lx_tensor *target, const lx_tensor *weights, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (!lx_same_shape(x, target))
        return lx_fail(error, LX_EARG, "binary_cross_entropy_with_logits: logits are %s, targets %s",
                       lx_shape_text(x->ndim, x->shape, left), lx_shape_text(target->ndim, target->shape, right));
    if (weights && (x->ndim < 1 || weights->ndim != 1 || weights->shape[0] != x->shape[x->ndim - 1]))
        return lx_fail(error, LX_EARG, "binary_cross_entropy_with_logits: pos_weight is %s, logits are %s",
                       lx_shape_text(weights->ndim, weights->shape, left), lx_shape_text(x->ndim, x->shape, right));
    if (weights && lx_same_device("binary_cross_entropy_with_logits", x, weights, error))
        return error->code;
    return lx_same_device("binary_cross_entropy_with_logits", x, target, error);
}

static lx_code run_bce(const lx_kernel *kernel, lx_tensor *out, const lx_tensor *x, const lx_tensor *target,
                       const lx_tensor *weights, double weight, lx_error *error)
{
    lx_tensor logits = {0}, labels = {0}, dense = {0};
    if (check(x, target, weights, error))
        return error->code;
    const bce_args args = {.columns = weights ? weights->shape[0] : 0, .pos_weight = (float)weight};
    if (!lx_dense_float(&logits, x, error) && !lx_dense_float(&labels, target, error) &&
        (!weights || !lx_dense_float(&dense, weights, error)) &&
        !lx_tensor_new(out, x->storage->device, LX_FLOAT32, x->ndim, x->shape, error)) {
        const long count = lx_tensor_count(x);
        if (LX_RUN(*kernel, count, 1, 1, count * 20, args, error, &logits, &labels, weights ? &dense : NULL, out))
            lx_tensor_free(out);
    }
    lx_tensor_free(&logits);
    lx_tensor_free(&labels);
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_bce_with_logits(lx_tensor *out, const lx_tensor *x, const lx_tensor *target, const lx_tensor *weights,
                           double weight, lx_error *error)
{
    return run_bce(&k_bce_with_logits, out, x, target, weights, weight, error);
}

lx_code lx_bce_with_logits_backward(lx_tensor *out, const lx_tensor *x, const lx_tensor *target,
                                    const lx_tensor *weights, double weight, lx_error *error)
{
    return run_bce(&k_bce_with_logits_backward, out, x, target, weights, weight, error);
}
