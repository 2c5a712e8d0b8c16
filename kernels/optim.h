#ifndef LX_OPTIM_H
#define LX_OPTIM_H

typedef struct {
    float rate, momentum, dampening, weight_decay;
    int nesterov, first; /* first: the buffer is set, not updated */
} sgd_args;

typedef struct {
    float rate, beta1, beta2, epsilon, weight_decay;
    float correction1, correction2; /* 1 - beta^step, and its root for the second */
    int decoupled;
} adam_args;

typedef struct {
    float rate, alpha, epsilon, weight_decay, momentum;
} rmsprop_args;

#endif
