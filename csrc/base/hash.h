/* Hashes of 128 bits, by which what is kept on disk is found again. */
#ifndef LX_HASH_H
#define LX_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t words[2];
} lx_hash;

/* A hash to which text is added piece by piece (FNV-1a, two of them). Pieces are kept apart. */
lx_hash lx_hash_start(void);
void lx_hash_add(lx_hash *hash, const void *bytes, size_t length);

#endif
