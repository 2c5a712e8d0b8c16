#include "blocks.h"

#include <stdint.h>
#include <stdlib.h>

enum { SMALLEST = 64 };

struct lx_block {
    struct lx_block *next;
    void *block;
    size_t size;
};

void lx_blocks_open(lx_block_cache *cache)
{
    for (int class = 0; class < LX_SIZE_CLASSES; class ++)
        cache->free[class] = NULL;
    pthread_mutex_init(&cache->lock, NULL);
}

void lx_blocks_close(lx_block_cache *cache)
{
    pthread_mutex_destroy(&cache->lock);
}

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

size_t lx_block_size(size_t bytes)
{
    size_t size;
    if (bytes > SIZE_MAX / 8 || size_class(bytes, &size) >= LX_SIZE_CLASSES)
        return 0;
    return size;
}

void *lx_block_take(lx_block_cache *cache, size_t size)
{
    void *block = NULL;
    const int class = size_class(size, &size);
    pthread_mutex_lock(&cache->lock);
    lx_block *note = cache->free[class];
    if (note) {
        cache->free[class] = note->next;
        block = note->block;
    }
    pthread_mutex_unlock(&cache->lock);
    free(note);
    return block;
}

bool lx_block_keep(lx_block_cache *cache, void *block, size_t size)
{
    lx_block *note = malloc(sizeof *note);
    if (!note)
        return false;
    const int class = size_class(size, &size);
    pthread_mutex_lock(&cache->lock);
    *note = (lx_block){cache->free[class], block, size};
    cache->free[class] = note;
    pthread_mutex_unlock(&cache->lock);
    return true;
}

void *lx_block_take_any(lx_block_cache *cache, size_t *size)
{
    for (int class = 0; class < LX_SIZE_CLASSES; class ++) {
        pthread_mutex_lock(&cache->lock);
        lx_block *note = cache->free[class];
        if (note)
            cache->free[class] = note->next;
        pthread_mutex_unlock(&cache->lock);
        if (note) {
            void *block = note->block;
            *size = note->size;
            free(note);
            return block;
        }
    }
    return NULL;
}
