/* What happens to an image on its way from the file to the network: enhancement and augmentation, step after step. */
#ifndef LX_PIPELINE_H
#define LX_PIPELINE_H

#include <stdint.h>

#include "../image/plane.h"

/* An image with what belongs to it and goes through the same geometry. */
typedef struct {
    lx_plane image; /* the first of `channels` planes of one size and type, which follow each other without gaps */
    int channels;   /* 1 or 3 */
    lx_plane mask;  /* uint8, labels that are never mixed; samples NULL: there is none */
    float (*boxes)[4]; /* x, y, width, height in pixels from the top left; one that leaves the image ends up 0 wide */
    int box_count;
} lx_sample;

/* Names the random numbers of one passage: the same three give the same picture, on any thread. */
typedef struct {
    uint64_t seed, epoch, index;
} lx_draw;

/* The steps, checked and ready; never changed once made, so threads share it. A counted reference. */
typedef struct lx_pipeline lx_pipeline;

lx_pipeline *lx_pipeline_retain(lx_pipeline *pipeline);
void lx_pipeline_release(lx_pipeline *pipeline);

/* The size of what comes out for an image of width x height. */
void lx_pipeline_size(const lx_pipeline *pipeline, int width, int height, int *out_width, int *out_height);

/* Takes a sample through the steps. `out` has lx_pipeline_size's size, the channels of `in`, room for the mask and for
   the boxes if `in` has them; its image is of the same type as that of `in`, or float32. On the calling thread. */
lx_code lx_pipeline_run(const lx_pipeline *pipeline, lx_draw draw, const lx_sample *in, lx_sample *out, lx_error *error);

#endif
