/* Reductions on GPUs, by work-groups. */
#include "../../../kernels/simt/reduce.h"

#include "../../../kernels/reduce.h"
#include "../forms.h"
#include "../ops.h"

LX_SIMT_KERNEL(reduce, reduce_groups, 1);
LX_SIMT_KERNEL(reduce, search_groups, 2);

enum {
    ALONG_COLUMNS = 8, /* work-items that share a column where neighbours have enough other columns to read */
    NEIGHBOURS = REDUCE_ITEMS / ALONG_COLUMNS,
    EACH_LEAST = 4,      /* elements of a work-item: fewer are not worth a work-item more */
    EACH_MOST = 64,      /* elements of a work-item up to which the size is not cut into chunks */
    EACH_CUT = 8,        /* and those that are left to it when it is */
    ENOUGH_GROUPS = 256, /* that keep a GPU busy; fixed, so that the order of additions depends on the shape alone */
    MEAN_LEAST = 64,     /* elements of a work-item of a mean, and into how many chunks many elements are cut */
    MEAN_CHUNKS = 1024
};

static const int joins[LX_REDUCTIONS] = {
    [LX_SUM] = JOIN_SUM, [LX_PROD] = JOIN_PROD, [LX_MAX] = JOIN_MAX, [LX_MIN] = JOIN_MIN};

/* How the work-items of a group are arranged, and how many chunks there are: one, or what keeps the device busy. */
static reduce_groups_args arrange(lx_axis axis, bool in_chunks)
{
    reduce_groups_args args = {.outer = axis.outer, .size = axis.size, .inner = axis.inner, .along = 1};
    const long most = axis.inner >= NEIGHBOURS ? ALONG_COLUMNS : REDUCE_ITEMS / axis.inner;
    while (args.along * 2 <= most && args.along * EACH_LEAST < axis.size)
        args.along *= 2;
    args.across = (int)lx_least(REDUCE_ITEMS / args.along, axis.inner);
    args.together = (int)lx_least(REDUCE_ITEMS / (args.across * args.along), axis.outer);
    args.blocks = lx_ceil_div(axis.inner, args.across);
    const long groups = args.blocks * lx_ceil_div(axis.outer, args.together);
    long chunks = 1;
    if (in_chunks && axis.size > args.along * EACH_MOST)
        chunks = lx_least(lx_ceil_div(ENOUGH_GROUPS, groups), axis.size / (args.along * EACH_CUT));
    args.chunk = axis.size ? lx_ceil_div(lx_ceil_div(axis.size, chunks), args.along) * args.along : 1;
    args.chunks = axis.size ? lx_ceil_div(axis.size, args.chunk) : 1;
    return args;
}

static long groups_of(const reduce_groups_args *args)
{
    return args->blocks * args->chunks * lx_ceil_div(args->outer, args->together);
}

/* One pass: each chunk of x becomes one element of y. */
static lx_code reduce_pass(const lx_tensor *y, lx_reduction reduction, const lx_tensor *x, reduce_groups_args args,
                           lx_error *error)
{
    const lx_build_options options = {.join = joins[reduction]};
    return LX_RUN_GROUPS(k_reduce_groups, &options, groups_of(&args), 1, 1, REDUCE_ITEMS, 1,
                         args.outer * args.size * args.inner, args, error, x, y);
}

static lx_code reduce(lx_tensor *out, lx_reduction reduction, const lx_tensor *x, lx_axis axis, lx_error *error)
{
    const long count = axis.outer * axis.inner;
    if (count == 0)
        return lx_tensor_new(out, x->storage->device, LX_FLOAT32, 1, &count, error);
    do {
        lx_tensor next = {0};
        const reduce_groups_args args = arrange(axis, true);
        const long parts = count * args.chunks;
        if (!lx_tensor_new(&next, x->storage->device, LX_FLOAT32, 1, &parts, error))
            reduce_pass(&next, reduction, out->storage ? out : x, args, error);
        lx_tensor_free(out);
        *out = next;
        axis.size = args.chunks;
    } while (axis.size > 1 && !error->code);
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

static lx_code row_means(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error)
{
    if (rows == 0)
        return LX_OK;
    reduce_groups_args args = arrange((lx_axis){rows, size, 1}, false);
    args.mean = 1;
    return reduce_pass(y, LX_SUM, x, args, error);
}

static lx_code search(lx_tensor *out, bool smallest, const lx_tensor *x, lx_axis axis, lx_error *error)
{
    const lx_build_options options = {.smallest = smallest};
    const long whole = axis.size, count = axis.outer * axis.inner;
    if (count == 0)
        return lx_tensor_new(out, x->storage->device, LX_INT32, 1, &count, error);
    do {
        lx_tensor next = {0};
        reduce_groups_args args = arrange(axis, true);
        args.whole = whole;
        args.picked = out->storage != NULL;
        const long found = count * args.chunks;
        if (!lx_tensor_new(&next, x->storage->device, LX_INT32, 1, &found, error))
            LX_RUN_GROUPS(k_search_groups, &options, groups_of(&args), 1, 1, REDUCE_ITEMS, 1, count * axis.size, args,
                          error, x, out->storage ? out : NULL, &next);
        lx_tensor_free(out);
        *out = next;
        axis.size = args.chunks;
    } while (axis.size > 1 && !error->code);
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

/* As many work-items as one can add up what they find. */
static long mean_chunk(long size)
{
    return size < REDUCE_ROW_CHUNK ? MEAN_LEAST : lx_ceil_div(size, MEAN_CHUNKS);
}

const lx_reduce_ops lx_reduce_simt = {reduce, search, row_means, mean_chunk};
