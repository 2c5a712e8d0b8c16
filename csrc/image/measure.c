#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "geometry.h"
#include "histogram.h"

enum { STANDARD = 256, HASHED = 8 };

int lx_hash_distance(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}

static void measure_levels(const lx_plane *in, lx_measures *m)
{
    long counts[256], below = 0;
    const double total = (double)lx_plane_count(in);
    double sum = 0, squares = 0, *const marks[3] = {&m->low, &m->middle, &m->high};
    const double shares[3] = {0.01, 0.5, 0.99};
    int mark = 0;
    lx_histogram(in, 255, 256, counts);
    for (int level = 0; level < 256; level++) {
        sum += level * (double)counts[level];
        squares += level * level * (double)counts[level];
        m->histogram[level / (256 / LX_MEASURE_BINS)] += counts[level];
        below += counts[level];
        for (; mark < 3 && (double)below > shares[mark] * total; mark++)
            *marks[mark] = level;
    }
    m->mean = sum / total;
    m->deviation = sqrt(fmax(squares / total - m->mean * m->mean, 0));
    m->black = (double)counts[0] / total;
    m->white = (double)counts[255] / total;
}

static double variance_of(const float *samples, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)samples[i];
        squares += (double)samples[i] * (double)samples[i];
    }
    return fmax(squares / (double)count - sum / (double)count * (sum / (double)count), 0);
}

/* At one size, so that what is said does not depend on the resolution; the size itself is told apart. */
static lx_code measure_sharpness(const lx_plane *in, lx_measures *m, lx_error *error)
{
    const size_t count = (size_t)STANDARD * STANDARD;
    float *samples = malloc(2 * count * sizeof *samples);
    if (!samples)
        return lx_fail(error, LX_ENOMEM, "measure: out of memory");
    lx_plane standard = {STANDARD, STANDARD, in->type, samples + count},
             levels = {STANDARD, STANDARD, LX_PLANE_F32, samples};
    if (!lx_resize(in, &standard, LX_AREA, true, error) && !lx_laplacian(&standard, &levels, error)) {
        const double edges = variance_of(samples, count), all = m->deviation * m->deviation;
        m->sharpness = all > 0 ? edges / all : 0;
    }
    free(samples);
    return error->code;
}

/* The signs, about their median, of the 8 x 8 lowest frequencies of the thumbnail but the mean, as a DCT-II has them:
   Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010. */
static uint64_t hash_of(const uint8_t *thumbnail)
{
    double rows[LX_THUMBNAIL][HASHED], values[HASHED * HASHED], sorted[HASHED * HASHED];
    for (int y = 0; y < LX_THUMBNAIL; y++)
        for (int u = 0; u < HASHED; u++) {
            rows[y][u] = 0;
            for (int x = 0; x < LX_THUMBNAIL; x++)
                rows[y][u] += thumbnail[y * LX_THUMBNAIL + x] * cos(M_PI * (x + 0.5) * (u + 1) / LX_THUMBNAIL);
        }
    for (int v = 0; v < HASHED; v++)
        for (int u = 0; u < HASHED; u++) {
            double sum = 0;
            for (int y = 0; y < LX_THUMBNAIL; y++)
                sum += rows[y][u] * cos(M_PI * (y + 0.5) * (v + 1) / LX_THUMBNAIL);
            values[v * HASHED + u] = sum;
        }
    memcpy(sorted, values, sizeof sorted);
    for (int i = 1; i < HASHED * HASHED; i++) /* few enough to insert */
        for (int k = i; k > 0 && sorted[k] < sorted[k - 1]; k--) {
            const double swap = sorted[k];
            sorted[k] = sorted[k - 1];
            sorted[k - 1] = swap;
        }
    const double median = (sorted[HASHED * HASHED / 2 - 1] + sorted[HASHED * HASHED / 2]) / 2;
    uint64_t hash = 0;
    for (int i = 0; i < HASHED * HASHED; i++)
        hash = hash << 1 | (values[i] > median);
    return hash;
}

lx_code lx_measure(const lx_plane *in, lx_measures *m, lx_error *error)
{
    memset(m, 0, sizeof *m);
    float wide[LX_THUMBNAIL * LX_THUMBNAIL];
    lx_plane thumbnail = {LX_THUMBNAIL, LX_THUMBNAIL, in->type, in->type == LX_PLANE_U8 ? (void *)m->thumbnail : wide};
    measure_levels(in, m);
    if (measure_sharpness(in, m, error) || lx_resize(in, &thumbnail, LX_AREA, true, error))
        return error->code;
    for (int i = 0; in->type == LX_PLANE_F32 && i < LX_THUMBNAIL * LX_THUMBNAIL; i++)
        m->thumbnail[i] = (uint8_t)fminf(fmaxf(wide[i] + 0.5f, 0), 255);
    m->hash = hash_of(m->thumbnail);
    return LX_OK;
}
