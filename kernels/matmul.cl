/* Matrix products in tile form: for processors with wide vectors.
 *
 * Strips, for operands of any strides: a is packed first so that the few values that meet one row of b are side by
 * side; of b, each work-item copies what it needs. Dots, for operands that are both contiguous along the depth, as in
 * x W^T: they are read where they are, which is faster if a has few rows for a copy of b to pay. */
#include "luxel.h"
#include "matmul.h"
#include "activation.h"

#ifndef LX_ITEM
#define LX_ITEM inline
#endif

#ifdef __OPENCL_VERSION__
#define FETCH(pointer)
#else
#define FETCH(pointer) __builtin_prefetch(pointer)
#endif

#define ROWS MATMUL_ROWS(LANES)
#define WIDTH (MATMUL_VECTORS * LANES)
#define DOT_ROWS MATMUL_DOT_ROWS
#define DOT_COLUMNS MATMUL_DOT_COLUMNS(LANES)

#if LANES == 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif LANES == 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#endif

static LX_ITEM long least(long a, long b)
{
    return a < b ? a : b;
}

/* ---- strips ------------------------------------------------------------------------------------------------- */

/* a to [batch][tile][depth][ROWS], zero below the last row. id0: block of the depth; id1: tile; id2: batch. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_matmul_pack)
KERNEL2(matmul_pack, matmul_args, GLOBAL const float *, a, GLOBAL float *, packed)
{
    const long tiles = (p.rows + ROWS - 1) / ROWS, count = least(ROWS, p.rows - id1 * ROWS);
    const long first = id0 * MATMUL_PACK_DEPTH, depth = least(MATMUL_PACK_DEPTH, p.depth - first);
    GLOBAL const float *from = a + id2 * p.a_batch + id1 * ROWS * p.a_row + first * p.a_depth;
    GLOBAL float *to = packed + ((id2 * tiles + id1) * p.depth + first) * ROWS;
    if (p.a_row == 1 && count == ROWS) {
        for (long k = 0; k < depth; k++) {
            UNROLL
            for (int i = 0; i < ROWS; i++)
                to[k * ROWS + i] = from[k * p.a_depth + i];
        }
        return;
    }
    for (long i = 0; i < count; i++)
        AT_THE_EDGE
        for (long k = 0; k < depth; k++)
            to[k * ROWS + i] = from[i * p.a_row + k * p.a_depth];
    for (long i = count; i < ROWS; i++)
        AT_THE_EDGE
        for (long k = 0; k < depth; k++)
            to[k * ROWS + i] = 0.0f;
}
#endif

/* Copies `depth` rows of a strip of b, zero past its last column. */
static LX_ITEM void copy_strip(float *strip, GLOBAL const float *b, long depth, long columns, const matmul_args p)
{
    if (columns >= WIDTH && p.b_column == 1) {
        for (long k = 0; k < depth; k++) {
            UNROLL
            for (int v = 0; v < MATMUL_VECTORS; v++)
                store_lanes(load_lanes(b + k * p.b_depth + v * LANES), strip + k * WIDTH + v * LANES);
        }
        return;
    }
    const long count = least(columns, WIDTH);
    for (long c = 0; c < count; c++)
        for (long k = 0; k < depth; k++)
            strip[k * WIDTH + c] = b[k * p.b_depth + c * p.b_column];
    for (long c = count; c < WIDTH; c++)
        for (long k = 0; k < depth; k++)
            strip[k * WIDTH + c] = 0.0f;
}

/* Adds to (or, if `begun` is 0, sets) a tile of y. Meanwhile what is needed next is fetched: a line of each of
 * `depth` rows from `ahead` on, `ahead_row` apart. */
static LX_ITEM void strip_tile(GLOBAL const float *a, const float *strip, long depth, GLOBAL float *y, long y_row,
                               long rows, long columns, int begun, GLOBAL const float *ahead, long ahead_row)
{
    lanes sum0[ROWS], sum1[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; r++) {
        sum0[r] = sum1[r] = splat(0.0f);
        FETCH(y + r * y_row);
        FETCH(y + r * y_row + LANES);
    }
    for (long k = 0; k < depth; k++) {
        const lanes b0 = load_lanes(strip + k * WIDTH), b1 = load_lanes(strip + k * WIDTH + LANES);
        FETCH(ahead + k * ahead_row);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            sum0[r] += b0 * a[k * ROWS + r];
            sum1[r] += b1 * a[k * ROWS + r];
        }
    }
    if (rows >= ROWS && columns >= WIDTH) {
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            GLOBAL float *to = y + r * y_row;
            store_lanes(begun ? load_lanes(to) + sum0[r] : sum0[r], to);
            store_lanes(begun ? load_lanes(to + LANES) + sum1[r] : sum1[r], to + LANES);
        }
        return;
    }
    float edge[ROWS * WIDTH];
    UNROLL
    for (int r = 0; r < ROWS; r++) {
        store_lanes(sum0[r], edge + r * WIDTH);
        store_lanes(sum1[r], edge + r * WIDTH + LANES);
    }
    for (long r = 0; r < least(rows, ROWS); r++)
        AT_THE_EDGE
        for (long c = 0; c < least(columns, WIDTH); c++)
            y[r * y_row + c] = (begun ? y[r * y_row + c] : 0.0f) + edge[r * WIDTH + c];
}

/* id0: block of columns; id1: block of rows; id2: batch and chunk. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_matmul_strips)
KERNEL3(matmul_strips, matmul_args, GLOBAL const float *, packed, GLOBAL const float *, b, GLOBAL float *, y)
{
    const long batch = id2 / p.chunks, chunk = id2 % p.chunks;
    const long first = chunk * p.chunk_depth, end = least(first + p.chunk_depth, p.depth);
    const long column = id0 * p.block_columns, end_column = least(column + p.block_columns, p.columns);
    const long row = id1 * p.block_rows, end_row = least(row + p.block_rows, p.rows);
    GLOBAL const float *from = b + batch * p.b_batch;
    float panel[MATMUL_DEPTH * WIDTH];

    for (long k = first, depth; k < end; k += depth) {
        depth = least(MATMUL_DEPTH, end - k);
        const int last = k + depth == end;
        GLOBAL const float *next = last ? from + first * p.b_depth + end_column * p.b_column
                                        : from + (k + depth) * p.b_depth + column * p.b_column;
        for (long c = column, i = 0; c < end_column; c += WIDTH, i++)
            copy_strip(panel + i * depth * WIDTH, from + k * p.b_depth + c * p.b_column, depth, p.columns - c, p);
        for (long r = row; r < end_row; r += ROWS) {
            GLOBAL const float *a = packed + batch * p.a_batch + (r / ROWS * p.depth + k) * ROWS;
            const long line = (r - row) / ROWS;
            const int fetches = line < MATMUL_VECTORS && p.b_column == 1;
            for (long c = column, i = 0; c < end_column; c += WIDTH, i++)
                strip_tile(a, panel + i * depth * WIDTH, depth, y + (id2 * p.rows + r) * p.columns + c, p.columns,
                           p.rows - r, p.columns - c, k > first, fetches ? next + line * LANES : a,
                           fetches ? p.b_depth : 0);
        }
    }
}
#endif

/* ---- dots --------------------------------------------------------------------------------------------------- */

/* The sums of neighbours: of a first, then of b. */
static LX_ITEM lanes pair_sums(lanes a, lanes b)
{
#ifdef __OPENCL_VERSION__
    return (lanes)(a.even + a.odd, b.even + b.odd);
#elif defined(__clang__)
    return __builtin_shufflevector(a, b, EVEN) + __builtin_shufflevector(a, b, ODD);
#else
    return __builtin_shuffle(a, b, (lanes_mask){EVEN}) + __builtin_shuffle(a, b, (lanes_mask){ODD});
#endif
}

/* The sums of LANES vectors, each the sum of its lanes. */
static LX_ITEM lanes sums_of_lanes(lanes *values)
{
    UNROLL
    for (int count = LANES / 2; count > 0; count /= 2) {
        UNROLL
        for (int t = 0; t < count; t++)
            values[t] = pair_sums(values[2 * t], values[2 * t + 1]);
    }
    return values[0];
}

/* Adds to (or sets) a tile of y. At the edges, rows and columns past the last are the last once more. */
static LX_ITEM void dot_tile(GLOBAL const float *a, GLOBAL const float *b, long depth, GLOBAL float *y, long rows,
                             long columns, int begun, const matmul_args p)
{
    GLOBAL const float *as[DOT_ROWS], *bs[DOT_COLUMNS];
    lanes sum[DOT_ROWS * DOT_COLUMNS];
    UNROLL
    for (int i = 0; i < DOT_ROWS; i++)
        as[i] = a + least(i, rows - 1) * p.a_row;
    UNROLL
    for (int j = 0; j < DOT_COLUMNS; j++)
        bs[j] = b + least(j, columns - 1) * p.b_column;
    UNROLL
    for (int t = 0; t < DOT_ROWS * DOT_COLUMNS; t++)
        sum[t] = splat(0.0f);
    long k = 0;
    for (; k + LANES <= depth; k += LANES) {
        lanes row[DOT_COLUMNS];
        UNROLL
        for (int j = 0; j < DOT_COLUMNS; j++)
            row[j] = load_lanes(bs[j] + k);
        UNROLL
        for (int i = 0; i < DOT_ROWS; i++) {
            const lanes value = load_lanes(as[i] + k);
            UNROLL
            for (int j = 0; j < DOT_COLUMNS; j++)
                sum[i * DOT_COLUMNS + j] += value * row[j];
        }
    }
    float total[DOT_ROWS * DOT_COLUMNS];
    UNROLL
    for (int t = 0; t < DOT_ROWS * DOT_COLUMNS; t += LANES)
        store_lanes(sums_of_lanes(sum + t), total + t);
    for (; k < depth; k++)
        AT_THE_EDGE
        for (int t = 0; t < DOT_ROWS * DOT_COLUMNS; t++)
            total[t] += as[t / DOT_COLUMNS][k] * bs[t % DOT_COLUMNS][k];
    for (int i = 0; i < least(rows, DOT_ROWS); i++)
        AT_THE_EDGE
        for (int j = 0; j < least(columns, DOT_COLUMNS); j++)
            y[i * p.columns + j] = (begun ? y[i * p.columns + j] : 0.0f) + total[i * DOT_COLUMNS + j];
}

/* id0: block of columns; id1: block of rows; id2: batch and chunk. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_matmul_dots)
KERNEL3(matmul_dots, matmul_args, GLOBAL const float *, a, GLOBAL const float *, b, GLOBAL float *, y)
{
    const long batch = id2 / p.chunks, chunk = id2 % p.chunks;
    const long first = chunk * p.chunk_depth, end = least(first + p.chunk_depth, p.depth);
    const long column = id0 * p.block_columns, end_column = least(column + p.block_columns, p.columns);
    const long row = id1 * p.block_rows, end_row = least(row + p.block_rows, p.rows);
    for (long k = first, depth; k < end; k += depth) {
        depth = least(MATMUL_DOT_DEPTH, end - k);
        for (long c = column; c < end_column; c += DOT_COLUMNS)
            for (long r = row; r < end_row; r += DOT_ROWS)
                dot_tile(a + batch * p.a_batch + r * p.a_row + k, b + batch * p.b_batch + c * p.b_column + k, depth,
                         y + (id2 * p.rows + r) * p.columns + c, p.rows - r, p.columns - c, k > first, p);
    }
}
#endif

/* ---- the end ------------------------------------------------------------------------------------------------ */

/* The sum of the chunks' products, plus a bias for each column, not below 0 if asked. `parts` may be y itself if
 * there is one chunk. id0: column; id1: row; id2: batch. */
#if defined(LX_WANT_ALL) || defined(LX_WANT_matmul_finish)
KERNEL3(matmul_finish, matmul_args, GLOBAL const float *, parts, GLOBAL const float *, bias, GLOBAL float *, y)
{
    GLOBAL const float *part = parts + (id2 * p.chunks * p.rows + id1) * p.columns + id0;
    float sum = part[0];
    for (long i = 1; i < p.chunks; i++)
        sum += part[i * p.rows * p.columns];
    sum = p.bias ? sum + bias[id0] : sum;
    y[(id2 * p.rows + id1) * p.columns + id0] = activate(sum, p.activation);
}
#endif
