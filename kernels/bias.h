/* The bias of a block of output channels, zero past the last channel or where there is no bias. */
#ifndef LX_BIAS_H
#define LX_BIAS_H

#include "luxel.h"

static LX_ITEM lanes bias_of_block(GLOBAL const float *bias, int exists, long block, long channels)
{
    float values[LANES];
    if (!exists || block * LANES >= channels) /* a masked load of a null address would take microseconds */
        return splat(0.0f);
    if ((block + 1) * LANES <= channels)
        return load_lanes(bias + block * LANES);
    AT_THE_EDGE
    for (int lane = 0; lane < LANES; lane++)
        values[lane] = block * LANES + lane < channels ? bias[block * LANES + lane] : 0.0f;
    return load_lanes(values);
}

#endif
