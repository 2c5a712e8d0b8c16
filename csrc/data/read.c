#include "read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../image/geometry.h"
#include "../image/image.h"

/* Colours one after the other instead of pixel by pixel. */
static void separate(const uint8_t *pixels, size_t count, int channels, uint8_t *planes)
{
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < (size_t)channels; c++)
            planes[c * count + i] = pixels[i * (size_t)channels + c];
}

/* The size of an image whose shorter side is to have at most `side` pixels. */
static lx_plane reduced_size(const lx_plane *from, int side)
{
    const int shorter = from->width < from->height ? from->width : from->height;
    const double scale = side > 0 && shorter > side ? (double)side / shorter : 1;
    return (lx_plane){(int)lround(from->width * scale), (int)lround(from->height * scale), from->type, NULL};
}

static lx_code reduce(const char *path, int side, lx_stored *image, lx_error *error)
{
    const lx_plane *from = &image->plane;
    const lx_plane size = reduced_size(from, side);
    if (size.width == from->width && size.height == from->height)
        return LX_OK;
    char *small = malloc(lx_plane_bytes(&size) * (size_t)image->channels);
    if (!small)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, size.height, size.width);
    for (int c = 0; c < image->channels && !error->code; c++) {
        lx_plane in = *from, out = size;
        in.samples = (char *)from->samples + (size_t)c * lx_plane_bytes(from);
        out.samples = small + (size_t)c * lx_plane_bytes(&size);
        lx_resize(&in, &out, LX_BILINEAR, true, error);
    }
    free(image->owned);
    image->plane = size;
    image->plane.samples = image->owned = small;
    return error->code;
}

lx_code lx_read_image(const char *path, int channels, int side, lx_stored *image, lx_error *error)
{
    uint8_t *pixels = NULL, *planes;
    lx_image_info info;
    if (lx_image_load(path, channels, &pixels, &info, error))
        return error->code;
    const size_t count = (size_t)info.width * (size_t)info.height;
    planes = channels == 1 ? pixels : malloc(count * (size_t)channels);
    if (!planes) {
        free(pixels);
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, info.height, info.width);
    }
    if (planes != pixels) {
        separate(pixels, count, channels, planes);
        free(pixels);
    }
    *image = (lx_stored){{info.width, info.height, LX_PLANE_U8, planes}, channels, planes};
    if (reduce(path, side, image, error))
        lx_store_put(image);
    return error->code;
}
