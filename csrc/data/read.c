#include "read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/checksum.h"
#include "../format/format.h"
#include "../image/geometry.h"
#include "../image/lungs.h"

static lx_plane size_wanted(const lx_plane *from, const lx_store_options *options)
{
    if (options->square > 0)
        return (lx_plane){options->square, options->square, from->type, NULL};
    const int side = options->side, shorter = from->width < from->height ? from->width : from->height;
    const double scale = side > 0 && shorter > side ? (double)side / shorter : 1;
    return (lx_plane){(int)lround(from->width * scale), (int)lround(from->height * scale), from->type, NULL};
}

static lx_code resize(const char *path, const lx_store_options *options, lx_stored *image, lx_error *error)
{
    const lx_plane *from = &image->plane;
    const lx_plane size = size_wanted(from, options);
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
    if (error->code)
        lx_blame(error, path);
    free(image->owned);
    image->plane = size;
    image->plane.samples = image->owned = small;
    return error->code;
}

/* Leaves the part with both lungs. */
static lx_code crop_to_lungs(const char *path, lx_stored *image, lx_error *error)
{
    lx_rect box;
    if (lx_find_lungs(&image->plane, &box, error)) {
        lx_blame(error, path);
        return error->code;
    }
    lx_plane part = {box.width, box.height, image->plane.type, NULL};
    const size_t bytes = lx_plane_bytes(&part), row = bytes / (size_t)box.height;
    char *samples = malloc(bytes * (size_t)image->channels);
    if (!samples)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, box.height, box.width);
    const size_t pixel = row / (size_t)box.width;
    for (int c = 0; c < image->channels; c++) {
        lx_plane from = image->plane;
        from.samples = (char *)image->plane.samples + (size_t)c * lx_plane_bytes(&from);
        for (int y = 0; y < box.height; y++)
            memcpy(samples + (size_t)c * bytes + (size_t)y * row,
                   (const char *)lx_plane_row(&from, box.y + y) + (size_t)box.x * pixel, row);
    }
    free(image->owned);
    part.samples = samples;
    image->plane = part;
    image->owned = samples;
    return LX_OK;
}

enum { BYTES_OF_ROW = 4096 };

/* Levels as bytes, a piece at a time; words come down to their upper byte (samples.c). */
static uint64_t add_levels(uint64_t hash, const float *levels, size_t count, bool words)
{
    uint8_t bytes[BYTES_OF_ROW];
    for (size_t done = 0, size; done < count; done += size) {
        size = count - done < BYTES_OF_ROW ? count - done : BYTES_OF_ROW;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(words ? levels[done + i] * (257.0f / 256) + 1e-3f : levels[done + i] + 0.5f);
        hash = hash * 31 ^ lx_checksum(bytes, size);
    }
    return hash;
}

/* The same for an image as bytes and on the scale 0..255, as far as the one comes down to the other. */
static uint64_t hash_of(const lx_picture *picture, bool words)
{
    const size_t count = lx_plane_count(&picture->first) * (size_t)picture->channels;
    uint64_t hash = (uint64_t)picture->first.width << 32 | (uint64_t)picture->first.height;
    if (picture->first.type == LX_PLANE_F32) {
        hash = add_levels(hash, picture->first.samples, count, words);
    } else {
        const uint8_t *bytes = picture->first.samples;
        for (size_t done = 0; done < count; done += BYTES_OF_ROW)
            hash = hash * 31 ^ lx_checksum(bytes + done, count - done < BYTES_OF_ROW ? count - done : BYTES_OF_ROW);
    }
    return hash ? hash : 1;
}

uint64_t lx_hash_samples(const void *samples, size_t size)
{
    const uint64_t hash = lx_checksum(samples, size);
    return hash ? hash : 1;
}

lx_code lx_read_image(const char *path, const lx_store_options *wanted, lx_stored *image, lx_error *error)
{
    lx_picture picture;
    lx_image_info info;
    const lx_read_options options = {
        .channels = wanted->channels, .as = wanted->labels || wanted->bytes ? LX_AS_BYTES : LX_AS_LEVELS, .frame = -1};
    if (lx_image_read(path, &options, &picture, &info, NULL, error))
        return error->code;
    *image = (lx_stored){picture.first, wanted->channels, picture.first.samples,
                         hash_of(&picture, info.white == 65535)};
    if ((wanted->lungs && crop_to_lungs(path, image, error)) || resize(path, wanted, image, error))
        lx_store_put(image);
    return error->code;
}
