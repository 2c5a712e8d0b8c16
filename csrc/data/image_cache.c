#include "image_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../device/disk.h"
#include "../image/image.h"
#include "file.h"
#include "read.h"

/* Byte order is told by the version, which is written as a number. */
static const char MAGIC[8] = "LXIMAGES";
enum { VERSION = 1, ALIGNMENT = 64 };

typedef struct {
    char magic[8];
    uint32_t version, channels;
    uint64_t key[2]; /* of the files and the options */
    uint64_t count;
    uint64_t table; /* where the entries are; they end the file */
    uint64_t checksum; /* of the entries */
} cache_header;

typedef struct {
    uint64_t offset, checksum; /* offset 0: the image is not there */
    int32_t width, height;
    uint32_t type, checked; /* checked: its samples were compared with the checksum: 1 they are right, 2 they are not */
} cache_entry;

struct lx_image_cache {
    cache_header header;
    char *path;
    lx_mapping *mapping;   /* of the complete file; NULL: it is being made */
    cache_entry *entries;  /* in the mapping, or of the file that is being made */
    lx_new_file file;
    atomic_ullong end;     /* where the next image goes */
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
static cache_header describe(const char *const *files, long count, int channels, int side)
{
    cache_header header = {.version = VERSION, .channels = (uint32_t)channels, .count = (uint64_t)count};
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    lx_hash hash = lx_hash_start();
    const int options[] = {channels, side, LX_READ_VERSION};
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
    const lx_plane plane = {entry->width, entry->height, (lx_plane_type)entry->type, NULL};
    return lx_plane_bytes(&plane) * header->channels;
}

/* Whether the entry of an image lies where images are. */
static bool entry_fits(const cache_header *header, const cache_entry *entry)
{
    return entry->offset == 0 ||
           (entry->width > 0 && entry->height > 0 && entry->width <= LX_IMAGE_MAX_SIDE && entry->height <= LX_IMAGE_MAX_SIDE &&
            (entry->type == LX_PLANE_U8 || entry->type == LX_PLANE_F32) && entry->offset % ALIGNMENT == 0 &&
            entry->offset >= sizeof *header && entry->offset < header->table &&
            bytes_of(header, entry) <= header->table - entry->offset);
}

/* Takes over the file if it is what the header describes. */
static bool adopt(lx_image_cache *self)
{
    lx_error ignored = {.code = LX_OK};
    lx_mapping *mapping = lx_file_map(self->path, &ignored);
    if (!mapping)
        return false;
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
    if (!fits) {
        lx_mapping_release(mapping);
        return false;
    }
    self->header = found;
    self->mapping = mapping;
    self->entries = entries;
    return true;
}

lx_image_cache *lx_image_cache_open(const char *path, const char *const *files, long count, int channels, int side,
                                    lx_error *error)
{
    lx_image_cache *self = calloc(1, sizeof *self);
    if (!self || !(self->path = strdup(path))) {
        free(self);
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    self->header = describe(files, count, channels, side);
    if (adopt(self))
        return self;
    self->entries = calloc((size_t)(count ? count : 1), sizeof *self->entries);
    atomic_init(&self->end, ALIGNMENT * ((sizeof self->header + ALIGNMENT - 1) / ALIGNMENT));
    if (!self->entries)
        lx_fail(error, LX_ENOMEM, "out of memory for a table of %ld images", count);
    if (error->code || lx_file_begin(&self->file, path, error)) {
        free(self->entries);
        free(self->path);
        free(self);
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

bool lx_image_cache_has(const lx_image_cache *self, long index)
{
    return self->entries[index].offset != 0;
}

bool lx_image_cache_get(lx_image_cache *self, long index, lx_stored *image)
{
    cache_entry *entry = &self->entries[index];
    if (entry->offset == 0)
        return false;
    uint8_t *samples = self->mapping->bytes + entry->offset;
    /* The mapping is private, so the mark is this process's own. Threads that meet here find the same. */
    uint32_t checked = __atomic_load_n(&entry->checked, __ATOMIC_RELAXED);
    if (checked == 0) {
        checked = checksum_of(samples, bytes_of(&self->header, entry)) == entry->checksum ? 1 : 2;
        __atomic_store_n(&entry->checked, checked, __ATOMIC_RELAXED);
    }
    if (checked != 1)
        return false;
    *image = (lx_stored){{entry->width, entry->height, (lx_plane_type)entry->type, samples}, (int)self->header.channels, NULL};
    return true;
}

lx_code lx_image_cache_add(lx_image_cache *self, long index, const lx_stored *image, lx_error *error)
{
    const lx_plane *plane = &image->plane;
    const size_t bytes = lx_plane_bytes(plane) * (size_t)image->channels;
    const uint64_t room = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const uint64_t offset = atomic_fetch_add(&self->end, room);
    if (lx_file_put(&self->file, offset, plane->samples, bytes, error))
        return error->code;
    self->entries[index] = (cache_entry){.offset = offset, .checksum = checksum_of(plane->samples, bytes), .width = plane->width,
                                         .height = plane->height, .type = plane->type};
    return LX_OK;
}

lx_code lx_image_cache_finish(lx_image_cache *self, lx_error *error)
{
    const size_t bytes = (size_t)self->header.count * sizeof *self->entries;
    self->header.table = atomic_load(&self->end);
    self->header.checksum = checksum_of(self->entries, bytes);
    if (lx_file_put(&self->file, self->header.table, self->entries, bytes, error) ||
        lx_file_put(&self->file, 0, &self->header, sizeof self->header, error))
        return error->code;
    const lx_code code = lx_file_commit(&self->file, error);
    self->file.target = NULL;
    if (code)
        return code;
    free(self->entries);
    self->entries = NULL;
    const cache_header made = self->header;
    self->header.table = self->header.checksum = 0;
    if (!adopt(self))
        return lx_fail(error, LX_EIO, "cannot read back \"%.300s\", which was just written", self->path);
    return memcmp(&made, &self->header, sizeof made) ? lx_fail(error, LX_EIO, "\"%.300s\" changed while it was made", self->path)
                                                    : LX_OK;
}
