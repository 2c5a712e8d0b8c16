/* From stored values to what is shown or learnt from: rescaling, tables, windows, and which end is white (PS3.3
   C.7.6.3, C.11.1, C.11.2). A stored value has at most 16 bits, so whatever is made of one is made once for each that
   there may be. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

enum { MOST_CODES = 1 << 16 };

/* The value that a table has for a stored one; what is beyond it has the end of it. */
static double look_up(const lx_dicom_table *table, double value)
{
    double place = floor(value + 0.5) - (double)table->first;
    place = place < 0 ? 0 : place >= (double)table->count ? (double)(table->count - 1) : place;
    const size_t i = (size_t)place;
    if (!table->wide)
        return table->entries[i];
    const uint8_t *at = table->entries + 2 * i;
    return table->big ? at[0] << 8 | at[1] : at[1] << 8 | at[0];
}

static long count_of_codes(const lx_dicom *d)
{
    return 1L << d->stored;
}

/* The number that the bits of a code stand for. */
static long value_of(const lx_dicom *d, long code)
{
    return d->is_signed && code >> (d->stored - 1) ? code - count_of_codes(d) : code;
}

/* White is at the small end. */
static bool is_inverted(const lx_dicom *d)
{
    if (d->lut_shape[0])
        return strcmp(d->lut_shape, "INVERSE") == 0;
    return strcmp(d->photometric, "MONOCHROME1") == 0;
}

/* Angiography: the table goes from what is shown back to what reached the detector, and is not for showing (PS3.3
   C.8.7.1.1.2). */
static bool has_table_for_measuring(const lx_dicom *d)
{
    return d->intensity[0] && (strcmp(d->modality, "XA") == 0 || strcmp(d->modality, "RF") == 0);
}

/* What a code is in the units of the modality, or, of angiography to be shown, as it is stored. */
static double units_of(const lx_dicom *d, long code, bool to_show)
{
    const double value = (double)value_of(d, code);
    if (!d->modality_lut.entries)
        return value * d->slope + d->intercept;
    return to_show && has_table_for_measuring(d) ? value : look_up(&d->modality_lut, value);
}

static bool is_padding(const lx_dicom *d, long code)
{
    if (!d->has_padding)
        return false;
    const long value = value_of(d, code), low = d->padding < d->padding_limit ? d->padding : d->padding_limit;
    return value >= low && value <= d->padding + d->padding_limit - low;
}

/* ---- windows ---------------------------------------------------------------------------------------------------- */

/* How units become levels 0..1. */
typedef struct {
    enum { LINEAR, EXACT, SIGMOID, TABLE } how;
    double centre, width;
    const lx_dicom_table *table;
} window;

static double shown(const window *w, double value)
{
    switch (w->how) {
    case SIGMOID: return 1 / (1 + exp(-4 * (value - w->centre) / w->width));
    case EXACT: value = (value - w->centre) / w->width + 0.5; break;
    case TABLE: value = look_up(w->table, value) / ((1 << w->table->bits) - 1); break;
    default:
        /* the window of width w has w levels, so the steps are of w - 1 */
        value = w->width > 1 ? (value - (w->centre - 0.5)) / (w->width - 1) + 0.5 : value > w->centre - 0.5;
        break;
    }
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static bool has_window(const lx_dicom *d)
{
    return d->windows > 0 && d->width[0] > 0 && isfinite(d->centre[0]) && isfinite(d->width[0]);
}

/* All that there is in the image, without what fills it up. */
static window whole_range(const lx_dicom *d, const uint16_t *codes, size_t count)
{
    bool seen[MOST_CODES] = {false};
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++)
        seen[codes[i] & (count_of_codes(d) - 1)] = true;
    for (long code = 0; code < count_of_codes(d); code++)
        if (seen[code] && !is_padding(d, code)) {
            low = fmin(low, units_of(d, code, true));
            high = fmax(high, units_of(d, code, true));
        }
    if (low > high)
        low = high = 0; /* nothing but padding */
    return (window){EXACT, (low + high) / 2, high > low ? high - low : 1, NULL};
}

/* The table of the file or its first window; where it has both, the table, unless the window is preferred; where it has
   neither, the range of the image. */
static window choose_window(const lx_dicom *d, const lx_read_options *options, const uint16_t *codes, size_t count)
{
    const bool exact = strcmp(d->voi_function, "LINEAR_EXACT") == 0, sigmoid = strcmp(d->voi_function, "SIGMOID") == 0;
    if (d->voi_lut.entries && !(options->prefer_window && has_window(d)))
        return (window){TABLE, 0, 0, &d->voi_lut};
    if (has_window(d))
        return (window){sigmoid ? SIGMOID : exact ? EXACT : LINEAR, d->centre[0], d->width[0], NULL};
    return whole_range(d, codes, count);
}

/* ---- pictures --------------------------------------------------------------------------------------------------- */

static lx_code no_room(const char *path, const lx_dicom *d, lx_error *error)
{
    return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, d->columns, d->rows);
}

static lx_code new_picture(const char *path, const lx_dicom *d, lx_plane_type type, lx_picture *picture,
                           lx_error *error)
{
    *picture = (lx_picture){{d->columns, d->rows, type, NULL}, d->samples};
    return lx_picture_room(picture) ? LX_OK : no_room(path, d, error);
}

/* Every sample by a table of what each code becomes, whatever is in the bits above it. */
static void map(const lx_dicom *d, float *table, const uint16_t *codes, size_t count, const lx_picture *picture)
{
    for (long word = count_of_codes(d); word < MOST_CODES; word++)
        table[word] = table[word - count_of_codes(d)];
    if (picture->first.type == LX_PLANE_F32) {
        float *out = picture->first.samples;
        for (size_t i = 0; i < count; i++)
            out[i] = table[codes[i]];
        return;
    }
    uint8_t levels[MOST_CODES], *out = picture->first.samples;
    for (long word = 0; word < MOST_CODES; word++)
        levels[word] = (uint8_t)(table[word] + 0.5f);
    for (size_t i = 0; i < count; i++)
        out[i] = levels[codes[i]];
}

/* Units, with white at the large end: what is inverted is so within the range that could be stored. */
static void fill_units(const lx_dicom *d, bool raw, float *table)
{
    const long half = count_of_codes(d) / 2, least = d->is_signed ? half : 0,
               most = d->is_signed ? half - 1 : 2 * half - 1;
    const double ends = units_of(d, least, false) + units_of(d, most, false);
    const bool inverted = is_inverted(d);
    for (long code = 0; code < count_of_codes(d); code++) {
        const double units = units_of(d, code, false);
        table[code] = (float)(raw ? (double)value_of(d, code) : inverted ? ends - units : units);
    }
}

/* Levels of 0..255 through the window; what fills the image up is black. */
static void fill_levels(const lx_dicom *d, const window *w, float *table)
{
    const bool inverted = is_inverted(d);
    for (long code = 0; code < count_of_codes(d); code++) {
        const double level = shown(w, units_of(d, code, true));
        table[code] = is_padding(d, code) ? 0 : (float)(255 * (inverted ? 1 - level : level));
    }
}

/* Codes that are levels already. */
static void fill_plain(const lx_dicom *d, bool inverted, double scale, float *table)
{
    const long white = count_of_codes(d) - 1;
    for (long code = 0; code <= white; code++)
        table[code] = (float)((double)(inverted ? white - code : code) * scale);
}

/* Whether a stored value is a level of 0..255 as it is. */
static bool is_level(const lx_dicom *d)
{
    return d->stored <= 8 && !d->is_signed && d->slope == 1 && d->intercept == 0 && !d->modality_lut.entries;
}

static lx_code show_colours(const char *path, const lx_dicom *d, const uint16_t *codes, size_t count,
                            const lx_read_options *options, float *table, lx_picture *picture, lx_error *error)
{
    const bool deep = d->stored > 8, as_stored = options->raw || options->as == LX_AS_STORED;
    if (new_picture(path, d, deep && options->as != LX_AS_BYTES ? LX_PLANE_F32 : LX_PLANE_U8, picture, error))
        return error->code;
    fill_plain(d, false, deep && !as_stored ? 255.0 / (double)(count_of_codes(d) - 1) : 1, table);
    map(d, table, codes, count, picture);
    return LX_OK;
}

static lx_code show_grey(const char *path, const lx_dicom *d, const uint16_t *codes, size_t count,
                         const lx_read_options *options, float *table, lx_picture *picture, lx_error *error)
{
    const bool as_stored = options->raw || options->as == LX_AS_STORED;
    const bool plain = is_level(d) &&
                       (as_stored || (d->stored == 8 && d->windows == 0 && !d->voi_lut.entries && !d->has_padding));
    const bool bytes = plain || (options->as == LX_AS_BYTES && !options->raw);
    window w = {.how = LINEAR};
    if (!plain && !as_stored)
        w = choose_window(d, options, codes, count);
    if (new_picture(path, d, bytes ? LX_PLANE_U8 : LX_PLANE_F32, picture, error))
        return error->code;
    if (plain)
        fill_plain(d, is_inverted(d) && !options->raw, 1, table);
    else if (as_stored)
        fill_units(d, options->raw, table);
    else
        fill_levels(d, &w, table);
    map(d, table, codes, count, picture);
    return LX_OK;
}

/* YBR_FULL to RGB (PS3.3 C.7.6.3.1.2), in place. */
static void to_rgb(const lx_dicom *d, uint16_t *codes, size_t pixels)
{
    const long mask = count_of_codes(d) - 1;
    const double middle = (double)(count_of_codes(d) / 2), most = (double)mask;
    for (size_t i = 0; i < pixels; i++) {
        const double y = (double)(codes[i] & mask), cb = (double)(codes[pixels + i] & mask) - middle;
        const double cr = (double)(codes[2 * pixels + i] & mask) - middle;
        const double rgb[3] = {y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb};
        for (size_t c = 0; c < 3; c++)
            codes[c * pixels + i] = (uint16_t)fmin(fmax(floor(rgb[c] + 0.5), 0), most);
    }
}

/* Grey as RGB, and the other way round. */
static lx_code change_channels(const char *path, const lx_dicom *d, int channels, lx_picture *picture, lx_error *error)
{
    lx_picture out = {picture->first, channels};
    const size_t count = lx_plane_count(&out.first), bytes = lx_plane_bytes(&out.first);
    if (!lx_picture_room(&out)) {
        free(picture->first.samples);
        return no_room(path, d, error);
    }
    const uint8_t *from = picture->first.samples;
    uint8_t *to = out.first.samples;
    if (channels == 3) {
        for (size_t c = 0; c < 3; c++)
            memcpy(to + c * bytes, from, bytes);
    } else if (out.first.type == LX_PLANE_U8) {
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)lx_grey(from[i], from[count + i], from[2 * count + i]);
    } else {
        const float *deep = picture->first.samples;
        for (size_t i = 0; i < count; i++)
            ((float *)out.first.samples)[i] = lx_grey_of_floats(deep[i], deep[count + i], deep[2 * count + i]);
    }
    free(picture->first.samples);
    *picture = out;
    return LX_OK;
}

/* Decoders of JPEG give RGB, and so does that of JPEG 2000 for its own two transforms of colour. */
static bool is_ycc(const lx_dicom *d)
{
    return strncmp(d->photometric, "YBR_FULL", 8) == 0 && d->coding != LX_DICOM_JPEG;
}

lx_code lx_dicom_decode(const char *path, const lx_dicom *d, const lx_read_options *options, lx_picture *picture,
                        lx_error *error)
{
    const size_t pixels = (size_t)d->rows * (size_t)d->columns, count = pixels * (size_t)d->samples;
    const uint16_t *codes;
    uint16_t *owned;
    if (options->frame < 0 && d->frames > 1)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" has %d frames; say which one, with frame = 1 for the first", path,
                       d->frames);
    if (lx_dicom_codes(path, d, options->frame < 0 ? 0 : options->frame, &codes, &owned, error))
        return error->code;
    float *table = calloc(MOST_CODES, sizeof *table);
    if (!table) {
        free(owned);
        return no_room(path, d, error);
    }
    if (is_ycc(d) && !options->raw)
        to_rgb(d, owned, pixels); /* only one sample may be in the file */
    (d->samples == 3 ? show_colours : show_grey)(path, d, codes, count, options, table, picture, error);
    free(table);
    free(owned);
    if (!error->code && options->channels != 0 && options->channels != picture->channels)
        change_channels(path, d, options->channels, picture, error);
    return error->code;
}
