/* From the bytes of a DICOM file to stored values: plain and RLE here; the other codings have files of their own. */
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "jpeg_lossless.h"
#include "rooms.h"

typedef struct {
    const char *path;
    const lx_dicom *d;
    size_t pixels; /* of one sample */
    uint16_t *codes;
    lx_error *error;
} job;

static lx_code damaged(const job *j, const char *what)
{
    return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" is a damaged DICOM file: %s", j->path, what);
}

/* The bits that count of words that stand where they are to stand. */
static void take_codes(const job *j)
{
    const int shift = j->d->high_bit + 1 - j->d->stored;
    const size_t count = j->pixels * (size_t)j->d->samples;
    for (size_t i = 0; shift > 0 && i < count; i++)
        j->codes[i] = (uint16_t)(j->codes[i] >> shift);
}

/* ---- plain ----------------------------------------------------------------------------------------------------- */

/* The words of one sample of all pixels: at `from`, and then every `step` bytes. */
static void read_words(const lx_dicom *d, const uint8_t *from, size_t step, size_t count, uint16_t *codes)
{
    if (d->big)
        for (size_t i = 0; i < count; i++, from += step)
            codes[i] = (uint16_t)lx_big16(from);
    else if (step == 2)
        for (size_t i = 0; i < count; i++) /* a loop that compilers know to be a copy */
            codes[i] = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
    else
        for (size_t i = 0; i < count; i++, from += step)
            codes[i] = (uint16_t)lx_little16(from);
}

/* Bytes in words of the other order change places with their neighbours; with an odd number of them, the last one is
   behind the byte that fills it up. */
static void read_bytes(const lx_dicom *d, size_t first, size_t step, size_t count, uint16_t *codes)
{
    const size_t swap = d->big && d->word_pixels;
    for (size_t i = 0; i < count; i++) {
        const size_t at = first + i * step;
        codes[i] = d->pixels[(at ^ swap) < d->pixel_bytes ? at ^ swap : at];
    }
}

static size_t bytes_of_frame(const job *j)
{
    return j->pixels * (size_t)j->d->samples * ((size_t)j->d->allocated / 8);
}

/* Words of a plane that can stay where they are; NULL where there are none. */
static const uint16_t *words_in_file(const job *j, int frame)
{
    const uint16_t one = 1;
    const uint8_t *start = j->d->pixels + (size_t)frame * bytes_of_frame(j);
    const bool fit = j->d->coding == LX_DICOM_PLAIN && j->d->samples == 1 && j->d->allocated == 16 &&
                     j->d->high_bit + 1 == j->d->stored && j->d->big != (*(const uint8_t *)&one == 1);
    return fit && (uintptr_t)start % sizeof one == 0 ? (const uint16_t *)(const void *)start : NULL;
}

static void read_plain(const job *j, int frame)
{
    const lx_dicom *d = j->d;
    const size_t samples = (size_t)d->samples, width = (size_t)d->allocated / 8, bytes = bytes_of_frame(j);
    const size_t start = (size_t)frame * bytes, step = d->planar ? width : samples * width;
    for (size_t s = 0; s < samples; s++) {
        const size_t first = start + s * (d->planar ? j->pixels * width : width);
        uint16_t *codes = j->codes + s * j->pixels;
        if (width == 1)
            read_bytes(d, first, step, j->pixels, codes);
        else
            read_words(d, d->pixels + first, step, j->pixels, codes);
    }
    take_codes(j);
}

/* ---- fragments ------------------------------------------------------------------------------------------------- */

/* The next item of compressed pixels: false at the end, or where there is none. */
static bool next_fragment(const lx_dicom *d, size_t *at, const uint8_t **bytes, size_t *size)
{
    if (d->pixel_bytes - *at < 8 || lx_little32(d->pixels + *at) != 0xe000fffe)
        return false;
    *size = lx_little32(d->pixels + *at + 4);
    *bytes = d->pixels + *at + 8;
    *at += 8;
    /* the last one of a file that breaks off is what there is of it: its decoder says that it is cut short */
    *size = *size <= d->pixel_bytes - *at ? *size : d->pixel_bytes - *at;
    *at += *size;
    return true;
}

/* The compressed bytes of one frame. With one frame they may be in several pieces, which are put together in memory
 *that owned holds. */
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
        return lx_fail(j->error, LX_EFORMAT, "\"%.300s\" has %d frames in %d pieces, which is not supported", j->path,
                       d->frames, count);
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

/* Unpacks one plane of bytes into bits shift.. of the codes; each code is a whole word so far. */
static lx_code unpack(const job *j, const uint8_t *from, size_t size, uint16_t *codes, int shift)
{
    size_t at = 0, done = 0;
    while (done < j->pixels) {
        if (at >= size)
            return lx_fail(j->error, LX_EFORMAT,
                           "\"%.300s\" is truncated: a segment of its pixels ends after %zu of %zu", j->path, done,
                           j->pixels);
        const int head = (int8_t)from[at++];
        const size_t count = head >= 0 ? (size_t)head + 1 : (size_t)(1 - head);
        if (head == -128)
            continue;
        for (size_t i = 0; i < count && done < j->pixels && at < size; i++, done++)
            codes[done] |= (uint16_t)(from[head >= 0 ? at++ : at] << shift);
        at += head < 0;
    }
    return LX_OK;
}

static lx_code read_rle(const job *j, const uint8_t *bytes, size_t size)
{
    const lx_dicom *d = j->d;
    const int planes = d->allocated / 8, segments = d->samples * planes;
    if (size < 64 || lx_little32(bytes) != (uint32_t)segments)
        return damaged(j, "its RLE header does not fit its pixels");
    memset(j->codes, 0, sizeof *j->codes * j->pixels * (size_t)d->samples);
    for (int i = 0; i < segments; i++) {
        const size_t from = lx_little32(bytes + 4 + 4 * i),
                     to = i + 1 < segments ? lx_little32(bytes + 8 + 4 * i) : size;
        if (from < 64 || to > size || from > to)
            return damaged(j, "its RLE segments are not where they should be");
        const int shift = 8 * (planes - 1 - i % planes); /* the upper bytes come first */
        if (unpack(j, bytes + from, to - from, j->codes + (size_t)(i / planes) * j->pixels, shift))
            return j->error->code;
    }
    take_codes(j);
    return LX_OK;
}

/* ---- JPEG ------------------------------------------------------------------------------------------------------ */

/* What a decoder restores of values that were coded with a loss may be beyond the last one. */
static void cut_codes(const job *j)
{
    const uint16_t most = (uint16_t)((1u << j->d->stored) - 1);
    for (size_t i = 0; i < j->pixels * (size_t)j->d->samples; i++)
        j->codes[i] = j->codes[i] < most ? j->codes[i] : most;
}

static lx_code read_jpeg(const job *j, const uint8_t *bytes, size_t size)
{
    const lx_dicom *d = j->d;
    const lx_input in = {j->path, bytes, size, j->error, NULL};
    const size_t samples = (size_t)d->samples, count = j->pixels * samples;
    lx_image_info info = {.format = lx_jpeg.name, .bits = 8};
    if (!lx_jpeg.sniff(bytes, size))
        return damaged(j, "its pixels are no JPEG");
    if (lx_jpeg_is_deep(bytes, size)) {
        if (!lx_jpeg_deep_decode(j->path, bytes, size, d, j->codes, j->error))
            cut_codes(j);
        return j->error->code;
    }
    if (lx_jpeg_inspect(&in, &info))
        return j->error->code;
    if (info.width != d->columns || info.height != d->rows)
        return damaged(j, "its JPEG is not of the size it says");
    /* the planes of bytes take the second half of the room, and are spread over all of it from the front */
    uint8_t *planes = (uint8_t *)j->codes + count;
    if (lx_jpeg_planes(&in, &info, d->samples, strcmp(d->photometric, "RGB") == 0 ? LX_JPEG_RGB : LX_JPEG_AS_IT_SAYS,
                       planes))
        return j->error->code;
    for (size_t i = 0; i < count; i++)
        j->codes[i] = planes[i];
    return LX_OK;
}

static lx_code read_jpeg_lossless(const job *j, const uint8_t *bytes, size_t size)
{
    if (!lx_jpeg_lossless_decode(j->path, bytes, size, j->d, j->codes, j->error))
        take_codes(j);
    return j->error->code;
}

/* What is packed tightly cannot be larger than so many times its bytes: no file makes us reserve more. JPEG-LS takes
   its time as well, whatever the file has of it. */
enum { MOST_PACKED = 64, SMALLEST_RESERVED = 1 << 20, SMALLEST_JPEG_LS = 1 << 18 };

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
    case LX_DICOM_JPEG_LS: lx_jpegls_decode(j->path, bytes, size, j->d, j->codes, j->error); break;
    default: lx_jpeg2000_decode(j->path, bytes, size, j->d, j->codes, j->error); break;
    }
    free(owned);
    return j->error->code;
}

lx_code lx_dicom_codes(const char *path, const lx_dicom *d, int frame, const uint16_t **codes, uint16_t **owned,
                       lx_error *error)
{
    job j = {path, d, (size_t)d->rows * (size_t)d->columns, NULL, error};
    const size_t total = j.pixels * (size_t)d->samples, bytes = bytes_of_frame(&j);
    *owned = NULL;
    if (frame < 0 || frame >= d->frames)
        return lx_fail(error, LX_EARG, "\"%.300s\" has %d frame%s; there is no frame %d", path, d->frames,
                       d->frames > 1 ? "s" : "", frame + 1);
    const bool packed = d->coding == LX_DICOM_RLE || d->coding == LX_DICOM_JPEG_LOSSLESS ||
                        d->coding == LX_DICOM_JPEG_LS;
    const size_t free_of_doubt = d->coding == LX_DICOM_JPEG_LS ? SMALLEST_JPEG_LS : SMALLEST_RESERVED;
    if (d->coding == LX_DICOM_PLAIN ? d->pixel_bytes / bytes <= (size_t)frame
                                    : packed && bytes / MOST_PACKED > d->pixel_bytes + free_of_doubt)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is truncated: %zu bytes of pixels for %d x %d", path,
                       d->pixel_bytes, d->columns, d->rows);
    if ((*codes = words_in_file(&j, frame)))
        return LX_OK;
    j.codes = lx_host_block(sizeof *j.codes * total, 64);
    if (!j.codes)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, d->columns, d->rows);
    if (d->coding == LX_DICOM_PLAIN)
        read_plain(&j, frame);
    else
        decode_fragments(&j, frame);
    if (error->code)
        free(j.codes);
    else
        *codes = *owned = j.codes;
    return error->code;
}
