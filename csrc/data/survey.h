/* What many image files are like: each read once, by several threads. */
#ifndef LX_SURVEY_H
#define LX_SURVEY_H

#include <stdbool.h>

#include "../base/pool.h"
#include "../format/format.h"
#include "../image/markers.h"
#include "../image/measure.h"

enum { LX_SURVEY_SIDE = 28 };

typedef struct {
    lx_image_info info;
    bool coloured;                                    /* it has colours, not only room for them */
    uint64_t file_hash;                               /* of the bytes of the file */
    uint64_t pixel_hash;                              /* of the size and the levels */
    lx_measures measures;                             /* of the image in grey */
    uint8_t reduced[LX_SURVEY_SIDE * LX_SURVEY_SIDE]; /* that image, each pixel the mean of what it covers */
    lx_marker markers[LX_MOST_MARKERS];
    int marker_count;
    size_t bytes;   /* of the file */
    lx_error error; /* code LX_OK, or why there is none of the above */
} lx_survey;

/* Each file's error is in its survey; this fails only where it is interrupted. */
lx_code lx_survey_files(const char *const *paths, long count, lx_pool *pool, lx_survey *surveys, lx_error *error);

/* Pairs (a, b), a < b, of hashes that differ in at most `most` bits; writes up to `room` of them, and returns how many
   there are. */
long lx_near_hashes(const uint64_t *hashes, long count, int most, long (*pairs)[2], long room);

#endif
