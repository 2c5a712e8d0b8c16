/* Resizing of planes, and the gradients, in which each row of the input gathers from the rows made of it. */
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

/* The first row of the result that lies in row `pixel` of the image or behind it: guessed, then put right, so that
 * rounding cannot matter. */
static LX_ITEM int first_from(int pixel, const upsample_args p)
{
    if (pixel <= 0)
        return 0;
    if (pixel >= p.size[0])
        return p.out[0];
    const float half_step = p.half_pixel ? 0.5f : 0.0f;
    const float guess = ((float)pixel + half_step) / p.scale[0] - half_step;
    int at = guess < (float)p.out[0] ? (int)guess : p.out[0];
    while (at > 0 && pixel_of(at - 1, 0, p) >= pixel)
        at--;
    while (at < p.out[0] && pixel_of(at, 0, p) < pixel)
        at++;
    return at;
}

/* id0: row of the result, id1: plane */
KERNEL2(upsample_nearest, upsample_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    GLOBAL const float *from = x + (id1 * p.size[0] + pixel_of((int)id0, 0, p)) * p.size[1];
    GLOBAL float *row = y + (id1 * p.out[0] + id0) * p.out[1];
    for (int w = 0; w < p.out[1]; w++)
        row[w] = from[pixel_of(w, 1, p)];
}

/* The same in the blocked layout, where a pixel is LANES channels. */
KERNEL2(upsample_nearest_blocked, upsample_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    GLOBAL const float *from = x + (id1 * p.size[0] + pixel_of((int)id0, 0, p)) * p.size[1] * LANES;
    GLOBAL float *row = y + (id1 * p.out[0] + id0) * p.out[1] * LANES;
    for (int w = 0; w < p.out[1]; w++)
        store_lanes(load_lanes(from + (long)pixel_of(w, 1, p) * LANES), row + (long)w * LANES);
}

KERNEL2(upsample_bilinear, upsample_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const int above = pixel_of((int)id0, 0, p);
    const float down = source_of((int)id0, 0, p) - (float)above;
    GLOBAL const float *upper = x + (id1 * p.size[0] + above) * p.size[1];
    GLOBAL const float *lower = above + 1 < p.size[0] ? upper + p.size[1] : upper;
    GLOBAL float *row = y + (id1 * p.out[0] + id0) * p.out[1];
    for (int w = 0; w < p.out[1]; w++) {
        const int left = pixel_of(w, 1, p), right = left + 1 < p.size[1] ? left + 1 : left;
        const float beside = source_of(w, 1, p) - (float)left;
        const float top = (1.0f - beside) * upper[left] + beside * upper[right];
        const float bottom = (1.0f - beside) * lower[left] + beside * lower[right];
        row[w] = (1.0f - down) * top + down * bottom;
    }
}

/* id0: row of the input, id1: plane. A work-item adds what came from its row, one result after another. */
KERNEL2(upsample_nearest_backward, upsample_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id1 * p.out[0] * p.out[1];
    GLOBAL float *row = dx + (id1 * p.size[0] + id0) * p.size[1];
    const int top = first_from((int)id0, p), bottom = first_from((int)id0 + 1, p);
    for (int w = 0; w < p.size[1]; w++)
        row[w] = 0.0f;
    for (int h = top; h < bottom; h++)
        for (int w = 0; w < p.out[1]; w++)
            row[pixel_of(w, 1, p)] += plane[(long)h * p.out[1] + w];
}

KERNEL2(upsample_nearest_backward_blocked, upsample_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id1 * p.out[0] * p.out[1] * LANES;
    GLOBAL float *row = dx + (id1 * p.size[0] + id0) * p.size[1] * LANES;
    const int top = first_from((int)id0, p), bottom = first_from((int)id0 + 1, p);
    for (int w = 0; w < p.size[1]; w++)
        store_lanes(splat(0.0f), row + (long)w * LANES);
    for (int h = top; h < bottom; h++)
        for (int w = 0; w < p.out[1]; w++) {
            GLOBAL float *pixel = row + (long)pixel_of(w, 1, p) * LANES;
            store_lanes(load_lanes(pixel) + load_lanes(plane + ((long)h * p.out[1] + w) * LANES), pixel);
        }
}

/* A result lies between the row it is in and the next one; the last row has no next one and takes all. */
KERNEL2(upsample_bilinear_backward, upsample_args, GLOBAL const float *, dy, GLOBAL float *, dx)
{
    GLOBAL const float *plane = dy + id1 * p.out[0] * p.out[1];
    GLOBAL float *row = dx + (id1 * p.size[0] + id0) * p.size[1];
    const int top = first_from((int)id0 - 1, p), bottom = first_from((int)id0 + 1, p);
    for (int w = 0; w < p.size[1]; w++)
        row[w] = 0.0f;
    for (int h = top; h < bottom; h++) {
        const int above = pixel_of(h, 0, p);
        const float down = source_of(h, 0, p) - (float)above;
        const float share = above < id0 ? down : above + 1 < p.size[0] ? 1.0f - down : 1.0f;
        for (int w = 0; w < p.out[1]; w++) {
            const int left = pixel_of(w, 1, p), right = left + 1 < p.size[1] ? left + 1 : left;
            const float part = share * plane[(long)h * p.out[1] + w], beside = source_of(w, 1, p) - (float)left;
            row[left] += (1.0f - beside) * part;
            row[right] += beside * part;
        }
    }
}
