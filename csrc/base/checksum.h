/* A checksum of bytes, to notice that they were damaged. */
#ifndef LX_CHECKSUM_H
#define LX_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* XXH64 with seed 0 (Yann Collet, xxHash fast digest algorithm, format 0.1.1). */
uint64_t lx_checksum(const void *bytes, size_t size);

/* The cyclic redundancy check of PNG and zlib (ISO 3309, reversed polynomial 0xedb88320). */
uint32_t lx_crc32(const uint8_t *bytes, size_t size);

#endif
