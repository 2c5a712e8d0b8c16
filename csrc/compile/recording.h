/* A recording: what a device was asked to do while a function ran, planned so that it can be done again without the
 * function, in one piece of memory.
 *
 * While it is attached to the devices, they tell it of every launch, and of every storage that comes and goes. What
 * cannot be done again, such as a value that the host reads, is an obstacle, and the recording is of no use. The
 * storages that launches touch are its slots, numbered as they are met. Two recordings of one function that are the
 * same tell that it does the same each time.
 */
#ifndef LX_RECORDING_H
#define LX_RECORDING_H

#include "../device/device.h"

/* Where random numbers stand: see csrc/ops/random.c. */
typedef struct {
    unsigned long seed, stream;
} lx_stream;

typedef struct lx_recording lx_recording;

/* A look at values in the middle of a run: fails if they are not as they should be. It reads by the runtime, so it is
 * for devices that do not make the host wait. */
typedef lx_code lx_check(const void *params, const lx_argument *arguments, lx_error *error);

typedef struct {
    int steps, dropped;        /* launches and the like; those that nobody needs the results of */
    size_t arena, temporaries; /* bytes of the one piece of memory, and of all that has its place in it */
    size_t eager;              /* bytes that the same temporaries took at most while they were recorded */
    size_t kept;               /* bytes of storages that were made and outlived the function */
    int folded;                /* launches whose results stay until what they read is changed */
    size_t constants;          /* bytes of these results */
} lx_recording_facts;

/* Empty; `start` is where random numbers stand. NULL and an error if there is no memory. */
lx_recording *lx_recording_new(lx_stream start, lx_error *error);
void lx_recording_free(lx_recording *recording);

/* ---- recording ------------------------------------------------------------------------------------------------ */

/* Attaches it to the devices. `locate` (may be NULL) says where in the user's program the host is. */
void lx_recording_begin(lx_recording *recording, lx_device *const *devices, int count,
                        void (*locate)(void *owner, char *text, size_t size), void *owner);
/* The storage is an argument's, which starts at the offset; returns how many came before it. */
int lx_recording_bind(lx_recording *recording, lx_storage *storage, size_t offset);
/* Whether the host runs what it will run again at each replay: launches then take their numbers from it. */
void lx_recording_live(lx_recording *recording, bool live);
/* Whether the storage came into being while it is attached. */
bool lx_recording_made(const lx_recording *recording, const lx_storage *storage);
void lx_recording_end(lx_recording *recording);

/* After the end. The storage is a result's; returns its slot, or -1 and an error. */
int lx_recording_result(lx_recording *recording, lx_storage *storage, lx_error *error);
/* After all results: what is left of storages that were made outlives the function and is kept. `drawn`: streams that
 * were drawn from. */
void lx_recording_settle(lx_recording *recording, unsigned long drawn);
/* Lets go of all storages; it can only be compared afterwards. */
void lx_recording_forget(lx_recording *recording);
/* Why it cannot be replayed, with the place; NULL if it can. */
const char *lx_recording_obstacle(const lx_recording *recording);
/* Whether two settled recordings do the same; else `text` says what differs. */
bool lx_recording_same(const lx_recording *a, const lx_recording *b, char *text, size_t size);

/* ---- replaying ------------------------------------------------------------------------------------------------ */

/* Once, after it settled: finds what nobody needs, and a place in the arena for everything temporary. */
lx_code lx_recording_plan(lx_recording *recording, lx_error *error);
/* A slot that was kept has its contents in `other` from now on. False if that is not as large, or in use. */
bool lx_recording_move(lx_recording *recording, lx_storage *kept, lx_storage *other);
/* Whether the storages that it refers to are still what somebody else uses. */
bool lx_recording_fits(const lx_recording *recording);
/* Attaches it: launches are not done but give their numbers to the live launches in order. At the end, an error if
 * there were fewer. */
void lx_recording_refresh(lx_recording *recording, lx_device *const *devices, int count);
lx_code lx_recording_refreshed(lx_recording *recording, lx_error *error);
/* Does it all again. `bound` are the arguments' storages as they were bound; new storages for the results that are
 * not the function's arguments or older go to `results`, by number. */
lx_code lx_recording_replay(lx_recording *recording, const lx_argument *bound, lx_stream start, lx_storage **results,
                            lx_error *error);

/* What a slot is, for who makes tensors of results. */
typedef enum { LX_TEMPORARY, LX_EXTERNAL, LX_BOUND, LX_RESULT, LX_KEPT } lx_role;
lx_role lx_recording_role(const lx_recording *recording, int slot, int *number, size_t *offset, lx_storage **storage);
int lx_recording_results(const lx_recording *recording);
lx_stream lx_recording_start(const lx_recording *recording);
unsigned long lx_recording_drawn(const lx_recording *recording);
lx_recording_facts lx_recording_describe(const lx_recording *recording);

/* ---- what operations tell it; what devices do, by lx_recorder -------------------------------------------------- */

/* `*done`: the launch must not be done. */
lx_code lx_note_launch(lx_recording *recording, lx_device *device, const lx_launch *launch, bool *done,
                       lx_error *error);
void lx_note_check(lx_recording *recording, lx_device *device, lx_check *check, const void *params, size_t params_size,
                   const lx_argument *arguments, int count);
/* The next launch's parameters hold a seed and a stream at these offsets. */
void lx_note_stream(lx_recording *recording, size_t seed_at, size_t stream_at);
/* It cannot be done again, for this reason: "reads a value", say. */
void lx_note_obstacle(lx_recording *recording, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
