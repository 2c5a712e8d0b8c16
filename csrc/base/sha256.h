/* The digest by which files that come from elsewhere are known to be the ones meant (FIPS 180-4). */
#ifndef LX_SHA256_H
#define LX_SHA256_H

#include <stddef.h>
#include <stdint.h>

void lx_sha256(const uint8_t *bytes, size_t size, uint8_t digest[32]);

#endif
