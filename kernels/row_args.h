/* Parameters of the kernels that do something with each row of `size` numbers. */
#ifndef LX_ROW_ARGS_H
#define LX_ROW_ARGS_H

typedef struct {
    long size;
    float eps;  /* of a normalisation */
    int filler; /* see luxel.h */
} row_args;

#endif
