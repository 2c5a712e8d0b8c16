/* Whole files in and out of memory; a written file is either the old one or the new one, never half of each. */
#ifndef LX_FILE_H
#define LX_FILE_H

#include "../error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *bytes;
    size_t size;
} lx_chunk;

/* Writes the chunks, one after the other, to a new file that takes the place of `path` once it is safely on disk.
   Until then the old file is untouched, and a failure leaves no temporary file behind. A symbolic link is followed;
   anything that exists and is not a regular file is refused. */
lx_code lx_file_write(const char *path, const lx_chunk *chunks, size_t count, lx_error *error);

/* Reads a regular file of at most `limit` bytes; the caller frees `*bytes`, which is never NULL on success. */
lx_code lx_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, lx_error *error);

#endif
