/* Checks of the numbers in int32 tensors, and int32 in float32 arithmetic: exact, or an error. */
#ifndef LX_EXACT_H
#define LX_EXACT_H

#include "../tensor/tensor.h"

/* The greatest integer of whose neighbours float32 still tells both apart: 2^24 - 1. */
enum { LX_EXACT_MOST = (1 << 24) - 1 };

/* Makes *bad, empty, of which lx_first_bad tells the place of the first element of x, dense and int32, that is not from
 * low to high. */
lx_code lx_find_bad(lx_tensor *bad, const lx_tensor *x, long low, long high, lx_error *error);
/* *place is -1 if there is none. For use in an lx_check: arguments are what lx_find_bad made, and x. */
lx_code lx_first_bad(const lx_argument *arguments, long chunks, long *place, int *value, lx_error *error);

/* Whether reading from the device makes the host wait for it. */
bool lx_reading_waits(const lx_device *device);

/* Fails if x, int32 or float32, has a magnitude above LX_EXACT_MOST, on devices where it takes no wait to know.
 * `function` must be a constant. */
lx_code lx_check_exact(const char *function, const lx_tensor *x, lx_error *error);

/* As lx_cast to float32 and lx_dense_float, but fails where that would round an integer. */
lx_code lx_exact_float(lx_tensor *out, const char *function, const lx_tensor *in, lx_error *error);
lx_code lx_exact_dense_float(lx_tensor *out, const char *function, const lx_tensor *in, lx_error *error);

#endif
