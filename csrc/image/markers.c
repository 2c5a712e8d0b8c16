#include "markers.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "geometry.h"
#include "morphology.h"

/* Looked for where the longer side has at most so many pixels: larger ones show the grain. */
enum { WORK_SIDE = 512, LEAST_SIDE = 32, MOST_GROUPS = 256 };

/* Shares of the shorter side: of what the background is taken from, and of the height and the width of a group. */
static const double BACKGROUND = 0.12, LEAST_HEIGHT = 0.015, MOST_HEIGHT = 0.15, MOST_WIDTH = 0.25;
/* A group's middle lies within this share of an edge. */
static const double OUTER = 0.22;
/* Levels above the background. */
static const float ABOVE = 50;
/* Levels from which on groups are looked for, as what hangs together with something else at one may be alone at a
   higher one, and the steps of levels a pixel at the edge of a group there, which bones have as well where they are
   bright. */
enum { LEVELS = 3 };
static const float BRIGHT[LEVELS] = {110, 160, 210};
static const double SHARP[LEVELS] = {20, 32, 40};

typedef struct {
    int left, top, right, low;
    double contrast, area;
} group;

/* Of one size: the picture, what stands out of it, where that is enough, the steps of levels, and the numbers. */
typedef struct {
    lx_plane levels, above, mask, steps;
    int32_t *labels;
    double scale; /* pixels of the input in one of these */
} room;

static void *make_plane(lx_plane *plane, int width, int height, lx_plane_type type)
{
    *plane = (lx_plane){width, height, type, NULL};
    return plane->samples = malloc(lx_plane_bytes(plane));
}

static void give_back(room *r)
{
    free(r->levels.samples);
    free(r->above.samples);
    free(r->mask.samples);
    free(r->steps.samples);
    free(r->labels);
}

static lx_code make_room(const lx_plane *in, room *r, lx_error *error)
{
    const int longer = in->width > in->height ? in->width : in->height;
    r->scale = longer > WORK_SIDE ? (double)longer / WORK_SIDE : 1;
    const int width = (int)fmax(1, in->width / r->scale), height = (int)fmax(1, in->height / r->scale);
    const bool done = make_plane(&r->levels, width, height, LX_PLANE_F32) &&
                      make_plane(&r->above, width, height, LX_PLANE_F32) &&
                      make_plane(&r->mask, width, height, LX_PLANE_U8) &&
                      make_plane(&r->steps, width, height, LX_PLANE_F32) &&
                      (r->labels = malloc(lx_plane_count(&r->mask) * sizeof *r->labels));
    return done ? LX_OK : lx_fail(error, LX_ENOMEM, "markers: out of memory for %d x %d pixels", height, width);
}

/* The picture at the size of work, as floats. */
static lx_code fill_levels(const lx_plane *in, room *r, lx_error *error)
{
    const size_t count = lx_plane_count(&r->levels);
    float *levels = r->levels.samples;
    lx_plane same = r->levels;
    same.type = in->type;
    if (in->type == LX_PLANE_F32)
        return lx_resize(in, &r->levels, LX_AREA, true, error);
    same.samples = r->mask.samples; /* which is of bytes, and is filled later */
    if (lx_resize(in, &same, LX_AREA, true, error))
        return error->code;
    for (size_t i = 0; i < count; i++)
        levels[i] = ((const uint8_t *)same.samples)[i];
    return LX_OK;
}

static lx_code fill_above(room *r, lx_error *error)
{
    const int shorter = r->mask.width < r->mask.height ? r->mask.width : r->mask.height;
    const int size = (int)(BACKGROUND * shorter / 2) * 2 + 1;
    return lx_morphology(&r->levels, &r->above, LX_TOP_HAT, LX_RECTANGLE, size, error)
               ? error->code
               : lx_sobel_magnitude(&r->levels, &r->steps, error);
}

static void fill_mask(room *r, float bright)
{
    const float *levels = r->levels.samples, *above = r->above.samples;
    uint8_t *mask = r->mask.samples;
    for (size_t i = 0; i < lx_plane_count(&r->mask); i++)
        mask[i] = above[i] >= ABOVE && levels[i] >= bright;
}

/* The mean step of levels, in levels a pixel, at the pixels of a group that have a neighbour outside it; and the mean
   of what they stand out by. */
static void measure_edge(const room *r, int32_t label, const lx_component *c, double *step, double *contrast)
{
    const int width = r->mask.width;
    const float *steps = r->steps.samples, *above = r->above.samples;
    double sum = 0, out = 0;
    long edge = 0;
    for (int y = c->top; y <= c->low; y++)
        for (int x = c->left; x <= c->right; x++) {
            const size_t at = (size_t)y * (size_t)width + (size_t)x;
            if (r->labels[at] != label)
                continue;
            out += (double)above[at];
            if (r->labels[at - 1] != label || r->labels[at + 1] != label || r->labels[at - (size_t)width] != label ||
                r->labels[at + (size_t)width] != label) {
                sum += (double)steps[at] / 8; /* the weights of the mask add up to that */
                edge++;
            }
        }
    *step = edge ? sum / (double)edge : 0;
    *contrast = out / (double)c->area;
}

/* Whether a group is as large as a letter, and lies where markers do; those at the very edge are parts of frames. */
static bool fits(const room *r, const lx_component *c)
{
    const int width = r->mask.width, height = r->mask.height, shorter = width < height ? width : height;
    const int w = c->right - c->left + 1, h = c->low - c->top + 1;
    const double x = fmin(c->x + 0.5, width - c->x - 0.5) / width, y = fmin(c->y + 0.5, height - c->y - 0.5) / height;
    return c->left > 0 && c->top > 0 && c->right < width - 1 && c->low < height - 1 && c->area >= 4 &&
           h >= fmax(3, LEAST_HEIGHT * shorter) && h <= MOST_HEIGHT * shorter && w <= MOST_WIDTH * shorter &&
           fmin(x, y) < OUTER;
}

/* Letters of a line: side by side, less than a height apart. */
static bool belong_together(const group *a, const group *b)
{
    const int high = a->low - a->top + 1, other = b->low - b->top + 1, least = high < other ? high : other;
    const int shared = (a->low < b->low ? a->low : b->low) - (a->top > b->top ? a->top : b->top) + 1;
    const int gap = (a->left > b->left ? a->left : b->left) - (a->right < b->right ? a->right : b->right) - 1;
    return 2 * shared >= least && gap <= least;
}

static void join(group *a, const group *b)
{
    a->contrast = (a->contrast * a->area + b->contrast * b->area) / (a->area + b->area);
    a->area += b->area;
    a->left = a->left < b->left ? a->left : b->left;
    a->top = a->top < b->top ? a->top : b->top;
    a->right = a->right > b->right ? a->right : b->right;
    a->low = a->low > b->low ? a->low : b->low;
}

/* Joins what belongs together until nothing more does; returns how many groups are left. */
static int join_all(group *groups, int count)
{
    for (int a = 0; a < count; a++)
        for (int b = a + 1; b < count; b++)
            if (belong_together(&groups[a], &groups[b])) {
                join(&groups[a], &groups[b]);
                groups[b] = groups[--count];
                a = -1; /* the larger one may belong to one that was passed */
                break;
            }
    return count;
}

static int by_contrast(const void *a, const void *b)
{
    const group *first = a, *second = b;
    if (first->contrast != second->contrast)
        return first->contrast > second->contrast ? -1 : 1;
    return first->top != second->top ? first->top - second->top : first->left - second->left;
}

static int by_row(const void *a, const void *b)
{
    const lx_marker *first = a, *second = b;
    return first->y != second->y ? first->y - second->y : first->x - second->x;
}

static bool overlap(const group *a, const group *b)
{
    return a->left <= b->right && b->left <= a->right && a->top <= b->low && b->top <= a->low;
}

/* Adds those that are letters by their size, place and edges, and lie on none of those before; returns how many there
   are. */
static int keep_groups(const room *r, const lx_component *found, long count, double sharp, group *groups, int kept)
{
    const int before = kept;
    for (long i = 0; i < count && kept < MOST_GROUPS; i++) {
        const lx_component *c = &found[i];
        double step, contrast;
        bool known = false;
        if (!fits(r, c))
            continue;
        measure_edge(r, (int32_t)(i + 1), c, &step, &contrast);
        groups[kept] = (group){c->left, c->top, c->right, c->low, contrast, (double)c->area};
        for (int k = 0; k < before && !known; k++)
            known = overlap(&groups[k], &groups[kept]);
        kept += step >= sharp && !known;
    }
    return kept;
}

/* The groups of all levels, those of a line joined. */
static lx_code gather(room *r, group *groups, int *kept, lx_error *error)
{
    *kept = 0;
    for (int level = 0; level < LEVELS; level++) {
        lx_component *found;
        long count;
        fill_mask(r, BRIGHT[level]);
        if (lx_connected_components(&r->mask, true, r->labels, &found, &count, error))
            return error->code;
        *kept = keep_groups(r, found, count, SHARP[level], groups, *kept);
        free(found);
    }
    *kept = join_all(groups, *kept);
    return LX_OK;
}

static lx_code find(const lx_plane *in, room *r, lx_marker *markers, int *count, lx_error *error)
{
    group groups[MOST_GROUPS];
    int kept;
    if (make_room(in, r, error) || fill_levels(in, r, error) || fill_above(r, error) || gather(r, groups, &kept, error))
        return error->code;
    qsort(groups, (size_t)kept, sizeof *groups, by_contrast);
    kept = kept < LX_MOST_MARKERS ? kept : LX_MOST_MARKERS;
    for (int i = 0; i < kept; i++) {
        const int x = (int)(groups[i].left * r->scale), y = (int)(groups[i].top * r->scale);
        const int right = (int)ceil((groups[i].right + 1) * r->scale), low = (int)ceil((groups[i].low + 1) * r->scale);
        markers[i] = (lx_marker){x, y, (right < in->width ? right : in->width) - x,
                                 (low < in->height ? low : in->height) - y, groups[i].contrast};
    }
    qsort(markers, (size_t)kept, sizeof *markers, by_row);
    *count = kept;
    return LX_OK;
}

lx_code lx_find_markers(const lx_plane *in, lx_marker markers[LX_MOST_MARKERS], int *count, lx_error *error)
{
    room r;
    memset(&r, 0, sizeof r);
    *count = 0;
    if (in->width < LEAST_SIDE || in->height < LEAST_SIDE) /* letters have no shape there */
        return LX_OK;
    find(in, &r, markers, count, error);
    give_back(&r);
    return error->code;
}
