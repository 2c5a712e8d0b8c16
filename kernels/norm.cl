/* Normalisation per channel of a batch, and per row. Sums per channel go in two steps: of each image, then over the
 * images. In the kernels of a batch id0 is the channel, or the block of channels in the blocked layout, and id1 the
 * image. */
#include "norm.h"
#include "row_args.h"
#include "rows.h"
#include "activation.h"

/* Additions one after another before a sum is put aside, which keeps rounding errors from growing with the count. */
#define RUN 64

/* What is read twice: numbers side by side, or pixels of a block. */
#define PIECE 4096
#define PIXELS (4 * RUN)

/* Mean and summed squares of the deviations from it, image by image. What has just been read is read again from the
 * cache, piece by piece, and the pieces are joined (Chan, Golub and LeVeque 1979). */
KERNEL3(channel_moments, batch_norm_args, GLOBAL const float *, x, GLOBAL float *, means, GLOBAL float *, squares)
{
    const long row = id1 * p.channels + id0;
    float mean = 0.0f, square = 0.0f;
    for (long start = 0; start < p.size; start += PIECE) {
        const long size = start + PIECE < p.size ? PIECE : p.size - start;
        GLOBAL const float *piece = x + row * p.size + start;
        const float own = row_sum(piece, size) / (float)size, apart = own - mean;
        const float share = (float)size / (float)(start + size);
        mean += apart * share;
        square += row_squares(piece, own, size) + apart * apart * (float)start * share;
    }
    means[row] = mean;
    squares[row] = square;
}

/* The sums of dy, and of dy times the deviation of x from its mean. */
KERNEL8(channel_gradients, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias, GLOBAL const float *, dy,
        GLOBAL float *, sums, GLOBAL float *, dots)
{
    const long row = id1 * p.channels + id0;
    float sum = 0.0f, dot = 0.0f;
    for (long start = 0; start < p.size; start += PIECE) {
        const long size = start + PIECE < p.size ? PIECE : p.size - start, at = row * p.size + start;
        sum += row_sum(dy + at, size);
        dot += row_dot(x + at, mean[id0], dy + at, size);
    }
    sums[row] = sum;
    dots[row] = dot;
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

static LX_ITEM lanes added_of_block(GLOBAL const float *bias, long block, const batch_norm_args p)
{
    lanes added = splat(0.0f);
    if (p.has_bias)
        added = of_block(bias, block, 1.0f, p);
    return added;
}

KERNEL3(channel_moments_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL float *, means,
        GLOBAL float *, squares)
{
    const long first = id1 * p.stored + id0 * LANES;
    lanes mean = splat(0.0f), square = splat(0.0f);
    for (long start = 0; start < p.size; start += PIXELS) {
        const long size = start + PIXELS < p.size ? PIXELS : p.size - start;
        GLOBAL const float *piece = x + first * p.size + start * LANES;
        const float share = (float)size / (float)(start + size);
        const lanes own = block_sum(piece, size) * splat(1.0f / (float)size), apart = own - mean;
        mean += apart * splat(share);
        square += block_squares(piece, own, size) + apart * apart * splat((float)start * share);
    }
    store_lanes(mean, means + first);
    store_lanes(square, squares + first);
}

/* Adds the gradient of a pixel that comes through the activation of (x - shift) scale + added, and its product with x -
 * shift. `activation` is a constant where this is called. */
static LX_ITEM void add_gradient(int activation, GLOBAL const float *x, GLOBAL const float *dy, lanes shift, lanes scale,
                                 lanes added, lanes *sum, lanes *dot)
{
    const lanes apart = load_lanes(x) - shift;
    const lanes gradient = lanes_through_activation(load_lanes(dy), apart * scale + added, activation);
    *sum += gradient;
    *dot += apart * gradient;
}

/* The same of all pixels of a block. */
static LX_ITEM void sum_gradients(int activation, GLOBAL const float *x, GLOBAL const float *dy, lanes shift, lanes scale,
                                  lanes added, long size, lanes *sum, lanes *dot)
{
    lanes sums[4], dots[4];
    UNROLL
    for (int t = 0; t < 4; t++)
        sums[t] = dots[t] = splat(0.0f);
    long i = 0;
    for (; i + 4 <= size; i += 4) {
        UNROLL
        for (int t = 0; t < 4; t++)
            add_gradient(activation, x + (i + t) * LANES, dy + (i + t) * LANES, shift, scale, added, sums + t, dots + t);
    }
    for (; i < size; i++)
        add_gradient(activation, x + i * LANES, dy + i * LANES, shift, scale, added, sums, dots);
    *sum += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    *dot += (dots[0] + dots[1]) + (dots[2] + dots[3]);
}

KERNEL8(channel_gradients_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias, GLOBAL const float *, dy,
        GLOBAL float *, sums, GLOBAL float *, dots)
{
    const long first = id1 * p.stored + id0 * LANES;
    const lanes shift = of_block(mean, id0, 1.0f, p), scale = scale_of_block(var, weight, p.has_weight, id0, p);
    const lanes added = added_of_block(bias, id0, p);
    lanes sum = splat(0.0f), dot = splat(0.0f);
    for (long start = 0; start < p.size; start += PIXELS) {
        const long size = start + PIXELS < p.size ? PIXELS : p.size - start, at = first * p.size + start * LANES;
        if (p.activation == ACTIVATION_none)
            sum_gradients(ACTIVATION_none, x + at, dy + at, shift, scale, added, size, &sum, &dot);
        else if (p.activation == ACTIVATION_relu)
            sum_gradients(ACTIVATION_relu, x + at, dy + at, shift, scale, added, size, &sum, &dot);
        else
            sum_gradients(p.activation, x + at, dy + at, shift, scale, added, size, &sum, &dot);
    }
    store_lanes(sum, sums + first);
    store_lanes(dot, dots + first);
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

/* id0: channel, here and below. Joins what was found of each image. */
KERNEL4(channel_moments_join, batch_norm_args, GLOBAL const float *, means, GLOBAL const float *, squares,
        GLOBAL float *, mean, GLOBAL float *, var)
{
    float total = 0.0f, square = 0.0f;
    for (long image = 0; image < p.images; image++) {
        const float apart = means[image * p.stored + id0] - total, share = 1.0f / (float)(image + 1);
        total += apart * share;
        square += squares[image * p.stored + id0] + apart * apart * (float)(image * p.size) * share;
    }
    mean[id0] = total;
    var[id0] = square / (float)(p.images * p.size);
}

KERNEL5(channel_gradients_join, batch_norm_args, GLOBAL const float *, sums, GLOBAL const float *, dots,
        GLOBAL const float *, var, GLOBAL float *, dweight, GLOBAL float *, dbias)
{
    dbias[id0] = over_images(sums, id0, p.images, p.stored);
    dweight[id0] = over_images(dots, id0, p.images, p.stored) / sqrt(var[id0] + p.eps);
}

/* An addend is for the blocked layout. */
KERNEL7(batch_norm, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean, GLOBAL const float *, var,
        GLOBAL const float *, weight, GLOBAL const float *, bias, GLOBAL const float *, addend, GLOBAL float *, y)
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

KERNEL7(batch_norm_blocked, batch_norm_args, GLOBAL const float *, x, GLOBAL const float *, mean,
        GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias,
        GLOBAL const float *, addend, GLOBAL float *, y)
{
    const long first = (id1 * p.stored + id0 * LANES) * p.size, end = first + p.size * LANES;
    const lanes shift = of_block(mean, id0, 1.0f, p), scale = scale_of_block(var, weight, p.has_weight, id0, p);
    const lanes added = added_of_block(bias, id0, p);
    if (p.has_addend) {
        for (long i = first; i < end; i += LANES) {
            const lanes sum = (load_lanes(x + i) - shift) * scale + added + load_lanes(addend + i);
            store_lanes(activate_lanes(sum, p.activation), y + i);
        }
        return;
    }
    for (long i = first; i < end; i += LANES)
        store_lanes(activate_lanes((load_lanes(x + i) - shift) * scale + added, p.activation), y + i);
}

/* With the batch's statistics x reaches the result through the mean and the variance too. */
KERNEL9(batch_norm_backward, batch_norm_args, GLOBAL const float *, dy, GLOBAL const float *, x,
        GLOBAL const float *, mean, GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias,
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

KERNEL9(batch_norm_backward_blocked, batch_norm_args, GLOBAL const float *, dy, GLOBAL const float *, x,
        GLOBAL const float *, mean, GLOBAL const float *, var, GLOBAL const float *, weight, GLOBAL const float *, bias,
        GLOBAL const float *, dweight, GLOBAL const float *, dbias, GLOBAL float *, dx)
{
    const long first = (id1 * p.stored + id0 * LANES) * p.size;
    const float share = p.training ? 1.0f / (float)(p.images * p.size) : 0.0f;
    const lanes shift = of_block(mean, id0, 1.0f, p), scale = scale_of_block(var, weight, p.has_weight, id0, p);
    const lanes by_mean = of_block(dbias, id0, share, p);
    const lanes by_var = of_block(dweight, id0, share, p) * scale_of_block(var, weight, 0, id0, p);
    const lanes added = added_of_block(bias, id0, p);
    for (long i = first; i < first + p.size * LANES; i += LANES) {
        const lanes centred = load_lanes(x + i) - shift;
        const lanes gradient = lanes_through_activation(load_lanes(dy + i), centred * scale + added, p.activation);
        store_lanes((gradient - by_mean - centred * by_var) * scale, dx + i);
    }
}

/* id0: row */
KERNEL4(row_norm, row_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL float *, mean, GLOBAL float *, rstd)
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

KERNEL4(row_norm_backward, row_args, GLOBAL const float *, dy, GLOBAL const float *, y, GLOBAL const float *, rstd,
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
