/* What depends on how often each grey level occurs, and functions of the level alone (see plane.h). Floats are on the
   scale 0..`white`, and what is beyond counts as the end of it. */
#ifndef LX_HISTOGRAM_H
#define LX_HISTOGRAM_H

#include "plane.h"

enum { LX_LEVELS = 65536 }; /* of a float32 plane: what its scale is divided into */

/* Adds how often each level occurs to four tables, which belong together: counting into one waits for the last count of
   the same level. */
void lx_count_levels(const uint8_t *samples, size_t count, uint32_t parts[4][256]);

/* Counts the samples of each of `bins` equal parts of 0..white. */
void lx_histogram(const lx_plane *in, float white, int bins, long *counts);

/* The level that a share 0..1 of the samples is not above; between two samples, between their levels, as NumPy has
   it. */
lx_code lx_percentile(const lx_plane *in, float white, double share, float *level, lx_error *error);

/* Histogram equalisation; on bytes to the bit what OpenCV's equalizeHist gives. */
lx_code lx_equalize(const lx_plane *in, lx_plane *out, float white, lx_error *error);

/* Contrast-limited adaptive histogram equalisation (Zuiderveld, "Graphics Gems IV", 1994) on tiles x tiles parts of
   the picture. `clip` times the mean count is the most that a level counts, of 256; 0: no limit. On bytes to the bit
   what OpenCV's CLAHE gives; floats are read between the 256 levels. */
typedef struct {
    double clip;
    int tiles;
    float white;
} lx_clahe_params;

lx_code lx_clahe(const lx_plane *in, lx_plane *out, const lx_clahe_params *params, lx_error *error);

/* Otsu's threshold (IEEE TSMC 1979): the level that divides the samples into two classes the best; above it is the
   brighter one. */
lx_code lx_otsu(const lx_plane *in, float white, float *level, lx_error *error);

/* white - level; of bytes, 255 - level. `in` may be `out`. */
void lx_invert(const lx_plane *in, lx_plane *out, float white);

/* 255 where a sample is above `level`, else 0; `out` is bytes. */
void lx_threshold(const lx_plane *in, lx_plane *out, float level);

/* Stretches levels so that `low` becomes 0 and `high` white, linearly; what is beyond is cut off. `in` may be `out`.
 */
void lx_stretch(const lx_plane *in, lx_plane *out, float white, float low, float high);

/* Stretches the levels between the percentiles of these shares, 0..1, over the scale. */
lx_code lx_normalize_percentile(const lx_plane *in, lx_plane *out, float white, double low, double high,
                                lx_error *error);

/* white * (level / white) ^ gamma. `in` may be `out`. */
lx_code lx_gamma(const lx_plane *in, lx_plane *out, float white, double gamma, lx_error *error);

#endif
