/* Shapes: the largest and the smallest of neighbours, and what hangs together (see plane.h). */
#ifndef LX_MORPHOLOGY_H
#define LX_MORPHOLOGY_H

#include <stdbool.h>

#include "plane.h"

/* The neighbours that count: size x size (odd), all of them, a cross, or those in an ellipse as OpenCV draws it. */
typedef enum { LX_RECTANGLE, LX_CROSS, LX_ELLIPSE } lx_shape;

typedef enum {
    LX_ERODE,     /* the smallest of the neighbours; what is beyond the edge does not count */
    LX_DILATE,    /* the largest */
    LX_OPENING,   /* eroded, then dilated */
    LX_CLOSING,   /* dilated, then eroded */
    LX_GRADIENT,  /* dilated - eroded */
    LX_TOP_HAT,   /* the picture - its opening */
    LX_BLACK_HAT, /* its closing - the picture */
} lx_morph;

lx_code lx_morphology(const lx_plane *in, lx_plane *out, lx_morph how, lx_shape shape, int size, lx_error *error);

/* A group of samples that are not 0 and hang together. */
typedef struct {
    long area;                 /* pixels */
    int left, top, right, low; /* the first and the last columns and rows */
    double x, y;               /* the mean column and row */
} lx_component;

/* Numbers the groups 1, 2, ... in the order in which rows meet them, 0 for none, into `labels`; with `diagonal`,
   pixels hang together over corners too. `components` is to be freed. */
lx_code lx_connected_components(const lx_plane *in, bool diagonal, int32_t *labels, lx_component **components,
                                long *count, lx_error *error);

#endif
