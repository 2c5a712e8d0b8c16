/* Random numbers and dropout. */
#include "../../kernels/random.h"

#include <stddef.h>
#include <stdlib.h>

#include "../../kernels/philox.h"
#include "nn.h"

LX_KERNEL(random, random_uniform);
LX_KERNEL(random, random_normal);
LX_KERNEL(random, random_whole);
LX_KERNEL(random, dropout);
LX_KERNEL(random, dropout_blocked);

enum { WORK_OF_FOUR = 60 }; /* ten rounds */

/* What replays the next launch gives it another stream. */
static void note_stream(const lx_device *device)
{
    if (device->recording)
        lx_note_stream(device->recording, offsetof(random_args, seed), offsetof(random_args, stream));
}

/* Makes the output and fills it with one of the drawing kernels. */
static lx_code draw(lx_tensor *out, const lx_kernel *kernel, lx_device *device, lx_dtype dtype, int ndim,
                    const long *shape, random_args args, lx_error *error)
{
    if (lx_tensor_new(out, device, dtype, ndim, shape, error))
        return error->code;
    args.count = lx_tensor_count(out);
    const long fours = lx_ceil_div(args.count, 4);
    note_stream(device);
    if (LX_RUN(*kernel, fours, 1, 1, fours * WORK_OF_FOUR, args, error, out))
        lx_tensor_free(out);
    return error->code;
}

lx_code lx_rand(lx_tensor *out, lx_device *device, int ndim, const long *shape, lx_stream stream, lx_error *error)
{
    const random_args args = {.seed = stream.seed, .stream = stream.stream};
    return draw(out, &k_random_uniform, device, LX_FLOAT32, ndim, shape, args, error);
}

lx_code lx_randn(lx_tensor *out, lx_device *device, int ndim, const long *shape, lx_stream stream, lx_error *error)
{
    const random_args args = {.seed = stream.seed, .stream = stream.stream};
    return draw(out, &k_random_normal, device, LX_FLOAT32, ndim, shape, args, error);
}

lx_code lx_randint(lx_tensor *out, lx_device *device, long low, long high, int ndim, const long *shape,
                   lx_stream stream, lx_error *error)
{
    if (low < INT32_MIN || high > (long)INT32_MAX + 1 || high <= low)
        return lx_fail(error, LX_EARG, "randint: low (%ld) must be below high (%ld), and both within int32", low, high);
    const random_args args = {.seed = stream.seed, .stream = stream.stream, .first = (int)low, .range = high - low};
    return draw(out, &k_random_whole, device, LX_INT32, ndim, shape, args, error);
}

void lx_philox(unsigned words[4], unsigned long key, unsigned long low, unsigned long high)
{
    const philox_words four = philox(key, low, high);
    for (int i = 0; i < 4; i++)
        words[i] = four.word[i];
}

static lx_code check_p(const char *name, double p, lx_error *error)
{
    if (p >= 0 && p < 1)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: p must be from 0 to below 1, got %g", name, p);
}

static random_args dropout_args(double p, lx_stream stream)
{
    return (random_args){
        .seed = stream.seed, .stream = stream.stream, .keep = (float)(1 - p), .span = (float)(1 / (1 - p))};
}

/* Drops out of a blocked tensor without unpacking it. */
static lx_code dropout_blocked(lx_tensor *out, const lx_tensor *x, random_args args, lx_error *error)
{
    const long *shape = x->shape;
    args.channels = shape[1];
    args.blocks = lx_ceil_div(shape[1], x->block);
    args.plane = shape[2] * shape[3];
    if (lx_tensor_new_blocked(out, x->storage->device, shape, error))
        return error->code;
    const double work = (double)(shape[0] * args.blocks * x->block) * (double)args.plane * WORK_OF_FOUR;
    note_stream(x->storage->device);
    return LX_RUN(k_dropout_blocked, args.plane, args.blocks, shape[0], work, args, error, x, out);
}

lx_code lx_dropout(lx_tensor *out, const lx_tensor *x, double p, lx_stream stream, lx_error *error)
{
    random_args args = dropout_args(p, stream);
    lx_tensor in = {0};
    if (check_p("dropout", p, error))
        return error->code;
    if (x->block) {
        if (dropout_blocked(out, x, args, error))
            lx_tensor_free(out);
        return error->code;
    }
    if (lx_dense_float(&in, x, error))
        return error->code;
    args.count = lx_tensor_count(&in);
    if (!lx_tensor_new(out, x->storage->device, LX_FLOAT32, x->ndim, x->shape, error))
        note_stream(x->storage->device);
    if (!error->code && LX_RUN(k_dropout, args.count, 1, 1, args.count * WORK_OF_FOUR, args, error, &in, out))
        lx_tensor_free(out);
    lx_tensor_free(&in);
    return error->code;
}
