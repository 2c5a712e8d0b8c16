/* What happens to an image on its way from the file to the network: enhancement and augmentation, step after step. */
#ifndef LX_PIPELINE_H
#define LX_PIPELINE_H

#include <stdint.h>

#include "../image/plane.h"

/* An image with what belongs to it and goes through the same geometry. */
typedef struct {
    lx_plane image; /* the first of `channels` planes of one size and type, which follow each other without gaps */
    int channels;   /* 1 or 3 */
    lx_plane mask;  /* uint8, labels that are never mixed, of the image's proportion; samples NULL: there is none */
} lx_sample;

/* Names the random numbers of one passage: the same three give the same picture, on any thread. */
typedef struct {
    uint64_t seed, epoch, index;
} lx_draw;

enum { LX_STEP_VALUES = 5, LX_MOST_STEPS = 32, LX_STYLE_LEVELS = 256 };

typedef struct {
    int kind;                 /* of lx_step_kind */
    double chance;            /* 0..1: how often it is done */
    double v[LX_STEP_VALUES]; /* its options: what the kinds of steps.c say, ranges as low and high */
} lx_step;

/* How images whose sides are not in the proportion of the output's get there. */
typedef enum { LX_FIT_STRETCH, LX_FIT_PAD, LX_FIT_CROP } lx_fit;

typedef struct {
    int height, width; /* of what comes out; 0: as the image has */
    lx_fit fit;
    lx_border border; /* beyond the image */
    float fill;       /* grey level of 0..255, for LX_BORDER_CONSTANT */
    /* What the step `style` takes levels from: for each of so many images the levels of 0..255 that shares (i + 1/2) /
       LX_STYLE_LEVELS of its pixels are below. Copied; NULL if there are none. */
    const float *styles;
    int style_count;
} lx_pipeline_options;

/* The steps, ready; never changed once made, so threads share it. A counted reference. */
typedef struct lx_pipeline lx_pipeline;

/* The kind of step of a name, which is that of PyTorch or OpenCV where they have the thing; -1 if there is none. */
int lx_step_kind(const char *name);

/* NULL and an error if memory is short. The values must be in the ranges of lua/luxel/vision/pipeline.lua. */
lx_pipeline *lx_pipeline_new(const lx_step *steps, int count, const lx_pipeline_options *options, lx_error *error);

lx_pipeline *lx_pipeline_retain(lx_pipeline *pipeline);
void lx_pipeline_release(lx_pipeline *pipeline);

/* The size of what comes out for an image of width x height. */
void lx_pipeline_size(const lx_pipeline *pipeline, int width, int height, int *out_width, int *out_height);

/* Takes a sample through the steps. `out` has lx_pipeline_size's size, the channels of `in`, and room for the mask if
   `in` has one; its image is of the same type as that of `in`. On the calling thread. */
lx_code lx_pipeline_run(const lx_pipeline *pipeline, lx_draw draw, const lx_sample *in, lx_sample *out,
                        lx_error *error);

/* Where the same passage takes boxes to: x, y, width and height in pixels from the top left of an image of width x
   height, and of what comes out. One that leaves the image ends up 0 wide. */
void lx_pipeline_boxes(const lx_pipeline *pipeline, lx_draw draw, int width, int height, const float (*in)[4],
                       float (*out)[4], int count);

/* What a passage draws, in words, separated by ", ". */
void lx_pipeline_describe(const lx_pipeline *pipeline, lx_draw draw, char *text, size_t room);

#endif
