/* Matrix products for GPUs, of operands of any strides.
 *
 * Tiles: a work-group computes TILE_M x TILE_N elements, from copies of what it needs, TILE_K deep, in local memory,
 * and a work-item ITEM_M x ITEM_N of them in registers. While a step is computed the next one is on its way to the
 * other of two copies. Vectors: if there are few rows or columns, each element of the other operand is used but a few
 * times, and work-items share the depth instead.
 *
 * The driver's compiler is told by options: the sizes; whether an operand's neighbours in memory follow each other
 * along the depth (A_DEEP, B_DEEP) so that neighbouring work-items read neighbours; and how many are read at once
 * (A_WIDE, B_WIDE: 1, or 4 where strides, sizes and addresses are multiples of that). The structs are those of the
 * tile form. */
#include "simt/simt.h"
#include "matmul.h"
#include "activation.h"

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

#ifndef TILE_M
#define TILE_M 64
#define TILE_N 64
#define TILE_K 16
#define ITEM_M 4
#define ITEM_N 4
#endif
#ifndef A_DEEP
#define A_DEEP 1
#define B_DEEP 0
#define A_WIDE 1
#define B_WIDE 1
#endif

#define ITEMS_M (TILE_M / ITEM_M)
#define ITEMS_N (TILE_N / ITEM_N)
#define ITEMS (ITEMS_M * ITEMS_N)
#define VECTORS_N (ITEM_N / 4)
#define LOADS(lines) ((lines) * TILE_K / ITEMS) /* of a work-item, of a tile */
#define PITCH(lines) ((lines) + 4)              /* so that what is written across the lines meets few banks twice */
#define BAND 8 /* rows of tiles that are computed together, so that what they read is still in the cache */

/* For an operand, with `lines` rows or columns of it in a tile: fetch loads this work-item's part of a tile, where
 * past the last line it is the last once more, past the depth 0; put writes that to the copy of the tile, which
 * has its lines side by side. Written as a macro, for compilers unroll the loops of a function before they know
 * with what numbers it is called. */
#define LINE(load, lines, deep, wide) ((deep) ? PLACE(load, wide) / TILE_K : PLACE(load, wide) % (lines))
#define DEPTH(load, lines, deep, wide) ((deep) ? PLACE(load, wide) % TILE_K : PLACE(load, wide) / (lines))
#define PLACE(load, wide) (((load) * ITEMS + (int)get_local_id(0)) * (wide))

#define OPERAND(name, lines, deep, wide)                                                                          \
    static LX_ITEM void fetch_##name(float *values, GLOBAL const float *from, int line_stride, int depth_stride,  \
                                     int lines_left, int depth_left)                                              \
    {                                                                                                             \
        UNROLL                                                                                                    \
        for (int i = 0; i < LOADS(lines) / wide; i++) {                                                           \
            const int line = min(LINE(i, lines, deep, wide), lines_left - (deep ? 1 : wide));                     \
            const int k = DEPTH(i, lines, deep, wide);                                                            \
            GLOBAL const float *at = from + (long)line * line_stride + (long)k * depth_stride;                    \
            if (wide == 4)                                                                                        \
                vstore4(k < depth_left ? *(GLOBAL const float4 *)at : (float4)(0.0f), i, values);                 \
            else                                                                                                  \
                values[i] = k < depth_left ? *at : 0.0f;                                                          \
        }                                                                                                         \
    }                                                                                                             \
    static LX_ITEM void put_##name(LOCAL float *tile, const float *values)                                        \
    {                                                                                                             \
        UNROLL                                                                                                    \
        for (int i = 0; i < LOADS(lines) / wide; i++) {                                                           \
            LOCAL float *to = tile + DEPTH(i, lines, deep, wide) * PITCH(lines) + LINE(i, lines, deep, wide);     \
            if (wide == 4 && !deep) {                                                                             \
                *(LOCAL float4 *)to = vload4(i, values);                                                          \
            } else {                                                                                              \
                UNROLL                                                                                            \
                for (int j = 0; j < wide; j++)                                                                    \
                    to[j * PITCH(lines)] = values[i * wide + j];                                                  \
            }                                                                                                     \
        }                                                                                                         \
    }

OPERAND(a, TILE_M, A_DEEP, A_WIDE)
OPERAND(b, TILE_N, B_DEEP, B_WIDE)

/* Adds the product of two copies. A work-item has every ITEMS_M-th group of four rows, and of columns likewise. */
static LX_ITEM void multiply(float4 *sum, LOCAL const float *a, LOCAL const float *b)
{
    _Pragma("unroll 4") /* all of it would fill the registers with what is read ahead */
    for (int k = 0; k < TILE_K; k++) {
        float left[ITEM_M];
        float4 right[VECTORS_N];
        UNROLL
        for (int i = 0; i < ITEM_M / 4; i++)
            vstore4(*(LOCAL const float4 *)(a + k * PITCH(TILE_M) + i * 4 * ITEMS_M), i, left);
        UNROLL
        for (int j = 0; j < VECTORS_N; j++)
            right[j] = *(LOCAL const float4 *)(b + k * PITCH(TILE_N) + j * 4 * ITEMS_N);
        UNROLL
        for (int i = 0; i < ITEM_M; i++) {
            UNROLL
            for (int j = 0; j < VECTORS_N; j++)
                sum[i * VECTORS_N + j] += left[i] * right[j];
        }
    }
}

/* Four neighbours of the bias; the last one again past the end. */
static LX_ITEM float4 bias_at(GLOBAL const float *bias, int column, const matmul_args p)
{
    const int last = (int)p.columns - 1;
    return (float4)(bias[min(column, last)], bias[min(column + 1, last)], bias[min(column + 2, last)],
                    bias[min(column + 3, last)]);
}

/* Four elements of a row to y, or as many as there are, with bias and ReLU where they are asked for. */
static LX_ITEM void finish(float4 sum, GLOBAL const float *bias, GLOBAL float *y, int row, int column,
                          const matmul_args p)
{
    GLOBAL float *to = y + (long)row * p.columns + column;
    const int count = min(4, (int)p.columns - column);
    sum = p.bias ? sum + bias_at(bias, column, p) : sum;
    sum = activate_lanes(sum, p.activation);
    if (p.columns % 4 == 0) {
        *(GLOBAL float4 *)to = sum;
        return;
    }
    float value[4];
    vstore4(sum, 0, value);
    UNROLL
    for (int j = 0; j < 4; j++)
        if (j < count)
            to[j] = value[j];
}

/* The tile of a group: tiles of a band go down its rows first. */
static LX_ITEM int2 tile_of(int group, const matmul_args p)
{
    const int down = (int)((p.rows + TILE_M - 1) / TILE_M), across = (int)((p.columns + TILE_N - 1) / TILE_N);
    const int band = group / (BAND * across), at = group % (BAND * across);
    const int height = min(BAND, down - band * BAND);
    return (int2)(band * BAND + at % height, at / height);
}

/* Groups: tiles of chunks of batches. Products of chunks are [batch][chunk][rows][columns]. */
#ifdef LX_WANT_matmul_tiles
__kernel GROUP_OF(ITEMS) void matmul_tiles(BUFFER(const float, a), BUFFER(const float, b), BUFFER(const float, bias),
                                           BUFFER(float, y), const matmul_args p)
{
    POINTER(const float, a);
    POINTER(const float, b);
    POINTER(const float, bias);
    POINTER(float, y);
    LOCAL float a_copy[2][TILE_K * PITCH(TILE_M)] __attribute__((aligned(16)));
    LOCAL float b_copy[2][TILE_K * PITCH(TILE_N)] __attribute__((aligned(16)));
    const int group = (int)get_group_id(0), chunks = (int)p.chunks;
    const int tiles = (int)((p.rows + TILE_M - 1) / TILE_M * ((p.columns + TILE_N - 1) / TILE_N));
    const long part = group / tiles, batch = group / tiles / chunks, first = group / tiles % chunks * p.chunk_depth;
    const int2 tile = tile_of(group % tiles, p);
    const int row = tile.x * TILE_M, column = tile.y * TILE_N;
    const int rows = (int)p.rows - row, columns = (int)p.columns - column;
    const int depth = (int)min(p.chunk_depth, p.depth - first);
    const int item_row = (int)get_local_id(0) / ITEMS_N * 4, item_column = (int)get_local_id(0) % ITEMS_N * 4;
    a += batch * p.a_batch + row * p.a_row + first * p.a_depth;
    b += batch * p.b_batch + column * p.b_column + first * p.b_depth;
    y += part * p.rows * p.columns;
    float a_next[LOADS(TILE_M)], b_next[LOADS(TILE_N)];
    float4 sum[ITEM_M * VECTORS_N];
    UNROLL
    for (int i = 0; i < ITEM_M * VECTORS_N; i++)
        sum[i] = (float4)(0.0f);

    fetch_a(a_next, a, (int)p.a_row, (int)p.a_depth, rows, depth);
    fetch_b(b_next, b, (int)p.b_column, (int)p.b_depth, columns, depth);
    put_a(a_copy[0], a_next);
    put_b(b_copy[0], b_next);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = TILE_K, copy = 0; k - TILE_K < depth; k += TILE_K, copy = !copy) {
        if (k < depth) {
            fetch_a(a_next, a + k * p.a_depth, (int)p.a_row, (int)p.a_depth, rows, depth - k);
            fetch_b(b_next, b + k * p.b_depth, (int)p.b_column, (int)p.b_depth, columns, depth - k);
        }
        multiply(sum, a_copy[copy] + item_row, b_copy[copy] + item_column);
        if (k < depth) {
            put_a(a_copy[!copy], a_next);
            put_b(b_copy[!copy], b_next);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    UNROLL
    for (int i = 0; i < ITEM_M; i++) {
        const int at = row + i / 4 * 4 * ITEMS_M + item_row + i % 4;
        UNROLL
        for (int j = 0; j < VECTORS_N; j++)
            if (at < p.rows && column + j * 4 * ITEMS_N + item_column < p.columns)
                finish(sum[i * VECTORS_N + j], bias, y, at, column + j * 4 * ITEMS_N + item_column, p);
    }
}
#endif

/* ---- vectors -------------------------------------------------------------------------------------------------- */

/* The lines of one operand times VECTORS vectors, the rows or columns of the other; SLICES work-items share a
 * line. */
#ifndef VECTORS
#define VECTORS 1
#define SLICES 32
#define LINES_DEEP 1
#define FEW_ROWS 1 /* the vectors are the rows of a, and the lines the columns of b; else the other way round */
#endif

#define VECTOR_ITEMS 256
#define LINES (VECTOR_ITEMS / SLICES)

/* Groups: LINES lines of chunks of batches. */
#ifdef LX_WANT_matmul_vectors
__kernel GROUP_OF(VECTOR_ITEMS) void matmul_vectors(BUFFER(const float, a), BUFFER(const float, b),
                                                    BUFFER(const float, bias), BUFFER(float, y), const matmul_args p)
{
    POINTER(const float, a);
    POINTER(const float, b);
    POINTER(const float, bias);
    POINTER(float, y);
    LOCAL float share[VECTORS * VECTOR_ITEMS];
    const long lines = FEW_ROWS ? p.columns : p.rows;
    const int group = (int)get_group_id(0), blocks = (int)((lines + LINES - 1) / LINES), chunks = (int)p.chunks;
    const long line_stride = FEW_ROWS ? p.b_column : p.a_row, depth_stride = FEW_ROWS ? p.b_depth : p.a_depth;
    const long vector_stride = FEW_ROWS ? p.a_row : p.b_column, vector_depth = FEW_ROWS ? p.a_depth : p.b_depth;
    const int id = (int)get_local_id(0);
    const int slice = LINES_DEEP ? id % SLICES : id / LINES, neighbour = LINES_DEEP ? 1 : LINES;
    const long line = group % blocks * LINES + (LINES_DEEP ? id / SLICES : id % LINES);
    const long part = group / blocks, batch = group / blocks / chunks;
    const long first = group / blocks % chunks * p.chunk_depth, end = min(first + p.chunk_depth, p.depth);
    a += batch * p.a_batch;
    b += batch * p.b_batch;
    y += part * p.rows * p.columns;
    GLOBAL const float *matrix = (FEW_ROWS ? b : a) + min(line, lines - 1) * line_stride;
    GLOBAL const float *vectors = FEW_ROWS ? a : b;
    float sum[VECTORS];
    UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[v] = 0.0f;
    READ_AHEAD
    for (long k = first + slice; k < end; k += SLICES) {
        const float value = matrix[k * depth_stride];
        UNROLL
        for (int v = 0; v < VECTORS; v++)
            sum[v] += value * vectors[v * vector_stride + k * vector_depth];
    }
    UNROLL
    for (int v = 0; v < VECTORS; v++)
        share[v * VECTOR_ITEMS + id] = sum[v];
    for (int width = SLICES / 2; width > 0; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        UNROLL
        for (int v = 0; v < VECTORS; v++)
            if (slice < width)
                share[v * VECTOR_ITEMS + id] += share[v * VECTOR_ITEMS + id + width * neighbour];
    }
    if (slice > 0 || line >= lines)
        return;
    UNROLL
    for (int v = 0; v < VECTORS; v++) {
        const long row = FEW_ROWS ? v : line, column = FEW_ROWS ? line : v;
        const float value = share[v * VECTOR_ITEMS + id] + (p.bias ? bias[column] : 0.0f);
        y[row * p.columns + column] = activate(value, p.activation);
    }
}
#endif
