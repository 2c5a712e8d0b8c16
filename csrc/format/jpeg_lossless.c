/* Lossless JPEG in DICOM files (process 14: ITU-T T.81, annex H), in which archives of radiographs keep more than 8
 * bits. */
#include "jpeg_lossless.h"

#include <string.h>

#include "huffman.h"
#include "rooms.h"

enum {
    MOST_BITS = 16, /* of a sample */
    TABLES = 4,
    COMPONENTS = 3,
    QUICK_BITS = 12,
    SOF3 = 0xc3,
    DHT = 0xc4,
    RST0 = 0xd0,
    SOI = 0xd8,
    SOS = 0xda,
    DRI = 0xdd
};

typedef struct {
    const char *path;
    lx_bits in;
    lx_error *error;
    lx_huffman tables[TABLES]; /* of how long the differences are */
    int precision, width, height, components;
    int ids[COMPONENTS], table[COMPONENTS];
    int predictor, shift;
    struct {
        int16_t difference;
        uint8_t bits;                     /* 0: it takes more than are looked at */
    } quick[COMPONENTS][1 << QUICK_BITS]; /* what the next bits begin with */
    long interval;                        /* samples between restarts; 0: there are none */
} stream;

static lx_code damaged(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT, "\"%.300s\": its lossless JPEG is damaged: %s", s->path, what);
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

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
        if (!lx_huffman_make(&s->tables[segment[0]], segment + 1, segment + 1 + MOST_BITS))
            return damaged(s, "a Huffman table has too many codes");
        length -= (size_t)(1 + MOST_BITS + count);
        segment += 1 + MOST_BITS + count;
    }
    return LX_OK;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static lx_code read_frame(stream *s, const uint8_t *segment, size_t length, const lx_dicom *d)
{
    if (length < 6 || length < 6 + 3 * (size_t)segment[5])
        return damaged(s, "its frame header is too short");
    s->precision = segment[0];
    s->height = (int)lx_big16(segment + 1);
    s->width = (int)lx_big16(segment + 3);
    s->components = segment[5];
    if (s->precision < 2 || s->precision > MOST_BITS || s->height != d->rows || s->width != d->columns ||
        s->components != d->samples)
        return lx_fail(s->error, LX_EFORMAT,
                       "\"%.300s\" says %d x %d pixels of %d samples, and its JPEG %d x %d of %d, %d "
                       "bits each",
                       s->path, d->columns, d->rows, d->samples, s->width, s->height, s->components, s->precision);
    for (int i = 0; i < s->components; i++) {
        s->ids[i] = segment[6 + 3 * i];
        if (s->components > 1 && segment[7 + 3 * i] != 0x11)
            return lx_fail(s->error, LX_EFORMAT,
                           "\"%.300s\" has a lossless JPEG with smaller colour channels, which is "
                           "not supported",
                           s->path);
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
    if (s->in.size < 2 || s->in.bytes[0] != 0xff || s->in.bytes[1] != SOI)
        return damaged(s, "it does not begin as one");
    s->in.at = 2;
    while (s->in.size - s->in.at >= 4 && s->in.bytes[s->in.at] == 0xff) {
        const int marker = s->in.bytes[s->in.at + 1];
        const size_t length = (size_t)lx_big16(s->in.bytes + s->in.at + 2);
        const uint8_t *segment = s->in.bytes + s->in.at + 4;
        if (marker == 0xff) { /* padding */
            s->in.at++;
            continue;
        }
        if (length < 2 || length > s->in.size - s->in.at - 2)
            break;
        s->in.at += 2 + length;
        if (marker == SOS)
            return read_scan(s, segment, length - 2);
        if (marker == DHT)
            read_tables(s, segment, length - 2);
        else if (marker == SOF3)
            read_frame(s, segment, length - 2, d);
        else if (marker == DRI && length == 4)
            s->interval = (int)lx_big16(segment);
        else if (marker >= 0xc0 && marker < RST0 && marker != 0xc8 && marker != 0xcc)
            lx_fail(s->error, LX_EFORMAT,
                    "\"%.300s\" says that it has a lossless JPEG, and has one of another process "
                    "(0x%02x), which is not supported",
                    s->path, marker);
        if (s->error->code)
            return s->error->code;
    }
    return damaged(s, "its headers are cut short");
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

/* The next difference to what was predicted, of bits that are there; false where there is no such code. */
static bool read_difference(lx_bits *in, const lx_huffman *h, int *difference)
{
    const int category = lx_huffman_next(in, h);
    if (category < 0)
        return false;
    if (category == 0 || category == MOST_BITS)
        *difference = category == 0 ? 0 : 1 << 15;
    else
        *difference = lx_bits_number(in, category);
    return true;
}

/* A code and its number are mostly short: they are looked up together. */
static void make_quick(stream *s)
{
    for (int i = 0; i < s->components; i++)
        for (uint64_t head = 0; head < 1 << QUICK_BITS; head++) {
            lx_bits in = {.window = head << (64 - QUICK_BITS), .bits = QUICK_BITS};
            int difference = 0;
            const bool fits = read_difference(&in, &s->tables[s->table[i]], &difference) && in.bits >= 0 &&
                              difference < 1 << 15;
            s->quick[i][head].difference = (int16_t)difference;
            s->quick[i][head].bits = (uint8_t)(fits ? QUICK_BITS - in.bits : 0);
        }
}

static inline bool next_difference(const stream *s, lx_bits *in, int component, int *difference)
{
    lx_bits_fill(in);
    const uint64_t head = in->window >> (64 - QUICK_BITS);
    const int bits = s->quick[component][head].bits;
    if (bits == 0)
        return read_difference(in, &s->tables[s->table[component]], difference);
    *difference = s->quick[component][head].difference;
    lx_bits_drop(in, bits);
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

/* A row of all components. The first row after a restart is predicted from the left alone, and begins at the middle
 * level. */
static lx_code read_row(stream *s, int y, bool first, uint16_t *codes)
{
    const size_t width = (size_t)s->width, pixels = width * (size_t)s->height;
    lx_bits in = s->in; /* compilers keep a copy in registers */
    for (size_t x = 0; x < width; x++)
        for (int i = 0; i < s->components; i++) {
            uint16_t *here = codes + (size_t)i * pixels + (size_t)y * width + x;
            int expected, difference;
            if (first)
                expected = x > 0 ? here[-1] : 1 << (s->precision - s->shift - 1);
            else if (x == 0)
                expected = *(here - width);
            else
                expected = predict(s->predictor, here[-1], *(here - width), *(here - width - 1));
            if (!next_difference(s, &in, i, &difference))
                return damaged(s, "it has a code that is not in its Huffman table");
            *here = (uint16_t)(expected + difference);
        }
    s->in = in;
    return lx_bits_overrun(&s->in)
               ? lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its pixels end in row %d of %d", s->path,
                         y + 1, s->height)
               : LX_OK;
}

lx_code lx_jpeg_lossless_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                                lx_error *error)
{
    stream s = {.path = path, .in = {.bytes = bytes, .size = size}, .error = error};
    if (read_headers(&s, d))
        return error->code;
    make_quick(&s);
    const int rows = s.interval > 0 ? (int)(s.interval / s.width) : s.height;
    for (int y = 0; y < s.height; y++) {
        if (y > 0 && y % rows == 0 && !lx_bits_restart(&s.in))
            return damaged(&s, "a restart is missing");
        if (read_row(&s, y, y % rows == 0, codes))
            return error->code;
    }
    const size_t count = (size_t)s.width * (size_t)s.height * (size_t)s.components;
    for (size_t i = 0; i < count && s.shift > 0; i++)
        codes[i] = (uint16_t)(codes[i] << s.shift);
    return LX_OK;
}
