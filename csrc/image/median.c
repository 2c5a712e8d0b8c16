#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "geometry.h"

/* Up to MOST_SORTED samples a side are sorted by a network: the same comparisons for every pixel, so that a stretch of
   pixels goes through them side by side. Larger windows of bytes are counted. */
enum { STRETCH = 64, MOST_SORTED = 7, MOST_SAMPLES = MOST_SORTED * MOST_SORTED, MOST_PAIRS = 383, LARGEST = 255 };

typedef struct {
    uint8_t low, high;
} pair;

/* Batcher's merge exchange (Knuth, TAOCP 3, algorithm 5.2.2M) for n samples; returns the number of comparisons. */
static int make_network(int n, pair *pairs)
{
    int count = 0, top = 1;
    while (top * 2 < n)
        top *= 2;
    for (int p = top; p > 0; p /= 2) {
        int q = top, r = 0, d = p;
        for (;;) {
            for (int i = 0; i < n - d; i++)
                if ((i & p) == r)
                    pairs[count++] = (pair){(uint8_t)i, (uint8_t)(i + d)};
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
    return count;
}

LX_WIDE static void sort_bytes(uint8_t samples[][STRETCH], const pair *pairs, int count)
{
    for (int k = 0; k < count; k++) {
        uint8_t *restrict a = samples[pairs[k].low], *restrict b = samples[pairs[k].high];
        for (int i = 0; i < STRETCH; i++) {
            const uint8_t x = a[i], y = b[i];
            a[i] = x < y ? x : y;
            b[i] = x < y ? y : x;
        }
    }
}

LX_WIDE static void sort_floats(float samples[][STRETCH], const pair *pairs, int count)
{
    for (int k = 0; k < count; k++) {
        float *restrict a = samples[pairs[k].low], *restrict b = samples[pairs[k].high];
        for (int i = 0; i < STRETCH; i++) {
            const float x = a[i], y = b[i];
            a[i] = x < y ? x : y;
            b[i] = x < y ? y : x;
        }
    }
}

static long clamp(long value, long size)
{
    return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* The samples around pixels x.. of row y, one row of `samples` for each place in the window. */
static void gather(const lx_plane *in, int size, long x, long y, void *samples)
{
    const int radius = size / 2;
    for (int k = 0; k < size * size; k++) {
        const long row = clamp(y + k / size - radius, in->height), first = x + k % size - radius;
        const size_t line = (size_t)row * (size_t)in->width;
        const bool inside = first >= 0 && first + STRETCH <= in->width;
        if (in->type == LX_PLANE_U8) {
            uint8_t *to = (uint8_t *)samples + (size_t)k * STRETCH;
            const uint8_t *from = (const uint8_t *)in->samples + line;
            if (inside)
                memcpy(to, from + first, STRETCH);
            else
                for (int i = 0; i < STRETCH; i++)
                    to[i] = from[clamp(first + i, in->width)];
        } else {
            float *to = (float *)samples + (size_t)k * STRETCH;
            const float *from = (const float *)in->samples + line;
            for (int i = 0; i < STRETCH; i++)
                to[i] = from[clamp(first + i, in->width)];
        }
    }
}

static void sort_windows(const lx_plane *in, lx_plane *out, int size)
{
    pair pairs[MOST_PAIRS];
    const int count = make_network(size * size, pairs), middle = size * size / 2;
    float samples[MOST_SAMPLES][STRETCH];
    for (long y = 0; y < in->height; y++)
        for (long x = 0; x < in->width; x += STRETCH) {
            const size_t length = (size_t)(in->width - x < STRETCH ? in->width - x : STRETCH);
            const size_t to = (size_t)y * (size_t)in->width + (size_t)x;
            gather(in, size, x, y, samples);
            if (in->type == LX_PLANE_U8) {
                uint8_t (*bytes)[STRETCH] = (uint8_t (*)[STRETCH])(void *)samples;
                sort_bytes(bytes, pairs, count);
                memcpy((uint8_t *)out->samples + to, bytes[middle], length);
            } else {
                sort_floats(samples, pairs, count);
                memcpy((float *)out->samples + to, samples[middle], length * sizeof(float));
            }
        }
}

/* ---- large windows of bytes: Perreault and Hebert, "Median filtering in constant time", IEEE TIP 2007 ----------- */

enum { LEVELS = 256, COARSE = 16, COUNTS = LEVELS + COARSE }; /* each level, and each sixteen levels together */

LX_WIDE static void slide(uint16_t *restrict window, const uint16_t *restrict enters, const uint16_t *restrict leaves)
{
    for (int i = 0; i < COUNTS; i++)
        window[i] = (uint16_t)(window[i] + enters[i] - leaves[i]);
}

static void count(uint16_t *counts, uint8_t level, int by)
{
    counts[level] = (uint16_t)(counts[level] + by);
    counts[LEVELS + level / COARSE] = (uint16_t)(counts[LEVELS + level / COARSE] + by);
}

static uint8_t middle_level(const uint16_t *window, int half)
{
    int below = 0, group = 0, level;
    while (below + window[LEVELS + group] <= half)
        below += window[LEVELS + group++];
    for (level = group * COARSE; below + window[level] <= half; level++)
        below += window[level];
    return (uint8_t)level;
}

static lx_code count_windows(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    const long width = in->width, height = in->height, radius = size / 2;
    const uint8_t *samples = in->samples;
    uint16_t *columns = calloc((size_t)width * COUNTS, sizeof *columns), window[COUNTS];
    if (!columns)
        return lx_fail(error, LX_ENOMEM, "median_blur: out of memory for an image of width %ld", width);
    for (long x = 0; x < width; x++)
        for (long k = -radius - 1; k < radius; k++) /* as if it were at row -1 */
            count(columns + x * COUNTS, samples[clamp(k, height) * width + x], 1);
    for (long y = 0; y < height; y++) {
        const uint8_t *enters = samples + clamp(y + radius, height) * width, *leaves = samples + clamp(y - radius - 1, height) * width;
        for (long x = 0; x < width; x++) {
            count(columns + x * COUNTS, leaves[x], -1);
            count(columns + x * COUNTS, enters[x], 1);
        }
        memset(window, 0, sizeof window);
        static const uint16_t nothing[COUNTS];
        for (long k = -radius - 1; k < radius; k++)
            slide(window, columns + clamp(k, width) * COUNTS, nothing);
        for (long x = 0; x < width; x++) {
            slide(window, columns + clamp(x + radius, width) * COUNTS, columns + clamp(x - radius - 1, width) * COUNTS);
            ((uint8_t *)out->samples)[y * width + x] = middle_level(window, size * size / 2);
        }
    }
    free(columns);
    return LX_OK;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Large windows of floats have no short way. */
static lx_code sort_each(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    const long radius = size / 2;
    const float *samples = in->samples;
    float *window = malloc(sizeof *window * (size_t)size * (size_t)size);
    if (!window)
        return lx_fail(error, LX_ENOMEM, "median_blur: out of memory");
    for (long y = 0; y < in->height; y++)
        for (long x = 0; x < in->width; x++) {
            for (long k = 0; k < (long)size * size; k++)
                window[k] = samples[clamp(y + k / size - radius, in->height) * in->width + clamp(x + k % size - radius, in->width)];
            qsort(window, (size_t)size * (size_t)size, sizeof *window, by_value);
            ((float *)out->samples)[y * in->width + x] = window[(long)size * size / 2];
        }
    free(window);
    return LX_OK;
}

lx_code lx_median_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    if (size < 1 || size > LARGEST || size % 2 == 0)
        return lx_fail(error, LX_EARG, "median_blur: size must be odd, 1 to %d, not %d", LARGEST, size);
    if (size > MOST_SORTED)
        return in->type == LX_PLANE_U8 ? count_windows(in, out, size, error) : sort_each(in, out, size, error);
    sort_windows(in, out, size);
    return LX_OK;
}
