/* Parameters of the kernels that do something with each row of numbers: row_groups.h. */
#ifndef LX_SIMT_ROWS_H
#define LX_SIMT_ROWS_H

#define ROW_ITEMS 256 /* in a work-group */

/* `along` work-items, a power of two, share a row. */
typedef struct {
    long rows, size;
    int along;
    float eps; /* of a normalisation */
} row_groups_args;

#endif
