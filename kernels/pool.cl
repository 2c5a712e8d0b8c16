/* Max-pooling and its gradient. The forward pass notes which position of its window each result came from, so that
 * the gradient is gathered: an input looks into the windows that hold it. No two work-items write one element. A
 * pixel is LANES channels, in the blocked layout. */
#include "luxel.h"
#include "pool.h"

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

/* Small whole numbers as bytes. */
#ifdef LX_ISA
typedef int lanes_whole __attribute__((vector_size(4 * LANES)));
typedef uchar lanes_bytes __attribute__((vector_size(LANES)));
typedef signed char lanes_signs __attribute__((vector_size(LANES)));

static LX_ITEM void store_bytes(lanes value, uchar *bytes)
{
    const lanes_bytes small = __builtin_convertvector(__builtin_convertvector(value, lanes_whole), lanes_bytes);
    memcpy(bytes, &small, sizeof small);
}

/* Which of them are `number`. */
static LX_ITEM lanes_mask find_bytes(const uchar *bytes, int number)
{
    lanes_bytes small;
    memcpy(&small, bytes, sizeof small);
    return __builtin_convertvector((lanes_signs)(small == (uchar)number), lanes_mask);
}

static LX_ITEM void fetch(const float *pointer)
{
    __builtin_prefetch(pointer);
}
#else
#define LX_LANES_OF2(function, n) function##n
#define LX_LANES_OF(function, n) LX_LANES_OF2(function, n)
#define store_bytes(value, bytes) \
    LX_LANES_OF(vstore, LANES)(LX_LANES_OF(convert_uchar, LANES)(value), 0, (bytes))
#define find_bytes(bytes, number) \
    LX_LANES_OF(convert_int, LANES)(LX_LANES_OF(vload, LANES)(0, (bytes)) == (uchar)(number))
#define fetch(pointer)
#endif

/* id0: column of the result, id1: row, id2: plane. `chosen` holds the rows within the windows, then the columns. */
KERNEL3(max_pool, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    const int top = (int)id1 * p.stride_h - p.padding_h, left = (int)id0 * p.stride_w - p.padding_w;
    const int bottom = least(top + p.kernel_h, p.height), right = least(left + p.kernel_w, p.width);
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    lanes best = splat(-INFINITY);
    lanes row = splat((float)most(-top, 0)), column = splat((float)most(-left, 0));
    for (int h = most(top, 0); h < bottom; h++) {
        GLOBAL const float *line = x + (id2 * p.height + h) * p.width * LANES;
        for (int w = most(left, 0); w < right; w++) {
            const lanes value = load_lanes(line + (long)w * LANES);
            const lanes_mask better = (value > best) | (value != value);
            best = choose_lanes(better, value, best);
            row = choose_lanes(better, splat((float)(h - top)), row);
            column = choose_lanes(better, splat((float)(w - left)), column);
        }
    }
    store_lanes(best, y + out);
    store_bytes(row, chosen + out);
    store_bytes(column, chosen + p.count + out);
}

/* The usual case, windows of 2×2 that neither overlap nor leave the image: one byte tells the four positions apart. */
KERNEL3(max_pool_2x2, pool_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL uchar *, chosen)
{
    GLOBAL const float *top = x + ((id2 * p.height + 2 * id1) * p.width + 2 * id0) * LANES;
    GLOBAL const float *bottom = top + p.width * LANES;
    const long out = ((id2 * p.out_height + id1) * p.out_width + id0) * LANES;
    fetch(top + 4 * p.width * LANES); /* two rows of results ahead */
    fetch(top + LANES + 4 * p.width * LANES);
    fetch(bottom + 4 * p.width * LANES);
    fetch(bottom + LANES + 4 * p.width * LANES);
    const lanes a = load_lanes(top), b = load_lanes(top + LANES);
    const lanes c = load_lanes(bottom), d = load_lanes(bottom + LANES);
    const lanes_mask right = (b > a) | (b != b), low_right = (d > c) | (d != d);
    const lanes upper = choose_lanes(right, b, a), lower = choose_lanes(low_right, d, c);
    const lanes_mask low = (lower > upper) | (lower != lower);
    store_lanes(choose_lanes(low, lower, upper), y + out);
    store_bytes(choose_lanes(low, choose_lanes(low_right, splat(3.0f), splat(2.0f)),
                             choose_lanes(right, splat(1.0f), splat(0.0f))), chosen + out);
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
            const lanes_mask here = find_bytes(chosen + at, row - h * p.stride_h) &
                                    find_bytes(chosen + p.count + at, column - w * p.stride_w);
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
    const lanes g = load_lanes(dy + out), none = splat(0.0f);
    store_lanes(choose_lanes(find_bytes(chosen + out, 0), g, none), top);
    store_lanes(choose_lanes(find_bytes(chosen + out, 1), g, none), top + LANES);
    store_lanes(choose_lanes(find_bytes(chosen + out, 2), g, none), bottom);
    store_lanes(choose_lanes(find_bytes(chosen + out, 3), g, none), bottom + LANES);
}
