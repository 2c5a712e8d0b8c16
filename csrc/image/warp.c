#include "geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* ---- maps ----------------------------------------------------------------------------------------------------- */

void lx_matrix_product(const double second[9], const double first[9], double out[9])
{
    double product[9];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            product[3 * i + j] = second[3 * i] * first[j] + second[3 * i + 1] * first[3 + j] +
                                 second[3 * i + 2] * first[6 + j];
    memcpy(out, product, sizeof product);
}

bool lx_matrix_inverse(const double m[9], double out[9])
{
    const double adjugate[9] = {m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
                                m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
                                m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
    const double determinant = m[0] * adjugate[0] + m[1] * adjugate[3] + m[2] * adjugate[6];
    if (!(fabs(determinant) > 1e-12))
        return false;
    for (int i = 0; i < 9; i++)
        out[i] = adjugate[i] / determinant;
    return true;
}

/* The weights of the four nodes around a place within a cell, 0..1. */
static void spline_weights(float t, float weight[4])
{
    const float s = 1 - t;
    weight[0] = s * s * s / 6;
    weight[1] = (4 + (3 * t - 6) * t * t) / 6;
    weight[2] = (4 + (3 * s - 6) * s * s) / 6;
    weight[3] = t * t * t / 6;
}

/* Which cell a coordinate is in; the nodes around it begin at that number. */
static int spline_cell(double place, int size, int cells, float weight[4])
{
    const double along = place / size * cells;
    int cell = (int)floor(along);
    cell = cell < 0 ? 0 : cell >= cells ? cells - 1 : cell;
    const double t = along - cell;
    spline_weights((float)(t < 0 ? 0 : t > 1 ? 1 : t), weight);
    return cell;
}

static void bend_at(const lx_bend *bend, double x, double y, int width, int height, double shift[2])
{
    float across[4], down[4];
    const int nodes = bend->cells + 3;
    const int column = spline_cell(x, width, bend->cells, across), row = spline_cell(y, height, bend->cells, down);
    shift[0] = shift[1] = 0;
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            const int node = (row + j) * nodes + column + i;
            shift[0] += (double)(down[j] * across[i] * bend->x[node] * bend->across);
            shift[1] += (double)(down[j] * across[i] * bend->y[node] * bend->down);
        }
}

static bool transform(const double m[9], const double from[2], double to[2])
{
    const double w = m[6] * from[0] + m[7] * from[1] + m[8];
    const double x = m[0] * from[0] + m[1] * from[1] + m[2], y = m[3] * from[0] + m[4] * from[1] + m[5];
    if (!(fabs(w) > 1e-9))
        return false;
    to[0] = x / w;
    to[1] = y / w;
    return true;
}

lx_map lx_map_scaled(const lx_map *map, double x, double y)
{
    const double longer[9] = {x, 0, 0, 0, y, 0, 0, 0, 1};
    lx_map scaled = *map;
    lx_matrix_product(longer, map->matrix, scaled.matrix);
    scaled.bend.across *= (float)x;
    scaled.bend.down *= (float)y;
    return scaled;
}

/* The bend is smooth and small, so a few steps of fixed-point iteration find the place. */
bool lx_map_forward(const lx_map *map, int out_width, int out_height, const double point[2], double seen[2])
{
    double inverse[9], shift[2] = {0, 0};
    if (!lx_matrix_inverse(map->matrix, inverse))
        return false;
    for (int i = 0; i < (map->bend.x ? 8 : 1); i++) {
        const double straight[2] = {point[0] - shift[0], point[1] - shift[1]};
        if (!transform(inverse, straight, seen))
            return false;
        if (map->bend.x)
            bend_at(&map->bend, seen[0], seen[1], out_width, out_height, shift);
    }
    return true;
}

/* ---- borders -------------------------------------------------------------------------------------------------- */

long lx_border_place(long place, long size, lx_border border)
{
    if (place >= 0 && place < size)
        return place;
    if (size == 1)
        return border == LX_BORDER_CONSTANT ? -1 : 0;
    switch (border) {
    case LX_BORDER_REPLICATE: return place < 0 ? 0 : size - 1;
    case LX_BORDER_WRAP: return (place % size + size) % size;
    case LX_BORDER_REFLECT: {
        const long around = (place % (2 * size) + 2 * size) % (2 * size);
        return around < size ? around : 2 * size - 1 - around;
    }
    case LX_BORDER_REFLECT101: {
        const long period = 2 * (size - 1), around = (place % period + period) % period;
        return around < size ? around : period - around;
    }
    default: return -1;
    }
}

/* ---- sampling ------------------------------------------------------------------------------------------------- */

enum { STRETCH = 256 }; /* pixels of a row that are done together */

typedef struct {
    const lx_plane *in;
    lx_interpolation how;
    lx_border border;
    float fill;
} source;

static float sample_at(const source *s, long x, long y)
{
    x = lx_border_place(x, s->in->width, s->border);
    y = lx_border_place(y, s->in->height, s->border);
    if (x < 0 || y < 0)
        return s->fill;
    const size_t place = (size_t)y * (size_t)s->in->width + (size_t)x;
    return s->in->type == LX_PLANE_U8 ? ((const uint8_t *)s->in->samples)[place]
                                      : ((const float *)s->in->samples)[place];
}

#define FAR 1e6f /* outside is as good as anywhere outside, and this fits a whole number */

static float limit(float value)
{
    return value > -FAR ? (value < FAR ? value : FAR) : -FAR;
}

static float cubic_weight(float x)
{
    x = fabsf(x);
    const float a = -0.75f;
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* One pixel, wherever it comes from. */
static float sample(const source *s, float u, float v)
{
    u = limit(u);
    v = limit(v);
    if (s->how == LX_NEAREST)
        return sample_at(s, (long)floorf(u + 0.5f), (long)floorf(v + 0.5f));
    const long left = (long)floorf(u), top = (long)floorf(v);
    const float fu = u - (float)left, fv = v - (float)top;
    if (s->how == LX_BILINEAR) {
        const float upper = (1 - fu) * sample_at(s, left, top) + fu * sample_at(s, left + 1, top);
        const float lower = (1 - fu) * sample_at(s, left, top + 1) + fu * sample_at(s, left + 1, top + 1);
        return (1 - fv) * upper + fv * lower;
    }
    float sum = 0;
    for (int j = -1; j <= 2; j++) {
        float row = 0;
        for (int i = -1; i <= 2; i++)
            row += cubic_weight((float)i - fu) * sample_at(s, left + i, top + j);
        sum += cubic_weight((float)j - fv) * row;
    }
    return sum;
}

/* Where the pixels of a stretch are: the upper left of four neighbours, and how near the others are. */
typedef struct {
    int offset[STRETCH];
    float across[STRETCH], down[STRETCH];
} places;

/* Points beyond the middles of the pixels at the edge are drawn there, which is what replicating the edge comes to;
   they are counted. */
LX_WIDE static int find_places(const float *restrict u, const float *restrict v, int count, int width, int height,
                               places *restrict p)
{
    const float right = (float)(width - 1), low = (float)(height - 1);
    int beyond = 0;
    for (int i = 0; i < count; i++) {
        const float x = lx_cut_level(u[i], right), y = lx_cut_level(v[i], low);
        beyond += (x != u[i]) | (y != v[i]);
        int left = (int)x, top = (int)y;
        left = left < width - 2 ? left : width - 2;
        top = top < height - 2 ? top : height - 2;
        p->offset[i] = top * width + left;
        p->across[i] = x - (float)left;
        p->down[i] = y - (float)top;
    }
    return beyond;
}

LX_WIDE static void blend_quads(const uint32_t *restrict quads, const places *restrict p, int count,
                                float *restrict out)
{
    for (int i = 0; i < count; i++) {
        const float a = (float)(int)(quads[i] & 255), b = (float)(int)(quads[i] >> 8 & 255);
        const float c = (float)(int)(quads[i] >> 16 & 255), d = (float)(int)(quads[i] >> 24);
        const float upper = a + p->across[i] * (b - a), lower = c + p->across[i] * (d - c);
        out[i] = upper + p->down[i] * (lower - upper);
    }
}

static void blend_bytes(const uint8_t *samples, size_t width, const places *p, int count, float *out)
{
    uint32_t quads[STRETCH];
    for (int i = 0; i < count; i++)
        quads[i] = lx_quad(samples, samples + width, p->offset[i]);
    blend_quads(quads, p, count, out);
}

LX_WIDE static void blend_floats(const float *restrict samples, size_t width, const places *restrict p, int count,
                                 float *restrict out)
{
    for (int i = 0; i < count; i++) {
        const float *at = samples + p->offset[i];
        const float upper = at[0] + p->across[i] * (at[1] - at[0]);
        const float lower = at[width] + p->across[i] * (at[width + 1] - at[width]);
        out[i] = upper + p->down[i] * (lower - upper);
    }
}

static void sample_stretch(const source *s, const float *u, const float *v, int count, float *out)
{
    const int width = s->in->width, height = s->in->height;
    places p;
    const bool quick = s->how == LX_BILINEAR && width > 1 && height > 1;
    int beyond = count;
    if (quick) {
        beyond = find_places(u, v, count, width, height, &p);
        if (s->in->type == LX_PLANE_U8)
            blend_bytes(s->in->samples, (size_t)width, &p, count, out);
        else
            blend_floats(s->in->samples, (size_t)width, &p, count, out);
    }
    if (beyond == 0 || (quick && s->border == LX_BORDER_REPLICATE))
        return;
    for (int i = 0; i < count; i++)
        if (!quick || !(u[i] >= 0 && v[i] >= 0 && u[i] <= (float)(width - 1) && v[i] <= (float)(height - 1)))
            out[i] = sample(s, u[i], v[i]);
}

/* Where the pixels of a stretch of row y come from, as indices: the centre of pixel 0 is at 0. A stretch is short
   enough for floats from its first pixel on. */
LX_WIDE static void affine_places(const double m[9], int x, double y, int count, float *restrict u, float *restrict v)
{
    const float first_u = (float)(m[0] * (x + 0.5) + m[1] * y + m[2] - 0.5);
    const float first_v = (float)(m[3] * (x + 0.5) + m[4] * y + m[5] - 0.5);
    const float step_u = (float)m[0], step_v = (float)m[3];
    for (int i = 0; i < count; i++) {
        u[i] = first_u + step_u * (float)i;
        v[i] = first_v + step_v * (float)i;
    }
}

/* Where there is no such place it is infinite or no number, and so outside. */
LX_WIDE static void projective_places(const double m[9], int x, double y, int count, float *restrict u,
                                      float *restrict v)
{
    float first[3], step[3];
    for (int k = 0; k < 3; k++) {
        first[k] = (float)(m[3 * k] * (x + 0.5) + m[3 * k + 1] * y + m[3 * k + 2]);
        step[k] = (float)m[3 * k];
    }
    for (int i = 0; i < count; i++) {
        const float scale = 1 / (first[2] + step[2] * (float)i);
        u[i] = (first[0] + step[0] * (float)i) * scale - 0.5f;
        v[i] = (first[1] + step[1] * (float)i) * scale - 0.5f;
    }
}

/* A bend ready for rows: its nodes summed down for one row, and for each column in which cell it is, where the next
   cell begins, and how much each of the four nodes around it counts. */
typedef struct {
    float *x, *y;     /* [nodes] */
    int *cell, *end;  /* [width] */
    float *weight[4]; /* [width] */
} bent_row;

static bool make_bent(const lx_bend *bend, int width, bent_row *row)
{
    const size_t nodes = (size_t)bend->cells + 3, columns = (size_t)width;
    row->x = malloc((2 * nodes + 4 * columns) * sizeof *row->x);
    row->cell = malloc(2 * columns * sizeof *row->cell);
    if (!row->x || !row->cell)
        return false;
    row->y = row->x + nodes;
    row->end = row->cell + columns;
    for (size_t k = 0; k < 4; k++)
        row->weight[k] = row->y + nodes + k * columns;
    for (int x = width - 1; x >= 0; x--) {
        float weight[4];
        row->cell[x] = spline_cell(x + 0.5, width, bend->cells, weight);
        row->end[x] = x + 1 < width && row->cell[x + 1] == row->cell[x] ? row->end[x + 1] : x + 1;
        for (int k = 0; k < 4; k++)
            row->weight[k][x] = weight[k];
    }
    return true;
}

static void bend_row(const lx_bend *bend, double y, int height, const bent_row *row)
{
    float down[4];
    const int nodes = bend->cells + 3, first = spline_cell(y, height, bend->cells, down);
    for (int i = 0; i < nodes; i++) {
        row->x[i] = row->y[i] = 0;
        for (int j = 0; j < 4; j++) {
            row->x[i] += down[j] * bend->across * bend->x[(first + j) * nodes + i];
            row->y[i] += down[j] * bend->down * bend->y[(first + j) * nodes + i];
        }
    }
}

/* Adds what four nodes say of the columns from x on. */
LX_WIDE static void add_nodes(const float nodes[4], float *const weight[4], int x, int count, float *restrict sum)
{
    const float *restrict a = weight[0] + x, *restrict b = weight[1] + x, *restrict c = weight[2] + x,
                          *restrict d = weight[3] + x;
    for (int i = 0; i < count; i++)
        sum[i] += a[i] * nodes[0] + b[i] * nodes[1] + c[i] * nodes[2] + d[i] * nodes[3];
}

static void bend_places(const bent_row *row, int x, int count, float *u, float *v)
{
    for (int i = 0, length; i < count; i += length) {
        const int cell = row->cell[x + i], left = row->end[x + i] - x - i;
        length = left < count - i ? left : count - i;
        add_nodes(row->x + cell, row->weight, x + i, length, u + i);
        add_nodes(row->y + cell, row->weight, x + i, length, v + i);
    }
}

static void warp_row(const source *s, const lx_map *map, const bent_row *bent, int y, lx_plane *out)
{
    const bool affine = map->matrix[6] == 0 && map->matrix[7] == 0 && map->matrix[8] == 1;
    float u[STRETCH], v[STRETCH], values[STRETCH];
    for (int x = 0; x < out->width; x += STRETCH) {
        const int count = out->width - x < STRETCH ? out->width - x : STRETCH;
        if (affine)
            affine_places(map->matrix, x, y + 0.5, count, u, v);
        else
            projective_places(map->matrix, x, y + 0.5, count, u, v);
        if (map->bend.x)
            bend_places(bent, x, count, u, v);
        sample_stretch(s, u, v, count, values);
        const size_t to = (size_t)y * (size_t)out->width + (size_t)x;
        if (out->type == LX_PLANE_U8)
            lx_round_row(values, (uint8_t *)out->samples + to, (size_t)count);
        else
            memcpy((float *)out->samples + to, values, sizeof *values * (size_t)count);
    }
}

lx_code lx_warp(const lx_plane *in, lx_plane *out, const lx_map *map, lx_interpolation how, lx_border border,
                float fill, lx_error *error)
{
    if (how != LX_NEAREST && how != LX_BILINEAR && how != LX_BICUBIC)
        return lx_fail(error, LX_EARG, "warp: interpolation must be nearest, bilinear or bicubic");
    const source s = {in, how, border, fill};
    bent_row bent = {NULL, NULL, NULL, NULL, {NULL}};
    if (map->bend.x && !make_bent(&map->bend, out->width, &bent))
        lx_fail(error, LX_ENOMEM, "warp: out of memory for a row of %d pixels", out->width);
    for (int y = 0; y < out->height && !error->code; y++) {
        if (map->bend.x)
            bend_row(&map->bend, y + 0.5, out->height, &bent);
        warp_row(&s, map, &bent, y, out);
    }
    free(bent.x);
    free(bent.cell);
    return error->code;
}
