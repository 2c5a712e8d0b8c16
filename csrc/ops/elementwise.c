/* Elementwise operations: broadcasting, folding of dimensions, and the choice of kernel by name. */
#include "../../kernels/elementwise.h"

#include <string.h>

#include "ops.h"

/* ---- the kernels by name ------------------------------------------------------------------------------------ */

#define UNARY_OPS(X) \
    X(neg, 1) X(abs, 1) X(sign, 1) X(floor, 1) X(ceil, 1) X(round, 1) X(square, 1) X(sqrt, 1) X(rsqrt, 0) \
    X(reciprocal, 0) X(exp, 0) X(expm1, 1) X(log, 0) X(log1p, 1) X(sin, 1) X(cos, 0) X(tanh, 1) X(erf, 1) \
    X(sigmoid, 0) X(relu, 1) X(clamp, 0) X(isnan, 0)
#define BINARY_OPS(X) \
    X(add, 1) X(sub, 1) X(mul, 1) X(div, 0) X(pow, 0) X(maximum, 1) X(minimum, 1) X(relu_backward, 1) \
    X(eq, 0) X(ne, 0) X(lt, 0) X(le, 0) X(gt, 0) X(ge, 0)

#define DECLARE_UNARY(name, zero) LX_KERNEL(elementwise, unary_##name);
#define DECLARE_BINARY(name, zero)             \
    LX_KERNEL(elementwise, binary_##name);     \
    LX_KERNEL(elementwise, binary_##name##_s); \
    LX_KERNEL(elementwise, binary_##name##_r);
UNARY_OPS(DECLARE_UNARY)
BINARY_OPS(DECLARE_BINARY)
LX_KERNEL(elementwise, add_scaled);
LX_KERNEL(elementwise, where);
LX_KERNEL(elementwise, arange);
LX_KERNEL(elementwise, fill_float);
LX_KERNEL(elementwise, fill_uchar);
LX_KERNEL(elementwise, fill_int);
LX_KERNEL(elementwise, copy_float_float);
LX_KERNEL(elementwise, copy_float_uchar);
LX_KERNEL(elementwise, copy_float_int);
LX_KERNEL(elementwise, copy_uchar_float);
LX_KERNEL(elementwise, copy_uchar_uchar);
LX_KERNEL(elementwise, copy_uchar_int);
LX_KERNEL(elementwise, copy_int_float);
LX_KERNEL(elementwise, copy_int_uchar);
LX_KERNEL(elementwise, copy_int_int);

typedef struct {
    const char *name;
    bool keeps_zero; /* zeros in, zeros out: the padding of the blocked layout stays clean */
    const lx_kernel *tensors, *number_right, *number_left;
} op;

#define UNARY_ROW(name, zero) {#name, zero, &k_unary_##name, NULL, NULL},
#define BINARY_ROW(name, zero) {#name, zero, &k_binary_##name, &k_binary_##name##_s, &k_binary_##name##_r},
static const op unary_ops[] = {UNARY_OPS(UNARY_ROW){NULL, false, NULL, NULL, NULL}};
static const op binary_ops[] = {BINARY_OPS(BINARY_ROW){NULL, false, NULL, NULL, NULL}};

static const op *find(const op *ops, const char *name, lx_error *error)
{
    for (; ops->name; ops++)
        if (strcmp(ops->name, name) == 0)
            return ops;
    lx_fail(error, LX_EARG, "there is no elementwise operation '%s'", name);
    return NULL;
}

/* Comparisons and isnan answer yes or no. */
static lx_dtype result_dtype(const char *name)
{
    static const char *const predicates[] = {"isnan", "eq", "ne", "lt", "le", "gt", "ge"};
    for (size_t i = 0; i < sizeof predicates / sizeof *predicates; i++)
        if (strcmp(name, predicates[i]) == 0)
            return LX_UINT8;
    return LX_FLOAT32;
}

/* ---- the loop over dimensions ------------------------------------------------------------------------------- */

enum { MAX_OPERANDS = 4 }; /* a, b, c, and y last */

/* Operands seen over one shape; dimension 0 is the innermost. */
typedef struct {
    int ndim, count;
    long shape[LX_MAX_DIMS];
    long stride[MAX_OPERANDS][LX_MAX_DIMS];
} walk;

/* Strides of each operand over the shape of the last one, outermost dimension first turned innermost first. */
static walk walk_over(const lx_tensor *const *operands, int count)
{
    const lx_tensor *target = operands[count - 1];
    walk w = {.ndim = target->ndim, .count = count};
    for (int d = 0; d < w.ndim; d++) {
        const int dim = w.ndim - 1 - d;
        w.shape[d] = target->shape[dim];
        for (int i = 0; i < count; i++) {
            const int own = dim - (w.ndim - operands[i]->ndim);
            w.stride[i][d] = own < 0 || operands[i]->shape[own] == 1 ? 0 : operands[i]->stride[own];
        }
    }
    return w;
}

/* Merges neighbouring dimensions that every operand steps through as if they were one, and drops those of size 1. */
static void fold(walk *w)
{
    int kept = 0;
    for (int d = 0; d < w->ndim; d++) {
        if (w->shape[d] == 1)
            continue;
        bool merges = kept > 0;
        for (int i = 0; merges && i < w->count; i++)
            merges = w->stride[i][d] == w->stride[i][kept - 1] * w->shape[kept - 1];
        if (merges) {
            w->shape[kept - 1] *= w->shape[d];
            continue;
        }
        w->shape[kept] = w->shape[d];
        for (int i = 0; i < w->count; i++)
            w->stride[i][kept] = w->stride[i][d];
        kept++;
    }
    for (; kept < 3; kept++) {
        w->shape[kept] = 1;
        for (int i = 0; i < w->count; i++)
            w->stride[i][kept] = 0;
    }
    w->ndim = kept;
}

/* Launches over the three inner dimensions, once for each position of the outer ones (rare: most tensors fold). */
static lx_code launch_walk(const lx_kernel *kernel, const walk *w, const lx_tensor *const *operands, elementwise_args args,
                           lx_error *error)
{
    long *const strides[MAX_OPERANDS] = {args.a, args.b, args.c, args.y};
    lx_tensor moved[MAX_OPERANDS];
    const lx_tensor *pointers[MAX_OPERANDS];
    long outer = 1;
    for (int d = 3; d < w->ndim; d++)
        outer *= w->shape[d];
    for (int i = 0; i < w->count; i++) {
        memcpy(strides[i == w->count - 1 ? MAX_OPERANDS - 1 : i], w->stride[i], sizeof args.a);
        moved[i] = *operands[i];
        pointers[i] = &moved[i];
    }
    const double work = (double)w->shape[0] * (double)w->shape[1] * (double)w->shape[2];
    for (long position = 0; position < outer; position++) {
        for (int i = 0; i < w->count; i++) {
            long rest = position;
            moved[i].offset = operands[i]->offset;
            for (int d = 3; d < w->ndim; rest /= w->shape[d++])
                moved[i].offset += rest % w->shape[d] * w->stride[i][d];
        }
        if (lx_run(kernel, NULL, w->shape, work, &args, sizeof args, pointers, w->count, error))
            return error->code;
    }
    return LX_OK;
}

/* A blocked tensor as the flat run of numbers that it is stored as. */
static lx_tensor flat(const lx_tensor *tensor)
{
    lx_tensor view = *tensor;
    const long block = tensor->block;
    view.ndim = 1;
    view.block = 0;
    view.shape[0] = tensor->shape[0] * ((tensor->shape[1] + block - 1) / block * block) * tensor->shape[2] * tensor->shape[3];
    view.stride[0] = 1;
    return view;
}

/* The last element that a view reaches, counted from the start of the storage (strides are never negative). */
static long last_element(const lx_tensor *view)
{
    long last = view->offset;
    for (int i = 0; i < view->ndim; i++)
        last += (view->shape[i] - 1) * view->stride[i];
    return last;
}

/* Whether writing `target` could change elements of `source` that are still to be read. */
static bool clobbers(const lx_tensor *target, const lx_tensor *source)
{
    if (source->storage != target->storage || source->offset > last_element(target) || target->offset > last_element(source))
        return false;
    bool same = source->offset == target->offset && source->ndim == target->ndim;
    for (int i = 0; same && i < source->ndim; i++)
        same = source->shape[i] == target->shape[i] && (source->shape[i] == 1 || source->stride[i] == target->stride[i]);
    return !same;
}

static lx_code copy_as(lx_tensor *out, const lx_tensor *in, lx_dtype dtype, lx_error *error);

/* Runs an elementwise kernel whose last operand is written. The operands broadcast to it. */
static lx_code run_elementwise(const char *name, const lx_kernel *kernel, const lx_tensor *const *operands, int count,
                               elementwise_args args, lx_error *error)
{
    lx_tensor views[MAX_OPERANDS], copies[MAX_OPERANDS] = {{0}};
    const lx_tensor *pointers[MAX_OPERANDS], *target = operands[count - 1];
    if (lx_tensor_count(target) == 0)
        return LX_OK;
    for (int i = 0; i < count; i++) {
        if (lx_same_device(name, target, operands[i], error))
            goto done;
        views[i] = operands[i]->block ? flat(operands[i]) : *operands[i];
        pointers[i] = &views[i];
        if (!target->block && clobbers(target, operands[i])) {
            if (copy_as(&copies[i], operands[i], operands[i]->dtype, error))
                goto done;
            pointers[i] = &copies[i];
        }
    }
    walk w = walk_over(pointers, count);
    fold(&w);
    launch_walk(kernel, &w, pointers, args, error);
done:
    for (int i = 0; i < count; i++)
        lx_tensor_free(&copies[i]);
    return error->code;
}

/* The shape of `source` must broadcast to that of `target`. */
static lx_code check_fits(const char *name, const lx_tensor *target, const lx_tensor *source, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    const int added = target->ndim - source->ndim;
    bool fits = added >= 0 && target->block == source->block;
    for (int i = 0; fits && i < source->ndim; i++)
        fits = source->shape[i] == target->shape[added + i] || (source->shape[i] == 1 && !target->block);
    if (fits)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: shape %s does not fit into %s", name,
                   lx_shape_text(source->ndim, source->shape, right), lx_shape_text(target->ndim, target->shape, left));
}

/* ---- operations ---------------------------------------------------------------------------------------------- */

lx_code lx_unary_into(lx_tensor *target, const char *name, const lx_tensor *a, double s, double t, lx_error *error)
{
    const op *found = find(unary_ops, name, error);
    if (!found || check_fits(name, target, a, error))
        return error->code;
    if (target->dtype != result_dtype(name))
        return lx_fail(error, LX_EARG, "%s: cannot write %s into %s", name, lx_dtype_name(result_dtype(name)),
                       lx_dtype_name(target->dtype));
    lx_tensor input = {0};
    if (lx_cast(&input, a, LX_FLOAT32, error))
        return error->code;
    const elementwise_args args = {.s = (float)s, .t = (float)t};
    run_elementwise(name, found->tensors, (const lx_tensor *const[]){&input, target}, 2, args, error);
    lx_tensor_free(&input);
    return error->code;
}

/* A new tensor for a result: blocked if the example is. */
static lx_code new_like(lx_tensor *out, const lx_tensor *example, lx_dtype dtype, lx_error *error)
{
    lx_device *device = example->storage->device;
    if (example->block)
        return lx_tensor_new_blocked(out, device, example->shape, error);
    return lx_tensor_new(out, device, dtype, example->ndim, example->shape, error);
}

lx_code lx_unary(lx_tensor *out, const char *name, const lx_tensor *a, double s, double t, lx_error *error)
{
    if (new_like(out, a, result_dtype(name), error))
        return error->code;
    if (lx_unary_into(out, name, a, s, t, error))
        lx_tensor_free(out);
    return error->code;
}

bool lx_keeps_blocked(const char *name, lx_operand a, lx_operand b)
{
    const op *ops = a.tensor && b.tensor ? binary_ops : unary_ops;
    if (!a.tensor || !a.tensor->block)
        return false;
    if (b.tensor && (b.tensor->block != a.tensor->block || !lx_same_shape(a.tensor, b.tensor)))
        return false;
    for (; ops->name; ops++)
        if (strcmp(ops->name, name) == 0)
            return ops->keeps_zero;
    return !b.tensor && (strcmp(name, "mul") == 0 || strcmp(name, "div") == 0);
}

lx_code lx_binary_into(lx_tensor *target, const char *name, lx_operand a, lx_operand b, lx_error *error)
{
    const op *found = find(binary_ops, name, error);
    if (!found)
        return error->code;
    const lx_kernel *kernel = !a.tensor ? found->number_left : !b.tensor ? found->number_right : found->tensors;
    const elementwise_args args = {.s = (float)(a.tensor ? b.number : a.number)};
    const lx_tensor *inputs[2] = {a.tensor ? a.tensor : b.tensor, b.tensor};
    const int count = a.tensor && b.tensor ? 2 : 1;
    lx_tensor casts[2] = {{0}, {0}};
    const lx_tensor *operands[3] = {&casts[0], &casts[1], target};
    operands[count] = target;
    if (target->dtype != result_dtype(name))
        return lx_fail(error, LX_EARG, "%s: cannot write %s into %s", name, lx_dtype_name(result_dtype(name)),
                       lx_dtype_name(target->dtype));
    for (int i = 0; i < count; i++)
        if (check_fits(name, target, inputs[i], error) || lx_cast(&casts[i], inputs[i], LX_FLOAT32, error))
            goto done;
    run_elementwise(name, kernel, operands, count + 1, args, error);
done:
    lx_tensor_free(&casts[0]);
    lx_tensor_free(&casts[1]);
    return error->code;
}

lx_code lx_binary(lx_tensor *out, const char *name, lx_operand a, lx_operand b, lx_error *error)
{
    const lx_tensor *example = a.tensor ? a.tensor : b.tensor;
    const bool broadcast = a.tensor && b.tensor && !lx_same_shape(a.tensor, b.tensor);
    int ndim;
    long shape[LX_MAX_DIMS];
    if (!broadcast) {
        if (new_like(out, example, result_dtype(name), error))
            return error->code;
    } else if (lx_broadcast_shape(name, a.tensor, b.tensor, &ndim, shape, error) ||
               lx_tensor_new(out, example->storage->device, result_dtype(name), ndim, shape, error)) {
        return error->code;
    }
    if (lx_binary_into(out, name, a, b, error))
        lx_tensor_free(out);
    return error->code;
}

lx_code lx_add_scaled_into(lx_tensor *target, const lx_tensor *a, const lx_tensor *b, double s, lx_error *error)
{
    if (target->dtype != LX_FLOAT32 || a->dtype != LX_FLOAT32 || b->dtype != LX_FLOAT32)
        return lx_fail(error, LX_EARG, "add: a scaled sum needs float32 tensors");
    if (check_fits("add", target, a, error) || check_fits("add", target, b, error))
        return error->code;
    const elementwise_args args = {.s = (float)s};
    return run_elementwise("add", &k_add_scaled, (const lx_tensor *const[]){a, b, target}, 3, args, error);
}

lx_code lx_where(lx_tensor *out, const lx_tensor *condition, const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    lx_tensor mask = {0}, left = {0}, right = {0}, both = {0};
    int ndim;
    long shape[LX_MAX_DIMS];
    if (lx_broadcast_shape("where", a, b, &both.ndim, both.shape, error) ||
        lx_broadcast_shape("where", &both, condition, &ndim, shape, error))
        return error->code;
    if (!lx_cast(&mask, condition, LX_UINT8, error) && !lx_cast(&left, a, LX_FLOAT32, error) &&
        !lx_cast(&right, b, LX_FLOAT32, error) &&
        !lx_tensor_new(out, a->storage->device, LX_FLOAT32, ndim, shape, error)) {
        const elementwise_args args = {0};
        if (run_elementwise("where", &k_where, (const lx_tensor *const[]){&left, &right, &mask, out}, 4, args, error))
            lx_tensor_free(out);
    }
    lx_tensor_free(&mask);
    lx_tensor_free(&left);
    lx_tensor_free(&right);
    return error->code;
}

lx_code lx_copy(lx_tensor *target, const lx_tensor *source, lx_error *error)
{
    static const lx_kernel *const kernels[3][3] = {
        {&k_copy_float_float, &k_copy_float_uchar, &k_copy_float_int},
        {&k_copy_uchar_float, &k_copy_uchar_uchar, &k_copy_uchar_int},
        {&k_copy_int_float, &k_copy_int_uchar, &k_copy_int_int},
    };
    if (check_fits("copy", target, source, error))
        return error->code;
    const elementwise_args args = {0};
    const lx_kernel *kernel = kernels[source->dtype][target->dtype];
    return run_elementwise("copy", kernel, (const lx_tensor *const[]){source, target}, 2, args, error);
}

lx_code lx_fill(lx_tensor *target, double value, lx_error *error)
{
    static const lx_kernel *const kernels[] = {&k_fill_float, &k_fill_uchar, &k_fill_int};
    const double least = target->dtype == LX_UINT8 ? 0 : INT32_MIN, most = target->dtype == LX_UINT8 ? 255 : INT32_MAX;
    elementwise_args args = {.s = (float)value};
    if (target->dtype != LX_FLOAT32) {
        if (!(value >= least && value <= most))
            return lx_fail(error, LX_EARG, "fill: %g does not fit into %s", value, lx_dtype_name(target->dtype));
        args.i = (int)value;
    }
    return run_elementwise("fill", kernels[target->dtype], (const lx_tensor *const[]){target}, 1, args, error);
}

lx_code lx_arange(lx_tensor *out, lx_device *device, double start, double step, long count, lx_error *error)
{
    if (lx_tensor_new(out, device, LX_FLOAT32, 1, &count, error))
        return error->code;
    const elementwise_args args = {.s = (float)start, .t = (float)step};
    if (run_elementwise("arange", &k_arange, (const lx_tensor *const[]){out}, 1, args, error))
        lx_tensor_free(out);
    return error->code;
}

static lx_code copy_as(lx_tensor *out, const lx_tensor *in, lx_dtype dtype, lx_error *error)
{
    if (new_like(out, in, dtype, error))
        return error->code;
    if (lx_copy(out, in, error))
        lx_tensor_free(out);
    return error->code;
}

lx_code lx_contiguous(lx_tensor *out, const lx_tensor *in, lx_error *error)
{
    if (!lx_tensor_dense(in))
        return copy_as(out, in, in->dtype, error);
    lx_tensor_share(out, in);
    return LX_OK;
}

lx_code lx_place(lx_tensor *out, const lx_tensor *in, lx_device *device, lx_error *error)
{
    lx_tensor dense = {0};
    const size_t size = lx_dtype_size(in->dtype);
    if (in->storage->device == device)
        return lx_contiguous(out, in, error);
    if (!lx_contiguous(&dense, in, error) && !lx_tensor_new(out, device, in->dtype, in->ndim, in->shape, error) &&
        lx_storage_copy(out->storage, 0, dense.storage, (size_t)dense.offset * size,
                        (size_t)lx_tensor_count(in) * size, error))
        lx_tensor_free(out);
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_cast(lx_tensor *out, const lx_tensor *in, lx_dtype dtype, lx_error *error)
{
    if (in->dtype != dtype)
        return copy_as(out, in, dtype, error);
    lx_tensor_share(out, in);
    return LX_OK;
}

lx_code lx_dense_float(lx_tensor *out, const lx_tensor *in, lx_error *error)
{
    if (in->dtype != LX_FLOAT32)
        return copy_as(out, in, LX_FLOAT32, error);
    return lx_contiguous(out, in, error);
}
