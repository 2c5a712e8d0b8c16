/* Checks of the numbers in int32 tensors, and int32 in float32 arithmetic. */
#include "exact.h"

#include "../../kernels/gather.h"

#include <string.h>

#include "ops.h"

LX_KERNEL(gather, gather_check);

bool lx_reading_waits(const lx_device *device)
{
    return strcmp(device->runtime->kind, "cpu") != 0;
}

lx_code lx_find_bad(lx_tensor *bad, const lx_tensor *x, long low, long high, lx_error *error)
{
    const long count = lx_tensor_count(x), chunks = lx_ceil_div(count, GATHER_CHECK_CHUNK);
    const gather_args args = {.low = low, .size = high, .count = count};
    if (lx_tensor_new(bad, x->storage->device, LX_INT32, 1, &chunks, error))
        return error->code;
    if (LX_RUN(k_gather_check, chunks, 1, 1, count, args, error, x, bad))
        lx_tensor_free(bad);
    return error->code;
}

lx_code lx_first_bad(const lx_argument *arguments, long chunks, long *place, int *value, lx_error *error)
{
    const lx_argument bad = arguments[0], x = arguments[1];
    const struct lx_runtime *runtime = bad.storage->device->runtime;
    *place = -1;
    for (long i = 0; i < chunks; i++) {
        int at;
        if (runtime->read(bad.storage, bad.offset + (size_t)i * sizeof at, &at, sizeof at, error))
            return error->code;
        if (at < 0)
            continue;
        *place = i * GATHER_CHECK_CHUNK + at;
        return runtime->read(x.storage, x.offset + (size_t)*place * sizeof *value, value, sizeof *value, error);
    }
    return LX_OK;
}

typedef struct {
    const char *function;
    long chunks;
} checked;

static lx_code report_inexact(const void *params, const lx_argument *arguments, lx_error *error)
{
    const checked *of = params;
    long place;
    int value;
    if (lx_first_bad(arguments, of->chunks, &place, &value, error) || place < 0)
        return error->code;
    return lx_fail(
        error, LX_EARG,
        "%s: integers are computed as float32, which is exact below 2^24 (16777216); element %ld is %d or more. "
        "Convert with :float() where rounding does no harm",
        of->function, place + 1, value);
}

lx_code lx_check_exact(const char *function, const lx_tensor *x, lx_error *error)
{
    lx_tensor whole = {0}, dense = {0}, bad = {0};
    if (lx_reading_waits(x->storage->device))
        return LX_OK;
    if (!lx_cast(&whole, x, LX_INT32, error) && !lx_contiguous(&dense, &whole, error) &&
        !lx_find_bad(&bad, &dense, -LX_EXACT_MOST, LX_EXACT_MOST, error)) {
        const checked params = {function, bad.shape[0]};
        lx_run_check(report_inexact, &params, sizeof params, (const lx_tensor *const[]){&bad, &dense}, 2, error);
    }
    lx_tensor_free(&whole);
    lx_tensor_free(&dense);
    lx_tensor_free(&bad);
    return error->code;
}

lx_code lx_exact_float(lx_tensor *out, const char *function, const lx_tensor *in, lx_error *error)
{
    if (in->dtype == LX_INT32 && lx_check_exact(function, in, error))
        return error->code;
    return lx_cast(out, in, LX_FLOAT32, error);
}

lx_code lx_exact_dense_float(lx_tensor *out, const char *function, const lx_tensor *in, lx_error *error)
{
    if (in->dtype == LX_INT32 && lx_check_exact(function, in, error))
        return error->code;
    return lx_dense_float(out, in, error);
}
