/* How a launch is cut into tasks for the threads of a processor. */
#ifndef LX_PARTITION_H
#define LX_PARTITION_H

#include "../../kernels/span.h"

enum { LX_TASKS_PER_THREAD = 8 }; /* so that an unlucky thread does not hold up the rest */

/* Cuts `size` ids that do about `work` operations in all into about `wanted` tasks; how many there are goes to *tasks.
 */
lx_partition lx_partition_ids(const long size[3], double work, long wanted, long *tasks);

#endif
