/* BMP: Windows' bitmaps of all header versions, and OS/2's (Microsoft's "Bitmap Storage"; OS/2 Presentation Manager).
 */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, OS2_HEADER = 64, MOST_COLOURS = 256 };

typedef enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHA_BITFIELDS = 6 } packing;

typedef struct {
    uint32_t header; /* its length, which tells its version */
    uint32_t depth, packing;
    bool top_down;
    uint32_t masks[4]; /* of red, green, blue, alpha within a pixel of 16 or 32 bits */
    size_t pixels;     /* where they begin */
    size_t row;        /* bytes of one, unless it is run-length coded */
    int colours;       /* in the palette */
    uint8_t palette[MOST_COLOURS][3];
} layout;

static bool is_packed(const layout *l)
{
    return l->packing == RLE8 || l->packing == RLE4;
}

/* ---- the header -------------------------------------------------------------------------------------------------- */

static lx_code read_masks(const lx_input *in, const lx_image_info *info, layout *l)
{
    static const uint32_t of_16[4] = {0x7c00, 0x03e0, 0x001f, 0}, of_32[4] = {0xff0000, 0x00ff00, 0x0000ff, 0};
    memcpy(l->masks, l->depth == 16 ? of_16 : of_32, sizeof l->masks);
    if (l->packing != BITFIELDS && l->packing != ALPHA_BITFIELDS)
        return LX_OK;
    const int count = l->packing == ALPHA_BITFIELDS || l->header >= 56 ? 4 : 3;
    const size_t at = FILE_HEADER + INFO_HEADER; /* in longer headers they are a part of these */
    if (in->size < at + 4 * (size_t)count)
        return lx_truncated(in, info);
    for (int i = 0; i < count; i++) {
        l->masks[i] = lx_little32(in->bytes + at + 4 * i);
        const uint32_t low = l->masks[i] & (0u - l->masks[i]), run = low ? l->masks[i] / low : 0;
        if ((run & (run + 1)) != 0 || (run == 0 && i < 3) || (l->depth == 16 && l->masks[i] > 0xffff))
            return lx_damaged(in, info, "its colour masks make no sense");
    }
    return LX_OK;
}

static lx_code read_palette(const lx_input *in, const lx_image_info *info, layout *l, uint32_t used)
{
    size_t at = FILE_HEADER + l->header;
    if (l->header == INFO_HEADER && l->packing == BITFIELDS)
        at += 12;
    if (l->header == INFO_HEADER && l->packing == ALPHA_BITFIELDS)
        at += 16;
    const size_t entry = l->header == CORE_HEADER ? 3 : 4, most = (size_t)1 << l->depth;
    const size_t room = l->pixels > at ? (l->pixels - at) / entry : 0;
    size_t count = used == 0 || used > most ? most : used;
    count = count < room ? count : room; /* files say more than they have */
    if (count == 0)
        return lx_damaged(in, info, "it has no palette");
    if (at + count * entry > in->size)
        return lx_truncated(in, info);
    l->colours = (int)count;
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < 3; c++)
            l->palette[i][c] = in->bytes[at + i * entry + 2 - c];
    return LX_OK;
}

static lx_code check_kind(const lx_input *in, const lx_image_info *info, const layout *l)
{
    const uint32_t d = l->depth, p = l->packing;
    if (d != 1 && d != 2 && d != 4 && d != 8 && d != 16 && d != 24 && d != 32)
        return lx_damaged(in, info, "its number of bits to a pixel is unknown");
    if (l->header == OS2_HEADER && p >= BITFIELDS)
        return lx_unsupported(in, "a BMP of OS/2 with compressed pixels");
    if (p != RGB && p != RLE8 && p != RLE4 && p != BITFIELDS && p != ALPHA_BITFIELDS)
        return lx_unsupported(in, "a BMP with a JPEG, a PNG or another picture inside");
    if ((p == RLE8 && d != 8) || (p == RLE4 && d != 4) || (p >= BITFIELDS && d != 16 && d != 32) ||
        (is_packed(l) && l->top_down))
        return lx_damaged(in, info, "its compression does not fit its number of bits to a pixel");
    return LX_OK;
}

static lx_code read_header(const lx_input *in, lx_image_info *info, layout *l)
{
    const uint8_t *bytes = in->bytes;
    memset(l, 0, sizeof *l);
    if (in->size < FILE_HEADER + CORE_HEADER)
        return lx_truncated(in, info);
    l->pixels = lx_little32(bytes + 10);
    l->header = lx_little32(bytes + 14);
    uint32_t width, height, used = 0;
    if (l->header == CORE_HEADER) {
        width = lx_little16(bytes + 18);
        height = lx_little16(bytes + 20);
        l->depth = lx_little16(bytes + 24);
    } else {
        if (l->header < 16 || l->header > 124)
            return lx_damaged(in, info, "its header is of no known version");
        uint8_t head[FILE_HEADER + INFO_HEADER] = {0}; /* OS/2's may be cut off: what is missing is 0 */
        if (in->size < FILE_HEADER + l->header)
            return lx_truncated(in, info);
        memcpy(head, bytes, FILE_HEADER + (l->header < INFO_HEADER ? l->header : INFO_HEADER));
        width = lx_little32(head + 18);
        height = lx_little32(head + 22);
        l->depth = lx_little16(head + 28);
        l->packing = lx_little32(head + 30);
        used = lx_little32(head + 46);
        l->top_down = height > 0x80000000u;
        height = l->top_down ? 0u - height : height;
    }
    if (check_kind(in, info, l) || lx_accept_size(in, width, height, info) || read_masks(in, info, l))
        return in->error->code;
    if (l->depth <= 8 && read_palette(in, info, l, used))
        return in->error->code;
    l->row = ((size_t)width * l->depth + 31) / 32 * 4;
    if (l->pixels > in->size || (!is_packed(l) && (uint64_t)l->pixels + (uint64_t)l->row * height > in->size))
        return lx_truncated(in, info);
    info->channels = l->masks[3] && l->depth > 8 ? 4 : 3;
    return LX_OK;
}

/* ---- pixels -------------------------------------------------------------------------------------------------------
 */

static lx_code put_colour(const lx_input *in, const lx_image_info *info, const layout *l, uint32_t index,
                          uint8_t rgb[3])
{
    if (index >= (uint32_t)l->colours)
        return lx_damaged(in, info, "a pixel has a colour that its palette does not have");
    memcpy(rgb, l->palette[index], 3);
    return LX_OK;
}

static uint8_t level_of(uint32_t pixel, uint32_t mask)
{
    const uint32_t low = mask & (0u - mask), most = mask / low;
    return (uint8_t)(((uint64_t)((pixel & mask) / low) * 255 + most / 2) / most);
}

static lx_code fill_row(const lx_input *in, const lx_image_info *info, const layout *l, const uint8_t *from,
                        uint8_t *rgb)
{
    for (uint32_t x = 0; x < (uint32_t)info->width; x++, rgb += 3) {
        if (l->depth <= 8) {
            const uint32_t bit = x * l->depth,
                           index = from[bit / 8] >> (8 - l->depth - bit % 8) & ((1u << l->depth) - 1);
            if (put_colour(in, info, l, index, rgb))
                return in->error->code;
        } else if (l->depth == 24) {
            rgb[0] = from[3 * x + 2];
            rgb[1] = from[3 * x + 1];
            rgb[2] = from[3 * x];
        } else {
            const uint32_t pixel = l->depth == 16 ? lx_little16(from + 2 * x) : lx_little32(from + 4 * x);
            for (int c = 0; c < 3; c++)
                rgb[c] = level_of(pixel, l->masks[c]);
        }
    }
    return LX_OK;
}

/* Where run-length coding is: rows from the bottom up. */
typedef struct {
    const lx_input *in;
    const lx_image_info *info;
    const layout *l;
    uint8_t *rgb;
    int x, y;
} place;

/* Puts a pixel; what would be beyond the end of its row is left out, as readers do. */
static lx_code put_index(place *p, uint32_t index)
{
    if (p->x >= p->info->width)
        return LX_OK;
    const size_t row = (size_t)(p->info->height - 1 - p->y), at = row * (size_t)p->info->width + (size_t)p->x++;
    return put_colour(p->in, p->info, p->l, index, p->rgb + 3 * at);
}

/* `count` pixels from bytes that hold one or two of them; `repeated`: from one byte again and again. */
static lx_code put_run(place *p, const uint8_t *from, uint32_t count, bool repeated)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t byte = from[repeated ? 0 : p->l->packing == RLE4 ? i / 2 : i];
        const uint32_t index = p->l->packing == RLE8 ? byte : i % 2 ? byte & 15 : byte >> 4;
        if (put_index(p, index))
            return p->in->error->code;
    }
    return LX_OK;
}

static lx_code unpack(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t *rgb)
{
    place p = {in, info, l, rgb, 0, 0};
    const uint8_t *bytes = in->bytes;
    for (size_t at = l->pixels; p.y < info->height;) {
        if (in->size - at < 2)
            return lx_truncated(in, info);
        const uint32_t count = bytes[at], next = bytes[at + 1];
        at += 2;
        if (count > 0) {
            if (put_run(&p, bytes + at - 1, count, true))
                return in->error->code;
        } else if (next == 0) { /* the end of a row */
            p.x = 0;
            p.y++;
        } else if (next == 1) { /* the end of the picture */
            break;
        } else if (next == 2) { /* a step */
            if (in->size - at < 2)
                return lx_truncated(in, info);
            p.x = p.x < info->width ? p.x + bytes[at] : p.x;
            p.y += bytes[at + 1];
            at += 2;
        } else {
            const size_t length = l->packing == RLE4 ? (next + 1) / 2 : next, whole = length + length % 2;
            if (in->size - at < length)
                return lx_truncated(in, info);
            if (put_run(&p, bytes + at, next, false))
                return in->error->code;
            at += whole < in->size - at ? whole : in->size - at;
        }
    }
    return LX_OK;
}

/* ---- the row of the table --------------------------------------------------------------------------------------- */

static bool sniff(const uint8_t *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 'B' && bytes[1] == 'M';
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    layout l;
    (void)dicom;
    return read_header(in, info, &l);
}

static lx_code fill(const lx_input *in, const lx_image_info *info, const layout *l, uint8_t *rgb)
{
    const size_t width = (size_t)info->width, height = (size_t)info->height;
    for (size_t i = 0; is_packed(l) && i < width * height; i++) /* what a run-length coding leaves out */
        memcpy(rgb + 3 * i, l->palette[0], 3);
    if (is_packed(l))
        return unpack(in, info, l, rgb);
    for (size_t y = 0; y < height; y++) {
        const size_t row = l->top_down ? y : height - 1 - y;
        if (fill_row(in, info, l, in->bytes + l->pixels + y * l->row, rgb + 3 * width * row))
            return in->error->code;
    }
    return LX_OK;
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    layout l;
    (void)dicom;
    if (read_header(in, info, &l))
        return in->error->code;
    uint8_t *rgb = malloc(3 * (size_t)info->width * (size_t)info->height);
    if (!rgb)
        return lx_no_room(in, info);
    if (fill(in, info, &l, rgb)) {
        free(rgb);
        return in->error->code;
    }
    return lx_take_bytes(in, rgb, 3, 255, options, info, picture);
}

const lx_format lx_bmp = {"BMP", "bmp dib", sniff, inspect, decode};
