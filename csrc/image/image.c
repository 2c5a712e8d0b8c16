#include "image.h"

#include "../data/file.h"
#include "codec.h"
#include "geometry.h"

#include <stdlib.h>

static lx_code read_inspected(const char *path, uint8_t **bytes, size_t *size, lx_image_header *header, lx_error *error)
{
    lx_code code = lx_file_read(path, LX_IMAGE_MAX_BYTES, bytes, size, error);
    if (code != LX_OK)
        return code;
    code = lx_image_inspect(path, *bytes, *size, header, error);
    if (code != LX_OK)
        free(*bytes);
    return code;
}

lx_code lx_image_probe(const char *path, lx_image_info *info, lx_error *error)
{
    uint8_t *bytes;
    size_t size;
    lx_image_header header;
    lx_code code = read_inspected(path, &bytes, &size, &header, error);
    if (code != LX_OK)
        return code;
    free(bytes);
    *info = header.info;
    return LX_OK;
}

static int pnm_sample(const lx_image_header *header, const uint8_t *raster, size_t i)
{
    int value = header->info.is16 ? raster[2 * i] << 8 | raster[2 * i + 1] : raster[i];
    if (value >= header->white)
        return 255;
    return header->white == 65535 ? value >> 8 : (value * 255 + header->white / 2) / header->white;
}

static uint8_t *decode_pnm(const uint8_t *bytes, const lx_image_header *header, int channels)
{
    int stored = header->info.channels;
    size_t count = (size_t)header->info.width * (size_t)header->info.height;
    uint8_t *pixels = malloc(count * (size_t)channels);
    if (pixels == NULL)
        return NULL;
    const uint8_t *raster = bytes + header->raster;
    for (size_t i = 0; i < count; i++) {
        int rgb[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = pnm_sample(header, raster, stored == 3 ? i * 3 + (size_t)c : i);
        if (channels == 1)
            pixels[i] = (uint8_t)((rgb[0] * 77 + rgb[1] * 150 + rgb[2] * 29) >> 8);
        else
            for (int c = 0; c < 3; c++)
                pixels[i * 3 + (size_t)c] = (uint8_t)rgb[c];
    }
    return pixels;
}

static lx_code decode(const char *path, const uint8_t *bytes, size_t size, int channels, lx_image_header *header,
                      uint8_t **pixels, lx_error *error)
{
    lx_image_info *info = &header->info;
    lx_codec_result result = {.width = info->width, .height = info->height, .channels = info->channels};
    if (header->format == LX_FORMAT_PNM) {
        *pixels = decode_pnm(bytes, header, channels == 0 ? info->channels : channels);
        result.no_memory = *pixels == NULL;
    } else {
        /* 16-bit RGBA takes 8 bytes a pixel, decoders double their buffers as they grow, and JPEG pads to whole blocks
           of up to 32 pixels; the compressed bytes themselves are gathered in one buffer, which doubles as well. */
        size_t allowance = (size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * size + 65536;
        *pixels = lx_codec_decode(bytes, size, channels, allowance, &result);
    }
    if (*pixels == NULL && result.no_memory)
        return lx_fail(error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory for %d x %d pixels", path,
                       info->width, info->height);
    if (*pixels == NULL)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is a damaged or unsupported %s: %s", path,
                       lx_image_format_name(header->format), result.failure);
    if (result.width != info->width || result.height != info->height) {
        free(*pixels);
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is a damaged %s: it states two sizes", path,
                       lx_image_format_name(header->format));
    }
    info->channels = result.channels;
    return LX_OK;
}

lx_code lx_image_load(const char *path, int channels, uint8_t **pixels, lx_image_info *info, lx_error *error)
{
    if (channels != 0 && channels != 1 && channels != 3)
        return lx_fail(error, LX_EARG, "image load: channels must be 0 (as stored), 1 or 3, not %d", channels);
    uint8_t *bytes;
    size_t size;
    lx_image_header header;
    lx_code code = read_inspected(path, &bytes, &size, &header, error);
    if (code != LX_OK)
        return code;
    code = decode(path, bytes, size, channels, &header, pixels, error);
    free(bytes);
    if (code == LX_OK)
        *info = header.info;
    return code;
}

lx_code lx_image_load_gray(const char *path, int size, uint8_t *out, lx_image_info *info, lx_error *error)
{
    if (size < 1 || size > LX_IMAGE_MAX_SIDE)
        return lx_fail(error, LX_EARG, "image load: size must be 1 to %d pixels a side, not %d", LX_IMAGE_MAX_SIDE,
                       size);
    uint8_t *pixels;
    lx_code code = lx_image_load(path, 1, &pixels, info, error);
    if (code != LX_OK)
        return code;
    const lx_plane from = {info->width, info->height, LX_PLANE_U8, pixels};
    lx_plane to = {size, size, LX_PLANE_U8, out};
    code = lx_resize(&from, &to, LX_BILINEAR, true, error);
    free(pixels);
    return code;
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
