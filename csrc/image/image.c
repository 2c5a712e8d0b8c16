#include "image.h"

#include "../data/file.h"
#include "codec.h"
#include "geometry.h"

#include <stdlib.h>
#include <string.h>

/* ---- what a file says ------------------------------------------------------------------------------------------ */

/* Pointers into the file's bytes end with them. */
static void forget_bytes(lx_dicom *dicom)
{
    dicom->pixels = NULL;
    dicom->modality_lut.entries = dicom->voi_lut.entries = NULL;
}

/* Checks the structure of a file, of whichever format. */
static lx_code inspect(const char *name, const uint8_t *bytes, size_t size, lx_image_header *header, lx_dicom *dicom,
                       lx_error *error)
{
    if (lx_image_inspect(name, bytes, size, header, error))
        return error->code;
    static const char *const names[] = {"JPEG", "PNG", "BMP", "PNM", "DICOM"};
    header->info.format = names[header->format];
    if (header->format != LX_FORMAT_DICOM)
        return LX_OK;
    if (lx_dicom_parse(name, bytes, size, dicom, error))
        return error->code;
    header->info.width = dicom->columns;
    header->info.height = dicom->rows;
    header->info.channels = dicom->samples;
    header->info.bits = dicom->stored;
    return LX_OK;
}

lx_code lx_image_probe(const char *path, lx_image_info *info, lx_dicom *dicom, lx_error *error)
{
    uint8_t *bytes;
    size_t size;
    lx_image_header header;
    lx_dicom own;
    dicom = dicom ? dicom : &own;
    if (lx_file_read(path, LX_IMAGE_MAX_BYTES, &bytes, &size, error))
        return error->code;
    if (!inspect(path, bytes, size, &header, dicom, error))
        *info = header.info;
    free(bytes);
    forget_bytes(dicom);
    return error->code;
}

/* ---- samples --------------------------------------------------------------------------------------------------- */

/* A picture of the size of the file's, with room for its samples. */
static lx_code new_picture(const char *name, const lx_image_info *info, int channels, lx_plane_type type, lx_picture *picture,
                           lx_error *error)
{
    *picture = (lx_picture){{info->width, info->height, type, NULL}, channels};
    picture->first.samples = malloc(lx_plane_bytes(&picture->first) * (size_t)channels);
    if (picture->first.samples == NULL)
        return lx_fail(error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory for %d x %d pixels", name, info->width,
                       info->height);
    return LX_OK;
}

/* How a stored sample becomes one of the picture. */
typedef struct {
    float scale;  /* of floats; bytes are stored samples times it, rounded */
    lx_plane_type type;
} conversion;

/* Where white is `white`: deep samples in their own units, as bytes, or on the scale 0..255. */
static conversion convert(int white, int bits, lx_read_as as)
{
    if (bits <= 8)
        return (conversion){255.0f / (float)white, LX_PLANE_U8};
    if (as == LX_AS_STORED)
        return (conversion){1, LX_PLANE_F32};
    return (conversion){255.0f / (float)white, as == LX_AS_BYTES ? LX_PLANE_U8 : LX_PLANE_F32};
}

/* The bytes that a deep sample comes down to are its upper ones: as if the others had never been. */
static void put(const lx_picture *picture, size_t place, int sample, int white, const conversion *c)
{
    if (c->type == LX_PLANE_F32)
        ((float *)picture->first.samples)[place] = (float)sample * c->scale;
    else if (white == 65535)
        ((uint8_t *)picture->first.samples)[place] = (uint8_t)(sample >> 8);
    else
        ((uint8_t *)picture->first.samples)[place] = (uint8_t)(sample >= white ? 255 : (sample * 255 + white / 2) / white);
}

static int grey_of(int red, int green, int blue)
{
    return (red * 77 + green * 150 + blue * 29) >> 8;
}

static lx_code decode_pnm(const char *name, const uint8_t *bytes, const lx_image_header *header, int channels, lx_read_as as,
                          lx_picture *picture, lx_error *error)
{
    const int stored = header->info.channels, white = header->white;
    const conversion how = convert(white, header->info.bits, as);
    const size_t count = (size_t)header->info.width * (size_t)header->info.height;
    const uint8_t *raster = bytes + header->raster;
    if (new_picture(name, &header->info, channels, how.type, picture, error))
        return error->code;
    for (size_t i = 0; i < count; i++) {
        int rgb[3];
        for (size_t c = 0; c < 3; c++) {
            const size_t at = stored == 3 ? i * 3 + c : i;
            rgb[c] = white > 255 ? raster[2 * at] << 8 | raster[2 * at + 1] : raster[at];
            rgb[c] = rgb[c] < white ? rgb[c] : white;
        }
        if (channels == 1)
            put(picture, i, stored == 3 ? grey_of(rgb[0], rgb[1], rgb[2]) : rgb[0], white, &how);
        else
            for (size_t c = 0; c < 3; c++)
                put(picture, c * count + i, rgb[c], white, &how);
    }
    return LX_OK;
}

/* Interleaved samples of 8 or 16 bits as planes. One channel of bytes is a plane already, and is taken over. */
static lx_code take_samples(const char *name, void *samples, const lx_image_info *info, int channels, lx_read_as as,
                            lx_picture *picture, lx_error *error)
{
    const size_t count = (size_t)info->width * (size_t)info->height;
    if (info->bits <= 8 && channels == 1) {
        *picture = (lx_picture){{info->width, info->height, LX_PLANE_U8, samples}, 1};
        return LX_OK;
    }
    const int white = info->bits > 8 ? 65535 : 255;
    const conversion how = convert(white, info->bits, as);
    if (!new_picture(name, info, channels, how.type, picture, error))
        for (size_t i = 0; i < count; i++)
            for (size_t c = 0; c < (size_t)channels; c++) {
                const size_t from = i * (size_t)channels + c;
                put(picture, c * count + i, info->bits > 8 ? ((uint16_t *)samples)[from] : ((uint8_t *)samples)[from], white,
                    &how);
            }
    free(samples);
    return error->code;
}

static lx_code decode_stb(const char *name, const uint8_t *bytes, size_t size, lx_image_header *header, int channels,
                          lx_read_as as, lx_picture *picture, lx_error *error)
{
    lx_image_info *info = &header->info;
    lx_codec_result result = {.width = info->width, .height = info->height};
    /* 16-bit RGBA takes 8 bytes a pixel, decoders double their buffers as they grow, and JPEG pads to whole blocks of up
       to 32 pixels; the compressed bytes themselves are gathered in one buffer, which doubles as well. */
    const size_t allowance = (size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * size + 65536;
    void *samples = info->bits > 8 ? (void *)lx_codec_decode16(bytes, size, channels, allowance, &result)
                                   : (void *)lx_codec_decode(bytes, size, channels, allowance, &result);
    if (samples == NULL && result.no_memory)
        return lx_fail(error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory for %d x %d pixels", name, info->width,
                       info->height);
    if (samples == NULL)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is a damaged or unsupported %s: %s", name, info->format, result.failure);
    if (result.width != info->width || result.height != info->height) {
        free(samples);
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is a damaged %s: it states two sizes", name, info->format);
    }
    info->channels = result.channels;
    return take_samples(name, samples, info, channels, as, picture, error);
}

/* ---- DICOM ------------------------------------------------------------------------------------------------------ */

static lx_code replace_samples(const char *name, int channels, lx_picture *picture, lx_error *error)
{
    lx_picture out = {picture->first, channels};
    const size_t count = lx_plane_count(&out.first), bytes = lx_plane_bytes(&out.first);
    out.first.samples = malloc(bytes * (size_t)channels);
    if (out.first.samples == NULL) {
        free(picture->first.samples);
        return lx_fail(error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory for %d x %d pixels", name, out.first.width,
                       out.first.height);
    }
    const uint8_t *from = picture->first.samples;
    uint8_t *to = out.first.samples;
    if (channels == 3)
        for (size_t c = 0; c < 3; c++)
            memcpy(to + c * bytes, from, bytes);
    else /* colours of DICOM files are bytes */
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)grey_of(from[i], from[count + i], from[2 * count + i]);
    free(picture->first.samples);
    *picture = out;
    return LX_OK;
}

static lx_code decode_dicom(const char *name, const lx_dicom *dicom, const lx_read_options *options, lx_picture *picture,
                            lx_error *error)
{
    if (lx_dicom_decode(name, dicom, options, picture, error))
        return error->code;
    return options->channels == 0 || options->channels == picture->channels
               ? LX_OK : replace_samples(name, options->channels, picture, error);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

lx_code lx_image_read_memory(const char *name, const uint8_t *bytes, size_t size, const lx_read_options *options,
                             lx_picture *picture, lx_image_info *info, lx_dicom *dicom, lx_error *error)
{
    if (options->channels != 0 && options->channels != 1 && options->channels != 3)
        return lx_fail(error, LX_EARG, "image read: channels must be 0 (as stored), 1 or 3, not %d", options->channels);
    lx_image_header header;
    lx_dicom own;
    dicom = dicom ? dicom : &own;
    if (inspect(name, bytes, size, &header, dicom, error))
        return error->code;
    const int channels = options->channels ? options->channels : header.info.channels >= 3 ? 3 : 1;
    if (header.format == LX_FORMAT_DICOM)
        decode_dicom(name, dicom, options, picture, error);
    else if (header.format == LX_FORMAT_PNM)
        decode_pnm(name, bytes, &header, channels, options->as, picture, error);
    else
        decode_stb(name, bytes, size, &header, channels, options->as, picture, error);
    *info = header.info;
    forget_bytes(dicom);
    return error->code;
}

lx_code lx_image_read(const char *path, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom, lx_error *error)
{
    uint8_t *bytes;
    size_t size;
    if (lx_file_read(path, LX_IMAGE_MAX_BYTES, &bytes, &size, error))
        return error->code;
    lx_image_read_memory(path, bytes, size, options, picture, info, dicom, error);
    free(bytes);
    return error->code;
}

lx_code lx_image_load_gray(const char *path, int size, uint8_t *out, lx_error *error)
{
    if (size < 1 || size > LX_IMAGE_MAX_SIDE)
        return lx_fail(error, LX_EARG, "image load: size must be 1 to %d pixels a side, not %d", LX_IMAGE_MAX_SIDE,
                       size);
    lx_picture picture;
    lx_image_info info;
    const lx_read_options grey = {.channels = 1, .as = LX_AS_BYTES};
    if (lx_image_read(path, &grey, &picture, &info, NULL, error))
        return error->code;
    lx_plane to = {size, size, LX_PLANE_U8, out};
    lx_resize(&picture.first, &to, LX_BILINEAR, true, error);
    free(picture.first.samples);
    return error->code;
}

lx_code lx_image_write_png(const char *path, const uint8_t *pixels, int width, int height, int channels,
                           lx_error *error)
{
    if (width < 1 || height < 1 || width > LX_IMAGE_MAX_SIDE || height > LX_IMAGE_MAX_SIDE ||
        (int64_t)width * height > LX_IMAGE_MAX_PIXELS || channels < 1 || channels > 4)
        return lx_fail(error, LX_EARG,
                       "image write: %d x %d pixels of %d channels; needs 1 to %d pixels a side, at most %d million in "
                       "all, and 1 to 4 channels",
                       width, height, channels, LX_IMAGE_MAX_SIDE, LX_IMAGE_MAX_PIXELS / 1000000);
    size_t size;
    uint8_t *png = lx_codec_encode_png(pixels, width, height, channels, &size);
    if (png == NULL)
        return lx_fail(error, LX_ENOMEM, "cannot write \"%.300s\": out of memory for %d x %d pixels", path, width,
                       height);
    lx_chunk chunk = {png, size};
    lx_code code = lx_file_write(path, &chunk, 1, error);
    free(png);
    return code;
}
