/* Binary cross-entropy on logits: -w t log σ(x) - (1 - t) log(1 - σ(x)), as PyTorch's. A target that is NaN is a
 * missing label: loss and gradient are 0 there. */
#include "loss.h"
#include "luxel.h"

/* log(1 + e^x) without overflow */
static LX_ITEM float softplus(float x)
{
    const float size = fabs(x);
    return (x > 0.0f ? x : 0.0f) + log1p(exp(-size));
}

KERNEL4(bce_with_logits, bce_args, GLOBAL const float *, x, GLOBAL const float *, target, GLOBAL const float *, weights,
        GLOBAL float *, loss)
{
    const float t = target[id0], w = p.columns ? weights[id0 % p.columns] : p.pos_weight;
    const float value = w * t * softplus(-x[id0]) + (1.0f - t) * softplus(x[id0]);
    loss[id0] = t == t ? value : 0.0f;
}

KERNEL4(bce_with_logits_backward, bce_args, GLOBAL const float *, x, GLOBAL const float *, target,
        GLOBAL const float *, weights, GLOBAL float *, slope)
{
    const float t = target[id0], w = p.columns ? weights[id0 % p.columns] : p.pos_weight;
    const float sigmoid = 1.0f / (1.0f + exp(-x[id0]));
    const float value = (1.0f - t) * sigmoid - w * t * (1.0f - sigmoid);
    slope[id0] = t == t ? value : 0.0f;
}

/* How many numbers of a chunk are not NaN. id0: chunk */
KERNEL2(count_valid, count_valid_args, GLOBAL const float *, target, GLOBAL float *, valid)
{
    const long first = id0 * COUNT_VALID_CHUNK, left = p.count - first;
    const long last = first + (left < COUNT_VALID_CHUNK ? left : COUNT_VALID_CHUNK);
    int found = 0;
    for (long i = first; i < last; i++)
        found += target[i] == target[i];
    valid[id0] = (float)found;
}
