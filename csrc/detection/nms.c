#include "nms.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "../image/plane.h"

enum { STRIPS = 64, CHUNK = 32, DIGITS = 3, DIGIT_BITS = 11, VALUES = 1 << DIGIT_BITS };

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float smaller(float a, float b)
{
    return a < b ? a : b;
}

static inline float area_of(lx_box b)
{
    return larger(b.x2 - b.x1, 0) * larger(b.y2 - b.y1, 0);
}

float lx_box_iou(lx_box a, lx_box b)
{
    const float w = smaller(a.x2, b.x2) - larger(a.x1, b.x1), h = smaller(a.y2, b.y2) - larger(a.y1, b.y1);
    if (w <= 0 || h <= 0)
        return 0;
    const float both = w * h, either = area_of(a) + area_of(b) - both;
    return either > 0 ? both / either : 0;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

static inline bool comes_first(const lx_ranked *a, const lx_ranked *b)
{
    return a->score != b->score ? a->score > b->score : a->place < b->place;
}

typedef enum { BY_PLACE, BY_SCORE, BY_CLASS } ranking;

/* A number that grows with the place or as the score falls, or is that of the class, whose order does not matter. */
static inline uint32_t key_of(const lx_ranked *r, ranking by)
{
    const float score = r->score + 0.0f; /* -0 is 0 */
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    const uint32_t rising = bits ^ (bits >> 31 ? UINT32_MAX : 1U << 31);
    return by == BY_PLACE ? (uint32_t)r->place : by == BY_SCORE ? ~rising : (uint32_t)r->class;
}

/* Sorts n->ranked digit by digit; what is equal keeps its order. */
static void sort_ranked(const lx_nms *n, long count, ranking by)
{
    lx_ranked *from = n->ranked, *to = n->spare;
    int32_t sizes[DIGITS][VALUES] = {{0}};
    for (long i = 0; i < count; i++)
        for (int digit = 0; digit < DIGITS; digit++)
            sizes[digit][key_of(&from[i], by) >> digit * DIGIT_BITS & (VALUES - 1)]++;
    for (int digit = 0; digit < DIGITS; digit++) {
        int32_t *next = sizes[digit], place = 0;
        const int shift = digit * DIGIT_BITS;
        if (next[key_of(&from[0], by) >> shift & (VALUES - 1)] == count)
            continue;
        for (int value = 0; value < VALUES; value++) {
            const int32_t size = next[value];
            next[value] = place;
            place += size;
        }
        for (long i = 0; i < count; i++)
            to[next[key_of(&from[i], by) >> shift & (VALUES - 1)]++] = from[i];
        lx_ranked *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != n->ranked)
        memcpy(n->ranked, from, (size_t)count * sizeof *from);
}

/* ---- kept boxes, in strips of their horizontal centres -------------------------------------------------------- */

/* Arrays of `count` each; strip s has the entries from first[s] on, of which used[s] are filled, and none of its boxes
   reaches further from its centre than reach[s], nor any box of all strips further than `farthest`. */
typedef struct {
    float *x1, *y1, *x2, *y2, *area;
    int32_t first[STRIPS], used[STRIPS];
    float reach[STRIPS], farthest, low, width;
} strips;

static inline float centre_of(lx_box b)
{
    return b.x1 / 2 + b.x2 / 2;
}

static inline int strip_of(const strips *s, float x)
{
    const float at = (x - s->low) / s->width;
    return at >= STRIPS - 1 ? STRIPS - 1 : at > 0 ? (int)at : 0;
}

/* Whether one of `count` boxes overlaps a box by more than `most`. */
LX_WIDE static bool any_over(const float *restrict x1, const float *restrict y1, const float *restrict x2,
                             const float *restrict y2, const float *restrict area, long count, lx_box b, float own,
                             float most)
{
    for (long from = 0; from < count; from += CHUNK) {
        const long to = count - from < CHUNK ? count : from + CHUNK;
        int over = 0;
        for (long i = from; i < to; i++) {
            const float w = larger(smaller(x2[i], b.x2) - larger(x1[i], b.x1), 0);
            const float h = larger(smaller(y2[i], b.y2) - larger(y1[i], b.y1), 0);
            const float both = w * h;
            over |= both > most * (area[i] + own - both);
        }
        if (over)
            return true;
    }
    return false;
}

/* How far the centres of two boxes can be from each other, of half widths `half` and at most `reach`, whose overlap is
   above `most`: what they have in common is at least `most` of each of their widths. */
static inline float farthest(float half, float reach, float most)
{
    const float other = reach < half ? reach : most > 0.5f ? half : smaller(reach, half / most);
    return half + other - 2 * most * larger(half, other);
}

static bool is_suppressed(const strips *s, lx_box b, float most)
{
    const float centre = centre_of(b), half = larger(b.x2 - b.x1, 0) / 2, own = area_of(b);
    const float slack = s->width / 64 + (half + s->farthest) / 1024; /* of rounding */
    const float widest = farthest(half, s->farthest, most) + slack;
    const int last = strip_of(s, centre + widest);
    for (int k = strip_of(s, centre - widest); k <= last; k++) {
        if (!s->used[k])
            continue;
        const float left = s->low + s->width * (float)k, right = left + s->width;
        const float away = k > 0 && centre < left             ? left - centre
                           : k < STRIPS - 1 && centre > right ? centre - right
                                                              : 0;
        if (away > farthest(half, s->reach[k], most) + slack)
            continue;
        const int32_t from = s->first[k];
        if (any_over(s->x1 + from, s->y1 + from, s->x2 + from, s->y2 + from, s->area + from, s->used[k], b, own, most))
            return true;
    }
    return false;
}

static void keep(strips *s, lx_box b)
{
    const int k = strip_of(s, centre_of(b));
    const int32_t at = s->first[k] + s->used[k]++;
    s->x1[at] = b.x1;
    s->y1[at] = b.y1;
    s->x2[at] = b.x2;
    s->y2[at] = b.y2;
    s->area[at] = area_of(b);
    s->reach[k] = larger(s->reach[k], (b.x2 - b.x1) / 2);
    s->farthest = larger(s->farthest, s->reach[k]);
}

/* Strips over the centres of `count` boxes, empty, with room for all of them. */
static void lay_strips(strips *s, const lx_nms *n, const lx_ranked *list, long count)
{
    float low = centre_of(n->boxes[list[0].place]), high = low;
    for (long i = 1; i < count; i++) {
        const float centre = centre_of(n->boxes[list[i].place]);
        low = smaller(low, centre);
        high = larger(high, centre);
    }
    memset(s->used, 0, sizeof s->used);
    memset(s->reach, 0, sizeof s->reach);
    s->farthest = 0;
    s->low = low;
    s->width = high / STRIPS - low / STRIPS;
    if (!(s->width > 0))
        s->width = 1;
    int32_t sizes[STRIPS] = {0}, place = 0;
    for (long i = 0; i < count; i++)
        sizes[strip_of(s, centre_of(n->boxes[list[i].place]))]++;
    for (int k = 0; k < STRIPS; k++) {
        s->first[k] = place;
        place += sizes[k];
    }
}

long lx_nms_hard(const lx_nms *n, float most)
{
    lx_ranked *list = n->ranked;
    strips s = {.x1 = n->work,
                .y1 = n->work + n->count,
                .x2 = n->work + 2 * n->count,
                .y2 = n->work + 3 * n->count,
                .area = n->work + 4 * n->count};
    for (long i = 0; i < n->count; i++)
        list[i] = (lx_ranked){n->classes ? n->classes[i] : 0, (int32_t)i, n->scores[i]};
    if (n->count == 0)
        return 0;
    sort_ranked(n, n->count, BY_SCORE);
    sort_ranked(n, n->count, BY_CLASS);
    const bool classes = list[0].class != list[n->count - 1].class;
    long count = 0;
    for (long from = 0, to; from < n->count; from = to) {
        for (to = from + 1; to < n->count && list[to].class == list[from].class; to++)
            ;
        lay_strips(&s, n, list + from, to - from);
        for (long i = from; i < to; i++) {
            const lx_box box = n->boxes[list[i].place];
            if (is_suppressed(&s, box, most))
                continue;
            keep(&s, box);
            list[count++] = list[i]; /* count <= i */
        }
    }
    if (classes) {
        sort_ranked(n, count, BY_PLACE);
        sort_ranked(n, count, BY_SCORE);
    }
    for (long i = 0; i < count; i++)
        n->kept[i] = list[i].place;
    return count;
}

/* ---- soft ------------------------------------------------------------------------------------------------------- */

long lx_nms_soft(const lx_nms *n, float *scores, lx_nms_decay decay, float most, float sigma, float least)
{
    lx_ranked *list = n->ranked;
    long left = 0, count = 0;
    for (long i = 0; i < n->count; i++)
        if (scores[i] >= least)
            list[left++] = (lx_ranked){n->classes ? n->classes[i] : 0, (int32_t)i, scores[i]};
    while (left > 0) {
        long best = 0;
        for (long i = 1; i < left; i++)
            if (comes_first(&list[i], &list[best]))
                best = i;
        const lx_ranked taken = list[best];
        list[best] = list[--left];
        n->kept[count++] = taken.place;
        scores[taken.place] = taken.score;
        for (long i = 0; i < left;) {
            if (list[i].class == taken.class) {
                const float iou = lx_box_iou(n->boxes[taken.place], n->boxes[list[i].place]);
                if (decay == LX_NMS_GAUSSIAN)
                    list[i].score *= expf(-iou * iou / sigma);
                else if (iou > most)
                    list[i].score *= 1 - iou;
            }
            if (list[i].score < least)
                list[i] = list[--left];
            else
                i++;
        }
    }
    return count;
}
