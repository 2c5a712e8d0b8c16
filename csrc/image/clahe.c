#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geometry.h"
#include "histogram.h"

/* What all parts of one call share. The picture is extended by its mirror image until the tiles divide it. */
typedef struct {
    const lx_plane *in;
    int tiles, bins;
    int tile_width, tile_height;
    float white;
    int limit;        /* the most that a level counts; 0: no limit */
    uint16_t *bin;    /* of each sample, where they are floats */
    int *counts;      /* of a tile, by bin */
    uint16_t *tables; /* [tiles][tiles][bins]: the new bin */
} job;

static int bin_at(const job *j, int x, int y)
{
    const long row = lx_border_place(y, j->in->height, LX_BORDER_REFLECT101);
    const long column = lx_border_place(x, j->in->width, LX_BORDER_REFLECT101);
    const size_t place = (size_t)row * (size_t)j->in->width + (size_t)column;
    return j->bin ? j->bin[place] : ((const uint8_t *)j->in->samples)[place];
}

static void count_tile(const job *j, int column, int row)
{
    memset(j->counts, 0, sizeof *j->counts * (size_t)j->bins);
    for (int y = row * j->tile_height; y < (row + 1) * j->tile_height; y++) {
        const int from = column * j->tile_width, to = from + j->tile_width;
        if (!j->bin && y < j->in->height && to <= j->in->width) {
            const uint8_t *samples = (const uint8_t *)j->in->samples + (size_t)y * (size_t)j->in->width;
            for (int x = from; x < to; x++)
                j->counts[samples[x]]++;
        } else {
            for (int x = from; x < to; x++)
                j->counts[bin_at(j, x, y)]++;
        }
    }
}

/* Cuts off what is over the limit; returns how much that was. */
LX_WIDE static long cut_off(int *counts, int bins, int limit)
{
    long over = 0;
    for (int bin = 0; bin < bins; bin++) {
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
    const long over = cut_off(j->counts, j->bins, j->limit), each = over / j->bins;
    long rest = over - each * j->bins;
    const long step = rest > 0 && j->bins / rest > 1 ? j->bins / rest : 1;
    for (long bin = 0; bin < j->bins && rest > 0; bin += step, rest--)
        j->counts[bin]++;
    return (int)each;
}

/* From how many samples there are of each bin, and `each` more, to how many there are up to it. */
static void sum_up(int *counts, int bins, int each)
{
    int below = 0;
    for (int bin = 0; bin < bins; bin++)
        counts[bin] = below += counts[bin] + each;
}

LX_WIDE static void fill_table(const int *below, int bins, float scale, uint16_t *restrict table)
{
    for (int bin = 0; bin < bins; bin++) {
        const float level = rintf((float)below[bin] * scale);
        table[bin] = (uint16_t)(int)(level < (float)(bins - 1) ? level : (float)(bins - 1));
    }
}

static uint16_t *table_of(const job *j, int column, int row)
{
    return j->tables + ((size_t)row * (size_t)j->tiles + (size_t)column) * (size_t)j->bins;
}

static void make_table(const job *j, int column, int row)
{
    const float scale = (float)(j->bins - 1) / ((float)j->tile_width * (float)j->tile_height);
    count_tile(j, column, row);
    sum_up(j->counts, j->bins, j->limit > 0 ? clip_counts(j) : 0);
    fill_table(j->counts, j->bins, scale, table_of(j, column, row));
}

/* For each column or row: the two tiles whose centres are around it, and how near it is to the second. */
typedef struct {
    int first, second;
    float share;
} between;

static void place_between(between *place, int size, int tile, int tiles)
{
    const float one = 1.0f / (float)tile;
    for (int i = 0; i < size; i++) {
        const float at = (float)i * one - 0.5f;
        const int first = (int)floorf(at);
        place[i] = (between){first > 0 ? first : 0, first + 1 < tiles ? first + 1 : tiles - 1, at - (float)first};
    }
}

static void blend_row(const job *j, int y, const between *columns, const between *row, lx_plane *out)
{
    const size_t bins = (size_t)j->bins, width = (size_t)j->in->width;
    const uint16_t *upper = table_of(j, 0, row->first), *lower = table_of(j, 0, row->second);
    const float scale = j->white / (float)(j->bins - 1);
    for (size_t x = 0; x < width; x++) {
        const between *c = &columns[x];
        const size_t place = (size_t)y * width + x;
        const size_t bin = j->bin ? j->bin[place] : ((const uint8_t *)j->in->samples)[place];
        const size_t left = (size_t)c->first * bins + bin, right = (size_t)c->second * bins + bin;
        const float level = (upper[left] * (1 - c->share) + upper[right] * c->share) * (1 - row->share) +
                            (lower[left] * (1 - c->share) + lower[right] * c->share) * row->share;
        if (out->type == LX_PLANE_U8)
            ((uint8_t *)out->samples)[place] = (uint8_t)rintf(level);
        else
            ((float *)out->samples)[place] = level * scale;
    }
}

static lx_code run(job *j, lx_plane *out, lx_error *error)
{
    const int width = j->in->width, height = j->in->height;
    between *columns = malloc(sizeof *columns * ((size_t)width + (size_t)height));
    if (!columns)
        return lx_fail(error, LX_ENOMEM, "clahe: out of memory");
    between *rows = columns + width;
    place_between(columns, width, j->tile_width, j->tiles);
    place_between(rows, height, j->tile_height, j->tiles);
    for (int row = 0; row < j->tiles; row++)
        for (int column = 0; column < j->tiles; column++)
            make_table(j, column, row);
    for (int y = 0; y < height; y++)
        blend_row(j, y, columns, &rows[y], out);
    free(columns);
    return LX_OK;
}

LX_WIDE static void find_bins(const float *restrict samples, size_t count, float white, uint16_t *restrict bin)
{
    const float scale = (LX_LEVELS - 1) / white;
    for (size_t i = 0; i < count; i++) {
        const float level = samples[i] * scale + 0.5f;
        bin[i] = (uint16_t)(int)(level > 0 ? (level < LX_LEVELS - 1 ? level : LX_LEVELS - 1) : 0);
    }
}

lx_code lx_clahe(const lx_plane *in, lx_plane *out, const lx_clahe_params *params, lx_error *error)
{
    if (params->tiles < 1 || params->tiles > 64 || !(params->clip >= 0))
        return lx_fail(error, LX_EARG, "clahe: tiles must be 1 to 64 and clip not negative, not %d and %g",
                       params->tiles, params->clip);
    const bool bytes = in->type == LX_PLANE_U8;
    const int tiles = params->tiles, bins = bytes ? 256 : LX_LEVELS;
    /* where one side does not divide, OpenCV extends both */
    const bool divides = in->width % tiles == 0 && in->height % tiles == 0;
    job j = {.in = in, .tiles = tiles, .bins = bins, .white = bytes ? 255 : params->white};
    j.tile_width = in->width / tiles + !divides;
    j.tile_height = in->height / tiles + !divides;
    const double area = (double)j.tile_width * (double)j.tile_height;
    if (params->clip > 0)
        j.limit = (int)fmax(fmin(params->clip * area / bins, area), 1);
    j.counts = malloc(sizeof *j.counts * (size_t)bins);
    j.tables = malloc(sizeof *j.tables * (size_t)bins * (size_t)tiles * (size_t)tiles);
    j.bin = bytes ? NULL : malloc(sizeof *j.bin * lx_plane_count(in));
    if (!j.counts || !j.tables || (!bytes && !j.bin)) {
        lx_fail(error, LX_ENOMEM, "clahe: out of memory for %d x %d tables of %d levels", tiles, tiles, bins);
    } else {
        if (j.bin)
            find_bins(in->samples, lx_plane_count(in), j.white, j.bin);
        run(&j, out, error);
    }
    free(j.counts);
    free(j.tables);
    free(j.bin);
    return error->code;
}
