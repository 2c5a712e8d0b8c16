/* One image file as the planes that training wants. */
#ifndef LX_READ_H
#define LX_READ_H

#include "store.h"

/* Counts the ways in which this file read images so far: what was kept by another one is not used. */
enum { LX_READ_VERSION = 1 };

/* Decodes a file to 1 or 3 channels on the scale 0..255, reduced until the shorter side has `side` pixels (0: as it is). */
lx_code lx_read_image(const char *path, int channels, int side, lx_stored *image, lx_error *error);

#endif
