/* Normalisation per channel of a batch, and per row. Sums per channel go in two steps: of each image, then over the
 * images. In the kernels of a batch id0 is the channel, or the block of channels in the blocked layout, and id1 the
 * image. */
#include "norm.h"
#include "rows.h"

/* Additions one after another before a sum is put aside, which keeps rounding errors from growing with the count. */
#define RUN 64

KERNEL2(channel_sums, batch_norm_args, GLOBAL const float *, x, GLOBAL float *, sums)
{
    const long row = id1 * p.channels + id0;
    sums[row] = row_sum(x + row * p.size, p.size);
}

KERNEL3(channel_squares, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean, GLOBAL float *, sums)
{
    const long row = id1 * p.channels + id0;
    sums[row] = row_squares(x + row * p.size, mean[id0], p.size);
}

KERNEL4(channel_dots, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean, GLOBAL const float *, dy,
        GLOBAL float *, sums)
{
    const long row = id1 * p.channels + id0;
    sums[row] = row_dot(x + row * p.size, mean[id0], dy + row * p.size, p.size);
}

/* A sum over the pixels of a block, of `term` at each. */
#define BLOCK_SUM(name, parameters, term)                                     \
    static LX_ITEM lanes name parameters                                      \
    {                                                                         \
        lanes total = splat(0.0f);                                            \
        for (long start = 0; start < size; start += 4 * RUN) {                \
            const long end = start + 4 * RUN < size ? start + 4 * RUN : size; \
            lanes part[4];                                                    \
            long i = start;                                                   \
            UNROLL                                                            \
            for (int t = 0; t < 4; t++)                                       \
                part[t] = splat(0.0f);                                        \
            for (; i + 4 <= end; i += 4) {                                    \
                UNROLL                                                        \
                for (int t = 0; t < 4; t++) {                                 \
                    const long at = (i + t) * LANES;                          \
                    part[t] += term;                                          \
                }                                                             \
            }                                                                 \
            for (; i < end; i++) {                                            \
                const long at = i * LANES;                                    \
                part[0] += term;                                              \
            }                                                                 \
            total += (part[0] + part[1]) + (part[2] + part[3]);               \
        }                                                                     \
        return total;                                                         \
    }

BLOCK_SUM(block_sum, (GLOBAL const float *x, long size), load_lanes(x + at))
BLOCK_SUM(block_squares, (GLOBAL const float *x, lanes shift, long size), square_lanes(load_lanes(x + at) - shift))
BLOCK_SUM(block_dot, (GLOBAL const float *x, lanes shift, GLOBAL const float *y, long size),
          (load_lanes(x + at) - shift) * load_lanes(y + at))

/* One number a channel, times `factor`; 0 where the last block has no channel, so that the result is 0 there too. */
static LX_ITEM lanes of_block(GLOBAL const float *values, long block, float factor, const batch_norm_args p)
{
    float lane[LANES];
    for (int t = 0; t < LANES; t++)
        lane[t] = block * LANES + t < p.channels ? values[block * LANES + t] * factor : 0.0f;
    return load_lanes(lane);
}

/* 1 / sqrt(var + eps), times the weight if `weighted` */
static LX_ITEM lanes scale_of_block(GLOBAL const float *var, GLOBAL const float *weight, int weighted, long block,
                                    const batch_norm_args p)
{
    float lane[LANES];
    for (int t = 0; t < LANES; t++) {
        const long channel = block * LANES + t;
        lane[t] = 0.0f;
        if (channel < p.channels)
            lane[t] = (weighted ? weight[channel] : 1.0f) / sqrt(var[channel] + p.eps);
    }
    return load_lanes(lane);
}

KERNEL2(channel_sums_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL float *, sums)
{
    const long first = id1 * p.stored + id0 * LANES;
    store_lanes(block_sum(x + first * p.size, p.size), sums + first);
}

KERNEL3(channel_squares_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL float *, sums)
{
    const long first = id1 * p.stored + id0 * LANES;
    store_lanes(block_squares(x + first * p.size, of_block(mean, id0, 1.0f, p), p.size), sums + first);
}

KERNEL4(channel_dots_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL const float *, dy, GLOBAL float *, sums)
{
    const long first = id1 * p.stored + id0 * LANES;
    const lanes shift = of_block(mean, id0, 1.0f, p);
    store_lanes(block_dot(x + first * p.size, shift, dy + first * p.size, p.size), sums + first);
}

static LX_ITEM float over_images(GLOBAL const float *sums, long channel, long images, long stored)
{
    float total = 0.0f;
    for (long start = 0; start < images; start += RUN) {
        const long end = start + RUN < images ? start + RUN : images;
        float part = 0.0f;
        for (long image = start; image < end; image++)
            part += sums[image * stored + channel];
        total += part;
    }
    return total;
}

/* id0: channel, here and below */
KERNEL2(channel_mean, batch_norm_args, GLOBAL const float *, sums, GLOBAL float *, mean)
{
    mean[id0] = over_images(sums, id0, p.images, p.stored) / (float)(p.images * p.size);
}

KERNEL2(channel_bias_gradient, batch_norm_args, GLOBAL const float *, sums, GLOBAL float *, dbias)
{
    dbias[id0] = over_images(sums, id0, p.images, p.stored);
}

KERNEL3(channel_weight_gradient, batch_norm_args, GLOBAL const float *, sums, GLOBAL const float *, var,
        GLOBAL float *, dweight)
{
    dweight[id0] = over_images(sums, id0, p.images, p.stored) / sqrt(var[id0] + p.eps);
}

KERNEL6(batch_norm, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean, GLOBAL const float *, var,
        GLOBAL const float *, weight, GLOBAL const float *, bias, GLOBAL float *, y)
{
    const long row = (id1 * p.channels + id0) * p.size;
    const float shift = mean[id0], scale = (p.has_weight ? weight[id0] : 1.0f) / sqrt(var[id0] + p.eps);
    const float added = p.has_bias ? bias[id0] : 0.0f;
    long i = 0;
    for (; i + LANES <= p.size; i += LANES)
        store_lanes((load_lanes(x + row + i) - splat(shift)) * splat(scale) + splat(added), y + row + i);
    for (; i < p.size; i++)
        y[row + i] = (x[row + i] - shift) * scale + added;
}

KERNEL6(batch_norm_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias, GLOBAL float *, y)
{
    const long first = (id1 * p.stored + id0 * LANES) * p.size;
    const lanes shift = of_block(mean, id0, 1.0f, p), scale = scale_of_block(var, weight, p.has_weight, id0, p);
    lanes added = splat(0.0f);
    if (p.has_bias)
        added = of_block(bias, id0, 1.0f, p);
    for (long i = first; i < first + p.size * LANES; i += LANES)
        store_lanes((load_lanes(x + i) - shift) * scale + added, y + i);
}

/* With the batch's statistics x reaches the result through the mean and the variance too. */
KERNEL8(batch_norm_backward, batch_norm_args, GLOBAL const float *, dy, GLOBAL const float *, x,
        GLOBAL const float *, mean, GLOBAL const float *, var, GLOBAL const float *, weight,
        GLOBAL const float *, dweight, GLOBAL const float *, dbias, GLOBAL float *, dx)
{
    const long row = (id1 * p.channels + id0) * p.size;
    const float rstd = 1.0f / sqrt(var[id0] + p.eps), scale = (p.has_weight ? weight[id0] : 1.0f) * rstd;
    const float count = (float)(p.images * p.size);
    const float shift = mean[id0];
    const float by_mean = p.training ? dbias[id0] / count : 0.0f;
    const float by_var = p.training ? dweight[id0] * rstd / count : 0.0f;
    long i = 0;
    for (; i + LANES <= p.size; i += LANES) {
        const lanes centred = load_lanes(x + row + i) - splat(shift);
        store_lanes((load_lanes(dy + row + i) - splat(by_mean) - centred * splat(by_var)) * splat(scale), dx + row + i);
    }
    for (; i < p.size; i++)
        dx[row + i] = (dy[row + i] - by_mean - (x[row + i] - shift) * by_var) * scale;
}

KERNEL8(batch_norm_backward_blocked, batch_norm_args, GLOBAL const float *, dy, GLOBAL const float *, x,
        GLOBAL const float *, mean, GLOBAL const float *, var, GLOBAL const float *, weight,
        GLOBAL const float *, dweight, GLOBAL const float *, dbias, GLOBAL float *, dx)
{
    const long first = (id1 * p.stored + id0 * LANES) * p.size;
    const float share = p.training ? 1.0f / (float)(p.images * p.size) : 0.0f;
    const lanes shift = of_block(mean, id0, 1.0f, p), scale = scale_of_block(var, weight, p.has_weight, id0, p);
    const lanes by_mean = of_block(dbias, id0, share, p);
    const lanes by_var = of_block(dweight, id0, share, p) * scale_of_block(var, weight, 0, id0, p);
    for (long i = first; i < first + p.size * LANES; i += LANES) {
        const lanes centred = load_lanes(x + i) - shift;
        store_lanes((load_lanes(dy + i) - by_mean - centred * by_var) * scale, dx + i);
    }
}

/* id0: row */
KERNEL4(row_norm, row_norm_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL float *, mean, GLOBAL float *, rstd)
{
    const long row = id0 * p.size;
    const float count = (float)p.size;
    const float shift = row_sum(x + row, p.size) / count;
    const float scale = 1.0f / sqrt(row_squares(x + row, shift, p.size) / count + p.eps);
    long i = 0;
    for (; i + LANES <= p.size; i += LANES)
        store_lanes((load_lanes(x + row + i) - splat(shift)) * splat(scale), y + row + i);
    for (; i < p.size; i++)
        y[row + i] = (x[row + i] - shift) * scale;
    mean[id0] = shift;
    rstd[id0] = scale;
}

KERNEL4(row_norm_backward, row_norm_args, GLOBAL const float *, dy, GLOBAL const float *, y, GLOBAL const float *, rstd,
        GLOBAL float *, dx)
{
    const long row = id0 * p.size;
    const float count = (float)p.size, scale = rstd[id0];
    const float by_mean = row_sum(dy + row, p.size) / count;
    const float by_var = row_dot(y + row, 0.0f, dy + row, p.size) / count;
    long i = 0;
    for (; i + LANES <= p.size; i += LANES) {
        const lanes by_both = splat(by_mean) + load_lanes(y + row + i) * splat(by_var);
        store_lanes((load_lanes(dy + row + i) - by_both) * splat(scale), dx + row + i);
    }
    for (; i < p.size; i++)
        dx[row + i] = (dy[row + i] - by_mean - y[row + i] * by_var) * scale;
}
