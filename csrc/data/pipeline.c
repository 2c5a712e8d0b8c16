#include "pipeline.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"

enum { MOST_CELLS = 16 };

struct lx_pipeline {
    atomic_int references;
    lx_pipeline_options options;
    int count;
    int warp_at; /* the step before which the picture is warped: the first that moves pixels, or 0 */
    lx_step steps[LX_MOST_STEPS];
    float styles[]; /* style_count x LX_STYLE_LEVELS */
};

/* Whether the warp may come after a step. */
static bool goes_before_warp(int kind)
{
    const lx_step_role role = lx_step_role_of(kind);
    return role == LX_STEP_LEVELS || role == LX_STEP_CHOOSES;
}

lx_pipeline *lx_pipeline_new(const lx_step *steps, int count, const lx_pipeline_options *options, lx_error *error)
{
    const size_t styles = sizeof(float) * LX_STYLE_LEVELS * (size_t)options->style_count;
    lx_pipeline *self = calloc(1, sizeof *self + styles);
    if (!self) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    atomic_init(&self->references, 1);
    self->options = *options;
    self->count = count;
    memcpy(self->steps, steps, sizeof *steps * (size_t)count);
    if (styles)
        memcpy(self->styles, options->styles, styles);
    self->options.styles = self->styles;
    while (self->warp_at < count && goes_before_warp(steps[self->warp_at].kind))
        self->warp_at++;
    if (self->warp_at == count)
        self->warp_at = 0;
    return self;
}

lx_pipeline *lx_pipeline_retain(lx_pipeline *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void lx_pipeline_release(lx_pipeline *self)
{
    if (self && atomic_fetch_sub(&self->references, 1) == 1)
        free(self);
}

void lx_pipeline_size(const lx_pipeline *self, int width, int height, int *out_width, int *out_height)
{
    *out_width = self->options.width ? self->options.width : width;
    *out_height = self->options.height ? self->options.height : height;
}

/* ---- drawing -------------------------------------------------------------------------------------------------- */

/* What one passage does: steps before the warp, what the warp consists of, and steps after it. */
typedef struct {
    lx_drawn drawn[LX_MOST_DRAWN];
    int count;
    int before; /* so many of them come before the warp */
} passage;

static void draw_passage(const lx_pipeline *self, lx_draw draw, passage *p)
{
    bool left_out[LX_MOST_STEPS] = {false};
    p->count = p->before = 0;
    for (int i = 0; i < self->count; i++) {
        lx_dice dice = {draw, (uint64_t)i, 0};
        if (i == self->warp_at)
            p->before = p->count;
        if (lx_step_role_of(self->steps[i].kind) == LX_STEP_CHOOSES)
            lx_step_choose(&self->steps[i], &dice, left_out + i + 1);
        else if (!left_out[i])
            p->count += lx_step_draw(&self->steps[i], &dice, p->drawn + p->count, LX_MOST_DRAWN - p->count);
    }
    for (int i = 0; i < p->count; i++)
        if (lx_step_takes_style(p->drawn[i].kind))
            p->drawn[i].levels = self->styles +
                                 LX_STYLE_LEVELS * lx_step_style(&p->drawn[i], self->options.style_count);
}

void lx_pipeline_describe(const lx_pipeline *self, lx_draw draw, char *text, size_t room)
{
    passage p;
    draw_passage(self, draw, &p);
    size_t length = 0;
    if (room > 0)
        text[0] = '\0';
    for (int i = 0; i < p.count && length + 4 < room; i++) {
        if (lx_step_role_of(p.drawn[i].kind) == LX_STEP_MARKS)
            continue;
        length += (size_t)snprintf(text + length, room - length, length ? ", " : "");
        length += (size_t)lx_step_describe(&p.drawn[i], text + length, room - length);
    }
}

/* ---- the warp ------------------------------------------------------------------------------------------------- */

/* From the picture that comes out to the one that went in, before anything else moves. */
static void fit_matrix(const lx_pipeline *self, int width, int height, int out_width, int out_height, double out[9])
{
    double x = (double)width / out_width, y = (double)height / out_height;
    if (self->options.fit == LX_FIT_PAD)
        x = y = fmax(x, y);
    else if (self->options.fit == LX_FIT_CROP)
        x = y = fmin(x, y);
    memcpy(out, (double[9]){x, 0, (width - x * out_width) / 2, 0, y, (height - y * out_height) / 2, 0, 0, 1},
           9 * sizeof *out);
}

/* Composes all movement of a passage between planes of these sizes; false if nothing moves but the size. */
static bool compose(const lx_pipeline *self, lx_draw draw, const passage *p, const lx_plane *in, const lx_plane *out,
                    lx_map *map, float *nodes)
{
    bool moved = self->options.fit != LX_FIT_STRETCH &&
                 (int64_t)in->width * out->height != (int64_t)in->height * out->width;
    map->bend.x = NULL;
    fit_matrix(self, in->width, in->height, out->width, out->height, map->matrix);
    for (int i = 0; i < p->count; i++)
        if (lx_step_role_of(p->drawn[i].kind) == LX_STEP_MOVES) {
            lx_step_move(&p->drawn[i], draw, out->width, out->height, map, nodes);
            moved = true;
        }
    return moved;
}

/* Interpolation between neighbours skips pixels where the picture shrinks to less than half, so there it is first
   reduced by a whole number, each pixel the mean of those that it stands for. */
static lx_code warp(const lx_plane *in, lx_plane *out, const lx_map *map, const lx_pipeline_options *options,
                    lx_error *error)
{
    const double *m = map->matrix;
    const int times = (int)(sqrt(fabs(m[0] * m[4] - m[1] * m[3])) + 0.25);
    if (times < 2 || in->width < 2 * times || in->height < 2 * times)
        return lx_warp(in, out, map, LX_BILINEAR, options->border, options->fill, error);
    lx_plane small = {(in->width + times / 2) / times, (in->height + times / 2) / times, in->type, NULL};
    small.samples = malloc(lx_plane_bytes(&small));
    if (!small.samples)
        return lx_fail(error, LX_ENOMEM, "out of memory for an image of %d x %d pixels", small.height, small.width);
    const lx_map smaller = lx_map_scaled(map, (double)small.width / in->width, (double)small.height / in->height);
    if (!lx_resize(in, &small, LX_AREA, false, error))
        lx_warp(&small, out, &smaller, LX_BILINEAR, options->border, options->fill, error);
    free(small.samples);
    return error->code;
}

/* The mask shows the same as the image, perhaps at another size; whole numbers of pixels leave it a little beside. */
static lx_code warp_mask(const lx_sample *in, lx_sample *out, const lx_map *map, lx_border border, lx_error *error)
{
    const lx_plane *mask = &in->mask, *image = &in->image;
    const int64_t apart = (int64_t)mask->width * image->height - (int64_t)image->width * mask->height;
    if (llabs(apart) > mask->width + mask->height)
        return lx_fail(error, LX_EFORMAT, "the mask has %d x %d pixels, its image %d x %d: not in the same proportion",
                       mask->height, mask->width, image->height, image->width);
    const lx_map own = lx_map_scaled(map, (double)mask->width / image->width, (double)mask->height / image->height);
    return lx_warp(mask, &out->mask, &own, LX_NEAREST, border, 0, error);
}

/* A box as the smallest upright one around where its corners went, cut off at the picture's edges. */
static void move_box(const lx_map *map, const lx_plane *out, const float in_box[4], float box[4])
{
    double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
    for (int i = 0; i < 4; i++) {
        const double corner[2] = {(double)in_box[0] + (i % 2) * (double)in_box[2],
                                  (double)in_box[1] + (i / 2) * (double)in_box[3]};
        double seen[2];
        if (!lx_map_forward(map, out->width, out->height, corner, seen))
            continue;
        for (int k = 0; k < 2; k++) {
            low[k] = fmin(low[k], seen[k]);
            high[k] = fmax(high[k], seen[k]);
        }
    }
    const double limit[2] = {out->width, out->height};
    for (int k = 0; k < 2; k++) {
        low[k] = fmin(fmax(low[k], 0), limit[k]);
        high[k] = fmin(fmax(high[k], low[k]), limit[k]);
        box[k] = (float)low[k];
        box[2 + k] = (float)(high[k] - low[k]);
    }
    if (box[2] <= 0 || box[3] <= 0)
        box[2] = box[3] = 0;
}

/* ---- a passage ------------------------------------------------------------------------------------------------ */

/* One plane through steps that change levels, between two buffers; the result is in *at. */
static lx_code apply_all(const lx_drawn *drawn, int count, lx_draw draw, int plane, lx_plane *at, lx_plane *other,
                         lx_error *error)
{
    for (int i = 0; i < count && !error->code; i++) {
        if (lx_step_role_of(drawn[i].kind) != LX_STEP_LEVELS)
            continue;
        other->width = at->width;
        other->height = at->height;
        lx_step_apply(&drawn[i], draw, plane, at, other, error);
        const lx_plane swap = *at;
        *at = *other;
        *other = swap;
    }
    return error->code;
}

static lx_plane channel(const lx_plane *first, int i)
{
    lx_plane plane = *first;
    plane.samples = (char *)first->samples + (size_t)i * lx_plane_bytes(first);
    return plane;
}

/* One channel from end to end. `room` has two buffers, each large enough for the picture before and after the warp. */
static lx_code run_plane(const lx_pipeline *self, lx_draw draw, const passage *p, const lx_map *map, bool moved,
                         int number, const lx_plane *in, lx_plane *out, char *room, size_t half, lx_error *error)
{
    lx_plane at = *in, other = {0, 0, in->type, room + half};
    if (p->before > 0) {
        at.samples = room;
        memcpy(room, in->samples, lx_plane_bytes(in));
        if (apply_all(p->drawn, p->before, draw, number, &at, &other, error))
            return error->code;
    }
    lx_plane warped = {out->width, out->height, in->type, at.samples == room ? room + half : room};
    if (moved)
        warp(&at, &warped, map, &self->options, error);
    else if (in->width != out->width || in->height != out->height)
        lx_resize(&at, &warped, LX_BILINEAR, true, error);
    else
        memcpy(warped.samples, at.samples, lx_plane_bytes(&at));
    other.samples = warped.samples == room ? room + half : room;
    if (!error->code && !apply_all(p->drawn + p->before, p->count - p->before, draw, number, &warped, &other, error))
        memcpy(out->samples, warped.samples, lx_plane_bytes(out));
    return error->code;
}

lx_code lx_pipeline_run(const lx_pipeline *self, lx_draw draw, const lx_sample *in, lx_sample *out, lx_error *error)
{
    passage p;
    lx_map map;
    float nodes[2 * (MOST_CELLS + 3) * (MOST_CELLS + 3)];
    for (int i = 0; i < self->count; i++)
        if (lx_step_takes_style(self->steps[i].kind) && self->options.style_count == 0)
            return lx_fail(error, LX_EARG, "the step 'style' takes the levels of other images, and none were given");
    draw_passage(self, draw, &p);
    const bool moved = compose(self, draw, &p, &in->image, &out->image, &map, nodes);
    const size_t before = lx_plane_bytes(&in->image), after = lx_plane_bytes(&out->image);
    const size_t half = ((before > after ? before : after) + 63) / 64 * 64;
    char *room = malloc(2 * half);
    if (!room)
        return lx_fail(error, LX_ENOMEM, "out of memory for an image of %d x %d pixels", in->image.height,
                       in->image.width);
    for (int i = 0; i < in->channels && !error->code; i++) {
        const lx_plane from = channel(&in->image, i);
        lx_plane to = channel(&out->image, i);
        run_plane(self, draw, &p, &map, moved, i, &from, &to, room, half, error);
    }
    free(room);
    if (!error->code && in->mask.samples)
        warp_mask(in, out, &map, self->options.border, error);
    return error->code;
}

void lx_pipeline_boxes(const lx_pipeline *self, lx_draw draw, int width, int height, const float (*in)[4],
                       float (*out)[4], int count)
{
    passage p;
    lx_map map;
    float nodes[2 * (MOST_CELLS + 3) * (MOST_CELLS + 3)];
    const lx_plane from = {width, height, LX_PLANE_U8, NULL};
    lx_plane to = from;
    lx_pipeline_size(self, width, height, &to.width, &to.height);
    draw_passage(self, draw, &p);
    compose(self, draw, &p, &from, &to, &map, nodes);
    for (int i = 0; i < count; i++)
        move_box(&map, &to, in[i], out[i]);
}
