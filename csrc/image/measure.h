/* What can be said of one grey picture without knowing what it shows. */
#ifndef LX_MEASURE_H
#define LX_MEASURE_H

#include "plane.h"

enum { LX_MEASURE_BINS = 64, LX_THUMBNAIL = 32 };

typedef struct {
    double mean, deviation;   /* of the levels, 0..255 */
    double low, middle, high; /* the 1st, 50th and 99th percentile */
    double black, white;      /* the shares of the samples at the very ends of the scale */
    double sharpness;         /* variance of the Laplacian over that of the levels, at 256 pixels a side: little
                                          where the picture is blurred */
    long histogram[LX_MEASURE_BINS];
    uint64_t hash;                                  /* alike for pictures that look alike: see measure.c */
    uint8_t thumbnail[LX_THUMBNAIL * LX_THUMBNAIL]; /* the whole picture */
} lx_measures;

/* Measures a plane of levels 0..255. */
lx_code lx_measure(const lx_plane *in, lx_measures *measures, lx_error *error);

/* In how many of 64 bits two hashes differ. */
int lx_hash_distance(uint64_t a, uint64_t b);

#endif
