/* Local response normalisation (Krizhevsky, Sutskever and Hinton 2012), y = x scale^-beta with scale = k + share times the sum of
 * the squares of neighbouring channels. One pass over x, where shifts and products of whole tensors would be several. */
#include "luxel.h"
#include "local_response_norm.h"

/* id0: pixel; id1: channel; id2: image */
KERNEL3(local_response_norm, local_response_norm_args, GLOBAL const float *, x, GLOBAL float *, y, GLOBAL float *, scale)
{
    const long first = id1 < p.before ? 0 : id1 - p.before;
    const long last = id1 + p.after < p.channels ? id1 + p.after : p.channels - 1;
    const long at = (id2 * p.channels + id1) * p.pixels + id0;
    float sum = 0.0f;
    for (long c = first; c <= last; c++) {
        const float value = x[(id2 * p.channels + c) * p.pixels + id0];
        sum += value * value;
    }
    scale[at] = p.k + p.share * sum;
    y[at] = x[at] * pow(scale[at], -p.beta);
}

/* The channels that a channel had a part in normalising are those that it is in the window of: from id1 - after to id1 + before. */
KERNEL4(local_response_norm_backward, local_response_norm_args, GLOBAL const float *, dy, GLOBAL const float *, x,
        GLOBAL const float *, scale, GLOBAL float *, dx)
{
    const long first = id1 < p.after ? 0 : id1 - p.after;
    const long last = id1 + p.before < p.channels ? id1 + p.before : p.channels - 1;
    const long at = (id2 * p.channels + id1) * p.pixels + id0;
    float sum = 0.0f;
    for (long c = first; c <= last; c++) {
        const long there = (id2 * p.channels + c) * p.pixels + id0;
        sum += dy[there] * x[there] * pow(scale[there], -p.beta - 1.0f);
    }
    dx[at] = dy[at] * pow(scale[at], -p.beta) - 2.0f * p.share * p.beta * x[at] * sum;
}
