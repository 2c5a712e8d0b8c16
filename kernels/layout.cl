/* Between the plain layout [N, C, H, W] and the blocked one [N, ceil(C / LANES), H, W, LANES].
 *
 * A work-item moves LANES pixels of LANES channels: a square of values that is transposed in registers. */
#include "luxel.h"
#include "layout.h"
#include "transpose.h"

/* id0: LANES pixels of a row; id1: row; id2: image and block. */
KERNEL2(to_blocked, layout_args, GLOBAL const float *, plain, GLOBAL float *, blocked)
{
    const long blocks = CEIL_DIV(p.channels, LANES), block = id2 % blocks, first = id0 * LANES;
    const long channels = p.channels - block * LANES < LANES ? p.channels - block * LANES : LANES;
    GLOBAL const float *from =
        plain + id2 / blocks * p.image + block * LANES * p.channel + id1 * p.row + first * p.column;
    GLOBAL float *to = blocked + ((id2 * p.height + id1) * p.width + first) * LANES;
    if (p.column == 1 && first + LANES <= p.width) {
        lanes square[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            square[i] = i < channels ? load_lanes(from + i * p.channel) : splat(0.0f);
        transpose(square);
        UNROLL
        for (int i = 0; i < LANES; i++)
            store_lanes(square[i], to + i * LANES);
    } else {
        for (long t = 0; t < LANES && first + t < p.width; t++)
            AT_THE_EDGE
            for (long c = 0; c < LANES; c++)
                to[t * LANES + c] = c < channels ? from[c * p.channel + t * p.column] : 0.0f;
    }
}

/* The reverse, to a plain tensor whose columns are next to each other. */
KERNEL2(to_plain, layout_args, GLOBAL const float *, blocked, GLOBAL float *, plain)
{
    const long blocks = CEIL_DIV(p.channels, LANES), block = id2 % blocks, first = id0 * LANES;
    const long channels = p.channels - block * LANES < LANES ? p.channels - block * LANES : LANES;
    GLOBAL const float *from = blocked + ((id2 * p.height + id1) * p.width + first) * LANES;
    GLOBAL float *to = plain + id2 / blocks * p.image + block * LANES * p.channel + id1 * p.row + first;
    if (first + LANES <= p.width) {
        lanes square[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            square[i] = load_lanes(from + i * LANES);
        transpose(square);
        UNROLL
        for (int i = 0; i < LANES; i++)
            if (i < channels)
                store_lanes(square[i], to + i * p.channel);
    } else {
        for (long c = 0; c < channels; c++)
            AT_THE_EDGE
            for (long t = 0; first + t < p.width; t++)
                to[c * p.channel + t] = from[t * LANES + c];
    }
}
