#include "resample.h"

#include <math.h>
#include <string.h>

/* As in lua/luxel/random.lua: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static long draw(uint64_t *state, long below)
{
    return (long)((next_number(state) >> 33) * (uint64_t)below >> 31);
}

bool lx_resample(lx_sample *s, bool both, uint64_t *state)
{
    memset(s->weights, 0, sizeof *s->weights * (size_t)s->images);
    for (long k = 0; k < s->units; k++) {
        const long unit = draw(state, s->units);
        for (int32_t m = s->first[unit]; m < s->first[unit + 1]; m++)
            s->weights[s->members[m]]++;
    }
    int64_t positives = 0, drawn = 0;
    for (long i = 0; i < s->images; i++) {
        drawn += s->weights[i];
        positives += s->weights[i] * s->labels[i];
    }
    s->positives = (double)positives;
    s->drawn = (double)drawn;
    return !both || (positives > 0 && positives < drawn);
}

/* Weights of the positive and negative images of one score. */
typedef struct {
    double positives, negatives;
} tied;

/* Adds up the images from `i` on that have the score of the first, and returns the first beyond them. */
static inline long next_tied(const lx_sample *s, const lx_figure *f, long i, tied *out)
{
    const double score = f->scores[i];
    int64_t positives = 0, drawn = 0;
    do {
        const int32_t image = f->images[i];
        drawn += s->weights[image];
        positives += s->weights[image] * s->labels[image];
    } while (++i < s->images && f->scores[i] == score);
    *out = (tied){(double)positives, (double)(drawn - positives)};
    return i;
}

static void count(const lx_sample *s, const lx_figure *f, double *out)
{
    int64_t positives = 0, called = 0;
    for (long i = 0; i < s->images; i++) {
        const int32_t image = f->images[i], weight = f->scores[i] >= f->threshold ? s->weights[image] : 0;
        called += weight;
        positives += weight * s->labels[image];
    }
    out[0] = (double)positives;
    out[1] = (double)(called - positives);
    out[2] = s->drawn - s->positives - out[1];
    out[3] = s->positives - out[0];
}

/* The chance that a positive scores above a negative, ties counting half. */
static double area(const lx_sample *s, const lx_figure *f)
{
    double wins = 0, negatives = 0;
    tied t;
    for (long i = 0; i < s->images;) {
        i = next_tied(s, f, i, &t);
        wins += t.positives * (negatives + t.negatives / 2);
        negatives += t.negatives;
    }
    return wins / (s->positives * negatives);
}

/* The mean over positives of the precision at their score. From the lowest score up: those from a score on are all less
   those below. */
static double average_precision(const lx_sample *s, const lx_figure *f)
{
    double above = s->positives, all = s->drawn, sum = 0;
    tied t;
    for (long i = 0; i < s->images && all > 0;) {
        i = next_tied(s, f, i, &t);
        sum += t.positives * above / all;
        above -= t.positives;
        all -= t.positives + t.negatives;
    }
    return sum / s->positives;
}

/* The mean risk over all numbers of images that are answered, those of one doubt in any order. */
static double risk_area(const lx_sample *s, const lx_figure *f)
{
    double images = 0, wrong = 0, sum = 0;
    tied t;
    for (long i = 0; i < s->images;) {
        i = next_tied(s, f, i, &t);
        const double drawn = t.positives + t.negatives, risk = drawn > 0 ? t.positives / drawn : 0;
        for (double k = 1; k <= drawn; k++)
            sum += (wrong + k * risk) / (images + k);
        images += drawn;
        wrong += t.positives;
    }
    return sum / images;
}

static double mean(const lx_sample *s, const lx_figure *f)
{
    double sum = 0;
    for (long i = 0; i < s->images; i++)
        sum += s->weights[f->images[i]] * f->scores[i];
    return sum / s->drawn;
}

int lx_figure_numbers(lx_figure_kind kind)
{
    return kind == LX_COUNTS ? LX_FIGURE_MOST : 1;
}

void lx_figure_of(const lx_sample *s, const lx_figure *f, double *out)
{
    switch (f->kind) {
    case LX_COUNTS: count(s, f, out); break;
    case LX_AREA: *out = area(s, f); break;
    case LX_AVERAGE_PRECISION: *out = average_precision(s, f); break;
    case LX_AURC: *out = risk_area(s, f); break;
    default: *out = mean(s, f); break;
    }
}

double lx_drawn_error(const double *probabilities, const int32_t *first, long bins, uint64_t *state)
{
    double error = 0;
    for (long b = 0; b < bins; b++) {
        double expected = 0;
        int64_t drawn = 0;
        for (int32_t i = first[b]; i < first[b + 1]; i++) {
            expected += probabilities[i];
            drawn += (double)(next_number(state) >> 11) * 0x1p-53 < probabilities[i];
        }
        error += fabs(expected - (double)drawn);
    }
    return first[bins] > 0 ? error / first[bins] : 0;
}
