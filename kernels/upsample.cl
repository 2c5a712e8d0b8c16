/* Resizing of planes and its gradients, which are gathered: an input looks at the results that came from it. */
#include "luxel.h"
#include "upsample.h"

/* Where result `at` lies in the image. */
static LX_ITEM float source_of(int at, int axis, const upsample_args p)
{
    if (!p.half_pixel)
        return p.scale[axis] * (float)at;
    const float source = p.scale[axis] * ((float)at + 0.5f) - 0.5f;
    return source < 0.0f ? 0.0f : source;
}

/* The pixel that this lies in. */
static LX_ITEM int pixel_of(int at, int axis, const upsample_args p)
{
    const int pixel = (int)source_of(at, axis, p);
    return pixel < p.size[axis] ? pixel : p.size[axis] - 1;
}

/* The first result from `pixel` or one behind it: guessed, then put right, so that rounding cannot matter. */
static LX_ITEM int first_from(int pixel, int axis, const upsample_args p)
{
    if (pixel <= 0)
        return 0;
    const float half_step = p.half_pixel ? 0.5f : 0.0f;
    const float guess = ((float)pixel + half_step) / p.scale[axis] - half_step;
    int at = guess < (float)p.out[axis] ? (int)guess : p.out[axis];
    while (at > 0 && pixel_of(at - 1, axis, p) >= pixel)
        at--;
    while (at < p.out[axis] && pixel_of(at, axis, p) < pixel)
        at++;
    return at;
}

/* The one behind the last result from `pixel`. */
static LX_ITEM int end_from(int pixel, int axis, const upsample_args p)
{
    return pixel + 1 < p.size[axis] ? first_from(pixel + 1, axis, p) : p.out[axis];
}

/* How much of input `pixel` is in result `at`: the nearer of two pixels has more. */
static LX_ITEM float share_of(int pixel, int at, int axis, const upsample_args p)
{
    const int first = pixel_of(at, axis, p), second = first + 1 < p.size[axis] ? first + 1 : first;
    const float rest = source_of(at, axis, p) - (float)first;
    return (pixel == first ? 1.0f - rest : 0.0f) + (pixel == second ? rest : 0.0f);
}

/* id0: column of the result, id1: row, id2: plane */
KERNEL2(upsample_nearest, upsample_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const long row = pixel_of((int)id1, 0, p), column = pixel_of((int)id0, 1, p);
    y[(id2 * p.out[0] + id1) * p.out[1] + id0] = x[(id2 * p.size[0] + row) * p.size[1] + column];
}

KERNEL2(upsample_bilinear, upsample_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const int row = pixel_of((int)id1, 0, p), column = pixel_of((int)id0, 1, p);
    const float down = source_of((int)id1, 0, p) - (float)row, right = source_of((int)id0, 1, p) - (float)column;
    const long below = row + 1 < p.size[0] ? p.size[1] : 0, beside = column + 1 < p.size[1] ? 1 : 0;
    GLOBAL const float *at = x + (id2 * p.size[0] + row) * p.size[1] + column;
    const float upper = (1.0f - right) * at[0] + right * at[beside];
    const float lower = (1.0f - right) * at[below] + right * at[below + beside];
    y[(id2 * p.out[0] + id1) * p.out[1] + id0] = (1.0f - down) * upper + down * lower;
}

/* id0: column of the input, id1: row, id2: plane */
KERNEL2(upsample_nearest_backward, upsample_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id2 * p.out[0] * p.out[1];
    const int row = (int)id1, column = (int)id0;
    const int top = first_from(row, 0, p), bottom = end_from(row, 0, p);
    const int left = first_from(column, 1, p), right = end_from(column, 1, p);
    float sum = 0.0f;
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++)
            sum += plane[(long)h * p.out[1] + w];
    dx[(id2 * p.size[0] + id1) * p.size[1] + id0] = sum;
}

KERNEL2(upsample_bilinear_backward, upsample_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id2 * p.out[0] * p.out[1];
    const int row = (int)id1, column = (int)id0;
    const int top = first_from(row - 1, 0, p), bottom = end_from(row, 0, p);
    const int left = first_from(column - 1, 1, p), right = end_from(column, 1, p);
    float sum = 0.0f;
    for (int h = top; h < bottom; h++) {
        float part = 0.0f;
        for (int w = left; w < right; w++)
            part += share_of(column, w, 1, p) * plane[(long)h * p.out[1] + w];
        sum += share_of(row, h, 0, p) * part;
    }
    dx[(id2 * p.size[0] + id1) * p.size[1] + id0] = sum;
}
