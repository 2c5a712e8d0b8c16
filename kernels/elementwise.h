/* Parameters of the elementwise kernels: three dimensions of strides an operand, and what else the formula names. */
#ifndef LX_ELEMENTWISE_H
#define LX_ELEMENTWISE_H

typedef struct {
    long a[3], b[3], c[3], y[3]; /* strides in elements, of id0, id1, id2 */
    float s, t;                  /* numbers in the formula */
    int i;
    int filler; /* see kernels/luxel.h */
} elementwise_args;

#endif
