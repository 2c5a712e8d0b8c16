/* Normalisation for GPUs: per channel of a batch, and per row. Groups of the kernels of a batch: blocks of columns of
 * chunks. BLOCKED is for the blocked layout. */
#include "simt/simt.h"
#include "simt/norm.h"
#include "activation.h"
#include "simt/row_groups.h"

#ifndef BLOCKED
#define BLOCKED 0
#endif

#if BLOCKED
typedef float4 value;
#define ACTIVATE activate_lanes
#define THROUGH_ACTIVATION lanes_through_activation
#else
typedef float value;
#define ACTIVATE activate
#define THROUGH_ACTIVATION through_activation
#endif

/* ---- per channel ---------------------------------------------------------------------------------------------- */

/* The place of a work-item, and which values it visits: each `along` after the last one. */
typedef struct {
    int id, slice;
    long column, chunk;
    long number, end;   /* of the value among those of the column, and of the first that is not the work-item's */
    long pixel, at;     /* of the value in its image, and in memory */
} visit;

static LX_ITEM visit visit_of(const channel_args p)
{
    visit v;
    v.id = LOCAL_ID;
    v.slice = v.id / p.across;
    v.column = (long)((uint)GROUP_ID(0) % (uint)p.blocks) * p.across + v.id % p.across;
    v.chunk = (uint)GROUP_ID(0) / (uint)p.blocks;
    v.number = v.chunk * p.chunk + v.slice;
    v.end = v.slice < p.along && v.column < p.columns ? min((v.chunk + 1) * p.chunk, p.count) : 0;
    v.pixel = v.number % p.size;
    v.at = (v.number / p.size * p.columns + v.column) * p.size + v.pixel;
    return v;
}

/* Goes on by `images` images and `pixels` pixels, fewer than an image has: `along` values, without a division. */
static LX_ITEM void go_on(visit *v, long images, long pixels, const channel_args p)
{
    v->number += p.along;
    v->pixel += pixels;
    v->at += images * p.columns * p.size + pixels;
    if (v->pixel >= p.size) {
        v->pixel -= p.size;
        v->at += (p.columns - 1) * p.size;
    }
}

#define EACH_VALUE(v)                                                                            \
    for (const long images = p.along / p.size, pixels = p.along % p.size; v.number < v.end;      \
         go_on(&v, images, pixels, p))

/* What channels have, for a column; `none` past the last channel. */
static LX_ITEM value of_column(GLOBAL const float *numbers, long column, float none, const channel_args p)
{
#if BLOCKED
    const long channel = column * 4;
    return (float4)(channel < p.channels ? numbers[channel] : none,
                    channel + 1 < p.channels ? numbers[channel + 1] : none,
                    channel + 2 < p.channels ? numbers[channel + 2] : none,
                    channel + 3 < p.channels ? numbers[channel + 3] : none);
#else
    return column < p.channels ? numbers[column] : none;
#endif
}

/* Writes what a column has to its channels. */
static LX_ITEM void to_channels(GLOBAL float *numbers, long column, value v, const channel_args p)
{
#if BLOCKED
    float lane[4];
    vstore4(v, 0, lane);
    for (int t = 0; t < 4; t++)
        if (column * 4 + t < p.channels)
            numbers[column * 4 + t] = lane[t];
#else
    if (column < p.channels)
        numbers[column] = v;
#endif
}

/* Mean, sum of the squared distances to it, and count. Two such are joined by the rule of Chan, Golub and LeVeque. */
typedef struct {
    value mean, spread;
    float count;
} moments;

static LX_ITEM moments join_moments(moments a, moments b)
{
    const value step = b.mean - a.mean;
    const float share = b.count > 0.0f ? b.count / (a.count + b.count) : 0.0f;
    a.mean += step * share;
    a.spread += b.spread + step * step * (a.count * share);
    a.count += b.count;
    return a;
}

/* What the work-items of a column have, joined for the first of them. */
static LX_ITEM moments join_group(moments own, LOCAL value *means, LOCAL value *spreads, LOCAL float *counts,
                                  int slice, const channel_args p)
{
    const int id = LOCAL_ID;
    for (int width = p.along / 2; width > 0; width /= 2) {
        means[id] = own.mean;
        spreads[id] = own.spread;
        counts[id] = own.count;
        BARRIER();
        if (slice < width) {
            const int other = id + width * p.across;
            const moments others = {means[other], spreads[other], counts[other]};
            own = join_moments(own, others);
        }
        BARRIER();
    }
    return own;
}

/* Mean and spread of chunks, [chunk][channel], or mean and variance if there is one. A work-item takes its first
 * value from the others, which keeps their squares small. */
#ifdef LX_WANT_channel_moments
GROUP_KERNEL(NORM_ITEMS) channel_moments(BUFFER(const value, x), BUFFER(float, mean), BUFFER(float, spread),
                                                   const channel_args p)
{
    POINTER(const value, x);
    POINTER(float, mean);
    POINTER(float, spread);
    LOCAL value means[NORM_ITEMS], spreads[NORM_ITEMS];
    LOCAL float counts[NORM_ITEMS];
    visit v = visit_of(p);
    const value shift = v.number < v.end ? x[v.at] : (value)(0.0f);
    value sum = (value)(0.0f), squares = (value)(0.0f);
    float count = 0.0f;
    EACH_VALUE(v) {
        const value distance = x[v.at] - shift;
        sum += distance;
        squares += distance * distance;
        count += 1.0f;
    }
    const value step = sum / fmax(count, 1.0f);
    moments all = {shift + step, squares - sum * step, count};
    all = join_group(all, means, spreads, counts, v.slice, p);
    if (v.slice == 0) {
        to_channels(mean + v.chunk * p.channels, v.column, all.mean, p);
        to_channels(spread + v.chunk * p.channels, v.column, p.chunks == 1 ? all.spread / all.count : all.spread, p);
    }
}
#endif

/* The chunks' moments joined. Here, and where gradients are joined, a column is a channel, blocked or not. */
#ifdef LX_WANT_channel_moments_join
GROUP_KERNEL(NORM_ITEMS) channel_moments_join(BUFFER(const float, part_means),
                                                        BUFFER(const float, part_spreads), BUFFER(float, mean),
                                                        BUFFER(float, var), const channel_args p)
{
    POINTER(const float, part_means);
    POINTER(const float, part_spreads);
    POINTER(float, mean);
    POINTER(float, var);
    LOCAL value means[NORM_ITEMS], spreads[NORM_ITEMS];
    LOCAL float counts[NORM_ITEMS];
    const visit v = visit_of(p);
    moments all = {(value)(0.0f), (value)(0.0f), 0.0f};
    for (long chunk = v.slice; v.slice < p.along && chunk < p.chunks; chunk += p.along) {
        const float count = (float)(min((chunk + 1) * p.chunk, p.count) - chunk * p.chunk);
        const moments one = {of_column(part_means + chunk * p.channels, v.column, 0.0f, p),
                             of_column(part_spreads + chunk * p.channels, v.column, 0.0f, p), count};
        all = join_moments(all, one);
    }
    all = join_group(all, means, spreads, counts, v.slice, p);
    if (v.slice == 0) {
        to_channels(mean, v.column, all.mean, p);
        to_channels(var, v.column, all.spread / all.count, p);
    }
}
#endif

/* 1 / sqrt(var + eps) of a column's channels */
static LX_ITEM value rstd_of(GLOBAL const float *var, long column, const channel_args p)
{
    return (value)(1.0f) / sqrt(of_column(var, column, 1.0f, p) + p.eps);
}

/* Where the last block has no channel, all but the variance count as 0, and so does what comes of them. */
static LX_ITEM value scale_of(value rstd, GLOBAL const float *weight, long column, const channel_args p)
{
    value scale = rstd;
    if (p.has_weight)
        scale *= of_column(weight, column, 0.0f, p);
    return scale;
}

static LX_ITEM value added_of(GLOBAL const float *bias, long column, const channel_args p)
{
    value added = (value)(0.0f);
    if (p.has_bias)
        added = of_column(bias, column, 0.0f, p);
    return added;
}

/* The sums of what a column's work-items have, for the first of them. */
static LX_ITEM value sum_group(value own, LOCAL value *share, int slice, const channel_args p)
{
    const int id = LOCAL_ID;
    share[id] = own;
    for (int width = p.along / 2; width > 0; width /= 2) {
        BARRIER();
        if (slice < width)
            share[id] += share[id + width * p.across];
    }
    return share[id];
}

/* Of a chunk, [chunk][channel]: the gradients of the bias and of the weight. */
#ifdef LX_WANT_channel_gradients
GROUP_KERNEL(NORM_ITEMS) channel_gradients(BUFFER(const value, dy), BUFFER(const value, x),
                                                     BUFFER(const float, mean), BUFFER(const float, var),
                                                     BUFFER(const float, weight), BUFFER(const float, bias),
                                                     BUFFER(float, dbias), BUFFER(float, dweight),
                                                     const channel_args p)
{
    POINTER(const value, dy);
    POINTER(const value, x);
    POINTER(const float, mean);
    POINTER(const float, var);
    POINTER(const float, weight);
    POINTER(const float, bias);
    POINTER(float, dbias);
    POINTER(float, dweight);
    LOCAL value sums[NORM_ITEMS], dots[NORM_ITEMS];
    visit v = visit_of(p);
    const value shift = of_column(mean, v.column, 0.0f, p), rstd = rstd_of(var, v.column, p);
    const value scale = scale_of(rstd, weight, v.column, p), added = added_of(bias, v.column, p);
    value sum = (value)(0.0f), dot = (value)(0.0f);
    EACH_VALUE(v) {
        const value centred = x[v.at] - shift;
        const value gradient = THROUGH_ACTIVATION(dy[v.at], centred * scale + added, p.activation);
        sum += gradient;
        dot += gradient * centred;
    }
    sum = sum_group(sum, sums, v.slice, p);
    dot = sum_group(dot, dots, v.slice, p);
    if (v.slice == 0) {
        to_channels(dbias + v.chunk * p.channels, v.column, sum, p);
        to_channels(dweight + v.chunk * p.channels, v.column, dot * rstd, p);
    }
}
#endif

/* The chunks' gradients added up. */
#ifdef LX_WANT_channel_gradients_join
GROUP_KERNEL(NORM_ITEMS) channel_gradients_join(BUFFER(const float, part_dbias),
                                                          BUFFER(const float, part_dweight), BUFFER(float, dbias),
                                                          BUFFER(float, dweight), const channel_args p)
{
    POINTER(const float, part_dbias);
    POINTER(const float, part_dweight);
    POINTER(float, dbias);
    POINTER(float, dweight);
    LOCAL value sums[NORM_ITEMS], dots[NORM_ITEMS];
    const visit v = visit_of(p);
    value sum = (value)(0.0f), dot = (value)(0.0f);
    for (long chunk = v.slice; v.slice < p.along && chunk < p.chunks; chunk += p.along) {
        sum += of_column(part_dbias + chunk * p.channels, v.column, 0.0f, p);
        dot += of_column(part_dweight + chunk * p.channels, v.column, 0.0f, p);
    }
    sum = sum_group(sum, sums, v.slice, p);
    dot = sum_group(dot, dots, v.slice, p);
    if (v.slice == 0) {
        to_channels(dbias, v.column, sum, p);
        to_channels(dweight, v.column, dot, p);
    }
}
#endif

#ifdef LX_WANT_batch_norm_groups
GROUP_KERNEL(NORM_ITEMS) batch_norm_groups(BUFFER(const value, x), BUFFER(const float, mean),
                                                     BUFFER(const float, var), BUFFER(const float, weight),
                                                     BUFFER(const float, bias), BUFFER(const value, addend),
                                                     BUFFER(value, y), const channel_args p)
{
    POINTER(const value, x);
    POINTER(const float, mean);
    POINTER(const float, var);
    POINTER(const float, weight);
    POINTER(const float, bias);
    POINTER(const value, addend);
    POINTER(value, y);
    visit v = visit_of(p);
    const value shift = of_column(mean, v.column, 0.0f, p);
    const value scale = scale_of(rstd_of(var, v.column, p), weight, v.column, p), added = added_of(bias, v.column, p);
    EACH_VALUE(v)
        y[v.at] = ACTIVATE((x[v.at] - shift) * scale + added + (p.has_addend ? addend[v.at] : (value)(0.0f)), p.activation);
}
#endif

/* With the batch's statistics x reaches the result through the mean and the variance too. */
#ifdef LX_WANT_batch_norm_backward_groups
GROUP_KERNEL(NORM_ITEMS) batch_norm_backward_groups(
    BUFFER(const value, dy), BUFFER(const value, x), BUFFER(const float, mean), BUFFER(const float, var),
    BUFFER(const float, weight), BUFFER(const float, bias), BUFFER(const float, dweight), BUFFER(const float, dbias),
    BUFFER(value, dx), const channel_args p)
{
    POINTER(const value, dy);
    POINTER(const value, x);
    POINTER(const float, mean);
    POINTER(const float, var);
    POINTER(const float, weight);
    POINTER(const float, bias);
    POINTER(const float, dweight);
    POINTER(const float, dbias);
    POINTER(value, dx);
    visit v = visit_of(p);
    const float share = p.training ? 1.0f / (float)p.count : 0.0f;
    const value shift = of_column(mean, v.column, 0.0f, p), rstd = rstd_of(var, v.column, p);
    const value by_mean = of_column(dbias, v.column, 0.0f, p) * share;
    const value by_var = of_column(dweight, v.column, 0.0f, p) * rstd * share;
    const value scale = scale_of(rstd, weight, v.column, p), added = added_of(bias, v.column, p);
    EACH_VALUE(v) {
        const value centred = x[v.at] - shift;
        const value gradient = THROUGH_ACTIVATION(dy[v.at], centred * scale + added, p.activation);
        dx[v.at] = (gradient - by_mean - centred * by_var) * scale;
    }
}
#endif

/* ---- per row -------------------------------------------------------------------------------------------------- */

#ifdef LX_WANT_row_norm_groups
GROUP_KERNEL(ROW_ITEMS) row_norm_groups(BUFFER(const float, x), BUFFER(float, y), BUFFER(float, mean),
                                                  BUFFER(float, rstd), const row_groups_args p)
{
    POINTER(const float, x);
    POINTER(float, y);
    POINTER(float, mean);
    POINTER(float, rstd);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    const float count = (float)p.size;
    float sum = 0.0f, squares = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        sum += x[i];
    const float shift = row_total(share, sum, p) / count;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        squares += (x[i] - shift) * (x[i] - shift);
    const float scale = 1.0f / sqrt(row_total(share, squares, p) / count + p.eps);
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        y[i] = (x[i] - shift) * scale;
    if (at.first_of_row) {
        mean[at.row] = shift;
        rstd[at.row] = scale;
    }
}
#endif

#ifdef LX_WANT_row_norm_backward_groups
GROUP_KERNEL(ROW_ITEMS) row_norm_backward_groups(BUFFER(const float, dy), BUFFER(const float, y),
                                                           BUFFER(const float, rstd), BUFFER(float, dx),
                                                           const row_groups_args p)
{
    POINTER(const float, dy);
    POINTER(const float, y);
    POINTER(const float, rstd);
    POINTER(float, dx);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    float sum = 0.0f, dot = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along) {
        sum += dy[i];
        dot += y[i] * dy[i];
    }
    const float by_mean = row_total(share, sum, p) / (float)p.size;
    const float by_var = row_total(share, dot, p) / (float)p.size;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        dx[i] = (dy[i] - by_mean - y[i] * by_var) * rstd[at.row];
}
#endif
