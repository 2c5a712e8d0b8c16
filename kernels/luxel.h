/* What lets one kernel text be OpenCL C 1.2 and C11 at once: all that differs between the two goes by the names below, which
 * dialect/opencl.h and dialect/c.h give.
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
 * whose result choose_lanes takes. load_codes and store_codes are for bytes, as ints of a mask. pair_sums adds neighbours
 * of one vector and then of another; interleave_lower and interleave_upper mix the halves of two.
 *
 * PREFETCH hints that memory will be read soon; PREFETCH_IN_C where that gains nothing through OpenCL.
 */
#ifndef LUXEL_KERNELS_H
#define LUXEL_KERNELS_H

#include "span.h"

/* Of whole numbers above 0. */
#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))

#define LX_IDS const long id0, const long id1, const long id2

/* Lanes of one vector or two, as lists: every other one, from the first or the second on; and the lower or the upper halves
 * of both, their elements alternating. */
#if LANES == 16
#define LX_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define LX_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LX_LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define LX_UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LX_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define LX_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define LX_LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define LX_UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LX_EVEN 0, 2, 4, 6
#define LX_ODD 1, 3, 5, 7
#define LX_LOWER 0, 4, 1, 5
#define LX_UPPER 2, 6, 3, 7
#endif

#if defined(__OPENCL_VERSION__) || defined(__OPENCL_C_VERSION__)
#include "dialect/opencl.h"
#else
#include "dialect/c.h"
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
#define LX_EACH9(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8) \
    LX_EACH8(X, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7) X(8, T8, a8)
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
#define KERNEL9(name, P, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8) \
    LX_DEFINE(name, P, LX_EACH9(LX_TAKEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8), \
              LX_EACH9(LX_PASSED, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8), \
              LX_EACH9(LX_GIVEN, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8), \
              LX_EACH9(LX_FOUND, T0, a0, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8))

#endif
