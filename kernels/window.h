/* ReLU and max-pooling over windows of 2x2 pixels, of LANES channels, as the end of a convolution. Which pixel of a window
 * was chosen is kept as a byte: 1 + 2 row + column, or 0 where the largest is not above 0, so that ReLU passes no gradient. */
#ifndef LX_WINDOW_H
#define LX_WINDOW_H

#include "luxel.h"

static LX_ITEM lanes_mask choose_codes(lanes_mask mask, lanes_mask yes, lanes_mask no)
{
    return (mask & yes) | (~mask & no);
}

/* As in max_pool_2x2, the first of equals is chosen, and a NaN before all numbers. */
static LX_ITEM void store_window(lanes a, lanes b, lanes c, lanes d, GLOBAL float *to, GLOBAL uchar *codes)
{
    const lanes_mask right = (b > a) | (b != b), low_right = (d > c) | (d != d);
    const lanes upper = choose_lanes(right, b, a), lower = choose_lanes(low_right, d, c);
    const lanes_mask low = (lower > upper) | (lower != lower);
    const lanes largest = choose_lanes(low, lower, upper);
    const lanes_mask dead = largest <= splat(0.0f);
    store_lanes(choose_lanes(dead, splat(0.0f), largest), to);
    store_codes(~dead & choose_codes(low, 3 + (low_right & 1), 1 + (right & 1)), codes);
}

/* The gradients of a window's four pixels, of which all but one are zero. */
static LX_ITEM lanes gradient_of_pixel(lanes gradient, lanes_mask codes, int pixel)
{
    return choose_lanes(codes == pixel + 1, gradient, splat(0.0f));
}

#endif
