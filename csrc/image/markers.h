/* Text and markers that are burned into a radiograph, or lay on it when it was taken: letters for the side, times,
   names of devices (see plane.h). */
#ifndef LX_MARKERS_H
#define LX_MARKERS_H

#include "plane.h"

enum { LX_MOST_MARKERS = 16 };

typedef struct {
    int x, y, width, height; /* in pixels of the picture */
    double contrast;         /* levels above what is around it */
} lx_marker;

/* Finds small, bright groups with sharp edges in the outer parts of a plane of levels 0..255, those of a line of text
   as one; the LX_MOST_MARKERS of the most contrast, in the order of rows. */
lx_code lx_find_markers(const lx_plane *in, lx_marker markers[LX_MOST_MARKERS], int *count, lx_error *error);

#endif
