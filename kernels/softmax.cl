/* Softmax of rows, its logarithm, and their gradients. id0: row */
#include "row_args.h"
#include "rows.h"

/* y = exp(x - top); returns the sum of y. */
static LX_ITEM float exp_row(GLOBAL const float *x, GLOBAL float *y, float top, long size)
{
    for (long i = 0; i < size; i++)
        y[i] = exp(x[i] - top);
    return row_sum(y, size);
}

KERNEL2(softmax, row_args, GLOBAL const float *, in, GLOBAL float *, out)
{
    GLOBAL const float *x = in + id0 * p.size;
    GLOBAL float *y = out + id0 * p.size;
    const float scale = 1.0f / exp_row(x, y, row_max(x, p.size), p.size);
    for (long i = 0; i < p.size; i++)
        y[i] *= scale;
}

KERNEL2(log_softmax, row_args, GLOBAL const float *, in, GLOBAL float *, out)
{
    GLOBAL const float *x = in + id0 * p.size;
    GLOBAL float *y = out + id0 * p.size;
    const float top = row_max(x, p.size), log_sum = log(exp_row(x, y, top, p.size));
    for (long i = 0; i < p.size; i++)
        y[i] = x[i] - top - log_sum;
}

KERNEL3(softmax_backward, row_args, GLOBAL const float *, out, GLOBAL const float *, gradient,
        GLOBAL float *, result)
{
    GLOBAL const float *y = out + id0 * p.size, *dy = gradient + id0 * p.size;
    GLOBAL float *dx = result + id0 * p.size;
    const float dot = row_dot(y, 0.0f, dy, p.size);
    for (long i = 0; i < p.size; i++)
        dx[i] = y[i] * (dy[i] - dot);
}

KERNEL3(log_softmax_backward, row_args, GLOBAL const float *, out, GLOBAL const float *, gradient,
        GLOBAL float *, result)
{
    GLOBAL const float *y = out + id0 * p.size, *dy = gradient + id0 * p.size;
    GLOBAL float *dx = result + id0 * p.size;
    const float sum = row_sum(dy, p.size);
    for (long i = 0; i < p.size; i++)
        dx[i] = dy[i] - exp(y[i]) * sum;
}
