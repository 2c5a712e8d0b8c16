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

#define LINE WINOGRAD_LINE
#define PRODUCTS WINOGRAD_PRODUCTS
#define GROUP CONV2D_PIXELS_OF_TWO(LANES) /* tiles whose sums of two blocks fill the registers */

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

/* Of one input channel, from [9 taps][LANES of in][LANES of out]; the products' weights are `product` apart. */
static LX_APART void transform_taps(GLOBAL const float *from, GLOBAL float *to, long product)
{
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

/* From [out block][in block][9 taps][LANES of in][LANES of out] to [36][out block][in block][LANES][LANES].
 * id0: in channel, id1: out block */
KERNEL2(winograd_weights, winograd_weight_args, GLOBAL const float *, packed, GLOBAL float *, u)
{
    const long block = id1 * p.in_blocks + id0 / LANES, channel = id0 % LANES;
    transform_taps(packed + (block * 9 * LANES + channel) * LANES, u + (block * LANES + channel) * LANES,
                   WINOGRAD_STRIDE((long)p.out_blocks * p.in_blocks * LANES, LANES));
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

/* The patches of a strip that are of in block `b`, to [36][in block][strip][LANES]. */
static LX_ITEM void transform_block(int pooled, GLOBAL const float *x, GLOBAL const uchar *codes, long b, long first,
                                    int count, GLOBAL float *patches, GLOBAL float *square, const winograd_strips s)
{
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

static LX_ITEM void transform_patches(int pooled, GLOBAL const float *x, GLOBAL const uchar *codes, long first, int count,
                                      GLOBAL float *patches, GLOBAL float *square, const winograd_strips s)
{
    for (long b = 0; b < s.in_blocks; b++)
        transform_block(pooled, x, codes, b, first, count, patches, square, s);
}

static LX_ITEM int tiles_of_strip(long strip, const winograd_strips s)
{
    const long left = s.tiles - strip * s.strip;
    return left < s.strip ? (int)left : s.strip;
}

/* One of the 36 products for `tiles` of at most GROUP and `blocks` output blocks (constants), added to the sums if there is
 * `more` of it there. Patches are [in block][strip][LANES], weights [in block][LANES][LANES] for each block, `next` apart; sums are
 * [tile][block][LANES]. The patches `ahead` come next. */
static LX_ITEM void multiply(int tiles, int blocks, int more, GLOBAL const float *patches, GLOBAL const float *ahead, long strip,
                             GLOBAL const float *u, GLOBAL const float *u_ahead, long next, int in_blocks, GLOBAL float *sums)
{
    lanes sum0[GROUP], sum1[GROUP];
    UNROLL
    for (int t = 0; t < tiles; t++) {
        sum0[t] = more ? load_lanes(sums + t * blocks * LANES) : splat(0.0f);
        sum1[t] = more && blocks == 2 ? load_lanes(sums + (t * 2 + 1) * LANES) : splat(0.0f);
    }
    for (int b = 0; b < in_blocks; b++) {
        GLOBAL const float *x = patches + b * strip * LANES;
        GLOBAL const float *w = u + (long)b * LANES * LANES;
        UNROLL
        for (int t = 0; t < tiles; t++)
            PREFETCH(ahead + (b * strip + t) * LANES);
        for (int c = 0; c < LANES; c++) {
            const lanes w0 = load_lanes(w + c * LANES);
            const lanes w1 = blocks == 2 ? load_lanes(w + next + c * LANES) : w0;
            PREFETCH(u_ahead + (b * LANES + c) * LANES);
            if (blocks == 2)
                PREFETCH(u_ahead + next + (b * LANES + c) * LANES);
            UNROLL
            for (int t = 0; t < tiles; t++) {
                const float value = x[t * LANES + c];
                sum0[t] += w0 * value;
                if (blocks == 2)
                    sum1[t] += w1 * value;
            }
        }
    }
    UNROLL
    for (int t = 0; t < tiles; t++) {
        store_lanes(sum0[t], sums + t * blocks * LANES);
        if (blocks == 2)
            store_lanes(sum1[t], sums + (t * 2 + 1) * LANES);
    }
}

/* The same for `tiles` of any number up to GROUP; fewer than GROUP - 2 take as long as those. */
static LX_ITEM void multiply_group(int tiles, int blocks, int more, GLOBAL const float *patches, GLOBAL const float *ahead,
                                   long strip, GLOBAL const float *u, GLOBAL const float *u_ahead, long next, int in_blocks,
                                   GLOBAL float *sums)
{
    if (tiles == GROUP)
        multiply(GROUP, blocks, more, patches, ahead, strip, u, u_ahead, next, in_blocks, sums);
    else if (tiles == GROUP - 1)
        multiply(GROUP - 1, blocks, more, patches, ahead, strip, u, u_ahead, next, in_blocks, sums);
    else
        multiply(GROUP - 2, blocks, more, patches, ahead, strip, u, u_ahead, next, in_blocks, sums);
}

static LX_APART void multiply_one(int tiles, int more, GLOBAL const float *patches, GLOBAL const float *ahead, long strip,
                                  GLOBAL const float *u, GLOBAL const float *u_ahead, int in_blocks, GLOBAL float *sums)
{
    multiply_group(tiles, 1, more, patches, ahead, strip, u, u_ahead, 0, in_blocks, sums);
}

static LX_APART void multiply_two(int tiles, int more, GLOBAL const float *patches, GLOBAL const float *ahead, long strip,
                                  GLOBAL const float *u, GLOBAL const float *u_ahead, long next, int in_blocks, GLOBAL float *sums)
{
    multiply_group(tiles, 2, more, patches, ahead, strip, u, u_ahead, next, in_blocks, sums);
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

/* Adds `in_blocks` input blocks to all products of a strip and one or two output blocks, whose weights are [36][block][in
 * block][LANES][LANES], `next` from one block to the next and `product` from one product to the next. Groups of tiles are of
 * about the same size, so that the last one leaves no registers without use. */
static LX_ITEM void multiply_all(int blocks, int more, int count, GLOBAL const float *patches, GLOBAL const float *u,
                                 long next, long product, int in_blocks, GLOBAL float *sums, const winograd_strips s)
{
    const long of_patches = WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES), of_sums = WINOGRAD_STRIDE(s.strip * 2, LANES);
    const int groups = CEIL_DIV(count, GROUP);
    for (int i = 0; i < PRODUCTS; i++)
        for (int group = 0, t = 0; group < groups; group++) {
            const int tiles = CEIL_DIV(count - t, groups - group), last = group + 1 == groups, end = i + 1 == PRODUCTS;
            GLOBAL const float *x = patches + i * of_patches + t * LANES;
            GLOBAL const float *ahead = last ? patches + (end ? i : i + 1) * of_patches : x + tiles * LANES;
            GLOBAL const float *w = u + i * product, *w_ahead = last && !end ? w + product : w;
            GLOBAL float *to = sums + i * of_sums + t * blocks * LANES;
            if (blocks == 2)
                multiply_two(tiles, more, x, ahead, s.strip, w, w_ahead, next, in_blocks, to);
            else
                multiply_one(tiles, more, x, ahead, s.strip, w, w_ahead, in_blocks, to);
            t += tiles;
        }
}

/* The pixels of one or two output blocks from `block` on, of a strip whose sums are ready. */
static LX_ITEM void store_blocks(int pooling, int blocks, long block, long first, int count, const winograd_worker w,
                                 const winograd_args p)
{
    const winograd_strips s = p.s;
    const long of_sums = WINOGRAD_STRIDE(s.strip * 2, LANES);
    const long plane = LANES * (pooling ? (long)(s.out_height / 2) * (s.out_width / 2) : (long)s.out_height * s.out_width);
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

/* The sums and pixels of one or two output blocks from `block` on, for a strip whose patches are ready. */
static LX_ITEM void compute_blocks(int pooling, int blocks, long block, long first, int count, const winograd_worker w,
                                   const winograd_args p)
{
    const long next = (long)p.s.in_blocks * LANES * LANES;
    const long product = WINOGRAD_STRIDE((long)p.s.out_blocks * p.s.in_blocks * LANES, LANES);
    multiply_all(blocks, 0, count, w.patches, w.u + block * next, next, product, p.s.in_blocks, w.sums, p.s);
    store_blocks(pooling, blocks, block, first, count, w, p);
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

/* ---- many channels ---------------------------------------------------------------------------------------------
 *
 * With many channels and few tiles the weights are what there is most of. Then all patches are transformed first, which
 * the last cache holds, and a worker takes a strip of them for two output blocks at a time: it transforms the weights of a
 * few input blocks, which stay in the cache of its core, adds their products, and goes on to the next few. */

/* id0: in block, id1: strip */
KERNEL2(winograd_patches, winograd_strips, GLOBAL const float *, x, GLOBAL float *, patches)
{
    GLOBAL float *own = patches + id1 * p.scratch, *square = own + p.scratch - (id0 + 1) * WINOGRAD_SQUARE * LANES;
    transform_block(0, x, 0, id0, id1 * p.strip, tiles_of_strip(id1, p), own, square, p);
}

/* Transforms the weights of `chunk` input blocks from `from` on for the output blocks from `block` on. Those of the next
 * input block are asked for meanwhile: 9 lines far apart are more than a processor foresees. */
static LX_ITEM void transform_chunk(int blocks, int chunk, GLOBAL const float *packed, long block, long from, GLOBAL float *u,
                                    long product, const winograd_strips s)
{
    for (int b = 0; b < blocks; b++)
        for (int in = 0; in < chunk; in++) {
            GLOBAL const float *taps = packed + ((block + b) * s.in_blocks + from + in) * 9 * LANES * LANES;
            GLOBAL const float *ahead = from + in + 1 < s.in_blocks ? taps + 9 * LANES * LANES : taps;
            for (int c = 0; c < LANES; c++) {
                UNROLL
                for (int k = 0; k < 9; k++)
                    PREFETCH(ahead + (k * LANES + c) * LANES);
                transform_taps(taps + c * LANES, u + ((b * chunk + in) * LANES + c) * LANES, product);
            }
        }
}

/* Weights are as conv2d_pack leaves them. Scratch memory holds sums, as of winograd_tile, and the weights of a chunk, [36]
 * [block][in block of it][LANES][LANES]. id0: worker */
KERNEL5(winograd_products, winograd_chunk_args, GLOBAL const float *, patches, GLOBAL const float *, packed,
        GLOBAL const float *, bias, GLOBAL float *, scratch, GLOBAL float *, y)
{
    const winograd_strips s = p.all.s;
    const long pairs = CEIL_DIV(s.out_blocks, 2), items = pairs * s.strips;
    winograd_worker w;
    w.bias = bias;
    w.sums = scratch + id0 * p.scratch;
    w.y = y;
    GLOBAL float *u = w.sums + PRODUCTS * WINOGRAD_STRIDE(s.strip * 2, LANES);
    for (long item = id0 * items / s.workers; item < (id0 + 1) * items / s.workers; item++) {
        const long strip = item / pairs, block = item % pairs * 2;
        const int count = tiles_of_strip(strip, s), blocks = block + 1 < s.out_blocks ? 2 : 1;
        for (int from = 0; from < s.in_blocks; from += p.chunk) {
            const int chunk = s.in_blocks - from < p.chunk ? s.in_blocks - from : p.chunk;
            const long next = (long)chunk * LANES * LANES, product = WINOGRAD_STRIDE((long)blocks * chunk * LANES, LANES);
            transform_chunk(blocks, chunk, packed, block, from, u, product, s);
            multiply_all(blocks, from > 0, count, patches + strip * s.scratch + (long)from * s.strip * LANES, u, next,
                         product, chunk, w.sums, s);
        }
        store_blocks(0, blocks, block, strip * s.strip, count, w, p.all);
    }
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

/* The gradients of a strip's tiles that are of out block `b`, to [36][out block][strip][LANES]. */
static LX_ITEM void transform_tiles_of(int pooled, GLOBAL const float *dy, GLOBAL const uchar *codes, long b, long first,
                                       int count, GLOBAL float *gradients, GLOBAL float *square, const winograd_strips s)
{
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

static LX_ITEM void transform_tiles(int pooled, GLOBAL const float *dy, GLOBAL const uchar *codes, long first, int count,
                                    GLOBAL float *gradients, GLOBAL float *square, const winograd_strips s)
{
    for (long b = 0; b < s.out_blocks; b++)
        transform_tiles_of(pooled, dy, codes, b, first, count, gradients, square, s);
}

#define CHANNELS (LANES == 16 ? 8 : 4) /* input channels whose sums of two blocks fill the registers */

/* The products of a strip's tiles in CHANNELS rows of sums of `blocks` (a constant) output blocks, `next` and, in the
 * gradients, `next_gradients` apart; added if there is `more` in the sums. */
static LX_ITEM void multiply_tiles(int blocks, int more, GLOBAL const float *patches, GLOBAL const float *gradients,
                                   long next_gradients, int count, GLOBAL float *sums, long next)
{
    lanes sum0[CHANNELS], sum1[CHANNELS];
    UNROLL
    for (int c = 0; c < CHANNELS; c++) {
        PREFETCH(sums + (CHANNELS + c) * LANES); /* those that come next */
        if (blocks == 2)
            PREFETCH(sums + next + (CHANNELS + c) * LANES);
        sum0[c] = more ? load_lanes(sums + c * LANES) : splat(0.0f);
        sum1[c] = more && blocks == 2 ? load_lanes(sums + next + c * LANES) : splat(0.0f);
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

static LX_APART void multiply_tiles_one(int more, GLOBAL const float *patches, GLOBAL const float *gradients, int count,
                                        GLOBAL float *sums)
{
    multiply_tiles(1, more, patches, gradients, 0, count, sums, 0);
}

static LX_APART void multiply_tiles_two(int more, GLOBAL const float *patches, GLOBAL const float *gradients,
                                        long next_gradients, int count, GLOBAL float *sums, long next)
{
    multiply_tiles(2, more, patches, gradients, next_gradients, count, sums, next);
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
                multiply_tiles_two(1, x, e, of_block, count, to, next);
            else
                multiply_tiles_one(1, x, e, count, to);
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

/* What `workers` sums of a channel, `apart` from each other and added in order, give for its 9 taps of [LANES of in][LANES
 * of out]. */
static LX_ITEM void transform_sums_of_products(GLOBAL const float *from, long product, long workers, long apart,
                                               GLOBAL float *to)
{
    lanes rows[3 * LINE]; /* [column of the result][row] */
    for (int i = 0; i < LINE; i++) {
        lanes u[LINE], row[3];
        UNROLL
        for (int j = 0; j < LINE; j++) {
            u[j] = load_lanes(from + (i * LINE + j) * product);
            for (long worker = 1; worker < workers; worker++)
                u[j] += load_lanes(from + worker * apart + (i * LINE + j) * product);
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

/* The workers' sums to [out block][in block][9 taps][LANES of in][LANES of out]. id0: in channel, id1: out block */
KERNEL2(winograd_gradient_end, winograd_strips, GLOBAL const float *, sums, GLOBAL float *, taps)
{
    const long product = (long)p.out_blocks * p.in_blocks * LANES * LANES;
    const long block = id1 * p.in_blocks + id0 / LANES, channel = id0 % LANES;
    transform_sums_of_products(sums + (block * LANES + channel) * LANES, product, p.workers, PRODUCTS * product,
                               taps + (block * 9 * LANES + channel) * LANES);
}

/* ---- the same with many channels: the sums of a block by two blocks are few enough to stay in the cache of a core ---- */

static LX_ITEM void transform_strip(int pooled, long id0, long id1, GLOBAL const float *dy, GLOBAL const uchar *codes,
                                    GLOBAL float *gradients, const winograd_strips s)
{
    GLOBAL float *own = gradients + id1 * s.scratch, *square = own + s.scratch - (id0 + 1) * WINOGRAD_SQUARE * LANES;
    transform_tiles_of(pooled, dy, codes, id0, id1 * s.strip, tiles_of_strip(id1, s), own, square, s);
}

/* id0: out block, id1: strip */
KERNEL2(winograd_tiles, winograd_strips, GLOBAL const float *, dy, GLOBAL float *, gradients)
{
    transform_strip(0, id0, id1, dy, 0, gradients, p);
}

KERNEL3(winograd_tiles_unpool, winograd_strips, GLOBAL const float *, dy, GLOBAL const uchar *, codes,
        GLOBAL float *, gradients)
{
    transform_strip(1, id0, id1, dy, codes, gradients, p);
}

/* One of the 36 products, of in block `in` and the output blocks from `out` on, over all strips: to [block][LANES][LANES]. */
static LX_ITEM void sum_strips(int blocks, GLOBAL const float *patches, GLOBAL const float *gradients, GLOBAL float *sums,
                               const winograd_gradient_args p)
{
    const long of_block = (long)p.s.strip * LANES, next = LANES * LANES;
    for (int c = 0; c < LANES; c += CHANNELS)
        for (long strip = 0; strip < p.s.strips; strip++) {
            GLOBAL const float *x = patches + strip * p.of_patches + c, *e = gradients + strip * p.of_gradients;
            const int count = tiles_of_strip(strip, p.s);
            if (blocks == 2)
                multiply_tiles_two(strip > 0, x, e, of_block, count, sums + c * LANES, next);
            else
                multiply_tiles_one(strip > 0, x, e, count, sums + c * LANES);
        }
}

/* Taps are as of winograd_gradient_end. id0: worker */
KERNEL4(winograd_gradient_products, winograd_gradient_args, GLOBAL const float *, patches, GLOBAL const float *, gradients,
        GLOBAL float *, scratch, GLOBAL float *, taps)
{
    const winograd_strips s = p.s;
    const long pairs = CEIL_DIV(s.out_blocks, 2), items = pairs * s.in_blocks;
    const long of_patches = WINOGRAD_STRIDE(s.in_blocks * s.strip, LANES);
    const long of_gradients = WINOGRAD_STRIDE(s.out_blocks * s.strip, LANES);
    const long of_sums = WINOGRAD_STRIDE(2 * LANES, LANES);
    GLOBAL float *sums = scratch + id0 * PRODUCTS * of_sums;
    for (long item = id0 * items / s.workers; item < (id0 + 1) * items / s.workers; item++) {
        const long out = item / s.in_blocks * 2, in = item % s.in_blocks;
        const int blocks = out + 1 < s.out_blocks ? 2 : 1;
        for (int i = 0; i < PRODUCTS; i++)
            sum_strips(blocks, patches + i * of_patches + in * s.strip * LANES,
                       gradients + i * of_gradients + out * s.strip * LANES, sums + i * of_sums, p);
        for (int row = 0; row < blocks * LANES; row++)
            transform_sums_of_products(sums + row * LANES, of_sums, 1, 0,
                                       taps + (((out + row / LANES) * s.in_blocks + in) * 9 * LANES + row % LANES) * LANES);
    }
}
