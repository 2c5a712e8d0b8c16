#include "histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- counting ------------------------------------------------------------------------------------------------- */

void lx_count_levels(const uint8_t *samples, size_t count, uint32_t parts[4][256])
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t k = 0; k < 4; k++)
            parts[k][samples[i + k]]++;
    for (; i < count; i++)
        parts[0][samples[i]]++;
}

static int bin_of(float level, float white, int bins)
{
    const float place = level / white * (float)(bins - 1) + 0.5f;
    return place > 0 ? (place < (float)bins ? (int)place : bins - 1) : 0; /* NaN: 0 */
}

void lx_histogram(const lx_plane *in, float white, int bins, long *counts)
{
    const size_t count = lx_plane_count(in);
    memset(counts, 0, sizeof *counts * (size_t)bins);
    if (in->type == LX_PLANE_U8) {
        uint32_t parts[4][256] = {{0}};
        lx_count_levels(in->samples, count, parts);
        for (int level = 0; level < 256; level++)
            counts[bins == 256 ? level : bin_of((float)level, 255, bins)] += (long)parts[0][level] + parts[1][level] +
                                                                             parts[2][level] + parts[3][level];
    } else {
        const float *samples = in->samples;
        for (size_t i = 0; i < count; i++)
            counts[bin_of(samples[i], white, bins)]++;
    }
}

/* The levels of a plane, counted; how many there are, and which level a bin stands for. To be freed. */
static long *count_levels(const lx_plane *in, float *white, int *bins, lx_error *error)
{
    *bins = in->type == LX_PLANE_U8 ? 256 : LX_LEVELS;
    *white = in->type == LX_PLANE_U8 ? 255 : *white;
    long *counts = malloc(sizeof *counts * (size_t)*bins);
    if (counts)
        lx_histogram(in, *white, *bins, counts);
    else
        lx_fail(error, LX_ENOMEM, "out of memory for a histogram of %d levels", *bins);
    return counts;
}

/* ---- functions of the level ----------------------------------------------------------------------------------- */

/* Replaces each sample by what a table says of its bin: bytes by bytes, floats by floats. */
static void look_up(const lx_plane *in, lx_plane *out, float white, int bins, const float *table)
{
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8) {
        uint8_t bytes[256];
        for (int level = 0; level < 256; level++)
            bytes[level] = (uint8_t)fminf(fmaxf(rintf(table[level]), 0), 255);
        const uint8_t *from = in->samples;
        uint8_t *to = out->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = bytes[from[i]];
    } else {
        const float *from = in->samples;
        float *to = out->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = table[bin_of(from[i], white, bins)];
    }
}

lx_code lx_percentile(const lx_plane *in, float white, double share, float *level, lx_error *error)
{
    int bins;
    long *counts = count_levels(in, &white, &bins, error);
    if (!counts)
        return error->code;
    /* the samples in order, with the first as number 0 */
    const double place = share * (double)(lx_plane_count(in) - 1), number = floor(place);
    int lower = 0, upper;
    double up_to = (double)counts[0];
    while (up_to <= number && lower < bins - 1)
        up_to += (double)counts[++lower];
    upper = lower;
    while (up_to <= number + 1 && upper < bins - 1)
        up_to += (double)counts[++upper];
    upper = counts[upper] > 0 ? upper : lower; /* there is none after the last */
    *level = (float)((lower + (place - number) * (upper - lower)) * white / (bins - 1));
    free(counts);
    return LX_OK;
}

lx_code lx_equalize(const lx_plane *in, lx_plane *out, float white, lx_error *error)
{
    int bins, darkest = 0;
    long *counts = count_levels(in, &white, &bins, error);
    float *table = malloc(sizeof *table * LX_LEVELS);
    if (!counts || !table) {
        free(counts);
        free(table);
        return error->code ? error->code : lx_fail(error, LX_ENOMEM, "out of memory for a table of levels");
    }
    const long count = (long)lx_plane_count(in);
    while (counts[darkest] == 0)
        darkest++;
    /* one level alone has nothing to be equal to, and stays */
    const float scale = count > counts[darkest] ? white / (float)(count - counts[darkest]) : 0;
    long below = 0;
    for (int bin = 0; bin < bins; bin++) {
        below += bin > darkest ? counts[bin] : 0;
        table[bin] = scale > 0 ? (float)below * scale : (float)bin * white / (float)(bins - 1);
    }
    look_up(in, out, white, bins, table);
    free(counts);
    free(table);
    return LX_OK;
}

LX_WIDE static void stretch_floats(const float *from, float *to, size_t count, float low, float scale, float white)
{
    for (size_t i = 0; i < count; i++)
        to[i] = lx_cut_level((from[i] - low) * scale, white);
}

void lx_stretch(const lx_plane *in, lx_plane *out, float white, float low, float high)
{
    const float scale = high > low ? white / (high - low) : 0;
    if (in->type == LX_PLANE_U8) {
        float table[256];
        for (int level = 0; level < 256; level++)
            table[level] = scale > 0 ? ((float)level - low) * scale : (float)level;
        look_up(in, out, 255, 256, table);
    } else if (scale > 0) {
        stretch_floats(in->samples, out->samples, lx_plane_count(in), low, scale, white);
    } else if (in->samples != out->samples) {
        memcpy(out->samples, in->samples, lx_plane_bytes(in));
    }
}

lx_code lx_normalize_percentile(const lx_plane *in, lx_plane *out, float white, double low, double high,
                                lx_error *error)
{
    float dark, bright;
    if (!lx_percentile(in, white, low, &dark, error) && !lx_percentile(in, white, high, &bright, error))
        lx_stretch(in, out, white, dark, bright);
    return error->code;
}

lx_code lx_gamma(const lx_plane *in, lx_plane *out, float white, double gamma, lx_error *error)
{
    if (!(gamma > 0))
        return lx_fail(error, LX_EARG, "gamma: must be above 0, not %g", gamma);
    if (in->type == LX_PLANE_U8) {
        float table[256];
        for (int level = 0; level < 256; level++)
            table[level] = (float)(255 * pow(level / 255.0, gamma));
        look_up(in, out, 255, 256, table);
        return LX_OK;
    }
    const float *from = in->samples;
    float *to = out->samples;
    for (size_t i = 0; i < lx_plane_count(in); i++)
        to[i] = from[i] > 0 ? (float)(white * pow((double)(from[i] / white), gamma)) : 0;
    return LX_OK;
}

LX_WIDE void lx_invert(const lx_plane *in, lx_plane *out, float white)
{
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8)
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out->samples)[i] = (uint8_t) ~((const uint8_t *)in->samples)[i];
    else
        for (size_t i = 0; i < count; i++)
            ((float *)out->samples)[i] = white - ((const float *)in->samples)[i];
}

/* ---- thresholds ------------------------------------------------------------------------------------------------ */

lx_code lx_otsu(const lx_plane *in, float white, float *level, lx_error *error)
{
    int bins, best = 0;
    long *counts = count_levels(in, &white, &bins, error);
    if (!counts)
        return error->code;
    double sum = 0, low_sum = 0, low_count = 0, largest = -1;
    const double count = (double)lx_plane_count(in);
    for (int bin = 0; bin < bins; bin++)
        sum += (double)bin * (double)counts[bin];
    for (int bin = 0; bin < bins; bin++) {
        low_count += (double)counts[bin];
        low_sum += (double)bin * (double)counts[bin];
        if (low_count == 0 || low_count == count)
            continue;
        const double apart = low_sum / low_count - (sum - low_sum) / (count - low_count);
        const double between = low_count * (count - low_count) * apart * apart;
        if (between > largest) {
            largest = between;
            best = bin;
        }
    }
    free(counts);
    *level = (float)best * white / (float)(bins - 1);
    return LX_OK;
}

LX_WIDE void lx_threshold(const lx_plane *in, lx_plane *out, float level)
{
    const size_t count = lx_plane_count(in);
    uint8_t *restrict to = out->samples;
    if (in->type == LX_PLANE_U8) {
        const uint8_t *restrict from = in->samples;
        const int most = level < 0 ? -1 : level < 255 ? (int)level : 255;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i] > most ? 255 : 0;
    } else {
        const float *restrict from = in->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i] > level ? 255 : 0;
    }
}
