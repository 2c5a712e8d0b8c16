#ifndef LX_LOSS_H
#define LX_LOSS_H

typedef struct {
    long columns;     /* pos_weight[i % columns]; 0: the number below */
    float pos_weight; /* weight of the positive class */
    int filler; /* see kernels/luxel.h */
} bce_args;

#endif
