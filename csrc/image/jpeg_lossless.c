/* Lossless JPEG in DICOM files (process 14: ITU-T T.81, annex H), in which archives of radiographs keep more than 8 bits. */
#include "jpeg_lossless.h"

#include <string.h>

enum {
    MOST_BITS = 16,  /* of a code, and of a sample */
    QUICK_BITS = 8,  /* codes up to this length are looked up */
    TABLES = 4,
    COMPONENTS = 3,
    SOF3 = 0xc3, DHT = 0xc4, RST0 = 0xd0, SOI = 0xd8, EOI = 0xd9, SOS = 0xda, DRI = 0xdd
};

/* How long a difference is that a code announces. */
typedef struct {
    bool defined;
    int32_t end[MOST_BITS + 2];    /* the first code of each length that there is not, at the upper end of 16 bits */
    int32_t offset[MOST_BITS + 1]; /* from a code of this length to the place of its category */
    uint8_t category[MOST_BITS + 1];
    uint8_t quick_length[1 << QUICK_BITS], quick_category[1 << QUICK_BITS]; /* length 0: the code is longer */
} huffman;

typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t size, at;
    lx_error *error;
    huffman tables[TABLES];
    int precision, width, height, components;
    int ids[COMPONENTS], table[COMPONENTS];
    int predictor, shift;
    long interval;   /* samples between restarts; 0: there are none */
    uint32_t window; /* bits that were read, the next one uppermost */
    int bits, made_up; /* how many there are; how many of the last of them are beyond the end */
} stream;

static lx_code damaged(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT, "\"%.300s\": its lossless JPEG is damaged: %s", s->path, what);
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static lx_code make_table(const stream *s, huffman *h, const uint8_t counts[MOST_BITS], const uint8_t *categories)
{
    int32_t code = 0;
    int place = 0;
    memset(h, 0, sizeof *h);
    for (int length = 1; length <= MOST_BITS; length++) {
        const int count = counts[length - 1];
        h->offset[length] = place - code;
        for (int i = 0; i < count; i++, code++, place++) {
            h->category[place] = categories[place];
            for (int k = 0; length <= QUICK_BITS && k < 1 << (QUICK_BITS - length); k++) {
                const int byte = code << (QUICK_BITS - length) | k;
                if (byte >= 1 << QUICK_BITS)
                    return damaged(s, "a Huffman table has too many codes");
                h->quick_length[byte] = (uint8_t)length;
                h->quick_category[byte] = categories[place];
            }
        }
        if (code > 1 << length)
            return damaged(s, "a Huffman table has too many codes");
        h->end[length] = code << (MOST_BITS - length);
        code <<= 1;
    }
    h->end[MOST_BITS + 1] = INT32_MAX;
    h->defined = true;
    return LX_OK;
}

static lx_code read_tables(stream *s, const uint8_t *segment, size_t length)
{
    while (length > 0) {
        int count = 0;
        for (int i = 0; i < MOST_BITS && length >= 1 + MOST_BITS; i++)
            count += segment[1 + i];
        if (count < 1 || count > MOST_BITS + 1 || length < (size_t)(1 + MOST_BITS + count) || segment[0] >= TABLES)
            return damaged(s, "a Huffman table is none for differences");
        for (int i = 0; i < count; i++)
            if (segment[1 + MOST_BITS + i] > MOST_BITS)
                return damaged(s, "a Huffman table has a difference of more than 16 bits");
        if (make_table(s, &s->tables[segment[0]], segment + 1, segment + 1 + MOST_BITS))
            return s->error->code;
        length -= (size_t)(1 + MOST_BITS + count);
        segment += 1 + MOST_BITS + count;
    }
    return LX_OK;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static int big16(const uint8_t *at)
{
    return at[0] << 8 | at[1];
}

static lx_code read_frame(stream *s, const uint8_t *segment, size_t length, const lx_dicom *d)
{
    if (length < 6 || length < 6 + 3 * (size_t)segment[5])
        return damaged(s, "its frame header is too short");
    s->precision = segment[0];
    s->height = big16(segment + 1);
    s->width = big16(segment + 3);
    s->components = segment[5];
    if (s->precision < 2 || s->precision > MOST_BITS || s->height != d->rows || s->width != d->columns ||
        s->components != d->samples)
        return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" says %d x %d pixels of %d samples, and its JPEG %d x %d of %d, %d "
                                             "bits each", s->path, d->columns, d->rows, d->samples, s->width, s->height, s->components, s->precision);
    for (int i = 0; i < s->components; i++) {
        s->ids[i] = segment[6 + 3 * i];
        if (s->components > 1 && segment[7 + 3 * i] != 0x11)
            return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" has a lossless JPEG with smaller colour channels, which is "
                                                 "not supported", s->path);
    }
    return LX_OK;
}

static lx_code read_scan(stream *s, const uint8_t *segment, size_t length)
{
    if (length < 4 || length < 4 + 2 * (size_t)segment[0] || s->components == 0)
        return damaged(s, "its scan header is too short, or comes before the frame header");
    if (segment[0] != s->components)
        return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" has a lossless JPEG in several scans, which is not supported",
                       s->path);
    for (int i = 0; i < s->components; i++) {
        s->table[i] = segment[2 + 2 * i] >> 4;
        if (segment[1 + 2 * i] != s->ids[i] || s->table[i] >= TABLES || !s->tables[s->table[i]].defined)
            return damaged(s, "its scan header names what there is not");
    }
    const uint8_t *rest = segment + 1 + 2 * s->components;
    s->predictor = rest[0];
    s->shift = rest[2] & 15;
    if (s->predictor < 1 || s->predictor > 7 || s->shift >= s->precision)
        return damaged(s, "it has no such predictor");
    if (s->interval % s->width != 0)
        return damaged(s, "it restarts in the middle of a row");
    return LX_OK;
}

/* Everything up to the samples. */
static lx_code read_headers(stream *s, const lx_dicom *d)
{
    if (s->size < 2 || s->bytes[0] != 0xff || s->bytes[1] != SOI)
        return damaged(s, "it does not begin as one");
    s->at = 2;
    while (s->size - s->at >= 4 && s->bytes[s->at] == 0xff) {
        const int marker = s->bytes[s->at + 1];
        const size_t length = (size_t)big16(s->bytes + s->at + 2);
        const uint8_t *segment = s->bytes + s->at + 4;
        if (marker == 0xff) { /* padding */
            s->at++;
            continue;
        }
        if (length < 2 || length > s->size - s->at - 2)
            break;
        s->at += 2 + length;
        if (marker == SOS)
            return read_scan(s, segment, length - 2);
        if (marker == DHT)
            read_tables(s, segment, length - 2);
        else if (marker == SOF3)
            read_frame(s, segment, length - 2, d);
        else if (marker == DRI && length == 4)
            s->interval = big16(segment);
        else if (marker >= 0xc0 && marker < RST0 && marker != 0xc8 && marker != 0xcc)
            lx_fail(s->error, LX_EFORMAT, "\"%.300s\" says that it has a lossless JPEG, and has one of another process "
                                          "(0x%02x), which is not supported", s->path, marker);
        if (s->error->code)
            return s->error->code;
    }
    return damaged(s, "its headers are cut short");
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

/* At least 16 bits more. Beyond the end, or a marker, they are made up; whoever used them notices by and by. */
static inline void fill(stream *s)
{
    while (s->bits <= 16) {
        uint32_t byte = 0;
        const bool marker = s->at < s->size && s->bytes[s->at] == 0xff && !(s->at + 1 < s->size && s->bytes[s->at + 1] == 0);
        if (s->at < s->size && !marker) {
            byte = s->bytes[s->at];
            s->at += byte == 0xff ? 2 : 1;
        } else {
            s->made_up += 8;
        }
        s->window |= byte << (24 - s->bits);
        s->bits += 8;
    }
}

static inline void drop(stream *s, int count)
{
    s->window <<= count;
    s->bits -= count;
}

static inline int category_of(stream *s, const huffman *h)
{
    const uint32_t head = s->window >> (32 - QUICK_BITS);
    if (h->quick_length[head]) {
        drop(s, h->quick_length[head]);
        return h->quick_category[head];
    }
    const int32_t code = (int32_t)(s->window >> 16);
    int length = 1;
    while (code >= h->end[length])
        length++;
    if (length > MOST_BITS)
        return -1;
    drop(s, length);
    return h->category[(code >> (MOST_BITS - length)) + h->offset[length]];
}

/* The next difference to what was predicted; false where there is no such code. */
static inline bool read_difference(stream *s, const huffman *h, int *difference)
{
    fill(s);
    const int category = category_of(s, h);
    if (category < 0)
        return false;
    if (category == 0 || category == MOST_BITS) {
        *difference = category == 0 ? 0 : 1 << 15;
        return true;
    }
    fill(s);
    const int value = (int)(s->window >> (32 - category));
    drop(s, category);
    *difference = value < 1 << (category - 1) ? value - (1 << category) + 1 : value;
    return true;
}

static inline int predict(int predictor, int left, int above, int corner)
{
    switch (predictor) {
    case 1: return left;
    case 2: return above;
    case 3: return corner;
    case 4: return left + above - corner;
    case 5: return left + ((above - corner) >> 1);
    case 6: return above + ((left - corner) >> 1);
    default: return (left + above) >> 1;
    }
}

/* A row of all components. The first row after a restart is predicted from the left alone, and begins at the middle level. */
static lx_code read_row(stream *s, int y, bool first, int32_t *values)
{
    const size_t width = (size_t)s->width, pixels = width * (size_t)s->height;
    for (size_t x = 0; x < width; x++)
        for (int i = 0; i < s->components; i++) {
            int32_t *here = values + (size_t)i * pixels + (size_t)y * width + x;
            int expected, difference;
            if (first)
                expected = x > 0 ? here[-1] : 1 << (s->precision - s->shift - 1);
            else if (x == 0)
                expected = *(here - width);
            else
                expected = predict(s->predictor, here[-1], *(here - width), *(here - width - 1));
            if (!read_difference(s, &s->tables[s->table[i]], &difference))
                return damaged(s, "it has a code that is not in its Huffman table");
            *here = (expected + difference) & 0xffff;
        }
    return s->made_up > s->bits ? lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its pixels end in row %d of %d", s->path,
                                          y + 1, s->height)
                                : LX_OK;
}

static lx_code restart(stream *s)
{
    s->window = 0;
    s->bits = s->made_up = 0;
    if (s->size - s->at < 2 || s->bytes[s->at] != 0xff || s->bytes[s->at + 1] < RST0 || s->bytes[s->at + 1] >= SOI)
        return damaged(s, "a restart is missing");
    s->at += 2;
    return LX_OK;
}

lx_code lx_jpeg_lossless_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, int32_t *values,
                                lx_error *error)
{
    stream s = {.path = path, .bytes = bytes, .size = size, .error = error};
    if (read_headers(&s, d))
        return error->code;
    const int rows = s.interval > 0 ? (int)(s.interval / s.width) : s.height;
    for (int y = 0; y < s.height; y++) {
        if (y > 0 && y % rows == 0 && restart(&s))
            return error->code;
        if (read_row(&s, y, y % rows == 0, values))
            return error->code;
    }
    const size_t count = (size_t)s.width * (size_t)s.height * (size_t)s.components;
    for (size_t i = 0; i < count && s.shift > 0; i++)
        values[i] = (int32_t)((uint32_t)values[i] << s.shift & 0xffff);
    return LX_OK;
}
