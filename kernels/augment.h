#ifndef LX_AUGMENT_H
#define LX_AUGMENT_H

typedef struct {
    long channels, height, width;
    float scale, bias; /* of the grey values */
} augment_args;

#endif
