#include "partition.h"

#include "../base/count.h"

/* Pieces of id0 start on such a multiple, so that vector loops have no ragged ends. */
enum { SPAN_MULTIPLE = 64 };

lx_partition lx_partition_ids(const long size[3], double work, long wanted, long *tasks)
{
    const long rows = size[1] * size[2];
    lx_partition partition = {size[0], size[1], rows, size[0], 1, rows};
    *tasks = 1;
    if (wanted <= 1)
        return partition;
    if (rows >= wanted) {
        partition.height = lx_ceil_div(rows, wanted);
    } else {
        partition.height = 1;
        const long pieces = lx_ceil_div(wanted, rows);
        partition.width = lx_ceil_div(size[0], pieces);
        if (partition.width > 1 && work / ((double)size[0] * (double)rows) < 64)
            partition.width = lx_ceil_div(partition.width, SPAN_MULTIPLE) * SPAN_MULTIPLE;
        partition.columns = lx_ceil_div(size[0], partition.width);
    }
    *tasks = partition.columns * lx_ceil_div(rows, partition.height);
    return partition;
}
