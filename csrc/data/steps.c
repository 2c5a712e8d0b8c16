#include "steps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kernels/philox.h"
#include "../image/filter.h"
#include "../image/font.h"
#include "../image/histogram.h"
#include "../image/jpeg_loss.h"

/* X(KIND, name, role, how the values are drawn, how many of them tell what was drawn) */
#define KINDS(X)                                                          \
    X(HFLIP, hflip, MOVES, as_given, 0)                                   \
    X(VFLIP, vflip, MOVES, as_given, 0)                                   \
    X(ROT90, rot90, MOVES, draw_turns, 1)                                 \
    X(ROTATE, rotate, MOVES, draw_number, 1)                              \
    X(SHIFT, shift, MOVES, draw_pair, 2)                                  \
    X(SHEAR, shear, MOVES, draw_pair, 2)                                  \
    X(ZOOM, zoom, MOVES, draw_zoom, 2)                                    \
    X(PERSPECTIVE, perspective, MOVES, as_given, 1)                       \
    X(RANDOM_RESIZED_CROP, random_resized_crop, MOVES, draw_rectangle, 4) \
    X(CENTRE_CROP, centre_crop, MOVES, as_given, 1)                       \
    X(ELASTIC, elastic, MOVES, as_given, 1)                               \
    X(RESIZE, resize, MARKS, as_given, 0)                                 \
    X(BRIGHTNESS, brightness, LEVELS, draw_number, 1)                     \
    X(OFFSET, offset, LEVELS, draw_number, 1)                             \
    X(CONTRAST, contrast, LEVELS, draw_number, 1)                         \
    X(GAMMA, gamma, LEVELS, draw_number, 1)                               \
    X(TONE, tone, LEVELS, draw_tone, 3)                                   \
    X(NOISE, noise, LEVELS, draw_number, 1)                               \
    X(BLUR, blur, LEVELS, draw_number, 1)                                 \
    X(SHARPNESS, sharpness, LEVELS, draw_number, 1)                       \
    X(EQUALIZE, equalize, LEVELS, as_given, 0)                            \
    X(CLAHE, clahe, LEVELS, as_given, 2)                                  \
    X(AUTOCONTRAST, autocontrast, LEVELS, as_given, 0)                    \
    X(INVERT, invert, LEVELS, as_given, 0)                                \
    X(SOLARIZE, solarize, LEVELS, as_given, 1)                            \
    X(POSTERIZE, posterize, LEVELS, as_given, 1)                          \
    X(MEDIAN, median, LEVELS, as_given, 1)                                \
    X(JPEG, jpeg, LEVELS, draw_quality, 1)                                \
    X(RANDOM_ERASING, random_erasing, LEVELS, draw_rectangle, 4)          \
    X(BORDER, border, LEVELS, draw_sides, 5)                              \
    X(RESOLUTION, resolution, LEVELS, draw_number, 1)                     \
    X(MARKER, marker, LEVELS, draw_marker, 5)                             \
    X(STYLE, style, LEVELS, draw_style, 1)                                \
    X(RAND_AUGMENT, rand_augment, DRAWS_OTHERS, as_given, 0)              \
    X(SOME_OF, some_of, CHOOSES, as_given, 0)

#define KIND_NUMBER(KIND, name, role, draw, shown) LX_STEP_##KIND,
enum { KINDS(KIND_NUMBER) STEP_KINDS };

#define WHITE 255.0f

/* ---- dice ----------------------------------------------------------------------------------------------------- */

double lx_dice_uniform(lx_dice *dice, double low, double high)
{
    const uint64_t number = dice->next++;
    const philox_words words = philox(dice->draw.seed, dice->draw.index,
                                      dice->draw.epoch << 24 ^ dice->step << 16 ^ number / 2);
    const uint64_t word = (uint64_t)words.word[number % 2 * 2] << 32 | words.word[number % 2 * 2 + 1];
    return low + (high - low) * ((double)(word >> 11) * 0x1p-53);
}

static bool lx_dice_chance(lx_dice *dice, double chance)
{
    return lx_dice_uniform(dice, 0, 1) < chance;
}

/* ---- what is drawn -------------------------------------------------------------------------------------------- */

/* A rectangle in a unit square: a share of its area, with a ratio of width to height, uniform on a logarithmic scale.
   The whole square if ten tries do not fit. */
static void draw_rectangle(const double v[LX_STEP_VALUES], lx_dice *dice, double *rectangle)
{
    for (int i = 0; i < 10; i++) {
        const double area = lx_dice_uniform(dice, v[0], v[1]);
        const double ratio = exp(lx_dice_uniform(dice, log(v[2]), log(v[3])));
        const double width = sqrt(area * ratio), height = sqrt(area / ratio);
        const double x = lx_dice_uniform(dice, 0, 1), y = lx_dice_uniform(dice, 0, 1);
        if (width <= 1 && height <= 1) {
            rectangle[0] = x * (1 - width);
            rectangle[1] = y * (1 - height);
            rectangle[2] = width;
            rectangle[3] = height;
            return;
        }
    }
    memcpy(rectangle, (double[]){0, 0, 1, 1}, 4 * sizeof *rectangle);
}

/* RandAugment (Cubuk et al., CVPR Workshops 2020): n of the kinds below, each as likely, of magnitude m of 30. Colour
   is left out, as grey images have none. A range of magnitudes with n = 1 is TrivialAugment (Müller and Hutter, ICCV
   2021). */
static int draw_rand_augment(const double v[LX_STEP_VALUES], lx_dice *dice, lx_drawn *drawn, int room)
{
    const int n = (int)v[0];
    int count = 0;
    for (int i = 0; i < n && count < room; i++) {
        const double sign = lx_dice_chance(dice, 0.5) ? 1 : -1;
        const double share = (v[1] < v[2] ? lx_dice_uniform(dice, v[1], v[2]) : v[1]) / 30;
        lx_drawn *d = &drawn[count];
        *d = (lx_drawn){.noise = dice->step << 32 | (uint64_t)i};
        switch ((int)lx_dice_uniform(dice, 0, 13)) {
        case 0: continue; /* as it is */
        case 1: d->kind = LX_STEP_SHEAR, d->v[0] = sign * 0.3 * share * 180 / M_PI; break;
        case 2: d->kind = LX_STEP_SHEAR, d->v[1] = sign * 0.3 * share * 180 / M_PI; break;
        case 3: d->kind = LX_STEP_SHIFT, d->v[0] = sign * 0.45 * share; break;
        case 4: d->kind = LX_STEP_SHIFT, d->v[1] = sign * 0.45 * share; break;
        case 5: d->kind = LX_STEP_ROTATE, d->v[0] = sign * 30 * share; break;
        case 6: d->kind = LX_STEP_BRIGHTNESS, d->v[0] = 1 + sign * 0.9 * share; break;
        case 7: d->kind = LX_STEP_CONTRAST, d->v[0] = 1 + sign * 0.9 * share; break;
        case 8: d->kind = LX_STEP_SHARPNESS, d->v[0] = 1 + sign * 0.9 * share; break;
        case 9: d->kind = LX_STEP_POSTERIZE, d->v[0] = 8 - rint(4 * share); break;
        case 10: d->kind = LX_STEP_SOLARIZE, d->v[0] = WHITE * (1 - share); break;
        case 11: d->kind = LX_STEP_AUTOCONTRAST; break;
        default: d->kind = LX_STEP_EQUALIZE; break;
        }
        count++;
    }
    return count;
}

static void as_given(const double *v, lx_dice *dice, double *drawn)
{
    (void)v;
    (void)dice;
    (void)drawn;
}

static void draw_turns(const double *v, lx_dice *dice, double *drawn)
{
    (void)v;
    drawn[0] = floor(lx_dice_uniform(dice, 0, 4));
}

static void draw_number(const double *v, lx_dice *dice, double *drawn)
{
    drawn[0] = lx_dice_uniform(dice, v[0], v[1]);
}

static void draw_pair(const double *v, lx_dice *dice, double *drawn)
{
    drawn[0] = lx_dice_uniform(dice, v[0], v[1]);
    drawn[1] = lx_dice_uniform(dice, v[2], v[3]);
}

static void draw_zoom(const double *v, lx_dice *dice, double *drawn)
{
    const double zoom = lx_dice_uniform(dice, v[0], v[1]), aspect = sqrt(lx_dice_uniform(dice, v[2], v[3]));
    drawn[0] = zoom * aspect;
    drawn[1] = zoom / aspect;
}

/* Where a curve from 0 to 1 is at a quarter, a half and three quarters of the way: it rises in each quarter by between
   1 - strength and 1 + strength of the others' measure. */
static void draw_tone(const double *v, lx_dice *dice, double *drawn)
{
    double rise[4], sum = 0;
    for (int i = 0; i < 4; i++)
        sum += rise[i] = 1 + v[0] * lx_dice_uniform(dice, -1, 1);
    for (int i = 0; i < 3; i++)
        drawn[i] = (i > 0 ? drawn[i - 1] : 0) + rise[i] / sum;
}

static void draw_quality(const double *v, lx_dice *dice, double *drawn)
{
    drawn[0] = floor(lx_dice_uniform(dice, v[0], v[1] + 1));
    if (drawn[0] > v[1])
        drawn[0] = v[1];
}

/* Shares of the sides that are lost at the left, right, top and bottom, and the level there: a random one for -1. */
static void draw_sides(const double *v, lx_dice *dice, double *drawn)
{
    const double level = v[2];
    for (int i = 0; i < 4; i++)
        drawn[i] = lx_dice_uniform(dice, v[0], v[1]);
    drawn[4] = level == -1 ? floor(lx_dice_uniform(dice, 0, 256)) : level;
}

/* A marker beside the picture of the body: its height as a share of the picture's, where it stands as shares of the
   room to the left and above that it leaves, its level, and the number of its text (see marker_text). */
static void draw_marker(const double *v, lx_dice *dice, double *drawn)
{
    const double level = v[2];
    drawn[0] = lx_dice_uniform(dice, v[0], v[1]);
    for (int i = 1; i <= 2; i++) {
        const double margin = lx_dice_uniform(dice, 0.01, 0.15);
        drawn[i] = lx_dice_chance(dice, i == 1 ? 0.5 : 0.75) ? margin : 1 - margin;
    }
    drawn[3] = level;
    if (level == -1)
        drawn[3] = lx_dice_chance(dice, 0.85) ? floor(lx_dice_uniform(dice, 200, 256))
                                              : floor(lx_dice_uniform(dice, 0, 56));
    drawn[4] = floor(lx_dice_uniform(dice, 0, 1000));
}

static void draw_style(const double *v, lx_dice *dice, double *drawn)
{
    drawn[0] = lx_dice_uniform(dice, v[0], v[1]);
    drawn[1] = lx_dice_uniform(dice, 0, 1);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    lx_step_role role;
    void (*draw)(const double *v, lx_dice *dice, double *drawn);
    int shown;
} kinds[] = {
#define KIND_ROW(KIND, name, role, draw, shown) {#name, LX_STEP_##role, draw, shown},
    KINDS(KIND_ROW)};

int lx_step_kind(const char *name)
{
    int kind = 0;
    while (kind < STEP_KINDS && strcmp(name, kinds[kind].name) != 0)
        kind++;
    return kind < STEP_KINDS ? kind : -1;
}

lx_step_role lx_step_role_of(int kind)
{
    return kinds[kind].role;
}

int lx_step_draw(const lx_step *step, lx_dice *dice, lx_drawn *drawn, int room)
{
    if (room < 1 || !lx_dice_chance(dice, step->chance))
        return 0;
    if (kinds[step->kind].role == LX_STEP_DRAWS_OTHERS)
        return draw_rand_augment(step->v, dice, drawn, room);
    *drawn = (lx_drawn){.kind = step->kind, .noise = dice->step << 32};
    memcpy(drawn->v, step->v, sizeof drawn->v);
    kinds[step->kind].draw(step->v, dice, drawn->v);
    return 1;
}

int lx_step_members(const lx_step *step)
{
    return kinds[step->kind].role == LX_STEP_CHOOSES ? (int)step->v[2] : 0;
}

void lx_step_choose(const lx_step *step, lx_dice *dice, bool *left_out)
{
    const int members = lx_step_members(step);
    int wanted = 0;
    if (lx_dice_chance(dice, step->chance))
        wanted = (int)fmin(floor(lx_dice_uniform(dice, step->v[0], step->v[1] + 1)), step->v[1]);
    for (int i = 0; i < members; i++) {
        /* each of those that are left is as likely (Fan, Muller and Rezucha, JASA 57:387, 1962) */
        left_out[i] = lx_dice_uniform(dice, 0, members - i) >= wanted;
        wanted -= !left_out[i];
    }
}

bool lx_step_takes_style(int kind)
{
    return kind == LX_STEP_STYLE;
}

int lx_step_style(const lx_drawn *d, int count)
{
    return (int)(d->v[1] * count);
}

int lx_step_describe(const lx_drawn *d, char *text, size_t room)
{
    int length = snprintf(text, room, "%s", kinds[d->kind].name);
    for (int i = 0; i < kinds[d->kind].shown; i++)
        length += snprintf((size_t)length < room ? text + length : NULL,
                           (size_t)length < room ? room - (size_t)length : 0, " %.3g", d->v[i]);
    return length;
}

/* ---- movement ------------------------------------------------------------------------------------------------- */

/* The homography that takes the corners of a picture to four points: see Heckbert, "Fundamentals of texture mapping and
   image warping", 1989, with the unit square stretched to the picture. */
static void from_corners(const double p[4][2], int width, int height, double out[9])
{
    const double sx = p[0][0] - p[1][0] + p[2][0] - p[3][0], sy = p[0][1] - p[1][1] + p[2][1] - p[3][1];
    const double dx1 = p[1][0] - p[2][0], dx2 = p[3][0] - p[2][0], dy1 = p[1][1] - p[2][1], dy2 = p[3][1] - p[2][1];
    const double determinant = dx1 * dy2 - dx2 * dy1;
    const double g = (sx * dy2 - dx2 * sy) / determinant, h = (dx1 * sy - sx * dy1) / determinant;
    const double unit[9] = {p[1][0] - p[0][0] + g * p[1][0],
                            p[3][0] - p[0][0] + h * p[3][0],
                            p[0][0],
                            p[1][1] - p[0][1] + g * p[1][1],
                            p[3][1] - p[0][1] + h * p[3][1],
                            p[0][1],
                            g,
                            h,
                            1};
    const double scale[9] = {1.0 / width, 0, 0, 0, 1.0 / height, 0, 0, 0, 1};
    lx_matrix_product(unit, scale, out);
}

/* Corners moved inwards by up to half of the distortion, as in torchvision: the map back. */
static void draw_perspective(const lx_drawn *d, lx_draw draw, int width, int height, double out[9])
{
    lx_dice dice = {draw, d->noise, 1000};
    double p[4][2], forward[9];
    for (int i = 0; i < 4; i++) {
        const bool right = i == 1 || i == 2, low = i >= 2;
        const double x = lx_dice_uniform(&dice, 0, d->v[0] / 2) * width,
                     y = lx_dice_uniform(&dice, 0, d->v[0] / 2) * height;
        p[i][0] = right ? width - x : x;
        p[i][1] = low ? height - y : y;
    }
    from_corners(p, width, height, forward);
    if (!lx_matrix_inverse(forward, out))
        memcpy(out, (double[9]){1, 0, 0, 0, 1, 0, 0, 0, 1}, 9 * sizeof *out);
    for (int i = 0; i < 9; i++)
        out[i] /= out[8] != 0 ? out[8] : 1;
}

/* Around the middle of the picture: the point that a 2x2 matrix takes a point to. */
static void about_centre(const double m[4], int width, int height, double out[9])
{
    const double x = width / 2.0, y = height / 2.0;
    memcpy(out, (double[9]){m[0], m[1], x - m[0] * x - m[1] * y, m[2], m[3], y - m[2] * x - m[3] * y, 0, 0, 1},
           9 * sizeof *out);
}

/* Where a point of the moved picture was before; all of these are inverses of what the steps are named after. */
static void step_matrix(const lx_drawn *d, lx_draw draw, int width, int height, double out[9])
{
    const double *v = d->v;
    switch (d->kind) {
    case LX_STEP_HFLIP: about_centre((double[4]){-1, 0, 0, 1}, width, height, out); return;
    case LX_STEP_VFLIP: about_centre((double[4]){1, 0, 0, -1}, width, height, out); return;
    case LX_STEP_ROT90:
    case LX_STEP_ROTATE: {
        const double angle = (d->kind == LX_STEP_ROT90 ? 90 : 1) * v[0] * M_PI / 180;
        const double c = d->kind == LX_STEP_ROT90 ? rint(cos(angle)) : cos(angle);
        const double s = d->kind == LX_STEP_ROT90 ? rint(sin(angle)) : sin(angle);
        about_centre((double[4]){c, -s, s, c}, width, height, out);
        return;
    }
    case LX_STEP_SHEAR: {
        const double x = tan(v[0] * M_PI / 180), y = tan(v[1] * M_PI / 180), one = 1 / (1 - x * y);
        about_centre((double[4]){one, -x * one, -y * one, one}, width, height, out);
        return;
    }
    case LX_STEP_ZOOM: about_centre((double[4]){1 / v[0], 0, 0, 1 / v[1]}, width, height, out); return;
    case LX_STEP_SHIFT:
        memcpy(out, (double[9]){1, 0, -v[0] * width, 0, 1, -v[1] * height, 0, 0, 1}, 9 * sizeof *out);
        return;
    case LX_STEP_PERSPECTIVE: draw_perspective(d, draw, width, height, out); return;
    case LX_STEP_RANDOM_RESIZED_CROP:
        memcpy(out, (double[9]){v[2], 0, v[0] * width, 0, v[3], v[1] * height, 0, 0, 1}, 9 * sizeof *out);
        return;
    case LX_STEP_CENTRE_CROP: about_centre((double[4]){v[0], 0, 0, v[0]}, width, height, out); return;
    default: about_centre((double[4]){1, 0, 0, 1}, width, height, out); return;
    }
}

/* Random shifts of the nodes of a grid, smooth in between: Simard, Steinkraus and Platt, ICDAR 2003, on a coarse grid
   as in Ronneberger, Fischer and Brox, MICCAI 2015. They are in pixels of what the map's matrix leads to. */
static void draw_bend(const lx_drawn *d, lx_draw draw, int width, int height, lx_map *map, float *nodes)
{
    lx_dice dice = {draw, d->noise, 1000};
    const int cells = (int)d->v[1], side = cells + 3;
    for (int i = 0; i < side * side; i++) {
        /* a sum of uniform numbers is as good as a normal one here, and has an end */
        double x = 0, y = 0;
        for (int k = 0; k < 3; k++) {
            x += lx_dice_uniform(&dice, -1, 1);
            y += lx_dice_uniform(&dice, -1, 1);
        }
        nodes[i] = (float)(x * d->v[0]);
        nodes[side * side + i] = (float)(y * d->v[0]);
    }
    map->bend = (lx_bend){cells, nodes, nodes + side * side, (float)(width * fabs(map->matrix[0])),
                          (float)(height * fabs(map->matrix[4]))};
}

void lx_step_move(const lx_drawn *d, lx_draw draw, int out_width, int out_height, lx_map *map, float *nodes)
{
    double matrix[9];
    if (d->kind == LX_STEP_ELASTIC) {
        draw_bend(d, draw, out_width, out_height, map, nodes);
        return;
    }
    step_matrix(d, draw, out_width, out_height, matrix);
    lx_matrix_product(map->matrix, matrix, map->matrix);
}

/* ---- levels --------------------------------------------------------------------------------------------------- */

/* What is done to each level alone is done to bytes and to floats of the same scale. */

LX_WIDE static uint32_t sum_bytes(const uint8_t *samples, size_t count)
{
    uint32_t sum = 0; /* 255 times the largest image */
    for (size_t i = 0; i < count; i++)
        sum += samples[i];
    return sum;
}

static double mean_of(const lx_plane *in)
{
    enum { PART = 1 << 20 };
    double sum = 0;
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8)
        for (size_t i = 0; i < count; i += PART)
            sum += sum_bytes((const uint8_t *)in->samples + i, count - i < PART ? count - i : PART);
    else
        for (size_t i = 0; i < count; i++)
            sum += (double)((const float *)in->samples)[i];
    return sum / (double)count;
}

LX_WIDE static void scale_bytes(const uint8_t *restrict in, uint8_t *restrict out, size_t count, float slope,
                                float offset)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)lx_cut_level((float)in[i] * slope + offset + 0.5f, 255);
}

LX_WIDE static void scale_floats(const float *restrict in, float *restrict out, size_t count, float slope, float offset)
{
    for (size_t i = 0; i < count; i++)
        out[i] = lx_cut_level(in[i] * slope + offset, WHITE);
}

/* A level times `slope` plus `offset`, cut off at black and white. */
static void scale_levels(const lx_plane *in, lx_plane *out, double slope, double offset)
{
    if (in->type == LX_PLANE_U8)
        scale_bytes(in->samples, out->samples, lx_plane_count(in), (float)slope, (float)offset);
    else
        scale_floats(in->samples, out->samples, lx_plane_count(in), (float)slope, (float)offset);
}

/* What is not below the threshold is inverted. */
LX_WIDE static void solarize(const lx_plane *in, lx_plane *out, float threshold)
{
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8) {
        const uint8_t *restrict from = in->samples;
        uint8_t *restrict to = out->samples;
        const int first = (int)ceilf(threshold);
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)(from[i] >= first ? 255 - from[i] : from[i]);
    } else {
        const float *restrict from = in->samples;
        float *restrict to = out->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i] >= threshold ? WHITE - from[i] : from[i];
    }
}

/* Keeps so many of the upper bits of a level. */
LX_WIDE static void posterize(const lx_plane *in, lx_plane *out, int bits)
{
    const size_t count = lx_plane_count(in);
    const int mask = (0xff << (8 - bits)) & 0xff;
    if (in->type == LX_PLANE_U8) {
        const uint8_t *restrict from = in->samples;
        uint8_t *restrict to = out->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)(from[i] & mask);
    } else {
        const float *restrict from = in->samples;
        float *restrict to = out->samples;
        for (size_t i = 0; i < count; i++)
            to[i] = (float)((int)lx_cut_level(from[i], WHITE) & mask);
    }
}

static lx_code autocontrast(const lx_plane *in, lx_plane *out, double cutoff, lx_error *error)
{
    float low, high;
    if (!lx_percentile(in, WHITE, cutoff, &low, error) && !lx_percentile(in, WHITE, 1 - cutoff, &high, error))
        lx_stretch(in, out, WHITE, low, high);
    return error->code;
}

/* ---- noise ---------------------------------------------------------------------------------------------------- */

enum { CALLS = 64, WORDS = 4 * CALLS, DRAWS = 4 * WORDS }; /* what is drawn side by side */

/* The words of CALLS numbers that follow each other: philox() of kernels/philox.h, in an order that compilers make
   vectors of. */
LX_WIDE static void draw_words(uint64_t key, uint64_t low, uint64_t high, uint *restrict words)
{
    uint *c0 = words, *c1 = words + CALLS, *c2 = words + 2 * CALLS, *c3 = words + 3 * CALLS;
    uint k0 = (uint)key, k1 = (uint)(key >> 32);
    for (uint i = 0; i < CALLS; i++) {
        c0[i] = (uint)low;
        c1[i] = (uint)(low >> 32);
        c2[i] = (uint)high + i;
        c3[i] = (uint)(high >> 32);
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < CALLS; i++) {
            const uint64_t a = (uint64_t)c0[i] * 0xD2511F53u, b = (uint64_t)c2[i] * 0xCD9E8D57u;
            c0[i] = (uint)(b >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint)b;
            c2[i] = (uint)(a >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* DRAWS numbers of mean 0 and deviation `sigma`. Each is a sum of the four bytes of a random word, less their mean:
   near enough to normal, and never beyond 3.5 deviations. The four ways to subtract an even number of the bytes give
   four numbers of a word that are not correlated. */
LX_WIDE static void near_normals(const uint *restrict words, float sigma, float *restrict out)
{
    const float scale = sigma / 147.80279f;
    for (int i = 0; i < WORDS; i++) {
        const int a = (int)(words[i] & 255), b = (int)(words[i] >> 8 & 255);
        const int c = (int)(words[i] >> 16 & 255), d = (int)(words[i] >> 24);
        out[i] = (float)(a + b + c + d - 510) * scale;
        out[i + WORDS] = (float)(a + b - c - d) * scale;
        out[i + 2 * WORDS] = (float)(a - b + c - d) * scale;
        out[i + 3 * WORDS] = (float)(a - b - c + d) * scale;
    }
}

LX_WIDE static void add_to_bytes(const uint8_t *restrict in, uint8_t *restrict out, const float *restrict noise,
                                 int count)
{
    for (int i = 0; i < count; i++)
        out[i] = (uint8_t)lx_cut_level((float)in[i] + noise[i] + 0.5f, 255);
}

LX_WIDE static void add_to_floats(const float *restrict in, float *restrict out, const float *restrict noise, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = lx_cut_level(in[i] + noise[i], WHITE);
}

static void add_noise(const lx_plane *in, lx_plane *out, const lx_drawn *d, lx_draw draw, int plane)
{
    const size_t count = lx_plane_count(in);
    uint words[WORDS];
    float noise[DRAWS];
    for (size_t i = 0; i < count; i += DRAWS) {
        const int length = (int)(count - i < DRAWS ? count - i : DRAWS);
        draw_words(draw.seed ^ d->noise << 8, draw.index, draw.epoch << 40 ^ (uint64_t)plane << 36 ^ i / DRAWS * CALLS,
                   words);
        near_normals(words, (float)d->v[0], noise);
        if (in->type == LX_PLANE_U8)
            add_to_bytes((const uint8_t *)in->samples + i, (uint8_t *)out->samples + i, noise, length);
        else
            add_to_floats((const float *)in->samples + i, (float *)out->samples + i, noise, length);
    }
}

/* Random erasing (Zhong et al., AAAI 2020): a rectangle of one level, of random ones for -1, or of the mean of the
   picture for -2. */
static void erase(const lx_plane *in, lx_plane *out, const lx_drawn *d, lx_draw draw, int plane)
{
    const int left = (int)(d->v[0] * in->width), right = (int)ceil((d->v[0] + d->v[2]) * in->width);
    const int top = (int)(d->v[1] * in->height), bottom = (int)ceil((d->v[1] + d->v[3]) * in->height);
    const double mean = d->v[4] == -2 ? rint(mean_of(in)) : 0;
    memcpy(out->samples, in->samples, lx_plane_bytes(in));
    for (int y = top; y < bottom && y < in->height; y++)
        for (int x = left; x < right && x < in->width; x++) {
            const size_t place = (size_t)y * (size_t)in->width + (size_t)x;
            double level = d->v[4] == -2 ? mean : d->v[4];
            if (level < 0)
                level = philox(draw.seed ^ d->noise << 8, draw.index, draw.epoch << 40 ^ (uint64_t)plane << 36 ^ place)
                            .word[0] >>
                        24;
            if (out->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[place] = (uint8_t)level;
            else
                ((float *)out->samples)[place] = (float)level;
        }
}

/* The level of a curve through (0, 0), (1/4, y0), (1/2, y1), (3/4, y2) and (1, 1) at x: cubics with the harmonic means
   of the slopes on both sides as slopes at the knots, which keeps it monotone (Fritsch and Butland, SIAM J. Sci. Stat.
   Comput. 5, 1984). */
static double tone_at(const double y[3], double x)
{
    const double knots[5] = {0, y[0], y[1], y[2], 1};
    double rise[4], slope[5];
    for (int i = 0; i < 4; i++)
        rise[i] = knots[i + 1] - knots[i];
    slope[0] = rise[0];
    slope[4] = rise[3];
    for (int i = 1; i < 4; i++)
        slope[i] = rise[i - 1] + rise[i] > 0 ? 2 * rise[i - 1] * rise[i] / (rise[i - 1] + rise[i]) : 0;
    const int part = x >= 0.75 ? 3 : x >= 0.5 ? 2 : x >= 0.25 ? 1 : 0;
    const double t = 4 * x - part;
    return knots[part] + t * (slope[part] + t * (3 * rise[part] - 2 * slope[part] - slope[part + 1] +
                                                 t * (slope[part] + slope[part + 1] - 2 * rise[part])));
}

static void apply_tone(const lx_plane *in, lx_plane *out, const double *v)
{
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8) {
        uint8_t table[256];
        for (int i = 0; i < 256; i++)
            table[i] = (uint8_t)(255 * tone_at(v, i / 255.0) + 0.5);
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out->samples)[i] = table[((const uint8_t *)in->samples)[i]];
    } else {
        for (size_t i = 0; i < count; i++)
            ((float *)out->samples)[i] =
                (float)(255 * tone_at(v, (double)lx_cut_level(((const float *)in->samples)[i], WHITE) / 255));
    }
}

/* Covers shares of the sides at the left, right, top and bottom with the level v[4], or the mean of the picture for -2.
 */
static void cover_border(const lx_plane *in, lx_plane *out, const double *v)
{
    const int left = (int)rint(v[0] * in->width), right = in->width - (int)rint(v[1] * in->width);
    const int top = (int)rint(v[2] * in->height), bottom = in->height - (int)rint(v[3] * in->height);
    const double level = v[4] == -2 ? mean_of(in) : v[4];
    memcpy(out->samples, in->samples, lx_plane_bytes(in));
    for (int y = 0; y < in->height; y++)
        for (int x = 0; x < in->width; x++) {
            const size_t place = (size_t)y * (size_t)in->width + (size_t)x;
            if (y >= top && y < bottom && x >= left && x < right)
                continue;
            if (out->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[place] = (uint8_t)(level + 0.5);
            else
                ((float *)out->samples)[place] = (float)level;
        }
}

/* ---- other machines -------------------------------------------------------------------------------------------- */

/* A detector of fewer pixels: means of areas, and interpolation between them. */
static lx_code lose_resolution(const lx_plane *in, lx_plane *out, double share, lx_error *error)
{
    lx_plane small = {(int)fmax(1, rint(in->width * share)), (int)fmax(1, rint(in->height * share)), in->type, NULL};
    small.samples = malloc(lx_plane_bytes(&small));
    if (!small.samples)
        return lx_fail(error, LX_ENOMEM, "out of memory for an image of %d x %d pixels", small.height, small.width);
    if (!lx_resize(in, &small, LX_AREA, false, error))
        lx_resize(&small, out, LX_BILINEAR, false, error);
    free(small.samples);
    return error->code;
}

/* The text of a marker by its number, 0..999: the side, alone or before a number, or a number. */
static void marker_text(int number, char text[8])
{
    const int rest = number % 250;
    switch (number / 250) {
    case 0: strcpy(text, "R"); return;
    case 1: strcpy(text, "L"); return;
    case 2: snprintf(text, 8, "%c %d", rest % 2 ? 'R' : 'L', rest / 2); return;
    default: snprintf(text, 8, "%d", rest); return;
    }
}

static void fill(lx_plane *out, double left, double top, double right, double bottom, double level)
{
    const int x0 = (int)fmax(0, rint(left)), x1 = (int)fmin(out->width, fmax(rint(right), x0 + 1));
    const int y0 = (int)fmax(0, rint(top)), y1 = (int)fmin(out->height, fmax(rint(bottom), y0 + 1));
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            if (out->type == LX_PLANE_U8)
                ((uint8_t *)lx_plane_row(out, y))[x] = (uint8_t)level;
            else
                ((float *)lx_plane_row(out, y))[x] = (float)level;
}

enum { CAPITAL = 7 }; /* dots from the top of a letter to its bottom */

static void draw_letters(const lx_plane *in, lx_plane *out, const double *v)
{
    char text[8];
    lx_stroke strokes[LX_GLYPH_STROKES];
    int width = 0, advance;
    marker_text((int)v[4], text);
    for (const char *at = text; *at; at++) {
        lx_glyph(*at, strokes, &advance);
        width += advance;
    }
    const double dot = v[0] * in->height / CAPITAL;
    const double top = v[2] * fmax(0, in->height - dot * CAPITAL);
    double pen = v[1] * fmax(0, in->width - dot * width);
    memcpy(out->samples, in->samples, lx_plane_bytes(in));
    for (const char *at = text; *at; at++) {
        const int count = lx_glyph(*at, strokes, &advance);
        for (int i = 0; i < count; i++) {
            const double left = pen + strokes[i].x * dot, above = top + strokes[i].y * dot;
            fill(out, left, above, left + strokes[i].width * dot, above + strokes[i].height * dot, v[3]);
        }
        pen += advance * dot;
    }
}

/* Histogram matching (Gonzalez and Woods, "Digital Image Processing") in part: a level goes the share v[0] of the way
   to the one that as many pixels of another image are below. Half of the pixels of a level count as below it. */
static void match_levels(const lx_plane *in, lx_plane *out, double strength, const float *levels)
{
    long counts[256];
    float table[257];
    const double pixels = (double)lx_plane_count(in);
    double below = 0;
    lx_histogram(in, WHITE, 256, counts);
    for (int i = 0; i < 256; i++) {
        const double place = (below + (double)counts[i] / 2) / pixels * LX_STYLE_LEVELS - 0.5;
        const double inside = fmin(fmax(place, 0), LX_STYLE_LEVELS - 1);
        const int k = (int)fmin(inside, LX_STYLE_LEVELS - 2);
        const double matched = (double)levels[k] + (inside - k) * ((double)levels[k + 1] - (double)levels[k]);
        table[i] = (float)(i + strength * (matched - i));
        below += (double)counts[i];
    }
    table[256] = table[255];
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8) {
        uint8_t bytes[256];
        for (int i = 0; i < 256; i++)
            bytes[i] = (uint8_t)lx_cut_level(table[i] + 0.5f, WHITE);
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out->samples)[i] = bytes[((const uint8_t *)in->samples)[i]];
    } else {
        for (size_t i = 0; i < count; i++) {
            const float level = lx_cut_level(((const float *)in->samples)[i], WHITE);
            const int k = (int)level;
            ((float *)out->samples)[i] = lx_cut_level(table[k] + (level - (float)k) * (table[k + 1] - table[k]), WHITE);
        }
    }
}

lx_code lx_step_apply(const lx_drawn *d, lx_draw draw, int plane, const lx_plane *in, lx_plane *out, lx_error *error)
{
    const double *v = d->v;
    switch (d->kind) {
    case LX_STEP_BRIGHTNESS: scale_levels(in, out, v[0], 0); return LX_OK;
    case LX_STEP_OFFSET: scale_levels(in, out, 1, v[0]); return LX_OK;
    case LX_STEP_CONTRAST: scale_levels(in, out, v[0], (1 - v[0]) * mean_of(in)); return LX_OK;
    case LX_STEP_GAMMA: return lx_gamma(in, out, WHITE, v[0], error);
    case LX_STEP_NOISE: add_noise(in, out, d, draw, plane); return LX_OK;
    case LX_STEP_BLUR:
        if (v[0] >= 0.1)
            return lx_gaussian_blur(in, out, v[0], error);
        break; /* narrower than anything that could be seen */
    case LX_STEP_SHARPNESS: return lx_unsharp_mask(in, out, 0.8, v[0] - 1, WHITE, error);
    case LX_STEP_EQUALIZE: return lx_equalize(in, out, WHITE, error);
    case LX_STEP_CLAHE: return lx_clahe(in, out, &(lx_clahe_params){v[0], (int)v[1], WHITE}, error);
    case LX_STEP_AUTOCONTRAST: return autocontrast(in, out, v[0], error);
    case LX_STEP_INVERT: scale_levels(in, out, -1, 255); return LX_OK;
    case LX_STEP_SOLARIZE: solarize(in, out, (float)v[0]); return LX_OK;
    case LX_STEP_POSTERIZE: posterize(in, out, (int)v[0]); return LX_OK;
    case LX_STEP_MEDIAN: return lx_median_blur(in, out, (int)v[0], error);
    case LX_STEP_TONE: apply_tone(in, out, v); return LX_OK;
    case LX_STEP_JPEG: lx_jpeg_loss(in, out, (int)v[0]); return LX_OK;
    case LX_STEP_RANDOM_ERASING: erase(in, out, d, draw, plane); return LX_OK;
    case LX_STEP_BORDER: cover_border(in, out, v); return LX_OK;
    case LX_STEP_RESOLUTION: return lose_resolution(in, out, v[0], error);
    case LX_STEP_MARKER: draw_letters(in, out, v); return LX_OK;
    case LX_STEP_STYLE: match_levels(in, out, v[0], d->levels); return LX_OK;
    default: break;
    }
    memcpy(out->samples, in->samples, lx_plane_bytes(in));
    return LX_OK;
}
