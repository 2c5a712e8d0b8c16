/* Elementwise operations: broadcasting, merging of dimensions, and the choice of kernel by name. */
#include "../../kernels/elementwise.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "exact.h"
#include "ops.h"

/* ---- the kernels by name ------------------------------------------------------------------------------------ */

#define DECLARE_UNARY(name, zero, formula) LX_KERNEL(elementwise, unary_##name);
#define COMPARISONS(X) X(eq, eq) X(ne, ne) X(lt, gt) X(le, ge) X(gt, lt) X(ge, le) /* and with the sides swapped */
#define DECLARE_COMPARISON(name, swapped)   \
    LX_KERNEL(elementwise, compare_##name); \
    LX_KERNEL(elementwise, compare_##name##_s);
#define DECLARE_BINARY(name, zero, type, formula) \
    LX_KERNEL(elementwise, binary_##name);        \
    LX_KERNEL(elementwise, binary_##name##_s);    \
    LX_KERNEL(elementwise, binary_##name##_r);
#define DECLARE_ACTIVATION(name, zero, formula, from, gradient) \
    DECLARE_UNARY(name, zero, formula)                          \
    DECLARE_BINARY(name##_backward, 1, float, gradient)
UNARY_OPS(DECLARE_UNARY)
BINARY_OPS(DECLARE_BINARY)
ACTIVATION_OPS(DECLARE_ACTIVATION)
COMPARISONS(DECLARE_COMPARISON)
LX_KERNEL(elementwise, unary_isnan);
LX_KERNEL(elementwise, add_scaled);
LX_KERNEL(elementwise, clamp_backward);
LX_KERNEL(elementwise, where);
LX_KERNEL(elementwise, where_int);
LX_KERNEL(elementwise, where_s);
LX_KERNEL(elementwise, arange);
LX_KERNEL(elementwise, arange_int);
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

#define UNARY_ROW(name, zero, formula) {#name, zero, &k_unary_##name, NULL, NULL},
#define BINARY_ROW(name, zero, type, formula) \
    {#name, zero, &k_binary_##name, &k_binary_##name##_s, &k_binary_##name##_r},
#define ACTIVATION_ROW(name, zero, formula, from, gradient) UNARY_ROW(name, zero, formula)
#define GRADIENT_ROW(name, zero, formula, from, gradient) BINARY_ROW(name##_backward, 1, float, gradient)
static const op unary_ops[] = {UNARY_OPS(UNARY_ROW)
                                   ACTIVATION_OPS(ACTIVATION_ROW){"isnan", false, &k_unary_isnan, NULL, NULL},
                               {NULL, false, NULL, NULL, NULL}};
static const op binary_ops[] = {BINARY_OPS(BINARY_ROW) ACTIVATION_OPS(GRADIENT_ROW){NULL, false, NULL, NULL, NULL}};

#define NAMES_ROW(name, zero, formula, from, gradient) {#name, #from},
const lx_activation lx_activations[] = {ACTIVATION_OPS(NAMES_ROW){NULL, NULL}};

static const op *find(const op *ops, const char *name, lx_error *error)
{
    for (; ops->name; ops++)
        if (strcmp(ops->name, name) == 0)
            return ops;
    lx_fail(error, LX_EARG, "there is no elementwise operation '%s'", name);
    return NULL;
}

typedef struct {
    const char *name, *swapped;
    const lx_kernel *tensors, *number_right;
} comparison;

#define COMPARISON_ROW(name, swapped) {#name, #swapped, &k_compare_##name, &k_compare_##name##_s},
static const comparison comparisons[] = {COMPARISONS(COMPARISON_ROW){NULL, NULL, NULL, NULL}};

static const comparison *find_comparison(const char *name)
{
    for (const comparison *row = comparisons; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

/* Comparisons and isnan answer yes or no. */
static lx_dtype result_dtype(const char *name)
{
    return strcmp(name, "isnan") == 0 || find_comparison(name) ? LX_UINT8 : LX_FLOAT32;
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
static void merge_dimensions(walk *w)
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

/* Launches over the three inner dimensions, once for each position of the outer ones (rare: most need one). */
static lx_code launch_walk(const lx_kernel *kernel, const walk *w, const lx_tensor *const *operands,
                           elementwise_args args, lx_error *error)
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

/* Whether the one channel of an operand stands for all that are stored in a blocked target. */
static bool spreads_channel(const lx_tensor *target, const lx_tensor *source)
{
    if (source->block)
        return source->shape[1] == 1 && target->shape[1] != 1;
    return source->ndim < 3 || source->shape[source->ndim - 3] == 1;
}

/* An operand over a blocked target as that is stored: [N][C/block][H][W][block]. */
static lx_tensor over_blocked(const lx_tensor *target, const lx_tensor *source)
{
    lx_tensor view = lx_as_stored(source);
    const long lanes = spreads_channel(target, source) ? 1 : target->block;
    if (source->block) {
        view.shape[4] = lanes;
        return view;
    }
    const int added = 4 - source->ndim;
    view.ndim = 5;
    for (int i = 0; i < 4; i++) {
        view.shape[i] = i < added ? 1 : source->shape[i - added];
        view.stride[i] = i < added ? 0 : source->stride[i - added];
    }
    view.shape[4] = lanes;
    view.stride[4] = view.stride[1];
    view.shape[1] /= lanes;
    view.stride[1] *= lanes;
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
    if (source->storage != target->storage || source->offset > last_element(target) ||
        target->offset > last_element(source))
        return false;
    bool same = source->offset == target->offset && source->ndim == target->ndim;
    for (int i = 0; same && i < source->ndim; i++)
        same = source->shape[i] == target->shape[i] &&
               (source->shape[i] == 1 || source->stride[i] == target->stride[i]);
    return !same;
}

static lx_code copy_as(lx_tensor *out, const lx_tensor *in, lx_dtype dtype, lx_error *error);
static lx_code clear_padding(const lx_tensor *target, lx_error *error);

/* Errors name the method that writes into a tensor. */
enum { METHOD_TEXT = 64 };

static const char *method(const char *name, char *buffer)
{
    snprintf(buffer, METHOD_TEXT, "%s_", name);
    return buffer;
}

/* Runs an elementwise kernel whose last operand is written. The operands broadcast to it. */
static lx_code run_elementwise(const char *name, const lx_kernel *kernel, const lx_tensor *const *operands, int count,
                               elementwise_args args, lx_error *error)
{
    lx_tensor views[MAX_OPERANDS], copies[MAX_OPERANDS] = {{0}};
    const lx_tensor *pointers[MAX_OPERANDS], *target = operands[count - 1];
    char text[METHOD_TEXT];
    bool fills_padding = false;
    if (lx_repeated_dim(target) >= 0)
        return lx_check_target(method(name, text), target, NULL, error);
    if (lx_tensor_count(target) == 0)
        return LX_OK;
    for (int i = 0; i < count; i++) {
        if (lx_same_device(name, target, operands[i], error))
            goto done;
        views[i] = target->block ? over_blocked(target, operands[i]) : *operands[i];
        fills_padding |= target->block && i < count - 1 && spreads_channel(target, operands[i]);
        pointers[i] = &views[i];
        if (!target->block && clobbers(target, operands[i])) {
            if (copy_as(&copies[i], operands[i], operands[i]->dtype, error))
                goto done;
            pointers[i] = &copies[i];
        }
    }
    walk w = walk_over(pointers, count);
    merge_dimensions(&w);
    if (!launch_walk(kernel, &w, pointers, args, error) && fills_padding)
        clear_padding(target, error);
done:
    for (int i = 0; i < count; i++)
        lx_tensor_free(&copies[i]);
    return error->code;
}

/* Whether an operand can be read in the layout of the target. Over a blocked one that is a blocked one, and a plain one
 * of one channel for all, or of one pixel for all and whole blocks of channels, as gates are. */
static bool suits_layout(const lx_tensor *target, const lx_tensor *source)
{
    if (source->block || !target->block)
        return source->block == target->block;
    return spreads_channel(target, source) ||
           (source->shape[source->ndim - 3] % target->block == 0 && source->shape[source->ndim - 2] == 1 &&
            source->shape[source->ndim - 1] == 1);
}

/* Whether the shape of `source` broadcasts to that of `target`. */
static bool fits(const lx_tensor *target, const lx_tensor *source)
{
    const int added = target->ndim - source->ndim;
    bool good = added >= 0;
    for (int i = 0; good && i < source->ndim; i++)
        good = source->shape[i] == target->shape[added + i] || source->shape[i] == 1;
    return good && suits_layout(target, source);
}

lx_code lx_check_target(const char *function, const lx_tensor *target, const lx_tensor *source, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    const int repeated = lx_repeated_dim(target);
    if (repeated < 0 && (!source || fits(target, source)))
        return LX_OK;
    lx_shape_text(target->ndim, target->shape, left);
    if (repeated >= 0)
        return lx_fail(error, LX_EARG,
                       "%s: the tensor of shape %s was expanded along dimension %d, so that elements share "
                       "memory and cannot be written one by one; write into a clone() of it",
                       function, left, repeated + 1);
    return lx_fail(error, LX_EARG, "%s: shape %s does not fit into %s", function,
                   lx_shape_text(source->ndim, source->shape, right), left);
}

static lx_code check_fits(const char *name, const lx_tensor *target, const lx_tensor *source, lx_error *error)
{
    char text[METHOD_TEXT];
    return fits(target, source) ? LX_OK : lx_check_target(method(name, text), target, source, error);
}

static lx_code fail_dtype(const char *name, const lx_tensor *target, lx_error *error)
{
    char text[METHOD_TEXT];
    return lx_fail(error, LX_EARG, "%s: the result is %s, which cannot be written into a tensor of %s",
                   method(name, text), lx_dtype_name(result_dtype(name)), lx_dtype_name(target->dtype));
}

/* Zeros in the channels that fill up the last block of a blocked tensor, where an operation has left something else. */
static lx_code clear_padding(const lx_tensor *target, lx_error *error)
{
    const long block = target->block, used = block ? target->shape[1] % block : 0;
    if (used == 0)
        return LX_OK;
    lx_tensor padding = *target;
    const long plane = target->shape[2] * target->shape[3] * block, blocks = lx_ceil_div(target->shape[1], block);
    padding.block = 0;
    padding.ndim = 3;
    padding.offset = (blocks - 1) * plane + used;
    const long shape[3] = {target->shape[0], target->shape[2] * target->shape[3], block - used};
    const long stride[3] = {blocks * plane, block, 1};
    memcpy(padding.shape, shape, sizeof shape);
    memcpy(padding.stride, stride, sizeof stride);
    return lx_fill(&padding, 0, error);
}

/* ---- operations ---------------------------------------------------------------------------------------------- */

lx_code lx_unary_into(lx_tensor *target, const char *name, const lx_tensor *a, double s, double t, lx_error *error)
{
    const op *found = find(unary_ops, name, error);
    if (!found || check_fits(name, target, a, error))
        return error->code;
    if (target->dtype != result_dtype(name))
        return fail_dtype(name, target, error);
    lx_tensor input = {0};
    if (lx_exact_float(&input, found->name, a, error))
        return error->code;
    const elementwise_args args = {.s = (float)s, .t = (float)t};
    if (!run_elementwise(name, found->tensors, (const lx_tensor *const[]){&input, target}, 2, args, error) &&
        !found->keeps_zero)
        clear_padding(target, error);
    if (!error->code && a->dtype == LX_INT32 && found->tensors == &k_unary_square)
        lx_check_exact(found->name, target, error);
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

bool lx_keeps_blocked(const char *name, const lx_tensor *target, const lx_tensor *source)
{
    return target && target->block && (!source || fits(target, source)) && result_dtype(name) == LX_FLOAT32;
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

static bool is_whole(double number)
{
    return number == floor(number) && fabs(number) <= INT32_MAX;
}

/* The number as integers compare with it: whole, or an infinity that answers the same. */
static double whole_bound(const char *name, double number)
{
    if (number != number || is_whole(number) || number == INT32_MIN)
        return number;
    if (number > INT32_MAX || number < INT32_MIN)
        return number > 0 ? INFINITY : -INFINITY;
    if (strcmp(name, "lt") == 0 || strcmp(name, "ge") == 0)
        return ceil(number);
    return strcmp(name, "le") == 0 || strcmp(name, "gt") == 0 ? floor(number) : INFINITY;
}

/* Integers with integers or a number, exactly. *done is false where that is left to the floats. */
static lx_code compare_integers(lx_tensor *target, const comparison *found, lx_operand a, lx_operand b, bool *done,
                                lx_error *error)
{
    lx_tensor casts[2] = {{0}, {0}};
    *done = false;
    if (!a.tensor)
        return compare_integers(target, find_comparison(found->swapped), b, a, done, error);
    if (b.tensor ? a.tensor->dtype == LX_FLOAT32 || b.tensor->dtype == LX_FLOAT32 : a.tensor->dtype != LX_INT32)
        return LX_OK;
    const double bound = b.tensor ? 0 : whole_bound(found->name, b.number);
    *done = true;
    if (bound - bound != 0) { /* answered alike for all integers: those of a float that any of them is rounded to */
        if (lx_cast(&casts[0], a.tensor, LX_FLOAT32, error))
            return error->code;
        lx_binary_into(target, found->name, (lx_operand){&casts[0], 0}, (lx_operand){NULL, bound}, error);
    } else if (!lx_cast(&casts[0], a.tensor, LX_INT32, error) &&
               !(b.tensor && lx_cast(&casts[1], b.tensor, LX_INT32, error))) {
        const elementwise_args args = {.i = (int)bound};
        const lx_tensor *operands[3] = {&casts[0], b.tensor ? &casts[1] : target, target};
        run_elementwise(found->name, b.tensor ? found->tensors : found->number_right, operands, b.tensor ? 3 : 2, args,
                        error);
    }
    lx_tensor_free(&casts[0]);
    lx_tensor_free(&casts[1]);
    return error->code;
}

/* Whether a result of whole operands is whole, and may be too large to be exact. */
static bool grows(const char *name)
{
    static const char *const names[] = {"add", "sub", "mul", "pow"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* int32 with integers or a whole number: numbers must be exact as float32 too. */
static lx_code check_integers(const char *name, lx_operand a, lx_operand b, bool *integers, lx_error *error)
{
    const lx_tensor *one = a.tensor ? a.tensor : b.tensor, *other = a.tensor && b.tensor ? b.tensor : NULL;
    const double number = a.tensor ? b.number : a.number;
    *integers = one->dtype != LX_FLOAT32 && (one->dtype == LX_INT32 || (other && other->dtype == LX_INT32)) &&
                (other ? other->dtype != LX_FLOAT32 : is_whole(number));
    if (*integers && !other && fabs(number) > LX_EXACT_MOST)
        return lx_fail(error, LX_EARG,
                       "%s: integers are computed as float32, which is exact below 2^24 (16777216), got "
                       "%.0f; convert the tensor with :float() where rounding does no harm",
                       name, number);
    return LX_OK;
}

/* Whether zeros, or zeros and the number, give zeros. */
static bool gives_zero(const op *found, lx_operand a, lx_operand b)
{
    const float number = (float)(a.tensor ? b.number : a.number);
    if (a.tensor && b.tensor)
        return found->keeps_zero;
    if (strcmp(found->name, "mul") == 0)
        return isfinite(number);
    return strcmp(found->name, "div") == 0 && a.tensor && number == number && number != 0.0f;
}

lx_code lx_binary_into(lx_tensor *target, const char *name, lx_operand a, lx_operand b, lx_error *error)
{
    const op *found = find(binary_ops, name, error);
    const comparison *compares = find_comparison(name);
    bool integers, done = false;
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
        return fail_dtype(name, target, error);
    for (int i = 0; i < count; i++)
        if (check_fits(name, target, inputs[i], error))
            return error->code;
    if (compares && (compare_integers(target, compares, a, b, &done, error) || done))
        return error->code;
    if (check_integers(found->name, a, b, &integers, error))
        return error->code;
    for (int i = 0; i < count; i++)
        if (lx_exact_float(&casts[i], found->name, inputs[i], error))
            goto done;
    if (!run_elementwise(name, kernel, operands, count + 1, args, error) && !gives_zero(found, a, b))
        clear_padding(target, error);
    if (!error->code && integers && grows(name))
        lx_check_exact(found->name, target, error);
done:
    lx_tensor_free(&casts[0]);
    lx_tensor_free(&casts[1]);
    return error->code;
}

lx_code lx_binary(lx_tensor *out, const char *name, lx_operand a, lx_operand b, lx_error *error)
{
    const lx_tensor *example = lx_keeps_blocked(name, b.tensor, a.tensor) || !a.tensor ? b.tensor : a.tensor;
    const bool broadcast = a.tensor && b.tensor && !example->block && !lx_same_shape(a.tensor, b.tensor);
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
        return lx_fail(error, LX_EARG, "add_: a scaled sum needs float32 tensors");
    if (check_fits("add", target, a, error) || check_fits("add", target, b, error))
        return error->code;
    const elementwise_args args = {.s = (float)s};
    return run_elementwise("add", &k_add_scaled, (const lx_tensor *const[]){a, b, target}, 3, args, error);
}

lx_code lx_clamp_backward(lx_tensor *out, const lx_tensor *x, const lx_tensor *gradient, double low, double high,
                          lx_error *error)
{
    const elementwise_args args = {.s = (float)low, .t = (float)high};
    if (new_like(out, x, LX_FLOAT32, error))
        return error->code;
    if (check_fits("clamp", out, gradient, error) ||
        run_elementwise("clamp", &k_clamp_backward, (const lx_tensor *const[]){x, gradient, out}, 3, args, error))
        lx_tensor_free(out);
    return error->code;
}

lx_code lx_where(lx_tensor *out, const lx_tensor *condition, const lx_tensor *a, const lx_tensor *b, lx_error *error)
{
    lx_tensor mask = {0}, left = {0}, right = {0}, both = {0};
    const lx_dtype dtype = a->dtype == LX_INT32 && b->dtype == LX_INT32 ? LX_INT32 : LX_FLOAT32;
    const lx_kernel *kernel = dtype == LX_INT32 ? &k_where_int : &k_where;
    int ndim;
    long shape[LX_MAX_DIMS];
    if (lx_broadcast_shape("where", a, b, &both.ndim, both.shape, error) ||
        lx_broadcast_shape("where", &both, condition, &ndim, shape, error))
        return error->code;
    if (!lx_cast(&mask, condition, LX_UINT8, error) &&
        !(dtype == LX_INT32 ? lx_cast(&left, a, dtype, error) : lx_exact_float(&left, "where", a, error)) &&
        !(dtype == LX_INT32 ? lx_cast(&right, b, dtype, error) : lx_exact_float(&right, "where", b, error)) &&
        !lx_tensor_new(out, a->storage->device, dtype, ndim, shape, error)) {
        const elementwise_args args = {0};
        if (run_elementwise("where", kernel, (const lx_tensor *const[]){&left, &right, &mask, out}, 4, args, error))
            lx_tensor_free(out);
    }
    lx_tensor_free(&mask);
    lx_tensor_free(&left);
    lx_tensor_free(&right);
    return error->code;
}

lx_code lx_where_number(lx_tensor *out, const lx_tensor *condition, const lx_tensor *a, double number, lx_error *error)
{
    lx_tensor mask = {0}, left = {0};
    int ndim;
    long shape[LX_MAX_DIMS];
    if (lx_broadcast_shape("where", a, condition, &ndim, shape, error))
        return error->code;
    if (!lx_cast(&mask, condition, LX_UINT8, error) && !lx_exact_float(&left, "where", a, error) &&
        !lx_tensor_new(out, a->storage->device, LX_FLOAT32, ndim, shape, error)) {
        const elementwise_args args = {.s = (float)number};
        if (run_elementwise("where", &k_where_s, (const lx_tensor *const[]){&left, &mask, out}, 3, args, error))
            lx_tensor_free(out);
    }
    lx_tensor_free(&mask);
    lx_tensor_free(&left);
    return error->code;
}

lx_code lx_copy(lx_tensor *target, const lx_tensor *source, lx_error *error)
{
    static const lx_kernel *const kernels[3][3] = {
        {&k_copy_float_float, &k_copy_float_uchar, &k_copy_float_int},
        {&k_copy_uchar_float, &k_copy_uchar_uchar, &k_copy_uchar_int},
        {&k_copy_int_float, &k_copy_int_uchar, &k_copy_int_int},
    };
    /* What integers hold, as floats. */
    static const float least[] = {0, 0, -2147483648.0f}, most[] = {0, 255, 2147483520.0f};
    if (check_fits("copy", target, source, error))
        return error->code;
    const elementwise_args args = {.s = least[target->dtype], .t = most[target->dtype]};
    const lx_kernel *kernel = kernels[source->dtype][target->dtype];
    return run_elementwise("copy", kernel, (const lx_tensor *const[]){source, target}, 2, args, error);
}

lx_code lx_fill(lx_tensor *target, double value, lx_error *error)
{
    static const lx_kernel *const kernels[] = {&k_fill_float, &k_fill_uchar, &k_fill_int};
    const double least = target->dtype == LX_UINT8 ? 0 : INT32_MIN, most = target->dtype == LX_UINT8 ? 255 : INT32_MAX;
    elementwise_args args = {.s = (float)value};
    if (target->dtype != LX_FLOAT32) {
        if (!(value >= least && value <= most) || value != floor(value))
            return lx_fail(error, LX_EARG, "fill_: %.17g does not fit into %s", value, lx_dtype_name(target->dtype));
        args.i = (int)value;
    }
    return run_elementwise("fill", kernels[target->dtype], (const lx_tensor *const[]){target}, 1, args, error);
}

lx_code lx_arange(lx_tensor *out, lx_device *device, lx_dtype dtype, double start, double step, long count,
                  lx_error *error)
{
    const double last = count > 0 ? start + step * (double)(count - 1) : start;
    const bool whole = dtype == LX_INT32 && is_whole(start) && is_whole(step) && is_whole(last);
    if (dtype != LX_FLOAT32 && !whole)
        return lx_fail(error, LX_EARG, "arange: %.17g to %.17g in steps of %.17g do not fit into %s", start, last, step,
                       lx_dtype_name(dtype));
    if (lx_tensor_new(out, device, dtype, 1, &count, error))
        return error->code;
    elementwise_args args = {.s = (float)start, .t = (float)step};
    if (whole) {
        args.first = (long)start;
        args.step = (long)step;
    }
    const lx_kernel *kernel = whole ? &k_arange_int : &k_arange;
    if (run_elementwise("arange", kernel, (const lx_tensor *const[]){out}, 1, args, error))
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
        lx_storage_copy(out->storage, 0, dense.storage, (size_t)dense.offset * size, (size_t)lx_tensor_count(in) * size,
                        error))
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
