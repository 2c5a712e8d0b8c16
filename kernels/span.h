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
} lx_partition;

static inline lx_span lx_span_of(const lx_partition partition, const long task)
{
    lx_span span;
    span.first = task % partition.columns * partition.width;
    span.last = span.first + partition.width < partition.size0 ? span.first + partition.width : partition.size0;
    span.first_row = task / partition.columns * partition.height;
    span.last_row = span.first_row + partition.height < partition.rows ? span.first_row + partition.height : partition.rows;
    span.size1 = partition.size1;
    return span;
}

#endif
