/* One image file as the planes that training wants. */
#ifndef LX_READ_H
#define LX_READ_H

#include "store.h"

/* Counts the ways in which this file read images so far: what was kept by another one is not used. */
enum { LX_READ_VERSION = 2 };

/* Decodes a file on the scale 0..255, with the channels, the size and the kind of samples that a store wants. */
lx_code lx_read_image(const char *path, const lx_store_options *options, lx_stored *image, lx_error *error);

/* What samples that somebody holds are known by; never 0. */
uint64_t lx_hash_samples(const void *samples, size_t size);

#endif
