/* Small sums over counts. */
#ifndef LX_COUNT_H
#define LX_COUNT_H

static inline long lx_ceil_div(long a, long b)
{
    return (a + b - 1) / b;
}

static inline long lx_least(long a, long b)
{
    return a < b ? a : b;
}

static inline long lx_most(long a, long b)
{
    return a > b ? a : b;
}

#endif
