/* Convolution, its gradients, and depthwise convolution, in tile form: for processors with wide vectors.
 *
 * Tensors are in the blocked layout [N, C/LANES, H, W, LANES]. A work-item keeps a few output pixels of two blocks
 * of output channels in registers; each input value it reads is multiplied with a vector of weights. Backward-data
 * is the same kernel on transposed, flipped weights. */
#include "luxel.h"
#include "conv2d.h"
#include "activation.h"
#include "bias.h"
#include "window.h"
#include "transpose.h"

#define OF_TWO CONV2D_PIXELS_OF_TWO(LANES)
#define OF_ONE CONV2D_PIXELS_OF_ONE
#define MOST_PIXELS 7
#define PIXELS_OF_WINDOWS (2 * CONV2D_WINDOWS(LANES))

/* ---- packing ---------------------------------------------------------------------------------------------- */

#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_pack)
/* LANES output channels by a block of input channels whose weights lie one after the other: squares of LANES of these. */
static LX_ITEM void pack_rows(GLOBAL const float *from, GLOBAL float *to, const conv2d_pack_args p)
{
    const int taps = p.kernel_h * p.kernel_w;
    int channel = 0, tap = 0;
    for (long first = 0; first < (long)p.inner * taps; first += LANES) {
        lanes square[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            square[i] = load_lanes(from + i * p.out_stride + first);
        transpose(square);
        UNROLL
        for (int i = 0; i < LANES; i++) {
            store_lanes(square[i], to + (tap * p.inner + channel) * LANES);
            tap = tap + 1 < taps ? tap + 1 : 0;
            channel += tap == 0;
        }
    }
}

/* The same of a weight as seen by backward-data, whose output channels lie one after the other and whose taps run
 * backwards. What is read past the taps of the last one is of the input channel after, so that there must be one. */
static LX_ITEM void pack_flipped(GLOBAL const float *from, GLOBAL float *to, const conv2d_pack_args p)
{
    const int taps = p.kernel_h * p.kernel_w;
    lanes square[LANES];
    UNROLL
    for (int i = 0; i < LANES; i++)
        square[i] = load_lanes(from + (i - 1) * taps + 1);
    transpose(square);
    for (int tap = 0; tap < taps; tap++)
        store_lanes(square[taps - 1 - tap], to + tap * p.inner * LANES);
}

/* By whatever strides: one input channel. */
static LX_ITEM void pack_channel(GLOBAL const float *from, GLOBAL float *to, const conv2d_pack_args p)
{
    for (int kh = 0; kh < p.kernel_h; kh++)
        for (int kw = 0; kw < p.kernel_w; kw++) {
            GLOBAL const float *tap = from + kh * p.stride_h + kw * p.stride_w;
            GLOBAL float *of_tap = to + (kh * p.kernel_w + kw) * p.inner * LANES;
            if (p.out_stride == 1) {
                store_lanes(load_lanes(tap), of_tap);
            } else {
                float values[LANES];
                UNROLL
                for (int lane = 0; lane < LANES; lane++)
                    values[lane] = tap[lane * p.out_stride];
                store_lanes(load_lanes(values), of_tap);
            }
        }
}

/* id0: in block, id1: group and out block; or the other way round (by_rows). */
KERNEL2(conv2d_pack, conv2d_pack_args, GLOBAL const float *, w, GLOBAL float *, packed)
{
    const long block = p.by_rows ? id1 : id0, group_block = p.by_rows ? id0 : id1;
    const long taps = (long)p.kernel_h * p.kernel_w, start = block * p.inner, out = group_block % p.out_blocks * LANES;
    const long first = out / p.out_channels, channel = out % p.out_channels; /* of the groups merged: of the first lane */
    GLOBAL const float *from = w + p.base + group_block / p.out_blocks * p.merged * p.group_stride;
    GLOBAL float *to = packed + (group_block * p.in_blocks + block) * taps * p.inner * LANES;
    if (p.merged == 1 && channel + LANES <= p.out_channels && start + p.inner <= p.in_channels) {
        from += channel * p.out_stride + start * p.in_stride;
        if (p.stride_w == 1 && p.stride_h == p.kernel_w && p.in_stride == taps && p.inner == LANES)
            pack_rows(from, to, p);
        else
            for (int i = 0; i < p.inner; i++) {
                const int last = start + i + 1 == p.in_channels;
                if (p.stride_w == -1 && p.stride_h == -p.kernel_w && p.out_stride == taps && taps <= LANES && !last)
                    pack_flipped(from + i * p.in_stride, to + i * LANES, p);
                else
                    pack_channel(from + i * p.in_stride, to + i * LANES, p);
            }
        return;
    }
    for (long i = 0; i < taps * p.inner; i++)
        store_lanes(splat(0.0f), to + i * LANES);
    long group = first, c = channel;
    AT_THE_EDGE
    for (int lane = 0; lane < LANES; lane++, c++) { /* lanes pass from one group to the next without a division */
        group += c == p.out_channels;
        c = c == p.out_channels ? 0 : c;
        const long own = group * p.in_channels, end = own + p.in_channels; /* the group's input channels */
        if (group >= p.merged)
            return;
        AT_THE_EDGE
        for (long i = start < own ? own : start; i < end && i < start + p.inner; i++)
            for (int kh = 0; kh < p.kernel_h; kh++)
                for (int kw = 0; kw < p.kernel_w; kw++)
                    to[((kh * p.kernel_w + kw) * p.inner + i - start) * LANES + lane] =
                        from[group * p.group_stride + c * p.out_stride + (i - own) * p.in_stride + kh * p.stride_h +
                             kw * p.stride_w];
    }
}
#endif

/* ---- forward and backward-data ---------------------------------------------------------------------------- */

/* The output pixels of a work-item: from `start` of column phase `phase`, which holds every up-th pixel and for
 * which the taps that fall between input pixels are the same ones. The last tile of a run overlaps the one before
 * it, and stores only the pixels from `own` on, before `end`. */
typedef struct {
    long phase, start, own, end;
} run_of_pixels;

static LX_ITEM run_of_pixels find_run(long id0, long pixels, const conv2d_tile_args p)
{
    run_of_pixels run;
    run.phase = id0 / p.tiles;
    run.end = CEIL_DIV(p.g.out_width - run.phase, p.up_w);
    run.own = id0 % p.tiles * pixels;
    run.start = run.own + pixels <= run.end ? run.own : run.end < pixels ? 0 : run.end - pixels;
    return run;
}

/* The input row (column) at position `v` of the spread-out input; negative if there is none. */
static LX_ITEM long input_row(long v, const conv2d_tile_args p)
{
    if (p.up_h > 1) {
        if (v % p.up_h != 0)
            return -1;
        v /= p.up_h;
    }
    return v < p.g.height ? v : -1;
}

/* Adds one tap: `count` input channels, `lane` apart, of `pixels` input pixels, `pixel` apart. `next` leads to the
 * weights of the second block. OpenCL C 1.2 has no generic address space, so there is one for each. */
#define DEFINE_ADD_TAP(name, POINTER) \
    static LX_ITEM void name(lanes *sum0, lanes *sum1, int blocks, int pixels, POINTER x, long pixel, long lane, \
                             GLOBAL const float *w, long next, long count) \
    { \
        for (long c = 0; c < count; c++) { \
            const lanes w0 = load_lanes(w + c * LANES); \
            const lanes w1 = blocks == 2 ? load_lanes(w + next + c * LANES) : w0; \
            UNROLL \
            for (int t = 0; t < pixels; t++) { \
                const float value = x[t * pixel + c * lane]; \
                sum0[t] += w0 * value; \
                if (blocks == 2) \
                    sum1[t] += w1 * value; \
            } \
        } \
    }
DEFINE_ADD_TAP(add_tap, GLOBAL const float *)
DEFINE_ADD_TAP(add_tap_private, const float *)

/* Copies the pixels of a tap, some of which lie outside the input, where they are zero. */
static LX_ITEM void copy_pixels(float *patch, int pixels, GLOBAL const float *row, long first, long step, long width)
{
    for (int t = 0; t < pixels; t++) {
        const long at = first + t * step;
        store_lanes(at >= 0 && at < width ? load_lanes(row + at * LANES) : splat(0.0f), patch + t * LANES);
    }
}

/* add_tap for a plain input of which some pixels lie outside. */
static LX_ITEM void add_tap_plain(lanes *sum0, lanes *sum1, int blocks, int pixels, GLOBAL const float *row, long first,
                                  long step, long width, long lane, GLOBAL const float *w, long next, long count)
{
    for (long c = 0; c < count; c++) {
        const lanes w0 = load_lanes(w + c * LANES);
        const lanes w1 = blocks == 2 ? load_lanes(w + next + c * LANES) : w0;
        UNROLL
        for (int t = 0; t < pixels; t++) {
            const long at = first + t * step;
            const float value = at >= 0 && at < width ? row[at + c * lane] : 0.0f;
            sum0[t] += w0 * value;
            if (blocks == 2)
                sum1[t] += w1 * value;
        }
    }
}

/* One work-item. `blocks`, `pixels` and `column`, and `step` if it is 1, are constants where it is called. */
static LX_ITEM void tile(int blocks, int pixels, long step, long column, long lane, long inner, LX_IDS,
                         GLOBAL const float *x, GLOBAL const float *w, GLOBAL const float *bias, GLOBAL float *y,
                         const conv2d_tile_args p)
{
    const long parts = CEIL_DIV(p.out_blocks, p.together); /* of the blocks of a group */
    const long group = id2 / parts % p.groups, n = id2 / parts / p.groups;
    const long block = group * p.out_blocks + id2 % parts * p.together;
    const run_of_pixels run = find_run(id0, pixels, p);
    const long next = (long)p.in_blocks * p.g.kernel_h * p.g.kernel_w * inner * LANES;
    lanes sum0[MOST_PIXELS], sum1[MOST_PIXELS];
    float patch[MOST_PIXELS * LANES];
    UNROLL
    for (int t = 0; t < pixels; t++)
        sum0[t] = sum1[t] = splat(0.0f);
    const int single = p.g.kernel_h == 1 && p.g.kernel_w == 1; /* taps: the next block's pixels come too soon */

    for (long b = 0; b < p.in_blocks; b++) {
        GLOBAL const float *image = x + n * p.x_image + (group * p.in_blocks + b) * p.x_block;
        GLOBAL const float *wb = w + block * next + b * p.g.kernel_h * p.g.kernel_w * inner * LANES;
        const long left = p.in_channels - b * inner, count = left < inner ? left : inner;
        for (long kh = 0; kh < p.g.kernel_h; kh++) {
            const long ih = input_row(id1 * p.g.stride_h - p.g.padding_h + kh * p.g.dilation_h, p);
            if (ih < 0)
                continue;
            GLOBAL const float *row = image + ih * p.x_row;
            for (long kw = 0; kw < p.g.kernel_w; kw++) {
                long v = run.phase - p.g.padding_w + kw * p.g.dilation_w;
                if (p.up_w > 1) {
                    if (v % p.up_w != 0)
                        continue;
                    v /= p.up_w;
                }
                const long first = run.start * step + v;
                GLOBAL const float *wt = wb + (kh * p.g.kernel_w + kw) * inner * LANES;
                if (first >= 0 && first + (pixels - 1) * step < p.g.width) {
                    if (single && b + 1 < p.in_blocks)
                        for (int t = 0; t < pixels; t++)
                            PREFETCH(row + p.x_block + (first + t * step) * column);
                    add_tap(sum0, sum1, blocks, pixels, row + first * column, step * column, lane, wt, next, count);
                } else if (column == 1) {
                    add_tap_plain(sum0, sum1, blocks, pixels, row, first, step, p.g.width, lane, wt, next, count);
                } else {
                    copy_pixels(patch, pixels, row, first, step, p.g.width);
                    add_tap_private(sum0, sum1, blocks, pixels, patch, LANES, 1, wt, next, count);
                }
            }
        }
    }

    const lanes bias0 = bias_of_block(bias, p.bias, block, p.out_channels);
    const lanes bias1 = bias_of_block(bias, p.bias, block + 1, p.out_channels);
    const long blocks_in_image = (long)p.groups * p.out_blocks, plane = (long)p.g.out_height * p.g.out_width * LANES;
    GLOBAL float *out = y + (n * blocks_in_image + block) * plane +
                        (id1 * p.g.out_width + run.phase + run.start * p.up_w) * LANES;
    UNROLL
    for (int t = 0; t < pixels; t++) {
        if (run.start + t >= run.own && run.start + t < run.end) {
            store_lanes(activate_lanes(sum0[t] + bias0, p.activation), out + t * p.up_w * LANES);
            if (blocks == 2)
                store_lanes(activate_lanes(sum1[t] + bias1, p.activation), out + plane + t * p.up_w * LANES);
        }
    }
}

/* Whether a part of the output blocks is two of them. Where all are, a driver that compiles for this launch is told so, and
 * need not compile what computes single ones. */
static LX_ITEM int is_two(long id2, const conv2d_tile_args p)
{
#ifdef ALWAYS_TWO
    return 1;
#else
    return p.together == 2 && id2 % ((p.out_blocks + 1) / 2) * 2 + 1 < p.out_blocks;
#endif
}

/* id0: column phase and tile; id1: output row; id2: image, group and part of the output blocks. The last part of
 * an odd number of blocks is a single one. Here the stride along a row is 1. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_tile)
KERNEL4(conv2d_tile, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w, GLOBAL const float *, bias,
        GLOBAL float *, y)
{
    if (is_two(id2, p))
        tile(2, OF_TWO, 1, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
    else if (p.together == 2)
        tile(1, OF_TWO, 1, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
    else
        tile(1, OF_ONE, 1, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
}
#endif

/* The same for any stride. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_tile_strided)
KERNEL4(conv2d_tile_strided, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w,
        GLOBAL const float *, bias, GLOBAL float *, y)
{
    if (is_two(id2, p))
        tile(2, OF_TWO, p.g.stride_w, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
    else if (p.together == 2)
        tile(1, OF_TWO, p.g.stride_w, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
    else
        tile(1, OF_ONE, p.g.stride_w, LANES, 1, LANES, id0, id1, id2, x, w, bias, y, p);
}
#endif

/* For a plain input of few channels, such as an image, which blocks would mostly fill with zeros. Here, stride 1. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_tile_plain)
KERNEL4(conv2d_tile_plain, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w,
        GLOBAL const float *, bias, GLOBAL float *, y)
{
    if (is_two(id2, p))
        tile(2, OF_TWO, 1, 1, p.x_block, p.in_channels, id0, id1, id2, x, w, bias, y, p);
    else
        tile(1, OF_TWO, 1, 1, p.x_block, p.in_channels, id0, id1, id2, x, w, bias, y, p);
}
#endif

/* The same for any stride. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_tile_plain_strided)
KERNEL4(conv2d_tile_plain_strided, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w,
        GLOBAL const float *, bias, GLOBAL float *, y)
{
    if (is_two(id2, p))
        tile(2, OF_TWO, p.g.stride_w, 1, p.x_block, p.in_channels, id0, id1, id2, x, w, bias, y, p);
    else
        tile(1, OF_TWO, p.g.stride_w, 1, p.x_block, p.in_channels, id0, id1, id2, x, w, bias, y, p);
}
#endif

/* A kernel of 3x3 at stride 1 on a plain input, with ReLU and max-pooling: of `blocks` (a constant) output blocks. */
static LX_ITEM void pooled_tile(int blocks, LX_IDS, GLOBAL const float *x, GLOBAL const float *w,
                                GLOBAL const float *bias, GLOBAL float *y, GLOBAL uchar *codes, const conv2d_tile_args p)
{
    const long pairs = (p.out_blocks + 1) / 2, n = id2 / pairs, block = id2 % pairs * 2;
    const long height = p.g.out_height / 2, width = p.g.out_width / 2;
    const long top = id1 * 2 - p.g.padding_h, left = id0 * PIXELS_OF_WINDOWS - p.g.padding_w;
    const int inside = top >= 0 && top + 4 <= p.g.height && left >= 0 && left + PIXELS_OF_WINDOWS + 2 <= p.g.width;
    lanes sum0[2 * PIXELS_OF_WINDOWS], sum1[2 * PIXELS_OF_WINDOWS];
    UNROLL
    for (int t = 0; t < 2 * PIXELS_OF_WINDOWS; t++)
        sum0[t] = sum1[t] = splat(0.0f);
    for (long c = 0; c < p.in_channels; c++) {
        GLOBAL const float *from = x + n * p.x_image + c * p.x_block + top * p.x_row + left;
        GLOBAL const float *wt = w + (block * 9 * p.in_channels + c) * LANES;
        float patch[4 * (PIXELS_OF_WINDOWS + 2)];
        UNROLL
        for (int i = 0; i < 4; i++) {
            UNROLL
            for (int j = 0; j < PIXELS_OF_WINDOWS + 2; j++)
                patch[i * (PIXELS_OF_WINDOWS + 2) + j] =
                    inside || (top + i >= 0 && top + i < p.g.height && left + j >= 0 && left + j < p.g.width)
                        ? from[i * p.x_row + j]
                        : 0.0f;
        }
        UNROLL
        for (int tap = 0; tap < 9; tap++) {
            const lanes w0 = load_lanes(wt + tap * p.in_channels * LANES);
            const lanes w1 = blocks == 2 ? load_lanes(wt + (9 + tap) * p.in_channels * LANES) : w0;
            UNROLL
            for (int t = 0; t < 2 * PIXELS_OF_WINDOWS; t++) {
                const int row = t / PIXELS_OF_WINDOWS + tap / 3, column = t % PIXELS_OF_WINDOWS + tap % 3;
                const float value = patch[row * (PIXELS_OF_WINDOWS + 2) + column];
                sum0[t] += w0 * value;
                if (blocks == 2)
                    sum1[t] += w1 * value;
            }
        }
    }
    const lanes bias0 = bias_of_block(bias, p.bias, block, p.out_channels);
    const lanes bias1 = bias_of_block(bias, p.bias, block + 1, p.out_channels);
    const long at = (((n * p.out_blocks + block) * height + id1) * width + id0 * PIXELS_OF_WINDOWS / 2) * LANES;
    UNROLL
    for (int i = 0; i < PIXELS_OF_WINDOWS / 2; i++) {
        const int t = 2 * i, low = t + PIXELS_OF_WINDOWS;
        const long here = at + i * LANES, next = here + height * width * LANES;
        if (id0 * PIXELS_OF_WINDOWS / 2 + i < width) {
            store_window(sum0[t] + bias0, sum0[t + 1] + bias0, sum0[low] + bias0, sum0[low + 1] + bias0, y + here,
                         codes + here);
            if (blocks == 2)
                store_window(sum1[t] + bias1, sum1[t + 1] + bias1, sum1[low] + bias1, sum1[low + 1] + bias1, y + next,
                             codes + next);
        }
    }
}

/* id0: windows, a few; id1: row of windows; id2: image and pair of output blocks. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_plain_pool)
KERNEL5(conv2d_plain_pool, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w,
        GLOBAL const float *, bias, GLOBAL float *, y, GLOBAL uchar *, codes)
{
    if (id2 % ((p.out_blocks + 1) / 2) * 2 + 1 < p.out_blocks)
        pooled_tile(2, id0, id1, id2, x, w, bias, y, codes, p);
    else
        pooled_tile(1, id0, id1, id2, x, w, bias, y, codes, p);
}
#endif

/* ReLU on what max-pooling made of a convolution, and on which pixels it chose. id0: place in the row; id1: row */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_rectify)
KERNEL2(conv2d_rectify, conv2d_rectify_args, GLOBAL float *, y, GLOBAL uchar *, codes)
{
    const long at = id1 * p.row + id0;
    const float value = y[at];
    codes[at] = value <= 0.0f ? (uchar)0 : codes[at];
    y[at] = value <= 0.0f ? 0.0f : value;
}
#endif

/* A tile of a row of one channel block: a few pixels, of which those of taps outside the input are left out. */
static LX_ITEM void depthwise_tile(const run_of_pixels run, long id1, GLOBAL const float *plane, GLOBAL const float *w,
                                   lanes bias, GLOBAL float *row_out, const conv2d_tile_args p)
{
    lanes sum[OF_ONE];
    UNROLL
    for (int t = 0; t < OF_ONE; t++)
        sum[t] = splat(0.0f);
    for (long kh = 0; kh < p.g.kernel_h; kh++) {
        const long ih = input_row(id1 * p.g.stride_h - p.g.padding_h + kh * p.g.dilation_h, p);
        if (ih < 0)
            continue;
        GLOBAL const float *row = plane + ih * p.x_row;
        for (long kw = 0; kw < p.g.kernel_w; kw++) {
            long v = run.phase - p.g.padding_w + kw * p.g.dilation_w;
            if (p.up_w > 1) {
                if (v % p.up_w != 0)
                    continue;
                v /= p.up_w;
            }
            v += run.start * p.g.stride_w;
            const lanes weight = load_lanes(w + (kh * p.g.kernel_w + kw) * LANES);
            if (v >= 0 && v + (OF_ONE - 1) * p.g.stride_w < p.g.width) {
                GLOBAL const float *from = row + v * LANES;
                UNROLL
                for (int t = 0; t < OF_ONE; t++)
                    sum[t] += weight * load_lanes(from + t * p.g.stride_w * LANES);
                continue;
            }
            UNROLL
            for (int t = 0; t < OF_ONE; t++) {
                const long at = v + t * p.g.stride_w;
                if (at >= 0 && at < p.g.width)
                    sum[t] += weight * load_lanes(row + at * LANES);
            }
        }
    }
    GLOBAL float *out = row_out + (run.phase + run.start * p.up_w) * LANES;
    UNROLL
    for (int t = 0; t < OF_ONE; t++)
        if (run.start + t >= run.own && run.start + t < run.end)
            store_lanes(activate_lanes(sum[t] + bias, p.activation), out + t * p.up_w * LANES);
}

/* One input channel for each output channel, so that lanes never mix. id0: column phase; id1: row; id2: image and block. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_depthwise)
KERNEL4(conv2d_depthwise, conv2d_tile_args, GLOBAL const float *, x, GLOBAL const float *, w,
        GLOBAL const float *, bias, GLOBAL float *, y)
{
    const long block = id2 % p.out_blocks, taps = (long)p.g.kernel_h * p.g.kernel_w;
    const lanes bias0 = bias_of_block(bias, p.bias, block, p.out_channels);
    run_of_pixels run = {id0, 0, 0, CEIL_DIV(p.g.out_width - id0, p.up_w)};
    for (run.own = 0; run.own < run.end; run.own += OF_ONE) {
        run.start = run.own + OF_ONE <= run.end ? run.own : run.end < OF_ONE ? 0 : run.end - OF_ONE;
        depthwise_tile(run, id1, x + id2 * p.x_block, w + block * taps * LANES, bias0,
                       y + (id2 * p.g.out_height + id1) * p.g.out_width * LANES, p);
    }
}
#endif

/* ---- backward-weight -------------------------------------------------------------------------------------- */

/* The first output position whose input position, offset by `shift`, is at least `bound`. */
static LX_ITEM long first_from(long bound, long shift, long stride)
{
    return bound <= shift ? 0 : CEIL_DIV(bound - shift, stride);
}

static LX_ITEM long least(long a, long b)
{
    return a < b ? a : b;
}

/* Rows that are swept together while their pixels are in the nearest cache: enough for the sums, which stay in
 * registers over them, to be worth loading. */
static LX_ITEM long rows_together(long width)
{
    return width >= 128 ? 1 : CEIL_DIV(128, width);
}

#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_weight_tile)
#define CHANNELS (LANES == 16 ? 8 : 4) /* whose sums of two blocks fill the registers */

/* Adds a tap of `rows` rows of the output from `oh` on to the sums [LANES of in][LANES of out] of `blocks` output blocks, which
 * are `next`, and in dy `next_dy`, apart: of `channels` input channels at a time. Both are constants. */
static LX_ITEM void add_rows(int blocks, int channels, GLOBAL const float *x_plane, GLOBAL const float *dy, long next_dy, long kh, long kw,
                             long oh, long rows, GLOBAL float *tap, long next, const conv2d_geometry g)
{
    const long shift = kw * g.dilation_w - g.padding_w;
    const long from = first_from(0, shift, g.stride_w);
    const long to = least(first_from(g.width, shift, g.stride_w), g.out_width);
    const int joined = to - from == g.width && g.stride_h == 1 && g.kernel_h == 1 && g.padding_h == 0;
    const long runs = joined ? 1 : rows, length = joined ? rows * g.width : to - from; /* of pixels side by side */
    for (int first = 0; first < LANES; first += channels) {
        lanes sum0[LANES], sum1[LANES];
        UNROLL
        for (int c = 0; c < channels; c++) {
            sum0[c] = load_lanes(tap + (first + c) * LANES);
            sum1[c] = blocks == 2 ? load_lanes(tap + next + (first + c) * LANES) : splat(0.0f);
        }
        for (long i = 0; i < runs; i++) {
            const long ih = (oh + i) * g.stride_h - g.padding_h + kh * g.dilation_h;
            if (ih < 0 || ih >= g.height)
                continue;
            GLOBAL const float *xs = x_plane + (ih * g.width + from * g.stride_w + shift) * LANES + first;
            GLOBAL const float *dys = dy + (i * g.out_width + from) * LANES;
            for (long t = 0; t < length; t++) {
                const lanes gradient0 = load_lanes(dys);
                const lanes gradient1 = blocks == 2 ? load_lanes(dys + next_dy) : gradient0;
                UNROLL
                for (int c = 0; c < channels; c++) {
                    const float value = xs[c];
                    sum0[c] += gradient0 * value;
                    if (blocks == 2)
                        sum1[c] += gradient1 * value;
                }
                dys += LANES;
                xs += g.stride_w * LANES;
            }
        }
        UNROLL
        for (int c = 0; c < channels; c++) {
            store_lanes(sum0[c], tap + (first + c) * LANES);
            if (blocks == 2)
                store_lanes(sum1[c], tap + next + (first + c) * LANES);
        }
    }
}

/* A chunk's sums of `blocks` (a constant) output blocks from `out` of all on, and of in block `in` of its group. */
static LX_ITEM void sum_chunk(int blocks, long chunk, long out, long in, GLOBAL const float *x, GLOBAL const float *dy,
                              GLOBAL float *sums, const conv2d_weight_args p)
{
    const conv2d_geometry g = p.g;
    const long taps = (long)g.kernel_h * g.kernel_w, next = p.in_blocks * taps * LANES * LANES;
    const long x_blocks = (long)p.groups * p.in_blocks, dy_blocks = (long)p.groups * p.out_blocks;
    const long dy_plane = (long)g.out_height * g.out_width * LANES;
    const long last = least((chunk + 1) * p.chunk_rows, p.rows), together = rows_together(g.out_width);
    GLOBAL float *own = sums + chunk * p.chunk_size + (out * p.in_blocks + in) * taps * LANES * LANES;
    for (int block = 0; block < blocks; block++)
        for (long i = 0; i < taps * LANES; i++)
            store_lanes(splat(0.0f), own + block * next + i * LANES);
    for (long r = chunk * p.chunk_rows, rows; r < last; r += rows) {
        const long n = r / g.out_height, oh = r % g.out_height;
        GLOBAL const float *x_plane =
            x + (n * x_blocks + out / p.out_blocks * p.in_blocks + in) * g.height * g.width * LANES;
        GLOBAL const float *dy_row = dy + (n * dy_blocks + out) * dy_plane + oh * g.out_width * LANES;
        rows = least(least(together, g.out_height - oh), last - r);
        for (long kh = 0; kh < g.kernel_h; kh++)
            for (long kw = 0; kw < g.kernel_w; kw++)
                add_rows(blocks, blocks == 1 ? LANES : CHANNELS, x_plane, dy_row, dy_plane, kh, kw, oh, rows,
                         own + (kh * g.kernel_w + kw) * LANES * LANES, next, g);
    }
}

/* id0: group, pair of output blocks and in block; id1: chunk. All of a chunk's sums are [taps][LANES of in][LANES of out].
 */
KERNEL3(conv2d_weight_tile, conv2d_weight_args, GLOBAL const float *, x, GLOBAL const float *, dy,
        GLOBAL float *, sums)
{
    const long pairs = CEIL_DIV(p.out_blocks, 2), in = id0 % p.in_blocks, pair = id0 / p.in_blocks % pairs;
    const long out = id0 / p.in_blocks / pairs * p.out_blocks + pair * 2;
    if (pair * 2 + 1 < p.out_blocks)
        sum_chunk(2, id1, out, in, x, dy, sums, p);
    else
        sum_chunk(1, id1, out, in, x, dy, sums, p);
}
#endif

/* Copies tap `tap` of `count` output pixels from `ow` of row `oh` to every LANES-th place of `patch`. */
static LX_ITEM void copy_tap(float *patch, GLOBAL const float *image, long tap, long oh, long ow, long count,
                             const conv2d_weight_args p)
{
    const long kw = tap % p.g.kernel_w, kh = tap / p.g.kernel_w % p.g.kernel_h;
    const long channel = tap / p.g.kernel_w / p.g.kernel_h;
    const long ih = oh * p.g.stride_h - p.g.padding_h + kh * p.g.dilation_h;
    const long iw = ow * p.g.stride_w - p.g.padding_w + kw * p.g.dilation_w;
    const int inside = ih >= 0 && ih < p.g.height;
    const long from = inside ? least(first_from(0, iw, p.g.stride_w), count) : count;
    const long to = inside ? least(first_from(p.g.width, iw, p.g.stride_w), count) : count;
    GLOBAL const float *row = image + channel * p.x_channel + (inside ? ih : 0) * p.x_row;
    AT_THE_EDGE
    for (long i = 0; i < from; i++)
        patch[i * LANES] = 0.0f;
    for (long i = from; i < to; i++)
        patch[i * LANES] = row[iw + i * p.g.stride_w];
    AT_THE_EDGE
    for (long i = to; i < count; i++)
        patch[i * LANES] = 0.0f;
}

/* A plain input of few channels: the LANES of the inner block are taps (of all channels), gathered for a few
 * pixels at a time. id0: block of taps; id1: chunk. Sums are [out block][block of taps][LANES of taps][LANES]. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_weight_patches)
KERNEL3(conv2d_weight_patches, conv2d_weight_args, GLOBAL const float *, x, GLOBAL const float *, dy,
        GLOBAL float *, sums)
{
    const long last = least((id1 + 1) * p.chunk_rows, p.rows), taps = least(LANES, p.taps - id0 * LANES);
    GLOBAL float *own = sums + id1 * p.chunk_size + id0 * LANES * LANES;
    float patch[CONV2D_PATCHES * LANES];
    for (long b = 0; b < p.out_blocks; b++)
        for (int c = 0; c < LANES; c++)
            store_lanes(splat(0.0f), own + (b * p.in_blocks * LANES + c) * LANES);
    for (int i = 0; i < CONV2D_PATCHES; i++)
        store_lanes(splat(0.0f), patch + i * LANES);

    for (long r = id1 * p.chunk_rows; r < last; r++) {
        const long n = r / p.g.out_height, oh = r % p.g.out_height;
        for (long ow = 0; ow < p.g.out_width; ow += CONV2D_PATCHES) {
            const long count = least(CONV2D_PATCHES, p.g.out_width - ow);
            for (long c = 0; c < taps; c++)
                copy_tap(patch + c, x + n * p.x_image, id0 * LANES + c, oh, ow, count, p);
            for (long b = 0; b < p.out_blocks; b++) {
                GLOBAL const float *dys =
                    dy + (((n * p.out_blocks + b) * p.g.out_height + oh) * p.g.out_width + ow) * LANES;
                GLOBAL float *block = own + b * p.in_blocks * LANES * LANES;
                lanes sum[LANES];
                UNROLL
                for (int c = 0; c < LANES; c++)
                    sum[c] = load_lanes(block + c * LANES);
                for (long i = 0; i < count; i++) {
                    const lanes gradient = load_lanes(dys + i * LANES);
                    UNROLL
                    for (int c = 0; c < LANES; c++)
                        sum[c] += gradient * patch[i * LANES + c];
                }
                UNROLL
                for (int c = 0; c < LANES; c++)
                    store_lanes(sum[c], block + c * LANES);
            }
        }
    }
}
#endif

/* A kernel of 3x3 at stride 1 on a plain input, when dy is the gradient of what max-pooling made of the output: `rows` are
 * those of windows. Of `blocks` (a constant) output blocks. */
static LX_ITEM void sum_windows(int blocks, long block, long id1, GLOBAL const float *x, GLOBAL const float *dy,
                                GLOBAL const uchar *codes, GLOBAL float *own, const conv2d_weight_args p)
{
    const long last = least((id1 + 1) * p.chunk_rows, p.rows), height = p.g.out_height / 2, width = p.g.out_width / 2;
    for (long c = 0; c < p.taps / 9; c++) {
        lanes sum0[9], sum1[9];
        UNROLL
        for (int tap = 0; tap < 9; tap++)
            sum0[tap] = sum1[tap] = splat(0.0f);
        for (long r = id1 * p.chunk_rows; r < last; r++) {
            const long n = r / height, top = r % height * 2 - p.g.padding_h;
            const long at = ((n * p.out_blocks + block) * height + r % height) * width * LANES;
            const long next = height * width * LANES;
            for (long column = 0; column < width; column++) {
                const long left = column * 2 - p.g.padding_w, here = at + column * LANES;
                GLOBAL const float *from = x + n * p.x_image + c * p.x_channel + top * p.x_row + left;
                const lanes_mask code0 = load_codes(codes + here);
                const lanes_mask code1 = blocks == 2 ? load_codes(codes + here + next) : code0;
                const lanes e0 = load_lanes(dy + here), e1 = blocks == 2 ? load_lanes(dy + here + next) : e0;
                float patch[16];
                if (top >= 0 && top + 4 <= p.g.height && left >= 0 && left + 4 <= p.g.width) {
                    UNROLL
                    for (int i = 0; i < 16; i++)
                        patch[i] = from[i / 4 * p.x_row + i % 4];
                } else {
                    AT_THE_EDGE
                    for (int i = 0; i < 16; i++) {
                        const long row = top + i / 4, col = left + i % 4;
                        patch[i] = row >= 0 && row < p.g.height && col >= 0 && col < p.g.width
                                       ? from[i / 4 * p.x_row + i % 4]
                                       : 0.0f;
                    }
                }
                UNROLL
                for (int pixel = 0; pixel < 4; pixel++) {
                    const lanes g0 = gradient_of_pixel(e0, code0, pixel);
                    const lanes g1 = gradient_of_pixel(e1, code1, pixel);
                    UNROLL
                    for (int tap = 0; tap < 9; tap++) {
                        const float value = patch[(pixel / 2 + tap / 3) * 4 + pixel % 2 + tap % 3];
                        sum0[tap] += g0 * value;
                        if (blocks == 2)
                            sum1[tap] += g1 * value;
                    }
                }
            }
        }
        UNROLL
        for (int tap = 0; tap < 9; tap++) {
            const long at = c * 9 + tap; /* LANES of them are a block */
            store_lanes(sum0[tap], own + (block * p.in_blocks * LANES + at) * LANES);
            if (blocks == 2)
                store_lanes(sum1[tap], own + ((block + 1) * p.in_blocks * LANES + at) * LANES);
        }
    }
}

/* id0: pair of output blocks; id1: chunk. Sums are as those of conv2d_weight_patches. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_weight_windows)
KERNEL4(conv2d_weight_windows, conv2d_weight_args, GLOBAL const float *, x, GLOBAL const float *, dy,
        GLOBAL const uchar *, codes, GLOBAL float *, sums)
{
    GLOBAL float *own = sums + id1 * p.chunk_size;
    if (id0 * 2 + 1 < p.out_blocks)
        sum_windows(2, id0 * 2, id1, x, dy, codes, own, p);
    else
        sum_windows(1, id0 * 2, id1, x, dy, codes, own, p);
}
#endif

/* id0: block; id1: chunk. Sums are [taps][LANES]. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_weight_depthwise)
KERNEL3(conv2d_weight_depthwise, conv2d_weight_args, GLOBAL const float *, x, GLOBAL const float *, dy,
        GLOBAL float *, sums)
{
    const long last = least((id1 + 1) * p.chunk_rows, p.rows), taps = (long)p.g.kernel_h * p.g.kernel_w;
    GLOBAL float *own = sums + id1 * p.chunk_size + id0 * taps * LANES;
    for (long i = 0; i < taps; i++)
        store_lanes(splat(0.0f), own + i * LANES);
    for (long r = id1 * p.chunk_rows; r < last; r++) {
        const long n = r / p.g.out_height, oh = r % p.g.out_height, block = n * p.out_blocks + id0;
        GLOBAL const float *dy_row = dy + (block * p.g.out_height + oh) * p.g.out_width * LANES;
        for (long i = 0; i < taps; i++) {
            const long ih = oh * p.g.stride_h - p.g.padding_h + i / p.g.kernel_w * p.g.dilation_h;
            const long shift = i % p.g.kernel_w * p.g.dilation_w - p.g.padding_w;
            const long to = least(first_from(p.g.width, shift, p.g.stride_w), p.g.out_width);
            if (ih < 0 || ih >= p.g.height)
                continue;
            GLOBAL const float *row = x + (block * p.g.height + ih) * p.g.width * LANES;
            lanes even = load_lanes(own + i * LANES), odd = splat(0.0f); /* two, because an addition takes its time */
            long ow = first_from(0, shift, p.g.stride_w);
            for (; ow + 1 < to; ow += 2) {
                GLOBAL const float *xs = row + (ow * p.g.stride_w + shift) * LANES;
                even += load_lanes(dy_row + ow * LANES) * load_lanes(xs);
                odd += load_lanes(dy_row + (ow + 1) * LANES) * load_lanes(xs + p.g.stride_w * LANES);
            }
            if (ow < to)
                even += load_lanes(dy_row + ow * LANES) * load_lanes(row + (ow * p.g.stride_w + shift) * LANES);
            store_lanes(even + odd, own + i * LANES);
        }
    }
}
#endif

/* The gradient of the bias: the sum of dy. id0: block; id1: chunk. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_bias_sums)
KERNEL2(conv2d_bias_sums, conv2d_weight_args, GLOBAL const float *, dy, GLOBAL float *, sums)
{
    const long last = least((id1 + 1) * p.chunk_rows, p.rows);
    lanes total = splat(0.0f);
    for (long r = id1 * p.chunk_rows; r < last; r++) {
        const long n = r / p.g.out_height, oh = r % p.g.out_height;
        GLOBAL const float *row = dy + ((n * p.out_blocks + id0) * p.g.out_height + oh) * p.g.out_width * LANES;
        lanes sum[4];
        UNROLL
        for (int i = 0; i < 4; i++)
            sum[i] = splat(0.0f);
        long ow = 0;
        for (; ow + 3 < p.g.out_width; ow += 4) {
            UNROLL
            for (int i = 0; i < 4; i++)
                sum[i] += load_lanes(row + (ow + i) * LANES);
        }
        for (; ow < p.g.out_width; ow++)
            sum[0] += load_lanes(row + ow * LANES);
        total += (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    store_lanes(total, sums + id1 * p.chunk_size + id0 * LANES);
}
#endif

/* The same when dy is the gradient of what max-pooling made of the output: `out_height` and `out_width` are in windows. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_bias_windows)
KERNEL3(conv2d_bias_windows, conv2d_weight_args, GLOBAL const float *, dy, GLOBAL const uchar *, codes,
        GLOBAL float *, sums)
{
    const long last = least((id1 + 1) * p.chunk_rows, p.rows);
    lanes total = splat(0.0f);
    for (long r = id1 * p.chunk_rows; r < last; r++) {
        const long n = r / p.g.out_height, oh = r % p.g.out_height;
        const long row = ((n * p.out_blocks + id0) * p.g.out_height + oh) * p.g.out_width * LANES;
        lanes sum = splat(0.0f);
        for (long ow = 0; ow < p.g.out_width; ow++)
            sum += choose_lanes(load_codes(codes + row + ow * LANES) > 0, load_lanes(dy + row + ow * LANES),
                                splat(0.0f));
        total += sum;
    }
    store_lanes(total, sums + id1 * p.chunk_size + id0 * LANES);
}
#endif

#if defined(LX_WANT_ALL) || defined(LX_WANT_conv2d_reduce)
/* The chunks' sums of one input channel (of all) and tap, a lane for each output channel. */
static LX_ITEM lanes sum_of_chunks(GLOBAL const float *sums, long id1, long in, long tap, const conv2d_reduce_args p)
{
    GLOBAL const float *from =
        sums + (((id1 * p.in_blocks + in / p.inner) * p.taps + tap) * p.inner + in % p.inner) * LANES;
    lanes total = load_lanes(from);
    for (long i = 1; i < p.chunks; i++)
        total += load_lanes(from + i * p.chunk_size);
    return total;
}

/* Of one group: LANES input channels by LANES output channels, each of which is written in a row. */
static LX_ITEM void reduce_block(GLOBAL const float *sums, GLOBAL float *dw, long start, long end, long tap, long id1,
                                 const conv2d_reduce_args p)
{
    const long out = id1 % p.out_blocks * LANES, left = p.out_channels - out, count = left < LANES ? left : LANES;
    GLOBAL float *to = dw + (id1 / p.out_blocks * p.out_channels + out) * p.in_channels * p.taps + tap;
    float values[LANES];
    if (count == LANES && end - start == LANES) {
        lanes square[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            square[i] = sum_of_chunks(sums, id1, start + i, tap, p);
        transpose(square);
        for (int lane = 0; lane < LANES; lane++) {
            GLOBAL float *row = to + (lane * p.in_channels + start) * p.taps;
            if (p.taps == 1) {
                store_lanes(square[lane], row);
            } else {
                store_lanes(square[lane], values);
                for (int i = 0; i < LANES; i++)
                    row[i * p.taps] = values[i];
            }
        }
        return;
    }
    for (long in = start; in < end; in++) {
        store_lanes(sum_of_chunks(sums, id1, in, tap, p), values);
        AT_THE_EDGE
        for (long lane = 0; lane < count; lane++)
            to[(lane * p.in_channels + in) * p.taps] = values[lane];
    }
}

/* id0: LANES input channels, and tap; id1: group and out block. Of merged groups, lanes pass from one, whose input channels
 * are others, to the next without a division. */
KERNEL2(conv2d_reduce, conv2d_reduce_args, GLOBAL const float *, sums, GLOBAL float *, dw)
{
    const long start = id0 / p.taps * LANES, tap = id0 % p.taps;
    const long end = start + LANES < p.in_channels ? start + LANES : p.in_channels;
    if (p.merged == 1) {
        reduce_block(sums, dw, start, end, tap, id1, p);
        return;
    }
    const long out = id1 % p.out_blocks * LANES, first = id1 / p.out_blocks * p.merged * p.out_channels;
    const long left = (long)p.merged * p.out_channels - out, count = left < LANES ? left : LANES;
    for (long in = start; in < end; in++) {
        GLOBAL float *to = dw + ((first + out) * p.in_channels + in) * p.taps + tap;
        long group = out / p.out_channels, next = (group + 1) * p.out_channels - out; /* next: lane of another group */
        for (long lane = 0; lane < count; group++, next += p.out_channels) {
            float values[LANES];
            store_lanes(sum_of_chunks(sums, id1, group * p.in_channels + in, tap, p), values);
            AT_THE_EDGE
            for (; lane < count && lane < next; lane++)
                to[lane * p.in_channels * p.taps] = values[lane];
        }
    }
}
#endif
