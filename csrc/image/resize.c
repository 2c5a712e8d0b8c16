#include "geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* For each output coordinate: which input coordinates it is a weighted sum of. */
typedef struct {
    int taps;      /* room for each output's weights */
    int *first;    /* [out] the first input coordinate */
    int *count;    /* [out] how many, at most `taps` */
    float *weight; /* [out][taps], each row summing to 1 */
} axis;

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->weight);
}

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

/* The part of input pixels that an output pixel covers. Enlarging by "area" is what OpenCV does there: bilinear, but with
   coordinates aligned to the left. */
static void area_row(axis *a, int o, double scale, int in)
{
    float *weight = a->weight + (size_t)o * (size_t)a->taps;
    if (scale < 1) {
        const double start = floor(o * scale);
        const double rest = (o + 1) - (start + 1) / scale, part = rest <= 0 ? 0 : rest - floor(rest);
        a->first[o] = (int)start;
        a->count[o] = a->first[o] + 1 < in ? 2 : 1;
        weight[0] = (float)(a->count[o] == 2 ? 1 - part : 1);
        weight[1] = (float)part;
        return;
    }
    const double from = o * scale, to = fmin((o + 1) * scale, in);
    const int first = (int)(from + 1e-9), end = (int)ceil(to - 1e-9);
    for (int i = first; i < end; i++)
        weight[i - first] = (float)((fmin(i + 1, to) - fmax(i, from)) / (to - from));
    a->first[o] = first;
    a->count[o] = end - first;
}

/* Weights that reach over the border go to the pixels there: the border goes on, as in OpenCV. */
static void plain_row(axis *a, int o, double scale, int in, lx_interpolation how)
{
    float *weight = a->weight + (size_t)o * (size_t)a->taps;
    const double centre = (o + 0.5) * scale - 0.5;
    const int reach = (int)support_of(how, false), first = (int)floor(centre) - reach + 1;
    const int inside = first < 0 ? 0 : first, last = in - 1;
    double total = 0;
    for (int i = first; i < first + 2 * reach; i++)
        total += weight_at(i - centre, how, false);
    a->first[o] = inside > last ? last : inside;
    a->count[o] = 0;
    for (int i = first; i < first + 2 * reach; i++) {
        const int place = (i < 0 ? 0 : i > last ? last : i) - a->first[o];
        for (; a->count[o] <= place; a->count[o]++)
            weight[a->count[o]] = 0;
        weight[place] += (float)(weight_at(i - centre, how, false) / total);
    }
}

/* Weights that reach over the border are left out, and the others made to sum to 1, as in Pillow. */
static void wide_row(axis *a, int o, double scale, int in, lx_interpolation how)
{
    float *weight = a->weight + (size_t)o * (size_t)a->taps;
    const double width = scale > 1 ? scale : 1, support = support_of(how, true) * width, centre = (o + 0.5) * scale;
    const int first = (int)fmax(centre - support + 0.5, 0), end = (int)fmin(centre + support + 0.5, in);
    double total = 0;
    for (int i = first; i < end; i++)
        total += weight_at((i + 0.5 - centre) / width, how, true);
    for (int i = first; i < end; i++)
        weight[i - first] = (float)(weight_at((i + 0.5 - centre) / width, how, true) / total);
    a->first[o] = first;
    a->count[o] = end - first;
}

static void nearest_row(axis *a, int o, double scale, int in)
{
    const int place = (int)floor(o * scale);
    a->first[o] = place < in - 1 ? place : in - 1;
    a->count[o] = 1;
    a->weight[(size_t)o * (size_t)a->taps] = 1;
}

/* False when memory is short; axis_free is due either way. */
static bool axis_make(axis *a, int in, int out, lx_interpolation how, bool antialias)
{
    const double scale = (double)in / out, width = antialias || how == LX_AREA ? fmax(scale, 1) : 1;
    a->taps = 2 * (int)ceil(support_of(how, antialias) * width) + 2;
    a->first = malloc((size_t)out * sizeof *a->first);
    a->count = malloc((size_t)out * sizeof *a->count);
    a->weight = calloc((size_t)out * (size_t)a->taps, sizeof *a->weight);
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
    }
    return true;
}

/* ---- sums ----------------------------------------------------------------------------------------------------- */

/* sum += weight * row. The fixed inner length lets compilers use vectors without being asked to. */
LX_WIDE static void add_bytes(float *restrict sum, const uint8_t *restrict row, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += weight * (float)row[i];
}

LX_WIDE static void add_floats(float *restrict sum, const float *restrict row, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += weight * row[i];
}

/* One output row, already summed down: across. */
static void sum_across(const float *row, const axis *across, int out_width, float *out)
{
    for (int x = 0; x < out_width; x++) {
        const float *weight = across->weight + (size_t)x * (size_t)across->taps;
        const float *from = row + across->first[x];
        float sum = 0;
        for (int k = 0; k < across->count[x]; k++)
            sum += weight[k] * from[k];
        out[x] = sum;
    }
}

LX_WIDE static void round_row(const float *restrict row, uint8_t *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float value = row[i] + 0.5f;
        out[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
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
    const size_t width = (size_t)in->width;
    for (int y = 0; y < out->height; y++) {
        const float *weight = down->weight + (size_t)y * (size_t)down->taps;
        memset(sum, 0, width * sizeof *sum);
        for (int k = 0; k < down->count[y]; k++) {
            const size_t from = (size_t)(down->first[y] + k) * width;
            if (in->type == LX_PLANE_U8)
                add_bytes(sum, (const uint8_t *)in->samples + from, width, weight[k]);
            else
                add_floats(sum, (const float *)in->samples + from, width, weight[k]);
        }
        const size_t to = (size_t)y * (size_t)out->width;
        sum_across(sum, across, out->width, out->type == LX_PLANE_U8 ? row : (float *)out->samples + to);
        if (out->type == LX_PLANE_U8)
            round_row(row, (uint8_t *)out->samples + to, (size_t)out->width);
    }
}

lx_code lx_resize(const lx_plane *in, lx_plane *out, lx_interpolation how, bool antialias, lx_error *error)
{
    axis across = {0}, down = {0};
    float *sum = malloc(((size_t)in->width + (size_t)out->width) * sizeof *sum);
    if (!axis_make(&across, in->width, out->width, how, antialias) ||
        !axis_make(&down, in->height, out->height, how, antialias) || sum == NULL)
        lx_fail(error, LX_ENOMEM, "resize: out of memory for %d x %d to %d x %d pixels", in->height, in->width, out->height,
                out->width);
    else if (how == LX_NEAREST)
        pick(in, out, &across, &down);
    else
        sum_up(in, out, &across, &down, sum, sum + in->width);
    axis_free(&across);
    axis_free(&down);
    free(sum);
    return error->code;
}
