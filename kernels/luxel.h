/* What lets one kernel text be OpenCL C 1.2 and C11 at once.
 *
 * A kernel is written as
 *
 *     KERNEL2(scale, scale_args, GLOBAL const float *, x, GLOBAL float *, y)
 *     {
 *         y[id0] = x[id0] * p.factor;
 *     }
 *
 * that is: the number of buffers, the name, the struct of its scalar parameters (declared in the header of the
 * same family, which the C function that launches it includes too), and each buffer's type and name. The body is
 * one work-item: it sees its ids as id0, id1, id2, the buffers, and the parameters as p. It must not depend on
 * the order of work-items.
 *
 * In C it becomes a function that walks a span of ids, so that the compiler inlines the body into the loop over id0
 * and vectorises it; it is compiled once per instruction set (LX_ISA, LANES) and named lx_kernel_NAME_ISA. In OpenCL
 * it becomes a __kernel in which each buffer is followed by its offset in bytes (OpenCL 1.2 cannot point into a buffer
 * otherwise). For processors a work-item of that walks a span too, so that the driver compiles the same loops; for
 * GPUs (LX_SIMT) each id is a work-item. Kernels that want work-groups and local memory are in kernels/simt/.
 *
 * Kernels of a file are compiled for OpenCL together. For GPUs, a large one is compiled alone: it stands between
 * `#if defined(LX_WANT_ALL) || defined(LX_WANT_scale)` and `#endif`.
 *
 * A struct of parameters has no bytes without a name (`filler` where it would have some): recorded launches are compared
 * byte by byte.
 *
 * LX_ITEM stands before functions that are to be inlined, LX_APART before large ones that are worth a call where drivers
 * compile them while somebody waits.
 *
 * UNROLL stands before a loop whose trip count is a constant, AT_THE_EDGE before one that runs seldom or briefly, over
 * which compilers need not take long.
 *
 * `lanes` is a vector of LANES floats: load_lanes, store_lanes, splat, the arithmetic operators, and comparisons,
 * whose result choose_lanes takes. load_codes and store_codes are for bytes, as ints of a mask.
 */
#ifndef LUXEL_KERNELS_H
#define LUXEL_KERNELS_H

#include "span.h"

#define LX_IDS const long id0, const long id1, const long id2

#if defined(__OPENCL_VERSION__) || defined(__OPENCL_C_VERSION__) /* ------------------------------------------------------------------ OpenCL C 1.2 */

#define GLOBAL __global
#define LX_JOIN_LANES_(type, n) type##n
#define LX_JOIN_LANES2(type, n) LX_JOIN_LANES_(type, n)
#define LX_JOIN_LANES(type) LX_JOIN_LANES2(type, LANES)
#define LX_ITEM inline __attribute__((always_inline))
#define UNROLL _Pragma("unroll")
#define AT_THE_EDGE _Pragma("clang loop vectorize(disable) unroll(disable)")

#ifdef LX_SIMT
/* A work-item each; there are more than ids at the edges, and fewer where a device limits their number. */
#define LX_WALKER inline
#define LX_APART inline
#define LX_WALK(call) \
    for (long id2 = (long)get_global_id(2); id2 < plan.rows / plan.size1; id2 += (long)get_global_size(2)) \
        for (long id1 = (long)get_global_id(1); id1 < plan.size1; id1 += (long)get_global_size(1)) \
            for (long id0 = (long)get_global_id(0); id0 < plan.size0; id0 += (long)get_global_size(0)) \
                call;
#else
/* A work-item is a task of many ids, as on the cpu device. PoCL makes several copies of a kernel, one for each way in
 * which it may be started; what is not inlined into it is compiled once. */
#define LX_WALKER __attribute__((noinline))
#define LX_APART __attribute__((noinline))
#define LX_WALK(call) \
    const lx_span span = lx_span_of(plan, task); \
    for (long row = span.first_row; row < span.last_row; row++) { \
        const long id1 = row % plan.size1, id2 = row / plan.size1; \
        _Pragma("clang loop vectorize(assume_safety)") \
        for (long id0 = span.first; id0 < span.last; id0++) \
            call; \
    }
#endif
#define LX_AT(type, buffer, offset) (type)((GLOBAL char *)(buffer) + (offset))

#if LANES == 16
typedef float16 lanes;
#define load_lanes(pointer) vload16(0, (pointer))
#define store_lanes(value, pointer) vstore16((value), 0, (pointer))
#elif LANES == 8
typedef float8 lanes;
#define load_lanes(pointer) vload8(0, (pointer))
#define store_lanes(value, pointer) vstore8((value), 0, (pointer))
#else
typedef float4 lanes;
#define load_lanes(pointer) vload4(0, (pointer))
#define store_lanes(value, pointer) vstore4((value), 0, (pointer))
#endif
#define splat(value) ((lanes)(value))
typedef LX_JOIN_LANES(int) lanes_mask;
#define choose_lanes(mask, yes, no) select((no), (yes), (mask))
#define LX_CONVERT(type) LX_JOIN_LANES(convert_##type)
/* PoCL's convert_ functions go by single elements, the compiler's own way does not. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_convertvector)
#define LX_AS_LANES(values, type) __builtin_convertvector((values), LX_JOIN_LANES(type))
#endif
#endif
#ifndef LX_AS_LANES
#define LX_AS_LANES(values, type) LX_CONVERT(type)(values)
#endif
#define load_codes(pointer) LX_AS_LANES(LX_JOIN_LANES(vload)(0, (pointer)), int)
#define store_codes(codes, pointer) LX_JOIN_LANES(vstore)(LX_AS_LANES(codes, uchar), 0, (pointer))

/* See KERNEL1 below: how a buffer becomes two parameters, and these a pointer. */
#define LX_GIVEN(n, type, name) type b##n, ulong o##n,
#define LX_FOUND(n, type, name) LX_AT(type, b##n, o##n),
#define LX_DEFINE(name, P, taken, passed, given, found) \
    static void name##_item(LX_IDS, taken const P p); \
    static LX_WALKER void name##_walk(long task, taken const P p, const lx_plan plan) \
    { \
        LX_WALK(name##_item(id0, id1, id2, passed p)) \
    } \
    __kernel void name(given const P p, const lx_plan plan) \
    { \
        name##_walk((long)get_global_id(0), found p, plan); \
    } \
    static void name##_item(LX_IDS, taken const P p)

#else /* ------------------------------------------------------------------------------- C, for the cpu device */

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>

#include "native.h"

#define LX_WANT_ALL
#define GLOBAL
typedef unsigned char uchar;
typedef unsigned int uint;
typedef unsigned long ulong;

#define LX_ITEM inline __attribute__((always_inline, unused))
#define LX_APART LX_ITEM
#define LX_JOIN_(a, b, c) a##b##_##c
#define LX_JOIN(a, b, c) LX_JOIN_(a, b, c)
#define LX_NATIVE(name) LX_JOIN(lx_kernel_, name, LX_ISA)
#define LX_WRITES(name) LX_JOIN(lx_writes_, name, LX_ISA)
/* Whether a kernel may write a buffer of the type: bit i of the constant beside each kernel tells it of buffer i. */
#define LX_MAY_WRITE(type) (unsigned)_Generic((type)0, const float *: 0, const int *: 0, const uchar *: 0, default: 1)
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define AT_THE_EDGE _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define AT_THE_EDGE
#endif

/* Work-items are independent, which the compiler cannot know: it may reorder and vectorise them. */
#if defined(__clang__)
#define LX_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LX_INDEPENDENT _Pragma("GCC ivdep")
#endif

#define LX_WALK(call) \
    for (long row = span->first_row; row < span->last_row; row++) { \
        const long id1 = row % span->size1, id2 = row / span->size1; \
        LX_INDEPENDENT \
        for (long id0 = span->first; id0 < span->last; id0++) \
            call; \
    }

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int lanes_mask __attribute__((vector_size(4 * LANES)));
typedef float lanes_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static LX_ITEM lanes load_lanes(const float *pointer)
{
    return *(const lanes_anywhere *)pointer;
}

static LX_ITEM void store_lanes(lanes value, float *pointer)
{
    *(lanes_anywhere *)pointer = value;
}

static LX_ITEM lanes splat(float value)
{
    return value - (lanes){0}; /* minus, because 0 + -0 is 0: the compiler would have to add */
}

/* Per lane: yes where the comparison that made the mask held, else no. */
static LX_ITEM lanes choose_lanes(lanes_mask mask, lanes yes, lanes no)
{
    return (lanes)(((lanes_mask)yes & mask) | ((lanes_mask)no & ~mask));
}

typedef unsigned char lanes_bytes __attribute__((vector_size(LANES)));
/* By name where there is an instruction, for GCC takes the bytes apart one by one. */
static LX_ITEM lanes_mask load_codes(const uchar *pointer)
{
#if defined(__AVX512F__) && LANES == 16
    return (lanes_mask)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)pointer));
#elif defined(__AVX2__) && LANES == 8
    return (lanes_mask)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)pointer));
#else
    lanes_bytes bytes;
    memcpy(&bytes, pointer, LANES);
    return __builtin_convertvector(bytes, lanes_mask);
#endif
}

static LX_ITEM void store_codes(lanes_mask codes, uchar *pointer)
{
    const lanes_bytes bytes = __builtin_convertvector(codes, lanes_bytes);
    memcpy(pointer, &bytes, LANES);
}

/* OpenCL's single-precision functions under C's names. */
#define exp(x) lx_exp(x)
#define expm1(x) expm1f(x)
#define log(x) logf(x)
#define log1p(x) log1pf(x)
#define sqrt(x) sqrtf(x)
#define rsqrt(x) (1.0f / sqrtf(x))
#define sin(x) sinf(x)
#define cos(x) cosf(x)
#define tanh(x) tanhf(x)
#define erf(x) erff(x)
#define pow(x, y) powf(x, y)
#define floor(x) floorf(x)
#define ceil(x) ceilf(x)
#define rint(x) rintf(x)
#define fabs(x) fabsf(x)
#define fmod(x, y) fmodf(x, y)

/* e^x without a call, so that loops over it vectorise: 2^n times a polynomial on the remainder (the reduction
 * and coefficients of Moshier's Cephes library). Within 2 ulp; results below the least normal number are 0. */
static LX_ITEM float lx_exp(float x)
{
    const float limited = x < -88.0f ? -88.0f : x > 89.0f ? 89.0f : x;
    const float n = (limited * 1.44269504f + 12582912.0f) - 12582912.0f;
    const float r = limited - n * 0.693359375f + n * 2.12194440e-4f;
    float q = 1.9875691500e-4f;
    q = q * r + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    q = q * r * r + r + 1.0f;
    const int whole = n == n ? (int)n : 0;
    const int half = whole / 2;
    union {
        int bits;
        float value;
    } first = {(half + 127) << 23}, second = {(whole - half + 127) << 23};
    return x < -87.336544f ? 0.0f : q * first.value * second.value;
}

/* See KERNEL1 below: how a buffer is taken from the list of them, and its bit among those that may be written. */
#define LX_GIVEN(n, type, name) type name = (type)buffers[n];
#define LX_FOUND(n, type, name) | LX_MAY_WRITE(type) << n
#define LX_DEFINE(name, P, taken, passed, given, found) \
    static LX_ITEM void name##_item(LX_IDS, taken const P p); \
    const unsigned LX_WRITES(name) = 0u found; \
    void LX_NATIVE(name)(const lx_span *span, void *const *buffers, const void *params) \
    { \
        const P p = *(const P *)params; \
        given \
        LX_WALK(name##_item(id0, id1, id2, passed p)) \
    } \
    static LX_ITEM void name##_item(LX_IDS, taken const P p)

#endif

/* LX_EACHn(X, ...) is X(its number, type, name) of each of n buffers, for OpenCL C 1.2 has no macros of any number of
 * arguments. KERNELn gives LX_DEFINE of either language the lists that it puts together. */
#define LX_EACH1(X, T0, a0) X(0, T0, a0)
#define LX_EACH2(X, T0, a0, T1, a1) LX_EACH1(X, T0, a0) X(1, T1, a1)
#define LX_EACH3(X, T0, a0, T1, a1, T2, a2) LX_EACH2(X, T0, a0, T1, a1) X(2, T2, a2)
#define LX_EACH4(X, T0, a0, T1, a1, T2, a2, T3, a3) LX_EACH3(X, T0, a0, T1, a1, T2, a2) X(3, T3, a3)
#define LX_EACH5(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4) LX_EACH4(X, T0, a0, T1, a1, T2, a2, T3, a3) X(4, T4, a4)
#define LX_EACH6(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5) \
    LX_EACH5(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4) X(5, T5, a5)
#define LX_EACH7(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6) \
    LX_EACH6(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5) X(6, T6, a6)
#define LX_EACH8(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7) \
    LX_EACH7(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6) X(7, T7, a7)
#define LX_TAKEN(n, type, name) type name,
#define LX_PASSED(n, type, name) name,

#define KERNEL1(name, P, T0, a0) \
    LX_DEFINE(name, P, LX_EACH1(LX_TAKEN, T0, a0), \
              LX_EACH1(LX_PASSED, T0, a0), \
              LX_EACH1(LX_GIVEN, T0, a0), \
              LX_EACH1(LX_FOUND, T0, a0))
#define KERNEL2(name, P, T0, a0, T1, a1) \
    LX_DEFINE(name, P, LX_EACH2(LX_TAKEN, T0, a0, T1, a1), \
              LX_EACH2(LX_PASSED, T0, a0, T1, a1), \
              LX_EACH2(LX_GIVEN, T0, a0, T1, a1), \
              LX_EACH2(LX_FOUND, T0, a0, T1, a1))
#define KERNEL3(name, P, T0, a0, T1, a1, T2, a2) \
    LX_DEFINE(name, P, LX_EACH3(LX_TAKEN, T0, a0, T1, a1, T2, a2), \
              LX_EACH3(LX_PASSED, T0, a0, T1, a1, T2, a2), \
              LX_EACH3(LX_GIVEN, T0, a0, T1, a1, T2, a2), \
              LX_EACH3(LX_FOUND, T0, a0, T1, a1, T2, a2))
#define KERNEL4(name, P, T0, a0, T1, a1, T2, a2, T3, a3) \
    LX_DEFINE(name, P, LX_EACH4(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3), \
              LX_EACH4(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3), \
              LX_EACH4(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3), \
              LX_EACH4(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3))
#define KERNEL5(name, P, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4) \
    LX_DEFINE(name, P, LX_EACH5(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4), \
              LX_EACH5(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4), \
              LX_EACH5(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4), \
              LX_EACH5(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4))
#define KERNEL6(name, P, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5) \
    LX_DEFINE(name, P, LX_EACH6(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5), \
              LX_EACH6(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5), \
              LX_EACH6(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5), \
              LX_EACH6(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5))
#define KERNEL7(name, P, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6) \
    LX_DEFINE(name, P, LX_EACH7(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6), \
              LX_EACH7(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6), \
              LX_EACH7(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6), \
              LX_EACH7(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6))
#define KERNEL8(name, P, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7) \
    LX_DEFINE(name, P, LX_EACH8(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7), \
              LX_EACH8(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7), \
              LX_EACH8(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7), \
              LX_EACH8(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7))

#endif
