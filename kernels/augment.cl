/* Picks images out of a set and warps each by its own affine map, in one pass: bytes in, normalised floats out.
 * The map takes a point of the output to the point of the input that is shown there; both pictures span -1..1, as in
 * PyTorch's affine_grid without align_corners. Bilinear; beyond the border the border goes on. */
#include "augment.h"
#include "luxel.h"

static LX_ITEM long limit(long value, long size)
{
    return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* id0: column, id1: row, id2: image and channel */
KERNEL4(augment, augment_args, GLOBAL const uchar *, images, GLOBAL const int *, indices, GLOBAL const float *, maps,
        GLOBAL float *, out)
{
    const long image = id2 / p.channels, channel = id2 % p.channels;
    GLOBAL const float *m = maps + 6 * image;
    const float x = (2.0f * (float)id0 + 1.0f) / (float)p.width - 1.0f;
    const float y = (2.0f * (float)id1 + 1.0f) / (float)p.height - 1.0f;
    const float u = ((m[0] * x + m[1] * y + m[2] + 1.0f) * (float)p.width - 1.0f) * 0.5f;
    const float v = ((m[3] * x + m[4] * y + m[5] + 1.0f) * (float)p.height - 1.0f) * 0.5f;
    /* far outside is as good as outside, and fits a whole number */
    const float near_u = u > -1e6f ? (u < 1e6f ? u : 1e6f) : -1e6f, near_v = v > -1e6f ? (v < 1e6f ? v : 1e6f) : -1e6f;
    const float left = floor(near_u), top = floor(near_v);
    const float fu = near_u - left, fv = near_v - top;
    const long c0 = limit((long)left, p.width), c1 = limit((long)left + 1, p.width);
    const long r0 = limit((long)top, p.height), r1 = limit((long)top + 1, p.height);
    GLOBAL const uchar *plane = images + (((long)indices[image] - 1) * p.channels + channel) * p.height * p.width;
    const float upper = (1.0f - fu) * (float)plane[r0 * p.width + c0] + fu * (float)plane[r0 * p.width + c1];
    const float lower = (1.0f - fu) * (float)plane[r1 * p.width + c0] + fu * (float)plane[r1 * p.width + c1];
    out[(id2 * p.height + id1) * p.width + id0] = ((1.0f - fv) * upper + fv * lower) * p.scale + p.bias;
}
