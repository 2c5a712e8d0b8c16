/* Reductions for GPUs: of a dense [outer][size][inner] over its middle, and positions of extremes. Each work-item
 * goes through its part of a chunk with neighbours beside it on neighbouring addresses; then the group joins what
 * its work-items have, by halves. Groups: blocks of columns of chunks of outer. */
#include "simt/simt.h"
#include "simt/reduce.h"

/* Elements that a work-item joins one after another before they are joined to the others: it keeps rounding errors
 * from growing with the count. */
#define RUN 32

/* The place of a work-item. */
typedef struct {
    int id, slice;    /* in the group, and along the chunk */
    int present;      /* 0 if it only keeps others company */
    long row, column; /* of outer and inner */
    long chunk, end;  /* the chunk and the end of it */
    long first;       /* where it begins, along size */
} place;

static LX_ITEM place place_of(const reduce_groups_args p)
{
    place at;
    const uint group = (uint)GROUP_ID(0), blocks = (uint)p.blocks, rest = group / blocks;
    const int line = LOCAL_ID / p.across, block = line / p.along;
    at.id = LOCAL_ID;
    at.slice = line % p.along;
    at.row = (long)(rest / (uint)p.chunks) * p.together + block;
    at.column = (long)(group % blocks) * p.across + at.id % p.across;
    at.chunk = rest % (uint)p.chunks;
    at.first = at.chunk * p.chunk + at.slice;
    at.end = min((at.chunk + 1) * p.chunk, p.size);
    at.present = block < p.together;
    if (!at.present || at.row >= p.outer || at.column >= p.inner)
        at.end = 0;
    return at;
}

/* Whether the work-item is the one that writes. */
static LX_ITEM int writes(const place at, const reduce_groups_args p)
{
    return at.present && at.slice == 0 && at.row < p.outer && at.column < p.inner;
}

static LX_ITEM float join_sum(float a, float b)
{
    return a + b;
}

static LX_ITEM float join_prod(float a, float b)
{
    return a * b;
}

/* Extremes: a NaN on either side wins. */
static LX_ITEM float join_max(float a, float b)
{
    return b > a || b != b ? b : a;
}

static LX_ITEM float join_min(float a, float b)
{
    return b < a || b != b ? b : a;
}

/* How elements are joined, and what there is before the first. */
#ifndef JOIN
#define JOIN JOIN_SUM
#endif
#if JOIN == JOIN_SUM
#define JOINED join_sum
#define START 0.0f
#elif JOIN == JOIN_PROD
#define JOINED join_prod
#define START 1.0f
#elif JOIN == JOIN_MAX
#define JOINED join_max
#define START -INFINITY
#else
#define JOINED join_min
#define START INFINITY
#endif

/* The result is [outer][chunks][inner]; a mean has one chunk. */
#ifdef LX_WANT_reduce_groups
GROUP_KERNEL(REDUCE_ITEMS) reduce_groups(BUFFER(const float, x), BUFFER(float, y),
                                                   const reduce_groups_args p)
{
    POINTER(const float, x);
    POINTER(float, y);
    LOCAL float share[REDUCE_ITEMS];
    const place at = place_of(p);
    GLOBAL const float *from = x + at.row * p.size * p.inner + at.column;
    float total = START;
    for (long i = at.first; i < at.end;) {
        const long stop = min(i + RUN * p.along, at.end);
        float part = START;
        READ_AHEAD
        for (; i < stop; i += p.along)
            part = JOINED(part, from[i * p.inner]);
        total = JOINED(total, part);
    }
    share[at.id] = total;
    for (int width = p.along / 2; width > 0; width /= 2) {
        BARRIER();
        if (at.present && at.slice < width)
            share[at.id] = JOINED(share[at.id], share[at.id + width * p.across]);
    }
    total = share[at.id];
    if (writes(at, p))
        y[(at.row * p.chunks + at.chunk) * p.inner + at.column] = p.mean ? total / (float)p.size : total;
}
#endif

/* Whether the value at b is to be preferred: larger, or a NaN, or as good and before. No position is below 0. */
static LX_ITEM int beats(float b, int at_b, float a, int at_a)
{
    if (at_b < 0 || at_a < 0)
        return at_b >= 0;
    if (b > a || (b != b && a == a))
        return 1;
    return at_b < at_a && (b == a || (b != b && a != a));
}

/* Positions of extremes: [outer][chunks][inner] of them, from 1 if there is one chunk, else candidates from 0.
 * SMALLEST searches for the smallest. */
#ifdef SMALLEST
#define SIGN -1.0f
#else
#define SIGN 1.0f
#endif

#ifdef LX_WANT_search_groups
GROUP_KERNEL(REDUCE_ITEMS) search_groups(BUFFER(const float, x), BUFFER(const int, candidates),
                                                   BUFFER(int, y), const reduce_groups_args p)
{
    POINTER(const float, x);
    POINTER(const int, candidates);
    POINTER(int, y);
    LOCAL float values[REDUCE_ITEMS];
    LOCAL int positions[REDUCE_ITEMS];
    const place at = place_of(p);
    GLOBAL const float *from = x + at.row * p.whole * p.inner + at.column;
    GLOBAL const int *candidate = candidates + at.row * p.size * p.inner + at.column;
    float best = 0.0f;
    int position = -1;
    for (long i = at.first; i < at.end; i += p.along) {
        const int next = p.picked ? candidate[i * p.inner] : (int)i;
        const float value = SIGN * from[next * p.inner];
        if (beats(value, next, best, position)) {
            best = value;
            position = next;
        }
    }
    values[at.id] = best;
    positions[at.id] = position;
    for (int width = p.along / 2; width > 0; width /= 2) {
        BARRIER();
        const int other = at.id + width * p.across;
        if (at.present && at.slice < width &&
            beats(values[other], positions[other], values[at.id], positions[at.id])) {
            values[at.id] = values[other];
            positions[at.id] = positions[other];
        }
    }
    if (writes(at, p))
        y[(at.row * p.chunks + at.chunk) * p.inner + at.column] = positions[at.id] + (p.chunks == 1);
}
#endif
