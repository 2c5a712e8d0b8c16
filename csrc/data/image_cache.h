/* Decoded images in one file. It belongs to a list of image files as they are, by path, size and time of change, and to the
   way they were decoded: where any of that differs it is made anew. Images are mapped, so that what does not fit into
   memory is read when it is wanted; each is compared with its checksum once.

   The file: a header, the samples of the images one after the other, and last a table of where each is. It is made under a
   temporary name beside its own, and takes its place when it is complete. */
#ifndef LX_IMAGE_CACHE_H
#define LX_IMAGE_CACHE_H

#include "store.h"

typedef struct lx_image_cache lx_image_cache;

/* The cache of these files in the file `path`, made or not; NULL and an error if it cannot be made either. */
lx_image_cache *lx_image_cache_open(const char *path, const char *const *files, long count, int channels, int side,
                                    lx_error *error);
void lx_image_cache_close(lx_image_cache *cache);

bool lx_image_cache_ready(const lx_image_cache *cache); /* it is on disk */

bool lx_image_cache_has(const lx_image_cache *cache, long index);

/* An image that stays valid until the cache is closed; false if it is not in there, or damaged. Any thread. */
bool lx_image_cache_get(lx_image_cache *cache, long index, lx_stored *image);

/* Adds an image to a cache that is not ready; LX_EIO if the disk is full, say. Any thread. */
lx_code lx_image_cache_add(lx_image_cache *cache, long index, const lx_stored *image, lx_error *error);

/* Completes the file: the cache is ready. */
lx_code lx_image_cache_finish(lx_image_cache *cache, lx_error *error);

#endif
