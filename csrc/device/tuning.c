#include "tuning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cache.h"
#include "../base/clock.h"
#include "../base/file.h"
#include "device.h"

enum {
    ROUNDS = 5,                /* measurements of a variant, of which the median counts */
    ROUND_MICROSECONDS = 2000, /* a round repeats a variant for at least so long */
    MOST_REPEATS = 100
};

static const double TOLERANCE = 1e-4; /* of the largest value: what variants may differ by */
static const double GAIN = 0.97; /* of the default variant's time: what another has to be below, for clocks are noisy */

/* ---- what is known ------------------------------------------------------------------------------------------- */

static lx_tuned *find(const lx_tuning *tuning, const char *problem)
{
    for (int i = 0; i < tuning->count; i++)
        if (strcmp(tuning->entries[i].problem, problem) == 0)
            return &tuning->entries[i];
    return NULL;
}

/* Adds what is known of a problem, or replaces it; without memory for it, it is measured again another time. */
static void remember(lx_tuning *tuning, const lx_tuned *entry)
{
    lx_tuned *known = find(tuning, entry->problem);
    if (!known && tuning->count == tuning->room) {
        const int room = tuning->room ? 2 * tuning->room : 32;
        lx_tuned *larger = realloc(tuning->entries, (size_t)room * sizeof *larger);
        if (!larger)
            return;
        tuning->entries = larger;
        tuning->room = room;
    }
    *(known ? known : &tuning->entries[tuning->count++]) = *entry;
}

/* Adds what a file has, but for problems that are known. */
static void add_file(lx_tuning *tuning, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        lx_tuned entry = {.seconds = 0};
        if (sscanf(line, "%159[^\t]\t%47[^\t]\t%lf\t%lf", entry.problem, entry.variant, &entry.seconds,
                   &entry.default_seconds) == 4 &&
            !find(tuning, entry.problem))
            remember(tuning, &entry);
    }
    if (file)
        fclose(file);
}

void lx_tuning_load(lx_device *device)
{
    char path[4096];
    if (*device->tuning_file && lx_cache_path(device->tuning_file, path, sizeof path))
        add_file(&device->tuning, path);
}

bool lx_tuning_save(lx_device *device)
{
    char path[4096];
    lx_tuning *tuning = &device->tuning;
    if (!*device->tuning_file || !lx_cache_path(device->tuning_file, path, sizeof path))
        return false;
    add_file(tuning, path);
    const size_t room = (size_t)tuning->count * (sizeof(lx_tuned) + 64) + 1;
    char *text = malloc(room);
    size_t length = 0;
    for (int i = 0; text && i < tuning->count; i++) {
        const lx_tuned *entry = &tuning->entries[i];
        length += (size_t)snprintf(text + length, room - length, "%s\t%s\t%.9f\t%.9f\n", entry->problem, entry->variant,
                                   entry->seconds, entry->default_seconds);
    }
    const lx_chunk chunk = {text, length};
    lx_error error = {0};
    const bool written = text && !lx_file_write(path, &chunk, 1, &error);
    free(text);
    return written;
}

void lx_tuning_free(lx_tuning *tuning)
{
    free(tuning->entries);
    *tuning = (lx_tuning){.entries = NULL};
}

/* ---- measuring ----------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The time of a variant in seconds: the median of several rounds, after one that does not count. */
static lx_code measure(lx_device *device, const lx_choice *choice, int variant, double *seconds, lx_error *error)
{
    double rounds[ROUNDS];
    long repeats = 1;
    for (int round = -1; round < ROUNDS; round++) {
        const double start = lx_now();
        for (long i = 0; i < repeats; i++)
            if (choice->run(choice->job, variant, error))
                return error->code;
        if (device->runtime->finish(device, error))
            return error->code;
        const double each = (lx_now() - start) / (double)repeats;
        if (round >= 0)
            rounds[round] = each;
        else
            repeats = each * MOST_REPEATS < ROUND_MICROSECONDS * 1e-6 ? MOST_REPEATS
                                                                      : 1 + (long)(ROUND_MICROSECONDS * 1e-6 / each);
    }
    qsort(rounds, ROUNDS, sizeof *rounds, ascending);
    *seconds = rounds[ROUNDS / 2];
    return LX_OK;
}

/* Whether two results agree to within rounding. */
static bool agree(const float *a, const float *b, size_t count)
{
    double largest = 0, difference = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= 1e30)) /* also where one of them is no number */
            return false;
        largest = fmax(largest, fabs((double)a[i]));
        difference = fmax(difference, d);
    }
    return difference <= TOLERANCE * largest + 1e-12;
}

/* Makes the result no numbers, so that what a variant leaves out is not right by what another left there. */
static lx_code spoil(lx_device *device, const lx_choice *choice, float *nothing, lx_error *error)
{
    memset(nothing, 0xff, choice->bytes);
    return device->runtime->write(choice->result, choice->offset, nothing, choice->bytes, error);
}

/* Runs each variant, checks it against the first, and keeps the fastest of those that are right. A variant that the
 * device cannot run is passed over. */
static lx_code compare(lx_device *device, const lx_choice *choice, float *right, float *result, lx_tuned *best,
                       lx_error *error)
{
    const struct lx_runtime *runtime = device->runtime;
    for (int variant = 0; variant < choice->count; variant++) {
        double seconds = 0;
        error->code = LX_OK;
        const bool ran = !spoil(device, choice, result, error) && !choice->run(choice->job, variant, error) &&
                         !runtime->read(choice->result, choice->offset, variant ? result : right, choice->bytes, error);
        if (variant == 0 && !ran)
            return error->code;
        best->variants++;
        best->rejected++; /* until shown otherwise */
        if (!ran || (variant > 0 && !agree(right, result, choice->bytes / sizeof(float))) ||
            measure(device, choice, variant, &seconds, error))
            continue;
        best->rejected--;
        if (variant == choice->default_variant)
            best->default_seconds = seconds;
        if (best->seconds == 0 || seconds < best->seconds) {
            best->seconds = seconds;
            choice->name(choice->job, variant, best->variant);
        }
    }
    if (best->default_seconds > 0 && best->seconds > GAIN * best->default_seconds) {
        best->seconds = best->default_seconds;
        choice->name(choice->job, choice->default_variant, best->variant);
    }
    error->code = LX_OK;
    return LX_OK;
}

static lx_code tune(lx_device *device, const lx_choice *choice, lx_error *error)
{
    lx_tuned best = {.seconds = 0};
    float *right = malloc(choice->bytes), *result = malloc(choice->bytes);
    if (!right || !result)
        lx_fail(error, LX_ENOMEM, "out of memory: %.1f MiB to compare results", (double)choice->bytes / 524288.0);
    else
        compare(device, choice, right, result, &best, error);
    free(right);
    free(result);
    if (!error->code && best.seconds > 0) {
        snprintf(best.problem, sizeof best.problem, "%s", choice->problem);
        remember(&device->tuning, &best);
    }
    return error->code;
}

static int variant_of(const lx_choice *choice, const char *name)
{
    char candidate[LX_VARIANT_NAME];
    for (int variant = 0; variant < choice->count; variant++) {
        choice->name(choice->job, variant, candidate);
        if (strcmp(candidate, name) == 0)
            return variant;
    }
    return choice->default_variant;
}

/* For tests: the n-th of the variants whose names begin so. */
static lx_code run_forced(const lx_choice *choice, const char *kind, int n, lx_error *error)
{
    char name[LX_VARIANT_NAME];
    int found = 0;
    for (int variant = 0; variant < choice->count; variant++) {
        choice->name(choice->job, variant, name);
        if (strncmp(name, kind, strlen(kind)) == 0 && ++found == n)
            return choice->run(choice->job, variant, error);
    }
    return lx_fail(error, LX_EARG, "%s: there is no variant %d among %d %s", choice->problem, n, found, kind);
}

bool lx_prefers(const lx_device *device, const char *problem, const char *kind, bool is_default)
{
    if (device->tuning.forced)
        return strncmp(device->tuning.forced_kind, kind, strlen(kind)) == 0;
    const lx_tuned *known = find(&device->tuning, problem);
    if (known)
        return strncmp(known->variant, kind, strlen(kind)) == 0;
    return is_default && !device->tuning.measuring;
}

lx_code lx_choose(lx_device *device, const lx_choice *choice, lx_error *error)
{
    if (device->tuning.forced)
        return run_forced(choice, device->tuning.forced_kind, device->tuning.forced, error);
    const lx_tuned *known = find(&device->tuning, choice->problem);
    if (!known && device->tuning.measuring && choice->count > 1) {
        if (tune(device, choice, error))
            return error->code;
        known = find(&device->tuning, choice->problem);
    }
    return choice->run(choice->job, known ? variant_of(choice, known->variant) : choice->default_variant, error);
}
