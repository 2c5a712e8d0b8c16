/* Random numbers and dropout. Each work-item makes four numbers. */
#include "luxel.h"
#include "philox.h"
#include "random.h"

KERNEL1(random_uniform, random_args, GLOBAL float *, out)
{
    const philox_words words = philox(p.seed, (ulong)id0, p.stream);
    for (int i = 0; i < 4 && 4 * id0 + i < p.count; i++)
        out[4 * id0 + i] = philox_uniform(words.word[i]);
}

/* Box and Muller 1958: two uniform numbers make two normal ones. */
KERNEL1(random_normal, random_args, GLOBAL float *, out)
{
    const philox_words words = philox(p.seed, (ulong)id0, p.stream);
    for (int i = 0; i < 4 && 4 * id0 + i < p.count; i++) {
        const float u = 1.0f - philox_uniform(words.word[i & 2]); /* (0, 1] */
        const float angle = 6.283185307f * philox_uniform(words.word[(i & 2) + 1]);
        const float radius = sqrt(-2.0f * log(u));
        out[4 * id0 + i] = radius * (i & 1 ? sin(angle) : cos(angle));
    }
}

KERNEL1(random_whole, random_args, GLOBAL int *, out)
{
    const philox_words words = philox(p.seed, (ulong)id0, p.stream);
    for (int i = 0; i < 4 && 4 * id0 + i < p.count; i++)
        out[4 * id0 + i] = (int)((uint)p.first + (uint)(((ulong)words.word[i] * (ulong)(uint)p.range) >> 32));
}

/* Element i of the logical order decides by its own word, whatever the layout is. */
static LX_ITEM int kept(long i, const random_args p)
{
    return philox_uniform(philox(p.seed, (ulong)(i / 4), p.stream).word[i % 4]) < p.keep;
}

KERNEL2(dropout, random_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const philox_words words = philox(p.seed, (ulong)id0, p.stream);
    for (int i = 0; i < 4 && 4 * id0 + i < p.count; i++)
        y[4 * id0 + i] = philox_uniform(words.word[i]) < p.keep ? x[4 * id0 + i] * p.span : 0.0f;
}

/* id0: position in the plane, id1: block of channels, id2: image */
KERNEL2(dropout_blocked, random_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const long at = ((id2 * p.blocks + id1) * p.plane + id0) * LANES;
    for (int lane = 0; lane < LANES; lane++) {
        const long channel = id1 * LANES + lane;
        const int keep = channel < p.channels && kept((id2 * p.channels + channel) * p.plane + id0, p);
        y[at + lane] = keep ? x[at + lane] * p.span : 0.0f;
    }
}

/* id0: position in the plane, id1: channel, id2: image; a whole channel is kept or not */
KERNEL2(dropout_channels, random_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const long channel = id2 * p.channels + id1, at = channel * p.plane + id0;
    y[at] = kept(channel, p) ? x[at] * p.span : 0.0f;
}
