/* 3x3 convolution at stride 1 in tile form by Winograd's minimal filtering F(4x4, 3x3): A. Lavin and S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015, section 4.3.
 *
 * A tile of 4x4 output pixels y follows from a patch of 6x6 input pixels d and a filter g of 3x3 as
 *
 *     y = A' [ (G g G') * (B' d B) ] A
 *
 * where the product in the middle is element by element, and a sum over input channels: 36 multiply-adds in the place
 * of 144. The sum is 36 matrix products, one for each element of the 6x6, between transformed weights and patches.
 *
 * Lavin and Gray interpolate at 0, ±1, ±2; here it is at 0, ±√½, ±√2, where the powers stay closer to 1 and errors are
 * a half to a quarter of theirs. B' and A' keep their symmetry, so that they cost as little.
 *
 * A worker takes a strip of tiles through all three steps, so that what is transformed stays in the cache of its core:
 * patches of all input channels, then for two blocks of output channels at a time the products and the pixels. */
#include "luxel.h"
#include "winograd.h"
#include "activation.h"
#include "bias.h"
#include "window.h"

#ifndef LX_ITEM
#define LX_ITEM inline
#endif

#define LINE WINOGRAD_LINE
#define PRODUCTS WINOGRAD_PRODUCTS
#define GROUP CONV2D_PIXELS_OF_TWO(LANES) /* tiles whose sums of two blocks fill the registers */

/* A hint that memory will be read soon. */
#ifdef __OPENCL_C_VERSION__
#define fetch(pointer) prefetch((pointer), 1)
#else
#define fetch(pointer) __builtin_prefetch(pointer)
#endif

#define ROOT_HALF 0.70710678f
#define ROOT_TWO 1.41421356f
#define ROOT_EIGHT 2.82842712f
#define ROOT_EIGHTH 0.35355339f

/* ---- transforms of a line: of `to`, elements are `step` apart ------------------------------------------------- */

/* G g */
static LX_ITEM void transform_weights(const lanes *g, lanes *to, int step)
{
    const lanes even = (g[0] + 0.5f * g[2]) * (-2.0f / 3.0f), odd = g[1] * (-2.0f / 3.0f * ROOT_HALF);
    const lanes even2 = (g[0] + 2.0f * g[2]) * (1.0f / 6.0f), odd2 = g[1] * (1.0f / 6.0f * ROOT_TWO);
    to[0] = g[0];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = even2 + odd2;
    to[4 * step] = even2 - odd2;
    to[5 * step] = g[2];
}

/* B' d */
static LX_ITEM void transform_pixels(const lanes *d, lanes *to, int step)
{
    const lanes even = d[4] - 2.0f * d[2], odd = ROOT_HALF * d[3] - ROOT_TWO * d[1];
    const lanes even2 = d[4] - 0.5f * d[2], odd2 = ROOT_TWO * d[3] - ROOT_HALF * d[1];
    to[0] = d[0] + d[4] - 2.5f * d[2];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = even2 + odd2;
    to[4 * step] = even2 - odd2;
    to[5 * step] = d[1] + d[5] - 2.5f * d[3];
}

/* A' m */
static LX_ITEM void transform_sums(const lanes *m, lanes *to, int step)
{
    const lanes sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    to[0] = m[0] + sum + sum2;
    to[step] = ROOT_HALF * difference + ROOT_TWO * difference2;
    to[2 * step] = 0.5f * sum + 2.0f * sum2;
    to[3 * step] = ROOT_EIGHTH * difference + ROOT_EIGHT * difference2 + m[5];
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* From [out block][in block][9 taps][LANES of in][LANES of out] to [36][out block][in block][LANES][LANES].
 * id0: in channel, id1: out block */
KERNEL2(winograd_weights, winograd_weight_args, GLOBAL const float *, packed, GLOBAL float *, u)
{
    const long in_block = id0 / LANES, channel = id0 % LANES;
    GLOBAL const float *from = packed + ((id1 * p.in_blocks + in_block) * 9 * LANES + channel) * LANES;
    GLOBAL float *to = u + ((id1 * p.in_blocks + in_block) * LANES + channel) * LANES;
    const long product = (long)p.out_blocks * p.in_blocks * LANES * LANES;
    lanes columns[LINE * 3]; /* [6][3] */
    UNROLL
    for (int kw = 0; kw < 3; kw++) {
        lanes column[3];
        UNROLL
        for (int kh = 0; kh < 3; kh++)
            column[kh] = load_lanes(from + (kh * 3 + kw) * LANES * LANES);
        transform_weights(column, columns + kw, 3);
    }
    UNROLL
    for (int i = 0; i < LINE; i++) {
        lanes row[LINE];
        transform_weights(columns + i * 3, row, 1);
        UNROLL
        for (int j = 0; j < LINE; j++)
            store_lanes(row[j], to + (i * LINE + j) * product);
    }
}

/* ---- forward and backward-data -------------------------------------------------------------------------------- */

/* Where a tile is. */
typedef struct {
    long image;
    int row, column; /* of its first output pixel */
} winograd_place;

static LX_ITEM winograd_place place_of(long tile, const winograd_strips s)
{
    const long in_image = tile % ((long)s.rows * s.columns);
    winograd_place place;
    place.image = tile / ((long)s.rows * s.columns);
    place.row = (int)(in_image / s.columns) * 4;
    place.column = (int)(in_image % s.columns) * 4;
    return place;
}

/* A plane of pixels; or, where `codes` is used, of the windows of 2x2 pixels that max-pooling made of it: each has the
 * gradient of the one pixel whose code is in `codes`. */
typedef struct {
    GLOBAL const float *pixels;
    GLOBAL const uchar *codes;
    int height, width; /* in pixels */
} winograd_plane;

static LX_ITEM void find_plane(int pooled, winograd_plane *p, GLOBAL const float *x, GLOBAL const uchar *codes, long plane,
                               int height, int width)
{
    const long size = pooled ? (long)(height / 2) * (width / 2) * LANES : (long)height * width * LANES;
    p->pixels = x + plane * size;
    p->codes = codes + plane * size;
    p->height = pooled ? height / 2 * 2 : height; /* a last odd row has no window */
    p->width = pooled ? width / 2 * 2 : width;
}

/* Pixels with their neighbours in rows, `row` floats apart. */
typedef struct {
    GLOBAL const float *pixels;
    long row;
} winograd_view;

/* A square of `side` pixels a side, copied with zeros outside the plane. */
static LX_ITEM void copy_square(int side, winograd_view *view, GLOBAL float *square, const winograd_plane *p, int top,
                                int left)
{
    view->pixels = square;
    view->row = side * LANES;
    for (int i = 0; i < side; i++) {
        const int row = top + i, exists = row >= 0 && row < p->height;
        for (int j = 0; j < side; j++) {
            const int column = left + j;
            GLOBAL const float *from = p->pixels + ((long)row * p->width + column) * LANES;
            store_lanes(exists && column >= 0 && column < p->width ? load_lanes(from) : splat(0.0f),
                        square + (i * side + j) * LANES);
        }
    }
}

/* The same from the gradients of windows: those that a square from (top, left) on reaches into, `side` windows a side. */
static LX_ITEM void spread_windows(int side, winograd_view *view, GLOBAL float *square, const winograd_plane *p, int top,
                                   int left)
{
    const int first = (top + 2) / 2 - 1, column = (left + 2) / 2 - 1; /* rounded down: top and left are at least -2 */
    const long row_size = 2 * side * LANES;
    view->row = row_size;
    view->pixels = square + (top - 2 * first) * row_size + (left - 2 * column) * LANES;
    for (int i = 0; i < side; i++) {
        const int row = first + i, exists = row >= 0 && row < p->height / 2;
        for (int j = 0; j < side; j++) {
            const long window = ((long)row * (p->width / 2) + column + j) * LANES;
            GLOBAL float *to = square + 2 * i * row_size + 2 * j * LANES;
            lanes gradient = splat(0.0f);
            lanes_mask codes = gradient != gradient;
            if (exists && column + j >= 0 && column + j < p->width / 2) {
                gradient = load_lanes(p->pixels + window);
                codes = load_codes(p->codes + window);
            }
            store_lanes(gradient_of_pixel(gradient, codes, 0), to);
            store_lanes(gradient_of_pixel(gradient, codes, 1), to + LANES);
            store_lanes(gradient_of_pixel(gradient, codes, 2), to + row_size);
            store_lanes(gradient_of_pixel(gradient, codes, 3), to + row_size + LANES);
        }
    }
}

/* A square of `side` pixels a side: where it is, or a copy in `square` if some of it is not there. `pooled` and `side` are
 * constants. */
static LX_ITEM void find_view(int pooled, int side, winograd_view *view, GLOBAL float *square, const winograd_plane *p,
                              int top, int left)
{
    if (pooled) {
        spread_windows(side / 2 + (side == LINE), view, square, p, top, left);
    } else if (top < 0 || left < 0 || top + side > p->height || left + side > p->width) {
        copy_square(side, view, square, p, top, left);
    } else {
        view->pixels = p->pixels + ((long)top * p->width + left) * LANES;
        view->row = (long)p->width * LANES;
    }
}

/* Transforms a patch; the products' values are `product` apart. */
static LX_APART void transform_patch(GLOBAL const float *patch, long row, GLOBAL float *to, long product)
{
    lanes rows[LINE * LINE]; /* [column of the result][row] */
    UNROLL
    for (int i = 0; i < LINE; i++) {
        lanes d[LINE];
        UNROLL
        for (int j = 0; j < LINE; j++)
            d[j] = load_lanes(patch + i * row + j * LANES);
        transform_pixels(d, rows + i, LINE);
    }
    UNROLL
    for (int j = 0; j < LINE; j++) {
        lanes column[LINE];
        transform_pixels(rows + j * LINE, column, 1);
        UNROLL
        for (int i = 0; i < LINE; i++)
            store_lanes(column[i], to + (i * LINE + j) * product);
    }
}

/* The patches of a strip, to [36][in block][strip][LANES]. */
static LX_ITEM void transform_patches(int pooled, GLOBAL const float *x, GLOBAL const uchar *codes, long first, int count,
                                      GLOBAL float *patches, GLOBAL float *square, const winograd_strips s)
{
    for (long b = 0; b < s.in_blocks; b++)
        for (int t = 0; t < count; t++) {
            const winograd_place place = place_of(first + t, s);
            winograd_plane plane;
            winograd_view view;
            find_plane(pooled, &plane, x, codes, place.image * s.in_blocks + b, s.height, s.width);
            find_view(pooled, LINE, &view, square, &plane, place.row - s.padding_h, place.column - s.padding_w);
            transform_patch(view.pixels, view.row, patches + (b * s.strip + t) * LANES,
                            WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES));
        }
}

static LX_ITEM int tiles_of_strip(long strip, const winograd_strips s)
{
    const long left = s.tiles - strip * s.strip;
    return left < s.strip ? (int)left : s.strip;
}

/* One of the 36 products for GROUP tiles and `blocks` (a constant) output blocks. Patches are [in block][strip]
 * [LANES], weights [in block][LANES][LANES] for each block, `next` apart; sums are [tile][block][LANES]. */
static LX_ITEM void multiply(int blocks, GLOBAL const float *patches, long strip, GLOBAL const float *u, long next,
                             int in_blocks, GLOBAL float *sums)
{
    lanes sum0[GROUP], sum1[GROUP];
    UNROLL
    for (int t = 0; t < GROUP; t++)
        sum0[t] = sum1[t] = splat(0.0f);
    for (int b = 0; b < in_blocks; b++) {
        GLOBAL const float *x = patches + b * strip * LANES;
        GLOBAL const float *w = u + (long)b * LANES * LANES;
        for (int c = 0; c < LANES; c++) {
            const lanes w0 = load_lanes(w + c * LANES);
            const lanes w1 = blocks == 2 ? load_lanes(w + next + c * LANES) : w0;
            UNROLL
            for (int t = 0; t < GROUP; t++) {
                const float value = x[t * LANES + c];
                sum0[t] += w0 * value;
                if (blocks == 2)
                    sum1[t] += w1 * value;
            }
        }
    }
    UNROLL
    for (int t = 0; t < GROUP; t++) {
        store_lanes(sum0[t], sums + t * blocks * LANES);
        if (blocks == 2)
            store_lanes(sum1[t], sums + (t * 2 + 1) * LANES);
    }
}

static LX_APART void multiply_one(GLOBAL const float *patches, long strip, GLOBAL const float *u, int in_blocks,
                                  GLOBAL float *sums)
{
    multiply(1, patches, strip, u, 0, in_blocks, sums);
}

static LX_APART void multiply_two(GLOBAL const float *patches, long strip, GLOBAL const float *u, long next, int in_blocks,
                                  GLOBAL float *sums)
{
    multiply(2, patches, strip, u, next, in_blocks, sums);
}

/* Stores the pixels of a tile that are in the image. */
static LX_ITEM void store_tile(const lanes *y, GLOBAL float *plane, int row, int column, const winograd_args p)
{
    const int rows = p.s.out_height - row, columns = p.s.out_width - column; /* that there are, from here on */
    UNROLL
    for (int i = 0; i < 4; i++) {
        GLOBAL float *to = plane + ((long)(row + i) * p.s.out_width + column) * LANES;
        UNROLL
        for (int j = 0; j < 4; j++) {
            if (i < rows && j < columns)
                store_lanes(activate_lanes(y[i * 4 + j], p.activation), to + j * LANES);
        }
    }
}

/* Stores what ReLU and max-pooling make of a tile. */
static LX_ITEM void store_pooled(const lanes *y, GLOBAL float *plane, GLOBAL uchar *codes, int row, int column,
                                 const winograd_args p)
{
    const int height = p.s.out_height / 2, width = p.s.out_width / 2;
    UNROLL
    for (int i = 0; i < 2; i++) {
        UNROLL
        for (int j = 0; j < 2; j++) {
            const lanes a = y[i * 8 + j * 2], b = y[i * 8 + j * 2 + 1];
            const lanes c = y[i * 8 + j * 2 + 4], d = y[i * 8 + j * 2 + 5];
            const long at = ((long)(row / 2 + i) * width + column / 2 + j) * LANES;
            if (row / 2 + i < height && column / 2 + j < width)
                store_window(a, b, c, d, plane + at, codes + at);
        }
    }
}

/* The pixels of a tile from its 36 sums. */
static LX_APART void transform_tile(GLOBAL const float *sums, long product, lanes bias, lanes *y)
{
    lanes columns[4 * LINE]; /* [row of the result][column] */
    UNROLL
    for (int j = 0; j < LINE; j++) {
        lanes m[LINE];
        UNROLL
        for (int i = 0; i < LINE; i++)
            m[i] = load_lanes(sums + (i * LINE + j) * product);
        transform_sums(m, columns + j, LINE);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        transform_sums(columns + i * LINE, y + i * 4, 1);
        UNROLL
        for (int j = 0; j < 4; j++)
            y[i * 4 + j] += bias;
    }
}

/* What a worker has. */
typedef struct {
    GLOBAL const float *u, *bias;
    GLOBAL float *patches, *sums;
    GLOBAL float *y;
    GLOBAL uchar *codes;
} winograd_worker;

/* The sums and pixels of one or two output blocks from `block` on, for a strip whose patches are ready. */
static LX_ITEM void compute_blocks(int pooling, int blocks, long block, long first, int count, const winograd_worker w,
                                   const winograd_args p)
{
    const winograd_strips s = p.s;
    const long of_patches = WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES), of_sums = WINOGRAD_STRIDE(s.strip * 2, LANES);
    const long next = (long)s.in_blocks * LANES * LANES, of_weights = next * s.out_blocks;
    const long plane = LANES * (pooling ? (long)(s.out_height / 2) * (s.out_width / 2) : (long)s.out_height * s.out_width);
    for (int product = 0; product < PRODUCTS; product++)
        for (int t = 0; t < count; t += GROUP) {
            GLOBAL const float *x = w.patches + product * of_patches + t * LANES;
            GLOBAL const float *u = w.u + product * of_weights + block * next;
            GLOBAL float *sums = w.sums + product * of_sums + t * blocks * LANES;
            if (blocks == 2)
                multiply_two(x, s.strip, u, next, s.in_blocks, sums);
            else
                multiply_one(x, s.strip, u, s.in_blocks, sums);
        }
    for (int b = 0; b < blocks; b++) {
        const lanes bias = bias_of_block(w.bias, p.bias, block + b, p.out_channels);
        for (int t = 0; t < count; t++) {
            const winograd_place place = place_of(first + t, s);
            const long at = (place.image * s.out_blocks + block + b) * plane;
            lanes y[4 * 4];
            transform_tile(w.sums + (t * blocks + b) * LANES, of_sums, bias, y);
            if (pooling)
                store_pooled(y, w.y + at, w.codes + at, place.row, place.column, p);
            else
                store_tile(y, w.y + at, place.row, place.column, p);
        }
    }
}

/* All strips of worker `id`. `pooled` and `pooling` (constants) say that x is what max-pooling made of a plane, or y to
 * be; codes are those of the one that is. Scratch memory holds patches, [36][in block][strip][LANES], sums,
 * [36][strip][2][LANES], and a square of pixels. */
static LX_ITEM void convolve(int pooled, int pooling, long id, GLOBAL const float *x, GLOBAL const uchar *x_codes,
                             GLOBAL const float *u, GLOBAL const float *bias, GLOBAL float *scratch, GLOBAL float *y,
                             GLOBAL uchar *y_codes, const winograd_args p)
{
    const winograd_strips s = p.s;
    winograd_worker w;
    w.u = u;
    w.bias = bias;
    w.patches = scratch + id * s.scratch;
    w.sums = w.patches + PRODUCTS * WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES);
    w.y = y;
    w.codes = y_codes;
    GLOBAL float *square = w.patches + s.scratch - WINOGRAD_SQUARE * LANES;
    for (long strip = id * s.strips / s.workers; strip < (id + 1) * s.strips / s.workers; strip++) {
        const long first = strip * s.strip;
        const int count = tiles_of_strip(strip, s);
        transform_patches(pooled, x, x_codes, first, count, w.patches, square, s);
        for (long block = 0; block < s.out_blocks; block += 2)
            compute_blocks(pooling, block + 1 < s.out_blocks ? 2 : 1, block, first, count, w, p);
    }
}

/* Weights are as winograd_weights leaves them. id0: worker */
KERNEL5(winograd_tile, winograd_args, GLOBAL const float *, x, GLOBAL const float *, u, GLOBAL const float *, bias,
        GLOBAL float *, scratch, GLOBAL float *, y)
{
    convolve(0, 0, id0, x, 0, u, bias, scratch, y, 0, p);
}

/* Followed by ReLU and max-pooling. */
KERNEL6(winograd_tile_pool, winograd_args, GLOBAL const float *, x, GLOBAL const float *, u, GLOBAL const float *, bias,
        GLOBAL float *, scratch, GLOBAL float *, y, GLOBAL uchar *, codes)
{
    convolve(0, 1, id0, x, 0, u, bias, scratch, y, codes, p);
}

/* Backward-data, when x is the gradient of what winograd_tile_pool made. */
KERNEL6(winograd_tile_unpool, winograd_args, GLOBAL const float *, x, GLOBAL const uchar *, codes, GLOBAL const float *, u,
        GLOBAL const float *, bias, GLOBAL float *, scratch, GLOBAL float *, y)
{
    convolve(1, 0, id0, x, codes, u, bias, scratch, y, 0, p);
}

/* ---- backward-weight ------------------------------------------------------------------------------------------ */

/* A e, the transpose of transform_sums */
static LX_ITEM void transform_gradients(const lanes *e, lanes *to, int step)
{
    const lanes even = e[0] + 0.5f * e[2], odd = ROOT_HALF * e[1] + ROOT_EIGHTH * e[3];
    const lanes even2 = e[0] + 2.0f * e[2], odd2 = ROOT_TWO * e[1] + ROOT_EIGHT * e[3];
    to[0] = e[0];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = even2 + odd2;
    to[4 * step] = even2 - odd2;
    to[5 * step] = e[3];
}

/* G' u, the transpose of transform_weights */
static LX_ITEM void transform_products(const lanes *u, lanes *to, int step)
{
    const lanes sum = (u[1] + u[2]) * (-2.0f / 3.0f), difference = (u[1] - u[2]) * (-2.0f / 3.0f * ROOT_HALF);
    const lanes sum2 = (u[3] + u[4]) * (1.0f / 6.0f), difference2 = (u[3] - u[4]) * (1.0f / 6.0f * ROOT_TWO);
    to[0] = u[0] + sum + sum2;
    to[step] = difference + difference2;
    to[2 * step] = 0.5f * sum + 2.0f * sum2 + u[5];
}

static LX_APART void transform_gradient(GLOBAL const float *tile, long row, GLOBAL float *to, long product)
{
    lanes rows[LINE * 4]; /* [column of the result][row] */
    UNROLL
    for (int i = 0; i < 4; i++) {
        lanes e[4];
        UNROLL
        for (int j = 0; j < 4; j++)
            e[j] = load_lanes(tile + i * row + j * LANES);
        transform_gradients(e, rows + i, 4);
    }
    UNROLL
    for (int j = 0; j < LINE; j++) {
        lanes column[LINE];
        transform_gradients(rows + j * 4, column, 1);
        UNROLL
        for (int i = 0; i < LINE; i++)
            store_lanes(column[i], to + (i * LINE + j) * product);
    }
}

/* The gradients of a strip's tiles, to [36][out block][strip][LANES]. */
static LX_ITEM void transform_tiles(int pooled, GLOBAL const float *dy, GLOBAL const uchar *codes, long first, int count,
                                    GLOBAL float *gradients, GLOBAL float *square, const winograd_strips s)
{
    for (long b = 0; b < s.out_blocks; b++)
        for (int t = 0; t < count; t++) {
            const winograd_place place = place_of(first + t, s);
            winograd_plane plane;
            winograd_view view;
            find_plane(pooled, &plane, dy, codes, place.image * s.out_blocks + b, s.out_height, s.out_width);
            find_view(pooled, 4, &view, square, &plane, place.row, place.column);
            transform_gradient(view.pixels, view.row, gradients + (b * s.strip + t) * LANES,
                               WINOGRAD_STRIDE(s.out_blocks * s.strip, LANES));
        }
}

#define CHANNELS (LANES == 16 ? 8 : 4) /* input channels whose sums of two blocks fill the registers */

/* Adds the products of a strip's tiles to CHANNELS rows of sums of `blocks` (a constant) output blocks, `next` and, in the
 * gradients, `next_gradients` apart. */
static LX_ITEM void multiply_tiles(int blocks, GLOBAL const float *patches, GLOBAL const float *gradients,
                                   long next_gradients, int count, GLOBAL float *sums, long next)
{
    lanes sum0[CHANNELS], sum1[CHANNELS];
    UNROLL
    for (int c = 0; c < CHANNELS; c++) {
        fetch(sums + (CHANNELS + c) * LANES); /* those that come next */
        if (blocks == 2)
            fetch(sums + next + (CHANNELS + c) * LANES);
        sum0[c] = load_lanes(sums + c * LANES);
        sum1[c] = blocks == 2 ? load_lanes(sums + next + c * LANES) : splat(0.0f);
    }
    for (int t = 0; t < count; t++) {
        const lanes e0 = load_lanes(gradients + t * LANES);
        const lanes e1 = blocks == 2 ? load_lanes(gradients + next_gradients + t * LANES) : e0;
        UNROLL
        for (int c = 0; c < CHANNELS; c++) {
            const float value = patches[t * LANES + c];
            sum0[c] += e0 * value;
            if (blocks == 2)
                sum1[c] += e1 * value;
        }
    }
    UNROLL
    for (int c = 0; c < CHANNELS; c++) {
        store_lanes(sum0[c], sums + c * LANES);
        if (blocks == 2)
            store_lanes(sum1[c], sums + next + c * LANES);
    }
}

static LX_APART void multiply_tiles_one(GLOBAL const float *patches, GLOBAL const float *gradients, int count,
                                        GLOBAL float *sums)
{
    multiply_tiles(1, patches, gradients, 0, count, sums, 0);
}

static LX_APART void multiply_tiles_two(GLOBAL const float *patches, GLOBAL const float *gradients, long next_gradients,
                                        int count, GLOBAL float *sums, long next)
{
    multiply_tiles(2, patches, gradients, next_gradients, count, sums, next);
}

/* Adds one of the 36 products of a strip to its sums, [out block][in block][LANES of in][LANES of out]. */
static LX_ITEM void add_product(GLOBAL const float *patches, GLOBAL const float *gradients, int count, GLOBAL float *sums,
                                const winograd_strips s)
{
    const long of_block = (long)s.strip * LANES, next = (long)s.in_blocks * LANES * LANES;
    for (long out = 0; out < s.out_blocks; out += 2)
        for (long in = 0; in < (long)s.in_blocks * LANES; in += CHANNELS) {
            GLOBAL const float *x = patches + in / LANES * of_block + in % LANES, *e = gradients + out * of_block;
            GLOBAL float *to = sums + out * next + in * LANES;
            if (out + 1 < s.out_blocks)
                multiply_tiles_two(x, e, of_block, count, to, next);
            else
                multiply_tiles_one(x, e, count, to);
        }
}

/* All strips of worker `id`; `pooled` (a constant): dy is the gradient of what max-pooling made of the output. */
static LX_ITEM void sum_up(int pooled, long id, GLOBAL const float *x, GLOBAL const float *dy, GLOBAL const uchar *codes,
                           GLOBAL float *scratch, GLOBAL float *sums, const winograd_strips s)
{
    const long of_patches = WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES);
    const long of_gradients = WINOGRAD_STRIDE(s.out_blocks * s.strip, LANES);
    GLOBAL float *patches = scratch + id * s.scratch, *gradients = patches + PRODUCTS * of_patches;
    GLOBAL float *square = patches + s.scratch - WINOGRAD_SQUARE * LANES;
    const long product = (long)s.out_blocks * s.in_blocks * LANES * LANES;
    GLOBAL float *own = sums + id * PRODUCTS * product;
    for (long i = 0; i < PRODUCTS * product; i += LANES)
        store_lanes(splat(0.0f), own + i);
    for (long strip = id * s.strips / s.workers; strip < (id + 1) * s.strips / s.workers; strip++) {
        const long first = strip * s.strip;
        const int count = tiles_of_strip(strip, s);
        transform_patches(0, x, 0, first, count, patches, square, s);
        transform_tiles(pooled, dy, codes, first, count, gradients, square, s);
        for (int i = 0; i < PRODUCTS; i++)
            add_product(patches + i * of_patches, gradients + i * of_gradients, count, own + i * product, s);
    }
}

/* Sums are [worker][36][out block][in block][LANES of in][LANES of out]. id0: worker */
KERNEL4(winograd_gradient, winograd_strips, GLOBAL const float *, x, GLOBAL const float *, dy, GLOBAL float *, scratch,
        GLOBAL float *, sums)
{
    sum_up(0, id0, x, dy, 0, scratch, sums, p);
}

KERNEL5(winograd_gradient_unpool, winograd_strips, GLOBAL const float *, x, GLOBAL const float *, dy,
        GLOBAL const uchar *, codes, GLOBAL float *, scratch, GLOBAL float *, sums)
{
    sum_up(1, id0, x, dy, codes, scratch, sums, p);
}

/* The workers' sums, added in order, to [out block][in block][9 taps][LANES of in][LANES of out]. id0: in channel,
 * id1: out block */
KERNEL2(winograd_gradient_end, winograd_strips, GLOBAL const float *, sums, GLOBAL float *, taps)
{
    const long product = (long)p.out_blocks * p.in_blocks * LANES * LANES;
    const long block = id1 * p.in_blocks + id0 / LANES, channel = id0 % LANES;
    GLOBAL const float *from = sums + (block * LANES + channel) * LANES;
    GLOBAL float *to = taps + (block * 9 * LANES + channel) * LANES;
    lanes rows[3 * LINE]; /* [column of the result][row] */
    for (int i = 0; i < LINE; i++) {
        lanes u[LINE], row[3];
        UNROLL
        for (int j = 0; j < LINE; j++) {
            u[j] = load_lanes(from + (i * LINE + j) * product);
            for (long worker = 1; worker < p.workers; worker++)
                u[j] += load_lanes(from + (worker * PRODUCTS + i * LINE + j) * product);
        }
        transform_products(u, row, 1);
        UNROLL
        for (int j = 0; j < 3; j++)
            rows[j * LINE + i] = row[j];
    }
    UNROLL
    for (int j = 0; j < 3; j++) {
        lanes column[3];
        transform_products(rows + j * LINE, column, 1);
        UNROLL
        for (int i = 0; i < 3; i++)
            store_lanes(column[i], to + (i * 3 + j) * LANES * LANES);
    }
}
