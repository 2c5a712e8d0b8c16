/* Max-pooling and its gradient. The forward pass notes which position of its window each result came from, so that
 * the gradient is gathered: an input looks into the windows that hold it. No two work-items write one element. */
#include "luxel.h"
#include "pool.h"

/* What follows is written once for both layouts: a pixel is a float in the plain one, lanes in the blocked one. */
#define SIZE_float 1
#define MASK_float int
#define load_float(pointer) (*(pointer))
#define store_float(value, pointer) (*(pointer) = (value))
#define splat_float(value) (value)
#define choose_float(mask, yes, no) ((mask) ? (yes) : (no))
#define SIZE_lanes LANES
#define MASK_lanes lanes_mask
#define splat_lanes(value) splat(value)

static LX_ITEM int least(int a, int b)
{
    return a < b ? a : b;
}

static LX_ITEM int most(int a, int b)
{
    return a > b ? a : b;
}

/* id0: column of the result, id1: row, id2: plane. Positions count in float, which is exact for those there are. */
#define MAX_POOL(name, V, position) \
    KERNEL3(name, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL position *, chosen) \
    { \
        const int top = (int)id1 * p.stride_h - p.padding_h, left = (int)id0 * p.stride_w - p.padding_w; \
        const int bottom = least(top + p.kernel_h, p.height), right = least(left + p.kernel_w, p.width); \
        const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * SIZE_##V; \
        float which[SIZE_##V]; \
        V best = splat_##V(-INFINITY); \
        V at = splat_##V((float)(most(-top, 0) * p.kernel_w + most(-left, 0))); \
        for (int h = most(top, 0); h < bottom; h++) { \
            GLOBAL const float *row = x + (id2 * p.height + h) * p.width * SIZE_##V; \
            for (int w = most(left, 0); w < right; w++) { \
                const V value = load_##V(row + (long)w * SIZE_##V); \
                const MASK_##V better = (value > best) | (value != value); \
                best = choose_##V(better, value, best); \
                at = choose_##V(better, splat_##V((float)((h - top) * p.kernel_w + w - left)), at); \
            } \
        } \
        store_##V(best, y + out); \
        store_##V(at, which); \
        for (int t = 0; t < SIZE_##V; t++) \
            chosen[out + t] = (position)which[t]; \
    }

MAX_POOL(max_pool, float, uchar)
MAX_POOL(max_pool_blocked, lanes, uchar)
MAX_POOL(max_pool_large, float, int)
MAX_POOL(max_pool_large_blocked, lanes, int)

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

/* The gradient of one input: the sum over the windows that hold it and chose it. id0: column of the input, id1: row,
 * id2: plane */
#define MAX_POOL_BACKWARD(name, V, position) \
    KERNEL3(name, pool_args, GLOBAL const float *, dy, GLOBAL const position *, chosen, GLOBAL float *, dx) \
    { \
        const int row = (int)id1 + p.padding_h, column = (int)id0 + p.padding_w; \
        const int top = row < p.kernel_h ? 0 : (row - p.kernel_h) / p.stride_h + 1; \
        const int left = column < p.kernel_w ? 0 : (column - p.kernel_w) / p.stride_w + 1; \
        const int bottom = least(row / p.stride_h + 1, (int)p.out_height); \
        const int right = least(column / p.stride_w + 1, (int)p.out_width); \
        V sum = splat_##V(0.0f); \
        for (int h = top; h < bottom; h++) \
            for (int w = left; w < right; w++) { \
                const long at = ((id2 * p.out_height + h) * p.out_width + w) * SIZE_##V; \
                const int here = (row - h * p.stride_h) * p.kernel_w + column - w * p.stride_w; \
                float which[SIZE_##V]; \
                for (int t = 0; t < SIZE_##V; t++) \
                    which[t] = (float)chosen[at + t]; \
                sum += choose_##V(load_##V(which) == splat_##V((float)here), load_##V(dy + at), splat_##V(0.0f)); \
            } \
        store_##V(sum, dx + ((id2 * p.height + id1) * p.width + id0) * SIZE_##V); \
    }

MAX_POOL_BACKWARD(max_pool_backward, float, uchar)
MAX_POOL_BACKWARD(max_pool_backward_blocked, lanes, uchar)
MAX_POOL_BACKWARD(max_pool_large_backward, float, int)
MAX_POOL_BACKWARD(max_pool_large_backward_blocked, lanes, int)

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
