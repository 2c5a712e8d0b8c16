#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geometry.h"
#include "histogram.h"

/* How many levels are counted, whatever the samples are. The limit is a share of a tile's samples in each of them: of
   65,536 levels it would be less than one sample, and any limit the same. */
enum { BINS = 256 };

/* What all parts of one call share. The picture is extended by its mirror image until the tiles divide it. */
typedef struct {
    const lx_plane *in;
    bool bytes;
    int tiles;
    int tile_width, tile_height;
    float white;
    float to_bin;     /* times a float: its level on the scale of the bins */
    float most;       /* what stands for white in the tables: 255 for bytes, more steps for floats */
    int limit;        /* the most that a level counts; 0: no limit */
    int *counts;      /* of a tile, by bin */
    uint16_t *tables; /* [tiles][tiles][BINS]: the new level of a bin */
} job;

/* Of a float: its level on the scale of the bins, between two of them. */
static float level_of(const job *j, float sample)
{
    return lx_cut_level(sample * j->to_bin, BINS - 1);
}

static int bin_at(const job *j, int x, int y)
{
    const long row = lx_border_place(y, j->in->height, LX_BORDER_REFLECT101);
    const long column = lx_border_place(x, j->in->width, LX_BORDER_REFLECT101);
    const size_t place = (size_t)row * (size_t)j->in->width + (size_t)column;
    return j->bytes ? ((const uint8_t *)j->in->samples)[place]
                    : (int)(level_of(j, ((const float *)j->in->samples)[place]) + 0.5f);
}

static void count_tile(const job *j, int column, int row)
{
    uint32_t parts[4][256] = {{0}};
    memset(j->counts, 0, sizeof *j->counts * BINS);
    for (int y = row * j->tile_height; y < (row + 1) * j->tile_height; y++) {
        const int from = column * j->tile_width, to = from + j->tile_width;
        if (j->bytes && y < j->in->height && to <= j->in->width)
            lx_count_levels((const uint8_t *)lx_plane_row(j->in, y) + from, (size_t)j->tile_width, parts);
        else
            for (int x = from; x < to; x++)
                j->counts[bin_at(j, x, y)]++;
    }
    for (int level = 0; j->bytes && level < BINS; level++)
        j->counts[level] += (int)(parts[0][level] + parts[1][level] + parts[2][level] + parts[3][level]);
}

/* Cuts off what is over the limit; returns how much that was. */
LX_WIDE static long cut_off(int *counts, int limit)
{
    long over = 0;
    for (int bin = 0; bin < BINS; bin++) {
        const int kept = counts[bin] < limit ? counts[bin] : limit;
        over += counts[bin] - kept;
        counts[bin] = kept;
    }
    return over;
}

/* What is over the limit is spread over all levels, and what is left of that over some of them. Returns what each
   gets. */
static int clip_counts(const job *j)
{
    const long over = cut_off(j->counts, j->limit), each = over / BINS;
    long rest = over - each * BINS;
    const long step = rest > 0 && BINS / rest > 1 ? BINS / rest : 1;
    for (long bin = 0; bin < BINS && rest > 0; bin += step, rest--)
        j->counts[bin]++;
    return (int)each;
}

/* From how many samples there are of each bin, and `each` more, to how many there are up to it. */
static void sum_up(int *counts, int each)
{
    int below = 0;
    for (int bin = 0; bin < BINS; bin++)
        counts[bin] = below += counts[bin] + each;
}

LX_WIDE static void fill_table(const int *below, float scale, float most, uint16_t *restrict table)
{
    for (int bin = 0; bin < BINS; bin++) {
        const float level = rintf((float)below[bin] * scale);
        table[bin] = (uint16_t)(int)(level < most ? level : most);
    }
}

static uint16_t *table_of(const job *j, int column, int row)
{
    return j->tables + ((size_t)row * (size_t)j->tiles + (size_t)column) * BINS;
}

static void make_table(const job *j, int column, int row)
{
    const float scale = j->most / ((float)j->tile_width * (float)j->tile_height);
    count_tile(j, column, row);
    sum_up(j->counts, j->limit > 0 ? clip_counts(j) : 0);
    fill_table(j->counts, scale, j->most, table_of(j, column, row));
}

/* For each column or row: the two tiles whose centres are around it, how near it is to the second, and where other
   tiles begin. */
typedef struct {
    int first, second, end;
    float share;
} between;

static void place_between(between *place, int size, int tile, int tiles)
{
    const float one = 1.0f / (float)tile;
    for (int i = size - 1; i >= 0; i--) {
        const float at = (float)i * one - 0.5f;
        const int first = (int)floorf(at);
        place[i] = (between){first > 0 ? first : 0, first + 1 < tiles ? first + 1 : tiles - 1, i + 1,
                             at - (float)first};
        if (i + 1 < size && place[i + 1].first == place[i].first && place[i + 1].second == place[i].second)
            place[i].end = place[i + 1].end;
    }
}

/* The tables of the four tiles around a pixel. */
typedef struct {
    const uint16_t *upper_left, *upper_right, *lower_left, *lower_right;
} around;

static around tables_around(const job *j, const between *column, const between *row)
{
    return (around){table_of(j, column->first, row->first), table_of(j, column->second, row->first),
                    table_of(j, column->first, row->second), table_of(j, column->second, row->second)};
}

/* Between the four: the order of OpenCV's sums. */
static inline float blend(float upper_left, float upper_right, float lower_left, float lower_right, float across,
                          float down)
{
    return (upper_left * (1 - across) + upper_right * across) * (1 - down) +
           (lower_left * (1 - across) + lower_right * across) * down;
}

/* ---- bytes: what the four tables say of a level is one word, so that a pixel looks up once ---------------------- */

/* The words of all pixels that have these tables around them. */
LX_WIDE static void pack(const around *t, uint32_t *restrict words)
{
    const uint16_t *a = t->upper_left, *b = t->upper_right, *c = t->lower_left, *d = t->lower_right;
    for (int level = 0; level < 256; level++)
        words[level] = a[level] | (uint32_t)b[level] << 8 | (uint32_t)c[level] << 16 | (uint32_t)d[level] << 24;
}

static void look_up_bytes(const uint8_t *bytes, const between *columns, const uint32_t *words, int width,
                          uint32_t *quads)
{
    for (int x = 0; x < width; words += 256)
        for (const int end = columns[x].end; x < end; x++)
            quads[x] = words[bytes[x]];
}

LX_WIDE static void blend_quads(const uint32_t *restrict quads, const float *restrict across, float down,
                                uint8_t *restrict out, int width)
{
    for (int x = 0; x < width; x++) {
        const float level = blend((float)(int)(quads[x] & 255), (float)(int)(quads[x] >> 8 & 255),
                                  (float)(int)(quads[x] >> 16 & 255), (float)(int)(quads[x] >> 24), across[x], down);
        out[x] = (uint8_t)(int)rintf(level);
    }
}

/* ---- floats: between two bins, between what the tables say of them ----------------------------------------------- */

static float look_up(const uint16_t *table, int bin, float share)
{
    return (float)table[bin] * (1 - share) + (float)table[bin + 1] * share;
}

static void blend_deep(const job *j, int y, const between *columns, const between *row, float *out)
{
    const float scale = j->white / j->most;
    const float *samples = lx_plane_row(j->in, y);
    for (int x = 0; x < j->in->width;) {
        const around t = tables_around(j, &columns[x], row);
        for (const int end = columns[x].end; x < end; x++) {
            const float level = level_of(j, samples[x]);
            const int bin = level < BINS - 2 ? (int)level : BINS - 2;
            const float share = level - (float)bin;
            out[x] = scale * blend(look_up(t.upper_left, bin, share), look_up(t.upper_right, bin, share),
                                   look_up(t.lower_left, bin, share), look_up(t.lower_right, bin, share),
                                   columns[x].share, row->share);
        }
    }
}

/* ---- all rows --------------------------------------------------------------------------------------------------- */

static void blend_rows(const job *j, const between *columns, const between *rows, float *across, uint32_t *quads,
                       uint32_t *words, lx_plane *out)
{
    const int width = j->in->width;
    for (int x = 0; x < width; x++)
        across[x] = columns[x].share;
    for (int y = 0, packed = 0; y < j->in->height; y++) {
        if (!j->bytes) {
            blend_deep(j, y, columns, &rows[y], lx_plane_row(out, y));
            continue;
        }
        uint32_t *next = words;
        for (int x = 0; y == packed && x < width; x = columns[x].end, next += 256) {
            const around t = tables_around(j, &columns[x], &rows[y]);
            pack(&t, next);
        }
        packed = rows[y].end;
        look_up_bytes(lx_plane_row(j->in, y), columns, words, width, quads);
        blend_quads(quads, across, rows[y].share, lx_plane_row(out, y), width);
    }
}

static lx_code run(job *j, lx_plane *out, lx_error *error)
{
    const size_t width = (size_t)j->in->width, height = (size_t)j->in->height;
    between *columns = malloc(sizeof *columns * (width + height));
    float *across = malloc(sizeof *across * width);
    uint32_t *quads = malloc(sizeof *quads * (width + 256 * ((size_t)j->tiles + 1)));
    if (!columns || !across || !quads) {
        lx_fail(error, LX_ENOMEM, "clahe: out of memory for a row of %zu pixels", width);
    } else {
        between *rows = columns + width;
        place_between(columns, j->in->width, j->tile_width, j->tiles);
        place_between(rows, j->in->height, j->tile_height, j->tiles);
        for (int row = 0; row < j->tiles; row++)
            for (int column = 0; column < j->tiles; column++)
                make_table(j, column, row);
        blend_rows(j, columns, rows, across, quads, quads + width, out);
    }
    free(columns);
    free(across);
    free(quads);
    return error->code;
}

lx_code lx_clahe(const lx_plane *in, lx_plane *out, const lx_clahe_params *params, lx_error *error)
{
    if (params->tiles < 1 || params->tiles > 64 || !(params->clip >= 0))
        return lx_fail(error, LX_EARG, "clahe: tiles must be 1 to 64 and clip not negative, not %d and %g",
                       params->tiles, params->clip);
    const bool bytes = in->type == LX_PLANE_U8;
    const int tiles = params->tiles;
    /* where one side does not divide, OpenCV extends both */
    const bool divides = in->width % tiles == 0 && in->height % tiles == 0;
    job j = {.in = in,
             .bytes = bytes,
             .tiles = tiles,
             .white = bytes ? 255 : params->white,
             .to_bin = (BINS - 1) / params->white,
             .most = bytes ? 255 : 65535};
    j.tile_width = in->width / tiles + !divides;
    j.tile_height = in->height / tiles + !divides;
    const double area = (double)j.tile_width * (double)j.tile_height;
    if (params->clip > 0)
        j.limit = (int)fmax(fmin(params->clip * area / BINS, area), 1);
    j.counts = malloc(sizeof *j.counts * BINS);
    j.tables = malloc(sizeof *j.tables * BINS * (size_t)tiles * (size_t)tiles);
    if (!j.counts || !j.tables)
        lx_fail(error, LX_ENOMEM, "clahe: out of memory for %d x %d tables of levels", tiles, tiles);
    else
        run(&j, out, error);
    free(j.counts);
    free(j.tables);
    return error->code;
}
