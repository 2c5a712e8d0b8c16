/* The cache folder: compiled programs and measured choices, so that a process need not compile and measure what an
 * earlier one did. It may be deleted at any time. */
#ifndef LX_DISK_H
#define LX_DISK_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t words[2];
} lx_hash;

/* A hash to which text is added piece by piece (FNV-1a, two of them). Pieces are kept apart. */
lx_hash lx_hash_start(void);
void lx_hash_add(lx_hash *hash, const void *bytes, size_t length);

/* The file of `name` in the cache folder: LUXEL_CACHE_DIR, or luxel in XDG_CACHE_HOME or ~/.cache. False if there is no
 * such place. */
int lx_disk_path(const char *name, char *path, size_t room);

/* The bytes that were stored under a key, to be freed; NULL if there are none or they are damaged. */
void *lx_disk_load(const lx_hash *key, size_t *length);

/* Stores bytes under a key. That may fail without harm: the next process compiles again. */
void lx_disk_store(const lx_hash *key, const void *bytes, size_t length);

/* Writes a file of the cache folder whole or not at all: under another name, then renamed. False if that fails. */
int lx_disk_write(const char *path, const void *head, size_t head_length, const void *bytes, size_t length);

#endif
