/* What the elementwise kernels are: their names, formulas and parameters, for the kernels and for who launches them. */
#ifndef LX_ELEMENTWISE_H
#define LX_ELEMENTWISE_H

/* Three dimensions of strides an operand, and what else a formula names. */
typedef struct {
    long a[3], b[3], c[3], y[3]; /* strides in elements, of id0, id1, id2 */
    long first, step;            /* of arange_int */
    float s, t;                  /* numbers in the formula */
    int i;
    int filler; /* see kernels/luxel.h */
} elementwise_args;

/* X(name, whether zeros give zeros, formula of float a) */
#define UNARY_OPS(X) \
    X(neg, 1, -a) \
    X(abs, 1, fabs(a)) \
    X(sign, 1, a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a) \
    X(floor, 1, floor(a)) \
    X(ceil, 1, ceil(a)) \
    X(round, 1, rint(a)) \
    X(square, 1, a * a) \
    X(sqrt, 1, sqrt(a)) \
    X(rsqrt, 0, rsqrt(a)) \
    X(reciprocal, 0, 1.0f / a) \
    X(exp, 0, exp(a)) \
    X(expm1, 1, expm1(a)) \
    X(log, 0, log(a)) \
    X(log1p, 1, log1p(a)) \
    X(sin, 1, sin(a)) \
    X(cos, 0, cos(a)) \
    X(tanh, 1, tanh(a)) \
    X(erf, 1, erf(a)) \
    X(sigmoid, 0, 1.0f / (1.0f + exp(-a))) \
    /* where the bounds cross, the upper one wins */ \
    X(clamp, 0, a != a ? a : (a > p.t || p.s > p.t ? p.t : (a < p.s ? p.s : a)))

/* Functions whose gradient is a kernel as well, NAME_backward, which is all that there is to say of them: autograd has them
 * from this list. X(name, whether zeros give zeros, formula of float a, what the gradient is computed from: x, what the
 * function was given, or y, what it gave; formula of the gradient of float a (that x or y) and the gradient b of y) */
#define ACTIVATION_OPS(X) \
    X(relu, 1, a > 0.0f ? a : (a != a ? a : 0.0f), y, a > 0.0f ? b : 0.0f) \
    X(relu6, 1, cut_off(a, 6.0f), y, a > 0.0f && a < 6.0f ? b : 0.0f) \
    X(leaky, 1, a > 0.0f ? a : a * 0.1f, y, a > 0.0f ? b : b * 0.1f) \
    X(hardsigmoid, 0, cut_off(a + 3.0f, 6.0f) / 6.0f, x, a > -3.0f && a < 3.0f ? b / 6.0f : 0.0f) \
    X(hardswish, 1, a * cut_off(a + 3.0f, 6.0f) / 6.0f, x, a <= -3.0f ? 0.0f : a < 3.0f ? b * (a / 3.0f + 0.5f) : b) \
    X(silu, 1, a * logistic(a), x, b * logistic(a) * (1.0f + a * (1.0f - logistic(a))))

/* X(name, whether zeros give zeros, type of the result, formula of floats a and b) */
#define BINARY_OPS(X) \
    X(add, 1, float, a + b) \
    X(sub, 1, float, a - b) \
    X(mul, 1, float, a * b) \
    X(div, 0, float, a / b) \
    X(pow, 0, float, pow(a, b)) \
    X(maximum, 1, float, a > b || a != a ? a : b) \
    X(minimum, 1, float, a < b || a != a ? a : b) \
    /* with the sign of b, as Lua's % and //; computed from fmod, which is exact */ \
    X(remainder, 0, float, floored_remainder(a, b)) \
    X(floor_divide, 0, float, floored_quotient(a, b)) \
    X(eq, 0, uchar, a == b) \
    X(ne, 0, uchar, a != b) \
    X(lt, 0, uchar, a < b) \
    X(le, 0, uchar, a <= b) \
    X(gt, 0, uchar, a > b) \
    X(ge, 0, uchar, a >= b)

#endif
