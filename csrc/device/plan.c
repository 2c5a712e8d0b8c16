#include "plan.h"

enum {
    PARALLEL_FROM = 32768, /* below this much work, waking threads costs more than it gives */
    TASKS_PER_THREAD = 8,  /* pieces that work is cut into, so that an unlucky thread does not hold up the rest */
    SPAN_MULTIPLE = 64     /* pieces of id0 start on such a multiple, so that vector loops have no ragged ends */
};

lx_plan lx_plan_tasks(const long size[3], double work, int threads, long *tasks)
{
    const long rows = size[1] * size[2];
    lx_plan plan = {size[0], size[1], rows, size[0], 1, rows};
    *tasks = 1;
    if (threads == 1 || work < PARALLEL_FROM)
        return plan;
    const long wanted = (long)threads * TASKS_PER_THREAD;
    if (rows >= wanted) {
        plan.height = (rows + wanted - 1) / wanted;
    } else {
        plan.height = 1;
        const long pieces = (wanted + rows - 1) / rows;
        plan.width = (size[0] + pieces - 1) / pieces;
        if (plan.width > 1 && work / ((double)size[0] * (double)rows) < 64)
            plan.width = (plan.width + SPAN_MULTIPLE - 1) / SPAN_MULTIPLE * SPAN_MULTIPLE;
        plan.columns = (size[0] + plan.width - 1) / plan.width;
    }
    *tasks = plan.columns * ((rows + plan.height - 1) / plan.height);
    return plan;
}
