/* From the bytes of a DICOM file to stored values: plain, RLE, JPEG; see also jpeg_lossless.c and jpeg2000.c. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "dicom.h"
#include "image.h"
#include "jpeg_lossless.h"

typedef struct {
    const char *path;
    const lx_dicom *d;
    size_t pixels; /* of one sample */
    int32_t *values;
    lx_error *error;
} job;

static lx_code damaged(const job *j, const char *what)
{
    return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" is a damaged DICOM file: %s", j->path, what);
}

/* The bits that count of what is stored in one place, with their sign. */
static int32_t value_of(const lx_dicom *d, uint32_t word)
{
    const uint32_t value = word >> (d->high_bit + 1 - d->stored) & ((1u << d->stored) - 1);
    return d->is_signed && value >> (d->stored - 1) ? (int32_t)value - (1 << d->stored) : (int32_t)value;
}

/* The values of words that stand where they are to stand. */
static void take_values(const job *j)
{
    for (size_t i = 0; i < j->pixels * (size_t)j->d->samples; i++)
        j->values[i] = value_of(j->d, (uint32_t)j->values[i]);
}

/* ---- plain ----------------------------------------------------------------------------------------------------- */

static lx_code read_plain(const job *j, int frame)
{
    const lx_dicom *d = j->d;
    const size_t samples = (size_t)d->samples, total = j->pixels * samples, width = (size_t)d->allocated / 8, bytes = total * width;
    if (d->pixel_bytes / bytes <= (size_t)frame)
        return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" is truncated: frame %d needs %zu bytes of pixels, and there are %zu",
                       j->path, frame + 1, ((size_t)frame + 1) * bytes, d->pixel_bytes);
    const uint8_t *from = d->pixels + (size_t)frame * bytes;
    const bool swapped = width == 1 && d->big && d->word_pixels; /* bytes in words of the other order */
    for (size_t i = 0; i < total; i++) {
        const size_t sample = d->planar ? i / j->pixels : i % samples, pixel = d->planar ? i % j->pixels : i / samples;
        uint32_t word;
        if (width == 1)
            word = from[swapped && (i ^ 1) < total ? i ^ 1 : i];
        else
            word = d->big ? (uint32_t)from[2 * i] << 8 | from[2 * i + 1] : (uint32_t)from[2 * i + 1] << 8 | from[2 * i];
        j->values[sample * j->pixels + pixel] = value_of(d, word);
    }
    return LX_OK;
}

/* ---- fragments ------------------------------------------------------------------------------------------------- */

static uint32_t little32(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* The next item of compressed pixels: false at the end, or where there is none. */
static bool next_fragment(const lx_dicom *d, size_t *at, const uint8_t **bytes, size_t *size)
{
    if (d->pixel_bytes - *at < 8 || little32(d->pixels + *at) != 0xe000fffe)
        return false;
    *size = little32(d->pixels + *at + 4);
    *bytes = d->pixels + *at + 8;
    *at += 8;
    /* the last one of a file that breaks off is what there is of it: its decoder says that it is cut short */
    *size = *size <= d->pixel_bytes - *at ? *size : d->pixel_bytes - *at;
    *at += *size;
    return true;
}

/* The compressed bytes of one frame. With one frame they may be in several pieces, which are put together in memory that
   *owned holds. */
static lx_code find_frame(const job *j, int frame, const uint8_t **bytes, size_t *size, uint8_t **owned)
{
    const lx_dicom *d = j->d;
    size_t at = 0, total = 0, length;
    const uint8_t *fragment;
    int count = 0;
    *owned = NULL;
    if (!d->encapsulated || !next_fragment(d, &at, &fragment, &length)) /* the table of offsets, which may be empty */
        return damaged(j, "its compressed pixels have no items");
    const size_t first = at;
    while (next_fragment(d, &at, &fragment, &length)) {
        if (count++ == frame) {
            *bytes = fragment;
            *size = length;
        }
        total += length;
    }
    if (count == 0)
        return damaged(j, "its compressed pixels have no items");
    if (d->frames > 1 && count != d->frames)
        return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" has %d frames in %d pieces, which is not supported", j->path, d->frames,
                       count);
    if (d->frames > 1 || count == 1)
        return LX_OK;
    if (!(*owned = malloc(total ? total : 1)))
        return lx_fail(j->error, LX_ENOMEM, "\"%.300s\": out of memory for %zu bytes", j->path, total);
    *bytes = *owned;
    *size = total;
    total = 0;
    for (at = first; next_fragment(d, &at, &fragment, &length); total += length)
        memcpy(*owned + total, fragment, length);
    return LX_OK;
}

/* ---- RLE (PS3.5 annex G) --------------------------------------------------------------------------------------- */

/* Unpacks one plane of bytes into bits shift.. of the values; each value is an unsigned word so far. */
static lx_code unpack(const job *j, const uint8_t *from, size_t size, int32_t *values, int shift)
{
    size_t at = 0, done = 0;
    while (done < j->pixels) {
        if (at >= size)
            return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" is truncated: a segment of its pixels ends after %zu of %zu", j->path,
                           done, j->pixels);
        const int head = (int8_t)from[at++];
        const size_t count = head >= 0 ? (size_t)head + 1 : (size_t)(1 - head);
        if (head == -128)
            continue;
        for (size_t i = 0; i < count && done < j->pixels && at < size; i++, done++)
            values[done] |= (int32_t)((uint32_t)from[head >= 0 ? at++ : at] << shift);
        at += head < 0;
    }
    return LX_OK;
}

static lx_code read_rle(const job *j, const uint8_t *bytes, size_t size)
{
    const lx_dicom *d = j->d;
    const int planes = d->allocated / 8, segments = d->samples * planes;
    if (size < 64 || little32(bytes) != (uint32_t)segments)
        return damaged(j, "its RLE header does not fit its pixels");
    memset(j->values, 0, sizeof *j->values * j->pixels * (size_t)d->samples);
    for (int i = 0; i < segments; i++) {
        const size_t from = little32(bytes + 4 + 4 * i), to = i + 1 < segments ? little32(bytes + 8 + 4 * i) : size;
        if (from < 64 || to > size || from > to)
            return damaged(j, "its RLE segments are not where they should be");
        const int shift = 8 * (planes - 1 - i % planes); /* the upper bytes come first */
        if (unpack(j, bytes + from, to - from, j->values + (size_t)(i / planes) * j->pixels, shift))
            return j->error->code;
    }
    take_values(j);
    return LX_OK;
}

/* ---- JPEG ------------------------------------------------------------------------------------------------------ */

static lx_code read_jpeg(const job *j, const uint8_t *bytes, size_t size)
{
    const lx_dicom *d = j->d;
    lx_image_header header;
    if (lx_image_inspect(j->path, bytes, size, &header, j->error))
        return j->error->code;
    if (header.format != LX_FORMAT_JPEG || header.info.width != d->columns || header.info.height != d->rows)
        return damaged(j, "its JPEG is not of the size it says");
    lx_codec_result result;
    const size_t allowance = (j->pixels + 64 * ((size_t)d->columns + (size_t)d->rows) + 4096) * 16 + 2 * size + 65536;
    uint8_t *pixels = lx_codec_decode(bytes, size, d->samples, allowance, &result);
    if (!pixels)
        return lx_fail(j->error, result.no_memory ? LX_ENOMEM : LX_EFORMAT, "\"%.300s\": its JPEG cannot be decoded: %s", j->path,
                       result.failure);
    const size_t samples = (size_t)d->samples;
    for (size_t i = 0; i < j->pixels * samples; i++)
        j->values[i % samples * j->pixels + i / samples] = pixels[i];
    free(pixels);
    return LX_OK;
}

static lx_code read_jpeg_lossless(const job *j, const uint8_t *bytes, size_t size)
{
    if (!lx_jpeg_lossless_decode(j->path, bytes, size, j->d, j->values, j->error))
        take_values(j);
    return j->error->code;
}

/* What is packed tightly cannot be larger than so many times its bytes: no file makes us reserve more. */
enum { MOST_PACKED = 64, SMALLEST_RESERVED = 1 << 20 };

static lx_code decode_fragments(const job *j, int frame)
{
    const uint8_t *bytes = NULL;
    uint8_t *owned;
    size_t size = 0;
    if (find_frame(j, frame, &bytes, &size, &owned))
        return j->error->code;
    switch (j->d->coding) {
    case LX_DICOM_RLE: read_rle(j, bytes, size); break;
    case LX_DICOM_JPEG: read_jpeg(j, bytes, size); break;
    case LX_DICOM_JPEG_LOSSLESS: read_jpeg_lossless(j, bytes, size); break;
    default: lx_jpeg2000_decode(j->path, bytes, size, j->d, j->values, j->error); break;
    }
    free(owned);
    return j->error->code;
}

lx_code lx_dicom_values(const char *path, const lx_dicom *d, int frame, int32_t **values, lx_error *error)
{
    job j = {path, d, (size_t)d->rows * (size_t)d->columns, NULL, error};
    const size_t total = j.pixels * (size_t)d->samples, bytes = total * (size_t)d->allocated / 8;
    if (frame < 0 || frame >= d->frames)
        return lx_fail(error, LX_EARG, "\"%.300s\" has %d frame%s; there is no frame %d", path, d->frames, d->frames > 1 ? "s" : "",
                       frame + 1);
    const bool packed = d->coding == LX_DICOM_RLE || d->coding == LX_DICOM_JPEG_LOSSLESS;
    if (d->coding == LX_DICOM_PLAIN ? d->pixel_bytes / bytes <= (size_t)frame
                                    : packed && bytes / MOST_PACKED > d->pixel_bytes + SMALLEST_RESERVED)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is truncated: %zu bytes of pixels for %d x %d", path, d->pixel_bytes,
                       d->columns, d->rows);
    j.values = malloc(sizeof *j.values * total);
    if (!j.values)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, d->columns, d->rows);
    if (d->coding == LX_DICOM_PLAIN)
        read_plain(&j, frame);
    else
        decode_fragments(&j, frame);
    if (error->code)
        free(j.values);
    else
        *values = j.values;
    return error->code;
}
