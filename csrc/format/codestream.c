/* The structure of a JPEG 2000 stream (ISO 15444-1 annex A), walked before anything is decoded. What a decoder reserves
   for tiles, precincts, code blocks and layers depends on numbers in the stream, not on the size of the picture: a
   kilobyte can ask for gigabytes. So they are held within what real files have, and every tile has to be there. */
#include <string.h>

#include "rooms.h"

enum {
    MOST_TILES = 65535,
    FREE_TILES = 64, /* so many tiles may be of any size; more have to be of LEAST_TILE_PIXELS */
    LEAST_TILE_PIXELS = 1024,
    MOST_LAYERS = 64,
    MOST_LEVELS = 32,
    LEAST_BLOCK = 4,   /* the logarithm of a code block's side: 16 */
    LEAST_PRECINCT = 5 /* of a precinct's: 32 */
};

typedef enum {
    START = 0xff4f,
    SIZE = 0xff51,
    CODING = 0xff52,
    COMPONENT_CODING = 0xff53,
    TILE = 0xff90,
    DATA = 0xff93,
    END = 0xffd9
} marker;

typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t size, at;
    long tiles, found;
    uint8_t seen[MOST_TILES / 8 + 1]; /* a bit for each tile */
    const lx_dicom *d;
    lx_error *error;
} stream;

static lx_code damaged(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT, "\"%.300s\": its JPEG 2000 stream is damaged: %s", s->path, what);
}

static lx_code unusual(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT,
                   "\"%.300s\": its JPEG 2000 stream has %s, which is not supported; convert it "
                   "with gdcmconv --raw or the like",
                   s->path, what);
}

static lx_code truncated(const stream *s)
{
    return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its JPEG 2000 stream breaks off after %zu bytes",
                   s->path, s->size);
}

/* Steps over a marker; `body` is what follows the length of its segment. */
static lx_code next_segment(stream *s, uint32_t *name, const uint8_t **body, size_t *length)
{
    if (s->size - s->at < 2)
        return truncated(s);
    *name = lx_big16(s->bytes + s->at);
    s->at += 2;
    *length = 0;
    if (*name == START || *name == DATA || *name == END)
        return LX_OK;
    if (*name < 0xff00)
        return damaged(s, "there is no marker where one should be");
    if (s->size - s->at < 2)
        return truncated(s);
    const size_t whole = lx_big16(s->bytes + s->at);
    if (whole < 2)
        return damaged(s, "a segment has no length");
    if (whole > s->size - s->at)
        return truncated(s);
    *body = s->bytes + s->at + 2;
    *length = whole - 2;
    s->at += whole;
    return LX_OK;
}

/* The size of the picture has to be the one that the file speaks of, and that of the tiles a reasonable one. */
static lx_code check_size(stream *s, const uint8_t *body, size_t length)
{
    const size_t samples = (size_t)s->d->samples;
    if (length < 36 + 3 * samples || lx_big16(body + 34) != samples)
        return damaged(s, "it has other components than the file says");
    const int64_t right = lx_big32(body + 2), bottom = lx_big32(body + 6), left = lx_big32(body + 10),
                  top = lx_big32(body + 14);
    const int64_t width = lx_big32(body + 18), height = lx_big32(body + 22);
    const int64_t first_x = lx_big32(body + 26), first_y = lx_big32(body + 30);
    if (right - left != s->d->columns || bottom - top != s->d->rows)
        return damaged(s, "its picture is not of the size that the file says");
    if (width < 1 || height < 1 || first_x > left || first_y > top || first_x + width <= left ||
        first_y + height <= top)
        return damaged(s, "its tiles do not cover the picture");
    for (size_t i = 0; i < samples; i++) {
        const uint8_t *component = body + 36 + 3 * i;
        if ((component[0] & 127) + 1 > 16 || component[1] != 1 || component[2] != 1)
            return unusual(s, "more than 16 bits or components of different sizes");
    }
    const int64_t across = (right - first_x + width - 1) / width, down = (bottom - first_y + height - 1) / height;
    /* left and right are at most a side apart and the first tile reaches over the left edge: no overflow */
    const int64_t most = FREE_TILES + (int64_t)s->d->columns * s->d->rows / LEAST_TILE_PIXELS;
    if (across * down > most || across * down > MOST_TILES)
        return unusual(s, "very small tiles");
    s->tiles = (long)(across * down);
    return LX_OK;
}

/* Levels, blocks and precincts, which the picture and its single components say in the same way. */
static lx_code check_coding(const stream *s, const uint8_t *body, size_t length, bool precincts)
{
    if (length < 5)
        return damaged(s, "its coding style is cut short");
    const size_t levels = body[0];
    if (levels > MOST_LEVELS)
        return damaged(s, "it has more than 32 levels");
    if ((body[1] & 15) + 2 < LEAST_BLOCK || (body[2] & 15) + 2 < LEAST_BLOCK)
        return unusual(s, "code blocks of less than 16 x 16");
    if (!precincts)
        return LX_OK;
    if (length < 5 + levels + 1)
        return damaged(s, "its coding style is cut short");
    for (size_t i = 0; i <= levels; i++)
        if ((body[5 + i] & 15) < LEAST_PRECINCT || body[5 + i] >> 4 < LEAST_PRECINCT)
            return unusual(s, "precincts of less than 32 x 32");
    return LX_OK;
}

static lx_code check_parameters(const stream *s, uint32_t name, const uint8_t *body, size_t length)
{
    if (name == CODING) {
        if (length < 5)
            return damaged(s, "its coding style is cut short");
        if (lx_big16(body + 2) > MOST_LAYERS)
            return unusual(s, "more than 64 layers");
        return check_coding(s, body + 5, length - 5, body[0] & 1);
    }
    if (name != COMPONENT_CODING)
        return LX_OK;
    if (length < 2) /* the number of the component is one byte, as there are at most three */
        return damaged(s, "its coding style is cut short");
    return check_coding(s, body + 2, length - 2, body[1] & 1);
}

/* One part of a tile, of which the tile's number and the length count, and its own parameters. */
static lx_code walk_tile_part(stream *s, const uint8_t *body, size_t length)
{
    const size_t begin = s->at - length - 4;
    uint32_t name;
    if (length != 8)
        return damaged(s, "a tile's header is of the wrong length");
    const long tile = (long)lx_big16(body);
    const size_t whole = lx_big32(body + 2);
    if (tile >= s->tiles)
        return damaged(s, "a tile is outside the picture");
    if (whole > s->size - begin)
        return truncated(s);
    s->found += !(s->seen[tile / 8] >> tile % 8 & 1);
    s->seen[tile / 8] |= (uint8_t)(1u << tile % 8);
    do {
        if (next_segment(s, &name, &body, &length) || check_parameters(s, name, body, length))
            return s->error->code;
        if (name == TILE || name == END || name == SIZE)
            return damaged(s, "a tile has no data");
    } while (name != DATA);
    if (whole == 0) { /* up to the end of the stream: two bytes, and what fills it up to an even length */
        const size_t filled = s->size > s->at && s->bytes[s->size - 1] == 0;
        if (s->size - s->at < 2 + filled)
            return truncated(s);
        s->at = s->size - filled - 2;
        return LX_OK;
    }
    if (whole < s->at - begin)
        return damaged(s, "a tile is shorter than its header");
    s->at = begin + whole;
    return LX_OK;
}

/* A JP2 file is boxes of which one is the stream. */
static void unwrap(const uint8_t **bytes, size_t *size)
{
    static const uint8_t signature[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n'};
    if (*size < 12 || memcmp(*bytes, signature, 12) != 0)
        return;
    for (size_t at = 12; *size - at >= 8;) {
        const size_t left = *size - at, stated = lx_big32(*bytes + at), length = stated == 0 ? left : stated;
        if (length < 8 || length > left)
            return;
        if (memcmp(*bytes + at + 4, "jp2c", 4) == 0) {
            *bytes += at + 8;
            *size = length - 8;
            return;
        }
        at += length;
    }
}

lx_code lx_jpeg2000_inspect(const char *path, const uint8_t **bytes, size_t *size, const lx_dicom *d, lx_error *error)
{
    uint32_t name;
    const uint8_t *body = NULL;
    size_t length;
    unwrap(bytes, size);
    stream s = {.path = path, .bytes = *bytes, .size = *size, .d = d, .error = error};
    if (s.size < 4 || lx_big16(s.bytes) != START || lx_big16(s.bytes + 2) != SIZE)
        return damaged(&s, "it does not begin as one");
    s.at = 2;
    if (next_segment(&s, &name, &body, &length) || check_size(&s, body, length))
        return error->code;
    for (;;) {
        if (next_segment(&s, &name, &body, &length))
            return error->code;
        if (name == END)
            break;
        if (name == SIZE || name == START || name == DATA)
            return damaged(&s, "its parts are in the wrong order");
        if (name == TILE ? walk_tile_part(&s, body, length) : check_parameters(&s, name, body, length))
            return error->code;
    }
    return s.found == s.tiles ? LX_OK : damaged(&s, "not all of its tiles are there");
}
