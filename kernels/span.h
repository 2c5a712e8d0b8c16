/* How the ids of a launch are cut into tasks, which whoever launches a kernel and the kernel agree on. */
#ifndef LUXEL_SPAN_H
#define LUXEL_SPAN_H

/* The ids that a task runs: id0 in [first, last), and (id1, id2) flattened to rows in [first_row, last_row). */
typedef struct {
    long first, last;
    long first_row, last_row;
    long size1;
} lx_span;

/* All ids, and tasks of `width` of id0 by `height` rows, of which there are `columns` side by side. */
typedef struct {
    long size0, size1, rows;
    long width, columns, height;
} lx_plan;

static inline lx_span lx_span_of(const lx_plan plan, const long task)
{
    lx_span span;
    span.first = task % plan.columns * plan.width;
    span.last = span.first + plan.width < plan.size0 ? span.first + plan.width : plan.size0;
    span.first_row = task / plan.columns * plan.height;
    span.last_row = span.first_row + plan.height < plan.rows ? span.first_row + plan.height : plan.rows;
    span.size1 = plan.size1;
    return span;
}

#endif
