/* Decoded images in one file. It belongs to a list of image files as they are, by path, size and time of change, and to
   the way they were decoded: where any of that differs it is made anew. Images are mapped, so that what does not fit
   into memory is read when it is wanted; each is compared with its checksum once.

   The file: a header, the samples of the images one after the other, and last a table of where each is. It is made
   under a temporary name beside its own, and takes its place when it is complete. Several processes may make it at
   once: each has a file of its own, and the last one stays.

   Images whose files are of no use in themselves (LX_EFORMAT) are in there with the reason. No other failure is kept:
   it may pass, so it ends the making. */
#ifndef LX_IMAGE_CACHE_H
#define LX_IMAGE_CACHE_H

#include "store.h"

typedef struct lx_image_cache lx_image_cache;

/* The cache of these files in the file that the options name, made or not; NULL and an error if it cannot be made
   either, or if the file is something else than a cache. */
lx_image_cache *lx_image_cache_open(const lx_store_options *options, const char *const *files, long count,
                                    lx_error *error);
void lx_image_cache_close(lx_image_cache *cache);

bool lx_image_cache_ready(const lx_image_cache *cache); /* it is on disk */

/* It is being made: images may be added. Neither this nor ready: it was not to be completed. */
bool lx_image_cache_building(const lx_image_cache *cache);

/* Whether a complete cache has a reason instead of an image; it goes to `error`. Empty if it is damaged. */
bool lx_image_cache_refused(lx_image_cache *cache, long index, lx_error *error);

/* An image that stays valid until the cache is closed; false if it is not in there, or damaged. Any thread. */
bool lx_image_cache_get(lx_image_cache *cache, long index, lx_stored *image);

/* Adds an image, or why there is none, to a cache that is being made; LX_EIO if the disk is full, say. Any thread. */
lx_code lx_image_cache_add(lx_image_cache *cache, long index, const lx_stored *image, lx_error *error);
lx_code lx_image_cache_refuse(lx_image_cache *cache, long index, const char *reason, lx_error *error);

/* Completes the file, all images of which were added: the cache is ready. */
lx_code lx_image_cache_finish(lx_image_cache *cache, lx_error *error);

#endif
