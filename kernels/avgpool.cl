/* Mean-pooling and its gradient, in which each row of the input gathers from the rows of the result it is part of. */
#include "avgpool.h"
#include "rows.h"

/* The window of result `at` along an axis: its first position, and the one behind its last, both in the image. */
static LX_ITEM int window_start(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)((long)at * p.size[axis] / p.out[axis]);
    const int start = at * p.stride[axis] - p.padding[axis];
    return start > 0 ? start : 0;
}

static LX_ITEM int window_end(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)(((long)(at + 1) * p.size[axis] + p.out[axis] - 1) / p.out[axis]);
    const int end = at * p.stride[axis] - p.padding[axis] + p.window[axis];
    return end < p.size[axis] ? end : p.size[axis];
}

/* How many positions of the axis a mean divides by. */
static LX_ITEM int window_count(int at, int axis, const avg_pool_args p)
{
    return p.count_padding ? p.window[axis] : window_end(at, axis, p) - window_start(at, axis, p);
}

/* How many whole strides there are in `distance`: mostly without a division, which is slow. */
static LX_ITEM int strides(int distance, int stride)
{
    return stride == 2 ? distance >> 1 : stride == 1 ? distance : distance / stride;
}

/* The results along an axis whose windows hold position `at`: the first, and the one behind the last. */
static LX_ITEM int holders_start(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)((long)at * p.out[axis] / p.size[axis]);
    const int before = at + p.padding[axis] - p.window[axis];
    return before < 0 ? 0 : strides(before, p.stride[axis]) + 1;
}

static LX_ITEM int holders_end(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)(((long)(at + 1) * p.out[axis] - 1) / p.size[axis]) + 1;
    const int end = strides(at + p.padding[axis], p.stride[axis]) + 1;
    return end < p.out[axis] ? end : p.out[axis];
}

/* id0: column of the result, id1: row, id2: plane */
KERNEL2(avg_pool, avg_pool_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    GLOBAL const float *plane = x + id2 * p.size[0] * p.size[1];
    const int row = (int)id1, column = (int)id0;
    const int top = window_start(row, 0, p), bottom = window_end(row, 0, p);
    const int left = window_start(column, 1, p), right = window_end(column, 1, p);
    const float count = (float)window_count(row, 0, p) * (float)window_count(column, 1, p);
    float sum = 0.0f;
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++)
            sum += plane[(long)h * p.size[1] + w];
    y[(id2 * p.out[0] + id1) * p.out[1] + id0] = sum / count;
}

/* id0: row of the input, id1: plane. A work-item spreads the results over its row, one after another. */
KERNEL2(avg_pool_backward, avg_pool_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id1 * p.out[0] * p.out[1];
    GLOBAL float *row = dx + (id1 * p.size[0] + id0) * p.size[1];
    const int top = holders_start((int)id0, 0, p), bottom = holders_end((int)id0, 0, p);
    for (int w = 0; w < p.size[1]; w++)
        row[w] = 0.0f;
    for (int h = top; h < bottom; h++) {
        const float height = (float)window_count(h, 0, p);
        for (int at = 0; at < p.out[1]; at++) {
            const int left = window_start(at, 1, p), right = window_end(at, 1, p);
            const float part = plane[(long)h * p.out[1] + at] / (height * (float)window_count(at, 1, p));
            for (int w = left; w < right; w++)
                row[w] += part;
        }
    }
}

/* The same in the blocked layout, where a pixel is LANES channels. id0: column of the result, id1: row, id2: plane */
KERNEL2(avg_pool_blocked, avg_pool_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    GLOBAL const float *plane = x + id2 * p.size[0] * p.size[1] * LANES;
    const int row = (int)id1, column = (int)id0;
    const int top = window_start(row, 0, p), bottom = window_end(row, 0, p);
    const int left = window_start(column, 1, p), right = window_end(column, 1, p);
    const float count = (float)window_count(row, 0, p) * (float)window_count(column, 1, p);
    lanes sum = splat(0.0f);
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++)
            sum += load_lanes(plane + ((long)h * p.size[1] + w) * LANES);
    store_lanes(sum * splat(1.0f / count), y + ((id2 * p.out[0] + id1) * p.out[1] + id0) * LANES);
}

/* id0: column of the input, id1: row, id2: plane */
KERNEL2(avg_pool_backward_blocked, avg_pool_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id2 * p.out[0] * p.out[1] * LANES;
    const int top = holders_start((int)id1, 0, p), bottom = holders_end((int)id1, 0, p);
    const int left = holders_start((int)id0, 1, p), right = holders_end((int)id0, 1, p);
    const int alike = !p.adaptive && p.count_padding; /* all windows count the same */
    const float usual = 1.0f / ((float)p.window[0] * (float)p.window[1]);
    lanes sum = splat(0.0f);
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++) {
            const float share = alike ? usual : 1.0f / ((float)window_count(h, 0, p) * (float)window_count(w, 1, p));
            sum += load_lanes(plane + ((long)h * p.out[1] + w) * LANES) * splat(share);
        }
    store_lanes(sum, dx + ((id2 * p.size[0] + id1) * p.size[1] + id0) * LANES);
}

/* One window that is the whole plane. id0: plane */
KERNEL2(plane_mean, plane_mean_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    y[id0] = row_sum(x + id0 * p.size, p.size) / (float)p.size;
}
