/* The dialect of kernels that is C11, for the cpu device: see luxel.h, which includes this. */
#ifndef LX_DIALECT_C_H
#define LX_DIALECT_C_H

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>

#include "../native.h"

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
#define PREFETCH(pointer) __builtin_prefetch(pointer)
#define PREFETCH_IN_C(pointer) __builtin_prefetch(pointer)
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

#define interleave_lower(a, b) __builtin_shufflevector((a), (b), LX_LOWER)
#define interleave_upper(a, b) __builtin_shufflevector((a), (b), LX_UPPER)

static LX_ITEM lanes pair_sums(lanes a, lanes b)
{
#if defined(__clang__)
    return __builtin_shufflevector(a, b, LX_EVEN) + __builtin_shufflevector(a, b, LX_ODD);
#else
    return __builtin_shuffle(a, b, (lanes_mask){LX_EVEN}) + __builtin_shuffle(a, b, (lanes_mask){LX_ODD});
#endif
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

/* See KERNEL1 in luxel.h: how a buffer is taken from the list of them, and its bit among those that may be written. */
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
