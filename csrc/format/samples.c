/* From the interleaved samples of a decoder to planes in the kind of samples that is wanted. */
#include <math.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "rooms.h"

bool lx_picture_room(lx_picture *picture)
{
    picture->first.samples = lx_host_block(lx_plane_bytes(&picture->first) * (size_t)picture->channels, 64);
    return picture->first.samples != NULL;
}

int lx_channels_of(const lx_read_options *options, const lx_image_info *info)
{
    return options->channels ? options->channels : info->channels >= 3 ? 3 : 1;
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */

/* Compilers make two loops of one that asks for `deep` in each turn. */
static inline int sample_at(const void *samples, bool deep, size_t i, int white)
{
    const int sample = deep ? ((const uint16_t *)samples)[i] : ((const uint8_t *)samples)[i];
    return sample < white ? sample : white;
}

/* The grey of the colours of all pixels, in front of the place where they were. */
static void mix(void *samples, bool deep, size_t stored, size_t count, int white)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = i * stored;
        const int grey = lx_grey(sample_at(samples, deep, at, white), sample_at(samples, deep, at + 1, white),
                                 sample_at(samples, deep, at + 2, white));
        if (deep)
            ((uint16_t *)samples)[i] = (uint16_t)grey;
        else
            ((uint8_t *)samples)[i] = (uint8_t)grey;
    }
}

/* The byte for every sample that there may be. The bytes that 16 bits come down to are the upper ones: as if the others
   had never been. */
static void fill_levels(int white, uint8_t *levels)
{
    for (int sample = 0; sample <= white; sample++)
        levels[sample] = (uint8_t)(white == 65535 ? sample >> 8 : (sample * 255 + white / 2) / white);
}

/* Every `step`-th sample to a plane. */
static void spread(const lx_plane *to, const void *samples, bool deep, size_t first, size_t step, int white,
                   float scale, const uint8_t *levels)
{
    const size_t count = lx_plane_count(to);
    if (to->type == LX_PLANE_U8)
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)to->samples)[i] = levels[sample_at(samples, deep, first + i * step, white)];
    else
        for (size_t i = 0; i < count; i++)
            ((float *)to->samples)[i] = (float)sample_at(samples, deep, first + i * step, white) * scale;
}

/* Deep samples become floats in their own units or on the scale 0..255, or bytes as the others. */
static lx_code take(const lx_input *in, void *samples, bool deep, int stored, int white, const lx_read_options *options,
                    const lx_image_info *info, lx_picture *picture)
{
    const bool bytes = !deep || options->as == LX_AS_BYTES;
    const float scale = options->as == LX_AS_STORED ? 1 : 255.0f / (float)white;
    uint8_t levels[65536];
    *picture = (lx_picture){{info->width, info->height, bytes ? LX_PLANE_U8 : LX_PLANE_F32, NULL},
                            lx_channels_of(options, info)};
    if (bytes)
        fill_levels(white, levels);
    if (!deep && white < 255) { /* levels first, for the grey of few levels is none of them */
        for (size_t i = 0; i < lx_plane_count(&picture->first) * (size_t)stored; i++)
            ((uint8_t *)samples)[i] = levels[sample_at(samples, false, i, white)];
        fill_levels(white = 255, levels);
    }
    if (stored >= 3 && picture->channels == 1) {
        mix(samples, deep, (size_t)stored, lx_plane_count(&picture->first), white);
        stored = 1;
    }
    if (!deep && white == 255 && stored == 1 && picture->channels == 1) { /* a plane already */
        picture->first.samples = samples;
        return LX_OK;
    }
    if (!lx_picture_room(picture)) {
        free(samples);
        return lx_no_room(in, info);
    }
    for (int c = 0; c < picture->channels; c++) {
        lx_plane plane = picture->first;
        plane.samples = (char *)plane.samples + (size_t)c * lx_plane_bytes(&plane);
        spread(&plane, samples, deep, (size_t)(stored < 3 ? 0 : c), (size_t)stored, white, scale, levels);
    }
    free(samples);
    return LX_OK;
}

lx_code lx_take_bytes(const lx_input *in, uint8_t *samples, int stored, int white, const lx_read_options *options,
                      const lx_image_info *info, lx_picture *picture)
{
    return take(in, samples, false, stored, white, options, info, picture);
}

lx_code lx_take_words(const lx_input *in, uint16_t *samples, int stored, int white, const lx_read_options *options,
                      const lx_image_info *info, lx_picture *picture)
{
    return take(in, samples, true, stored, white, options, info, picture);
}

/* The bits that hold all samples; those of alpha, which is mostly opaque, do not count. */
static int bits_in_use(const uint16_t *samples, size_t count, int stored)
{
    uint16_t seen = 0;
    int bits = 0;
    for (size_t i = 0; i < count; i++)
        if (stored % 2 == 1 || (i + 1) % (size_t)stored != 0)
            seen |= samples[i];
    while (seen >> bits)
        bits++;
    return bits;
}

lx_code lx_take_deep(const lx_input *in, uint16_t *samples, int stored, int significant, bool inverted,
                     const lx_read_options *options, lx_image_info *info, lx_picture *picture)
{
    const size_t count = (size_t)info->width * (size_t)info->height * (size_t)stored;
    const int used = bits_in_use(samples, count, stored), held = used <= 8 ? 8 : used + used % 2;
    info->bits = significant ? significant : held;
    info->white = !significant || used <= significant ? (1 << info->bits) - 1 : 65535;
    for (size_t i = 0; inverted && i < count; i++)
        samples[i] = (uint16_t)(info->white - samples[i]);
    return lx_take_words(in, samples, stored, info->white, options, info, picture);
}

/* The range of all samples that are numbers; from 0 to 1 where there are none. */
static void range_of(const float *samples, size_t count, float *low, float *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(samples[i]))
            continue;
        *low = samples[i] < *low ? samples[i] : *low;
        *high = samples[i] > *high ? samples[i] : *high;
    }
    if (*low > *high) {
        *low = 0;
        *high = 1;
    }
}

static float float_of(const float *pixel, int stored, int channels, size_t c)
{
    if (stored < 3)
        return pixel[0];
    return channels == 3 ? pixel[c] : lx_grey_of_floats(pixel[0], pixel[1], pixel[2]);
}

lx_code lx_take_floats(const lx_input *in, float *samples, int stored, const lx_read_options *options,
                       const lx_image_info *info, lx_picture *picture)
{
    const size_t count = (size_t)info->width * (size_t)info->height;
    const lx_plane_type type = options->as == LX_AS_BYTES && !options->raw ? LX_PLANE_U8 : LX_PLANE_F32;
    const bool as_stored = options->raw || options->as == LX_AS_STORED;
    float low, high;
    range_of(samples, count * (size_t)stored, &low, &high);
    const float scale = high > low ? 255 / (high - low) : 0;
    *picture = (lx_picture){{info->width, info->height, type, NULL}, lx_channels_of(options, info)};
    if (!lx_picture_room(picture)) {
        free(samples);
        return lx_no_room(in, info);
    }
    for (size_t c = 0; c < (size_t)picture->channels; c++)
        for (size_t i = 0; i < count; i++) {
            const float value = float_of(samples + i * (size_t)stored, stored, picture->channels, c);
            const float level = lx_cut_level((value - low) * scale, 255);
            if (type == LX_PLANE_U8)
                ((uint8_t *)picture->first.samples)[c * count + i] = (uint8_t)(level + 0.5f);
            else
                ((float *)picture->first.samples)[c * count + i] = as_stored ? value : level;
        }
    free(samples);
    return LX_OK;
}
