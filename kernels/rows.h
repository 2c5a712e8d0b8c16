/* Reductions of a row of numbers side by side, in vectors and in an order that the size alone decides. */
#ifndef LX_ROWS_H
#define LX_ROWS_H

#include "luxel.h"

static LX_ITEM lanes add_lanes(lanes a, lanes b)
{
    return a + b;
}

static LX_ITEM float add_one(float a, float b)
{
    return a + b;
}

static LX_ITEM lanes larger_lanes(lanes a, lanes b)
{
    return choose_lanes(b > a, b, a);
}

static LX_ITEM float larger_one(float a, float b)
{
    return b > a ? b : a;
}

/* NAME joins the row's numbers; `vector` is those from i on, `single` the one at i. */
#define ROW_REDUCTION(name, parameters, start, join, vector, single)                                          \
    static LX_ITEM float name parameters                                                                 \
    {                                                                                                    \
        float total = start;                                                                             \
        long i = 0;                                                                                      \
        if (size >= LANES) {                                                                             \
            lanes part0 = splat(start), part1 = part0, part2 = part0, part3 = part0;                     \
            float lane[LANES];                                                                           \
            while (i + 4 * LANES <= size) {                                                              \
                part0 = join##_lanes(part0, vector);                                                     \
                i += LANES;                                                                              \
                part1 = join##_lanes(part1, vector);                                                     \
                i += LANES;                                                                              \
                part2 = join##_lanes(part2, vector);                                                     \
                i += LANES;                                                                              \
                part3 = join##_lanes(part3, vector);                                                     \
                i += LANES;                                                                              \
            }                                                                                            \
            for (; i + LANES <= size; i += LANES)                                                        \
                part0 = join##_lanes(part0, vector);                                                     \
            store_lanes(join##_lanes(join##_lanes(part0, part1), join##_lanes(part2, part3)), lane);     \
            for (int step = LANES / 2; step > 0; step /= 2)                                              \
                for (int t = 0; t < step; t++)                                                           \
                    lane[t] = join##_one(lane[t], lane[t + step]);                                       \
            total = lane[0];                                                                             \
        }                                                                                                \
        for (; i < size; i++)                                                                            \
            total = join##_one(total, single);                                                           \
        return total;                                                                                    \
    }

ROW_REDUCTION(row_sum, (GLOBAL const float *x, long size), 0.0f, add, load_lanes(x + i), x[i])

/* A NaN is passed over. */
ROW_REDUCTION(row_max, (GLOBAL const float *x, long size), -INFINITY, larger, load_lanes(x + i), x[i])

/* The sum of (x - x_shift) y */
ROW_REDUCTION(row_dot, (GLOBAL const float *x, float x_shift, GLOBAL const float *y, long size), 0.0f, add,
         (load_lanes(x + i) - splat(x_shift)) * load_lanes(y + i), (x[i] - x_shift) * y[i])

static LX_ITEM lanes square_lanes(lanes a)
{
    return a * a;
}

static LX_ITEM float square_one(float a)
{
    return a * a;
}

/* The sum of the squares of x - shift */
ROW_REDUCTION(row_squares, (GLOBAL const float *x, float shift, long size), 0.0f, add,
         square_lanes(load_lanes(x + i) - splat(shift)), square_one(x[i] - shift))

#endif
