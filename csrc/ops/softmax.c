/* Softmax over the last dimension, its logarithm, and their gradients. */
#include "forms.h"
#include "layers.h"
#include "ops.h"

LX_KERNEL(softmax, softmax);
LX_KERNEL(softmax, log_softmax);
LX_KERNEL(softmax, softmax_backward);
LX_KERNEL(softmax, log_softmax_backward);
LX_SIMT_KERNEL(softmax, softmax_groups, 1);
LX_SIMT_KERNEL(softmax, log_softmax_groups, 1);
LX_SIMT_KERNEL(softmax, softmax_backward_groups, 2);
LX_SIMT_KERNEL(softmax, log_softmax_backward_groups, 2);

enum { EXP_WORK = 8 }; /* what an exponential costs, in arithmetic operations */

static long rows_of(const lx_tensor *x)
{
    long rows = 1;
    for (int i = 0; i < x->ndim - 1; i++)
        rows *= x->shape[i];
    return rows;
}

static lx_code run(const lx_row_operation *what, const lx_tensor *x, const lx_tensor *const *tensors, int count,
                   lx_error *error)
{
    return lx_form_ops_of(x)->run_rows(what, rows_of(x), x->shape[x->ndim - 1], 0,
                                       EXP_WORK * (double)lx_tensor_count(x), tensors, count, error);
}

static lx_code forward(lx_tensor *out, const lx_row_operation *what, const lx_tensor *x, lx_error *error)
{
    lx_tensor dense = {0};
    if (x->ndim < 1)
        return lx_fail(error, LX_EARG, "%s: input should have at least 1 dimension, got a single number", what->name);
    if (!lx_dense_float(&dense, x, error) &&
        !lx_tensor_new(out, x->storage->device, LX_FLOAT32, x->ndim, x->shape, error) &&
        run(what, x, (const lx_tensor *const[]){&dense, out}, 2, error))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    return error->code;
}

static lx_code backward(lx_tensor *dx, const lx_row_operation *what, const lx_tensor *y, const lx_tensor *dy,
                        lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    lx_tensor result = {0}, gradient = {0};
    if (y->ndim < 1 || !lx_same_shape(y, dy))
        return lx_fail(error, LX_EARG, "%s: y and dy should have one shape of at least 1 dimension, got %s and %s",
                       what->name, lx_shape_text(y->ndim, y->shape, left), lx_shape_text(dy->ndim, dy->shape, right));
    if (lx_same_device(what->name, y, dy, error))
        return error->code;
    if (!lx_dense_float(&result, y, error) && !lx_dense_float(&gradient, dy, error) &&
        !lx_tensor_new(dx, y->storage->device, LX_FLOAT32, y->ndim, y->shape, error) &&
        run(what, y, (const lx_tensor *const[]){&result, &gradient, dx}, 3, error))
        lx_tensor_free(dx);
    lx_tensor_free(&result);
    lx_tensor_free(&gradient);
    return error->code;
}

static const lx_row_operation softmax = {"softmax", {&k_softmax, &k_softmax_groups}};
static const lx_row_operation log_softmax = {"log_softmax", {&k_log_softmax, &k_log_softmax_groups}};
static const lx_row_operation softmax_backward = {"softmax_backward",
                                                  {&k_softmax_backward, &k_softmax_backward_groups}};
static const lx_row_operation log_softmax_backward = {"log_softmax_backward",
                                                      {&k_log_softmax_backward, &k_log_softmax_backward_groups}};

lx_code lx_softmax(lx_tensor *out, const lx_tensor *x, lx_error *error)
{
    return forward(out, &softmax, x, error);
}

lx_code lx_log_softmax(lx_tensor *out, const lx_tensor *x, lx_error *error)
{
    return forward(out, &log_softmax, x, error);
}

lx_code lx_softmax_backward(lx_tensor *dx, const lx_tensor *y, const lx_tensor *dy, lx_error *error)
{
    return backward(dx, &softmax_backward, y, dy, error);
}

lx_code lx_log_softmax_backward(lx_tensor *dx, const lx_tensor *y, const lx_tensor *dy, lx_error *error)
{
    return backward(dx, &log_softmax_backward, y, dy, error);
}
