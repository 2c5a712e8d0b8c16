#include "store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "image_cache.h"
#include "read.h"

/* A decoded image in memory. */
typedef struct {
    lx_plane plane;
    int channels;
    float samples[]; /* of either type; floats for their alignment */
} kept_image;

struct lx_store {
    atomic_int references;
    long count;
    int channels;
    /* of files: */
    char **paths; /* NULL: a store over images that somebody holds */
    lx_store_options options;
    atomic_size_t used;
    _Atomic(kept_image *) *kept;
    atomic_ullong *hashes; /* of what was read */
    lx_image_cache *cache; /* NULL: none */
    /* over images: */
    lx_plane first;
    void (*give_back)(void *owner);
    void *owner;
};

static lx_store *new_store(long count, int channels, lx_error *error)
{
    lx_store *self = calloc(1, sizeof *self);
    if (!self) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    atomic_init(&self->references, 1);
    self->count = count;
    self->channels = channels;
    return self;
}

lx_store *lx_store_over(const lx_plane *first, long count, int channels, void (*give_back)(void *owner), void *owner,
                        lx_error *error)
{
    lx_store *self = new_store(count, channels, error);
    if (!self)
        return NULL;
    self->first = *first;
    self->give_back = give_back;
    self->owner = owner;
    return self;
}

static bool copy_paths(lx_store *self, const char *const *paths)
{
    const size_t room = (size_t)(self->count ? self->count : 1);
    self->paths = calloc(room, sizeof *self->paths);
    self->kept = calloc(room, sizeof *self->kept);
    self->hashes = calloc(room, sizeof *self->hashes);
    if (!self->paths || !self->kept || !self->hashes)
        return false;
    for (long i = 0; i < self->count; i++)
        if (!(self->paths[i] = strdup(paths[i])))
            return false;
    return true;
}

lx_store *lx_store_open(const char *const *paths, long count, const lx_store_options *options, lx_error *error)
{
    lx_store *self = new_store(count, options->channels, error);
    if (!self)
        return NULL;
    self->options = *options;
    self->options.cache = NULL; /* the caller's */
    if (!copy_paths(self, paths))
        lx_fail(error, LX_ENOMEM, "out of memory for %ld paths", count);
    else if (options->cache)
        self->cache = lx_image_cache_open(options, paths, count, error);
    if (error->code) {
        lx_store_release(self);
        return NULL;
    }
    return self;
}

lx_store *lx_store_retain(lx_store *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void lx_store_release(lx_store *self)
{
    if (!self || atomic_fetch_sub(&self->references, 1) != 1)
        return;
    for (long i = 0; self->kept && i < self->count; i++)
        free(atomic_load(&self->kept[i]));
    for (long i = 0; self->paths && i < self->count; i++)
        free(self->paths[i]);
    free(self->kept);
    free(self->hashes);
    free(self->paths);
    lx_image_cache_close(self->cache);
    if (self->give_back)
        self->give_back(self->owner);
    free(self);
}

long lx_store_count(const lx_store *self)
{
    return self->count;
}

int lx_store_channels(const lx_store *self)
{
    return self->channels;
}

size_t lx_store_memory(const lx_store *self)
{
    return atomic_load(&self->used);
}

bool lx_store_cached(const lx_store *self)
{
    return self->cache && lx_image_cache_ready(self->cache);
}

static size_t bytes_of(const lx_plane *plane, int channels)
{
    return lx_plane_bytes(plane) * (size_t)channels;
}

bool lx_store_building(const lx_store *self)
{
    return self->cache && lx_image_cache_building(self->cache);
}

bool lx_store_refused(lx_store *self, long index, lx_error *error)
{
    if (!lx_store_cached(self) || !lx_image_cache_refused(self->cache, index, error))
        return false;
    if (!error->text[0])
        lx_fail(error, LX_EFORMAT, "\"%.300s\" is no image that can be read", self->paths[index]);
    return true;
}

/* Keeps a copy of a decoded image if there is room for it. Which images are kept does not matter to results, and
   nothing is ever put out for another one: in random order each is as likely to be wanted next. */
static void keep(lx_store *self, long index, const lx_stored *image)
{
    const size_t bytes = bytes_of(&image->plane, image->channels);
    if (atomic_fetch_add(&self->used, bytes) + bytes <= self->options.memory) {
        kept_image *copy = malloc(sizeof *copy + bytes), *none = NULL;
        if (copy) {
            copy->plane = image->plane;
            copy->channels = image->channels;
            copy->plane.samples = memcpy(copy->samples, image->plane.samples, bytes);
            if (atomic_compare_exchange_strong(&self->kept[index], &none, copy))
                return;
        }
        free(copy);
    }
    atomic_fetch_sub(&self->used, bytes);
}

static lx_code get_from_file(lx_store *self, long index, lx_stored *image, lx_error *error)
{
    const kept_image *kept = atomic_load(&self->kept[index]);
    if (kept) {
        *image = (lx_stored){kept->plane, kept->channels, NULL, atomic_load(&self->hashes[index])};
        return LX_OK;
    }
    if (lx_store_cached(self) && lx_image_cache_get(self->cache, index, image))
        return LX_OK;
    if (lx_read_image(self->paths[index], &self->options, image, error))
        return error->code;
    atomic_store(&self->hashes[index], image->hash);
    keep(self, index, image);
    return LX_OK;
}

lx_code lx_store_get(lx_store *self, long index, lx_stored *image, lx_error *error)
{
    if (index < 0 || index >= self->count)
        return lx_fail(error, LX_EARG, "image %ld is out of range: there are %ld", index + 1, self->count);
    if (self->paths)
        return get_from_file(self, index, image, error);
    *image = (lx_stored){self->first, self->channels, NULL, 0};
    image->plane.samples = (char *)self->first.samples + (size_t)index * bytes_of(&self->first, self->channels);
    return LX_OK;
}

uint64_t lx_store_hash(lx_store *self, long index)
{
    lx_stored image;
    if (!self->paths) {
        const size_t bytes = bytes_of(&self->first, self->channels);
        return lx_hash_samples((const char *)self->first.samples + (size_t)index * bytes, bytes);
    }
    const uint64_t known = atomic_load(&self->hashes[index]);
    return known == 0 && lx_store_cached(self) && lx_image_cache_get(self->cache, index, &image) ? image.hash : known;
}

void lx_store_put(lx_stored *image)
{
    free(image->owned);
    image->owned = NULL;
}

lx_code lx_store_add(lx_store *self, long index, lx_error *error)
{
    lx_stored image = {0};
    lx_error reason = {.code = LX_OK};
    if (lx_read_image(self->paths[index], &self->options, &image, &reason) == LX_EFORMAT)
        return lx_image_cache_refuse(self->cache, index, reason.text, error);
    if (reason.code) {
        *error = reason;
        return error->code;
    }
    lx_image_cache_add(self->cache, index, &image, error);
    lx_store_put(&image);
    return error->code;
}

lx_code lx_store_finish(lx_store *self, lx_error *error)
{
    return lx_image_cache_finish(self->cache, error);
}
