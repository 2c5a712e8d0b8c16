#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "geometry.h"

/* Up to MOST_SORTED samples a side are sorted by a network: the same comparisons for every pixel, so that a stretch
   of pixels goes through them side by side. Larger windows are counted. */
enum {
    MOST_SORTED = 7,
    MOST_SAMPLES = MOST_SORTED * MOST_SORTED,
    MOST_SLOTS = 2 * MOST_SAMPLES + 2,
    MOST_STEPS = 512,
    WORKING_SET = 40960, /* bytes that a stretch of pixels goes through: what is near to the processor */
    MARGIN = 64,         /* bytes; at least what a window reaches beyond a stretch on both sides */
    LARGEST = 255
};

/* What samples are: bytes, floats, or floats that are whole numbers up to 65535, as words. */
typedef enum { BYTES = 1, WORDS = 2, FLOATS = 4 } sample_kind; /* the size of one */

/* The picture of one call. */
typedef struct {
    int width, height, size;
    sample_kind kind;
    bool no_words; /* a sample was met that is none */
    const void *in;
    void *out; /* of words too these are floats */
} job;

/* Puts the smaller of two samples into `low` and the larger into `high`, or only one of these where nobody asks for
   the other. While a network is made these are places in the window, then slots: what is read is not written. */
typedef struct {
    uint8_t a, b, low, high;
    bool wants_low, wants_high;
} step;

typedef struct {
    step steps[MOST_STEPS];
    int count;
} network;

/* Sorts n samples, whose places `at` says: Batcher's merge exchange (Knuth, TAOCP 3, algorithm 5.2.2M). */
static void add_sorting(network *net, int n, const uint8_t *at)
{
    int top = 1;
    while (top * 2 < n)
        top *= 2;
    for (int p = n > 1 ? top : 0; p > 0; p /= 2) {
        int q = top, r = 0, d = p;
        for (;;) {
            for (int i = 0; i < n - d; i++)
                if ((i & p) == r)
                    net->steps[net->count++] = (step){at[i], at[i + d], at[i], at[i + d], true, true};
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
}

/* Leaves out what does not matter for one place. */
static void keep_only(network *net, int place)
{
    bool wanted[MOST_SAMPLES] = {false};
    int kept = MOST_STEPS;
    wanted[place] = true;
    for (int k = net->count - 1; k >= 0; k--) {
        step *s = &net->steps[k];
        s->wants_low = wanted[s->low];
        s->wants_high = wanted[s->high];
        if (s->wants_low || s->wants_high) {
            wanted[s->low] = wanted[s->high] = true;
            net->steps[--kept] = *s;
        }
    }
    net->count = MOST_STEPS - kept;
    memmove(net->steps, net->steps + kept, sizeof *net->steps * (size_t)net->count);
}

/* Gives each step slots for its results: those from `first` on, of which what has been read is free again. The places
   before it are the samples themselves. `slot` is where they are in the end. */
static void assign_slots(network *net, int first, uint8_t *slot)
{
    uint8_t spare[MOST_SLOTS];
    int spares = 0;
    for (int i = 0; i < first; i++)
        slot[i] = (uint8_t)i;
    for (int i = 2 * first + 1; i >= first; i--)
        spare[spares++] = (uint8_t)i;
    for (int k = 0; k < net->count; k++) {
        step *s = &net->steps[k];
        const uint8_t low = s->low, high = s->high;
        s->a = slot[low];
        s->b = slot[high];
        s->low = slot[low] = spare[--spares];
        s->high = slot[high] = spare[--spares];
        if (s->a >= first)
            spare[spares++] = s->a;
        if (s->b >= first)
            spare[spares++] = s->b;
    }
}

/* The network for windows whose columns are sorted; returns the slot of the median. When the rows are sorted too,
   what has row times column samples not above it or below it cannot be the median if that is more than half. */
static int make_median(network *net, int size)
{
    uint8_t row[MOST_SORTED], left[MOST_SAMPLES], slot[MOST_SAMPLES];
    int count = 0, below = 0;
    net->count = 0;
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++)
            row[x] = (uint8_t)(y * size + x);
        add_sorting(net, size, row);
    }
    const int most = size * size / 2 + 1;
    for (int i = 0; i < size * size; i++) {
        const int y = i / size, x = i % size;
        if ((y + 1) * (x + 1) <= most && (size - y) * (size - x) <= most)
            left[count++] = (uint8_t)i;
        else
            below += (size - y) * (size - x) > most;
    }
    add_sorting(net, count, left);
    keep_only(net, left[size * size / 2 - below]);
    assign_slots(net, size * size, slot);
    return slot[left[size * size / 2 - below]];
}

LX_WIDE static void order_bytes(const uint8_t *a, const uint8_t *b, uint8_t *restrict low, uint8_t *restrict high,
                                size_t count)
{
    if (low && high)
        for (size_t i = 0; i < count; i++) {
            const uint8_t x = a[i], y = b[i];
            low[i] = x < y ? x : y;
            high[i] = x < y ? y : x;
        }
    else if (low)
        for (size_t i = 0; i < count; i++)
            low[i] = a[i] < b[i] ? a[i] : b[i];
    else
        for (size_t i = 0; i < count; i++)
            high[i] = a[i] < b[i] ? b[i] : a[i];
}

LX_WIDE static void order_words(const uint16_t *a, const uint16_t *b, uint16_t *restrict low, uint16_t *restrict high,
                                size_t count)
{
    if (low && high)
        for (size_t i = 0; i < count; i++) {
            const uint16_t x = a[i], y = b[i];
            low[i] = x < y ? x : y;
            high[i] = x < y ? y : x;
        }
    else if (low)
        for (size_t i = 0; i < count; i++)
            low[i] = a[i] < b[i] ? a[i] : b[i];
    else
        for (size_t i = 0; i < count; i++)
            high[i] = a[i] < b[i] ? b[i] : a[i];
}

LX_WIDE static void order_floats(const float *a, const float *b, float *restrict low, float *restrict high,
                                 size_t count)
{
    if (low && high)
        for (size_t i = 0; i < count; i++) {
            const float x = a[i], y = b[i];
            low[i] = x < y ? x : y;
            high[i] = x < y ? y : x;
        }
    else if (low)
        for (size_t i = 0; i < count; i++)
            low[i] = a[i] < b[i] ? a[i] : b[i];
    else
        for (size_t i = 0; i < count; i++)
            high[i] = a[i] < b[i] ? b[i] : a[i];
}

/* Takes `count` samples of each slot through a network. */
static void run(const network *net, sample_kind kind, char *const *slots, size_t count)
{
    for (int k = 0; k < net->count; k++) {
        const step *s = &net->steps[k];
        const void *a = slots[s->a], *b = slots[s->b];
        void *low = s->wants_low ? slots[s->low] : NULL, *high = s->wants_high ? slots[s->high] : NULL;
        if (kind == BYTES)
            order_bytes(a, b, low, high, count);
        else if (kind == WORDS)
            order_words(a, b, low, high, count);
        else
            order_floats(a, b, low, high, count);
    }
}

static long clamp(long value, long size)
{
    return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* Whether all of them are words. */
LX_WIDE static bool narrow(const float *restrict from, uint16_t *restrict to, size_t count)
{
    uint32_t other = 0;
    for (size_t i = 0; i < count; i++) {
        to[i] = (uint16_t)(int)lx_cut_level(from[i], 65535);
        other |= (float)to[i] != from[i];
    }
    return !other;
}

/* `count` samples of a row from column x on, which may lie beyond the edges. */
static void copy_row(job *j, long row, long x, long count, char *to)
{
    const size_t sample = j->kind, begin = (size_t)clamp(row, j->height) * (size_t)j->width;
    const long first = x < 0 ? -x : 0, last = x + count > j->width ? j->width - x : count;
    const size_t from = begin + (size_t)(x + first), inside = (size_t)(last - first);
    char *const inner = to + (size_t)first * sample, *const end = to + (size_t)last * sample;
    if (j->kind != WORDS)
        memcpy(inner, (const char *)j->in + from * sample, inside * sample);
    else if (!narrow((const float *)j->in + from, (uint16_t *)(void *)inner, inside))
        j->no_words = true;
    for (char *at = to; at < inner; at += sample)
        memcpy(at, inner, sample);
    for (char *at = end; at < to + (size_t)count * sample; at += sample)
        memcpy(at, end - sample, sample);
}

LX_WIDE static void widen(const uint16_t *restrict words, float *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = words[i];
}

static void put_row(const job *j, size_t place, const void *samples, size_t count)
{
    if (j->kind == WORDS)
        widen(samples, (float *)j->out + place, count);
    else
        memcpy((char *)j->out + place * j->kind, samples, count * j->kind);
}

/* Windows that overlap share their columns, so these are sorted once. Ends early if there are samples that are no words
   after all. */
static void sort_windows(job *j)
{
    static const uint8_t in_order[MOST_SORTED] = {0, 1, 2, 3, 4, 5, 6};
    float memory[WORKING_SET / sizeof(float)];
    char *columns[2 * MOST_SORTED + 2], *slots[MOST_SLOTS], *at = (char *)memory;
    uint8_t last[MOST_SORTED];
    network vertical = {.count = 0}, median;
    const int size = j->size, place = make_median(&median, size), samples = size * size;
    add_sorting(&vertical, size, in_order);
    assign_slots(&vertical, size, last);
    const int room = WORKING_SET / (2 * size + 2 + samples + 2) / MARGIN * MARGIN;
    for (int i = 0; i < 2 * size + 2; i++, at += room)
        columns[i] = at;
    for (int i = samples; i < 2 * samples + 2; i++, at += room)
        slots[i] = at;
    for (int k = 0; k < samples; k++)
        slots[k] = columns[last[k / size]] + k % size * (int)j->kind;
    const long radius = size / 2, most = (room - MARGIN) / (long)j->kind;
    for (long x = 0; x < j->width && !j->no_words; x += most) {
        const long count = j->width - x < most ? j->width - x : most;
        for (long y = -2 * radius; y < j->height; y++) {
            /* a row takes the place of the one that is left above: it does not matter in which order they are to be
             * sorted */
            copy_row(j, y + radius, x - radius, count + 2 * radius, columns[(y + 2 * radius) % size]);
            if (y < 0)
                continue;
            run(&vertical, j->kind, columns, (size_t)(count + 2 * radius));
            run(&median, j->kind, slots, (size_t)count);
            put_row(j, (size_t)(y * j->width + x), slots[place], (size_t)count);
        }
    }
}

/* ---- large windows of bytes: Perreault and Hebert, "Median filtering in constant time", IEEE TIP 2007 ---------- */

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

static lx_code count_windows(const job *j, lx_error *error)
{
    const long width = j->width, height = j->height, radius = j->size / 2;
    const uint8_t *samples = j->in;
    uint16_t *columns = calloc((size_t)width * COUNTS, sizeof *columns), window[COUNTS];
    if (!columns)
        return lx_fail(error, LX_ENOMEM, "median_blur: out of memory for an image of width %ld", width);
    for (long x = 0; x < width; x++)
        for (long k = -radius - 1; k < radius; k++) /* as if it were at row -1 */
            count(columns + x * COUNTS, samples[clamp(k, height) * width + x], 1);
    for (long y = 0; y < height; y++) {
        const uint8_t *enters = samples + clamp(y + radius, height) * width;
        const uint8_t *leaves = samples + clamp(y - radius - 1, height) * width;
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
            ((uint8_t *)j->out)[y * width + x] = middle_level(window, j->size * j->size / 2);
        }
    }
    free(columns);
    return LX_OK;
}

/* ---- large windows of more levels ------------------------------------------------------------------------------

   One window slides along each row (Huang, Yang and Tang, IEEE TASSP 1979). Samples are replaced by their ranks among
   all values of the picture. A window counts the ranks, each 256 of them together, and each 65,536. */

enum { GROUP = 256 };

typedef struct {
    size_t values;
    float *value;   /* of each rank, in order */
    uint32_t *rank; /* of each sample */
    uint16_t *each, *group, *large;
} ranks;

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static uint32_t rank_of(const ranks *r, float sample)
{
    size_t low = 0, high = r->values - 1;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (r->value[middle] < sample)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void find_ranks(ranks *r, const float *samples, size_t count)
{
    memcpy(r->value, samples, count * sizeof *samples);
    qsort(r->value, count, sizeof *r->value, by_value);
    r->values = 1;
    for (size_t i = 1; i < count; i++)
        if (r->value[i] != r->value[r->values - 1])
            r->value[r->values++] = r->value[i];
    for (size_t i = 0; i < count; i++)
        r->rank[i] = rank_of(r, samples[i]);
}

static void count_rank(ranks *r, uint32_t rank, int by)
{
    r->each[rank] = (uint16_t)(r->each[rank] + by);
    r->group[rank / GROUP] = (uint16_t)(r->group[rank / GROUP] + by);
    r->large[rank / GROUP / GROUP] = (uint16_t)(r->large[rank / GROUP / GROUP] + by);
}

static float middle_value(const ranks *r, int half)
{
    size_t large = 0, group, each;
    int below = 0;
    while (below + r->large[large] <= half)
        below += r->large[large++];
    for (group = large * GROUP; below + r->group[group] <= half; group++)
        below += r->group[group];
    for (each = group * GROUP; below + r->each[each] <= half; each++)
        below += r->each[each];
    return r->value[each];
}

static void count_column(const job *j, ranks *r, long x, long y, int by)
{
    const long radius = j->size / 2;
    for (long k = -radius; k <= radius; k++)
        count_rank(r, r->rank[clamp(y + k, j->height) * j->width + clamp(x, j->width)], by);
}

static void slide_along(const job *j, ranks *r)
{
    const long radius = j->size / 2;
    for (long y = 0; y < j->height; y++) {
        for (long k = -radius - 1; k < radius; k++)
            count_column(j, r, k, y, 1);
        for (long x = 0; x < j->width; x++) {
            count_column(j, r, x - radius - 1, y, -1);
            count_column(j, r, x + radius, y, 1);
            ((float *)j->out)[y * j->width + x] = middle_value(r, j->size * j->size / 2);
        }
        for (long k = -radius; k <= radius; k++)
            count_column(j, r, j->width - 1 + k, y, -1);
    }
}

static lx_code rank_windows(const job *j, lx_error *error)
{
    const size_t count = (size_t)j->width * (size_t)j->height;
    const size_t groups = count / GROUP + 1, larges = groups / GROUP + 1;
    ranks r = {0,
               malloc(count * sizeof *r.value),
               malloc(count * sizeof *r.rank),
               calloc(count + groups + larges, sizeof *r.each),
               NULL,
               NULL};
    if (!r.value || !r.rank || !r.each) {
        lx_fail(error, LX_ENOMEM, "median_blur: out of memory for %d x %d pixels", j->height, j->width);
    } else {
        r.group = r.each + count;
        r.large = r.group + groups;
        find_ranks(&r, j->in, count);
        slide_along(j, &r);
    }
    free(r.value);
    free(r.rank);
    free(r.each);
    return error->code;
}

lx_code lx_median_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    if (size < 1 || size > LARGEST || size % 2 == 0)
        return lx_fail(error, LX_EARG, "median_blur: size must be odd, 1 to %d, not %d", LARGEST, size);
    job j = {in->width, in->height, size, in->type == LX_PLANE_U8 ? BYTES : FLOATS, false, in->samples, out->samples};
    if (size > MOST_SORTED)
        return j.kind == BYTES ? count_windows(&j, error) : rank_windows(&j, error);
    if (j.kind == FLOATS) /* a file of 16 bits holds whole numbers up to 65535, and twice as many fit into a vector */
        j.kind = WORDS;
    sort_windows(&j);
    if (j.no_words) {
        j.kind = FLOATS;
        j.no_words = false;
        sort_windows(&j);
    }
    return LX_OK;
}
