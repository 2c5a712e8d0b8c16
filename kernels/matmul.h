/* Parameters of the kernels in matmul.cl. */
#ifndef LUXEL_MATMUL_KERNELS_H
#define LUXEL_MATMUL_KERNELS_H

/* The strip form: a register tile is MATMUL_ROWS rows by MATMUL_VECTORS vectors of the result, and a strip of b is as
 * wide as a tile. A work-item keeps MATMUL_DEPTH rows of a strip at hand, or of up to MATMUL_STRIPS strips if b has
 * fewer rows. */
#define MATMUL_ROWS(lanes) ((lanes) == 16 ? 8 : (lanes) == 8 ? 6 : 4)
#define MATMUL_VECTORS 2
#define MATMUL_DEPTH 256
#define MATMUL_STRIPS 8
#define MATMUL_PACK_DEPTH 128 /* of a, for a work-item that packs it */

/* The dot form: a register tile is MATMUL_DOT_ROWS by MATMUL_DOT_COLUMNS elements, each a vector until its lanes are
 * summed at the end of MATMUL_DOT_DEPTH; the number of elements is a multiple of the lanes. */
#define MATMUL_DOT_ROWS 4
#define MATMUL_DOT_COLUMNS(lanes) ((lanes) == 16 ? 4 : 2)
#define MATMUL_DOT_DEPTH 1024

/* y[batch][rows][columns] = a b. The depth is cut into chunks whose products are [batch][chunk][rows][columns]. */
typedef struct {
    long rows, columns, depth;
    long a_row, a_depth, a_batch; /* strides in elements; for a packed a, a_batch alone counts */
    long b_depth, b_column, b_batch;
    long chunks, chunk_depth;
    long block_rows;    /* of a work-item */
    long block_columns; /* strip form: a multiple of a strip; dot form: of a tile */
    int bias, activation; /* matmul_finish; of kernels/activation.h */
} matmul_args;

#endif
