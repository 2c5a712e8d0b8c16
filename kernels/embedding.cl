/* Rows of a table by their indices, from 1, and the gradient for the table. */
#include "embedding.h"
#include "luxel.h"

/* id0: column, id1: index */
KERNEL3(embedding, embedding_args, GLOBAL const float *, weight, GLOBAL const int *, indices, GLOBAL float *, y)
{
    y[id1 * p.columns + id0] = weight[(indices[id1] - 1) * p.columns + id0];
}

/* id0: group of columns, id1: share of the table's rows, which start at 0. Each work-item goes through the indices in
 * order and adds those that name its rows, so that sums have one order. */
KERNEL3(embedding_backward, embedding_args, GLOBAL const float *, dy, GLOBAL const int *, indices,
        GLOBAL float *, dweight)
{
    const long column = id0 * EMBEDDING_COLUMNS, left = p.columns - column;
    const long columns = left < EMBEDDING_COLUMNS ? left : EMBEDDING_COLUMNS;
    const long first = id1 * p.share, last = first + p.share;
    for (long i = 0; i < p.count; i++) {
        const long row = indices[i] - 1;
        if (row < first || row >= last)
            continue;
        GLOBAL const float *from = dy + i * p.columns + column;
        GLOBAL float *to = dweight + row * p.columns + column;
        for (long c = 0; c < columns; c++)
            to[c] += from[c];
    }
}
