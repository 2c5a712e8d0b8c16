/* What an image loses on the way through a JPEG file. */
#ifndef LX_JPEG_LOSS_H
#define LX_JPEG_LOSS_H

#include "plane.h"

/* The levels of 0..255 after baseline JPEG of a quality of 1 to 100, as libjpeg counts it, as a grey image. `in` and
   `out` are of one size and type; floats are rounded to bytes first and come out whole. */
void lx_jpeg_loss(const lx_plane *in, lx_plane *out, int quality);

#endif
