/* A square of values that is transposed in registers. */
#ifndef LX_TRANSPOSE_H
#define LX_TRANSPOSE_H

#include "luxel.h"

/* Each round moves the highest bit of the row number to the lowest of the column number. */
static LX_ITEM void transpose(lanes *square)
{
    UNROLL
    for (int round = 1; round < LANES; round *= 2) {
        lanes before[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            before[i] = square[i];
        UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            square[2 * i] = interleave_lower(before[i], before[i + LANES / 2]);
            square[2 * i + 1] = interleave_upper(before[i], before[i + LANES / 2]);
        }
    }
}

#endif
