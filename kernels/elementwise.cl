/* One work-item makes one element. Tensors of any strides up to three dimensions (the host folds more into these). */
#include "elementwise.h"
#include "luxel.h"

#define AT(strides) (id0 * strides[0] + id1 * strides[1] + id2 * strides[2])

#ifndef LX_ITEM
#define LX_ITEM inline
#endif

static LX_ITEM float floored_remainder(float a, float b)
{
    const float rest = fmod(a, b);
    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

/* (a - remainder) / b is whole but for rounding. */
static LX_ITEM float floored_quotient(float a, float b)
{
    const float quotient = (a - floored_remainder(a, b)) / b;
    return b == 0.0f ? a / b : rint(quotient);
}

/* a between 0 and `most`; NaN stays. */
static LX_ITEM float cut_off(float a, float most)
{
    return a < 0.0f ? 0.0f : a > most ? most : a;
}

static LX_ITEM float logistic(float a)
{
    return 1.0f / (1.0f + exp(-a));
}

/* y = formula(a) */
#define UNARY(name, zero, formula)                                                                 \
    KERNEL2(unary_##name, elementwise_args, GLOBAL const float *, in, GLOBAL float *, out)         \
    {                                                                                              \
        const float a = in[AT(p.a)];                                                               \
        out[AT(p.y)] = (formula);                                                                  \
    }

/* y = formula(a, b), and the same with a number for b (_s) or for a (_r). Not wrapped in another macro: `pow` and the
 * like may be macros themselves, and would be expanded before they become part of a name. */
#define BINARY(name, zero, type, formula)                                                                       \
    KERNEL3(binary_##name, elementwise_args, GLOBAL const float *, left, GLOBAL const float *, right,              \
            GLOBAL type *, out)                                                                                    \
    {                                                                                                              \
        const float a = left[AT(p.a)], b = right[AT(p.b)];                                                         \
        out[AT(p.y)] = (type)(formula);                                                                            \
    }                                                                                                              \
    KERNEL2(binary_##name##_s, elementwise_args, GLOBAL const float *, left, GLOBAL type *, out)                   \
    {                                                                                                              \
        const float a = left[AT(p.a)], b = p.s;                                                                    \
        out[AT(p.y)] = (type)(formula);                                                                            \
    }                                                                                                              \
    KERNEL2(binary_##name##_r, elementwise_args, GLOBAL const float *, right, GLOBAL type *, out)                  \
    {                                                                                                              \
        const float a = p.s, b = right[AT(p.a)];                                                                   \
        out[AT(p.y)] = (type)(formula);                                                                            \
    }

#define ACTIVATION(name, zero, formula, from, gradient) \
    UNARY(name, zero, formula)                           \
    BINARY(name##_backward, 1, float, gradient)

UNARY_OPS(UNARY)
BINARY_OPS(BINARY)
ACTIVATION_OPS(ACTIVATION)

/* Integers compare as integers: as floats they would be rounded from 2^24 on. */
#define COMPARE_INTEGERS(name, formula)                                                                          \
    KERNEL3(compare_##name, elementwise_args, GLOBAL const int *, left, GLOBAL const int *, right,                 \
            GLOBAL uchar *, out)                                                                                   \
    {                                                                                                              \
        const int a = left[AT(p.a)], b = right[AT(p.b)];                                                           \
        out[AT(p.y)] = (uchar)(formula);                                                                           \
    }                                                                                                              \
    KERNEL2(compare_##name##_s, elementwise_args, GLOBAL const int *, left, GLOBAL uchar *, out)                   \
    {                                                                                                              \
        const int a = left[AT(p.a)], b = p.i;                                                                      \
        out[AT(p.y)] = (uchar)(formula);                                                                           \
    }

COMPARE_INTEGERS(eq, a == b)
COMPARE_INTEGERS(ne, a != b)
COMPARE_INTEGERS(lt, a < b)
COMPARE_INTEGERS(le, a <= b)
COMPARE_INTEGERS(gt, a > b)
COMPARE_INTEGERS(ge, a >= b)

KERNEL2(unary_isnan, elementwise_args, GLOBAL const float *, in, GLOBAL uchar *, out)
{
    const float a = in[AT(p.a)];
    out[AT(p.y)] = (uchar)(a != a);
}

/* y = a + s b */
KERNEL3(add_scaled, elementwise_args, GLOBAL const float *, left, GLOBAL const float *, right, GLOBAL float *, out)
{
    out[AT(p.y)] = left[AT(p.a)] + p.s * right[AT(p.b)];
}

/* y = c ? a : b */
KERNEL4(where, elementwise_args, GLOBAL const float *, left, GLOBAL const float *, right, GLOBAL const uchar *, condition,
        GLOBAL float *, out)
{
    const float a = left[AT(p.a)], b = right[AT(p.b)];
    out[AT(p.y)] = condition[AT(p.c)] ? a : b;
}

/* y = c ? a : s */
KERNEL3(where_s, elementwise_args, GLOBAL const float *, left, GLOBAL const uchar *, condition, GLOBAL float *, out)
{
    const float a = left[AT(p.a)];
    out[AT(p.y)] = condition[AT(p.b)] ? a : p.s;
}

KERNEL4(where_int, elementwise_args, GLOBAL const int *, left, GLOBAL const int *, right, GLOBAL const uchar *, condition,
        GLOBAL int *, out)
{
    const int a = left[AT(p.a)], b = right[AT(p.b)];
    out[AT(p.y)] = condition[AT(p.c)] ? a : b;
}

/* Conversions. To integers: towards zero, values outside the range become its ends, which are p.s and p.t, NaN becomes 0.
 * As constants the ends would become jumps, which keep compilers from vectors. */
static LX_ITEM float between(float v, float least, float most)
{
    const float above = v > least ? v : least;
    return above < most ? above : most;
}

/* The largest int is no float: p.t is the float below it. */
static LX_ITEM int to_int(float v, float least, float most)
{
    const int whole = (int)between(v, least, most);
    const int bounded = v > most ? 2147483647 : whole;
    return v == v ? bounded : 0;
}

#define COPY(name, from, to, conversion)                                                      \
    KERNEL2(copy_##name, elementwise_args, GLOBAL const from *, in, GLOBAL to *, out)         \
    {                                                                                         \
        const from a = in[AT(p.a)];                                                           \
        out[AT(p.y)] = conversion;                                                            \
    }

COPY(float_float, float, float, a)
COPY(float_uchar, float, uchar, (uchar)(int)between(a, p.s, p.t))
COPY(float_int, float, int, to_int(a, p.s, p.t))
COPY(uchar_float, uchar, float, (float)a)
COPY(uchar_uchar, uchar, uchar, a)
COPY(uchar_int, uchar, int, (int)a)
COPY(int_float, int, float, (float)a)
COPY(int_uchar, int, uchar, (uchar)(a > 0 ? (a < 255 ? a : 255) : 0))
COPY(int_int, int, int, a)

KERNEL1(fill_float, elementwise_args, GLOBAL float *, out)
{
    out[AT(p.y)] = p.s;
}

KERNEL1(fill_uchar, elementwise_args, GLOBAL uchar *, out)
{
    out[AT(p.y)] = (uchar)p.i;
}

KERNEL1(fill_int, elementwise_args, GLOBAL int *, out)
{
    out[AT(p.y)] = p.i;
}

/* y = s + t * position */
KERNEL1(arange, elementwise_args, GLOBAL float *, out)
{
    out[AT(p.y)] = p.s + p.t * (float)id0;
}

/* The same in integers. */
KERNEL1(arange_int, elementwise_args, GLOBAL int *, out)
{
    out[AT(p.y)] = (int)(p.first + p.step * id0);
}
