#include "morphology.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1023 };

/* ---- the largest of neighbours: the smallest is the same upside down ------------------------------------------ */

LX_WIDE static void larger_bytes(uint8_t *restrict a, const uint8_t *restrict b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
}

LX_WIDE static void larger_floats(float *restrict a, const float *restrict b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
}

/* The largest of each sample and those `apart` before and after it. */
LX_WIDE static void largest_bytes(uint8_t *restrict out, const uint8_t *in, size_t apart, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t a = in[i] > in[i + apart] ? in[i] : in[i + apart], b = in[i + 2 * apart];
        out[i] = a > b ? a : b;
    }
}

LX_WIDE static void largest_floats(float *restrict out, const float *in, size_t apart, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float a = in[i] > in[i + apart] ? in[i] : in[i + apart], b = in[i + 2 * apart];
        out[i] = a > b ? a : b;
    }
}

/* Copies samples, upside down if asked for. */
LX_WIDE static void turn(lx_plane_type type, void *to, const void *from, size_t count, bool invert)
{
    if (!invert) {
        memmove(to, from, count * (type == LX_PLANE_U8 ? 1 : sizeof(float)));
    } else if (type == LX_PLANE_U8) {
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = (uint8_t) ~((const uint8_t *)from)[i];
    } else {
        for (size_t i = 0; i < count; i++)
            ((float *)to)[i] = -((const float *)from)[i];
    }
}

static void fill_low(lx_plane_type type, void *to, size_t count)
{
    if (type == LX_PLANE_U8)
        memset(to, 0, count);
    else
        for (size_t i = 0; i < count; i++)
            ((float *)to)[i] = -INFINITY;
}

/* A row with `margin` samples on both sides that are smaller than anything; each sample is already the largest of
   those up to `reach` beside it. */
typedef struct {
    lx_plane_type type;
    size_t sample, width, margin, reach;
    char *line, *spare;
} wide_row;

static void load(wide_row *row, const void *from, bool invert)
{
    fill_low(row->type, row->line, row->margin);
    turn(row->type, row->line + row->margin * row->sample, from, row->width, invert);
    fill_low(row->type, row->line + (row->margin + row->width) * row->sample, row->margin);
    row->reach = 0;
}

/* Three overlapping or touching windows make one that is up to three times as wide. */
static void widen(wide_row *row, size_t reach)
{
    while (row->reach < reach) {
        const size_t most = 2 * row->reach + 1, apart = reach - row->reach < most ? reach - row->reach : most;
        const size_t first = row->reach, last = row->width + 2 * row->margin - row->reach - 2 * apart;
        char *const line = row->line;
        const void *from = line + first * row->sample;
        void *to = row->spare + (first + apart) * row->sample;
        if (row->type == LX_PLANE_U8)
            largest_bytes(to, from, apart, last - first);
        else
            largest_floats(to, from, apart, last - first);
        row->line = row->spare;
        row->spare = line;
        row->reach += apart;
    }
}

/* How many columns beside the middle one count in the row of the shape that is so far from its middle. */
static size_t reach_at(lx_shape shape, int radius, int distance)
{
    const double across = radius, down = radius > 0 ? (double)distance / radius : 0;
    switch (shape) {
    case LX_CROSS: return distance == 0 ? (size_t)radius : 0;
    case LX_ELLIPSE: return (size_t)lrint(across * sqrt(1 - down * down));
    default: return (size_t)radius;
    }
}

/* What a row of the output has from the row of the input that is loaded. */
static void add_row(const wide_row *row, lx_plane *out, int y)
{
    const void *from = row->line + row->margin * row->sample;
    if (y < 0 || y >= out->height)
        return;
    if (row->type == LX_PLANE_U8)
        larger_bytes(lx_plane_row(out, y), from, row->width);
    else
        larger_floats(lx_plane_row(out, y), from, row->width);
}

/* Each row of the input becomes as wide as the shape is, from its ends, which are the narrowest, to its middle, and
   goes to all rows that see it so. */
static lx_code extreme(const lx_plane *in, lx_plane *out, lx_shape shape, int size, bool invert, lx_error *error)
{
    const int radius = size / 2;
    const size_t total = (size_t)in->width + 2 * (size_t)radius;
    wide_row row = {.type = in->type, .width = (size_t)in->width, .margin = (size_t)radius};
    row.sample = in->type == LX_PLANE_U8 ? 1 : sizeof(float);
    char *lines = malloc(2 * total * row.sample);
    if (!lines)
        return lx_fail(error, LX_ENOMEM, "out of memory for a row of %d pixels", in->width);
    row.line = lines;
    row.spare = lines + total * row.sample;
    fill_low(in->type, out->samples, lx_plane_count(out));
    for (int y = 0; y < in->height; y++) {
        load(&row, lx_plane_row(in, y), invert);
        for (int distance = radius; distance >= 0; distance--) {
            widen(&row, reach_at(shape, radius, distance));
            add_row(&row, out, y - distance);
            if (distance > 0)
                add_row(&row, out, y + distance);
        }
    }
    if (invert)
        turn(in->type, out->samples, out->samples, lx_plane_count(out), true);
    free(lines);
    return LX_OK;
}

/* out = a - out, or out - a; neither is below 0 where this is used. */
LX_WIDE static void subtract(const lx_plane *a, lx_plane *out, bool from_out)
{
    const size_t count = lx_plane_count(out);
    if (out->type == LX_PLANE_U8) {
        const uint8_t *x = a->samples;
        uint8_t *y = out->samples;
        for (size_t i = 0; i < count; i++)
            y[i] = (uint8_t)(from_out ? y[i] - x[i] : x[i] - y[i]);
    } else {
        const float *x = a->samples;
        float *y = out->samples;
        for (size_t i = 0; i < count; i++)
            y[i] = from_out ? y[i] - x[i] : x[i] - y[i];
    }
}

lx_code lx_morphology(const lx_plane *in, lx_plane *out, lx_morph how, lx_shape shape, int size, lx_error *error)
{
    static const char *const names[] = {"erode",   "dilate",   "opening", "closing", "morphological_gradient",
                                        "top_hat", "black_hat"};
    if ((unsigned)how >= sizeof names / sizeof *names || (unsigned)shape > LX_ELLIPSE)
        return lx_fail(error, LX_EARG, "morphology: there is no operation %d with shape %d", (int)how, (int)shape);
    if (size < 1 || size > LARGEST || size % 2 == 0)
        return lx_fail(error, LX_EARG, "%s: size must be odd, 1 to %d, not %d", names[how], LARGEST, size);
    if (how == LX_ERODE || how == LX_DILATE)
        return extreme(in, out, shape, size, how == LX_ERODE, error);
    const bool smallest_first = how == LX_OPENING || how == LX_TOP_HAT || how == LX_GRADIENT;
    lx_plane first = {in->width, in->height, in->type, malloc(lx_plane_bytes(in))};
    if (!first.samples)
        return lx_fail(error, LX_ENOMEM, "out of memory for %d x %d pixels", in->height, in->width);
    const lx_plane *second = how == LX_GRADIENT ? in : &first;
    if (!extreme(in, &first, shape, size, smallest_first, error) &&
        !extreme(second, out, shape, size, !smallest_first, error)) {
        if (how == LX_GRADIENT)
            subtract(&first, out, true);
        else if (how == LX_TOP_HAT || how == LX_BLACK_HAT)
            subtract(in, out, how == LX_BLACK_HAT);
    }
    free(first.samples);
    return error->code;
}

/* ---- what hangs together --------------------------------------------------------------------------------------- */

static bool is_set(const lx_plane *in, size_t place)
{
    const void *samples = in->samples;
    return in->type == LX_PLANE_U8 ? ((const uint8_t *)samples)[place] != 0 : ((const float *)samples)[place] != 0;
}

static int32_t root_of(int32_t *parent, int32_t label)
{
    while (parent[label] != label) {
        parent[label] = parent[parent[label]];
        label = parent[label];
    }
    return label;
}

static int32_t join(int32_t *parent, int32_t a, int32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
    return a < b ? a : b;
}

/* First labels, joined where two of them meet; returns how many. */
static int32_t label_rows(const lx_plane *in, bool diagonal, int32_t *labels, int32_t *parent)
{
    int32_t next = 1;
    for (int y = 0; y < in->height; y++)
        for (int x = 0; x < in->width; x++) {
            const size_t place = (size_t)y * (size_t)in->width + (size_t)x;
            int32_t label = 0;
            labels[place] = 0;
            if (!is_set(in, place))
                continue;
            if (x > 0 && labels[place - 1])
                label = labels[place - 1];
            for (int k = diagonal ? -1 : 0; y > 0 && k <= (diagonal ? 1 : 0); k++) {
                if (x + k < 0 || x + k >= in->width)
                    continue;
                const int32_t above = labels[place - (size_t)in->width + (size_t)(x + k) - (size_t)x];
                if (above)
                    label = label ? join(parent, label, above) : above;
            }
            if (!label) {
                label = next++;
                parent[label] = label;
            }
            labels[place] = label;
        }
    return next;
}

static void measure(lx_component *c, int x, int y)
{
    if (c->area == 0)
        *c = (lx_component){0, x, y, x, y, 0, 0};
    c->area++;
    c->left = x < c->left ? x : c->left;
    c->right = x > c->right ? x : c->right;
    c->low = y;
    c->x += x;
    c->y += y;
}

lx_code lx_connected_components(const lx_plane *in, bool diagonal, int32_t *labels, lx_component **components,
                                long *count, lx_error *error)
{
    const size_t pixels = lx_plane_count(in);
    /* no two first labels are neighbours */
    int32_t *parent = malloc((pixels / 2 + 2 + (size_t)in->width) * sizeof *parent);
    *components = NULL;
    *count = 0;
    if (!parent)
        return lx_fail(error, LX_ENOMEM, "connected_components: out of memory for %d x %d pixels", in->height,
                       in->width);
    const int32_t first = label_rows(in, diagonal, labels, parent);
    /* what a label is joined to comes before it, so final numbers, negative here, are given in one pass */
    for (int32_t label = 1; label < first; label++)
        parent[label] = parent[label] == label ? -(int32_t)++ * count : parent[parent[label]];
    lx_component *list = calloc((size_t)*count + 1, sizeof *list);
    if (!list) {
        free(parent);
        return lx_fail(error, LX_ENOMEM, "connected_components: out of memory for %ld components", *count);
    }
    for (size_t i = 0; i < pixels; i++)
        if (labels[i]) {
            labels[i] = -parent[labels[i]];
            measure(&list[labels[i] - 1], (int)(i % (size_t)in->width), (int)(i / (size_t)in->width));
        }
    for (long i = 0; i < *count; i++) {
        list[i].x /= (double)list[i].area;
        list[i].y /= (double)list[i].area;
    }
    free(parent);
    *components = list;
    return LX_OK;
}
