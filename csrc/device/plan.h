/* How a launch is cut into tasks for the threads of a processor. */
#ifndef LX_PLAN_H
#define LX_PLAN_H

#include "../../kernels/span.h"

/* Cuts `size` ids that do about `work` operations in all; the number of tasks goes to *tasks. */
lx_plan lx_plan_tasks(const long size[3], double work, int threads, long *tasks);

#endif
