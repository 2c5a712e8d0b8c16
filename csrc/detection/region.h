/* The losses of the last layers of YOLO v2 (Redmon and Farhadi, "YOLO9000: better, faster, stronger", CVPR 2017) and of
   YOLO v3 ("YOLOv3: an incremental improvement", 2018), with the rules that darknet adds to the papers. */
#ifndef LX_REGION_H
#define LX_REGION_H

#include <stdbool.h>
#include <stdint.h>

enum { LX_REGION_MOST_ANCHORS = 64 };

/* An object: its centre and size as fractions of the image, and its class from 0. */
typedef struct {
    float x, y, w, h;
    int32_t class;
} lx_object;

typedef struct {
    int anchors, classes, height, width;        /* maps are [anchors][5 + classes][height][width] */
    float anchor[LX_REGION_MOST_ANCHORS][2];    /* width and height in cells */
    float object, no_object, class, coord;      /* scales */
    float threshold;                            /* above this overlap a box without an object is not called wrong */
    bool rescore, bias_match, by_size, warming; /* by_size: coordinates count 2 - w h; warming: of the first images */
    bool through_sigmoid; /* differences of x, y and objectness come with the slope of their sigmoid */
    bool logistic;        /* v3: cross-entropies of sigmoids, classes that do not exclude each other, no rescoring */
    int shapes;           /* of v3: the anchors of all maps, in cells of this one, and which one of its own each is, */
    float shape[LX_REGION_MOST_ANCHORS][2]; /* or -1 */
    int own[LX_REGION_MOST_ANCHORS];
} lx_region;

/* Sums over images. */
typedef struct {
    double coordinates, object, no_object, kinds; /* the loss in parts, of which the differences through the sigmoid
                                                     are minus the gradient; kinds: of the classes */
    double cost;                                  /* the sum of the squared differences, as darknet prints it */
    double iou, class, objectness, any, recall;   /* of objects, but any: of all anchors */
    int64_t objects;
} lx_region_sums;

/* The differences of one image: `map` are its numbers before the activations, `work` has room for 3 floats for each
   anchor of each cell and 5 + classes more. Adds to the sums. */
void lx_region_differences(const lx_region *r, const float *map, const lx_object *objects, long count,
                           float *differences, float *work, lx_region_sums *sums);

#endif
