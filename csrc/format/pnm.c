/* PNM: P1 to P6, of text and of bytes (netpbm's pbm, pgm, ppm). */
#include <ctype.h>
#include <stdlib.h>

#include "rooms.h"

typedef struct {
    int kind;       /* 1 to 6, as in its magic number */
    uint32_t white; /* the sample that stands for white */
    size_t raster;  /* where samples begin */
} layout;

static bool is_text(const layout *l)
{
    return l->kind <= 3;
}

static bool is_bitmap(const layout *l)
{
    return l->kind == 1 || l->kind == 4;
}

static size_t pass_space(const lx_input *in, size_t at)
{
    while (at < in->size && (isspace(in->bytes[at]) || in->bytes[at] == '#')) {
        if (in->bytes[at] == '#')
            while (at < in->size && in->bytes[at] != '\n')
                at++;
        else
            at++;
    }
    return at;
}

/* Reads one number after any white space and comments; false when there is none. */
static bool read_number(const lx_input *in, size_t *at, uint32_t *number)
{
    size_t i = pass_space(in, *at);
    const size_t first = i;
    *number = 0;
    for (; i < in->size && in->bytes[i] >= '0' && in->bytes[i] <= '9'; i++)
        if (*number < 100000000) /* far beyond the limits, far below overflow */
            *number = *number * 10 + (uint32_t)(in->bytes[i] - '0');
    *at = i;
    return i > first;
}

/* Bytes that a row of the raster takes; of text, at least. */
static uint64_t row_bytes(const layout *l, const lx_image_info *info)
{
    const uint64_t samples = (uint64_t)info->width * (uint64_t)info->channels;
    if (l->kind == 4)
        return (samples + 7) / 8;
    return l->kind == 1 ? samples : is_text(l) ? 2 * samples - 1 : l->white > 255 ? 2 * samples : samples;
}

static lx_code read_header(const lx_input *in, lx_image_info *info, layout *l)
{
    size_t at = 2;
    uint32_t width, height;
    l->kind = in->bytes[1] - '0';
    l->white = 1;
    if (!read_number(in, &at, &width) || !read_number(in, &at, &height) ||
        (!is_bitmap(l) && !read_number(in, &at, &l->white)))
        return at == in->size
                   ? lx_truncated(in, info)
                   : lx_damaged(in, info,
                                is_bitmap(l) ? "its header is not two numbers" : "its header is not three numbers");
    lx_code code = lx_accept_size(in, width, height, info);
    if (code != LX_OK)
        return code;
    if (l->white == 0 || l->white > 65535)
        return lx_damaged(in, info, "its largest value is not between 1 and 65535");
    info->channels = l->kind == 3 || l->kind == 6 ? 3 : 1;
    for (info->bits = 8; l->white >> info->bits; info->bits++)
        continue;
    l->raster = at + 1; /* one white space ends the header */
    if (l->raster + row_bytes(l, info) * height > in->size)
        return lx_truncated(in, info);
    return LX_OK;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static lx_code store(const lx_input *in, const lx_image_info *info, bool deep, void *samples, size_t place,
                     uint32_t value, uint32_t white)
{
    if (value > white)
        return lx_damaged(in, info, "a sample is larger than the largest value that its header states");
    if (deep)
        ((uint16_t *)samples)[place] = (uint16_t)value;
    else
        ((uint8_t *)samples)[place] = (uint8_t)value;
    return LX_OK;
}

/* The next sample of text. Bits of a bitmap need no space between them. */
static bool read_sample(const lx_input *in, const layout *l, size_t *at, uint32_t *value)
{
    if (l->kind != 1)
        return read_number(in, at, value);
    *at = pass_space(in, *at);
    if (*at == in->size || (in->bytes[*at] != '0' && in->bytes[*at] != '1'))
        return false;
    *value = in->bytes[(*at)++] == '0'; /* 1 is black */
    return true;
}

static lx_code fill_from_text(const lx_input *in, const lx_image_info *info, const layout *l, void *samples,
                              size_t count)
{
    size_t at = l->raster;
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        if (!read_sample(in, l, &at, &value))
            return at == in->size ? lx_truncated(in, info)
                                  : lx_damaged(in, info, "there is no number where a sample should be");
        if (store(in, info, l->white > 255, samples, i, value, l->white))
            return in->error->code;
    }
    return LX_OK;
}

static lx_code fill_from_bytes(const lx_input *in, const lx_image_info *info, const layout *l, void *samples,
                               size_t count)
{
    const uint8_t *raster = in->bytes + l->raster;
    const size_t width = (size_t)info->width, row = (size_t)row_bytes(l, info);
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        if (l->kind == 4) /* 1 is black */
            value = ~raster[i / width * row + i % width / 8] >> (7 - i % width % 8) & 1;
        else
            value = l->white > 255 ? lx_big16(raster + 2 * i) : raster[i];
        if (store(in, info, l->white > 255, samples, i, value, l->white))
            return in->error->code;
    }
    return LX_OK;
}

/* ---- the row of the table --------------------------------------------------------------------------------------- */

static bool sniff(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' && (isspace(bytes[2]) || bytes[2] == '#');
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    layout l;
    (void)dicom;
    return read_header(in, info, &l);
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    layout l;
    (void)dicom;
    if (read_header(in, info, &l))
        return in->error->code;
    const size_t count = (size_t)info->width * (size_t)info->height * (size_t)info->channels;
    const bool deep = l.white > 255;
    void *samples = malloc(count * (deep ? 2 : 1));
    if (!samples)
        return lx_no_room(in, info);
    if (is_text(&l) ? fill_from_text(in, info, &l, samples, count) : fill_from_bytes(in, info, &l, samples, count)) {
        free(samples);
        return in->error->code;
    }
    info->white = deep ? (int)l.white : 0;
    return deep ? lx_take_words(in, samples, info->channels, (int)l.white, options, info, picture)
                : lx_take_bytes(in, samples, info->channels, (int)l.white, options, info, picture);
}

const lx_format lx_pnm = {"PNM", "pgm ppm pbm pnm", sniff, inspect, decode};
