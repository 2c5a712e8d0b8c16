#ifndef LX_RANDOM_H
#define LX_RANDOM_H

/* Numbers come in fours: element i is word i % 4 of counter (i / 4, stream). */
typedef struct {
    unsigned long seed, stream;
    long count;
    float low, span, keep; /* of what is drawn; keep: the share of elements that dropout leaves */
    int first;             /* whole numbers: first, first + 1, ..., */
    long range;            /* so many of them */
    long channels, blocks, plane; /* dropout: channels, blocks of LANES (0: plain layout), elements of a plane */
} random_args;

#endif
