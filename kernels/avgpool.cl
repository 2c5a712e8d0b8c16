/* Mean-pooling and its gradient, which is gathered: an input looks into the windows that hold it. */
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

/* The results whose window holds input `at`: the first, and the one behind the last. */
static LX_ITEM int holders_start(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)((long)at * p.out[axis] / p.size[axis]);
    const int before = at + p.padding[axis] - p.window[axis];
    return before < 0 ? 0 : before / p.stride[axis] + 1;
}

static LX_ITEM int holders_end(int at, int axis, const avg_pool_args p)
{
    if (p.adaptive)
        return (int)(((long)(at + 1) * p.out[axis] - 1) / p.size[axis]) + 1;
    const int end = (at + p.padding[axis]) / p.stride[axis] + 1;
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

/* id0: column of the input, id1: row, id2: plane */
KERNEL2(avg_pool_backward, avg_pool_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id2 * p.out[0] * p.out[1];
    const int top = holders_start((int)id1, 0, p), bottom = holders_end((int)id1, 0, p);
    const int left = holders_start((int)id0, 1, p), right = holders_end((int)id0, 1, p);
    float sum = 0.0f;
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++)
            sum += plane[(long)h * p.out[1] + w] / ((float)window_count(h, 0, p) * (float)window_count(w, 1, p));
    dx[(id2 * p.size[0] + id1) * p.size[1] + id0] = sum;
}

/* One window that is the whole plane. id0: plane */
KERNEL2(plane_mean, plane_mean_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    y[id0] = row_sum(x + id0 * p.size, p.size) / (float)p.size;
}

/* id0: position in the plane, id1: plane */
KERNEL2(plane_mean_backward, plane_mean_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    dx[id1 * p.size + id0] = dy[id1] / (float)p.size;
}
