/* Resamples of a labelled sample, for the bootstrap of lua/luxel/metrics/intervals.lua. */
#ifndef LX_RESAMPLE_H
#define LX_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* Images in ascending order of their scores, and the units (patients) that are drawn as wholes: unit u has the images
   members[first[u]] up to, not including, members[first[u + 1]]. */
typedef struct {
    long images, units;
    const double *scores;
    const uint8_t *labels;
    const int32_t *first, *members;
    int32_t *weights; /* of the images: how often each is drawn */
} lx_sample;

typedef struct {
    double true_positives, false_positives, true_negatives, false_negatives, area;
} lx_resampled;

/* Draws as many units as there are, and says what comes of them. `state` is that of a stream of lua/luxel/random.lua.
   False where the resample lacks a class. */
bool lx_resample(const lx_sample *sample, double threshold, uint64_t *state, lx_resampled *out);

#endif
