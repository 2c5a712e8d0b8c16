/* Reductions of a dense [outer][size][inner] over its middle, positions of extremes, and running sums. */
#include "luxel.h"
#include "reduce.h"
#include "rows.h"

#define ROW_VECTORS 8
#define ROWS_TOGETHER 8

static LX_ITEM long end_of_chunk(long chunk, const reduce_args p)
{
    const long end = (chunk + 1) * p.chunk;
    return end < p.size ? end : p.size;
}

static LX_ITEM lanes sum_lanes(lanes a, lanes b)
{
    return a + b;
}

static LX_ITEM float sum_one(float a, float b)
{
    return a + b;
}

static LX_ITEM lanes prod_lanes(lanes a, lanes b)
{
    return a * b;
}

static LX_ITEM float prod_one(float a, float b)
{
    return a * b;
}

/* Extremes: a NaN on either side wins. */
static LX_ITEM lanes max_lanes(lanes a, lanes b)
{
    return choose_lanes((b > a) | (b != b), b, a);
}

static LX_ITEM float max_one(float a, float b)
{
    return b > a || b != b ? b : a;
}

static LX_ITEM lanes min_lanes(lanes a, lanes b)
{
    return choose_lanes((b < a) | (b != b), b, a);
}

static LX_ITEM float min_one(float a, float b)
{
    return b < a || b != b ? b : a;
}

/* rows, for inner = 1: id0 is the chunk, all chunks of a row before the next row. columns: id0 is a group of columns,
 * id1 the chunk, id2 outer. Both write [outer][chunks][inner]. Columns are swept row by row, which memory likes best, a
 * few rows at a time. */
#define REDUCTION(name, start) \
    KERNEL2(reduce_rows_##name, reduce_args, GLOBAL const float *, x, GLOBAL float *, y) \
    { \
        const long at = p.chunks == 1 ? id0 : id0 / p.chunks, chunk = id0 - at * p.chunks; \
        GLOBAL const float *row = x + at * p.size; \
        const long end = end_of_chunk(chunk, p); \
        long i = chunk * p.chunk; \
        float total = start; \
        if (end - i >= LANES) { \
            lanes part[ROW_VECTORS]; \
            float lane[LANES]; \
            UNROLL \
            for (int t = 0; t < ROW_VECTORS; t++) \
                part[t] = splat(start); \
            for (; i + ROW_VECTORS * LANES <= end; i += ROW_VECTORS * LANES) { \
                UNROLL \
                for (int t = 0; t < ROW_VECTORS; t++) \
                    part[t] = name##_lanes(part[t], load_lanes(row + i + t * LANES)); \
            } \
            for (; i + LANES <= end; i += LANES) \
                part[0] = name##_lanes(part[0], load_lanes(row + i)); \
            UNROLL \
            for (int t = 0; t < ROW_VECTORS / 2; t++) \
                part[t] = name##_lanes(part[t], part[t + ROW_VECTORS / 2]); \
            store_lanes(name##_lanes(name##_lanes(part[0], part[1]), name##_lanes(part[2], part[3])), lane); \
            for (int width = LANES / 2; width > 0; width /= 2) \
                for (int t = 0; t < width; t++) \
                    lane[t] = name##_one(lane[t], lane[t + width]); \
            total = lane[0]; \
        } \
        AT_THE_EDGE \
        for (; i < end; i++) \
            total = name##_one(total, row[i]); \
        y[id0] = total; \
    } \
    static LX_ITEM void add_rows_##name(GLOBAL const float *x, long rows, long inner, GLOBAL float *y, long columns, \
                                        int begun) \
    { \
        long c = 0; \
        for (; c + LANES <= columns; c += LANES) { \
            lanes part = load_lanes(x + c); \
            UNROLL \
            for (long i = 1; i < rows; i++) \
                part = name##_lanes(part, load_lanes(x + i * inner + c)); \
            store_lanes(begun ? name##_lanes(load_lanes(y + c), part) : part, y + c); \
        } \
        AT_THE_EDGE \
        for (; c < columns; c++) { \
            float part = x[c]; \
            AT_THE_EDGE \
            for (long i = 1; i < rows; i++) \
                part = name##_one(part, x[i * inner + c]); \
            y[c] = begun ? name##_one(y[c], part) : part; \
        } \
    } \
    KERNEL2(reduce_columns_##name, reduce_args, GLOBAL const float *, x, GLOBAL float *, y) \
    { \
        const long first = id1 * p.chunk, end = end_of_chunk(id1, p); \
        const long column = id0 * REDUCE_COLUMN_VECTORS * LANES, left = p.inner - column; \
        const long columns = left < REDUCE_COLUMN_VECTORS * LANES ? left : REDUCE_COLUMN_VECTORS * LANES; \
        GLOBAL const float *from = x + id2 * p.size * p.inner + column; \
        GLOBAL float *to = y + (id2 * p.chunks + id1) * p.inner + column; \
        long i = first; \
        for (; i + ROWS_TOGETHER <= end; i += ROWS_TOGETHER) \
            add_rows_##name(from + i * p.inner, ROWS_TOGETHER, p.inner, to, columns, i > first); \
        if (i < end) \
            add_rows_##name(from + i * p.inner, end - i, p.inner, to, columns, i > first); \
        for (long c = 0; p.size == 0 && c < columns; c++) \
            to[c] = start; \
    }

REDUCTION(sum, 0.0f)
REDUCTION(prod, 1.0f)
REDUCTION(max, -INFINITY)
REDUCTION(min, INFINITY)

/* Where the extreme of a chunk is, from 0: the first if there are several, and the first NaN if there is any.
 * id0: column; id1: chunk; id2: outer. Then the best of the chunks' candidates, from 1. id0: column; id1: outer. */
#define POSITION(name, better) \
    KERNEL2(arg##name##_chunk, reduce_args, GLOBAL const float *, x, GLOBAL int *, y) \
    { \
        GLOBAL const float *column = x + id2 * p.size * p.inner + id0; \
        const long end = end_of_chunk(id1, p); \
        long at = id1 * p.chunk; \
        float best = column[at * p.inner]; \
        for (long i = at + 1; i < end; i++) { \
            const float value = column[i * p.inner]; \
            if (value better best || (value != value && best == best)) { \
                best = value; \
                at = i; \
            } \
        } \
        y[(id2 * p.chunks + id1) * p.inner + id0] = (int)at; \
    } \
    KERNEL3(arg##name##_pick, reduce_args, GLOBAL const float *, x, GLOBAL const int *, candidates, GLOBAL int *, y) \
    { \
        GLOBAL const float *column = x + id1 * p.size * p.inner + id0; \
        GLOBAL const int *candidate = candidates + id1 * p.chunks * p.inner + id0; \
        int at = candidate[0]; \
        for (long i = 1; i < p.chunks; i++) { \
            const float value = column[candidate[i * p.inner] * p.inner], best = column[at * p.inner]; \
            if (value better best || (value != value && best == best)) \
                at = candidate[i * p.inner]; \
        } \
        y[id1 * p.inner + id0] = at + 1; \
    }

POSITION(max, >)
POSITION(min, <)

/* Running sums, with the rounding error of each addition carried into the next one (unless it is not a number,
 * as at infinity). id0: column; id1: outer. */
KERNEL2(cumsum, reduce_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const long step = p.reverse ? -p.inner : p.inner;
    long at = id1 * p.size * p.inner + id0 + (p.reverse ? (p.size - 1) * p.inner : 0);
    float sum = 0.0f, error = 0.0f;
    for (long i = 0; i < p.size; i++, at += step) {
        const float term = x[at] - error, next = sum + term;
        error = (next - sum) - term;
        error = error - error == 0.0f ? error : 0.0f;
        sum = next;
        y[at] = sum;
    }
}

/* The sum of a chunk of x, and how many numbers of `of` there are that are not NaN. id0: chunk */
KERNEL3(valid_sums, reduce_args, GLOBAL const float *, x, GLOBAL const float *, of, GLOBAL float *, y)
{
    const long start = id0 * p.chunk, end = end_of_chunk(id0, p);
    int count = 0;
    for (long i = start; i < end; i++)
        count += of[i] == of[i];
    y[2 * id0] = row_sum(x + start, end - start);
    y[2 * id0 + 1] = (float)count;
}

/* From these the mean, and the reciprocal of the count, with which its gradient is multiplied; 0 and 1 of nothing. */
KERNEL2(valid_mean, reduce_args, GLOBAL const float *, sums, GLOBAL float *, y)
{
    float sum = 0.0f, count = 0.0f;
    for (long i = 0; i < p.chunks; i++) {
        sum += sums[2 * i];
        count += sums[2 * i + 1];
    }
    y[0] = count > 0.0f ? sum / count : 0.0f;
    y[1] = count > 0.0f ? 1.0f / count : 1.0f;
}
