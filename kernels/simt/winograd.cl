/* 3x3 convolution at stride 1 for GPUs by Winograd's minimal filtering F(2x2, 3x3): A. Lavin and S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015, sections 4.1 and 5.
 *
 * A tile of 2x2 output pixels y follows from a patch of 4x4 input pixels d and a filter g of 3x3 as
 *
 *     y = A' [ (G g G') * (B' d B) ] A
 *
 * where the product in the middle is element by element, and a sum over input channels. That sum is sixteen matrix
 * products, one for each element of the 4x4. A work-group computes TILE_M output channels of TILE_N tiles: it
 * transforms patches as it reads them, keeps them and the transformed weights of a step of four input channels in
 * local memory, and sums in registers; a work-item has ITEM_M by ITEM_N sums of one of the products. In the end the
 * sums change places through local memory, so that a work-item has all sixteen of an output channel and a tile. While
 * a step is computed the next one is on its way, as in simt/conv2d.cl. No transformed input is in global memory.
 *
 * Arithmetic, for each input channel, output channel and tile: 16 multiply-adds, where the sum itself has 36. Of
 * these 2.25 times the transforms take some back: 32 additions for each patch, so 32 / TILE_M, 6 % for 32; 24 for
 * each tile of an output channel, once; the weights', once for the batch. With 8 by 8 sums of a work-item, local
 * memory is read as much for a multiply-add as in conv2d_gemm. Global memory, mostly caches, is read more: 64 (TILE_M
 * + TILE_N) floats a step, of which neighbouring tiles share half or more of the pixels: 0.25 bytes a multiply-add
 * with 32 by 32, 0.19 with 32 by 64, where conv2d_gemm has 0.06 with 128 by 128.
 *
 * Local memory: 2 * 64 (TILE_M + TILE_N) floats, 32 KiB with 32 by 32. Registers: ITEM_M * ITEM_N sums, 16 floats
 * on their way, operands and addresses; as compiled for NVIDIA 140 to 155 with 8 by 8, and 128 in groups of 512,
 * where there are no more; for AMD 117 to 123. NVIDIA's loop has 385 to 440 instructions for 256 multiply-adds.
 *
 * Accuracy: the transforms of pixels and sums only add, four and nine terms; that of the weights also halves, which
 * is exact. What they round is made up for by sums that are nine times shorter: measured with normal numbers, errors
 * are at most 1e-6 of the largest result with 512 channels, a third of conv2d_gemm's. An infinity or NaN reaches all
 * pixels of a tile whose patch has it, not only those that see it. */
#include "simt/simt.h"
#include "conv2d.h"
#include "simt/convolution.h"
#include "simt/winograd.h"
#include "activation.h"

/* The transforms of a line; both directions of a 4x4 or 3x3 in turn make G g G', B' d B and A' m A. */
static LX_ITEM void transform_weights(const float4 *g, float4 *to)
{
    const float4 even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
    to[0] = g[0];
    to[1] = even + odd;
    to[2] = even - odd;
    to[3] = g[2];
}

/* Groups: 0: quads. From [group][out block][in block][9 taps][4 of in][4 of out], as conv2d_pack leaves them, to
 * [group][tile of out][in block][16][4 of in][out channels of a tile], zero past the last block: a step reads all of
 * one in block. */
#ifdef LX_WANT_winograd_weights
__kernel GROUP_OF(WINOGRAD_WEIGHT_ITEMS) void winograd_weights(BUFFER(const float, w), BUFFER(float, u),
                                                               const winograd_weight_args p)
{
    POINTER(const float, w);
    POINTER(float, u);
    const long at = (long)get_global_id(0);
    if (at >= p.quads)
        return;
    const int quad = (int)(at % p.tile_blocks), channel = (int)(at / p.tile_blocks % 4);
    const long step = at / p.tile_blocks / 4, tile = step / p.in_blocks;
    const long block = tile % p.tiles * p.tile_blocks + quad;
    GLOBAL const float4 *from =
        (GLOBAL const float4 *)w +
        ((tile / p.tiles * p.out_blocks + block) * p.in_blocks + step % p.in_blocks) * 9 * 4 + channel;
    GLOBAL float4 *to = (GLOBAL float4 *)u + (step * 16 * 4 + channel) * p.tile_blocks + quad;
    float4 columns[3][4];
    UNROLL
    for (int kw = 0; kw < 3; kw++) {
        float4 column[3];
        UNROLL
        for (int kh = 0; kh < 3; kh++)
            column[kh] = block < p.out_blocks ? from[(kh * 3 + kw) * 4] : (float4)(0.0f);
        transform_weights(column, columns[kw]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        const float4 row[3] = {columns[0][i], columns[1][i], columns[2][i]};
        float4 out[4];
        transform_weights(row, out);
        UNROLL
        for (int j = 0; j < 4; j++)
            to[(i * 4 + j) * 4 * p.tile_blocks] = out[j];
    }
}
#endif

#ifdef LX_WANT_winograd_conv2d

#ifndef TILE_M
#define TILE_M 32
#define TILE_N 32
#define ITEM_M 8
#define ITEM_N 8
#endif

#define ITEMS_M (TILE_M / ITEM_M)
#define ITEMS_N (TILE_N / ITEM_N)
#define ITEMS (16 * ITEMS_M * ITEMS_N)
#define BLOCKS_M (ITEM_M / 4) /* float4 of a work-item, along M and N */
#define BLOCKS_N (ITEM_N / 4)
#define LINE_M (4 * ITEMS_M) /* what one float4 of each work-item makes, along M and N */
#define LINE_N (4 * ITEMS_N)

/* Of a step, some work-items fetch patches, one of a channel each, and the others weights. */
#define PATCHES (TILE_N * 4)
#define LOADERS (ITEMS - PATCHES)
#define WEIGHTS (16 * TILE_M) /* float4 */
#define HAS_WEIGHTS(loader, i) (((i) + 1) * LOADERS <= WEIGHTS || (loader) + (i) * LOADERS < WEIGHTS)
#if PATCHES >= ITEMS || 16 * TILE_M > 4 * LOADERS
#error "a work-item fetches a patch or four float4 of weights"
#endif

/* Local memory: two copies of [16][4 of in][TILE_M] and [16][4 of in][TILE_N], then the sums that change places,
 * [16][LINE_N][PITCH]. The four channels of a pixel are written at a time and would meet in one bank: so each has its
 * columns in an order of its own, column ^ SWIZZLE(channel). For the same reason a line of sums has four more. */
#define COPY_M (64 * TILE_M)
#define COPY (64 * (TILE_M + TILE_N))
#define PITCH (LINE_M + 4)
#define SPACE_OF_SUMS (16 * LINE_N * PITCH)
#define SPACE (2 * COPY > SPACE_OF_SUMS ? 2 * COPY : SPACE_OF_SUMS)
#define SWIZZLE(channel) (TILE_N >= 32 ? 8 * (channel) : 8 * ((channel) / 2))

/* A tile of 2x2 output pixels. */
typedef struct {
    int image, row, column; /* of its first pixel; image is -1 past the last one */
} output_tile;

static LX_ITEM output_tile find_tile(int index, const conv2d_gemm_args p)
{
    const int high = (p.g.out_height + 1) / 2, wide = (p.g.out_width + 1) / 2, inner = index % (high * wide);
    output_tile at;
    at.image = index < p.batch * high * wide ? index / (high * wide) : -1;
    at.row = inner / wide * 2;
    at.column = inner % wide * 2;
    return at;
}

/* Which of the 4x4 pixels of a patch are in the image: a bit each. */
static LX_ITEM int find_inside(const output_tile at, const conv2d_gemm_args p)
{
    const int top = at.row - p.g.padding_h, left = at.column - p.g.padding_w;
    int inside = 0;
    UNROLL
    for (int i = 0; i < 16; i++) {
        const int row = top + i / 4, column = left + i % 4;
        if (at.image >= 0 && row >= 0 && row < p.g.height && column >= 0 && column < p.g.width)
            inside |= 1 << i;
    }
    return inside;
}

/* Where a patch starts in the blocks of its image, in floats; perhaps before the first pixel. */
static LX_ITEM long find_pixel(const output_tile at, int block, const conv2d_gemm_args p)
{
    const long line = (long)(at.row - p.g.padding_h) * p.x_row + at.column - p.g.padding_w;
    return ((long)max(at.image, 0) * p.x_image + (long)block * p.x_block + line) * 4;
}

/* What a work-item fetches of a step: a patch of one channel, zero where it is not in the image, or weights. */
static LX_ITEM void fetch(float4 *next, GLOBAL const float *from, int loader, int inside, int line)
{
    if (loader < 0) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            float row[4];
            UNROLL
            for (int j = 0; j < 4; j++)
                row[j] = inside >> (i * 4 + j) & 1 ? from[i * line + j * 4] : 0.0f;
            next[i] = vload4(0, row);
        }
    } else {
        UNROLL
        for (int i = 0; i < 4; i++)
            next[i] = HAS_WEIGHTS(loader, i) ? *(GLOBAL const float4 *)(from + i * LOADERS * 4) : (float4)(0.0f);
    }
}

/* Puts it into a copy, a patch as B' d B, of which each element goes to a product of its own. */
static LX_ITEM void store(LOCAL float *to, const float4 *next, int loader)
{
    if (loader < 0) {
        const float4 rows[4] = {next[0] - next[2], next[1] + next[2], next[2] - next[1], next[1] - next[3]};
        UNROLL
        for (int i = 0; i < 4; i++) {
            to[(i * 4 + 0) * 4 * TILE_N] = rows[i].x - rows[i].z;
            to[(i * 4 + 1) * 4 * TILE_N] = rows[i].y + rows[i].z;
            to[(i * 4 + 2) * 4 * TILE_N] = rows[i].z - rows[i].y;
            to[(i * 4 + 3) * 4 * TILE_N] = rows[i].y - rows[i].w;
        }
    } else {
        UNROLL
        for (int i = 0; i < 4; i++)
            if (HAS_WEIGHTS(loader, i))
                *(LOCAL float4 *)(to + i * LOADERS * 4) = next[i];
    }
}

/* Adds a step of one product, [4][TILE_M] times [4][TILE_N], to sums that are float4 along M. A work-item has every
 * ITEMS_M-th four rows and every ITEMS_N-th four columns, of which `column` is the first. */
static LX_ITEM void multiply(float4 *sum, LOCAL const float *a, LOCAL const float *b, int column)
{
    UNROLL
    for (int k = 0; k < WINOGRAD_STEP; k++) {
        const int own = column ^ SWIZZLE(k) % LINE_N, whole = SWIZZLE(k) / LINE_N * LINE_N;
        float4 left[BLOCKS_M];
        UNROLL
        for (int i = 0; i < BLOCKS_M; i++)
            left[i] = *(LOCAL const float4 *)(a + k * TILE_M + i * LINE_M);
        UNROLL
        for (int j = 0; j < BLOCKS_N; j++) {
            const float4 right = *(LOCAL const float4 *)(b + k * TILE_N + own + (j * LINE_N ^ whole));
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

/* A' m A: the 2x2 of a tile from its sixteen sums. */
static LX_ITEM float4 transform_sums(LOCAL const float *m)
{
    float upper[4], lower[4];
    UNROLL
    for (int j = 0; j < 4; j++) {
        const float m0 = m[j * LINE_N * PITCH], m1 = m[(4 + j) * LINE_N * PITCH];
        const float m2 = m[(8 + j) * LINE_N * PITCH], m3 = m[(12 + j) * LINE_N * PITCH];
        upper[j] = m0 + m1 + m2;
        lower[j] = m1 - m2 - m3;
    }
    return (float4)(upper[0] + upper[1] + upper[2], upper[1] - upper[2] - upper[3], lower[0] + lower[1] + lower[2],
                    lower[1] - lower[2] - lower[3]);
}

/* Writes a tile of one channel, as far as it is in the image. */
static LX_ITEM void store_tile(GLOBAL float *plane, const output_tile at, float4 value, const conv2d_gemm_args p)
{
    const int right = at.column + 1 < p.g.out_width;
    GLOBAL float *to = plane + ((long)at.row * p.g.out_width + at.column) * 4;
    value = activate_lanes(value, p.activation);
    to[0] = value.x;
    if (right)
        to[4] = value.y;
    if (at.row + 1 >= p.g.out_height)
        return;
    to += (long)p.g.out_width * 4;
    to[0] = value.z;
    if (right)
        to[4] = value.w;
}

/* Groups: 0: tile of output channels, of the tiles of pixels; 1: part; 2: group of channels. Weights are as
 * winograd_weights leaves them. */
__kernel GROUP_OF(ITEMS) void winograd_conv2d(BUFFER(const float, x), BUFFER(const float, u),
                                              BUFFER(const float, bias), BUFFER(float, y), const conv2d_gemm_args p)
{
    POINTER(const float, x);
    POINTER(const float, u);
    POINTER(const float, bias);
    POINTER(float, y);
    LOCAL float space[SPACE] __attribute__((aligned(16)));
    const int id = (int)get_local_id(0);
    const int tiles = (p.out_blocks + TILE_M / 4 - 1) / (TILE_M / 4), tile = (int)get_group_id(0) % tiles;
    const int group = (int)get_group_id(2), part = (int)get_group_id(1);
    const int first_tile = (int)get_group_id(0) / tiles * TILE_N;
    const int first_block = part * p.part_blocks, steps = min(p.part_blocks, p.in_blocks - first_block);
    /* what this work-item fetches: a patch of one channel, or weights */
    const int channel = id % 4, loader = id - PATCHES;
    const output_tile source = find_tile(first_tile + id / 4, p);
    const int inside = find_inside(source, p);
    const long advance = loader < 0 ? (long)p.x_block * 4 : WEIGHTS * 4;
    GLOBAL const float *from =
        loader < 0 ? x + find_pixel(source, group * p.in_blocks + first_block, p) + channel
                   : u + (((long)group * tiles + tile) * p.in_blocks + first_block) * WEIGHTS * 4 + loader * 4;
    LOCAL float *to = space + (loader < 0 ? COPY_M + channel * TILE_N + (id / 4 ^ SWIZZLE(channel)) : loader * 4);
    /* what it computes: columns and rows of one product */
    const int product = id / (ITEMS_M * ITEMS_N), column = id / ITEMS_M % ITEMS_N * 4, row = id % ITEMS_M * 4;
    LOCAL const float *left = space + product * 4 * TILE_M + row, *right = space + COPY_M + product * 4 * TILE_N;
    float4 next[4], sum[BLOCKS_M * ITEM_N];
    UNROLL
    for (int i = 0; i < BLOCKS_M * ITEM_N; i++)
        sum[i] = (float4)(0.0f);

    fetch(next, from, loader, inside, p.x_row * 4);
    for (int step = 1, copy = 0; step <= steps; step++, copy = COPY - copy) {
        store(to + copy, next, loader); /* beside the copy that others may still read */
        barrier(CLK_LOCAL_MEM_FENCE);
        from += advance;
        if (step < steps)
            fetch(next, from, loader, inside, p.x_row * 4);
        multiply(sum, left + copy, right + copy, column);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const long out_plane = (long)p.g.out_height * p.g.out_width * 4;
    GLOBAL float *out = y + ((long)part * p.batch * p.groups + group) * p.out_blocks * out_plane + channel;
    UNROLL
    for (int i = 0; i < BLOCKS_M; i++) {
        const int block = tile * (TILE_M / 4) + i * ITEMS_M + id / (4 * LINE_N);
        const int index = (group * p.out_blocks + block) * 4 + channel;
        const int biased = p.bias && block < p.out_blocks && index < p.out_channels;
        const float added = biased ? bias[index] : 0.0f;
        UNROLL
        for (int j = 0; j < BLOCKS_N; j++) {
            LOCAL float *put = space + (product * LINE_N + column) * PITCH + row;
            UNROLL
            for (int t = 0; t < 4; t++)
                *(LOCAL float4 *)(put + t * PITCH) = sum[i * ITEM_N + j * 4 + t];
            barrier(CLK_LOCAL_MEM_FENCE);
            const output_tile at = find_tile(first_tile + j * LINE_N + id / 4 % LINE_N, p);
            const float4 value =
                transform_sums(space + id / 4 % LINE_N * PITCH + id / (4 * LINE_N) * 4 + channel) + added;
            if (at.image >= 0 && block < p.out_blocks)
                store_tile(out + ((long)at.image * p.groups * p.out_blocks + block) * out_plane, at, value, p);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
}
#endif
