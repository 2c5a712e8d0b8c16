#include "hash.h"

lx_hash lx_hash_start(void)
{
    return (lx_hash){{14695981039346656037u, 1099511628211u * 31}};
}

void lx_hash_add(lx_hash *hash, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < length; i++) {
        hash->words[0] = (hash->words[0] ^ byte[i]) * 1099511628211u;
        hash->words[1] = (hash->words[1] ^ byte[i] ^ hash->words[0] >> 32) * 1099511628211u;
    }
    const uint64_t size = length;
    for (int i = 0; i < 2; i++)
        hash->words[i] = (hash->words[i] ^ size) * 1099511628211u;
}
