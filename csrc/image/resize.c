#include "geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/count.h"
#include "rows.h"

/* For each output coordinate: which input coordinates it is a weighted sum of. */
typedef struct {
    int size;      /* out */
    int taps;      /* the most of them, a multiple of TAPS */
    int *first;    /* [out] the first input coordinate */
    int *count;    /* [out] how many, at most `taps` */
    float *weight; /* [taps][out], those of each output summing to 1 */
} axis;

static inline float *weight_of(const axis *a, int o, int tap)
{
    return a->weight + (size_t)tap * (size_t)a->size + (size_t)o;
}

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->weight);
}

enum { TAPS = LX_ROW_TAPS, MOST_REACH = 4 };

/* ---- filters: weight by distance ------------------------------------------------------------------------------ */

static double triangle(double x)
{
    return fmax(1 - fabs(x), 0);
}

/* Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double lanczos(double x, double lobes)
{
    if (fabs(x) < 1e-9)
        return 1;
    if (fabs(x) >= lobes)
        return 0;
    return lobes * sin(M_PI * x) * sin(M_PI * x / lobes) / (M_PI * M_PI * x * x);
}

/* The filter's weight, and half of its width. */
static double weight_at(double x, lx_interpolation how, bool antialias)
{
    switch (how) {
    case LX_BICUBIC: return cubic(x, antialias ? -0.5 : -0.75);
    case LX_LANCZOS: return lanczos(x, antialias ? 3 : 4);
    default: return triangle(x);
    }
}

static double support_of(lx_interpolation how, bool antialias)
{
    switch (how) {
    case LX_BICUBIC: return 2;
    case LX_LANCZOS: return antialias ? 3 : 4;
    default: return 1;
    }
}

/* ---- axes ----------------------------------------------------------------------------------------------------- */

/* The part of input pixels that an output pixel covers. Enlarging by "area" is what OpenCV does there: bilinear, but
   with coordinates aligned to the left. */
static void area_row(axis *a, int o, double scale, int in)
{
    if (scale < 1) {
        const double start = floor(o * scale);
        const double rest = (o + 1) - (start + 1) / scale, part = rest <= 0 ? 0 : rest - floor(rest);
        a->first[o] = (int)start;
        a->count[o] = a->first[o] + 1 < in ? 2 : 1;
        *weight_of(a, o, 0) = (float)(a->count[o] == 2 ? 1 - part : 1);
        *weight_of(a, o, 1) = (float)(a->count[o] == 2 ? part : 0);
        return;
    }
    const double from = o * scale, to = fmin((o + 1) * scale, in);
    const int first = (int)(from + 1e-9), end = (int)ceil(to - 1e-9);
    for (int i = first; i < end; i++)
        *weight_of(a, o, i - first) = (float)((fmin(i + 1, to) - fmax(i, from)) / (to - from));
    a->first[o] = first;
    a->count[o] = end - first;
}

/* Weights that reach over the border go to the pixels there: the border goes on, as in OpenCV. */
static void plain_row(axis *a, int o, double scale, int in, lx_interpolation how)
{
    const double centre = (o + 0.5) * scale - 0.5;
    const int reach = (int)support_of(how, false), first = (int)floor(centre) - reach + 1;
    const int inside = first < 0 ? 0 : first, last = in - 1;
    double weight[2 * MOST_REACH], total = 0;
    for (int i = 0; i < 2 * reach; i++)
        total += weight[i] = weight_at(first + i - centre, how, false);
    a->first[o] = inside > last ? last : inside;
    a->count[o] = 0;
    for (int i = 0; i < 2 * reach; i++) {
        const int to = first + i, place = (to < 0 ? 0 : to > last ? last : to) - a->first[o];
        a->count[o] = a->count[o] > place ? a->count[o] : place + 1;
        *weight_of(a, o, place) += (float)(weight[i] / total);
    }
}

/* Weights that reach over the border are left out, and the others made to sum to 1, as in Pillow. */
static void wide_row(axis *a, int o, double scale, int in, lx_interpolation how)
{
    const double width = scale > 1 ? scale : 1, support = support_of(how, true) * width, centre = (o + 0.5) * scale;
    const int first = (int)fmax(centre - support + 0.5, 0), end = (int)fmin(centre + support + 0.5, in);
    double total = 0;
    for (int i = first; i < end; i++)
        total += weight_at((i + 0.5 - centre) / width, how, true);
    for (int i = first; i < end; i++)
        *weight_of(a, o, i - first) = (float)(weight_at((i + 0.5 - centre) / width, how, true) / total);
    a->first[o] = first;
    a->count[o] = end - first;
}

static void nearest_row(axis *a, int o, double scale, int in)
{
    const int place = (int)floor(o * scale);
    a->first[o] = place < in - 1 ? place : in - 1;
    a->count[o] = 1;
    *weight_of(a, o, 0) = 1;
}

/* False when memory is short; axis_free is due either way. */
static bool axis_make(axis *a, int in, int out, lx_interpolation how, bool antialias)
{
    const double scale = (double)in / out, width = antialias || how == LX_AREA ? fmax(scale, 1) : 1;
    const int room = 2 * (int)ceil(support_of(how, antialias) * width) + 2 + TAPS - 1;
    a->size = out;
    a->first = malloc((size_t)out * sizeof *a->first);
    a->count = malloc((size_t)out * sizeof *a->count);
    a->weight = calloc((size_t)out * (size_t)room, sizeof *a->weight);
    if (a->first == NULL || a->count == NULL || a->weight == NULL)
        return false;
    for (int o = 0; o < out; o++) {
        if (how == LX_NEAREST)
            nearest_row(a, o, scale, in);
        else if (how == LX_AREA)
            area_row(a, o, scale, in);
        else if (antialias)
            wide_row(a, o, scale, in, how);
        else
            plain_row(a, o, scale, in, how);
        if (a->count[o] > a->taps)
            a->taps = (int)lx_ceil_div(a->count[o], TAPS) * TAPS;
    }
    return true;
}

/* ---- sums ----------------------------------------------------------------------------------------------------- */

enum { STRETCH = 256 }; /* outputs that are done together */

/* Adds TAPS taps of `count` outputs, or begins with them; each tap has `size` weights. */
LX_WIDE static void add_taps(float (*restrict taps)[TAPS], const float *restrict weight, size_t size, size_t count,
                             bool first, float *restrict sum)
{
    const float *a = weight, *b = a + size, *c = b + size, *d = c + size;
    for (size_t x = 0; x < count; x++) {
        const float part = (a[x] * taps[x][0] + b[x] * taps[x][1]) + (c[x] * taps[x][2] + d[x] * taps[x][3]);
        sum[x] = first ? part : sum[x] + part;
    }
}

/* One output row, already summed down: across. Behind the row there are `taps` zeros, as weights that are 0 count too.
 */
static void sum_across(const float *row, const axis *across, float *out)
{
    float taps[STRETCH][TAPS];
    for (int from = 0; from < across->size; from += STRETCH) {
        const int count = across->size - from < STRETCH ? across->size - from : STRETCH;
        for (int k = 0; k < across->taps; k += TAPS) {
            /* fetched one by one, because processors are slow to gather into vectors */
            for (int x = 0; x < count; x++)
                memcpy(taps[x], row + across->first[from + x] + k, sizeof taps[x]);
            add_taps(taps, weight_of(across, from, k), (size_t)across->size, (size_t)count, k == 0, out + from);
        }
    }
}

/* The rows and columns that nearest takes, whatever the type. */
static void pick(const lx_plane *in, lx_plane *out, const axis *across, const axis *down)
{
    for (int y = 0; y < out->height; y++) {
        const size_t row = (size_t)down->first[y] * (size_t)in->width, to = (size_t)y * (size_t)out->width;
        for (int x = 0; x < out->width; x++) {
            const size_t from = row + (size_t)across->first[x];
            if (in->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[to + (size_t)x] = ((const uint8_t *)in->samples)[from];
            else
                ((float *)out->samples)[to + (size_t)x] = ((const float *)in->samples)[from];
        }
    }
}

/* Down first: whole rows add up in long straight loops, and few of them are left to go across. */
static void sum_up(const lx_plane *in, lx_plane *out, const axis *across, const axis *down, float *sum, float *row)
{
    for (int y = 0; y < out->height; y++) {
        lx_row_sum rows;
        lx_row_sum_begin(&rows, in->type, sum, (size_t)in->width);
        for (int k = 0; k < down->count[y]; k++)
            lx_row_sum_add(&rows, lx_plane_row(in, down->first[y] + k), *weight_of(down, y, k));
        lx_row_sum_end(&rows);
        sum_across(sum, across, out->type == LX_PLANE_U8 ? row : lx_plane_row(out, y));
        if (out->type == LX_PLANE_U8)
            lx_round_row(row, lx_plane_row(out, y), (size_t)out->width);
    }
}

/* ---- bytes between neighbours: where most columns are not looked at, whole rows are too much --------------------- */

/* Between the four neighbours in each word; `left` and `right`, `upper` and `lower` are how much they count. */
LX_WIDE static void blend_quads(const uint32_t *restrict quads, const float *restrict left, const float *restrict right,
                                float upper, float lower, uint8_t *restrict out, int count)
{
    for (int x = 0; x < count; x++) {
        const float a = (float)(int)(quads[x] & 255), b = (float)(int)(quads[x] >> 8 & 255);
        const float c = (float)(int)(quads[x] >> 16 & 255), d = (float)(int)(quads[x] >> 24);
        const float level = upper * (left[x] * a + right[x] * b) + lower * (left[x] * c + right[x] * d);
        out[x] = (uint8_t)(int)(level + 0.5f); /* a mean of levels is one */
    }
}

/* Of a picture more than twice as wide, so that every output has a column to the right of its first. */
static void pick_neighbours(const lx_plane *in, lx_plane *out, const axis *across, const axis *down)
{
    uint32_t quads[STRETCH];
    for (int y = 0; y < out->height; y++) {
        const uint8_t *upper = lx_plane_row(in, down->first[y]);
        const uint8_t *lower = lx_plane_row(in, down->first[y] + down->count[y] - 1);
        for (int from = 0; from < out->width; from += STRETCH) {
            const int count = out->width - from < STRETCH ? out->width - from : STRETCH;
            for (int x = 0; x < count; x++)
                quads[x] = lx_quad(upper, lower, across->first[from + x]);
            blend_quads(quads, weight_of(across, from, 0), weight_of(across, from, 1), *weight_of(down, y, 0),
                        *weight_of(down, y, 1), (uint8_t *)lx_plane_row(out, y) + from, count);
        }
    }
}

lx_code lx_resize(const lx_plane *in, lx_plane *out, lx_interpolation how, bool antialias, lx_error *error)
{
    axis across = {0}, down = {0};
    float *sum = NULL;
    if (axis_make(&across, in->width, out->width, how, antialias) &&
        axis_make(&down, in->height, out->height, how, antialias))
        sum = calloc((size_t)in->width + (size_t)across.taps + (size_t)out->width, sizeof *sum);
    if (sum == NULL)
        lx_fail(error, LX_ENOMEM, "resize: out of memory for %d x %d to %d x %d pixels", in->height, in->width,
                out->height, out->width);
    else if (how == LX_NEAREST)
        pick(in, out, &across, &down);
    else if (how == LX_BILINEAR && !antialias && in->type == LX_PLANE_U8 && out->type == LX_PLANE_U8 &&
             in->width > 2 * out->width)
        pick_neighbours(in, out, &across, &down);
    else
        sum_up(in, out, &across, &down, sum, sum + in->width + across.taps);
    axis_free(&across);
    axis_free(&down);
    free(sum);
    return error->code;
}
