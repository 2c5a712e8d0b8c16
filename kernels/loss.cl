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
