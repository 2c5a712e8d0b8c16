/* Convolution and its gradients for GPUs, as matrix products whose operands are gathered on the way (implicit GEMM).
 *
 * Tensors are in the blocked layout with blocks of four channels, [N, C/4, H, W, 4], so that neighbouring work-items
 * read neighbouring float4. A work-group computes a tile of TILE_M by TILE_N sums, from copies in local memory of
 * what a step of TILE_K needs, and a work-item ITEM_M by ITEM_N of them in registers. While a step is computed the
 * next one is on its way to the other of two copies. With THIN the input is plain, because it has fewer channels
 * than a block.
 *
 * Inside the loops all is counted in 32 bits and nothing is divided, which would take as long as the arithmetic. */
#include "simt/simt.h"
#include "conv2d.h"
#include "simt/convolution.h"
#include "activation.h"

#ifndef TILE_M
#define TILE_M 64
#define TILE_N 64
#define TILE_K 16
#define ITEM_M 4
#define ITEM_N 4
#endif

#define ITEMS_M (TILE_M / ITEM_M)
#define ITEMS_N (TILE_N / ITEM_N)
#define ITEMS (ITEMS_M * ITEMS_N)
#define BLOCKS_M (ITEM_M / 4)    /* float4 of a work-item, along M and N */
#define BLOCKS_N (ITEM_N / 4)
#define PITCH_M (TILE_M / 4 + 1) /* of a line of a copy, in float4: odd, so that writing across meets all banks */
#define PITCH_N (TILE_N / 4 + 1)

#ifdef THIN
typedef float cell; /* what is read of the input at once */
#define CHANNELS 1
#else
typedef float4 cell;
#define CHANNELS 4
#endif

/* The place of a work-item in its tile. 32 neighbours are 8 by 4, which together read little of the copies. */
static LX_ITEM int place_m(void)
{
    const int id = (int)get_local_id(0);
    return id / (4 * ITEMS_N) * 4 + id / 8 % 4;
}

static LX_ITEM int place_n(void)
{
    const int id = (int)get_local_id(0);
    return id / 32 % (ITEMS_N / 8) * 8 + id % 8;
}

/* How much of a step is unrolled. NVIDIA's compiler reads ahead what its registers hold; others as much as they can,
 * whose registers then overflow. */
#ifdef __NV_CL_C_VERSION
#define UNROLL_DEPTH UNROLL
#elif ITEM_M * ITEM_N >= 64
#define UNROLL_DEPTH _Pragma("unroll 2")
#else
#define UNROLL_DEPTH _Pragma("unroll 4")
#endif

/* Adds the product of two copies, [TILE_K][TILE_M] and [TILE_K][TILE_N]: of every ITEMS_M-th block of four rows, and
 * every ITEMS_N-th of four columns. Sums are float4 along M. */
static LX_ITEM void multiply(float4 *sum, LOCAL const float4 *a, LOCAL const float4 *b, int pitch_n)
{
    UNROLL_DEPTH
    for (int k = 0; k < TILE_K; k++) {
        float4 left[BLOCKS_M];
        UNROLL
        for (int i = 0; i < BLOCKS_M; i++)
            left[i] = a[k * PITCH_M + i * ITEMS_M];
        UNROLL
        for (int j = 0; j < BLOCKS_N; j++) {
            const float4 right = b[k * pitch_n + j * ITEMS_N];
            UNROLL
            for (int i = 0; i < BLOCKS_M; i++) {
                float4 *to = sum + i * ITEM_N + j * 4;
                to[0] += left[i] * right.x;
                to[1] += left[i] * right.y;
                to[2] += left[i] * right.z;
                to[3] += left[i] * right.w;
            }
        }
    }
}

/* The bias of a block of channels; none past the last channel. */
static LX_ITEM float4 bias_of(GLOBAL const float *bias, int block, int channels)
{
    float values[4];
    UNROLL
    for (int c = 0; c < 4; c++)
        values[c] = block * 4 + c < channels ? bias[block * 4 + c] : 0.0f;
    return vload4(0, values);
}

/* ---- forward and backward-data -------------------------------------------------------------------------------- */

#ifndef KERNEL_H
#define KERNEL_H p.g.kernel_h /* a number where loops over taps are worth unrolling */
#define KERNEL_W p.g.kernel_w
#endif

/* Where backward-data has a stride, output pixels `up` apart meet the same taps, a phase. Each `step`-th tap from
 * `first` on meets a pixel of the input there; the others fall between these. In one dimension: */
typedef struct {
    int phase, up, size;   /* of the output: pixels phase, phase + up, ... */
    int taps, first, step; /* that are met */
    int start, spacing;    /* where the first of them meets the input for pixel 0, and from one to the next */
} axis;

static LX_ITEM axis axis_of(int phase, int up, int out, int kernel_size, int padding, int dilation)
{
#ifdef PHASES
    axis a = {phase, up, (out - phase + up - 1) / up, 0, 0, 1, 0, 0};
    while (a.step < kernel_size && a.step * dilation % up != 0)
        a.step++;
    while (a.first < a.step && (phase - padding + a.first * dilation) % up != 0)
        a.first++;
    if (a.first < a.step)
        a.taps = (kernel_size - 1 - a.first) / a.step + 1;
    a.start = (phase - padding + a.first * dilation) / up;
    a.spacing = a.step * dilation / up;
#else
    const axis a = {0, 1, out, kernel_size, 0, 1, -padding, dilation};
#endif
    return a;
}

typedef struct {
    axis down, across;
} phase;

/* Phase `index` of those that have pixels. */
static LX_ITEM phase phase_of(int index, const conv2d_gemm_args p)
{
    const int wide = min(p.up_w, p.g.out_width);
    const phase f = {axis_of(index / wide, p.up_h, p.g.out_height, KERNEL_H, p.g.padding_h, p.g.dilation_h),
                     axis_of(index % wide, p.up_w, p.g.out_width, KERNEL_W, p.g.padding_w, p.g.dilation_w)};
    return f;
}

/* n / d, if n d < 2^32 and the second is reciprocal_of(d). */
static LX_ITEM uint reciprocal_of(int d)
{
    return d > 1 ? 0xffffffffu / (uint)d + 1u : 0u;
}

static LX_ITEM int quotient(int n, uint reciprocal)
{
    return reciprocal ? (int)mul_hi((uint)n, reciprocal) : n;
}

/* The depth is made of units, cells of the input at a tap. */
typedef struct {
    int units, taps, row_taps;
    uint by_taps, by_row; /* reciprocals of taps and row_taps */
} depth;

typedef struct {
    int block, row, column; /* which cell, and which of the taps that are met */
} unit;

static LX_ITEM unit unit_at(int index, const depth d)
{
    unit u;
    u.block = quotient(index, d.by_taps);
    const int tap = index - u.block * d.taps;
    u.row = quotient(tap, d.by_row);
    u.column = tap - u.row * d.row_taps;
    return u;
}

/* An output pixel, as the input sees it: the cell at the first tap, and that cell's number in the first block. */
typedef struct {
    int row, column, cell;
} source;

static LX_ITEM cell load_cell(GLOBAL const cell *x, const source from, int index, const depth d, const phase f,
                              const conv2d_gemm_args p)
{
    const unit u = unit_at(index, d);
    const int down = u.row * f.down.spacing, across = u.column * f.across.spacing;
    const int inside = (index < d.units) & ((uint)(from.row + down) < (uint)p.g.height) &
                       ((uint)(from.column + across) < (uint)p.g.width); /* && would branch */
    return inside ? x[from.cell + u.block * p.x_block + down * p.x_row + across] : (cell)(0.0f);
}

/* Four numbers of the depth. */
static LX_ITEM float4 load_quad(GLOBAL const cell *x, const source from, int quad, const depth d, const phase f,
                                const conv2d_gemm_args p)
{
#ifdef THIN
    return (float4)(load_cell(x, from, quad * 4, d, f, p), load_cell(x, from, quad * 4 + 1, d, f, p),
                    load_cell(x, from, quad * 4 + 2, d, f, p), load_cell(x, from, quad * 4 + 3, d, f, p));
#else
    return load_cell(x, from, quad, d, f, p);
#endif
}

/* Pixels of a tile are spread over the columns of its copy such that the four of a work-item's block are 8 apart:
 * then neighbours write neighbouring pixels of the output. */
static LX_ITEM int column_of(int pixel)
{
    return pixel / 32 * 32 + pixel % 8 * 4 + pixel / 8 % 4;
}

static LX_ITEM int pixel_of(int block, int lane)
{
    return block / 8 * 32 + lane * 8 + block % 8;
}

#define QUADS (TILE_K / 4)
#define WEIGHT_LOADS (TILE_M / 4 * TILE_K / ITEMS) /* of a work-item and a step, in float4 */
#define PIXEL_LOADS (TILE_N * QUADS / ITEMS)

/* What a work-item loads of each step: one number of the depth of the weights, for some blocks; some quads of one
 * pixel. */
typedef struct {
    int weights[WEIGHT_LOADS]; /* where each block of output channels begins */
    source pixel;
} loads;

static LX_ITEM void fetch(float4 *a, float4 *b, GLOBAL const cell *x, GLOBAL const float4 *w, const loads *own, int k,
                          const depth d, const phase f, const conv2d_gemm_args p)
{
    const int id = (int)get_local_id(0), index = (k + id % TILE_K) / CHANNELS;
    const unit u = unit_at(index, d);
    const int tap = (f.down.first + u.row * f.down.step) * p.g.kernel_w + f.across.first + u.column * f.across.step;
    const int at = (u.block * p.g.kernel_h * p.g.kernel_w + tap) * CHANNELS;
    UNROLL
    for (int i = 0; i < WEIGHT_LOADS; i++)
        a[i] = index < d.units ? w[own->weights[i] + at] : (float4)(0.0f);
    UNROLL
    for (int i = 0; i < PIXEL_LOADS; i++)
        b[i] = load_quad(x, own->pixel, k / 4 + id / TILE_N + i * (ITEMS / TILE_N), d, f, p);
}

/* Writes what was fetched to the copies. */
static LX_ITEM void put(LOCAL float4 *a_copy, LOCAL float4 *b_copy, const float4 *a, const float4 *b)
{
    const int id = (int)get_local_id(0);
    UNROLL
    for (int i = 0; i < WEIGHT_LOADS; i++)
        a_copy[id % TILE_K * PITCH_M + id / TILE_K + i * (ITEMS / TILE_K)] = a[i];
    UNROLL
    for (int i = 0; i < PIXEL_LOADS; i++) {
        const int quad = id / TILE_N + i * (ITEMS / TILE_N);
        LOCAL float *to = (LOCAL float *)b_copy + quad * 4 * TILE_N + column_of(id % TILE_N);
        to[0] = b[i].x;
        to[TILE_N] = b[i].y;
        to[2 * TILE_N] = b[i].z;
        to[3 * TILE_N] = b[i].w;
    }
}

/* Groups: 0: tile of output channels, tile of pixels, phase; 1: part; 2: group of channels. Tiles of the same pixels
 * follow each other while these are in the cache. Weights are as conv2d_pack leaves them: [group][out block][in
 * block][tap] [CHANNELS][4 of out]. */
#ifdef LX_WANT_conv2d_gemm
__kernel GROUP_OF(ITEMS) void conv2d_gemm(BUFFER(const cell, x), BUFFER(const float4, w), BUFFER(const float, bias),
                                          BUFFER(float4, y), const conv2d_gemm_args p)
{
    POINTER(const cell, x);
    POINTER(const float4, w);
    POINTER(const float, bias);
    POINTER(float4, y);
    LOCAL float4 a_copy[2][TILE_K * PITCH_M], b_copy[2][TILE_K * TILE_N / 4];
    LOCAL int targets[TILE_N]; /* where the tile's pixels are in a block of the output; -1 past the last one */
    const int id = (int)get_local_id(0), part = (int)get_group_id(1), group = (int)get_group_id(2);
    const int down = (p.out_blocks * 4 + TILE_M - 1) / TILE_M, tile = (int)get_group_id(0) / down;
    const int first_block = (int)get_group_id(0) % down * (TILE_M / 4), first_in = part * p.part_blocks;
    const int out_plane = p.g.out_height * p.g.out_width;
    const phase f = phase_of(tile / p.tiles, p);
    const int taps = f.down.taps * f.across.taps;
    const depth d = {min(p.part_blocks, p.in_blocks - first_in) * taps, taps, f.across.taps, reciprocal_of(taps),
                     reciprocal_of(f.across.taps)};

    loads own = {.pixel = {-(1 << 30), 0, 0}}; /* outside the input */
    UNROLL
    for (int i = 0; i < WEIGHT_LOADS; i++) {
        const int block = min(first_block + id / TILE_K + i * (ITEMS / TILE_K), p.out_blocks - 1);
        const int start = ((group * p.out_blocks + block) * p.in_blocks + first_in) * p.g.kernel_h * p.g.kernel_w;
        own.weights[i] = start * CHANNELS + id % CHANNELS;
    }
    const int pixel = tile % p.tiles * TILE_N + id % TILE_N, plane = f.down.size * f.across.size;
    int target = -1;
    if (pixel < p.batch * plane) {
        const int image = pixel / plane, row = pixel % plane / f.across.size, column = pixel % plane % f.across.size;
        own.pixel.row = row * p.g.stride_h + f.down.start;
        own.pixel.column = column * p.g.stride_w + f.across.start;
        own.pixel.cell = image * p.x_image + (group * p.in_blocks + first_in) * p.x_block + own.pixel.row * p.x_row +
                         own.pixel.column;
        target = image * p.groups * p.out_blocks * out_plane + (row * f.down.up + f.down.phase) * p.g.out_width +
                 column * f.across.up + f.across.phase;
    }
    if (id < TILE_N)
        targets[id] = target;

    float4 a_next[WEIGHT_LOADS], b_next[PIXEL_LOADS], sum[BLOCKS_M * ITEM_N];
    UNROLL
    for (int i = 0; i < BLOCKS_M * ITEM_N; i++)
        sum[i] = (float4)(0.0f);
    fetch(a_next, b_next, x, w, &own, 0, d, f, p);
    put(a_copy[0], b_copy[0], a_next, b_next);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = TILE_K, copy = 0; k - TILE_K < d.units * CHANNELS; k += TILE_K, copy = !copy) {
        const int more = k < d.units * CHANNELS;
        if (more)
            fetch(a_next, b_next, x, w, &own, k, d, f, p);
        multiply(sum, a_copy[copy] + place_m(), b_copy[copy] + place_n(), TILE_N / 4);
        if (more)
            put(a_copy[!copy], b_copy[!copy], a_next, b_next);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    GLOBAL float4 *out = y + (long)part * p.batch * p.groups * p.out_blocks * out_plane;
    UNROLL
    for (int i = 0; i < BLOCKS_M; i++) {
        const int block = first_block + place_m() + i * ITEMS_M, in_all = group * p.out_blocks + block;
        const float4 added = p.bias ? bias_of(bias, in_all, p.out_channels) : (float4)(0.0f);
        UNROLL
        for (int j = 0; j < ITEM_N; j++) {
            const int to = targets[pixel_of(place_n() + j / 4 * ITEMS_N, j % 4)];
            const float4 value = sum[i * ITEM_N + j] + added;
            if (to >= 0 && block < p.out_blocks)
                out[to + in_all * out_plane] = activate_lanes(value, p.activation);
        }
    }
}
#endif

#ifdef LX_WANT_conv2d_add_parts
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_add_parts(BUFFER(const float, parts), BUFFER(const float, bias),
                                                          BUFFER(float, y), const conv2d_parts_args p)
{
    POINTER(const float, parts);
    POINTER(const float, bias);
    POINTER(float, y);
    const int at = (int)get_global_id(0);
    if (at >= p.sums)
        return;
    float4 sum = ((GLOBAL const float4 *)parts)[at];
    READ_AHEAD
    for (int i = 1; i < p.parts; i++)
        sum += ((GLOBAL const float4 *)parts)[i * p.sums + at];
    if (p.bias)
        sum += bias_of(bias, at / (int)p.pixels % p.blocks, p.out_channels);
    ((GLOBAL float4 *)y)[at] = activate_lanes(sum, p.activation);
}
#endif

/* ---- backward-weight ------------------------------------------------------------------------------------------ */

/* An output pixel of the batch that moves on by the same number of pixels each time. */
typedef struct {
    int image, row, column;
} spot;

static LX_ITEM spot spot_at(int pixel, const conv2d_geometry g)
{
    const int plane = g.out_height * g.out_width, inner = pixel % plane;
    const spot at = {pixel / plane, inner / g.out_width, inner % g.out_width};
    return at;
}

static LX_ITEM spot moved(spot at, const spot by, const conv2d_geometry g)
{
    at.column += by.column;
    const int row_ends = at.column >= g.out_width;
    at.column -= row_ends ? g.out_width : 0;
    at.row += by.row + row_ends;
    const int image_ends = at.row >= g.out_height;
    at.row -= image_ends ? g.out_height : 0;
    at.image += by.image + image_ends;
    return at;
}

/* A cell of the input as the weight meets it: its offset from output pixels' positions in rows, columns and in
 * memory. */
typedef struct {
    int row, column, cell;
} shift;

static LX_ITEM shift shift_of(int index, int first_block, const conv2d_sums_args p)
{
    const int taps = p.g.kernel_h * p.g.kernel_w, tap = index % taps;
    shift s = {-(1 << 30), 0, 0}; /* outside the input */
    if (index < p.in_blocks * taps) {
        s.row = tap / p.g.kernel_w * p.g.dilation_h - p.g.padding_h;
        s.column = tap % p.g.kernel_w * p.g.dilation_w - p.g.padding_w;
        s.cell = (first_block + index / taps) * p.x_block + s.row * p.x_row + s.column;
    }
    return s;
}

static LX_ITEM cell load_shifted(GLOBAL const cell *x, const spot at, const shift s, int exists,
                                 const conv2d_sums_args p)
{
    const int row = at.row * p.g.stride_h, column = at.column * p.g.stride_w;
    const int inside = exists & ((uint)(row + s.row) < (uint)p.g.height) &
                       ((uint)(column + s.column) < (uint)p.g.width);
    return inside ? x[at.image * p.x_image + row * p.x_row + column + s.cell] : (cell)(0.0f);
}

#define GRADIENT_LOADS (TILE_M / 4 * TILE_K / ITEMS) /* of a work-item and a step, in float4 */
#define INPUT_LOADS (TILE_N / 4 * TILE_K / ITEMS)
#define CELLS (4 / CHANNELS) /* of four columns */

/* What a work-item loads of each step, all for one pixel: blocks of the gradient, and cells of the input. */
typedef struct {
    int gradients[GRADIENT_LOADS]; /* where each block of output channels begins */
    shift inputs[INPUT_LOADS * CELLS];
} pixel_loads;

static LX_ITEM void fetch_pixel(float4 *a, float4 *b, GLOBAL const cell *x, GLOBAL const float4 *dy,
                                const pixel_loads *own, int pixel, int end, const spot at, const conv2d_sums_args p)
{
    const int plane = p.g.out_height * p.g.out_width;
    const int from = at.image * (p.groups * p.out_blocks - 1) * plane + pixel, exists = pixel < end;
    UNROLL
    for (int i = 0; i < GRADIENT_LOADS; i++)
        a[i] = exists ? dy[own->gradients[i] + from] : (float4)(0.0f);
    UNROLL
    for (int i = 0; i < INPUT_LOADS; i++) {
        const shift *s = own->inputs + i * CELLS;
#ifdef THIN
        b[i] = (float4)(load_shifted(x, at, s[0], exists, p), load_shifted(x, at, s[1], exists, p),
                        load_shifted(x, at, s[2], exists, p), load_shifted(x, at, s[3], exists, p));
#else
        b[i] = load_shifted(x, at, s[0], exists, p);
#endif
    }
}

static LX_ITEM void put_pixel(LOCAL float4 *a_copy, LOCAL float4 *b_copy, const float4 *a, const float4 *b)
{
    const int k = (int)get_local_id(0) % TILE_K, line = (int)get_local_id(0) / TILE_K;
    UNROLL
    for (int i = 0; i < GRADIENT_LOADS; i++)
        a_copy[k * PITCH_M + line + i * (ITEMS / TILE_K)] = a[i];
    UNROLL
    for (int i = 0; i < INPUT_LOADS; i++)
        b_copy[k * PITCH_N + line + i * (ITEMS / TILE_K)] = b[i];
}

/* M are output channels; N are columns of the weight, [in block][tap][CHANNELS]; K are pixels. Groups: 0: tile of
 * output channels, tile of columns; 1: chunk; 2: group of channels. Sums are [chunk][group][out block][column][4 of
 * out]. */
#ifdef LX_WANT_conv2d_weight_gemm
__kernel GROUP_OF(ITEMS) void conv2d_weight_gemm(BUFFER(const cell, x), BUFFER(const float4, dy), BUFFER(float, sums),
                                                 const conv2d_sums_args p)
{
    POINTER(const cell, x);
    POINTER(const float4, dy);
    POINTER(float, sums);
    LOCAL float4 a_copy[2][TILE_K * PITCH_M], b_copy[2][TILE_K * PITCH_N];
    const int id = (int)get_local_id(0), chunk = (int)get_group_id(1), group = (int)get_group_id(2);
    const int down = (p.out_blocks * 4 + TILE_M - 1) / TILE_M;
    const int first_block = (int)get_group_id(0) % down * (TILE_M / 4);
    const int first_quad = (int)get_group_id(0) / down * (TILE_N / 4);
    const int quads = (p.in_blocks * p.g.kernel_h * p.g.kernel_w * CHANNELS + 3) / 4;
    const int first = chunk * (int)p.chunk_pixels, end = (int)min(first + p.chunk_pixels, p.pixels);
    pixel_loads own;
    UNROLL
    for (int i = 0; i < GRADIENT_LOADS; i++) {
        const int block = min(first_block + id / TILE_K + i * (ITEMS / TILE_K), p.out_blocks - 1);
        own.gradients[i] = (group * p.out_blocks + block) * p.g.out_height * p.g.out_width;
    }
    UNROLL
    for (int i = 0; i < INPUT_LOADS * CELLS; i++) {
        const int quad = first_quad + id / TILE_K + i / CELLS * (ITEMS / TILE_K);
        own.inputs[i] = shift_of(quad * CELLS + i % CELLS, group * p.in_blocks, p);
    }

    int pixel = first + id % TILE_K;
    spot at = spot_at(pixel, p.g);
    const spot by = spot_at(TILE_K, p.g);
    float4 a_next[GRADIENT_LOADS], b_next[INPUT_LOADS], sum[BLOCKS_M * ITEM_N];
    UNROLL
    for (int i = 0; i < BLOCKS_M * ITEM_N; i++)
        sum[i] = (float4)(0.0f);
    fetch_pixel(a_next, b_next, x, dy, &own, pixel, end, at, p);
    put_pixel(a_copy[0], b_copy[0], a_next, b_next);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = first + TILE_K, copy = 0; k - TILE_K < end; k += TILE_K, copy = !copy) {
        if (k < end) {
            pixel += TILE_K;
            at = moved(at, by, p.g);
            fetch_pixel(a_next, b_next, x, dy, &own, pixel, end, at, p);
        }
        multiply(sum, a_copy[copy] + place_m(), b_copy[copy] + place_n(), PITCH_N);
        if (k < end)
            put_pixel(a_copy[!copy], b_copy[!copy], a_next, b_next);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    GLOBAL float4 *out = (GLOBAL float4 *)(sums + chunk * p.chunk_size);
    UNROLL
    for (int i = 0; i < BLOCKS_M; i++) {
        const int block = first_block + place_m() + i * ITEMS_M;
        UNROLL
        for (int j = 0; j < ITEM_N; j++) {
            const int column = (first_quad + place_n() + j / 4 * ITEMS_N) * 4 + j % 4;
            if (block < p.out_blocks && column < quads * 4)
                out[(group * p.out_blocks + block) * quads * 4 + column] = sum[i * ITEM_N + j];
        }
    }
}
#endif

/* Groups: CONV2D_CHUNK_CELLS sums, each shared by the work-items of a group that have that many between them. */
#ifdef LX_WANT_conv2d_add_chunks
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_add_chunks(BUFFER(const float4, chunks), BUFFER(float4, sums),
                                                           const conv2d_parts_args p)
{
    POINTER(const float4, chunks);
    POINTER(float4, sums);
    LOCAL float4 share[CONV2D_SUM_ITEMS];
    const int id = (int)get_local_id(0), cell = (int)get_group_id(0) * CONV2D_CHUNK_CELLS + id % CONV2D_CHUNK_CELLS;
    float4 own = (float4)(0.0f);
    READ_AHEAD
    for (int i = id / CONV2D_CHUNK_CELLS; i < p.parts; i += CONV2D_SUM_ITEMS / CONV2D_CHUNK_CELLS)
        own += cell < p.sums ? chunks[i * p.sums + cell] : (float4)(0.0f);
    share[id] = own;
    for (int width = CONV2D_SUM_ITEMS / 2; width >= CONV2D_CHUNK_CELLS; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (id < width)
            share[id] += share[id + width];
    }
    if (id < CONV2D_CHUNK_CELLS && cell < p.sums)
        sums[cell] = share[id];
}
#endif

/* ---- one input channel for each output channel ----------------------------------------------------------------- */

/* Forward and backward-data: a work-item for each pixel of a block. Groups: tile of these, phase. Weights are
 * [block][tap][4]. */
#ifdef LX_WANT_conv2d_depthwise_pixels
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_depthwise_pixels(BUFFER(const float4, x), BUFFER(const float4, w),
                                                                 BUFFER(const float, bias), BUFFER(float4, y),
                                                                 const conv2d_gemm_args p)
{
    POINTER(const float4, x);
    POINTER(const float4, w);
    POINTER(const float, bias);
    POINTER(float4, y);
    const phase f = phase_of((int)get_group_id(0) / p.tiles, p);
    const int index = (int)get_group_id(0) % p.tiles * CONV2D_SUM_ITEMS + (int)get_local_id(0);
    const int plane = f.down.size * f.across.size;
    if (index >= p.batch * p.out_blocks * plane)
        return;
    const int in_all = index / plane, block = in_all % p.out_blocks;
    const int row = index % plane / f.across.size, column = index % plane % f.across.size;
    const int from_row = row * p.g.stride_h + f.down.start, from_column = column * p.g.stride_w + f.across.start;
    x += in_all * p.x_block + from_row * p.x_row + from_column;
    w += (block * KERNEL_H + f.down.first) * KERNEL_W + f.across.first;
    float4 sum = p.bias ? bias_of(bias, block, p.out_channels) : (float4)(0.0f);
    UNROLL
    for (int i = 0; i < f.down.taps; i++) {
        UNROLL
        for (int j = 0; j < f.across.taps; j++) {
            const int down = i * f.down.spacing, across = j * f.across.spacing;
            const int inside = ((uint)(from_row + down) < (uint)p.g.height) &
                               ((uint)(from_column + across) < (uint)p.g.width);
            if (inside)
                sum += x[down * p.x_row + across] * w[i * f.down.step * KERNEL_W + j * f.across.step];
        }
    }
    y += (in_all * p.g.out_height + row * f.down.up + f.down.phase) * p.g.out_width;
    y[column * f.across.up + f.across.phase] = activate_lanes(sum, p.activation);
}
#endif

/* The sum of what the work-items of a group have; the first one gets it. */
static LX_ITEM float4 group_sum(LOCAL float4 *share, float4 own)
{
    const int id = (int)get_local_id(0);
    share[id] = own;
    for (int width = CONV2D_SUM_ITEMS / 2; width > 0; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (id < width)
            share[id] += share[id + width];
    }
    const float4 total = share[id];
    barrier(CLK_LOCAL_MEM_FENCE);
    return total;
}

#ifndef TAPS
#define TAPS 9 /* whose sums a work-item has in registers */
#endif

/* The weight's gradient. Groups: 0: block, TAPS taps; 1: chunk. Sums are [chunk][block][tap][4]. */
#ifdef LX_WANT_conv2d_weight_depthwise_group
__kernel GROUP_OF(CONV2D_SUM_ITEMS)
    void conv2d_weight_depthwise_group(BUFFER(const float4, x), BUFFER(const float4, dy), BUFFER(float, sums),
                                       const conv2d_sums_args p)
{
    POINTER(const float4, x);
    POINTER(const float4, dy);
    POINTER(float, sums);
    LOCAL float4 share[CONV2D_SUM_ITEMS];
    const int block = (int)get_group_id(0) % p.out_blocks, first_tap = (int)get_group_id(0) / p.out_blocks * TAPS;
    const int taps = KERNEL_H * KERNEL_W, plane = p.g.out_height * p.g.out_width, chunk = (int)get_group_id(1);
    const int first = chunk * (int)p.chunk_pixels, end = (int)min(first + p.chunk_pixels, p.pixels);
    const spot by = spot_at(CONV2D_SUM_ITEMS, p.g);
    spot at = spot_at(first + (int)get_local_id(0), p.g);
    float4 own[TAPS];
    UNROLL
    for (int t = 0; t < TAPS; t++)
        own[t] = (float4)(0.0f);
    for (int i = first + (int)get_local_id(0); i < end; i += CONV2D_SUM_ITEMS) {
        const float4 gradient = dy[(at.image * (p.out_blocks - 1) + block) * plane + i];
        const int row = at.row * p.g.stride_h - p.g.padding_h, column = at.column * p.g.stride_w - p.g.padding_w;
        const int from = at.image * p.x_image + block * p.x_block + row * p.x_row + column;
        UNROLL
        for (int t = 0; t < TAPS; t++) {
            const int down = (first_tap + t) / KERNEL_W * p.g.dilation_h;
            const int across = (first_tap + t) % KERNEL_W * p.g.dilation_w;
            const int inside = ((uint)(row + down) < (uint)p.g.height) & ((uint)(column + across) < (uint)p.g.width);
            own[t] += gradient * (inside ? x[from + down * p.x_row + across] : (float4)(0.0f));
        }
        at = moved(at, by, p.g);
    }
    GLOBAL float4 *out = (GLOBAL float4 *)(sums + chunk * p.chunk_size) + block * taps + first_tap;
    UNROLL
    for (int t = 0; t < TAPS; t++) {
        const float4 total = group_sum(share, own[t]);
        if (get_local_id(0) == 0 && first_tap + t < taps)
            out[t] = total;
    }
}
#endif

/* The gradient of the bias. Groups: 0: block; 1: chunk. Sums are [chunk][block][4]. */
#ifdef LX_WANT_conv2d_bias_group
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_bias_group(BUFFER(const float4, dy), BUFFER(float, sums),
                                                           const conv2d_sums_args p)
{
    POINTER(const float4, dy);
    POINTER(float, sums);
    LOCAL float4 share[CONV2D_SUM_ITEMS];
    const int block = (int)get_group_id(0), chunk = (int)get_group_id(1), plane = p.g.out_height * p.g.out_width;
    const int first = chunk * (int)p.chunk_pixels, end = (int)min(first + p.chunk_pixels, p.pixels);
    const spot by = spot_at(CONV2D_SUM_ITEMS, p.g);
    spot at = spot_at(first + (int)get_local_id(0), p.g);
    float4 own = (float4)(0.0f);
    READ_AHEAD
    for (int i = first + (int)get_local_id(0); i < end; i += CONV2D_SUM_ITEMS) {
        own += dy[(at.image * (p.out_blocks - 1) + block) * plane + i];
        at = moved(at, by, p.g);
    }
    const float4 total = group_sum(share, own);
    if (get_local_id(0) == 0)
        ((GLOBAL float4 *)(sums + chunk * p.chunk_size))[block] = total;
}
#endif
