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
        out[4 * id0 + i] = (int)((uint)p.first + (uint)(((ulong)words.word[i] * (ulong)p.range) >> 32));
}

/* What element i of the logical order is multiplied by, whatever the layout is. A choice of four values, not an
 * index, so that loops over this vectorise. */
static LX_ITEM float dropout_factor(long i, const random_args p)
{
    const philox_words four = philox(p.seed, (ulong)(i / 4), p.stream);
    const uint low = i & 1 ? four.word[1] : four.word[0], high = i & 1 ? four.word[3] : four.word[2];
    return philox_uniform(i & 2 ? high : low) < p.keep ? p.span : 0.0f;
}

/* id0: element */
KERNEL2(dropout, random_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    y[id0] = x[id0] * dropout_factor(id0, p);
}

/* id0: position in the plane, id1: block of channels, id2: image. Padding stays zero whatever its factor is. */
KERNEL2(dropout_blocked, random_args, GLOBAL const float *, x, GLOBAL float *, y)
{
    const long at = ((id2 * p.blocks + id1) * p.plane + id0) * LANES;
    for (int lane = 0; lane < LANES; lane++)
        y[at + lane] = x[at + lane] * dropout_factor((id2 * p.channels + id1 * LANES + lane) * p.plane + id0, p);
}
