/* The kinds of steps of a pipeline, what each draws, and what it does. */
#ifndef LX_STEPS_H
#define LX_STEPS_H

#include "../image/geometry.h"
#include "pipeline.h"

/* A step after its random numbers were drawn. */
typedef struct {
    int kind;
    double v[LX_STEP_VALUES]; /* what it does exactly; for each kind see steps.c */
    uint64_t noise;           /* names the random numbers of steps that draw one for each pixel */
    const float *levels;      /* of the step `style`: the LX_STYLE_LEVELS quantiles of another image */
} lx_drawn;

enum { LX_MOST_DRAWN = 128 };

/* Random numbers of one step of one passage, one after the other. */
typedef struct {
    lx_draw draw;
    uint64_t step, next;
} lx_dice;

double lx_dice_uniform(lx_dice *dice, double low, double high);

/* Draws a step: writes what it becomes, usually one drawn step or none, and returns how many. */
int lx_step_draw(const lx_step *step, lx_dice *dice, lx_drawn *drawn, int room);

/* Which of the `members` steps after one that chooses are left out of a passage. */
void lx_step_choose(const lx_step *step, lx_dice *dice, bool *left_out);
int lx_step_members(const lx_step *step);

/* Whether a kind takes the levels of another image, and which of `count` others was drawn. */
bool lx_step_takes_style(int kind);
int lx_step_style(const lx_drawn *drawn, int count);

/* What a kind does: moves pixels, changes levels, stands for other steps of both sorts, chooses among the steps after
   it, or only marks a place. */
typedef enum { LX_STEP_MOVES, LX_STEP_LEVELS, LX_STEP_DRAWS_OTHERS, LX_STEP_CHOOSES, LX_STEP_MARKS } lx_step_role;
lx_step_role lx_step_role_of(int kind);

/* Puts the drawn movement before what the map does already: matrix and bend are of a picture of out_width x out_height.
   `nodes` is room for the bend of an elastic step. */
void lx_step_move(const lx_drawn *drawn, lx_draw draw, int out_width, int out_height, lx_map *map, float *nodes);

/* Does a step that changes levels, to one plane; `in` may not be `out`. `plane` counts the channels. */
lx_code lx_step_apply(const lx_drawn *drawn, lx_draw draw, int plane, const lx_plane *in, lx_plane *out,
                      lx_error *error);

/* What was drawn in a few words, as "rotate 7.3". Returns the length. */
int lx_step_describe(const lx_drawn *drawn, char *text, size_t room);

#endif
