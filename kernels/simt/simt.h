/* What the kernels for GPUs share. They want work-groups and local memory, so that only OpenCL has them.
 *
 * A kernel is written as
 *
 *     #ifdef LX_WANT_scale
 *     GROUP_KERNEL(64) scale(BUFFER(const float, x), BUFFER(float, y), const scale_args p)
 *     {
 *         POINTER(const float, x);
 *         POINTER(float, y);
 *         ...
 *     }
 *     #endif
 *
 * because each is compiled alone, with LX_WANT_NAME and the options of its launch (options.h), as tile sizes. Its buffers come
 * with an offset in bytes each, its parameters last, as a struct of a header that the launching C function includes
 * too. All work-items of a group reach every barrier: none returns early, and those without work go along. */
#ifndef LX_SIMT_KERNELS_H
#define LX_SIMT_KERNELS_H

#include "luxel.h"

/* Before a loop that reads memory: several loads are then under way at a time. */
#define READ_AHEAD UNROLL_4

#endif
