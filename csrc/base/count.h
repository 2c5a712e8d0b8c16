/* Small sums over counts. */
#ifndef LX_COUNT_H
#define LX_COUNT_H

#include <stddef.h>

static inline long lx_ceil_div(long a, long b)
{
    return (a + b - 1) / b;
}

/* The least multiple that has room for so many bytes. */
static inline size_t lx_round_up(size_t bytes, size_t multiple)
{
    return (bytes + multiple - 1) / multiple * multiple;
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
