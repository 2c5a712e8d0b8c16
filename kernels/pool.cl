/* Max-pooling and its gradient. The forward pass notes which position of its window each result came from, so that
 * the gradient is gathered: an input looks into the windows that hold it. No two work-items write one element. A
 * pixel is LANES channels, in the blocked layout. */
#include "pool.h"
#include "window.h"

static LX_ITEM int least(int a, int b)
{
    return a < b ? a : b;
}

static LX_ITEM int most(int a, int b)
{
    return a > b ? a : b;
}

/* How many whole strides there are in `distance`: mostly without a division, which is slow. */
static LX_ITEM int strides(int distance, int stride)
{
    return stride == 2 ? distance >> 1 : stride == 1 ? distance : distance / stride;
}

/* id0: column of the result, id1: row, id2: plane. `chosen` holds the rows within the windows, then the columns. */
KERNEL3(max_pool, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    const int top = (int)id1 * p.stride_h - p.padding_h, left = (int)id0 * p.stride_w - p.padding_w;
    const int bottom = least(top + p.kernel_h, p.height), right = least(left + p.kernel_w, p.width);
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    lanes best = splat(-INFINITY);
    const lanes_mask none = best != best;
    lanes_mask row = none + most(-top, 0), column = none + most(-left, 0);
    for (int h = most(top, 0); h < bottom; h++) {
        GLOBAL const float *line = x + (id2 * p.height + h) * p.width * LANES;
        for (int w = most(left, 0); w < right; w++) {
            const lanes value = load_lanes(line + (long)w * LANES);
            const lanes_mask better = (value > best) | (value != value);
            best = choose_lanes(better, value, best);
            row = choose_codes(better, none + (h - top), row);
            column = choose_codes(better, none + (w - left), column);
        }
    }
    store_lanes(best, y + out);
    store_codes(row, chosen + out);
    store_codes(column, chosen + p.count + out);
}

/* The usual case, windows of 2×2 that neither overlap nor leave the image: one byte tells the four positions apart. */
KERNEL3(max_pool_2x2, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    GLOBAL const float *top = x + ((id2 * p.height + 2 * id1) * p.width + 2 * id0) * LANES;
    GLOBAL const float *bottom = top + p.width * LANES;
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    PREFETCH(top + 2 * p.width * LANES); /* the next row of results */
    PREFETCH(top + LANES + 2 * p.width * LANES);
    PREFETCH(bottom + 2 * p.width * LANES);
    PREFETCH(bottom + LANES + 2 * p.width * LANES);
    const lanes a = load_lanes(top), b = load_lanes(top + LANES);
    const lanes c = load_lanes(bottom), d = load_lanes(bottom + LANES);
    const lanes_mask right = (b > a) | (b != b), low_right = (d > c) | (d != d);
    const lanes upper = choose_lanes(right, b, a), lower = choose_lanes(low_right, d, c);
    const lanes_mask low = (lower > upper) | (lower != lower);
    store_lanes(choose_lanes(low, lower, upper), y + out);
    store_codes(choose_codes(low, 3 + (low_right & 1), 1 + (right & 1)), chosen + out);
}

/* The gradient of one input: the sum over the windows that hold it and chose it. id0: column of the input, id1: row,
 * id2: plane */
KERNEL3(max_pool_backward, pool_args, GLOBAL const float *, dy, GLOBAL const uchar *, chosen, GLOBAL float *, dx)
{
    const int row = (int)id1 + p.padding_h, column = (int)id0 + p.padding_w;
    const int top = row < p.kernel_h ? 0 : strides(row - p.kernel_h, p.stride_h) + 1;
    const int left = column < p.kernel_w ? 0 : strides(column - p.kernel_w, p.stride_w) + 1;
    const int bottom = least(strides(row, p.stride_h) + 1, (int)p.out_height);
    const int right = least(strides(column, p.stride_w) + 1, (int)p.out_width);
    lanes sum = splat(0.0f);
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++) {
            const long at = ((id2 * p.out_height + h) * p.out_width + w) * LANES;
            const lanes_mask here = (load_codes(chosen + at) == row - h * p.stride_h) &
                                    (load_codes(chosen + p.count + at) == column - w * p.stride_w);
            sum += choose_lanes(here, load_lanes(dy + at), splat(0.0f));
        }
    store_lanes(sum, dx + ((id2 * p.height + id1) * p.width + id0) * LANES);
}

/* id0: column of the result, id1: row: each writes its four inputs. The host clears a last odd row or column. */
KERNEL3(max_pool_2x2_backward, pool_args, GLOBAL const float *, dy, GLOBAL const uchar *, chosen,
        GLOBAL float *, dx)
{
    GLOBAL float *top = dx + ((id2 * p.height + 2 * id1) * p.width + 2 * id0) * LANES;
    GLOBAL float *bottom = top + p.width * LANES;
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    const lanes gradient = load_lanes(dy + out);
    const lanes_mask codes = load_codes(chosen + out);
    store_lanes(gradient_of_pixel(gradient, codes, 0), top);
    store_lanes(gradient_of_pixel(gradient, codes, 1), top + LANES);
    store_lanes(gradient_of_pixel(gradient, codes, 2), bottom);
    store_lanes(gradient_of_pixel(gradient, codes, 3), bottom + LANES);
}
