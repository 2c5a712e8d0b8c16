/* Picking by indices along the middle of a dense [outer][size][inner], and the reverse, which adds. Indices are int32
 * and count from 1. One out of range picks p.absent and adds nothing: gather_check finds it first where that takes
 * no wait. */
#include "gather.h"
#include "luxel.h"

/* The place of the first number of a chunk that is not from p.low to p.size, or -1. id0: chunk. */
KERNEL2(gather_check, gather_args, GLOBAL const int *, index, GLOBAL int *, bad)
{
    const long first = id0 * GATHER_CHECK_CHUNK;
    const long left = p.count - first, count = left < GATHER_CHECK_CHUNK ? left : GATHER_CHECK_CHUNK;
    int found = -1;
    for (long i = count - 1; i >= 0; i--)
        if (index[first + i] < p.low || index[first + i] > p.size)
            found = (int)i;
    bad[id0] = found;
}

/* index_select: index is [count]. id0: inner; id1: index; id2: outer.
 * take_along: index is [outer][count][inner]. id0: count and inner; id1: outer.
 * The types are those of an element's bytes: an int stands for float32 too. */
#define PICK(type) \
    KERNEL3(index_select_##type, gather_args, GLOBAL const type *, x, GLOBAL const int *, index, GLOBAL type *, y) \
    { \
        const long from = index[id1]; \
        y[(id2 * p.count + id1) * p.inner + id0] = \
            from >= 1 && from <= p.size ? x[(id2 * p.size + from - 1) * p.inner + id0] : (type)p.absent; \
    } \
    KERNEL3(take_along_##type, gather_args, GLOBAL const type *, x, GLOBAL const int *, index, GLOBAL type *, y) \
    { \
        const long at = id1 * p.count * p.inner + id0, column = p.inner == 1 ? 0 : id0 % p.inner; \
        const long from = index[at]; \
        y[at] = from >= 1 && from <= p.size ? x[(id1 * p.size + from - 1) * p.inner + column] : (type)p.absent; \
    }
PICK(int)
PICK(uchar)

/* Adds row i of src to row index[i] of y, in the order of i. id0: group of columns; id1: outer. */
KERNEL3(index_add, gather_args, GLOBAL const float *, src, GLOBAL const int *, index, GLOBAL float *, y)
{
    const long first = id0 * GATHER_ADD_VECTORS * LANES;
    const long last = first + GATHER_ADD_VECTORS * LANES <= p.inner ? first + GATHER_ADD_VECTORS * LANES : p.inner;
    for (long i = 0; i < p.count; i++) {
        if (index[i] < 1 || index[i] > p.size)
            continue;
        GLOBAL const float *from = src + (id1 * p.count + i) * p.inner;
        GLOBAL float *to = y + (id1 * p.size + index[i] - 1) * p.inner;
        long column = first;
        for (; column + LANES <= last; column += LANES)
            store_lanes(load_lanes(to + column) + load_lanes(from + column), to + column);
        for (; column < last; column++)
            to[column] += from[column];
    }
}

/* Adds src[i] to y[index[i]] along each line, in the order of i. id0: inner; id1: outer. */
KERNEL3(scatter_along, gather_args, GLOBAL const float *, src, GLOBAL const int *, index, GLOBAL float *, y)
{
    GLOBAL float *line = y + id1 * p.size * p.inner + id0;
    for (long i = 0; i < p.count; i++) {
        const long at = (id1 * p.count + i) * p.inner + id0;
        if (index[at] >= 1 && index[at] <= p.size)
            line[(index[at] - 1) * p.inner] += src[at];
    }
}

/* Which element of a line of indices, from 1, is the last that names a place: 0 where none does. id0: inner; id1: outer. */
KERNEL2(last_along, gather_args, GLOBAL const int *, index, GLOBAL int *, y)
{
    GLOBAL int *line = y + id1 * p.size * p.inner + id0;
    for (long i = 0; i < p.size; i++)
        line[i * p.inner] = 0;
    for (long i = 0; i < p.count; i++) {
        const int place = index[(id1 * p.count + i) * p.inner + id0];
        if (place >= 1 && place <= p.size)
            line[(place - 1) * p.inner] = (int)i + 1;
    }
}
