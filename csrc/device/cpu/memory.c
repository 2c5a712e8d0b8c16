/* Freed blocks are kept and handed out again. A training step asks for the same sizes each time, and touching
 * fresh memory costs more than most kernels that would use it: 2 GB/s with 4 KiB pages, 8 GB/s with huge ones. */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SMALLEST = 64, HUGE_PAGE = 2 << 20 };

/* The class that holds `bytes`, and the size of the blocks in it: SMALLEST * 2^k * (1 + i / 8). */
static int size_class(size_t bytes, size_t *size)
{
    size_t base = SMALLEST;
    int octave = 0;
    while (base * 2 <= bytes) {
        base *= 2;
        octave++;
    }
    const size_t step = base / LX_CLASSES_PER_OCTAVE;
    const size_t steps = bytes <= base ? 0 : (bytes - base + step - 1) / step;
    *size = base + steps * step;
    return octave * LX_CLASSES_PER_OCTAVE + (int)steps;
}

/* Blocks of two megabytes and more start on a huge page and fill whole ones. */
static void *map_block(size_t size)
{
    void *block = NULL;
    const size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : 64;
    if (posix_memalign(&block, alignment, size))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE)
        madvise(block, size, MADV_HUGEPAGE);
#endif
    return block;
}

void *lx_block_take(lx_block_cache *cache, size_t bytes, size_t *capacity)
{
    if (bytes > SIZE_MAX / 8)
        return NULL;
    const int class = size_class(bytes, capacity);
    if (class >= LX_SIZE_CLASSES)
        return NULL;
    lx_block *block = cache->free[class];
    if (!block)
        return map_block(*capacity);
    cache->free[class] = block->next;
    cache->cached -= *capacity;
    return block;
}

void lx_block_give(lx_block_cache *cache, void *memory, size_t capacity)
{
    size_t size;
    const int class = size_class(capacity, &size);
    lx_block *block = memory;
    block->next = cache->free[class];
    cache->free[class] = block;
    cache->cached += capacity;
}

void lx_block_trim(lx_block_cache *cache)
{
    for (int class = 0; class < LX_SIZE_CLASSES; class++)
        while (cache->free[class]) {
            lx_block *block = cache->free[class];
            cache->free[class] = block->next;
            free(block);
        }
    cache->cached = 0;
}
