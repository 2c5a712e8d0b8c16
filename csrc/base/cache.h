/* The cache folder: compiled programs and measured choices, so that a process need not compile and measure what an
 * earlier one did. It may be deleted at any time. */
#ifndef LX_CACHE_H
#define LX_CACHE_H

#include <stddef.h>

#include "hash.h"

/* The file of `name` in the cache folder: LUXEL_CACHE_DIR, or luxel in XDG_CACHE_HOME or ~/.cache. False if there is no
 * such place. */
int lx_cache_path(const char *name, char *path, size_t room);

/* The bytes that were stored under a key, to be freed; NULL if there are none or they are damaged. */
void *lx_cache_load(const lx_hash *key, size_t *length);

/* Stores bytes under a key. That may fail without harm: the next process compiles again. */
void lx_cache_store(const lx_hash *key, const void *bytes, size_t length);

#endif
