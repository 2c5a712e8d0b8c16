/* Non-maximum suppression of boxes. */
#ifndef LX_NMS_H
#define LX_NMS_H

#include <stdint.h>

/* The corners of a box, in any unit. */
typedef struct {
    float x1, y1, x2, y2;
} lx_box;

/* A box in the order of the work. */
typedef struct {
    int32_t class, place;
    float score;
} lx_ranked;

/* The boxes of a suppression, with room for its work: `count` entries of `ranked`, `spare` and `kept`, 5 x count
   floats of `work`. Boxes and scores are finite; boxes of different classes do not touch each other (classes NULL: all
   are of one). */
typedef struct {
    long count;
    const lx_box *boxes;
    const float *scores;
    const int32_t *classes;
    lx_ranked *ranked, *spare;
    int32_t *kept;
    float *work;
} lx_nms;

/* Intersection over union; 0 where boxes only touch, or have no area. */
float lx_box_iou(lx_box a, lx_box b);

/* Keeps, from the best score down, each box whose intersection over union with every kept one is at most `most`. Equal
   scores: the earlier box first. Returns how many; their places are in n->kept, the best first. */
long lx_nms_hard(const lx_nms *n, float most);

typedef enum { LX_NMS_LINEAR, LX_NMS_GAUSSIAN } lx_nms_decay;

/* Soft suppression (Bodla et al. 2017): a kept box takes from the scores of the others by its intersection over union
   with them: linear, of those above `most`, the factor 1 - iou; gaussian, exp(-iou^2 / sigma). Keeps those of at least
   `least`, in the order in which they were taken; `scores`, which is the copy to change, has what is left of each. */
long lx_nms_soft(const lx_nms *n, float *scores, lx_nms_decay decay, float most, float sigma, float least);

#endif
