/* JPEG of 12 bits (process 4: extended sequential, Huffman codes; ITU-T T.81, annexes A, F), which only DICOM files
   have: libjpeg is compiled for samples of 8. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/count.h"
#include "huffman.h"
#include "rooms.h"

enum {
    TABLES = 4,
    COMPONENTS = 3,
    BLOCK = 8,
    BLOCK_SAMPLES = 64,
    BITS = 12,
    MIDDLE = 1 << (BITS - 1),
    MOST = (1 << BITS) - 1,
    SOF0 = 0xc0,
    SOF1 = 0xc1,
    DHT = 0xc4,
    JPG = 0xc8,
    DAC = 0xcc,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DRI = 0xdd
};

typedef struct {
    int id, across, down; /* samples beside and below each other in a unit */
    int quantisation;
    int blocks_x, blocks_y;     /* that there is room for: whole units */
    int own_x, own_y;           /* that a scan of this component alone has */
    int dc_table, ac_table, dc; /* the last one is what the next is told by */
    uint16_t *samples;          /* blocks_x * 8 to a row */
} component;

typedef struct {
    const char *path;
    const lx_dicom *d;
    lx_error *error;
    lx_bits in;
    lx_huffman dc[TABLES], ac[TABLES];
    uint16_t quantisation[TABLES][BLOCK_SAMPLES]; /* in the order of the file */
    bool quantised[TABLES];
    int count, across, down; /* components, and the most samples of one in a unit */
    int done;                /* components that scans had */
    long interval;
    component components[COMPONENTS];
    float cosines[BLOCK][BLOCK]; /* of a place and a frequency, with the weights of the transform */
} stream;

static lx_code damaged(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT, "\"%.300s\": its 12-bit JPEG is damaged: %s", s->path, what);
}

static lx_code unsupported(const stream *s, const char *what)
{
    return lx_fail(s->error, LX_EFORMAT,
                   "\"%.300s\" has a 12-bit JPEG %s, which is not supported; convert it with dcmdjpeg", s->path, what);
}

static bool is_frame(int marker)
{
    return marker >= SOF0 && marker <= 0xcf && marker != DHT && marker != JPG && marker != DAC;
}

bool lx_jpeg_is_deep(const uint8_t *bytes, size_t size)
{
    for (size_t at = 2; size >= 4 && at <= size - 4 && bytes[at] == 0xff;) {
        const int marker = bytes[at + 1];
        const size_t length = lx_big16(bytes + at + 2);
        if (marker == 0xff) {
            at++;
            continue;
        }
        if (is_frame(marker))
            return at + 4 < size && bytes[at + 4] > 8;
        if (marker == SOS || length < 2 || length > size - at - 2)
            return false;
        at += 2 + length;
    }
    return false;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static lx_code read_quantisation(stream *s, const uint8_t *segment, size_t length)
{
    while (length > 0) {
        const size_t wide = segment[0] >> 4, table = segment[0] & 15, bytes = 1 + BLOCK_SAMPLES * (wide + 1);
        if (wide > 1 || table >= TABLES || length < bytes)
            return damaged(s, "a quantisation table is cut short");
        for (size_t i = 0; i < BLOCK_SAMPLES; i++)
            s->quantisation[table][i] = (uint16_t)(wide ? lx_big16(segment + 1 + 2 * i) : segment[1 + i]);
        s->quantised[table] = true;
        segment += bytes;
        length -= bytes;
    }
    return LX_OK;
}

static lx_code read_codes(stream *s, const uint8_t *segment, size_t length)
{
    while (length > 0) {
        size_t count = 0;
        for (size_t i = 0; i < LX_CODE_BITS && length >= 1 + LX_CODE_BITS; i++)
            count += segment[1 + i];
        if (count < 1 || count > 256 || length < 1 + LX_CODE_BITS + count || segment[0] >> 4 > 1 ||
            (segment[0] & 15) >= TABLES)
            return damaged(s, "a Huffman table makes no sense");
        lx_huffman *table = &(segment[0] >> 4 ? s->ac : s->dc)[segment[0] & 15];
        if (!lx_huffman_make(table, segment + 1, segment + 1 + LX_CODE_BITS))
            return damaged(s, "a Huffman table has too many codes");
        segment += 1 + LX_CODE_BITS + count;
        length -= 1 + LX_CODE_BITS + count;
    }
    return LX_OK;
}

static int divided(int size, int by)
{
    return (int)lx_ceil_div(size, by);
}

/* The room that each component needs, of whole units. */
static lx_code reserve(stream *s)
{
    const int units_x = divided(s->d->columns, BLOCK * s->across), units_y = divided(s->d->rows, BLOCK * s->down);
    for (int i = 0; i < s->count; i++) {
        component *c = &s->components[i];
        c->blocks_x = units_x * c->across;
        c->blocks_y = units_y * c->down;
        c->own_x = divided(divided(s->d->columns * c->across, s->across), BLOCK);
        c->own_y = divided(divided(s->d->rows * c->down, s->down), BLOCK);
        c->samples = malloc(sizeof *c->samples * (size_t)c->blocks_x * (size_t)c->blocks_y * BLOCK_SAMPLES);
        if (!c->samples)
            return lx_fail(s->error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", s->path, s->d->columns,
                           s->d->rows);
    }
    return LX_OK;
}

static lx_code read_frame(stream *s, int marker, const uint8_t *segment, size_t length)
{
    if (marker == SOF0)
        return damaged(s, "the baseline process has 8 bits");
    if (marker != SOF1)
        return unsupported(s, "that is progressive, lossless or arithmetic-coded");
    if (s->count)
        return damaged(s, "it has two frame headers");
    if (length < 6 || length < 6 + 3 * (size_t)segment[5])
        return damaged(s, "its frame header is too short");
    if (segment[0] != BITS)
        return unsupported(s, "of neither 8 nor 12 bits");
    if ((int)lx_big16(segment + 1) != s->d->rows || (int)lx_big16(segment + 3) != s->d->columns ||
        segment[5] != s->d->samples)
        return damaged(s, "its picture is not of the size that the file says");
    s->count = segment[5];
    s->across = s->down = 1;
    for (int i = 0; i < s->count; i++) {
        const uint8_t *at = segment + 6 + 3 * i;
        component *c = &s->components[i];
        /* of one component alone the factors mean nothing */
        *c = (component){.id = at[0],
                         .across = s->count > 1 ? at[1] >> 4 : 1,
                         .down = s->count > 1 ? at[1] & 15 : 1,
                         .quantisation = at[2]};
        if (c->across < 1 || c->across > 2 || c->down < 1 || c->down > 2 || c->quantisation >= TABLES)
            return unsupported(s, "of unusual colour channels");
        s->across = c->across > s->across ? c->across : s->across;
        s->down = c->down > s->down ? c->down : s->down;
    }
    return reserve(s);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Where the values of a block are in the file: by diagonals. */
static const uint8_t zigzag[BLOCK_SAMPLES] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                              12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                              35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                              58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static void make_cosines(stream *s)
{
    const double pi = 3.14159265358979323846;
    for (int place = 0; place < BLOCK; place++)
        for (int frequency = 0; frequency < BLOCK; frequency++)
            s->cosines[place][frequency] = (float)(cos((2 * place + 1) * frequency * pi / 16) *
                                                   (frequency ? 0.5 : 0.5 / sqrt(2)));
}

/* The inverse cosine transform (T.81, A.3.3), along rows and then columns. */
static void put_block(const stream *s, const float values[BLOCK_SAMPLES], uint16_t *out, size_t row)
{
    float half[BLOCK][BLOCK]; /* frequencies down, places across */
    for (int v = 0; v < BLOCK; v++)
        for (int x = 0; x < BLOCK; x++) {
            float sum = 0;
            for (int u = 0; u < BLOCK; u++)
                sum += values[v * BLOCK + u] * s->cosines[x][u];
            half[v][x] = sum;
        }
    for (int y = 0; y < BLOCK; y++)
        for (int x = 0; x < BLOCK; x++) {
            float sum = MIDDLE + 0.5f;
            for (int v = 0; v < BLOCK; v++)
                sum += half[v][x] * s->cosines[y][v];
            out[(size_t)y * row + (size_t)x] = (uint16_t)(sum < 0 ? 0 : sum > MOST ? MOST : sum);
        }
}

static lx_code read_block(stream *s, component *c, int block_x, int block_y)
{
    float values[BLOCK_SAMPLES] = {0};
    const uint16_t *steps = s->quantisation[c->quantisation];
    lx_bits_fill(&s->in);
    const int category = lx_huffman_next(&s->in, &s->dc[c->dc_table]);
    if (category < 0 || category > 15)
        return damaged(s, "it has a code that is not in its Huffman table");
    c->dc += category ? lx_bits_number(&s->in, category) : 0;
    if (c->dc < -(1 << 20) || c->dc > 1 << 20)
        return damaged(s, "a block is brighter than can be");
    values[0] = (float)c->dc * (float)steps[0];
    for (int i = 1; i < BLOCK_SAMPLES; i++) {
        lx_bits_fill(&s->in);
        const int symbol = lx_huffman_next(&s->in, &s->ac[c->ac_table]), zeros = symbol >> 4, bits = symbol & 15;
        if (symbol < 0)
            return damaged(s, "it has a code that is not in its Huffman table");
        if (bits == 0 && zeros < 15)
            break;
        i += zeros;
        if (i >= BLOCK_SAMPLES)
            return damaged(s, "a block has too many values");
        if (bits)
            values[zigzag[i]] = (float)lx_bits_number(&s->in, bits) * (float)steps[i];
    }
    const size_t row = (size_t)c->blocks_x * BLOCK;
    put_block(s, values, c->samples + (size_t)block_y * BLOCK * row + (size_t)block_x * BLOCK, row);
    return LX_OK;
}

/* ---- scans ------------------------------------------------------------------------------------------------------- */

/* One unit of a scan: of several components the blocks of each that lie in the same place, of one a single block. */
static lx_code read_unit(stream *s, component *const parts[], int count, int x, int y)
{
    if (count == 1)
        return read_block(s, parts[0], x, y);
    for (int i = 0; i < count; i++)
        for (int v = 0; v < parts[i]->down; v++)
            for (int h = 0; h < parts[i]->across; h++)
                if (read_block(s, parts[i], x * parts[i]->across + h, y * parts[i]->down + v))
                    return s->error->code;
    return LX_OK;
}

static lx_code read_units(stream *s, component *const parts[], int count)
{
    const bool alone = count == 1;
    const int across = alone ? parts[0]->own_x : divided(s->d->columns, BLOCK * s->across);
    const int down = alone ? parts[0]->own_y : divided(s->d->rows, BLOCK * s->down);
    for (long unit = 0; unit < (long)across * down; unit++) {
        if (s->interval && unit > 0 && unit % s->interval == 0) {
            if (!lx_bits_restart(&s->in))
                return damaged(s, "a restart is missing");
            for (int i = 0; i < count; i++)
                parts[i]->dc = 0;
        }
        if (read_unit(s, parts, count, (int)(unit % across), (int)(unit / across)))
            return s->error->code;
        if (lx_bits_overrun(&s->in))
            return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its pixels end in row %ld of %d", s->path,
                           unit / across * BLOCK * (alone ? 1 : s->down) + 1, s->d->rows);
    }
    s->in.window = 0;
    s->in.bits = s->in.made_up = 0;
    return LX_OK;
}

static lx_code read_scan(stream *s, const uint8_t *segment, size_t length)
{
    component *parts[COMPONENTS];
    const int count = length > 0 ? segment[0] : 0;
    if (count < 1 || count > s->count || length < 4 + 2 * (size_t)count)
        return damaged(s, "its scan header is too short, or comes before the frame header");
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < s->count && s->components[k].id != segment[1 + 2 * i])
            k++;
        if (k == s->count)
            return damaged(s, "its scan header names what there is not");
        component *c = parts[i] = &s->components[k];
        c->dc_table = segment[2 + 2 * i] >> 4;
        c->ac_table = segment[2 + 2 * i] & 15;
        c->dc = 0;
        if (c->dc_table >= TABLES || c->ac_table >= TABLES || !s->dc[c->dc_table].defined ||
            !s->ac[c->ac_table].defined || !s->quantised[c->quantisation])
            return damaged(s, "its scan header names what there is not");
        s->done |= 1 << k;
    }
    return read_units(s, parts, count);
}

static lx_code read_segment(stream *s, int marker, const uint8_t *segment, size_t length)
{
    if (is_frame(marker))
        return read_frame(s, marker, segment, length);
    switch (marker) {
    case DQT: return read_quantisation(s, segment, length);
    case DHT: return read_codes(s, segment, length);
    case SOS: return read_scan(s, segment, length);
    case DRI: s->interval = length == 2 ? (long)lx_big16(segment) : 0; return LX_OK;
    default: return LX_OK;
    }
}

static lx_code read_stream(stream *s)
{
    lx_bits *in = &s->in;
    in->at = 2;
    while (!s->count || s->done != (1 << s->count) - 1) {
        while (in->at < in->size && in->bytes[in->at] != 0xff)
            in->at++;
        while (in->at < in->size && in->bytes[in->at] == 0xff)
            in->at++;
        if (in->size - in->at < 3)
            return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its 12-bit JPEG breaks off", s->path);
        const int marker = in->bytes[in->at++];
        if (marker <= 1 || (marker >= 0xd0 && marker <= SOI))
            continue;
        if (marker == EOI)
            return damaged(s, "it ends before its picture");
        const size_t length = lx_big16(in->bytes + in->at);
        if (length < 2 || length > in->size - in->at)
            return lx_fail(s->error, LX_EFORMAT, "\"%.300s\" is truncated: its 12-bit JPEG breaks off", s->path);
        const uint8_t *segment = in->bytes + in->at + 2;
        in->at += length;
        if (read_segment(s, marker, segment, length - 2))
            return s->error->code;
    }
    return LX_OK;
}

/* ---- pixels -------------------------------------------------------------------------------------------------------
 */

/* The sample of a component at a pixel. A smaller channel is enlarged as libjpeg does it: its samples lie in the middle
   of the pixels that they are for, and each pixel is 3/4 of the nearer one and 1/4 of the other, in each direction. */
static int sample_at(const stream *s, const component *c, int x, int y)
{
    const bool wide = c->across < s->across, high = c->down < s->down;
    const int columns = divided(s->d->columns * c->across, s->across), rows = divided(s->d->rows * c->down, s->down);
    const int x0 = wide ? x / 2 : x, y0 = high ? y / 2 : y;
    int x1 = wide ? x0 + (x % 2 ? 1 : -1) : x0, y1 = high ? y0 + (y % 2 ? 1 : -1) : y0;
    x1 = x1 < 0 ? 0 : x1 >= columns ? columns - 1 : x1;
    y1 = y1 < 0 ? 0 : y1 >= rows ? rows - 1 : y1;
    const size_t row = (size_t)c->blocks_x * BLOCK;
    const uint16_t *near = c->samples + (size_t)y0 * row, *far = c->samples + (size_t)y1 * row;
    return (9 * near[x0] + 3 * near[x1] + 3 * far[x0] + far[x1] + 8) >> 4;
}

/* Colours are converted unless the file says that they are RGB. */
static void put_pixels(const stream *s, uint16_t *codes)
{
    const size_t pixels = (size_t)s->d->rows * (size_t)s->d->columns;
    const bool converts = s->count == 3 && strcmp(s->d->photometric, "RGB") != 0;
    size_t i = 0;
    for (int y = 0; y < s->d->rows; y++)
        for (int x = 0; x < s->d->columns; x++, i++) {
            int value[COMPONENTS] = {0};
            for (int c = 0; c < s->count; c++)
                value[c] = sample_at(s, &s->components[c], x, y);
            if (converts) {
                const double luma = value[0], cb = value[1] - MIDDLE, cr = value[2] - MIDDLE;
                const double rgb[3] = {luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb};
                for (int c = 0; c < COMPONENTS; c++)
                    value[c] = (int)fmin(fmax(floor(rgb[c] + 0.5), 0), MOST);
            }
            for (int c = 0; c < s->count; c++)
                codes[(size_t)c * pixels + i] = (uint16_t)value[c];
        }
}

lx_code lx_jpeg_deep_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *d, uint16_t *codes,
                            lx_error *error)
{
    stream *s = calloc(1, sizeof *s);
    if (!s)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory", path);
    s->path = path;
    s->d = d;
    s->error = error;
    s->in = (lx_bits){.bytes = bytes, .size = size};
    make_cosines(s);
    if (!read_stream(s))
        put_pixels(s, codes);
    for (int i = 0; i < COMPONENTS; i++)
        free(s->components[i].samples);
    free(s);
    return error->code;
}
