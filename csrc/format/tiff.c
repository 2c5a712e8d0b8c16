/* TIFF (Adobe's revision 6.0, and BigTIFF) by libtiff, where it was there at build time. */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

static bool sniff(const uint8_t *bytes, size_t size)
{
    if (size < 4 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return false;
    const uint32_t version = bytes[0] == 'M' ? lx_big16(bytes + 2) : lx_little16(bytes + 2);
    return version == 42 || version == 43;
}

#ifdef LX_LIBTIFF
#include <tiffio.h>
#endif

#if !defined LX_LIBTIFF || TIFFLIB_VERSION < 20221213 /* before that, its messages went to one place for all threads \
                                                       */

static lx_code refuse(const lx_input *in)
{
    return lx_fail(in->error, LX_EFORMAT,
                   "\"%.300s\" is a TIFF file, which this build does not read (package libtiff-dev, 4.5 or "
                   "later, was not there)",
                   in->name);
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    (void)info, (void)dicom;
    return refuse(in);
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    (void)options, (void)picture, (void)info, (void)dicom;
    return refuse(in);
}

#else

#include <stdarg.h>
#include <stdio.h>

enum { MOST_PAGES = 65535 };

/* A file in memory, as libtiff reads it, and the first thing that it says against it. */
typedef struct {
    const lx_input *in;
    size_t at;
    char problem[256];
} memory;

static tmsize_t read_memory(thandle_t handle, void *buffer, tmsize_t wanted)
{
    memory *m = handle;
    const size_t left = m->in->size - m->at, count = wanted < 0 ? 0 : (size_t)wanted < left ? (size_t)wanted : left;
    memcpy(buffer, m->in->bytes + m->at, count);
    m->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t handle, void *buffer, tmsize_t count)
{
    (void)handle, (void)buffer, (void)count;
    return 0;
}

static toff_t seek_memory(thandle_t handle, toff_t offset, int from)
{
    memory *m = handle;
    const toff_t place = from == SEEK_CUR ? m->at + offset : from == SEEK_END ? m->in->size + offset : offset;
    m->at = place < m->in->size ? (size_t)place : m->in->size;
    return place;
}

static int close_nothing(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of_memory(thandle_t handle)
{
    return ((memory *)handle)->in->size;
}

static int note(TIFF *file, void *data, const char *where, const char *format, va_list arguments)
{
    memory *m = data;
    (void)file, (void)where;
    if (!m->problem[0])
        vsnprintf(m->problem, sizeof m->problem, format, arguments);
    return 1;
}

/* Of warnings one matters: without its palette, a picture would be shown by its indices. */
static int note_palette(TIFF *file, void *data, const char *where, const char *format, va_list arguments)
{
    char text[256];
    memory *m = data;
    (void)file, (void)where;
    vsnprintf(text, sizeof text, format, arguments);
    if (!m->problem[0] && (strstr(text, "ColorMap") || strstr(text, "Colormap")))
        memcpy(m->problem, text, sizeof text);
    return 1;
}

/* The library tells of memory that ran out in words alone, or not at all where it could not even begin. */
static bool is_starved(const memory *m)
{
    if (strstr(m->problem, "beyond the")) /* what we allow it */
        return false;
    return !m->problem[0] || strstr(m->problem, "ut of memory") || strstr(m->problem, "o space for") ||
           strstr(m->problem, "llocation failed") || strstr(m->problem, "Failed to allocate");
}

static lx_code damaged(const memory *m, const lx_image_info *info)
{
    if (is_starved(m))
        return lx_fail(m->in->error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory", m->in->name);
    if (strstr(m->problem, "ompression") || strstr(m->problem, "not configured"))
        return lx_fail(m->in->error, LX_EFORMAT,
                       "\"%.300s\" is a TIFF file that libtiff cannot read: %s; convert it with "
                       "tiffcp -c none",
                       m->in->name, m->problem);
    return lx_damaged(m->in, info, m->problem[0] ? m->problem : "it cannot be decoded");
}

/* Opens a file; nothing is reserved for it that is larger than `most` bytes. */
static TIFF *open_file(memory *m, const lx_input *in, size_t most)
{
    *m = (memory){.in = in};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, note, m);
    TIFFOpenOptionsSetWarningHandlerExtR(options, note_palette, m);
    TIFF *file = TIFFClientOpenExt("image", "rm", m, read_memory, write_nothing, seek_memory, close_nothing,
                                   size_of_memory, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return file;
}

/* ---- what a page says -----------------------------------------------------------------------------------------------
 */

typedef struct {
    uint16_t bits, samples, format, photometric, planar;
    bool converts; /* colours that libtiff makes RGB of */
} layout;

static lx_code read_layout(TIFF *file, const memory *m, lx_image_info *info, layout *l)
{
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1;
    memset(l, 0, sizeof *l);
    TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(file, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &l->bits);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &l->samples);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &l->format);
    TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &l->planar);
    TIFFGetFieldDefaulted(file, TIFFTAG_ORIENTATION, &orientation);
    if (lx_accept_size(m->in, width, height, info))
        return m->in->error->code;
    if (m->problem[0])
        return damaged(m, info);
    if (!TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &l->photometric))
        l->photometric = l->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    const bool grey = l->photometric == PHOTOMETRIC_MINISBLACK || l->photometric == PHOTOMETRIC_MINISWHITE;
    l->converts = !grey && (l->photometric != PHOTOMETRIC_RGB || l->samples < 3);
    if (l->samples < 1 || (grey && l->samples > 2) || l->samples > 5)
        return lx_unsupported(m->in, "a TIFF file of other samples than grey or colours");
    if (l->converts && l->bits > 8)
        return lx_unsupported(m->in, "a TIFF file of more than 8 bits in other colours than grey and RGB");
    const bool real = l->format == SAMPLEFORMAT_IEEEFP, whole = l->format == SAMPLEFORMAT_UINT ||
                                                                l->format == SAMPLEFORMAT_INT ||
                                                                l->format == SAMPLEFORMAT_VOID;
    if (real ? l->bits != 32 && l->bits != 64
             : !whole || l->bits < 1 || (l->bits > 16 && l->bits != 32) ||
                   (l->format == SAMPLEFORMAT_INT && l->bits < 8))
        return lx_unsupported(m->in, "a TIFF file of unusual samples");
    info->channels = grey ? l->samples : l->samples == 4 && !l->converts ? 4 : 3;
    info->bits = l->bits <= 8 ? 8 : l->bits;
    info->orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    return LX_OK;
}

static size_t allowance_of(const lx_image_info *info, const lx_input *in)
{
    return (size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * in->size + (1 << 20);
}

/* Goes to a page, and says how many there are. */
static lx_code find_page(TIFF *file, const memory *m, int page, lx_image_info *info)
{
    info->frames = (int)TIFFNumberOfDirectories(file);
    if (page < 0 || page >= info->frames)
        return lx_fail(m->in->error, LX_EARG, "\"%.300s\" has %d page%s; there is no frame %d", m->in->name,
                       info->frames, info->frames > 1 ? "s" : "", page + 1);
    if (!TIFFSetDirectory(file, (tdir_t)page))
        return damaged(m, info);
    return LX_OK;
}

/* Whether the file says where its first page is, of which the library says nothing when it is nowhere. */
static bool has_page(const lx_input *in)
{
    const bool big = in->bytes[0] == 'M';
    uint32_t (*const read16)(const uint8_t *) = big ? lx_big16 : lx_little16;
    uint32_t (*const read32)(const uint8_t *) = big ? lx_big32 : lx_little32;
    if (read16(in->bytes + 2) == 43)
        return in->size >= 16;
    const size_t at = in->size >= 8 ? read32(in->bytes + 4) : 0;
    return at >= 8 && at < in->size && in->size - at >= 2 && read16(in->bytes + at) > 0;
}

static lx_code inspect_page(const lx_input *in, int page, lx_image_info *info)
{
    memory m;
    layout l;
    if (!has_page(in))
        return lx_damaged(in, info, "it has no page");
    TIFF *file = open_file(&m, in, 2 * in->size + (1 << 20));
    if (!file)
        return damaged(&m, info);
    if (!find_page(file, &m, page, info))
        read_layout(file, &m, info, &l);
    TIFFClose(file);
    return in->error->code;
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    (void)dicom;
    return inspect_page(in, 0, info);
}

/* ---- stored samples -------------------------------------------------------------------------------------------------
 */

/* Rows of stored bytes, of one plane or of all samples side by side. */
typedef struct {
    uint8_t *bytes;
    size_t row;
} raster;

static size_t bytes_of_row(const layout *l, size_t width)
{
    const size_t samples = l->planar == PLANARCONFIG_SEPARATE ? 1 : l->samples;
    return (width * samples * l->bits + 7) / 8;
}

static lx_code read_strips(TIFF *file, const memory *m, const lx_image_info *info, const raster *to, uint16_t plane)
{
    uint32_t rows = 0;
    const uint32_t height = (uint32_t)info->height;
    TIFFGetFieldDefaulted(file, TIFFTAG_ROWSPERSTRIP, &rows);
    rows = rows == 0 || rows > height ? height : rows;
    for (uint32_t y = 0; y < height; y += rows) {
        const size_t count = height - y < rows ? height - y : rows, bytes = count * to->row;
        if (TIFFReadEncodedStrip(file, TIFFComputeStrip(file, y, plane), to->bytes + y * to->row, (tmsize_t)bytes) !=
            (tmsize_t)bytes)
            return damaged(m, info);
    }
    return LX_OK;
}

static lx_code read_tiles(TIFF *file, const memory *m, const lx_image_info *info, const layout *l, const raster *to,
                          uint16_t plane)
{
    uint32_t across = 0, down = 0;
    const uint32_t width = (uint32_t)info->width, height = (uint32_t)info->height;
    TIFFGetField(file, TIFFTAG_TILEWIDTH, &across);
    TIFFGetField(file, TIFFTAG_TILELENGTH, &down);
    const tmsize_t size = TIFFTileSize(file);
    if (across == 0 || down == 0 || size <= 0 || (size_t)size > allowance_of(info, m->in))
        return lx_damaged(m->in, info, "its tiles make no sense");
    const size_t row = bytes_of_row(l, across);
    if (across * (size_t)l->bits % 8 != 0 || row * down > (size_t)size)
        return lx_damaged(m->in, info, "its tiles make no sense");
    uint8_t *tile = malloc((size_t)size);
    if (!tile)
        return lx_no_room(m->in, info);
    for (uint32_t y = 0; y < height && !m->in->error->code; y += down)
        for (uint32_t x = 0; x < width; x += across) {
            if (TIFFReadEncodedTile(file, TIFFComputeTile(file, x, y, 0, plane), tile, size) != size) {
                damaged(m, info);
                break;
            }
            const size_t from = bytes_of_row(l, x), rest = to->row - from, length = rest < row ? rest : row;
            for (uint32_t i = 0; i < down && y + i < height; i++)
                memcpy(to->bytes + (y + i) * to->row + from, tile + i * row, length);
        }
    free(tile);
    return m->in->error->code;
}

static lx_code read_plane(TIFF *file, const memory *m, const lx_image_info *info, const layout *l, const raster *to,
                          uint16_t plane)
{
    return TIFFIsTiled(file) ? read_tiles(file, m, info, l, to, plane) : read_strips(file, m, info, to, plane);
}

/* A sample of at most 32 bits without sign; those of less than 8, 10 to 14 are packed from the upper bit on. */
static uint32_t sample_at(const layout *l, const uint8_t *row, size_t i)
{
    if (l->bits == 8)
        return row[i];
    if (l->bits == 16)
        return ((const uint16_t *)(const void *)row)[i]; /* in this machine's order */
    if (l->bits == 32)
        return ((const uint32_t *)(const void *)row)[i];
    uint32_t value = 0;
    for (size_t bit = i * l->bits; bit < (i + 1) * l->bits; bit++)
        value = value << 1 | (row[bit / 8] >> (7 - bit % 8) & 1);
    return value;
}

static float float_at(const layout *l, const uint8_t *row, size_t i)
{
    if (l->format == SAMPLEFORMAT_IEEEFP)
        return l->bits == 32 ? ((const float *)(const void *)row)[i] : (float)((const double *)(const void *)row)[i];
    const uint32_t value = sample_at(l, row, i);
    if (l->format != SAMPLEFORMAT_INT)
        return (float)value;
    return l->bits == 32 ? (float)(int32_t)value
                         : (float)((int32_t)value - ((value >> (l->bits - 1)) ? (int32_t)1 << l->bits : 0));
}

typedef enum { BYTES, WORDS, FLOATS } kind;

static kind kind_of(const layout *l)
{
    if (l->format == SAMPLEFORMAT_IEEEFP || l->format == SAMPLEFORMAT_INT || l->bits > 16)
        return FLOATS;
    return l->bits > 8 ? WORDS : BYTES;
}

/* Puts the stored samples of a plane, or of all, to where they belong among the interleaved ones. */
static void put_samples(const layout *l, const lx_image_info *info, const raster *from, size_t plane, void *samples)
{
    const size_t width = (size_t)info->width, all = l->samples, here = l->planar == PLANARCONFIG_SEPARATE ? 1 : all;
    const kind as = kind_of(l);
    for (size_t y = 0; y < (size_t)info->height; y++) {
        const uint8_t *row = from->bytes + y * from->row;
        for (size_t i = 0; i < width * here; i++) {
            const size_t to = here == 1 ? (y * width + i) * all + plane : y * width * all + i;
            if (as == FLOATS)
                ((float *)samples)[to] = float_at(l, row, i);
            else if (as == WORDS)
                ((uint16_t *)samples)[to] = (uint16_t)sample_at(l, row, i);
            else
                ((uint8_t *)samples)[to] = (uint8_t)sample_at(l, row, i);
        }
    }
}

static lx_code take(const lx_input *in, const layout *l, void *samples, const lx_read_options *options,
                    lx_image_info *info, lx_picture *picture)
{
    const size_t count = (size_t)info->width * (size_t)info->height * l->samples;
    const bool inverted = l->photometric == PHOTOMETRIC_MINISWHITE && !options->raw;
    const int white = l->bits < 16 ? (1 << l->bits) - 1 : 65535;
    switch (kind_of(l)) {
    case FLOATS:
        for (size_t i = 0; inverted && i < count; i++) /* there is no end to turn them around at */
            ((float *)samples)[i] = -((float *)samples)[i];
        return lx_take_floats(in, samples, l->samples, options, info, picture);
    case WORDS:
        return lx_take_deep(in, samples, l->samples, l->bits < 16 ? l->bits : 0, inverted, options, info, picture);
    default:
        for (size_t i = 0; inverted && i < count; i++)
            ((uint8_t *)samples)[i] = (uint8_t)(white - ((uint8_t *)samples)[i]);
        return lx_take_bytes(in, samples, l->samples, white, options, info, picture);
    }
}

static lx_code decode_stored(TIFF *file, const memory *m, const layout *l, const lx_read_options *options,
                             lx_image_info *info, lx_picture *picture)
{
    static const size_t bytes[] = {[BYTES] = 1, [WORDS] = 2, [FLOATS] = 4};
    const size_t pixels = (size_t)info->width * (size_t)info->height;
    raster from = {NULL, bytes_of_row(l, (size_t)info->width)};
    from.bytes = malloc(from.row * (size_t)info->height);
    void *samples = malloc(pixels * l->samples * bytes[kind_of(l)]);
    if (!from.bytes || !samples)
        lx_no_room(m->in, info);
    const int planes = l->planar == PLANARCONFIG_SEPARATE ? l->samples : 1;
    for (int i = 0; i < planes && !m->in->error->code; i++)
        if (!read_plane(file, m, info, l, &from, (uint16_t)i))
            put_samples(l, info, &from, (size_t)i, samples);
    free(from.bytes);
    if (!m->in->error->code)
        return take(m->in, l, samples, options, info, picture);
    free(samples);
    return m->in->error->code;
}

/* ---- colours that libtiff converts
 * ------------------------------------------------------------------------------------- */

static lx_code decode_converted(TIFF *file, const memory *m, const lx_read_options *options, lx_image_info *info,
                                lx_picture *picture)
{
    const size_t pixels = (size_t)info->width * (size_t)info->height;
    uint32_t *rgba = malloc(4 * pixels);
    if (!rgba)
        return lx_no_room(m->in, info);
    TIFFSetField(file, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT); /* pictures are turned by us */
    /* it may say that pixels are missing, and succeed all the same */
    if (!TIFFReadRGBAImageOriented(file, (uint32_t)info->width, (uint32_t)info->height, rgba, ORIENTATION_TOPLEFT, 1) ||
        m->problem[0]) {
        free(rgba);
        return damaged(m, info);
    }
    uint8_t *rgb = (uint8_t *)rgba; /* which is shorter, so that it can take its place */
    for (size_t i = 0; i < pixels; i++) {
        const uint32_t pixel = rgba[i];
        rgb[3 * i] = (uint8_t)TIFFGetR(pixel);
        rgb[3 * i + 1] = (uint8_t)TIFFGetG(pixel);
        rgb[3 * i + 2] = (uint8_t)TIFFGetB(pixel);
    }
    return lx_take_bytes(m->in, rgb, 3, 255, options, info, picture);
}

static lx_code decode_page(TIFF *file, const memory *m, int page, const lx_read_options *options, lx_image_info *info,
                           lx_picture *picture)
{
    layout l;
    if (find_page(file, m, page, info) || read_layout(file, m, info, &l))
        return m->in->error->code;
    return l.converts ? decode_converted(file, m, options, info, picture)
                      : decode_stored(file, m, &l, options, info, picture);
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    memory m;
    const int page = options->frame < 0 ? 0 : options->frame;
    (void)dicom;
    if (inspect_page(in, page, info))
        return in->error->code;
    TIFF *file = open_file(&m, in, allowance_of(info, in));
    if (!file)
        return damaged(&m, info);
    decode_page(file, &m, page, options, info, picture);
    TIFFClose(file);
    return in->error->code;
}

#endif

const lx_format lx_tiff = {"TIFF", "tif tiff", sniff, inspect, decode};
