/* What the kernels for GPUs share. They want work-groups and local memory, so that only OpenCL has them.
 *
 * A kernel is written as
 *
 *     #ifdef LX_WANT_scale
 *     __kernel GROUP_OF(64) void scale(BUFFER(const float, x), BUFFER(float, y), const scale_args p)
 *     {
 *         POINTER(const float, x);
 *         POINTER(float, y);
 *         ...
 *     }
 *     #endif
 *
 * because each is compiled alone, with -DLX_WANT_NAME and what else its launch says, as tile sizes. Its buffers come
 * with an offset in bytes each, its parameters last, as a struct of a header that the launching C function includes
 * too. All work-items of a group reach every barrier: none returns early, and those without work go along. */
#ifndef LX_SIMT_KERNELS_H
#define LX_SIMT_KERNELS_H

#include "luxel.h"

#define LOCAL __local

/* Before a loop that reads memory: several loads are then under way at a time. */
#define READ_AHEAD _Pragma("unroll 4")

/* The number of work-items in a group of the kernel. */
#define GROUP_OF(items) __attribute__((reqd_work_group_size(items, 1, 1)))

/* A buffer among the parameters of a kernel, and in its body the pointer to where the tensor in it starts. */
#define BUFFER(type, name) GLOBAL type *name##_buffer, ulong name##_offset
#define POINTER(type, name) GLOBAL type *name = LX_AT(GLOBAL type *, name##_buffer, name##_offset)

#endif
