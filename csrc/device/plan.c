#include "plan.h"

#include "../base/count.h"

/* Pieces of id0 start on such a multiple, so that vector loops have no ragged ends. */
enum { SPAN_MULTIPLE = 64 };

lx_plan lx_plan_tasks(const long size[3], double work, long wanted, long *tasks)
{
    const long rows = size[1] * size[2];
    lx_plan plan = {size[0], size[1], rows, size[0], 1, rows};
    *tasks = 1;
    if (wanted <= 1)
        return plan;
    if (rows >= wanted) {
        plan.height = lx_ceil_div(rows, wanted);
    } else {
        plan.height = 1;
        const long pieces = lx_ceil_div(wanted, rows);
        plan.width = lx_ceil_div(size[0], pieces);
        if (plan.width > 1 && work / ((double)size[0] * (double)rows) < 64)
            plan.width = lx_ceil_div(plan.width, SPAN_MULTIPLE) * SPAN_MULTIPLE;
        plan.columns = lx_ceil_div(size[0], plan.width);
    }
    *tasks = plan.columns * lx_ceil_div(rows, plan.height);
    return plan;
}
