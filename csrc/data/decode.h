/* Many image files at once, decoded in parallel. */
#ifndef LX_DECODE_H
#define LX_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/pool.h"

/* Decodes each file to grey, size by size, into its place in `out` ([count, size, size]); of its part with both lungs
 * alone if `lungs` says so. A file that cannot be read
 * leaves its place zero and its reason in errors[i]; the others have code LX_OK there, and what their pixels are known
 * by in hashes[i] (lx_store_hash). Fails only where it is interrupted. */
lx_code lx_decode_images(const char *const *paths, int count, int size, bool lungs, lx_pool *pool, uint8_t *out,
                         uint64_t *hashes, lx_error *errors, lx_error *error);

#endif
