#include "read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../image/geometry.h"
#include "../image/image.h"

/* The size of an image whose shorter side is to have at most `side` pixels. */
static lx_plane reduced_size(const lx_plane *from, int side)
{
    const int shorter = from->width < from->height ? from->width : from->height;
    const double scale = side > 0 && shorter > side ? (double)side / shorter : 1;
    return (lx_plane){(int)lround(from->width * scale), (int)lround(from->height * scale), from->type, NULL};
}

static lx_code reduce(const char *path, const lx_store_options *options, lx_stored *image, lx_error *error)
{
    const lx_plane *from = &image->plane;
    const lx_plane size = reduced_size(from, options->side);
    if (size.width == from->width && size.height == from->height)
        return LX_OK;
    char *small = malloc(lx_plane_bytes(&size) * (size_t)image->channels);
    if (!small)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, size.height, size.width);
    for (int c = 0; c < image->channels && !error->code; c++) {
        lx_plane in = *from, out = size;
        in.samples = (char *)from->samples + (size_t)c * lx_plane_bytes(from);
        out.samples = small + (size_t)c * lx_plane_bytes(&size);
        lx_resize(&in, &out, options->labels ? LX_NEAREST : LX_BILINEAR, true, error);
    }
    free(image->owned);
    image->plane = size;
    image->plane.samples = image->owned = small;
    return error->code;
}

lx_code lx_read_image(const char *path, const lx_store_options *wanted, lx_stored *image, lx_error *error)
{
    lx_picture picture;
    lx_image_info info;
    const lx_read_options options = {.channels = wanted->channels, .as = wanted->labels ? LX_AS_BYTES : LX_AS_LEVELS};
    if (lx_image_read(path, &options, &picture, &info, NULL, error))
        return error->code;
    *image = (lx_stored){picture.first, wanted->channels, picture.first.samples};
    if (reduce(path, wanted, image, error))
        lx_store_put(image);
    return error->code;
}
