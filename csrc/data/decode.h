/* Many image files at once, decoded in parallel. */
#ifndef LX_DECODE_H
#define LX_DECODE_H

#include <stdint.h>

#include "../error.h"

/* Decodes each file to grey, size by size, into its place in `out` ([count, size, size]). A file that cannot be read
 * leaves its place zero and its reason in errors[i]; the others have code LX_OK there. */
void lx_decode_images(const char *const *paths, int count, int size, int threads, uint8_t *out, lx_error *errors);

#endif
