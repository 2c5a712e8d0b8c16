#include "lungs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "geometry.h"
#include "morphology.h"

/* All is done on a thumbnail of SIDE x SIDE, so that what follows is in parts of the picture, whatever its shape. The
   numbers were chosen on one half of a set of radiographs with lung masks, and measured on the other (docs/lungs.md).
   */
enum { SIDE = 128, PIXELS = SIDE * SIDE };
static const double DARKEST_BAR = 0.06;               /* of the brightest levels: the rows of a bar have no more */
static const double FINE = 1.5, COARSE = 10;          /* deviations of Gaussians: of a spot, and of its surroundings */
static const double LUNG_X = 0.28, LUNG_Y = 0.45;     /* where the middle of a lung is expected */
static const double SPREAD_X = 0.09, SPREAD_Y = 0.25; /* and how far from there it still counts */
static const double LEAST = 0.05;                     /* of the strongest evidence: what still belongs to it */
static const double SIDE_MARGIN = 0.12, UPPER_MARGIN = 0.07, LOWER_MARGIN = 0.12;

/* The planes of one call. */
typedef struct {
    float thumbnail[PIXELS], fine[PIXELS], coarse[PIXELS], evidence[PIXELS], spare[PIXELS];
    uint8_t found[PIXELS];
    int32_t labels[PIXELS];
} job;

static lx_plane floats(float *samples)
{
    return (lx_plane){SIDE, SIDE, LX_PLANE_F32, samples};
}

/* A part of the picture, brought to SIDE x SIDE. */
static lx_code shrink(const lx_plane *in, const lx_rect *part, float *thumbnail, lx_error *error)
{
    lx_plane copy = {part->width, part->height, LX_PLANE_F32, NULL};
    copy.samples = malloc(lx_plane_bytes(&copy));
    if (!copy.samples)
        return lx_fail(error, LX_ENOMEM, "find_lungs: out of memory for %d x %d pixels", part->height, part->width);
    float *to = copy.samples;
    for (int y = 0; y < part->height; y++) {
        const void *row = lx_plane_row(in, part->y + y);
        for (int x = part->x; x < part->x + part->width; x++)
            *to++ = in->type == LX_PLANE_U8 ? ((const uint8_t *)row)[x] : ((const float *)row)[x];
    }
    lx_plane out = floats(thumbnail);
    lx_resize(&copy, &out, LX_AREA, true, error);
    free(copy.samples);
    return error->code;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The level below which a share of `count` samples lies, which are `step` apart. */
static float share_of(const float *samples, int count, int step, double share, float *spare)
{
    for (int i = 0; i < count; i++)
        spare[i] = samples[i * step];
    qsort(spare, (size_t)count, sizeof *spare, by_value);
    return spare[(int)(share * (count - 1) + 0.5)];
}

/* The first and the last row (of samples `along` apart, rows `step` apart) that is not a part of a dark bar. */
static void find_bars(job *j, int along, int step, float limit, int *first, int *last)
{
    *first = SIDE, *last = -1;
    for (int i = 0; i < SIDE; i++) {
        if (share_of(j->thumbnail + i * step, SIDE, along, 0.9, j->spare) <= limit)
            continue;
        *first = i < *first ? i : *first;
        *last = i;
    }
    if (*last - *first < SIDE / 3) /* too little to be a radiograph */
        *first = 0, *last = SIDE - 1;
}

static lx_rect without_bars(job *j, const lx_plane *in)
{
    int left, right, top, low;
    const float limit = (float)DARKEST_BAR * share_of(j->thumbnail, PIXELS, 1, 0.99, j->spare);
    find_bars(j, SIDE, 1, limit, &left, &right);
    find_bars(j, 1, SIDE, limit, &top, &low);
    lx_rect part = {(int)((long)left * in->width / SIDE), (int)((long)top * in->height / SIDE), 0, 0};
    part.width = (int)(((long)right + 1) * in->width / SIDE) - part.x;
    part.height = (int)(((long)low + 1) * in->height / SIDE) - part.y;
    return part;
}

/* How much darker than its surroundings each place is, in deviations of the surroundings, times how much it is
   expected. */
static lx_code gather_evidence(job *j, lx_error *error)
{
    lx_plane thumbnail = floats(j->thumbnail), evidence = floats(j->evidence);
    lx_plane fine = floats(j->fine), coarse = floats(j->coarse), spare = floats(j->spare);
    const float dark = share_of(j->thumbnail, PIXELS, 1, 0.01, j->spare);
    const float bright = share_of(j->thumbnail, PIXELS, 1, 0.99, j->spare);
    /* what differs less than this is one level, and rounding */
    const float scale = bright - dark > 1e-3f * fmaxf(fabsf(bright), fabsf(dark)) ? 1 / (bright - dark) : 0;
    for (int i = 0; i < PIXELS; i++)
        j->thumbnail[i] = fminf(fmaxf((j->thumbnail[i] - dark) * scale, 0), 1);
    if (lx_gaussian_blur(&thumbnail, &fine, FINE, error) || lx_gaussian_blur(&thumbnail, &coarse, COARSE, error))
        return error->code;
    for (int i = 0; i < PIXELS; i++)
        j->evidence[i] = (j->thumbnail[i] - j->coarse[i]) * (j->thumbnail[i] - j->coarse[i]);
    if (lx_gaussian_blur(&evidence, &spare, COARSE, error))
        return error->code;
    for (int i = 0; i < PIXELS; i++) {
        const double x = (double)(i % SIDE) / SIDE, y = ((double)(i / SIDE) / SIDE - LUNG_Y) / SPREAD_Y;
        const double side = ((x < 0.5 ? x : 1 - x) - LUNG_X) / SPREAD_X;
        const double expected = exp(-0.5 * (side * side + y * y));
        const float darker = fmaxf(j->coarse[i] - j->fine[i], 0) / (sqrtf(j->spare[i]) + 0.02f);
        j->evidence[i] = darker * (float)expected;
    }
    return LX_OK;
}

/* Makes `box` the one around both. */
static void include(lx_rect *box, const lx_component *c)
{
    const int right = box->x + box->width, low = box->y + box->height;
    box->x = c->left < box->x ? c->left : box->x;
    box->y = c->top < box->y ? c->top : box->y;
    box->width = (c->right + 1 > right ? c->right + 1 : right) - box->x;
    box->height = (c->low + 1 > low ? c->low + 1 : low) - box->y;
}

/* The box around the group with the most evidence on each side of the middle, on the thumbnail; untouched if there is
   none. */
static lx_code find_groups(job *j, lx_rect *box, lx_error *error)
{
    const float least = (float)LEAST * share_of(j->evidence, PIXELS, 1, 0.98, j->spare);
    for (int i = 0; i < PIXELS; i++)
        j->found[i] = j->evidence[i] > least;
    lx_component *groups;
    long count, best[2] = {-1, -1};
    const lx_plane found = {SIDE, SIDE, LX_PLANE_U8, j->found};
    if (lx_connected_components(&found, false, j->labels, &groups, &count, error))
        return error->code;
    memset(j->spare, 0, sizeof j->spare); /* the evidence of each group: there are fewer of them than pixels */
    for (int i = 0; i < PIXELS; i++)
        if (j->labels[i])
            j->spare[j->labels[i] - 1] += j->evidence[i];
    for (long i = 0; i < count; i++) {
        long *at = &best[groups[i].x >= SIDE / 2.0];
        if (*at < 0 || j->spare[i] > j->spare[*at])
            *at = i;
    }
    if (best[0] >= 0 || best[1] >= 0)
        *box = (lx_rect){SIDE, SIDE, -SIDE, -SIDE};
    for (int side = 0; side < 2; side++)
        if (best[side] >= 0)
            include(box, &groups[best[side]]);
    free(groups);
    return LX_OK;
}

/* From a coordinate on the thumbnail of `length` pixels that start at `start`, cut off at their ends. */
static int place_of(double at, int start, int length)
{
    return start + (int)lrint(fmin(fmax(at / SIDE, 0), 1) * length);
}

lx_code lx_find_lungs(const lx_plane *in, lx_rect *box, lx_error *error)
{
    lx_rect found = {0, 0, 0, 0};
    const lx_rect all = {0, 0, in->width, in->height};
    job *j = malloc(sizeof *j);
    if (!j)
        return lx_fail(error, LX_ENOMEM, "find_lungs: out of memory");
    if (!shrink(in, &all, j->thumbnail, error)) {
        *box = without_bars(j, in);
        if (!shrink(in, box, j->thumbnail, error) && !gather_evidence(j, error) && !find_groups(j, &found, error) &&
            found.width > 0) {
            const lx_rect part = *box;
            box->x = place_of(found.x - SIDE_MARGIN * SIDE, part.x, part.width);
            box->y = place_of(found.y - UPPER_MARGIN * SIDE, part.y, part.height);
            box->width = place_of(found.x + found.width + SIDE_MARGIN * SIDE, part.x, part.width) - box->x;
            box->height = place_of(found.y + found.height + LOWER_MARGIN * SIDE, part.y, part.height) - box->y;
        }
    }
    free(j);
    return error->code;
}
