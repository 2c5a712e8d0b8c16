/* JPEG-LS (ISO 14495-1) inside DICOM files, by CharLS where that was there at build time (the Makefile defines
 * LX_CHARLS). */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

#ifndef LX_CHARLS

bool lx_jpegls_available(void)
{
    return false;
}

lx_code lx_jpegls_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                         lx_error *error)
{
    (void)bytes, (void)size, (void)d, (void)codes;
    return lx_fail(error, LX_EFORMAT, "\"%.300s\" is in JPEG-LS, and this build has no CharLS", path);
}

#else

#include <charls/charls.h>

bool lx_jpegls_available(void)
{
    return true;
}

typedef struct {
    const char *path;
    const lx_dicom *d;
    charls_jpegls_decoder *codec;
    lx_error *error;
    charls_frame_info frame;
    charls_interleave_mode mode;
} job;

static lx_code failed(const job *j, int status)
{
    if (status == CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY)
        return lx_fail(j->error, LX_ENOMEM, "\"%.300s\": out of memory for its JPEG-LS stream", j->path);
    return lx_fail(j->error, LX_EFORMAT, "\"%.300s\": its JPEG-LS stream is damaged or not supported: %s", j->path,
                   charls_get_error_message((charls_jpegls_errc)status));
}

/* Whether the stream has its end, perhaps before a byte that fills it up. Without it CharLS goes on for long, in what
   is not there. */
static bool has_end(const uint8_t *bytes, size_t size)
{
    const size_t end = size > 2 && bytes[size - 1] == 0 ? size - 1 : size;
    return end >= 2 && bytes[end - 2] == 0xff && bytes[end - 1] == 0xd9;
}

static lx_code read_header(job *j, const uint8_t *bytes, size_t size)
{
    charls_spiff_header spiff;
    int32_t found;
    int status = (int)charls_jpegls_decoder_set_source_buffer(j->codec, bytes, size);
    if (!status)
        status = (int)charls_jpegls_decoder_read_spiff_header(j->codec, &spiff, &found);
    if (!status)
        status = (int)charls_jpegls_decoder_read_header(j->codec);
    if (!status)
        status = (int)charls_jpegls_decoder_get_frame_info(j->codec, &j->frame);
    if (!status)
        status = (int)charls_jpegls_decoder_get_interleave_mode(j->codec, &j->mode);
    if (status)
        return failed(j, status);
    if (j->frame.width != (uint32_t)j->d->columns || j->frame.height != (uint32_t)j->d->rows ||
        j->frame.component_count != j->d->samples || j->frame.bits_per_sample > 16)
        return lx_fail(j->error, LX_EFORMAT,
                       "\"%.300s\" says %d x %d pixels of %d samples, and its JPEG-LS stream %u x %u of %d", j->path,
                       j->d->columns, j->d->rows, j->d->samples, j->frame.width, j->frame.height,
                       j->frame.component_count);
    return LX_OK;
}

/* Samples that have a sign come with it in as many bits as the stream has; others may be beyond the last one by what
   was lost. */
static uint16_t code_of(const lx_dicom *d, uint32_t sample)
{
    const uint32_t mask = (1u << d->stored) - 1;
    return (uint16_t)(d->is_signed ? sample & mask : sample < mask ? sample : mask);
}

static lx_code decode_samples(job *j, uint16_t *codes)
{
    size_t size;
    const size_t samples = (size_t)j->d->samples, pixels = (size_t)j->d->rows * (size_t)j->d->columns;
    const bool wide = j->frame.bits_per_sample > 8, planar = samples == 1 || j->mode == CHARLS_INTERLEAVE_MODE_NONE;
    int status = (int)charls_jpegls_decoder_get_destination_size(j->codec, 0, &size);
    if (status)
        return failed(j, status);
    if (size != pixels * samples * (wide ? 2 : 1))
        return lx_fail(j->error, LX_EFORMAT, "\"%.300s\": its JPEG-LS stream is of an unusual form", j->path);
    uint8_t *out = malloc(size);
    if (!out)
        return lx_fail(j->error, LX_ENOMEM, "\"%.300s\": out of memory for its JPEG-LS stream", j->path);
    status = (int)charls_jpegls_decoder_decode_to_buffer(j->codec, out, size, 0);
    for (size_t i = 0; !status && i < pixels * samples; i++) {
        const size_t to = planar ? i : i % samples * pixels + i / samples;
        codes[to] = code_of(j->d, wide ? ((uint16_t *)(void *)out)[i] : out[i]);
    }
    free(out);
    return status ? failed(j, status) : LX_OK;
}

lx_code lx_jpegls_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                         lx_error *error)
{
    if (!has_end(bytes, size))
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is truncated: its JPEG-LS stream breaks off after %zu bytes",
                       path, size);
    job j = {.path = path, .d = d, .codec = charls_jpegls_decoder_create(), .error = error};
    if (!j.codec)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for its JPEG-LS stream", path);
    if (!read_header(&j, bytes, size))
        decode_samples(&j, codes);
    charls_jpegls_decoder_destroy(j.codec);
    return error->code;
}

#endif
