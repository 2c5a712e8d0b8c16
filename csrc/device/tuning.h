/* Which of several variants of a computation is the fastest on a device: measured on demand, and remembered. */
#ifndef LX_TUNING_H
#define LX_TUNING_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/error.h"

typedef struct lx_device lx_device;

enum { LX_VARIANT_NAME = 48, LX_PROBLEM_TEXT = 160 };

typedef struct {
    char problem[LX_PROBLEM_TEXT]; /* what is computed, with all sizes */
    char variant[LX_VARIANT_NAME];
    double seconds, default_seconds; /* that the variant takes, and the one that would be taken without measuring */
    int variants,
        rejected; /* that were measured now, and of these did not run or gave another result; not kept on disk */
} lx_tuned;

/* What a device knows of itself; empty until something is measured or read. */
typedef struct {
    lx_tuned *entries;
    int count, room;
    bool measuring;       /* problems that are met are measured now */
    int forced;           /* for tests: everything is computed by its first variant, or second...; 0: by the best one */
    char forced_kind[16]; /* of those whose names begin so */
} lx_tuning;

/* A result that several variants can compute, all of which write the same buffer. */
typedef struct {
    const char *problem;
    int count;           /* variants, the first of which is taken to be right */
    int default_variant; /* the one to take where nothing is known */
    void *job;
    void (*name)(const void *job, int variant, char name[LX_VARIANT_NAME]);
    lx_code (*run)(void *job, int variant, lx_error *error);
    struct lx_storage *result; /* float32: compared between variants */
    size_t offset, bytes;
} lx_choice;

/* Runs the best variant that is known, and measures first if the device is to be tuned and nothing is known. */
lx_code lx_choose(lx_device *device, const lx_choice *choice, lx_error *error);

/* Whether variants of a name that begins so are to be taken for a problem, by whoever has more to gain from them than
 * one launch shows: they were forced or measured to be the best, or are the default and nothing is to be measured. */
bool lx_prefers(const lx_device *device, const char *problem, const char *kind, bool is_default);

/* Adds what is in the device's file, one problem a line; a file that is missing or damaged adds nothing. */
void lx_tuning_load(lx_device *device);
/* Adds what other processes have written since, and writes the file anew. False if that fails. */
bool lx_tuning_save(lx_device *device);
void lx_tuning_free(lx_tuning *tuning);

#endif
