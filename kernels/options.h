/* What the compiler of an OpenCL driver is told of a kernel that is compiled for one case at a time; other kernels have none
 * of it, and neither have native ones. A field of 0 says nothing: the kernel's own default holds, which for flags is 0.
 *
 * C sets the fields, kernels see the names as macros, and csrc/device/opencl/programs.c makes one of the other. */
#ifndef LX_OPTIONS_H
#define LX_OPTIONS_H

#include <stdbool.h>

#define LX_BUILD_OPTIONS(X)                                                                                         \
    /* simt/conv2d.cl, matmul.cl, winograd.cl: a group's tile, the depth of a step, and a work-item's part */       \
    X(int, tile_m, TILE_M) X(int, tile_n, TILE_N) X(int, tile_k, TILE_K) X(int, item_m, ITEM_M)                     \
    X(int, item_n, ITEM_N)                                                                                          \
    /* simt/conv2d.cl: a plain input; backward-data with a stride; sizes for loops that are unrolled */             \
    X(bool, thin, THIN) X(bool, phases, PHASES) X(int, kernel_h, KERNEL_H) X(int, kernel_w, KERNEL_W)               \
    X(int, taps, TAPS)                                                                                              \
    /* simt/matmul.cl, tiles: operands whose neighbours in memory follow each other along the depth, and how many   \
     * of these are read at once; vectors: how many, and how they are shared out */                                 \
    X(bool, a_deep, A_DEEP) X(bool, b_deep, B_DEEP) X(int, a_wide, A_WIDE) X(int, b_wide, B_WIDE)                   \
    X(int, vectors, VECTORS) X(int, slices, SLICES) X(bool, lines_deep, LINES_DEEP) X(bool, few_rows, FEW_ROWS)     \
    /* simt/reduce.cl: how elements are joined (JOIN_... in simt/reduce.h); a search for the smallest */            \
    X(int, join, JOIN) X(bool, smallest, SMALLEST)                                                                  \
    /* simt/norm.cl: the blocked layout */                                                                          \
    X(bool, blocked, BLOCKED)                                                                                       \
    /* conv2d.cl: there is an even number of output blocks, of which work-items compute two each */                 \
    X(bool, always_two, ALWAYS_TWO)

typedef struct {
#define LX_OPTION(type, field, name) type field;
    LX_BUILD_OPTIONS(LX_OPTION)
#undef LX_OPTION
} lx_build_options;

static inline bool lx_same_options(const lx_build_options *a, const lx_build_options *b)
{
#define LX_SAME(type, field, name) && a->field == b->field
    return true LX_BUILD_OPTIONS(LX_SAME);
#undef LX_SAME
}

#endif
