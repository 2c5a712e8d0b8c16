/* What a recording consists of, for the files that make, plan and replay it: recording.c, arena.c, fold.c. */
#ifndef LX_RECORDED_H
#define LX_RECORDED_H

#include "recording.h"

enum { LX_MOST_ATTACHED = 16 };

/* A storage that launches touch. */
typedef struct {
    lx_role role;
    lx_device *device;
    unsigned long id;
    size_t bytes;
    lx_storage *storage; /* external and kept; while it is recorded, of whichever is alive */
    bool held;
    long departures; /* external: as it was when it was met */
    int uses;        /* results that refer to it */
    int number;      /* of a bound one or a result */
    size_t offset;   /* of a bound one: where the argument began; of a temporary: in the arena */
    int first, last; /* steps that touch it; -1: none */
    int over;        /* the slot in whose place it is; -1: one of its own */
    bool folded;     /* external: folded steps read it */
} lx_slot;

/* A launch; without a kernel, a check, or a write of the parameters to its argument. */
typedef struct {
    lx_launch launch;            /* its parameters are the step's own; offsets count from where the slot begins */
    int slots[LX_MAX_ARGUMENTS]; /* by argument; -1: none */
    unsigned writes;             /* bit i: it may write argument i */
    lx_check *check;
    bool live;    /* its parameters come from the host at each replay */
    bool dropped; /* nobody needs what it writes */
    bool folded;  /* what it writes stays until what it reads is changed */
    bool draws;   /* its parameters hold a seed, and a stream that is `stream` after the first */
    size_t seed_at, stream_at;
    unsigned long stream;
} lx_recorded;

static inline bool lx_step_writes(const lx_recorded *step, int argument)
{
    return step->slots[argument] >= 0 && (step->writes >> argument & 1);
}

struct lx_recording {
    unsigned long id;
    lx_device *device; /* on which all is done; NULL: nothing was done yet */
    lx_stream start;
    unsigned long drawn;
    lx_slot *slots;
    int slot_count, slot_room, bound, results;
    lx_recorded *steps;
    int step_count, step_room;
    lx_recording_facts facts;
    bool done_folded; /* the folded steps were done, when versions were: */
    long folded_versions;

    /* while it is attached */
    lx_device *attached[LX_MOST_ATTACHED];
    int attached_count;
    void (*locate)(void *owner, char *text, size_t size);
    void *owner;
    char obstacle[512];
    bool live, refreshing;
    int cursor; /* refreshing: the step that the next launch may give numbers to */
    bool draws; /* the next launch has a seed and a stream there: */
    size_t seed_at, stream_at;
    size_t live_bytes, most_bytes; /* of storages that were made */
};

/* Finds the steps to fold, and memory for what they make. `constant` and `kept` are room for as many as there are
 * slots, all false. */
void lx_recording_fold(lx_recording *recording, bool *constant, bool *kept);
/* Changes when a tensor that folded steps read is written. */
long lx_recording_folded_versions(const lx_recording *recording);

#endif
