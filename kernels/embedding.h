/* Parameters of the embedding kernels: `count` indices into `rows` rows of `columns` numbers. */
#ifndef LX_EMBEDDING_KERNELS_H
#define LX_EMBEDDING_KERNELS_H

/* Columns that a work-item of the gradient adds. */
#define EMBEDDING_COLUMNS 64

typedef struct {
    long count, rows, columns;
    long share; /* rows that a work-item of the gradient adds to */
} embedding_args;

#endif
