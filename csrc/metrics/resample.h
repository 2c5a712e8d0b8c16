/* Resamples of a labelled sample, for the bootstrap of lua/luxel/metrics/resampling.lua, and labels drawn from
   probabilities. */
#ifndef LX_RESAMPLE_H
#define LX_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* Images with their labels, and the units (patients) that are drawn as wholes: unit u has the images members[first[u]]
   up to, not including, members[first[u + 1]]. */
typedef struct {
    long images, units;
    const uint8_t *labels;
    const int32_t *first, *members;
    int32_t *weights;        /* of the images: how often each is drawn */
    double positives, drawn; /* how many images were drawn, with the label 1 and in all */
} lx_sample;

typedef enum {
    LX_COUNTS,            /* true positives, false positives, true negatives, false negatives at the threshold */
    LX_AREA,              /* under the ROC curve */
    LX_AVERAGE_PRECISION, /* of the steps of the precision-recall curve */
    LX_AURC,              /* under the risk-coverage curve: scores are doubts, labels errors */
    LX_MEAN,              /* of the scores, which are finite */
    LX_FIGURES
} lx_figure_kind;

/* A figure of one score. Where it is not defined on a resample it is NaN. */
typedef struct {
    lx_figure_kind kind;
    double threshold;
    const double *scores;  /* ascending, but for LX_MEAN */
    const int32_t *images; /* whose each score is */
} lx_figure;

/* How many numbers a figure has, and the most that any has. */
int lx_figure_numbers(lx_figure_kind kind);
#define LX_FIGURE_MOST 4

/* Draws as many units as there are; `state` is that of a stream of lua/luxel/random.lua. False where `both` classes are
   wanted and the resample lacks one. */
bool lx_resample(lx_sample *sample, bool both, uint64_t *state);

/* The numbers of a figure on the images that were drawn. */
void lx_figure_of(const lx_sample *sample, const lx_figure *figure, double *out);

/* The expected calibration error when labels are drawn from the probabilities themselves: of bins of images, bin b from
   first[b] up to, not including, first[b + 1]. */
double lx_drawn_error(const double *probabilities, const int32_t *first, long bins, uint64_t *state);

#endif
