/* Images by number, each decoded when it is first wanted and then kept: in memory up to a limit, or in one file on disk.

   Grey values are on the scale 0..255 whatever a file's depth: bytes, or float32 where a file has more than 8 bits. Every
   function may be called from several threads at once. */
#ifndef LX_STORE_H
#define LX_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "../image/plane.h"

typedef struct lx_store lx_store;

typedef struct {
    int channels;      /* 1 or 3 */
    int side;          /* larger images are reduced until their shorter side has so many pixels; 0: never */
    bool labels;       /* samples are bytes that name something, as those of masks, and are never mixed */
    size_t memory;     /* bytes of decoded images that are kept */
    const char *cache; /* file to keep all of them in, or NULL */
} lx_store_options;

/* An image of a store: `channels` planes that follow each other, to be given back. */
typedef struct {
    lx_plane plane; /* the first */
    int channels;
    void *owned; /* what giving back frees */
} lx_stored;

/* A store of files, with one reference; NULL and an error if memory is short. The paths are copied. A cache file that
   was made of the same files, as they are now, with the same options is used; otherwise lx_store_build makes it. */
lx_store *lx_store_open(const char *const *paths, long count, const lx_store_options *options, lx_error *error);

/* A store of images of one size that somebody holds, until give_back(owner). */
lx_store *lx_store_over(const lx_plane *first, long count, int channels, void (*give_back)(void *owner), void *owner,
                        lx_error *error);

lx_store *lx_store_retain(lx_store *store);
void lx_store_release(lx_store *store);

long lx_store_count(const lx_store *store);
int lx_store_channels(const lx_store *store);

/* Bytes of images in memory, and whether all of the store is on disk. */
size_t lx_store_memory(const lx_store *store);
bool lx_store_cached(const lx_store *store);

/* Whether a complete cache has an image. */
bool lx_store_has(const lx_store *store, long index);

/* Fills in an image; LX_EIO or LX_EFORMAT, with the file's name, where it cannot be read. */
lx_code lx_store_get(lx_store *store, long index, lx_stored *image, lx_error *error);
void lx_store_put(lx_stored *image);

/* Puts an image into the cache file that is being made; what cannot be read is left out of it. */
lx_code lx_store_add(lx_store *store, long index, lx_error *error);

/* The cache file takes its place, and the store uses it. Until then there is only a temporary file. */
lx_code lx_store_finish(lx_store *store, lx_error *error);

#endif
