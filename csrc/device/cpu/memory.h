/* Host memory for tensors: blocks of a few size classes, kept for reuse, large ones on huge pages. */
#ifndef LX_CPU_MEMORY_H
#define LX_CPU_MEMORY_H

#include <stddef.h>

/* Classes to each power of two: what is lost to rounding up is at most an eighth. */
enum { LX_CLASSES_PER_OCTAVE = 8, LX_SIZE_CLASSES = LX_CLASSES_PER_OCTAVE * 44 };

typedef struct lx_block {
    struct lx_block *next;
} lx_block;

typedef struct {
    lx_block *free[LX_SIZE_CLASSES];
    size_t cached; /* bytes in the free lists */
} lx_block_cache;

/* A block of at least `bytes`, aligned to 64; its true size goes to *capacity. NULL when there is none. */
void *lx_block_take(lx_block_cache *cache, size_t bytes, size_t *capacity);
void lx_block_give(lx_block_cache *cache, void *block, size_t capacity);

/* Returns all cached blocks to the system. */
void lx_block_trim(lx_block_cache *cache);

#endif
