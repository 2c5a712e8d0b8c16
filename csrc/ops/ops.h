/* Operations on tensors: each checks its inputs, makes the output and launches a kernel.
 *
 * `out` must be empty; it is filled on success and stays empty on failure. Inputs are float32 and in the plain
 * layout unless a comment says more; functions named ..._ write into their first argument.
 */
#ifndef LX_OPS_H
#define LX_OPS_H

#include <stdint.h>

#include "../base/count.h"
#include "../compile/recording.h"
#include "../tensor/tensor.h"
#include "conv2d.h"

/* ---- launching ---------------------------------------------------------------------------------------------- */

/* Launches `kernel` on the device of the first tensor, with the tensors (NULL: none) as its buffers. */
lx_code lx_run(const lx_kernel *kernel, const lx_build_options *options, const long size[3], double work,
               const void *params, size_t params_size, const lx_tensor *const *tensors, int count, lx_error *error);
#define LX_RUN(kernel, size0, size1, size2, work, params, error, ...) \
    LX_RUN_WITH(kernel, NULL, size0, size1, size2, work, params, error, __VA_ARGS__)
/* With options for the driver's compiler; the cpu device has no use for them. */
#define LX_RUN_WITH(kernel, options, size0, size1, size2, work, params, error, ...)                     \
    lx_run(&(kernel), (options), (const long[3]){(size0), (size1), (size2)}, (double)(work), &(params), \
           sizeof(params), (const lx_tensor *const[]){__VA_ARGS__},                                     \
           (int)(sizeof((const lx_tensor *const[]){__VA_ARGS__}) / sizeof(lx_tensor *)), (error))

/* The same for a kernel of kernels/simt/: `groups` work-groups of `group` work-items, and options for the compiler (or
 * NULL). OpenCL devices alone have them: see lx_device.form. */
lx_code lx_run_groups(const lx_kernel *kernel, const lx_build_options *options, const long groups[3],
                      const int group[3], double work, const void *params, size_t params_size,
                      const lx_tensor *const *tensors, int count, lx_error *error);
#define LX_RUN_GROUPS(kernel, options, groups0, groups1, groups2, group0, group1, work, params, error, ...) \
    lx_run_groups(&(kernel), (options), (const long[3]){(groups0), (groups1), (groups2)},                   \
                  (const int[3]){(group0), (group1), 1}, (double)(work), &(params), sizeof(params),         \
                  (const lx_tensor *const[]){__VA_ARGS__},                                                  \
                  (int)(sizeof((const lx_tensor *const[]){__VA_ARGS__}) / sizeof(lx_tensor *)), (error))

/* Looks at values on a device that does not make the host wait, now and whenever this is replayed. */
lx_code lx_run_check(lx_check *check, const void *params, size_t params_size, const lx_tensor *const *tensors,
                     int count, lx_error *error);

/* All tensors on one device, or an error that names both. */
lx_code lx_same_device(const char *function, const lx_tensor *a, const lx_tensor *b, lx_error *error);

/* ---- elementwise -------------------------------------------------------------------------------------------- */

/* An operand of a binary operation: a tensor, or a number where tensor is NULL. */
typedef struct {
    const lx_tensor *tensor;
    double number;
} lx_operand;

/* `name` as in kernels/elementwise.h. A result is blocked where lx_keeps_blocked says so. Any dtype is taken and
 * computes in float32; comparisons and isnan give uint8. */
lx_code lx_unary(lx_tensor *out, const char *name, const lx_tensor *a, double s, double t, lx_error *error);
lx_code lx_binary(lx_tensor *out, const char *name, lx_operand a, lx_operand b, lx_error *error);
/* Whether the result has the blocked layout of one operand, into which the other (NULL: none, or a number) broadcasts.
 */
bool lx_keeps_blocked(const char *name, const lx_tensor *target, const lx_tensor *source);

/* ACTIVATION_OPS of kernels/elementwise.h: the name, and "x" or "y". A row without a name is the last. */
typedef struct {
    const char *name, *from;
} lx_activation;
extern const lx_activation lx_activations[];

/* The same, written into a tensor that exists (target may be a or b). */
lx_code lx_unary_into(lx_tensor *target, const char *name, const lx_tensor *a, double s, double t, lx_error *error);
lx_code lx_binary_into(lx_tensor *target, const char *name, lx_operand a, lx_operand b, lx_error *error);
/* Whether a tensor can be written in place, and with what has the shape of `source` (NULL: any): its elements must not
 * share memory, as those of an expanded one do. */
lx_code lx_check_target(const char *function, const lx_tensor *target, const lx_tensor *source, lx_error *error);
/* target = a + s b */
lx_code lx_add_scaled_into(lx_tensor *target, const lx_tensor *a, const lx_tensor *b, double s, lx_error *error);

/* float32 of the shape of x: the gradient where x is from low to high, else 0. */
lx_code lx_clamp_backward(lx_tensor *out, const lx_tensor *x, const lx_tensor *gradient, double low, double high,
                          lx_error *error);

/* float32, or int32 if a and b are. */
lx_code lx_where(lx_tensor *out, const lx_tensor *condition, const lx_tensor *a, const lx_tensor *b, lx_error *error);

/* float32: a where condition is not 0, elsewhere the number. */
lx_code lx_where_number(lx_tensor *out, const lx_tensor *condition, const lx_tensor *a, double number, lx_error *error);

/* target = source, converting the dtype and broadcasting source. */
lx_code lx_copy(lx_tensor *target, const lx_tensor *source, lx_error *error);
lx_code lx_fill(lx_tensor *target, double value, lx_error *error);
/* out[i] = start + i step: float32, or int32 where both are whole and all of it fits. */
lx_code lx_arange(lx_tensor *out, lx_device *device, lx_dtype dtype, double start, double step, long count,
                  lx_error *error);

/* A dense tensor of the same contents: the tensor itself shared when it is dense already, else a copy. */
lx_code lx_contiguous(lx_tensor *out, const lx_tensor *in, lx_error *error);
/* A dense tensor of the same contents on the device: the tensor itself shared when it is one already, else a copy. */
lx_code lx_place(lx_tensor *out, const lx_tensor *in, lx_device *device, lx_error *error);
/* A tensor of the dtype: shared if it has it, else a converted copy. */
lx_code lx_cast(lx_tensor *out, const lx_tensor *in, lx_dtype dtype, lx_error *error);
/* Dense and float32: what most kernels with their own addressing want. */
lx_code lx_dense_float(lx_tensor *out, const lx_tensor *in, lx_error *error);

#endif
