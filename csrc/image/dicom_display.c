/* From stored values to what is shown or learnt from: rescaling, tables, windows, and which end is white (PS3.3 C.7.6.3,
   C.11.1, C.11.2). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dicom.h"

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

/* A stored value in the units of the modality. */
static double to_units(const lx_dicom *d, int32_t value)
{
    return d->modality_lut.entries ? look_up(&d->modality_lut, value) : value * d->slope + d->intercept;
}

/* White is at the small end. */
static bool is_inverted(const lx_dicom *d)
{
    if (d->lut_shape[0])
        return strcmp(d->lut_shape, "INVERSE") == 0;
    return strcmp(d->photometric, "MONOCHROME1") == 0;
}

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

/* The first window of the file, its table, or else all that there is in the image. */
static window choose_window(const lx_dicom *d, const float *units, size_t count)
{
    const bool exact = strcmp(d->voi_function, "LINEAR_EXACT") == 0, sigmoid = strcmp(d->voi_function, "SIGMOID") == 0;
    if (d->windows > 0 && d->width[0] > 0 && isfinite(d->centre[0]) && isfinite(d->width[0]))
        return (window){sigmoid ? SIGMOID : exact ? EXACT : LINEAR, d->centre[0], d->width[0], NULL};
    if (d->voi_lut.entries)
        return (window){TABLE, 0, 0, &d->voi_lut};
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = units[i] < low ? units[i] : low;
        high = units[i] > high ? units[i] : high;
    }
    return (window){EXACT, ((double)low + (double)high) / 2, high > low ? (double)high - (double)low : 1, NULL};
}

/* Full YCbCr to RGB (PS3.3 C.7.6.3.1.2), in place. */
static void to_rgb(int32_t *values, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        const double y = values[i], cb = values[pixels + i] - 128, cr = values[2 * pixels + i] - 128;
        const double rgb[3] = {y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb};
        for (size_t c = 0; c < 3; c++)
            values[c * pixels + i] = (int32_t)fmin(fmax(floor(rgb[c] + 0.5), 0), 255);
    }
}

/* Whether a stored value is a level of 0..255 as it is. */
static bool is_level(const lx_dicom *d)
{
    return d->stored <= 8 && !d->is_signed && d->slope == 1 && d->intercept == 0 && !d->modality_lut.entries;
}

static lx_code new_picture(const char *path, const lx_dicom *d, lx_plane_type type, lx_picture *picture, lx_error *error)
{
    *picture = (lx_picture){{d->columns, d->rows, type, NULL}, d->samples};
    picture->first.samples = malloc(lx_plane_bytes(&picture->first) * (size_t)d->samples);
    if (!picture->first.samples)
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, d->columns, d->rows);
    return LX_OK;
}

/* Levels as bytes: colours, and grey images of 8 bits that need no window. */
static void fill_bytes(const lx_dicom *d, const int32_t *values, size_t count, bool invert, uint8_t *out)
{
    const int white = (1 << d->stored) - 1;
    for (size_t i = 0; i < count; i++) {
        const int level = values[i] < 0 ? 0 : values[i] > white ? white : values[i];
        out[i] = (uint8_t)(invert ? white - level : level);
    }
}

/* Units, with white at the large end: what is inverted is so within the range that could be stored. */
static void fill_units(const lx_dicom *d, const int32_t *values, size_t count, bool raw, float *out)
{
    const int32_t least = d->is_signed ? -(1 << (d->stored - 1)) : 0, most = least + (1 << d->stored) - 1;
    const double ends = to_units(d, least) + to_units(d, most);
    for (size_t i = 0; i < count; i++) {
        if (raw)
            out[i] = (float)values[i];
        else
            out[i] = (float)(is_inverted(d) ? ends - to_units(d, values[i]) : to_units(d, values[i]));
    }
}

/* Levels of 0..255 through the window. */
static void fill_levels(const lx_dicom *d, const float *units, size_t count, lx_picture *picture)
{
    const window w = choose_window(d, units, count);
    for (size_t i = 0; i < count; i++) {
        const double level = 255 * (is_inverted(d) ? 1 - shown(&w, (double)units[i]) : shown(&w, (double)units[i]));
        if (picture->first.type == LX_PLANE_U8)
            ((uint8_t *)picture->first.samples)[i] = (uint8_t)(level + 0.5);
        else
            ((float *)picture->first.samples)[i] = (float)level;
    }
}

static lx_code show(const char *path, const lx_dicom *d, const int32_t *values, const lx_read_options *options,
                    lx_picture *picture, lx_error *error)
{
    const size_t count = (size_t)d->rows * (size_t)d->columns * (size_t)d->samples;
    const bool plain = is_level(d) && (d->samples == 3 || options->raw || options->as == LX_AS_STORED ||
                                       (d->stored == 8 && d->windows == 0 && !d->voi_lut.entries));
    const bool bytes = plain || (options->as == LX_AS_BYTES && !options->raw);
    if (new_picture(path, d, bytes ? LX_PLANE_U8 : LX_PLANE_F32, picture, error))
        return error->code;
    if (plain) {
        fill_bytes(d, values, count, d->samples == 1 && is_inverted(d) && !options->raw, picture->first.samples);
        return LX_OK;
    }
    if (options->raw || options->as == LX_AS_STORED) {
        fill_units(d, values, count, options->raw, picture->first.samples);
        return LX_OK;
    }
    float *units = malloc(sizeof *units * count);
    if (!units) {
        free(picture->first.samples);
        return lx_fail(error, LX_ENOMEM, "\"%.300s\": out of memory for %d x %d pixels", path, d->columns, d->rows);
    }
    for (size_t i = 0; i < count; i++)
        units[i] = (float)to_units(d, values[i]);
    fill_levels(d, units, count, picture);
    free(units);
    return LX_OK;
}

lx_code lx_dicom_decode(const char *path, const lx_dicom *d, const lx_read_options *options, lx_picture *picture,
                        lx_error *error)
{
    int32_t *values;
    if (lx_dicom_values(path, d, options->frame, &values, error))
        return error->code;
    /* decoders of JPEG and JPEG 2000 give RGB */
    if (strncmp(d->photometric, "YBR_FULL", 8) == 0 && (d->coding == LX_DICOM_PLAIN || d->coding == LX_DICOM_RLE) && !options->raw)
        to_rgb(values, (size_t)d->rows * (size_t)d->columns);
    show(path, d, values, options, picture, error);
    free(values);
    return error->code;
}
