#include "image_cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/count.h"
#include "../base/file.h"
#include "../base/hash.h"
#include "../format/format.h"
#include "read.h"

/* Byte order is told by the version, which is written as a number. */
static const char MAGIC[8] = "LXIMAGES";
enum { VERSION = 3, ALIGNMENT = 64 };

typedef struct {
    char magic[8];
    uint32_t version, channels;
    uint64_t key[2]; /* of the files and the options */
    uint64_t count;
    uint64_t table;    /* where the entries are; they end the file */
    uint64_t checksum; /* of the entries */
} cache_header;

/* An image, or why its file is none: width 0 and a text of `height` bytes, which stands where the samples would. Offset
   0: neither was added yet. */
typedef struct {
    uint64_t offset, checksum;
    uint64_t hash; /* what the pixels of its file are known by */
    int32_t width, height;
    uint32_t type, checked; /* checked: its samples were compared with the checksum: 1 they are right, 2 they are not */
} cache_entry;

/* Both are written to the file as they are in memory. */
_Static_assert(sizeof(cache_header) == 56 && sizeof(cache_entry) == 40, "the format of cache files, without gaps");

struct lx_image_cache {
    cache_header header;
    char *path;
    lx_mapping *mapping;  /* of the complete file; NULL: it is being made */
    cache_entry *entries; /* in the mapping, or of the file that is being made */
    lx_new_file file;     /* target NULL: there is none, or no longer */
    atomic_ullong end;    /* where the next image goes */
};

/* Eight bytes at a time, each mixed into all that follows. */
static uint64_t checksum_of(const void *bytes, size_t size)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ size;
    const uint8_t *at = bytes;
    for (; size > 0; size -= size < 8 ? size : 8, at += 8) {
        uint64_t word = 0;
        memcpy(&word, at, size < 8 ? size : 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

/* The header that a cache of these files has, as far as it is known before it is made. */
static cache_header describe(const lx_store_options *wanted, const char *const *files, long count)
{
    cache_header header = {.version = VERSION, .channels = (uint32_t)wanted->channels, .count = (uint64_t)count};
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    lx_hash hash = lx_hash_start();
    const int options[] = {wanted->channels, wanted->side, wanted->lungs, LX_READ_VERSION};
    lx_hash_add(&hash, options, sizeof options);
    for (long i = 0; i < count; i++) {
        struct stat status;
        int64_t state[3] = {-1, 0, 0};
        if (stat(files[i], &status) == 0) {
            state[0] = status.st_size;
            state[1] = status.st_mtim.tv_sec;
            state[2] = status.st_mtim.tv_nsec;
        }
        lx_hash_add(&hash, files[i], strlen(files[i]));
        lx_hash_add(&hash, state, sizeof state);
    }
    memcpy(header.key, &hash, sizeof header.key);
    return header;
}

static size_t bytes_of(const cache_header *header, const cache_entry *entry)
{
    if (entry->width == 0)
        return (size_t)entry->height;
    const lx_plane plane = {entry->width, entry->height, (lx_plane_type)entry->type, NULL};
    return lx_plane_bytes(&plane) * header->channels;
}

/* Whether the entry of an image lies where images are. */
static bool entry_fits(const cache_header *header, const cache_entry *entry)
{
    return entry->width >= 0 && entry->height > 0 && entry->width <= LX_IMAGE_MAX_SIDE &&
           entry->height <= LX_IMAGE_MAX_SIDE && (entry->type == LX_PLANE_U8 || entry->type == LX_PLANE_F32) &&
           entry->offset % ALIGNMENT == 0 && entry->offset >= sizeof *header && entry->offset < header->table &&
           bytes_of(header, entry) <= header->table - entry->offset;
}

/* Takes over a mapped file, and the reference to it, if it is what the header describes. */
static bool adopt(lx_image_cache *self, lx_mapping *mapping)
{
    cache_header found;
    const uint64_t table_bytes = self->header.count * sizeof(cache_entry);
    bool fits = mapping->size >= sizeof found;
    if (fits) {
        memcpy(&found, mapping->bytes, sizeof found);
        fits = memcmp(&found, &self->header, offsetof(cache_header, table)) == 0 && found.table % ALIGNMENT == 0 &&
               found.table <= mapping->size && mapping->size - found.table == table_bytes &&
               checksum_of(mapping->bytes + found.table, (size_t)table_bytes) == found.checksum;
    }
    cache_entry *entries = fits ? (cache_entry *)(void *)(mapping->bytes + found.table) : NULL;
    for (uint64_t i = 0; fits && i < found.count; i++)
        fits = entry_fits(&found, &entries[i]);
    if (!fits)
        return false;
    self->header = found;
    self->mapping = mapping;
    self->entries = entries;
    return true;
}

/* Takes over the file at the path if it is the cache of these files. What is no cache at all is somebody's, and stays.
 */
static lx_code look_for(lx_image_cache *self, lx_error *error)
{
    struct stat status;
    if (stat(self->path, &status) != 0 && errno == ENOENT)
        return LX_OK;
    lx_mapping *mapping = lx_file_map(self->path, error);
    if (!mapping)
        return error->code;
    if (adopt(self, mapping))
        return LX_OK;
    const bool ours = mapping->size == 0 ||
                      (mapping->size >= sizeof MAGIC && memcmp(mapping->bytes, MAGIC, sizeof MAGIC) == 0);
    lx_mapping_release(mapping);
    return ours ? LX_OK
                : lx_fail(error, LX_EFORMAT,
                          "\"%.300s\" is not a cache of images, and is not replaced by one; name "
                          "another file, or delete it",
                          self->path);
}

lx_image_cache *lx_image_cache_open(const lx_store_options *options, const char *const *files, long count,
                                    lx_error *error)
{
    lx_image_cache *self = calloc(1, sizeof *self);
    if (!self || !(self->path = strdup(options->cache))) {
        free(self);
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    self->header = describe(options, files, count);
    if (!look_for(self, error) && !self->mapping) {
        self->entries = calloc((size_t)(count ? count : 1), sizeof *self->entries);
        atomic_init(&self->end, lx_round_up(sizeof self->header, ALIGNMENT));
        if (!self->entries)
            lx_fail(error, LX_ENOMEM, "out of memory for a table of %ld images", count);
        else if (lx_file_begin(&self->file, options->cache, error))
            self->file.target = NULL;
    }
    if (error->code) {
        lx_image_cache_close(self);
        return NULL;
    }
    return self;
}

void lx_image_cache_close(lx_image_cache *self)
{
    if (!self)
        return;
    if (self->mapping) {
        lx_mapping_release(self->mapping);
    } else {
        free(self->entries);
        if (self->file.target)
            lx_file_abandon(&self->file);
    }
    free(self->path);
    free(self);
}

bool lx_image_cache_ready(const lx_image_cache *self)
{
    return self->mapping != NULL;
}

bool lx_image_cache_building(const lx_image_cache *self)
{
    return !self->mapping && self->file.target;
}

/* What an entry stands for, if it is as it was written; else NULL. */
static uint8_t *sound_bytes(const lx_image_cache *self, cache_entry *entry)
{
    uint8_t *bytes = self->mapping->bytes + entry->offset;
    /* The mapping is private, so the mark is this process's own. Threads that meet here find the same. */
    uint32_t checked = __atomic_load_n(&entry->checked, __ATOMIC_RELAXED);
    if (checked == 0) {
        checked = checksum_of(bytes, bytes_of(&self->header, entry)) == entry->checksum ? 1 : 2;
        __atomic_store_n(&entry->checked, checked, __ATOMIC_RELAXED);
    }
    return checked == 1 ? bytes : NULL;
}

bool lx_image_cache_refused(lx_image_cache *self, long index, lx_error *error)
{
    cache_entry *entry = &self->entries[index];
    if (entry->width != 0)
        return false;
    const uint8_t *text = sound_bytes(self, entry);
    lx_fail(error, LX_EFORMAT, "%.*s", text ? entry->height : 0, text ? (const char *)text : "");
    return true;
}

bool lx_image_cache_get(lx_image_cache *self, long index, lx_stored *image)
{
    cache_entry *entry = &self->entries[index];
    uint8_t *samples = entry->width == 0 ? NULL : sound_bytes(self, entry);
    if (!samples)
        return false;
    *image = (lx_stored){{entry->width, entry->height, (lx_plane_type)entry->type, samples},
                         (int)self->header.channels,
                         NULL,
                         entry->hash};
    return true;
}

/* Writes what an entry stands for behind all else, and notes the entry. */
static lx_code append(lx_image_cache *self, long index, cache_entry entry, const void *bytes, lx_error *error)
{
    const size_t size = bytes_of(&self->header, &entry);
    entry.offset = atomic_fetch_add(&self->end, lx_round_up(size, ALIGNMENT));
    entry.checksum = checksum_of(bytes, size);
    if (!lx_file_put(&self->file, entry.offset, bytes, size, error))
        self->entries[index] = entry;
    return error->code;
}

lx_code lx_image_cache_add(lx_image_cache *self, long index, const lx_stored *image, lx_error *error)
{
    const lx_plane *plane = &image->plane;
    const cache_entry entry = {
        .width = plane->width, .height = plane->height, .type = plane->type, .hash = image->hash};
    return append(self, index, entry, plane->samples, error);
}

lx_code lx_image_cache_refuse(lx_image_cache *self, long index, const char *reason, lx_error *error)
{
    const cache_entry entry = {.height = (int32_t)strlen(reason), .type = LX_PLANE_U8};
    return append(self, index, entry, reason, error);
}

lx_code lx_image_cache_finish(lx_image_cache *self, lx_error *error)
{
    const size_t bytes = (size_t)self->header.count * sizeof *self->entries;
    for (uint64_t i = 0; i < self->header.count; i++)
        if (self->entries[i].offset == 0)
            return lx_fail(error, LX_EARG, "cache: image %ld of %ld was not added", (long)i + 1,
                           (long)self->header.count);
    self->header.table = atomic_load(&self->end);
    self->header.checksum = checksum_of(self->entries, bytes);
    if (lx_file_put(&self->file, self->header.table, self->entries, bytes, error) ||
        lx_file_put(&self->file, 0, &self->header, sizeof self->header, error))
        return error->code;
    /* Mapped by the name that nobody else knows: at the other one there may soon be what another process made. */
    lx_mapping *mapping = lx_file_map(self->file.name, error);
    if (!mapping)
        return error->code;
    const lx_code code = lx_file_commit(&self->file, error);
    self->file.target = NULL;
    cache_entry *entries = self->entries;
    if (code || !adopt(self, mapping)) {
        lx_mapping_release(mapping);
        return code ? code : lx_fail(error, LX_EIO, "\"%.300s\" does not read as it was written", self->path);
    }
    free(entries);
    return LX_OK;
}
