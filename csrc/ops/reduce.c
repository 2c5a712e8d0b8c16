/* Reductions: dimensions that are neighbours are reduced as one, the last such group first, as the form of the device
 * does. */
#include "../../kernels/reduce.h"

#include <string.h>

#include "exact.h"
#include "forms.h"
#include "ops.h"
#include "reduce.h"

LX_KERNEL(reduce, cumsum);
LX_KERNEL(reduce, valid_sums);
LX_KERNEL(reduce, valid_mean);

static const struct {
    const char *name;
    bool of_none; /* has a value for no elements */
} reductions[LX_REDUCTIONS] = {
    [LX_SUM] = {"sum", true}, [LX_PROD] = {"prod", true}, [LX_MAX] = {"max", false}, [LX_MIN] = {"min", false}};

static lx_code fail_name(const char *name, lx_error *error)
{
    return lx_fail(error, LX_EARG, "there is no reduction '%s'", name);
}

static lx_code find(lx_reduction *found, const char *name, lx_error *error)
{
    for (*found = LX_SUM; *found < LX_REDUCTIONS; (*found)++)
        if (strcmp(reductions[*found].name, name) == 0)
            return LX_OK;
    return fail_name(name, error);
}

lx_axis lx_axis_of(int ndim, const long *shape, int dim)
{
    lx_axis axis = {1, shape[dim], 1};
    for (int i = 0; i < dim; i++)
        axis.outer *= shape[i];
    for (int i = dim + 1; i < ndim; i++)
        axis.inner *= shape[i];
    return axis;
}

/* Makes *x, dense, which is freed, into the dense [outer][inner] of its reductions. */
static lx_code reduce_axis(lx_tensor *x, lx_reduction reduction, lx_axis axis, lx_error *error)
{
    lx_tensor all = *x;
    *x = (lx_tensor){0};
    lx_form_ops_of(&all)->reduce->reduce(x, reduction, &all, axis, error);
    lx_tensor_free(&all);
    return error->code;
}

/* Reduces *x, dense and of the given shape, group by group, and leaves sizes of 1 in the shape. */
static lx_code reduce_groups(lx_tensor *x, lx_reduction reduction, int ndim, long *shape, const bool *reduced,
                             lx_error *error)
{
    bool done = false;
    for (int last = ndim - 1; last >= 0; last--) {
        if (!reduced[last])
            continue;
        int first = last;
        lx_axis axis = lx_axis_of(ndim, shape, last);
        for (; first > 0 && (reduced[first - 1] || shape[first - 1] == 1); first--)
            axis.size *= shape[first - 1];
        axis.outer = 1;
        for (int i = 0; i < first; i++)
            axis.outer *= shape[i];
        if (reduce_axis(x, reduction, axis, error))
            return error->code;
        for (int i = first; i <= last; i++)
            shape[i] = 1;
        last = first;
        done = true;
    }
    /* with nothing to reduce, a copy */
    return done ? LX_OK : reduce_axis(x, reduction, (lx_axis){lx_tensor_count(x), 1, 1}, error);
}

/* Sees *x, dense, which is freed, without the reduced dimensions or with size 1 for them. */
static lx_code shape_result(lx_tensor *out, lx_tensor *x, const lx_tensor *like, const bool *reduced, bool keep,
                            lx_error *error)
{
    int ndim = 0;
    long shape[LX_MAX_DIMS];
    for (int i = 0; i < like->ndim; i++)
        if (!reduced[i] || keep)
            shape[ndim++] = reduced[i] ? 1 : like->shape[i];
    lx_view(out, x, ndim, shape, error);
    lx_tensor_free(x);
    return error->code;
}

static lx_code check_not_empty(const char *name, const lx_tensor *x, const bool *reduced, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    bool nothing = false, wanted = true;
    for (int i = 0; i < x->ndim; i++) {
        nothing = nothing || (reduced[i] && x->shape[i] == 0);
        wanted = wanted && (reduced[i] || x->shape[i] > 0);
    }
    if (!nothing || !wanted)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: shape %s has no elements to choose from", name,
                   lx_shape_text(x->ndim, x->shape, text));
}

/* Sums and products of int32 are exact if those of the magnitudes are, at which no partial result can be larger. */
static lx_code check_total(lx_reduction reduction, const lx_tensor *x, const bool *reduced, lx_error *error)
{
    const char *name = reductions[reduction].name;
    lx_tensor sizes = {0}, total = {0};
    if (x->dtype != LX_INT32 || !reductions[reduction].of_none)
        return LX_OK;
    if (!lx_check_exact(name, x, error) && !lx_unary(&sizes, "abs", x, 0, 0, error) &&
        !lx_reduce(&total, name, &sizes, reduced, false, error))
        lx_check_exact(name, &total, error);
    lx_tensor_free(&sizes);
    lx_tensor_free(&total);
    return error->code;
}

bool lx_reduces_blocked(const lx_tensor *x, const bool *reduced, bool keep)
{
    return x->block && keep && !reduced[1] && lx_tensor_count(x) > 0;
}

/* Lanes without a channel are zeros, which every reduction makes zeros of. */
static lx_code reduce_blocked(lx_tensor *out, lx_reduction reduction, const lx_tensor *x, const bool *reduced,
                              lx_error *error)
{
    const bool stored[5] = {reduced[0], false, reduced[2], reduced[3], false};
    const lx_tensor view = lx_as_stored(x);
    lx_tensor now = {0};
    long shape[LX_MAX_DIMS];
    memcpy(shape, view.shape, sizeof shape);
    lx_tensor_share(&now, &view);
    if (reduce_groups(&now, reduction, 5, shape, stored, error))
        return error->code;
    *out = now;
    out->block = x->block;
    out->ndim = 4;
    for (int i = 0; i < 4; i++) {
        out->shape[i] = reduced[i] ? 1 : x->shape[i];
        out->stride[i] = 0;
    }
    return LX_OK;
}

lx_code lx_reduce(lx_tensor *out, const char *name, const lx_tensor *x, const bool *reduced, bool keep, lx_error *error)
{
    lx_tensor now = {0};
    long shape[LX_MAX_DIMS];
    lx_reduction reduction;
    if (find(&reduction, name, error) || (!reductions[reduction].of_none && check_not_empty(name, x, reduced, error)))
        return error->code;
    if (x->block)
        return reduce_blocked(out, reduction, x, reduced, error);
    memcpy(shape, x->shape, sizeof shape);
    if (check_total(reduction, x, reduced, error) || lx_exact_dense_float(&now, name, x, error) ||
        reduce_groups(&now, reduction, x->ndim, shape, reduced, error))
        return error->code;
    return shape_result(out, &now, x, reduced, keep, error);
}

lx_code lx_arg_reduce(lx_tensor *out, const char *name, const lx_tensor *x, int dim, bool keep, lx_error *error)
{
    lx_tensor dense = {0}, positions = {0};
    bool reduced[LX_MAX_DIMS] = {false};
    char text[LX_SHAPE_TEXT];
    const bool smallest = strcmp(name, "argmin") == 0;
    for (int i = 0; i < x->ndim; i++)
        reduced[i] = dim < 0 || i == dim;
    if (!smallest && strcmp(name, "argmax") != 0)
        return fail_name(name, error);
    if (check_not_empty(name, x, reduced, error))
        return error->code;
    const lx_axis axis = dim < 0 ? (lx_axis){1, lx_tensor_count(x), 1} : lx_axis_of(x->ndim, x->shape, dim);
    if (axis.size > INT32_MAX)
        return lx_fail(error, LX_EARG, "%s: shape %s has more elements than an int32 counts", name,
                       lx_shape_text(x->ndim, x->shape, text));
    if (!lx_exact_dense_float(&dense, name, x, error) &&
        !lx_form_ops_of(&dense)->reduce->search(&positions, smallest, &dense, axis, error))
        shape_result(out, &positions, x, reduced, keep, error);
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_cumsum(lx_tensor *out, const lx_tensor *x, int dim, bool reverse, lx_error *error)
{
    lx_tensor dense = {0};
    const lx_axis axis = lx_axis_of(x->ndim, x->shape, dim);
    const reduce_args args = {.size = axis.size, .inner = axis.inner, .reverse = reverse};
    bool summed[LX_MAX_DIMS] = {false};
    for (int i = 0; i < x->ndim; i++)
        summed[i] = i == dim;
    if (check_total(LX_SUM, x, summed, error) || lx_exact_dense_float(&dense, "cumsum", x, error))
        return error->code;
    if (!lx_tensor_new(out, x->storage->device, LX_FLOAT32, x->ndim, x->shape, error) &&
        LX_RUN(k_cumsum, axis.inner, axis.outer, 1, 4 * lx_tensor_count(x), args, error, &dense, out))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    return error->code;
}

/* Of dense tensors: chunks in one launch, and what they come to in another. */
static lx_code run_valid_mean(lx_tensor *both, const lx_tensor *x, const lx_tensor *of, lx_error *error)
{
    lx_device *device = x->storage->device;
    const long size = lx_tensor_count(x), two = 2;
    reduce_args args = {.size = size, .inner = 1, .chunk = lx_form_ops_of(x)->reduce->mean_chunk(size)};
    args.chunks = lx_ceil_div(size, args.chunk);
    const long parts = 2 * args.chunks;
    lx_tensor sums = {0};
    if (!lx_tensor_new(&sums, device, LX_FLOAT32, 1, &parts, error) &&
        !lx_tensor_new(both, device, LX_FLOAT32, 1, &two, error) &&
        (LX_RUN(k_valid_sums, args.chunks, 1, 1, 2 * size, args, error, x, of, &sums) ||
         LX_RUN(k_valid_mean, 1, 1, 1, parts, args, error, &sums, both)))
        lx_tensor_free(both);
    lx_tensor_free(&sums);
    return error->code;
}

lx_code lx_valid_mean(lx_tensor *mean, lx_tensor *share, const lx_tensor *x, const lx_tensor *of, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    lx_tensor values = {0}, labels = {0}, both = {0};
    if (lx_same_device("valid_mean", x, of, error))
        return error->code;
    if (!lx_same_shape(x, of))
        return lx_fail(error, LX_EARG, "valid_mean: values are %s, labels %s", lx_shape_text(x->ndim, x->shape, left),
                       lx_shape_text(of->ndim, of->shape, right));
    if (!lx_dense_float(&values, x, error) && !lx_dense_float(&labels, of, error) &&
        !run_valid_mean(&both, &values, &labels, error) && !lx_select(mean, &both, 0, 0, error))
        lx_select(share, &both, 0, 1, error);
    lx_tensor_free(&values);
    lx_tensor_free(&labels);
    lx_tensor_free(&both);
    return error->code;
}

lx_code lx_row_means(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error)
{
    return lx_form_ops_of(x)->reduce->row_means(y, x, rows, size, error);
}
