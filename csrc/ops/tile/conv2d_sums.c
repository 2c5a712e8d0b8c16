#include "conv2d_sums.h"

#include "../ops.h"

LX_KERNEL(conv2d, conv2d_reduce);

enum {
    MOST_CHUNKS = 64,   /* of the batch in backward-weight */
    MOST_SUMS = 1 << 22 /* elements of all chunks' sums together, unless there is one chunk */
};

/* Cuts the output rows of the batch into chunks whose sums are added up afterwards; returns how many. That depends on
 * the shapes alone, so that results do not depend on the number of threads. */
static long cut(conv2d_weight_args *args, long blocks, long sums)
{
    long chunks = lx_ceil_div(4 * MOST_CHUNKS, blocks);
    if (chunks > MOST_CHUNKS)
        chunks = MOST_CHUNKS;
    if (chunks > MOST_SUMS / sums)
        chunks = MOST_SUMS / sums;
    if (chunks > args->rows)
        chunks = args->rows;
    if (chunks < 1)
        chunks = 1;
    args->chunk_rows = lx_ceil_div(args->rows, chunks);
    args->chunk_size = sums;
    return args->chunk_rows ? lx_ceil_div(args->rows, args->chunk_rows) : 1;
}

/* Adds up chunks into dw. */
static lx_code reduce_chunks(const conv2d_reduce_args *reduce, long blocks, const lx_tensor *sums, lx_tensor *dw,
                             lx_error *error)
{
    return LX_RUN(k_conv2d_reduce, lx_ceil_div(reduce->in_channels, sums->storage->device->lanes) * reduce->taps,
                  blocks, 1, lx_tensor_count(sums), *reduce, error, sums, dw);
}

lx_code lx_conv2d_sum_chunks(const lx_conv2d_sum *sum, const lx_tensor *x, const lx_tensor *dy, const lx_tensor *codes,
                             lx_tensor *dw, lx_error *error)
{
    conv2d_weight_args *args = sum->args;
    conv2d_reduce_args *reduce = sum->reduce;
    const long groups_blocks = (long)args->groups * args->out_blocks, lanes = dy->storage->device->lanes;
    const long sums = groups_blocks * reduce->in_blocks * reduce->taps * reduce->inner * lanes;
    const long chunks = cut(args, sum->blocks, sums);
    const lx_tensor *operands[3] = {x, dy, codes}; /* those that there are, in this order */
    lx_tensor partial = {0};
    if (lx_tensor_new(&partial, dy->storage->device, LX_FLOAT32, 2, (const long[2]){chunks, sums}, error))
        return error->code;
    const lx_tensor *all[4];
    int count = 0;
    for (int i = 0; i < 3; i++)
        if (operands[i])
            all[count++] = operands[i];
    all[count++] = &partial;
    reduce->chunks = (int)chunks;
    reduce->chunk_size = sums;
    reduce->out_blocks = args->out_blocks;
    lx_code code = lx_run(sum->kernel, NULL, (const long[3]){sum->blocks, chunks, 1}, sum->work, args, sizeof *args,
                          all, count, error);
    if (!code)
        code = reduce_chunks(reduce, groups_blocks, &partial, dw, error);
    lx_tensor_free(&partial);
    return code;
}

/* ---- Winograd's way ------------------------------------------------------------------------------------------- */

lx_winograd_pass lx_conv2d_as_winograd(const conv2d_tile_args *args, long batch)
{
    return (lx_winograd_pass){&args->g, batch, args->in_blocks, args->out_blocks};
}

lx_code lx_conv2d_winograd_weight(const lx_convolution *c, lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy,
                                  const lx_tensor *codes, lx_error *error)
{
    lx_device *device = dy->storage->device;
    conv2d_weight_args args;
    conv2d_reduce_args reduce;
    lx_conv2d_weight_args(c, device->lanes, &args, &reduce);
    const lx_winograd_pass pass = {&c->g, c->batch, args.in_blocks, args.out_blocks};
    reduce.chunks = 1;
    reduce.out_blocks = args.out_blocks;
    const long count = (long)args.out_blocks * args.in_blocks * reduce.taps * device->lanes * device->lanes;
    lx_tensor taps = {0};
    if (lx_tensor_new(&taps, device, LX_FLOAT32, 1, &count, error))
        return error->code;
    lx_code code = lx_winograd_gradient(&pass, lx_conv2d_work(c), &taps, x, dy, codes, error);
    if (!code)
        code = reduce_chunks(&reduce, args.out_blocks, &taps, dw, error);
    lx_tensor_free(&taps);
    return code;
}
