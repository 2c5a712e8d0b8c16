#include "resample.h"

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

static void count(const lx_sample *s, double threshold, lx_resampled *out)
{
    for (long i = 0; i < s->images; i++) {
        const double weight = s->weights[i];
        const bool called = s->scores[i] >= threshold;
        if (s->labels[i])
            *(called ? &out->true_positives : &out->false_negatives) += weight;
        else
            *(called ? &out->false_positives : &out->true_negatives) += weight;
    }
}

/* The chance that a positive scores above a negative, ties counting half. */
static double area(const lx_sample *s)
{
    double wins = 0, negatives = 0, positives = 0;
    for (long i = 0; i < s->images;) {
        const double score = s->scores[i];
        double tied_positives = 0, tied_negatives = 0;
        for (; i < s->images && s->scores[i] == score; i++)
            *(s->labels[i] ? &tied_positives : &tied_negatives) += s->weights[i];
        wins += tied_positives * (negatives + tied_negatives / 2);
        negatives += tied_negatives;
        positives += tied_positives;
    }
    return wins / (positives * negatives);
}

bool lx_resample(const lx_sample *s, double threshold, uint64_t *state, lx_resampled *out)
{
    long positives = 0, drawn = 0;
    memset(s->weights, 0, sizeof *s->weights * (size_t)s->images);
    for (long k = 0; k < s->units; k++) {
        const long unit = draw(state, s->units);
        for (int32_t m = s->first[unit]; m < s->first[unit + 1]; m++) {
            s->weights[s->members[m]]++;
            positives += s->labels[s->members[m]];
            drawn++;
        }
    }
    if (positives == 0 || positives == drawn)
        return false;
    *out = (lx_resampled){0};
    count(s, threshold, out);
    out->area = area(s);
    return true;
}
