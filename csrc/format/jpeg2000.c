/* JPEG 2000 streams inside DICOM files, by OpenJPEG where that is installed (the Makefile defines LX_OPENJPEG). */
#include "dicom.h"

#ifndef LX_OPENJPEG

bool lx_jpeg2000_available(void)
{
    return false;
}

lx_code lx_jpeg2000_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                           lx_error *error)
{
    (void)bytes, (void)size, (void)d, (void)codes;
    return lx_fail(error, LX_EFORMAT, "\"%.300s\" is in JPEG 2000, and this build has no OpenJPEG", path);
}

#else

#include <openjpeg.h>
#include <string.h>

bool lx_jpeg2000_available(void)
{
    return true;
}

/* A stream in memory, as OpenJPEG reads it. */
typedef struct {
    const uint8_t *bytes;
    size_t size, at;
} memory;

static OPJ_SIZE_T read_memory(void *buffer, OPJ_SIZE_T wanted, void *data)
{
    memory *m = data;
    const size_t left = m->size - m->at, count = wanted < left ? wanted : left;
    if (count == 0)
        return (OPJ_SIZE_T)-1;
    memcpy(buffer, m->bytes + m->at, count);
    m->at += count;
    return count;
}

static OPJ_OFF_T skip_memory(OPJ_OFF_T count, void *data)
{
    memory *m = data;
    if (count < 0)
        return -1;
    const size_t left = m->size - m->at;
    m->at += (size_t)count < left ? (size_t)count : left;
    return count;
}

static OPJ_BOOL seek_memory(OPJ_OFF_T place, void *data)
{
    memory *m = data;
    if (place < 0 || (size_t)place > m->size)
        return OPJ_FALSE;
    m->at = (size_t)place;
    return OPJ_TRUE;
}

/* The library's own words go nowhere: it is not for a library to print. They are all that tells a file that is damaged
   from memory that ran out, though. */
static void keep_quiet(const char *message, void *starved)
{
    if (starved && strstr(message, "memory"))
        *(bool *)starved = true;
}

static lx_code decode(const char *path, opj_codec_t *codec, opj_stream_t *stream, opj_image_t **image,
                      const lx_dicom *d, uint16_t *codes, lx_error *error)
{
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, image))
        return lx_fail(error, LX_EFORMAT, "\"%.300s\": its JPEG 2000 stream has no valid header", path);
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream))
        return lx_fail(error, LX_EFORMAT, "\"%.300s\": its JPEG 2000 stream is damaged or cut short", path);
    if ((*image)->numcomps != (OPJ_UINT32)d->samples)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\": its JPEG 2000 stream is damaged", path);
    const size_t pixels = (size_t)d->rows * (size_t)d->columns;
    for (int i = 0; i < d->samples; i++) {
        const opj_image_comp_t *c = &(*image)->comps[i];
        if (!c->data || c->w != (OPJ_UINT32)d->columns || c->h != (OPJ_UINT32)d->rows)
            return lx_fail(error, LX_EFORMAT, "\"%.300s\": its JPEG 2000 stream is damaged", path);
        /* values that the file calls signed may come as unsigned ones of the same bits, and the other way round */
        const uint32_t mask = (1u << d->stored) - 1;
        for (size_t k = 0; k < pixels; k++)
            codes[(size_t)i * pixels + k] = (uint16_t)((uint32_t)c->data[k] & mask);
    }
    return LX_OK;
}

lx_code lx_jpeg2000_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                           lx_error *error)
{
    if (lx_jpeg2000_inspect(path, &bytes, &size, d, error))
        return error->code;
    memory m = {bytes, size, 0};
    opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
    opj_image_t *image = NULL;
    bool starved = false;
    if (codec && stream) {
        opj_set_info_handler(codec, keep_quiet, NULL);
        opj_set_warning_handler(codec, keep_quiet, NULL);
        opj_set_error_handler(codec, keep_quiet, &starved);
        opj_stream_set_read_function(stream, read_memory);
        opj_stream_set_skip_function(stream, skip_memory);
        opj_stream_set_seek_function(stream, seek_memory);
        opj_stream_set_user_data(stream, &m, NULL);
        opj_stream_set_user_data_length(stream, size);
        if (decode(path, codec, stream, &image, d, codes, error) && starved)
            lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for its JPEG 2000 stream", path);
    } else {
        lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory", path);
    }
    if (image)
        opj_image_destroy(image);
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return error->code;
}

#endif
