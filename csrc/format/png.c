/* PNG (ISO/IEC 15948). The chunks of a file are walked before anything is decoded; libspng decodes where it was there
   at build time, else stb_image. */
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/checksum.h"
#include "rooms.h"

enum {
    GREY = 0,
    RGB = 2,
    PALETTE = 3,
    MOST_COLOURS = 256,
    HEADER_BYTES = 13,
    CHUNK_EDGES = 12 /* length, name, check */
};

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

/* What the chunks say. */
typedef struct {
    int depth, type;
    int significant; /* bits of the first channel that the maker had; 0: it does not say */
    int colours;
    const uint8_t *palette; /* RGB in the file */
    size_t palette_end;     /* where the chunk ends */
    bool transparent, data;
} layout;

static int channels_of(int type)
{
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    return type > 6 ? 0 : channels[type];
}

static lx_code inspect_header(const lx_input *in, const uint8_t *data, size_t length, lx_image_info *info, layout *l)
{
    if (length != HEADER_BYTES)
        return lx_damaged(in, info, "its header has the wrong length");
    l->depth = data[8];
    l->type = data[9];
    if (channels_of(l->type) == 0)
        return lx_damaged(in, info, "its colour type is unknown");
    const int d = l->depth;
    const bool fits = d == 8 || (d == 16 && l->type != PALETTE) ||
                      ((d == 1 || d == 2 || d == 4) && (l->type == GREY || l->type == PALETTE));
    if (!fits)
        return lx_damaged(in, info, "its bits to a sample do not fit its colour type");
    info->channels = l->type == PALETTE ? 3 : channels_of(l->type);
    info->bits = l->depth == 16 ? 16 : 8;
    return lx_accept_size(in, lx_big32(data), lx_big32(data + 4), info);
}

static lx_code inspect_palette(const lx_input *in, const uint8_t *data, size_t length, const lx_image_info *info,
                               layout *l)
{
    if (length == 0 || length % 3 != 0 || length > 3 * MOST_COLOURS)
        return lx_damaged(in, info, "its palette has the wrong length");
    l->colours = (int)(length / 3);
    l->palette = data;
    l->palette_end = (size_t)(data - in->bytes) + length + 4;
    return LX_OK;
}

static lx_code inspect_chunk(const lx_input *in, const uint8_t *name, size_t length, lx_image_info *info, layout *l)
{
    const uint8_t *data = name + 4;
    if (memcmp(name, "IDAT", 4) == 0) {
        l->data = true;
        return LX_OK;
    }
    if (memcmp(name, "PLTE", 4) == 0)
        return inspect_palette(in, data, length, info, l);
    if (memcmp(name, "tRNS", 4) == 0)
        l->transparent = true;
    else if (memcmp(name, "sBIT", 4) == 0 && length > 0 && data[0] >= 1 && data[0] <= 16)
        l->significant = data[0];
    else if (memcmp(name, "eXIf", 4) == 0)
        info->orientation = lx_exif_orientation(data, length);
    else if ((name[0] & 0x20) == 0 && memcmp(name, "IHDR", 4) != 0)
        return lx_unsupported(in, "a PNG with non-standard parts");
    return LX_OK;
}

static lx_code inspect_file(const lx_input *in, lx_image_info *info, layout *l)
{
    const uint8_t *bytes = in->bytes;
    memset(l, 0, sizeof *l);
    if (in->size < sizeof signature)
        return lx_truncated(in, info);
    for (size_t at = sizeof signature;;) {
        if (in->size - at < CHUNK_EDGES)
            return lx_truncated(in, info);
        size_t length = lx_big32(bytes + at);
        const uint8_t *name = bytes + at + 4;
        if (length > 0x7fffffff)
            return lx_damaged(in, info, "a chunk has an impossible length");
        if (at == sizeof signature && memcmp(name, "IHDR", 4) != 0)
            return lx_damaged(in, info, "it does not begin with a header");

        /* The limits come first: what a header claims is worth saying even when the rest is missing. */
        if (at == sizeof signature && length <= in->size - at - CHUNK_EDGES &&
            inspect_header(in, name + 4, length, info, l))
            return in->error->code;
        if (length > in->size - at - CHUNK_EDGES)
            return lx_truncated(in, info);
        if ((name[0] & 0x20) == 0 && lx_crc32(name, length + 4) != lx_big32(name + 4 + length))
            return lx_damaged(in, info, "a checksum does not match");
        if (memcmp(name, "IEND", 4) == 0)
            break;
        if (inspect_chunk(in, name, length, info, l))
            return in->error->code;
        at += length + CHUNK_EDGES;
    }
    if (!l->data)
        return lx_damaged(in, info, "it has no picture in it");
    if (l->type == PALETTE && !l->palette)
        return lx_damaged(in, info, "it has no palette");
    if (l->transparent && info->channels % 2 == 1)
        info->channels++;
    return LX_OK;
}

/* ---- decoding by libspng: samples as they are stored
 * ------------------------------------------------------------------ */

#ifdef LX_SPNG

#include <spng.h>

static size_t row_bytes(const lx_image_info *info, const layout *l)
{
    return ((size_t)info->width * (size_t)channels_of(l->type) * (size_t)l->depth + 7) / 8;
}

static lx_code decode_stored(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t *samples)
{
    spng_ctx *codec = spng_ctx_new(0);
    if (!codec)
        return lx_no_room(in, info);
    if (l->depth < 8) /* the library adds the bits of interlaced samples to those that are there */
        memset(samples, 0, row_bytes(info, l) * (size_t)info->height);
    int status = spng_set_png_buffer(codec, in->bytes, in->size);
    if (!status) /* checksums have been looked at */
        status = spng_set_crc_action(codec, SPNG_CRC_USE, SPNG_CRC_USE);
    if (!status)
        status = spng_decode_image(codec, samples, row_bytes(info, l) * (size_t)info->height, SPNG_FMT_PNG, 0);
    spng_ctx_free(codec);
    if (status == SPNG_EMEM)
        return lx_no_room(in, info);
    return status ? lx_damaged(in, info, spng_strerror(status)) : LX_OK;
}

/* Levels of 1, 2 and 4 bits, which lie side by side in a byte, as bytes of their own. Goes backwards, for the larger
   picture is in the same place. */
static void spread(uint8_t *samples, const lx_image_info *info, const layout *l)
{
    const size_t width = (size_t)info->width, row = row_bytes(info, l), depth = (size_t)l->depth;
    for (size_t y = (size_t)info->height; y-- > 0;)
        for (size_t x = width; x-- > 0;) {
            const uint8_t byte = samples[y * row + x * depth / 8];
            samples[y * width + x] = byte >> (8 - depth - x * depth % 8) & ((1 << depth) - 1);
        }
}

/* Indices as colours; goes backwards for the same reason. */
static lx_code look_up(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t *samples)
{
    for (size_t i = (size_t)info->width * (size_t)info->height; i-- > 0;) {
        const int index = samples[i];
        if (index >= l->colours)
            return lx_damaged(in, info, "a pixel has a colour that its palette does not have");
        memcpy(samples + 3 * i, l->palette + 3 * index, 3);
    }
    return LX_OK;
}

/* Interleaved samples for free(), and how many to a pixel. */
static lx_code decode_samples(const lx_input *in, const lx_image_info *info, const layout *l, int *stored,
                              uint8_t **samples)
{
    const size_t pixels = (size_t)info->width * (size_t)info->height;
    *stored = l->type == PALETTE ? 3 : channels_of(l->type);
    *samples = lx_host_block(pixels * (size_t)*stored * (l->depth == 16 ? 2 : 1), 64);
    if (!*samples)
        return lx_no_room(in, info);
    if (decode_stored(in, info, l, *samples))
        return in->error->code;
    if (l->depth < 8)
        spread(*samples, info, l);
    return l->type == PALETTE ? look_up(in, info, l, *samples) : LX_OK;
}

static int white_of(const layout *l)
{
    return l->type == PALETTE || l->depth >= 8 ? 255 : (1 << l->depth) - 1;
}

#else

/* ---- decoding by stb_image
 * -------------------------------------------------------------------------------------------- */

/* The library shows what was in memory for indices beyond the palette. So the picture is decoded with two palettes that
   differ there alone: where the pictures differ, such an index is used. */
static lx_code decode_with_palette(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t beyond,
                                   void **samples)
{
    const size_t start = (size_t)(l->palette - in->bytes), rest = in->size - l->palette_end;
    const size_t size = start + 3 * MOST_COLOURS + 4 + rest;
    uint8_t *copy = malloc(size);
    if (!copy)
        return lx_no_room(in, info);
    memcpy(copy, in->bytes, start);
    memset(copy + start, beyond, 3 * MOST_COLOURS);
    memcpy(copy + start, l->palette, 3 * (size_t)l->colours);
    copy[start - 6] = 3 * MOST_COLOURS >> 8;
    copy[start - 5] = 3 * MOST_COLOURS & 255;
    memset(copy + start + 3 * MOST_COLOURS, 0, 4); /* a checksum, which nobody looks at again */
    memcpy(copy + size - rest, in->bytes + l->palette_end, rest);
    const lx_input whole = {in->name, copy, size, in->error, NULL};
    lx_stb_decode(&whole, 3, info, samples);
    free(copy);
    return in->error->code;
}

static lx_code decode_indices(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t **samples)
{
    void *black, *white;
    if (decode_with_palette(in, info, l, 0, &black))
        return in->error->code;
    *samples = black;
    if (l->colours >= 1 << l->depth)
        return LX_OK;
    if (decode_with_palette(in, info, l, 255, &white))
        return in->error->code;
    const int differ = memcmp(black, white, 3 * (size_t)info->width * (size_t)info->height);
    free(white);
    return differ ? lx_damaged(in, info, "a pixel has a colour that its palette does not have") : LX_OK;
}

static lx_code decode_samples(const lx_input *in, const lx_image_info *info, const layout *l, int *stored,
                              uint8_t **samples)
{
    void *found = NULL;
    *stored = l->type == PALETTE ? 3 : channels_of(l->type);
    *samples = NULL;
    if (l->type == PALETTE)
        return decode_indices(in, info, l, samples);
    lx_stb_decode(in, *stored, info, &found);
    *samples = found;
    return in->error->code;
}

static int white_of(const layout *l) /* the library spreads levels of fewer bits */
{
    (void)l;
    return 255;
}

#endif

/* ---- the row of the table --------------------------------------------------------------------------------------- */

static bool sniff(const uint8_t *bytes, size_t size)
{
    return memcmp(bytes, signature, size < sizeof signature ? size : sizeof signature) == 0;
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    layout l;
    (void)dicom;
    return inspect_file(in, info, &l);
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    layout l;
    int stored;
    uint8_t *samples = NULL;
    (void)dicom;
    if (inspect_file(in, info, &l))
        return in->error->code;
    if (decode_samples(in, info, &l, &stored, &samples)) {
        free(samples);
        return in->error->code;
    }
    return l.depth == 16
               ? lx_take_deep(in, (uint16_t *)(void *)samples, stored, l.significant, false, options, info, picture)
               : lx_take_bytes(in, samples, stored, white_of(&l), options, info, picture);
}

const lx_format lx_png = {"PNG", "png", sniff, inspect, decode};
