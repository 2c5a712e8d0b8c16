/* Decompression of what zip archives hold (RFC 1951), without the wrapping of zlib or gzip. */
#ifndef LX_INFLATE_H
#define LX_INFLATE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Unpacks into `out`, which has to come out just full; LX_EFORMAT where it does not, or the data are damaged. The data
   are hostile: nothing is read or written outside of the two. */
lx_code lx_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, lx_error *error);

#endif
