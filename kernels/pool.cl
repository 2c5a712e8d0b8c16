/* Max-pooling and its gradient. The forward pass notes which position of its window each result came from, so that
 * the gradient is gathered: an input looks into the windows that hold it. No two work-items write one element. */
#include "luxel.h"
#include "pool.h"

/* One result, at `out`; `lane` of `vector` numbers. */
static LX_ITEM void max_of_window(GLOBAL const float *plane, GLOBAL float *y, GLOBAL uchar *chosen, long row, long column,
                                  int lane, int vector, const pool_args p)
{
    float best = -INFINITY;
    int position = -1;
    for (int kh = 0; kh < p.kernel_h; kh++) {
        const long h = row * p.stride_h - p.padding_h + kh;
        if (h < 0 || h >= p.height)
            continue;
        for (int kw = 0; kw < p.kernel_w; kw++) {
            const long w = column * p.stride_w - p.padding_w + kw;
            if (w < 0 || w >= p.width)
                continue;
            const float value = plane[(h * p.width + w) * vector + lane];
            if (value > best || value != value || position < 0) {
                best = value;
                position = kh * p.kernel_w + kw;
            }
        }
    }
    *y = best;
    *chosen = (uchar)position;
}

/* id0: column of the result, id1: row, id2: plane */
KERNEL3(max_pool, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    const long out = (id2 * p.out_height + id1) * p.out_width + id0;
    max_of_window(x + id2 * p.height * p.width, y + out, chosen + out, id1, id0, 0, 1, p);
}

KERNEL3(max_pool_blocked, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    for (int lane = 0; lane < LANES; lane++)
        max_of_window(x + id2 * p.height * p.width * LANES, y + out + lane, chosen + out + lane, id1, id0, lane, LANES, p);
}

/* The usual case, windows of 2×2 that neither overlap nor leave the image: four loads and three choices a lane. */
KERNEL3(max_pool_2x2_blocked, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    GLOBAL const float *top = x + ((id2 * p.height + 2 * id1) * p.width + 2 * id0) * LANES;
    GLOBAL const float *bottom = top + p.width * LANES;
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    const lanes a = load_lanes(top), b = load_lanes(top + LANES);
    const lanes c = load_lanes(bottom), d = load_lanes(bottom + LANES);
    const lanes_mask right = (b > a) | (b != b), low_right = (d > c) | (d != d);
    const lanes upper = choose_lanes(right, b, a), lower = choose_lanes(low_right, d, c);
    const lanes_mask low = (lower > upper) | (lower != lower);
    store_lanes(choose_lanes(low, lower, upper), y + out);
    float position[LANES];
    store_lanes(choose_lanes(low, choose_lanes(low_right, splat(3.0f), splat(2.0f)),
                             choose_lanes(right, splat(1.0f), splat(0.0f))), position);
    for (int lane = 0; lane < LANES; lane++)
        chosen[out + lane] = (uchar)position[lane];
}

/* The gradient of one input: the sum over the windows that hold it and chose it. */
static LX_ITEM float gather_gradient(GLOBAL const float *dy, GLOBAL const uchar *chosen, long row, long column, int lane,
                                     int vector, const pool_args p)
{
    float sum = 0.0f;
    for (int kh = 0; kh < p.kernel_h; kh++) {
        const long top = row + p.padding_h - kh;
        if (top < 0 || top % p.stride_h || top / p.stride_h >= p.out_height)
            continue;
        for (int kw = 0; kw < p.kernel_w; kw++) {
            const long left = column + p.padding_w - kw;
            if (left < 0 || left % p.stride_w || left / p.stride_w >= p.out_width)
                continue;
            const long at = (top / p.stride_h * p.out_width + left / p.stride_w) * vector + lane;
            sum += chosen[at] == kh * p.kernel_w + kw ? dy[at] : 0.0f;
        }
    }
    return sum;
}

/* id0: column of the input, id1: row, id2: plane */
KERNEL3(max_pool_backward, pool_args, GLOBAL const float *, dy, GLOBAL const uchar *, chosen, GLOBAL float *, dx)
{
    const long plane = id2 * p.out_height * p.out_width;
    dx[(id2 * p.height + id1) * p.width + id0] = gather_gradient(dy + plane, chosen + plane, id1, id0, 0, 1, p);
}

KERNEL3(max_pool_backward_blocked, pool_args, GLOBAL const float *, dy, GLOBAL const uchar *, chosen, GLOBAL float *, dx)
{
    const long plane = id2 * p.out_height * p.out_width * LANES;
    for (int lane = 0; lane < LANES; lane++)
        dx[((id2 * p.height + id1) * p.width + id0) * LANES + lane] =
            gather_gradient(dy + plane, chosen + plane, id1, id0, lane, LANES, p);
}

/* id0: column of the result, id1: row: each writes its four inputs. The host clears a last odd row or column. */
KERNEL3(max_pool_2x2_backward_blocked, pool_args, GLOBAL const float *, dy, GLOBAL const uchar *, chosen,
        GLOBAL float *, dx)
{
    GLOBAL float *top = dx + ((id2 * p.height + 2 * id1) * p.width + 2 * id0) * LANES;
    GLOBAL float *bottom = top + p.width * LANES;
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    for (int lane = 0; lane < LANES; lane++) {
        const float g = dy[out + lane];
        const int k = chosen[out + lane];
        top[lane] = k == 0 ? g : 0.0f;
        top[LANES + lane] = k == 1 ? g : 0.0f;
        bottom[lane] = k == 2 ? g : 0.0f;
        bottom[LANES + lane] = k == 3 ? g : 0.0f;
    }
}
