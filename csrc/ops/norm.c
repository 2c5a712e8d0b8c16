/* Normalisation: per channel over a batch, and per row. */
#include "../../kernels/activation.h"
#include "forms.h"
#include "layers.h"
#include "ops.h"

LX_KERNEL(norm, row_norm);
LX_KERNEL(norm, row_norm_backward);
LX_SIMT_KERNEL(norm, row_norm_groups, 1);
LX_SIMT_KERNEL(norm, row_norm_backward_groups, 3);

/* ---- per channel ---------------------------------------------------------------------------------------------- */

static lx_code check_channels(const char *function, const lx_tensor *x, batch_norm_args *args, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (x->ndim < 2)
        return lx_fail(error, LX_EARG, "%s: input should be [N,C,...], got %s", function,
                       lx_shape_text(x->ndim, x->shape, text));
    args->images = x->shape[0];
    args->channels = x->shape[1];
    args->size = 1;
    for (int i = 2; i < x->ndim; i++)
        args->size *= x->shape[i];
    args->stored = x->block ? lx_ceil_div(args->channels, x->block) * x->block : args->channels;
    return LX_OK;
}

/* Makes `dense` of a tensor of one number a channel; NULL leaves it empty. */
static lx_code take_vector(lx_tensor *dense, const char *function, const char *argument, const lx_tensor *vector,
                           const lx_tensor *x, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (!vector)
        return LX_OK;
    if (vector->ndim != 1 || vector->shape[0] != x->shape[1])
        return lx_fail(error, LX_EARG, "%s: %s should be [%ld], got %s (input %s)", function, argument, x->shape[1],
                       lx_shape_text(vector->ndim, vector->shape, left), lx_shape_text(x->ndim, x->shape, right));
    if (lx_same_device(function, x, vector, error))
        return error->code;
    return lx_dense_float(dense, vector, error);
}

static lx_code new_vector(lx_tensor *out, const lx_tensor *x, long size, lx_error *error)
{
    return lx_tensor_new(out, x->storage->device, LX_FLOAT32, 1, &size, error);
}

/* Dense numbers in the layout of x. */
static lx_code take_like(lx_tensor *out, const lx_tensor *in, const lx_tensor *x, lx_error *error)
{
    lx_tensor plain = {0};
    if (x->block)
        return lx_to_blocked(out, in, error);
    if (!lx_to_plain(&plain, in, error))
        lx_dense_float(out, &plain, error);
    lx_tensor_free(&plain);
    return error->code;
}

static lx_code new_like(lx_tensor *out, const lx_tensor *x, lx_error *error)
{
    if (x->block)
        return lx_tensor_new_blocked(out, x->storage->device, x->shape, error);
    return lx_tensor_new(out, x->storage->device, LX_FLOAT32, x->ndim, x->shape, error);
}

lx_code lx_batch_norm_stats(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, lx_error *error)
{
    batch_norm_args args = {0};
    lx_tensor dense = {0};
    if (check_channels("batch_norm_stats", x, &args, error))
        return error->code;
    if (take_like(&dense, x, x, error) || new_vector(mean, x, args.channels, error) ||
        new_vector(var, x, args.channels, error) ||
        lx_form_ops_of(x)->batch_norm->stats(mean, var, &dense, &args, error)) {
        lx_tensor_free(mean);
        lx_tensor_free(var);
    }
    lx_tensor_free(&dense);
    return error->code;
}

/* Activations are applied and addends added in the blocked layout: has *x be `blocked`, made of it, if something
 * `needs` that layout and it has another. */
static lx_code settle_layout(const lx_tensor **x, lx_tensor *blocked, bool needs, lx_error *error)
{
    if (!needs || (*x)->block)
        return LX_OK;
    if (!lx_to_blocked(blocked, *x, error))
        *x = blocked;
    return error->code;
}

lx_code lx_batch_norm(lx_tensor *out, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                      const lx_tensor *weight, const lx_tensor *bias, const lx_tensor *addend, double eps,
                      int activation, lx_error *error)
{
    static const char *const function = "batch_norm_apply";
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    batch_norm_args args = {.eps = (float)eps,
                            .has_weight = weight != NULL,
                            .has_bias = bias != NULL,
                            .activation = activation,
                            .has_addend = addend != NULL};
    lx_tensor dense = {0}, m = {0}, v = {0}, w = {0}, b = {0}, a = {0}, blocked = {0};
    if (addend && !lx_same_shape(x, addend))
        return lx_fail(error, LX_EARG, "%s: addend should have the shape of x, %s, got %s", function,
                       lx_shape_text(x->ndim, x->shape, left), lx_shape_text(addend->ndim, addend->shape, right));
    if ((addend && lx_same_device(function, x, addend, error)) ||
        settle_layout(&x, &blocked, activation != ACTIVATION_none || addend, error) ||
        check_channels(function, x, &args, error) || (addend && take_like(&a, addend, x, error)))
        goto done;
    if (!take_vector(&m, function, "mean", mean, x, error) && !take_vector(&v, function, "var", var, x, error) &&
        !take_vector(&w, function, "weight", weight, x, error) && !take_vector(&b, function, "bias", bias, x, error) &&
        !take_like(&dense, x, x, error) && !new_like(out, x, error) &&
        lx_form_ops_of(x)->batch_norm->apply(out, &dense, &m, &v, weight ? &w : NULL, bias ? &b : NULL,
                                             addend ? &a : NULL, &args, error))
        lx_tensor_free(out);
done:
    lx_tensor_free(&blocked);
    lx_tensor_free(&a);
    lx_tensor_free(&dense);
    lx_tensor_free(&m);
    lx_tensor_free(&v);
    lx_tensor_free(&w);
    lx_tensor_free(&b);
    return error->code;
}

lx_code lx_batch_norm_backward(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy,
                               const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight,
                               const lx_tensor *bias, double eps, int activation, bool training, lx_error *error)
{
    static const char *const function = "batch_norm_backward";
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    batch_norm_args args = {.eps = (float)eps,
                            .has_weight = weight != NULL,
                            .has_bias = bias != NULL,
                            .training = training,
                            .activation = activation};
    lx_tensor input = {0}, gradient = {0}, m = {0}, v = {0}, w = {0}, b = {0}, blocked = {0};
    if (!lx_same_shape(x, dy))
        return lx_fail(error, LX_EARG, "%s: dy should have the shape of x, %s, got %s", function,
                       lx_shape_text(x->ndim, x->shape, left), lx_shape_text(dy->ndim, dy->shape, right));
    if (lx_same_device(function, x, dy, error) || settle_layout(&x, &blocked, activation != ACTIVATION_none, error) ||
        check_channels(function, x, &args, error) || take_vector(&m, function, "mean", mean, x, error) ||
        take_vector(&v, function, "var", var, x, error) || take_vector(&w, function, "weight", weight, x, error) ||
        take_vector(&b, function, "bias", bias, x, error) || take_like(&input, x, x, error) ||
        take_like(&gradient, dy, x, error) || new_vector(dbias, x, args.channels, error) ||
        new_vector(dweight, x, args.channels, error) || new_like(dx, x, error) ||
        lx_form_ops_of(x)->batch_norm->backward(dx, dweight, dbias, &gradient, &input, &m, &v, weight ? &w : NULL,
                                                bias ? &b : NULL, &args, error)) {
        lx_tensor_free(dx);
        lx_tensor_free(dweight);
        lx_tensor_free(dbias);
    }
    lx_tensor_free(&blocked);
    lx_tensor_free(&input);
    lx_tensor_free(&gradient);
    lx_tensor_free(&m);
    lx_tensor_free(&v);
    lx_tensor_free(&w);
    lx_tensor_free(&b);
    return error->code;
}

/* ---- per row -------------------------------------------------------------------------------------------------- */

static const lx_row_operation row_norm = {"row_norm", {&k_row_norm, &k_row_norm_groups}};
static const lx_row_operation row_norm_backward = {"row_norm_backward",
                                                   {&k_row_norm_backward, &k_row_norm_backward_groups}};

/* Each has four buffers. */
static lx_code run_rows(const lx_row_operation *operation, const lx_tensor *x, double eps,
                        const lx_tensor *const *tensors, lx_error *error)
{
    return lx_form_ops_of(x)->run_rows(operation, x->shape[0], x->shape[1], eps, 4 * (double)lx_tensor_count(x),
                                       tensors, 4, error);
}

lx_code lx_row_norm(lx_tensor *out, lx_tensor *mean, lx_tensor *rstd, const lx_tensor *x, double eps, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    lx_tensor dense = {0};
    if (x->ndim != 2)
        return lx_fail(error, LX_EARG, "row_norm: input should be [R,D], got %s",
                       lx_shape_text(x->ndim, x->shape, text));
    const long rows = x->shape[0];
    if (lx_dense_float(&dense, x, error) || new_vector(mean, x, rows, error) || new_vector(rstd, x, rows, error) ||
        lx_tensor_new(out, x->storage->device, LX_FLOAT32, 2, x->shape, error) ||
        run_rows(&row_norm, x, eps, (const lx_tensor *const[]){&dense, out, mean, rstd}, error)) {
        lx_tensor_free(out);
        lx_tensor_free(mean);
        lx_tensor_free(rstd);
    }
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_row_norm_backward(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *y, const lx_tensor *rstd,
                             lx_error *error)
{
    static const char *const function = "row_norm_backward";
    char dy_text[LX_SHAPE_TEXT], y_text[LX_SHAPE_TEXT], rstd_text[LX_SHAPE_TEXT];
    lx_tensor gradient = {0}, normal = {0}, scale = {0};
    if (y->ndim != 2 || !lx_same_shape(y, dy) || rstd->ndim != 1 || rstd->shape[0] != y->shape[0])
        return lx_fail(error, LX_EARG, "%s: dy and y should be [R,D] and rstd [R], got %s, %s and %s", function,
                       lx_shape_text(dy->ndim, dy->shape, dy_text), lx_shape_text(y->ndim, y->shape, y_text),
                       lx_shape_text(rstd->ndim, rstd->shape, rstd_text));
    if (lx_same_device(function, y, dy, error) || lx_same_device(function, y, rstd, error))
        return error->code;
    if (!lx_dense_float(&gradient, dy, error) && !lx_dense_float(&normal, y, error) &&
        !lx_dense_float(&scale, rstd, error) &&
        !lx_tensor_new(dx, y->storage->device, LX_FLOAT32, 2, y->shape, error) &&
        run_rows(&row_norm_backward, y, 0, (const lx_tensor *const[]){&gradient, &normal, &scale, dx}, error))
        lx_tensor_free(dx);
    lx_tensor_free(&gradient);
    lx_tensor_free(&normal);
    lx_tensor_free(&scale);
    return error->code;
}
