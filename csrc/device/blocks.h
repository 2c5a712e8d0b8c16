/* Blocks of memory in a few size classes, kept for reuse. A training step asks for the same sizes each time, and
 * touching fresh memory costs more than most kernels that would use it: 2 GB/s with 4 KiB pages, 8 GB/s with huge ones.
 */
#ifndef LX_BLOCKS_H
#define LX_BLOCKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Classes to each power of two: what is lost to rounding up is at most an eighth. */
enum { LX_CLASSES_PER_OCTAVE = 8, LX_SIZE_CLASSES = LX_CLASSES_PER_OCTAVE * 44 };

typedef struct lx_block lx_block;

/* The blocks of one device that nobody uses, for any thread. A block is whatever pointer the device knows it by. */
typedef struct {
    lx_block *free[LX_SIZE_CLASSES];
    pthread_mutex_t lock;
} lx_block_cache;

void lx_blocks_open(lx_block_cache *cache);
void lx_blocks_close(lx_block_cache *cache); /* once it is empty */

/* The size of the blocks that hold `bytes`; 0 if no block is so large. */
size_t lx_block_size(size_t bytes);

/* A block of exactly `size`, or NULL if there is none. */
void *lx_block_take(lx_block_cache *cache, size_t size);

/* Keeps a block. False if there is no memory to note it: the caller gives it back to the system instead. */
bool lx_block_keep(lx_block_cache *cache, void *block, size_t size);

/* Any of the blocks, with its size, to give it back to the system; NULL when none is left. */
void *lx_block_take_any(lx_block_cache *cache, size_t *size);

#endif
