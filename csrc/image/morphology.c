#include "morphology.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1023 };

/* ---- the largest of neighbours: the smallest is the same upside down -------------------------------------------- */

LX_WIDE static void larger_bytes(uint8_t *a, const uint8_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
}

LX_WIDE static void larger_floats(float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
}

static void larger(lx_plane_type type, void *a, const void *b, size_t count)
{
    if (type == LX_PLANE_U8)
        larger_bytes(a, b, count);
    else
        larger_floats(a, b, count);
}

/* Rows with `margin` samples on both sides that are smaller than anything. */
typedef struct {
    lx_plane_type type;
    size_t sample, width, margin;
    char *line;
} padded_row;

/* The largest of `reach` samples on either side of each, into line[margin...]: windows of double width again and again, and
   at last two that overlap. */
static void spread(const padded_row *row, const char *from, bool invert, int reach)
{
    const size_t total = row->width + 2 * row->margin, span = 2 * (size_t)reach + 1, start = row->margin - (size_t)reach;
    size_t have = 1;
    for (size_t i = 0; i < total; i++) {
        const bool inside = i >= row->margin && i < row->margin + row->width;
        if (row->type == LX_PLANE_U8)
            ((uint8_t *)row->line)[i] = !inside ? 0 : invert ? (uint8_t)~((const uint8_t *)from)[i - row->margin]
                                                             : ((const uint8_t *)from)[i - row->margin];
        else
            ((float *)row->line)[i] = !inside ? -INFINITY : invert ? -((const float *)from)[i - row->margin]
                                                                   : ((const float *)from)[i - row->margin];
    }
    for (; have * 2 <= span; have *= 2)
        larger(row->type, row->line, row->line + have * row->sample, total - have);
    if (have < span)
        larger(row->type, row->line, row->line + (span - have) * row->sample, total - (span - have));
    memmove(row->line + row->margin * row->sample, row->line + start * row->sample, row->width * row->sample);
}

/* How many columns beside the middle one count in a row of the shape; -1: none. */
static int reach_in_row(lx_shape shape, int radius, int row)
{
    const int dy = row - radius;
    switch (shape) {
    case LX_CROSS: return dy == 0 ? radius : 0;
    case LX_ELLIPSE: return radius == 0 ? 0 : (int)lrint(radius * sqrt((double)(radius * radius - dy * dy) / (radius * radius)));
    default: return radius;
    }
}

static void fill_low(lx_plane *out)
{
    if (out->type == LX_PLANE_U8)
        memset(out->samples, 0, lx_plane_bytes(out));
    else
        for (size_t i = 0; i < lx_plane_count(out); i++)
            ((float *)out->samples)[i] = -INFINITY;
}

static void upside_down(lx_plane *out)
{
    for (size_t i = 0; i < lx_plane_count(out); i++) {
        if (out->type == LX_PLANE_U8)
            ((uint8_t *)out->samples)[i] = (uint8_t)~((uint8_t *)out->samples)[i];
        else
            ((float *)out->samples)[i] = -((float *)out->samples)[i];
    }
}

/* Each row of the input is spread once for each width that the shape has, and goes to all rows that see it so. */
static lx_code extreme(const char *name, const lx_plane *in, lx_plane *out, lx_shape shape, int size, bool invert,
                       lx_error *error)
{
    if (size < 1 || size > LARGEST || size % 2 == 0)
        return lx_fail(error, LX_EARG, "%s: size must be odd, 1 to %d, not %d", name, LARGEST, size);
    const int radius = size / 2;
    padded_row row = {in->type, in->type == LX_PLANE_U8 ? 1 : sizeof(float), (size_t)in->width, (size_t)radius, NULL};
    row.line = malloc((row.width + 2 * row.margin) * row.sample);
    if (!row.line)
        return lx_fail(error, LX_ENOMEM, "%s: out of memory for a row of %d pixels", name, in->width);
    const size_t bytes = row.width * row.sample;
    fill_low(out);
    for (int y = 0; y < in->height; y++) {
        const char *from = (const char *)in->samples + (size_t)y * bytes;
        int made = -1;
        /* rows of equal width follow each other from the outside to the middle, on both sides */
        for (int distance = radius; distance >= 0; distance--) {
            const int reach = reach_in_row(shape, radius, radius - distance);
            if (reach != made)
                spread(&row, from, invert, reach);
            made = reach;
            for (int side = -1; side <= (distance > 0 ? 1 : -1); side += 2) {
                const int to = y + side * distance;
                if (to >= 0 && to < in->height)
                    larger(in->type, (char *)out->samples + (size_t)to * bytes, row.line + row.margin * row.sample, row.width);
            }
        }
    }
    if (invert)
        upside_down(out);
    free(row.line);
    return LX_OK;
}

lx_code lx_dilate(const lx_plane *in, lx_plane *out, lx_shape shape, int size, lx_error *error)
{
    return extreme("dilate", in, out, shape, size, false, error);
}

lx_code lx_erode(const lx_plane *in, lx_plane *out, lx_shape shape, int size, lx_error *error)
{
    return extreme("erode", in, out, shape, size, true, error);
}

/* ---- what hangs together --------------------------------------------------------------------------------------- */

static bool is_set(const lx_plane *in, size_t place)
{
    return in->type == LX_PLANE_U8 ? ((const uint8_t *)in->samples)[place] != 0 : ((const float *)in->samples)[place] != 0;
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

lx_code lx_connected_components(const lx_plane *in, bool diagonal, int32_t *labels, lx_component **components, long *count,
                                lx_error *error)
{
    const size_t pixels = lx_plane_count(in);
    int32_t *parent = malloc((pixels / 2 + 2 + (size_t)in->width) * sizeof *parent); /* no two first labels are neighbours */
    *components = NULL;
    *count = 0;
    if (!parent)
        return lx_fail(error, LX_ENOMEM, "connected_components: out of memory for %d x %d pixels", in->height, in->width);
    const int32_t first = label_rows(in, diagonal, labels, parent);
    /* what a label is joined to comes before it, so final numbers, negative here, are given in one pass */
    for (int32_t label = 1; label < first; label++)
        parent[label] = parent[label] == label ? -(int32_t)++*count : parent[parent[label]];
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
