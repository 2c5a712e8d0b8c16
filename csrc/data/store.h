/* Images by number, each decoded when it is first wanted and then kept: in memory up to a limit, or in one file on
   disk.

   Grey values are on the scale 0..255 whatever a file's depth: bytes, or float32 where a file has more than 8 bits.
   Every function may be called from several threads at once. */
#ifndef LX_STORE_H
#define LX_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "../image/plane.h"

typedef struct lx_store lx_store;

typedef struct {
    int channels;      /* 1 or 3 */
    int square;        /* images become so many pixels wide and high, whatever their shape; 0: they keep it */
    int side;          /* larger images are reduced until their shorter side has so many pixels; 0: never */
    bool bytes;        /* deep files too become bytes, as they are shown */
    bool lungs;        /* the part with both lungs alone (image/lungs.h), before anything is resized */
    bool labels;       /* samples are bytes that name something, as those of masks, and are never mixed */
    size_t memory;     /* bytes of decoded images that are kept */
    const char *cache; /* file to keep all of them in, or NULL */
} lx_store_options;

/* An image of a store: `channels` planes that follow each other, to be given back. */
typedef struct {
    lx_plane plane; /* the first */
    int channels;
    void *owned;   /* what giving back frees */
    uint64_t hash; /* of the decoded pixels, before their size was changed; 0: not known */
} lx_stored;

/* A store of files, with one reference; NULL and an error if memory is short. The paths are copied. A cache file that
   was made of the same files, as they are now, with the same options is used; otherwise lx_store_add and
   lx_store_finish make it. */
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

/* Whether its cache file is being made: images may be added. */
bool lx_store_building(const lx_store *store);

/* What the decoded pixels of an image are known by, whatever its file is called; 0 where it was not read yet. Images
   that somebody holds are known by their samples. */
uint64_t lx_store_hash(lx_store *store, long index);

/* Whether a complete cache has no image there because its file is none; the reason goes to `error`. */
bool lx_store_refused(lx_store *store, long index, lx_error *error);

/* Fills in an image; LX_EIO or LX_EFORMAT, with the file's name, where it cannot be read. */
lx_code lx_store_get(lx_store *store, long index, lx_stored *image, lx_error *error);
void lx_store_put(lx_stored *image);

/* Puts an image into the cache file that is being made, or the reason why its file is none. What else keeps it from
   being read fails, since it may pass: memory, permissions, the disk. */
lx_code lx_store_add(lx_store *store, long index, lx_error *error);

/* The cache file takes its place once all images are in it, and the store uses it. Until then there is only a temporary
   file. */
lx_code lx_store_finish(lx_store *store, lx_error *error);

#endif
