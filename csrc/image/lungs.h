/* Where the lungs are in a frontal chest radiograph (see plane.h). */
#ifndef LX_LUNGS_H
#define LX_LUNGS_H

#include "plane.h"

typedef struct {
    int x, y, width, height; /* pixels from the top left corner */
} lx_rect;

/* The part of a frontal chest radiograph that has both lungs in it, air being dark. Takes what is darker than its
   surroundings on each side of the middle, and a margin around it; dark bars around the picture are left out. Where
   nothing is found, as in an even picture, it is all of the picture but these bars. Floats may be on any scale. */
lx_code lx_find_lungs(const lx_plane *in, lx_rect *box, lx_error *error);

#endif
