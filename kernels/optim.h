#ifndef LX_OPTIM_H
#define LX_OPTIM_H

typedef struct {
    float rate, momentum, dampening, weight_decay;
    int nesterov, first; /* first: the buffer is set, not updated */
} sgd_args;

typedef struct {
    float rate, beta1, beta2, epsilon, weight_decay;
    float rest1, rest2; /* 1 - beta, rounded once: 1.0f - 0.999f is off by 5e-5 of itself */
    float correction1, correction2; /* 1 - beta^step, and its root for the second */
    int decoupled;
} adam_args;

typedef struct {
    float rate, alpha, rest, epsilon, weight_decay, momentum; /* rest: 1 - alpha */
} rmsprop_args;

#endif
