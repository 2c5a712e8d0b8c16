#include "region.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* A box by its centre and size. */
typedef struct {
    float x, y, w, h;
} centred;

enum { ENTRIES = 5, OBJECTNESS = 4 };

static const float WARMING = 0.01f; /* scale of the coordinates of every anchor, in the first images */

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* How much two intervals have in common, given by centres and lengths. */
static float common(float a, float length, float b, float other)
{
    const float left = fmaxf(a - length / 2, b - other / 2), right = fminf(a + length / 2, b + other / 2);
    return right - left;
}

static float overlap(centred a, centred b)
{
    const float w = common(a.x, a.w, b.x, b.w), h = common(a.y, a.h, b.y, b.h);
    if (w <= 0 || h <= 0)
        return 0;
    const float both = w * h;
    return both / (a.w * a.h + b.w * b.h - both);
}

/* One image under way. The arrays of scales and classes have an entry for each anchor of each cell. */
typedef struct {
    const lx_region *r;
    const float *map;
    float *out;
    float *coord, *object; /* the scales that the differences were made with; 0: there is none */
    float *class;          /* of the object, or -1 */
    float *shares;         /* room for the probabilities of one anchor */
} image;

static ptrdiff_t entry_of(const lx_region *r, int anchor, int entry, int cell)
{
    return ((ptrdiff_t)anchor * (ENTRIES + r->classes) + entry) * r->height * r->width + cell;
}

static ptrdiff_t slot_of(const lx_region *r, int anchor, int cell)
{
    return (ptrdiff_t)anchor * r->height * r->width + cell;
}

static float number(const image *m, int anchor, int entry, int cell)
{
    return m->map[entry_of(m->r, anchor, entry, cell)];
}

static centred box_of(const image *m, int anchor, int cell)
{
    const lx_region *r = m->r;
    return (centred){((float)(cell % r->width) + sigmoid(number(m, anchor, 0, cell))) / (float)r->width,
                     ((float)(cell / r->width) + sigmoid(number(m, anchor, 1, cell))) / (float)r->height,
                     expf(number(m, anchor, 2, cell)) * r->anchor[anchor][0] / (float)r->width,
                     expf(number(m, anchor, 3, cell)) * r->anchor[anchor][1] / (float)r->height};
}

static void set(image *m, int anchor, int entry, int cell, float difference)
{
    m->out[entry_of(m->r, anchor, entry, cell)] = difference;
}

/* The coordinates of an anchor are to become those of a box. */
static void aim(image *m, int anchor, int cell, centred box, float scale)
{
    const lx_region *r = m->r;
    const float w = (float)r->width, h = (float)r->height;
    set(m, anchor, 0, cell, scale * (box.x * w - (float)(cell % r->width) - sigmoid(number(m, anchor, 0, cell))));
    set(m, anchor, 1, cell, scale * (box.y * h - (float)(cell / r->width) - sigmoid(number(m, anchor, 1, cell))));
    set(m, anchor, 2, cell, scale * (logf(box.w * w / r->anchor[anchor][0]) - number(m, anchor, 2, cell)));
    set(m, anchor, 3, cell, scale * (logf(box.h * h / r->anchor[anchor][1]) - number(m, anchor, 3, cell)));
    m->coord[slot_of(r, anchor, cell)] = scale;
}

static void aim_objectness(image *m, int anchor, int cell, float target, float scale)
{
    set(m, anchor, OBJECTNESS, cell, scale * (target - sigmoid(number(m, anchor, OBJECTNESS, cell))));
    m->object[slot_of(m->r, anchor, cell)] = scale;
}

/* The probabilities of an anchor's classes into m->shares. */
static void softmax(image *m, int anchor, int cell)
{
    const int classes = m->r->classes;
    float most = -INFINITY, sum = 0;
    for (int k = 0; k < classes; k++)
        most = fmaxf(most, number(m, anchor, ENTRIES + k, cell));
    for (int k = 0; k < classes; k++)
        sum += m->shares[k] = expf(number(m, anchor, ENTRIES + k, cell) - most);
    for (int k = 0; k < classes; k++)
        m->shares[k] /= sum;
}

/* What holds for every anchor: there is no object, unless its box overlaps one well. */
static void without_objects(image *m, const lx_object *objects, long count, lx_region_sums *sums)
{
    const lx_region *r = m->r;
    for (int anchor = 0; anchor < r->anchors; anchor++)
        for (int cell = 0; cell < r->height * r->width; cell++) {
            const centred box = box_of(m, anchor, cell);
            float best = 0;
            for (long t = 0; t < count; t++)
                best = fmaxf(best, overlap(box, (centred){objects[t].x, objects[t].y, objects[t].w, objects[t].h}));
            if (best <= r->threshold)
                aim_objectness(m, anchor, cell, 0, r->no_object);
            sums->any += sigmoid(number(m, anchor, OBJECTNESS, cell));
            if (r->warming)
                aim(m, anchor, cell,
                    (centred){((float)(cell % r->width) + 0.5f) / (float)r->width,
                              ((float)(cell / r->width) + 0.5f) / (float)r->height,
                              r->anchor[anchor][0] / (float)r->width, r->anchor[anchor][1] / (float)r->height},
                    WARMING);
        }
}

/* Of v3: the anchor whose size is the most like the object's, of all maps; -1 where it is another map's. */
static int best_shape(const lx_region *r, const lx_object *object)
{
    const float w = (float)r->width, h = (float)r->height;
    float best = 0;
    int which = 0;
    for (int k = 0; k < r->shapes; k++) {
        const float iou = overlap((centred){0, 0, r->shape[k][0] / w, r->shape[k][1] / h},
                                  (centred){0, 0, object->w, object->h});
        if (iou > best) {
            best = iou;
            which = k;
        }
    }
    return r->own[which];
}

/* The anchor of a cell whose size is the most like the object's. */
static int best_anchor(const image *m, const lx_object *object, int cell)
{
    const lx_region *r = m->r;
    const centred shape = {0, 0, object->w, object->h};
    float best = 0;
    int which = 0;
    for (int anchor = 0; anchor < r->anchors; anchor++) {
        centred box = {0, 0, r->anchor[anchor][0] / (float)r->width, r->anchor[anchor][1] / (float)r->height};
        if (!r->bias_match) {
            box = box_of(m, anchor, cell);
            box.x = box.y = 0;
        }
        const float iou = overlap(box, shape);
        if (iou > best) {
            best = iou;
            which = anchor;
        }
    }
    return which;
}

/* The classes of an anchor are to become that of an object; of v3 beside those of others that it has already. */
static float aim_class(image *m, int anchor, int cell, int class)
{
    const lx_region *r = m->r;
    if (r->logistic) {
        const bool others = m->class[slot_of(r, anchor, cell)] >= 0;
        for (int k = 0; k < r->classes; k++)
            if (k == class || !others)
                set(m, anchor, ENTRIES + k, cell,
                    r->class * ((float)(k == class) - sigmoid(number(m, anchor, ENTRIES + k, cell))));
        return sigmoid(number(m, anchor, ENTRIES + class, cell));
    }
    softmax(m, anchor, cell);
    for (int k = 0; k < r->classes; k++)
        set(m, anchor, ENTRIES + k, cell, r->class * ((float)(k == class) - m->shares[k]));
    return m->shares[class];
}

static void with_object(image *m, const lx_object *object, lx_region_sums *sums)
{
    const lx_region *r = m->r;
    const int column = (int)(object->x * (float)r->width), row = (int)(object->y * (float)r->height);
    const int cell = row * r->width + column;
    const int anchor = r->logistic ? best_shape(r, object) : best_anchor(m, object, cell);
    if (anchor < 0)
        return;
    const centred box = {object->x, object->y, object->w, object->h};
    const float iou = overlap(box_of(m, anchor, cell), box);
    aim(m, anchor, cell, box, r->coord * (r->by_size ? 2 - object->w * object->h : 1));
    aim_objectness(m, anchor, cell, r->rescore ? iou : 1, r->object);
    sums->class += aim_class(m, anchor, cell, object->class);
    m->class[slot_of(r, anchor, cell)] = (float)object->class;
    sums->iou += iou;
    sums->recall += iou > 0.5f;
    sums->objectness += sigmoid(number(m, anchor, OBJECTNESS, cell));
    sums->objects++;
}

/* Half of scale x difference^2, from scale x difference. */
static double half_square(float difference, float scale)
{
    return scale > 0 ? 0.5 * (double)difference * difference / scale : 0;
}

/* The cross-entropy of the sigmoid of a number with the target that scale x difference was made with, times scale. */
static double cross_entropy(float difference, float scale, float at)
{
    if (scale <= 0)
        return 0;
    const double z = at, target = (double)difference / scale + 1 / (1 + exp(-z));
    return scale * (fmax(z, 0) + log1p(exp(-fabs(z))) - target * z);
}

/* The part of the loss that an entry of an anchor belongs to. */
static double *part_of(lx_region_sums *sums, int entry, bool has_object)
{
    if (entry != OBJECTNESS)
        return &sums->coordinates;
    return has_object ? &sums->object : &sums->no_object;
}

/* Adds the loss and the cost up, once it is known which anchors have objects. */
static void add_up(image *m, lx_region_sums *sums)
{
    const lx_region *r = m->r;
    for (int anchor = 0; anchor < r->anchors; anchor++)
        for (int cell = 0; cell < r->height * r->width; cell++) {
            const ptrdiff_t slot = slot_of(r, anchor, cell);
            for (int entry = 0; entry < ENTRIES; entry++) {
                float *difference = &m->out[entry_of(r, anchor, entry, cell)];
                const float scale = entry == OBJECTNESS ? m->object[slot] : m->coord[slot];
                const float at = number(m, anchor, entry, cell);
                const bool is_size = entry == 2 || entry == 3;
                *part_of(sums, entry, m->class[slot] >= 0) += r->logistic && !is_size
                                                                  ? cross_entropy(*difference, scale, at)
                                                                  : half_square(*difference, scale);
                if (r->through_sigmoid && !is_size) {
                    const float y = sigmoid(at);
                    *difference *= y * (1 - y);
                }
            }
            for (int k = 0; r->logistic && m->class[slot] >= 0 && k < r->classes; k++)
                sums->kinds += cross_entropy(m->out[entry_of(r, anchor, ENTRIES + k, cell)], r->class,
                                             number(m, anchor, ENTRIES + k, cell));
            if (m->class[slot] >= 0 && !r->logistic) {
                softmax(m, anchor, cell);
                sums->kinds -= r->class * log(fmax((double)m->shares[(int)m->class[slot]], 1e-38));
            }
        }
    const ptrdiff_t count = entry_of(r, r->anchors, 0, 0);
    for (ptrdiff_t i = 0; i < count; i++)
        sums->cost += (double)m->out[i] * m->out[i];
}

void lx_region_differences(const lx_region *r, const float *map, const lx_object *objects, long count,
                           float *differences, float *work, lx_region_sums *sums)
{
    const ptrdiff_t slots = slot_of(r, r->anchors, 0);
    image m = {r, map, differences, work, work + slots, work + 2 * slots, work + 3 * slots};
    memset(differences, 0, sizeof *differences * (size_t)entry_of(r, r->anchors, 0, 0));
    memset(work, 0, sizeof *work * (size_t)(2 * slots));
    for (ptrdiff_t i = 0; i < slots; i++)
        m.class[i] = -1;
    without_objects(&m, objects, count, sums);
    for (long t = 0; t < count; t++)
        with_object(&m, &objects[t], sums);
    add_up(&m, sums);
}
