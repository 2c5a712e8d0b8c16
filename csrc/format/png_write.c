/* Writing PNG (ISO/IEC 15948): each row by the filter that leaves the least, as the standard advises, and compressed.
 */
#include <stdlib.h>
#include <string.h>

#include "../base/file.h"
#include "../base/checksum.h"
#include "rooms.h"

enum { FILTERS = 5, CHUNK_EDGES = 12 /* length, name, check */ };

/* What the byte is foretold to be from those to the left, above, and above to the left, which are 0 outside. */
static int foretold(int filter, int left, int above, int corner)
{
    const int sum = left + above - corner, l = abs(sum - left), a = abs(sum - above), c = abs(sum - corner);
    switch (filter) {
    case 1: return left;
    case 2: return above;
    case 3: return (left + above) / 2;
    case 4: return l <= a && l <= c ? left : a <= c ? above : corner;
    default: return 0;
    }
}

/* A row by one filter, behind the filter's number; returns how far it is from all zeros. */
static long filter_row(int filter, const uint8_t *row, const uint8_t *above, int length, int channels, uint8_t *out)
{
    long sum = 0;
    out[0] = (uint8_t)filter;
    for (int i = 0; i < length; i++) {
        const int left = i < channels ? 0 : row[i - channels];
        const int up = above ? above[i] : 0, corner = above && i >= channels ? above[i - channels] : 0;
        out[1 + i] = (uint8_t)(row[i] - foretold(filter, left, up, corner));
        sum += abs((int8_t)out[1 + i]);
    }
    return sum;
}

/* Filters all rows into `out`; `spare` has room for one. */
static void filter_rows(const uint8_t *pixels, int height, int length, int channels, uint8_t *out, uint8_t *spare)
{
    for (int y = 0; y < height; y++) {
        const uint8_t *row = pixels + (size_t)y * (size_t)length, *above = y ? row - length : NULL;
        uint8_t *best = out + (size_t)y * (size_t)(length + 1);
        long least = filter_row(0, row, above, length, channels, best);
        for (int filter = 1; filter < FILTERS; filter++) {
            const long sum = filter_row(filter, row, above, length, channels, spare);
            if (sum < least) {
                least = sum;
                memcpy(best, spare, (size_t)length + 1);
            }
        }
    }
}

static uint8_t *put_number(uint8_t *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    return to;
}

static uint8_t *put_chunk(uint8_t *to, const char *name, const uint8_t *bytes, int size)
{
    to = put_number(to, (uint32_t)size);
    memcpy(to, name, 4);
    if (size)
        memcpy(to + 4, bytes, (size_t)size);
    return put_number(to + 4 + size, lx_crc32(to, (size_t)size + 4));
}

uint8_t *lx_png_encode(const uint8_t *pixels, int width, int height, int channels, size_t *size)
{
    static const uint8_t signature[8] = {137, 'P', 'N', 'G', '\r', '\n', 26, '\n'}, colours[] = {0, 0, 4, 2, 6};
    const int length = width * channels;
    const size_t rows = (size_t)height * (size_t)(length + 1);
    uint8_t header[13] = {0}, *png = NULL, *filtered = malloc(rows + (size_t)length + 1), *compressed = NULL;
    int bytes = 0;
    put_number(put_number(header, (uint32_t)width), (uint32_t)height);
    header[8] = 8; /* bits of a sample */
    header[9] = colours[channels];
    if (filtered) {
        filter_rows(pixels, height, length, channels, filtered, filtered + rows);
        compressed = lx_deflate(filtered, (int)rows, &bytes);
    }
    free(filtered);
    *size = sizeof signature + sizeof header + (size_t)bytes + 3 * CHUNK_EDGES;
    if (compressed)
        png = malloc(*size);
    if (png) {
        memcpy(png, signature, sizeof signature);
        uint8_t *end = put_chunk(png + sizeof signature, "IHDR", header, (int)sizeof header);
        put_chunk(put_chunk(end, "IDAT", compressed, bytes), "IEND", NULL, 0);
    }
    free(compressed);
    return png;
}

lx_code lx_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, lx_error *error)
{
    if (width < 1 || height < 1 || width > LX_IMAGE_MAX_SIDE || height > LX_IMAGE_MAX_SIDE ||
        (int64_t)width * height > LX_IMAGE_MAX_PIXELS || channels < 1 || channels > 4)
        return lx_fail(error, LX_EARG,
                       "image write: %d x %d pixels of %d channels; needs 1 to %d pixels a side, at most %d million in "
                       "all, and 1 to 4 channels",
                       width, height, channels, LX_IMAGE_MAX_SIDE, LX_IMAGE_MAX_PIXELS / 1000000);
    size_t size;
    uint8_t *png = lx_png_encode(pixels, width, height, channels, &size);
    if (png == NULL)
        return lx_fail(error, LX_ENOMEM, "cannot write \"%.300s\": out of memory for %d x %d pixels", path, width,
                       height);
    lx_chunk chunk = {png, size};
    lx_code code = lx_file_write(path, &chunk, 1, error);
    free(png);
    return code;
}
