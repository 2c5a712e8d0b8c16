/* Convolution and its gradients for GPUs, as matrix products whose operands are gathered on the way (implicit GEMM).
 *
 * Tensors are in the blocked layout with blocks of four channels, [N, C/4, H, W, 4], so that neighbouring work-items read
 * neighbouring float4. A work-group computes a tile of TILE_M by TILE_N sums, from copies in local memory of what a step
 * of TILE_K needs, and a work-item ITEM_M by ITEM_N of them in registers. While a step is computed the next one is on its
 * way to the other of two copies. KERNEL_H and KERNEL_W are the weight's, so that the compiler divides by constants. */
#include "simt/simt.h"
#include "conv2d.h"
#include "simt/convolution.h"

#ifndef TILE_M
#define TILE_M 64
#define TILE_N 64
#define TILE_K 16
#define ITEM_M 4
#define ITEM_N 4
#define KERNEL_H 3
#define KERNEL_W 3
#endif

#define TAPS (KERNEL_H * KERNEL_W)
#define ITEMS_M (TILE_M / ITEM_M)
#define ITEMS_N (TILE_N / ITEM_N)
#define ITEMS (ITEMS_M * ITEMS_N)
#define BLOCKS_M (ITEM_M / 4) /* float4 of a work-item, along M and N */
#define BLOCKS_N (ITEM_N / 4)
#define PITCH_M (TILE_M + 4) /* so that what is written across the rows meets fewer banks twice */
#define PITCH_N (TILE_N + 4)

/* Adds the product of two copies, [TILE_K][TILE_M] and [TILE_K][TILE_N], to sums that are float4 along M. A work-item has
 * every ITEMS_M-th four rows and every ITEMS_N-th four columns. */
static inline void multiply(float4 *sum, LOCAL const float *a, LOCAL const float *b)
{
    UNROLL
    for (int k = 0; k < TILE_K; k++) {
        float4 left[BLOCKS_M];
        float right[ITEM_N];
        UNROLL
        for (int i = 0; i < BLOCKS_M; i++)
            left[i] = *(LOCAL const float4 *)(a + k * PITCH_M + i * 4 * ITEMS_M);
        UNROLL
        for (int j = 0; j < BLOCKS_N; j++)
            vstore4(*(LOCAL const float4 *)(b + k * PITCH_N + j * 4 * ITEMS_N), j, right);
        UNROLL
        for (int i = 0; i < BLOCKS_M; i++) {
            UNROLL
            for (int j = 0; j < ITEM_N; j++)
                sum[i * ITEM_N + j] += left[i] * right[j];
        }
    }
}

static inline float4 rectify(float4 value)
{
    return select(value, (float4)(0.0f), value < 0.0f); /* NaN stays */
}

/* The bias of a block of channels; none past the last channel. */
static inline float4 bias_of(GLOBAL const float *bias, int block, int channels)
{
    float values[4];
    UNROLL
    for (int c = 0; c < 4; c++)
        values[c] = block * 4 + c < channels ? bias[block * 4 + c] : 0.0f;
    return vload4(0, values);
}

/* ---- forward and backward-data -------------------------------------------------------------------------------- */

#define QUADS (TILE_K / 4)                        /* of a step: an input block and a tap each */
#define WEIGHT_LOADS (TILE_M / 4 * TILE_K / ITEMS) /* of a work-item and a step, in float4 */
#define PIXEL_LOADS (TILE_N * QUADS / ITEMS)

/* An output pixel of a phase, as the input sees it. */
typedef struct {
    int image, row, column; /* of the output; image is -1 past the last one */
} output_pixel;

static inline output_pixel find_pixel(int index, int phase_h, int phase_w, const conv2d_gemm_args p)
{
    const int high = (p.g.out_height - phase_h + p.up_h - 1) / p.up_h;
    const int wide = (p.g.out_width - phase_w + p.up_w - 1) / p.up_w;
    const int plane = high * wide;
    output_pixel at = {-1, 0, 0};
    if (plane > 0 && index < p.batch * plane) {
        const int inner = index % plane;
        at.image = index / plane;
        at.row = phase_h + inner / wide * p.up_h;
        at.column = phase_w + inner % wide * p.up_w;
    }
    return at;
}

/* Position v of the spread-out input as one of the input itself; -1 if there is none. */
static inline int unspread(int v, int up, int size)
{
    const int at = v / up;
    return v >= 0 && v - at * up == 0 && at < size ? at : -1;
}

#ifdef PHASES
/* The taps that a phase meets, for only those are walked; returns how many. */
static inline int list_taps(LOCAL int *list, int phase_h, int phase_w, const conv2d_gemm_args p)
{
    int count = 0;
    for (int tap = 0; tap < TAPS; tap++) {
        const int v = phase_h - p.g.padding_h + tap / KERNEL_W * p.g.dilation_h;
        const int u = phase_w - p.g.padding_w + tap % KERNEL_W * p.g.dilation_w;
        if (v % p.up_h == 0 && u % p.up_w == 0) {
            if (get_local_id(0) == 0)
                list[count] = tap;
            count++;
        }
    }
    return count;
}
#endif

/* Groups: 0: phase and tile of pixels; 1: tile of output channels; 2: group of channels and part. Weights are as
 * conv2d_pack leaves them: [group][out block][in block][tap][4 of in][4 of out]. */
#ifdef LX_WANT_conv2d_gemm
__kernel GROUP_OF(ITEMS) void conv2d_gemm(BUFFER(const float, x), BUFFER(const float, w), BUFFER(const float, bias),
                                          BUFFER(float, y), const conv2d_gemm_args p)
{
    POINTER(const float, x);
    POINTER(const float, w);
    POINTER(const float, bias);
    POINTER(float, y);
    LOCAL float a_copy[2][TILE_K * PITCH_M] __attribute__((aligned(16)));
    LOCAL float b_copy[2][TILE_K * PITCH_N] __attribute__((aligned(16)));
    const int id = (int)get_local_id(0);
    const int phase = (int)get_group_id(0) / p.tiles, tile = (int)get_group_id(0) % p.tiles;
    const int phase_h = phase / p.up_w, phase_w = phase % p.up_w;
    const int group = (int)get_group_id(2) / p.parts, part = (int)get_group_id(2) % p.parts;
    const int first_block = part * p.part_blocks, blocks = min(p.part_blocks, p.in_blocks - first_block);
#ifdef PHASES
    LOCAL int taps[TAPS];
    const int tap_count = list_taps(taps, phase_h, phase_w, p);
    barrier(CLK_LOCAL_MEM_FENCE);
#define TAP_OF(quad) taps[(quad) % tap_count]
#else
    const int tap_count = TAPS;
#define TAP_OF(quad) ((quad) % TAPS)
#endif
    const int quads = blocks * tap_count;
    /* what this work-item loads: the weights of one quad and channel, for some blocks; some quads of one pixel */
    const int weight_k = id % TILE_K, weight_block = (int)get_group_id(1) * (TILE_M / 4) + id / TILE_K;
    const int load_quad = id / TILE_N;
    const output_pixel at = find_pixel(tile * TILE_N + id % TILE_N, phase_h, phase_w, p);
    const int top = at.row * p.g.stride_h - p.g.padding_h, left = at.column * p.g.stride_w - p.g.padding_w;
    const long plane = (long)p.g.height * p.g.width;
    GLOBAL const float4 *image =
        (GLOBAL const float4 *)x + ((long)max(at.image, 0) * p.groups * p.in_blocks + group * p.in_blocks + first_block) * plane;
    GLOBAL const float4 *weights =
        (GLOBAL const float4 *)w + ((long)group * p.out_blocks * p.in_blocks + first_block) * TAPS * 4;
    float4 a_next[WEIGHT_LOADS], b_next[PIXEL_LOADS], sum[BLOCKS_M * ITEM_N];
    UNROLL
    for (int i = 0; i < BLOCKS_M * ITEM_N; i++)
        sum[i] = (float4)(0.0f);

    for (int step = 0, copy = 0; step * QUADS < quads + QUADS; step++, copy = !copy) {
        const int base = step * QUADS;
        if (base < quads) { /* fetch a step */
            const int quad = base + weight_k / 4;
            UNROLL
            for (int i = 0; i < WEIGHT_LOADS; i++) {
                const int block = weight_block + i * (ITEMS / TILE_K);
                const int inside = quad < quads && block < p.out_blocks;
                const long from = ((long)block * p.in_blocks + quad / tap_count) * TAPS * 4;
                a_next[i] = inside ? weights[from + TAP_OF(quad) * 4 + weight_k % 4] : (float4)(0.0f);
            }
            UNROLL
            for (int i = 0; i < PIXEL_LOADS; i++) {
                const int q = base + load_quad + i * (ITEMS / TILE_N);
                const int tap = q < quads ? TAP_OF(q) : 0;
                const int ih = unspread(top + tap / KERNEL_W * p.g.dilation_h, p.up_h, p.g.height);
                const int iw = unspread(left + tap % KERNEL_W * p.g.dilation_w, p.up_w, p.g.width);
                const int inside = at.image >= 0 && q < quads && ih >= 0 && iw >= 0;
                b_next[i] = inside ? image[q / tap_count * plane + (long)ih * p.g.width + iw] : (float4)(0.0f);
            }
        }
        if (step > 0) /* compute the one before */
            multiply(sum, a_copy[!copy] + id / ITEMS_N * 4, b_copy[!copy] + id % ITEMS_N * 4);
        if (base < quads) { /* and put what was fetched beside it */
            UNROLL
            for (int i = 0; i < WEIGHT_LOADS; i++)
                *(LOCAL float4 *)(a_copy[copy] + weight_k * PITCH_M + (id / TILE_K + i * (ITEMS / TILE_K)) * 4) = a_next[i];
            UNROLL
            for (int i = 0; i < PIXEL_LOADS; i++) {
                LOCAL float *to = b_copy[copy] + (load_quad + i * (ITEMS / TILE_N)) * 4 * PITCH_N + id % TILE_N;
                to[0] = b_next[i].x;
                to[PITCH_N] = b_next[i].y;
                to[2 * PITCH_N] = b_next[i].z;
                to[3 * PITCH_N] = b_next[i].w;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    const long out_plane = (long)p.g.out_height * p.g.out_width;
    GLOBAL float4 *out = (GLOBAL float4 *)y + (long)part * p.batch * p.groups * p.out_blocks * out_plane;
    const int out_block = (int)get_group_id(1) * (TILE_M / 4) + id / ITEMS_N; /* in the group; the first one */
    float4 added[BLOCKS_M];
    UNROLL
    for (int i = 0; i < BLOCKS_M; i++)
        added[i] = p.bias ? bias_of(bias, group * p.out_blocks + out_block + i * ITEMS_M, p.out_channels) : (float4)(0.0f);
    UNROLL
    for (int j = 0; j < ITEM_N; j++) {
        const int column = j / 4 * 4 * ITEMS_N + id % ITEMS_N * 4 + j % 4;
        const output_pixel to = find_pixel(tile * TILE_N + column, phase_h, phase_w, p);
        UNROLL
        for (int i = 0; i < BLOCKS_M; i++) {
            const int block = out_block + i * ITEMS_M;
            const float4 value = sum[i * ITEM_N + j] + added[i];
            if (to.image >= 0 && block < p.out_blocks)
                out[(((long)to.image * p.groups + group) * p.out_blocks + block) * out_plane +
                    (long)to.row * p.g.out_width + to.column] = p.relu ? rectify(value) : value;
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
    const long at = (long)get_global_id(0);
    if (at >= p.sums)
        return;
    float4 sum = ((GLOBAL const float4 *)parts)[at];
    for (int i = 1; i < p.parts; i++)
        sum += ((GLOBAL const float4 *)parts)[i * p.sums + at];
    if (p.bias)
        sum += bias_of(bias, (int)(at / p.pixels % p.blocks), p.out_channels);
    ((GLOBAL float4 *)y)[at] = p.relu ? rectify(sum) : sum;
}
#endif

/* ---- backward-weight ------------------------------------------------------------------------------------------ */

/* An output pixel that moves on through the batch. */
typedef struct {
    int image, row, column;
} moving_pixel;

static inline moving_pixel start_pixel(long index, const conv2d_geometry g)
{
    moving_pixel at;
    const long rows = index / g.out_width;
    at.column = (int)(index % g.out_width);
    at.row = (int)(rows % g.out_height);
    at.image = (int)(rows / g.out_height);
    return at;
}

static inline void move_on(moving_pixel *at, int pixels, const conv2d_geometry g)
{
    at->column += pixels;
    while (at->column >= g.out_width) {
        at->column -= g.out_width;
        at->row++;
        if (at->row == g.out_height) {
            at->row = 0;
            at->image++;
        }
    }
}

#define GRADIENT_LOADS (TILE_M / 4 * TILE_K / ITEMS) /* of a work-item and a step, in float4 */
#define INPUT_LOADS (TILE_N / 4 * TILE_K / ITEMS)

/* M are output channels; N are columns of the weight, [in block][tap][4]; K are pixels. Groups: 0: tile of columns;
 * 1: tile of output channels; 2: group of channels and chunk. Sums are [chunk][group][out block][column][4 of out]. */
#ifdef LX_WANT_conv2d_weight_gemm
__kernel GROUP_OF(ITEMS) void conv2d_weight_gemm(BUFFER(const float, x), BUFFER(const float, dy), BUFFER(float, sums),
                                                 const conv2d_sums_args p)
{
    POINTER(const float, x);
    POINTER(const float, dy);
    POINTER(float, sums);
    LOCAL float a_copy[2][TILE_K * PITCH_M] __attribute__((aligned(16)));
    LOCAL float b_copy[2][TILE_K * PITCH_N] __attribute__((aligned(16)));
    const int id = (int)get_local_id(0), group = (int)get_group_id(2) % p.groups, chunk = (int)get_group_id(2) / p.groups;
    const int quads = p.in_blocks * TAPS, load = id / TILE_K; /* a quad: four columns, of one block and tap */
    const int first_block = (int)get_group_id(1) * (TILE_M / 4), first_quad = (int)get_group_id(0) * (TILE_N / 4);
    const long first = chunk * p.chunk_pixels, end = min(first + p.chunk_pixels, p.pixels);
    const int steps = (int)((end - first + TILE_K - 1) / TILE_K);
    const int out_plane = p.g.out_height * p.g.out_width, plane = p.g.height * p.g.width;
    moving_pixel at = start_pixel(first + id % TILE_K, p.g);
    long index = first + id % TILE_K;
    float4 a_next[GRADIENT_LOADS], b_next[INPUT_LOADS], sum[BLOCKS_M * ITEM_N];
    UNROLL
    for (int i = 0; i < BLOCKS_M * ITEM_N; i++)
        sum[i] = (float4)(0.0f);

    for (int step = 0, copy = 0; step <= steps; step++, copy = !copy) {
        if (step < steps) {
            const int inside = index < end;
            UNROLL
            for (int i = 0; i < GRADIENT_LOADS; i++) {
                const int block = first_block + load + i * (ITEMS / TILE_K);
                GLOBAL const float4 *gradient =
                    (GLOBAL const float4 *)dy +
                    ((long)at.image * p.groups * p.out_blocks + group * p.out_blocks + block) * out_plane;
                a_next[i] = inside && block < p.out_blocks ? gradient[at.row * p.g.out_width + at.column] : (float4)(0.0f);
            }
            UNROLL
            for (int i = 0; i < INPUT_LOADS; i++) {
                const int quad = first_quad + load + i * (ITEMS / TILE_K), tap = quad % TAPS;
                const int ih = at.row * p.g.stride_h - p.g.padding_h + tap / KERNEL_W * p.g.dilation_h;
                const int iw = at.column * p.g.stride_w - p.g.padding_w + tap % KERNEL_W * p.g.dilation_w;
                GLOBAL const float4 *image =
                    (GLOBAL const float4 *)x +
                    ((long)at.image * p.groups * p.in_blocks + group * p.in_blocks + quad / TAPS) * plane;
                const int read = inside && quad < quads && ih >= 0 && ih < p.g.height && iw >= 0 && iw < p.g.width;
                b_next[i] = read ? image[ih * p.g.width + iw] : (float4)(0.0f);
            }
            move_on(&at, TILE_K, p.g);
            index += TILE_K;
        }
        if (step > 0)
            multiply(sum, a_copy[!copy] + id / ITEMS_N * 4, b_copy[!copy] + id % ITEMS_N * 4);
        if (step < steps) {
            UNROLL
            for (int i = 0; i < GRADIENT_LOADS; i++)
                *(LOCAL float4 *)(a_copy[copy] + id % TILE_K * PITCH_M + (load + i * (ITEMS / TILE_K)) * 4) = a_next[i];
            UNROLL
            for (int i = 0; i < INPUT_LOADS; i++)
                *(LOCAL float4 *)(b_copy[copy] + id % TILE_K * PITCH_N + (load + i * (ITEMS / TILE_K)) * 4) = b_next[i];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    GLOBAL float4 *out = (GLOBAL float4 *)(sums + chunk * p.chunk_size);
    UNROLL
    for (int i = 0; i < BLOCKS_M; i++) {
        const int block = first_block + i * ITEMS_M + id / ITEMS_N;
        UNROLL
        for (int j = 0; j < ITEM_N; j++) {
            const int column = first_quad * 4 + j / 4 * 4 * ITEMS_N + id % ITEMS_N * 4 + j % 4;
            if (block < p.out_blocks && column < quads * 4)
                out[(long)(group * p.out_blocks + block) * quads * 4 + column] = sum[i * ITEM_N + j];
        }
    }
}
#endif

/* ---- sums over pixels ------------------------------------------------------------------------------------------ */

/* The sum of what the work-items of a group have; the first one gets it. */
static inline float4 group_sum(LOCAL float4 *share, float4 own)
{
    const int id = (int)get_local_id(0);
    share[id] = own;
    for (int width = CONV2D_SUM_ITEMS / 2; width > 0; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (id < width)
            share[id] += share[id + width];
    }
    return share[id];
}

/* One input channel for each output channel. Groups: 0: block; 1: tap; 2: chunk. Sums are [chunk][block][tap][4]. */
#ifdef LX_WANT_conv2d_weight_depthwise_group
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_weight_depthwise_group(BUFFER(const float, x), BUFFER(const float, dy),
                                                                       BUFFER(float, sums), const conv2d_sums_args p)
{
    POINTER(const float, x);
    POINTER(const float, dy);
    POINTER(float, sums);
    LOCAL float4 share[CONV2D_SUM_ITEMS];
    const int block = (int)get_group_id(0), tap = (int)get_group_id(1), chunk = (int)get_group_id(2);
    const long first = chunk * p.chunk_pixels, end = min(first + p.chunk_pixels, p.pixels);
    const int out_plane = p.g.out_height * p.g.out_width, plane = p.g.height * p.g.width;
    float4 own = (float4)(0.0f);
    for (long i = first + (long)get_local_id(0); i < end; i += CONV2D_SUM_ITEMS) {
        const moving_pixel at = start_pixel(i, p.g);
        const int ih = at.row * p.g.stride_h - p.g.padding_h + tap / p.g.kernel_w * p.g.dilation_h;
        const int iw = at.column * p.g.stride_w - p.g.padding_w + tap % p.g.kernel_w * p.g.dilation_w;
        const long image = (long)at.image * p.out_blocks + block;
        if (ih >= 0 && ih < p.g.height && iw >= 0 && iw < p.g.width)
            own += ((GLOBAL const float4 *)dy)[image * out_plane + at.row * p.g.out_width + at.column] *
                   ((GLOBAL const float4 *)x)[image * plane + ih * p.g.width + iw];
    }
    const float4 total = group_sum(share, own);
    if (get_local_id(0) == 0)
        ((GLOBAL float4 *)(sums + chunk * p.chunk_size))[block * p.g.kernel_h * p.g.kernel_w + tap] = total;
}
#endif

/* The gradient of the bias. Groups: 0: block; 1: chunk. Sums are [chunk][block][4]. */
#ifdef LX_WANT_conv2d_bias_group
__kernel GROUP_OF(CONV2D_SUM_ITEMS) void conv2d_bias_group(BUFFER(const float, dy), BUFFER(float, sums),
                                                           const conv2d_sums_args p)
{
    POINTER(const float, dy);
    POINTER(float, sums);
    LOCAL float4 share[CONV2D_SUM_ITEMS];
    const int block = (int)get_group_id(0), chunk = (int)get_group_id(1);
    const long first = chunk * p.chunk_pixels, end = min(first + p.chunk_pixels, p.pixels);
    const long plane = (long)p.g.out_height * p.g.out_width;
    float4 own = (float4)(0.0f);
    for (long i = first + (long)get_local_id(0); i < end; i += CONV2D_SUM_ITEMS)
        own += ((GLOBAL const float4 *)dy)[(i / plane * p.out_blocks + block) * plane + i % plane];
    const float4 total = group_sum(share, own);
    if (get_local_id(0) == 0)
        ((GLOBAL float4 *)(sums + chunk * p.chunk_size))[block] = total;
}
#endif
