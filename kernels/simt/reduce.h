/* Parameters of the kernels in simt/reduce.cl. */
#ifndef LX_SIMT_REDUCE_H
#define LX_SIMT_REDUCE_H

#define REDUCE_ITEMS 256 /* in a work-group */

/* How elements are joined. */
#define JOIN_SUM 0
#define JOIN_PROD 1
#define JOIN_MAX 2
#define JOIN_MIN 3

/* A dense [outer][size][inner], reduced over `size` in chunks. Of a group's work-items `across` lie side by side
 * along inner, `along` of those rows share a chunk, and `together` such blocks take neighbours of outer. */
typedef struct {
    long outer, size, inner;
    long chunk, chunks;
    long blocks;         /* of columns: inner / across, rounded up */
    long whole;          /* searches: what `size` was at first, as the candidates may be fewer by now */
    int across, along;   /* along is a power of two */
    int together;
    int mean;            /* sums: divide by size; chunks is 1 */
    int picked;          /* searches: what is searched are candidates */
    int filler; /* see kernels/luxel.h */
} reduce_groups_args;

#endif
