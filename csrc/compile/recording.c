/* Recordings: noting what a device does, comparing, and doing it again. Their memory is planned in arena.c. */
#include "recording.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/invariant.h"
#include "recorded.h"

enum { LARGEST_WRITE = 1 << 16 /* bytes from the host that are kept as part of a recording */ };

lx_recording *lx_recording_new(lx_stream start, lx_error *error)
{
    lx_recording *self = calloc(1, sizeof *self);
    if (!self)
        lx_fail(error, LX_ENOMEM, "out of memory");
    else
        self->start = start;
    return self;
}

/* ---- slots ---------------------------------------------------------------------------------------------------- */

/* Makes room for one more of something; NULL (and an obstacle) if there is none. */
static void *grow(lx_recording *self, void *all, int count, int *room, size_t size)
{
    if (count < *room)
        return all;
    const int wanted = *room ? 2 * *room : 64;
    void *larger = realloc(all, (size_t)wanted * size);
    if (!larger) {
        lx_note_obstacle(self, "needs more memory for the recording than there is");
        return NULL;
    }
    *room = wanted;
    return larger;
}

static int add_slot(lx_recording *self, lx_storage *storage, lx_role role)
{
    lx_slot *slots = grow(self, self->slots, self->slot_count, &self->slot_room, sizeof *slots);
    if (!slots)
        return -1;
    self->slots = slots;
    slots[self->slot_count] = (lx_slot){.role = role,
                                        .device = storage->device,
                                        .id = storage->id,
                                        .bytes = storage->bytes,
                                        .storage = storage,
                                        .departures = storage->departures,
                                        .first = -1,
                                        .last = -1,
                                        .over = -1};
    storage->recording = self->id;
    storage->slot = self->slot_count;
    return self->slot_count++;
}

static void hold(lx_storage *storage)
{
    lx_storage_retain(storage);
    storage->held++;
}

static void let_go(lx_slot *slot)
{
    lx_storage *storage = slot->storage;
    slot->storage = NULL;
    if (!storage || !slot->held)
        return;
    slot->held = false;
    LX_ASSERT(storage->held > 0);
    storage->held--;
    lx_storage_release(storage);
}

/* The slot of a storage; one that the recording did not see being made is from outside. */
static int slot_of(lx_recording *self, lx_storage *storage)
{
    if (storage->recording == self->id)
        return storage->slot >= 0 ? storage->slot : add_slot(self, storage, LX_TEMPORARY);
    const int slot = add_slot(self, storage, LX_EXTERNAL);
    if (slot >= 0) {
        hold(storage);
        self->slots[slot].held = true;
    }
    return slot;
}

int lx_recording_bind(lx_recording *self, lx_storage *storage, size_t offset)
{
    const int slot = add_slot(self, storage, LX_BOUND);
    if (slot < 0)
        return -1;
    hold(storage);
    self->slots[slot].held = true;
    self->slots[slot].number = self->bound;
    self->slots[slot].offset = offset;
    return self->bound++;
}

/* ---- noting --------------------------------------------------------------------------------------------------- */

void lx_note_obstacle(lx_recording *self, const char *format, ...)
{
    va_list arguments;
    if (self->refreshing || *self->obstacle)
        return;
    va_start(arguments, format);
    const int length = vsnprintf(self->obstacle, sizeof self->obstacle, format, arguments);
    va_end(arguments);
    if (self->locate && length > 0 && (size_t)length < sizeof self->obstacle)
        self->locate(self->owner, self->obstacle + length, sizeof self->obstacle - (size_t)length);
}

const char *lx_recording_obstacle(const lx_recording *self)
{
    return *self->obstacle ? self->obstacle : NULL;
}

void lx_note_stream(lx_recording *self, size_t seed_at, size_t stream_at)
{
    self->draws = true;
    self->seed_at = seed_at;
    self->stream_at = stream_at;
}

/* Takes the slots of the arguments, whose offsets then count from the beginning of an argument that is bound. */
static bool take_arguments(lx_recording *self, lx_recorded *step, const lx_argument *arguments, int count)
{
    step->launch.count = count;
    for (int i = 0; i < count; i++) {
        step->slots[i] = -1;
        step->launch.arguments[i] = (lx_argument){NULL, arguments[i].offset};
        if (!arguments[i].storage)
            continue;
        step->slots[i] = slot_of(self, arguments[i].storage);
        if (step->slots[i] < 0)
            return false;
        const lx_slot *slot = &self->slots[step->slots[i]];
        if (slot->role == LX_BOUND)
            step->launch.arguments[i].offset -= slot->offset;
    }
    return true;
}

/* What the launch draws is counted from where random numbers stand at the start, unless it is from elsewhere. */
static void take_stream(lx_recording *self, lx_recorded *step, char *params)
{
    lx_stream stream;
    memcpy(&stream.seed, params + self->seed_at, sizeof stream.seed);
    memcpy(&stream.stream, params + self->stream_at, sizeof stream.stream);
    step->draws = stream.seed == self->start.seed && stream.stream >= self->start.stream;
    if (!step->draws)
        return;
    step->seed_at = self->seed_at;
    step->stream_at = self->stream_at;
    step->stream = stream.stream - self->start.stream;
    memset(params + self->seed_at, 0, sizeof stream.seed);
    memset(params + self->stream_at, 0, sizeof stream.stream);
}

static void free_step(lx_recorded *step)
{
    free((void *)step->launch.params);
}

/* Adds a step with a copy of its parameters; NULL (and an obstacle) if it cannot. */
static lx_recorded *add_step(lx_recording *self, lx_device *device, const lx_launch *launch)
{
    if (*self->obstacle)
        return NULL;
    if (self->device && self->device != device) {
        lx_note_obstacle(self, "works on two devices, %s and %s", self->device->label, device->label);
        return NULL;
    }
    self->device = device;
    lx_recorded *steps = grow(self, self->steps, self->step_count, &self->step_room, sizeof *steps);
    if (!steps)
        return NULL;
    self->steps = steps;
    lx_recorded *step = &steps[self->step_count];
    char *params = malloc(launch->params_size ? launch->params_size : 1);
    *step = (lx_recorded){.launch = *launch};
    step->launch.params = params;
    if (!params || !take_arguments(self, step, launch->arguments, launch->count)) {
        free_step(step);
        lx_note_obstacle(self, "needs more memory for the recording than there is");
        return NULL;
    }
    if (launch->params_size)
        memcpy(params, launch->params, launch->params_size);
    self->step_count++;
    return step;
}

/* Takes the numbers of a launch for the next live one, which it has to be another time. */
static lx_code refresh(lx_recording *self, const lx_launch *launch, lx_error *error)
{
    while (self->cursor < self->step_count && !self->steps[self->cursor].live)
        self->cursor++;
    lx_recorded *step = self->cursor < self->step_count ? &self->steps[self->cursor++] : NULL;
    if (!step || step->launch.kernel != launch->kernel || step->launch.params_size != launch->params_size)
        return lx_fail(error, LX_EARG,
                       "compile: what runs at each replay launches %s, which it did not when it was "
                       "recorded; make a new lx.compile after such a change",
                       launch->kernel->name);
    memcpy((void *)step->launch.params, launch->params, launch->params_size);
    return LX_OK;
}

lx_code lx_note_launch(lx_recording *self, lx_device *device, const lx_launch *launch, bool *done, lx_error *error)
{
    const bool draws = self->draws;
    self->draws = false;
    *done = self->refreshing;
    if (self->refreshing)
        return refresh(self, launch, error);
    lx_recorded *step = add_step(self, device, launch);
    if (!step)
        return LX_OK;
    step->writes = *launch->kernel->writes;
    step->live = self->live;
    if (draws)
        take_stream(self, step, (char *)step->launch.params);
    return LX_OK;
}

void lx_note_check(lx_recording *self, lx_device *device, lx_check *check, const void *params, size_t params_size,
                   const lx_argument *arguments, int count)
{
    if (self->refreshing)
        return;
    lx_launch launch = {.params = params, .params_size = params_size, .count = count};
    memcpy(launch.arguments, arguments, (size_t)count * sizeof *arguments);
    lx_recorded *step = add_step(self, device, &launch);
    if (step)
        step->check = check;
}

static void note_write(lx_recording *self, lx_storage *to, size_t offset, const void *from, size_t bytes)
{
    if (self->refreshing)
        return;
    if (bytes > LARGEST_WRITE) {
        lx_note_obstacle(
            self, "makes a tensor of %zu bytes from data in Lua; make it outside, or pass it as an argument", bytes);
        return;
    }
    const lx_launch launch = {.params = from, .params_size = bytes, .arguments = {{to, offset}}, .count = 1};
    lx_recorded *step = add_step(self, to->device, &launch);
    if (step)
        step->writes = 1;
}

static void note_storage(lx_recording *self, lx_storage *storage)
{
    if (self->refreshing)
        return;
    storage->recording = self->id;
    storage->slot = -1;
    self->live_bytes += storage->capacity;
    if (self->live_bytes > self->most_bytes)
        self->most_bytes = self->live_bytes;
}

static void note_release(lx_recording *self, const lx_storage *storage)
{
    if (self->refreshing || storage->recording != self->id)
        return;
    if (storage->slot < 0 || self->slots[storage->slot].role == LX_TEMPORARY)
        self->live_bytes -= storage->capacity;
    if (storage->slot >= 0)
        self->slots[storage->slot].storage = NULL;
}

static const lx_recorder recorder = {note_storage, note_release, note_write, lx_note_obstacle};

/* ---- beginning and ending ------------------------------------------------------------------------------------- */

static void attach(lx_recording *self, lx_device *const *devices, int count)
{
    for (int i = 0; i < count; i++) {
        self->attached[i] = devices[i];
        devices[i]->recording = self;
        devices[i]->recorder = &recorder;
    }
    self->attached_count = count;
}

static void detach(lx_recording *self)
{
    for (int i = 0; i < self->attached_count; i++)
        self->attached[i]->recording = NULL;
    self->attached_count = 0;
}

void lx_recording_begin(lx_recording *self, lx_device *const *devices, int count,
                        void (*locate)(void *owner, char *text, size_t size), void *owner)
{
    self->id = ++devices[0]->storages; /* as unique as a storage's */
    self->locate = locate;
    self->owner = owner;
    attach(self, devices, count);
}

void lx_recording_live(lx_recording *self, bool live)
{
    self->live = live;
}

bool lx_recording_made(const lx_recording *self, const lx_storage *storage)
{
    return storage->recording == self->id && (storage->slot < 0 || self->slots[storage->slot].role == LX_TEMPORARY);
}

void lx_recording_end(lx_recording *self)
{
    detach(self);
    self->refreshing = false;
    self->locate = NULL;
}

int lx_recording_result(lx_recording *self, lx_storage *storage, lx_error *error)
{
    const int slot = slot_of(self, storage);
    if (slot < 0)
        lx_fail(error, LX_ENOMEM, "out of memory");
    else
        self->slots[slot].uses++;
    return slot;
}

/* A storage that was made and is alive is a result if only results use it; else others have it too, and it is kept. */
static void settle_slot(lx_recording *self, lx_slot *slot)
{
    if (!slot->storage)
        return;
    slot->departures = slot->storage->departures;
    if (slot->role == LX_BOUND)
        let_go(slot);
    if (slot->role != LX_TEMPORARY)
        return;
    if (slot->storage->references == slot->uses) {
        slot->role = LX_RESULT;
        slot->number = self->results++;
        slot->storage = NULL;
        return;
    }
    slot->role = LX_KEPT;
    slot->held = true;
    hold(slot->storage);
}

void lx_recording_settle(lx_recording *self, unsigned long drawn)
{
    self->drawn = drawn;
    for (int i = 0; i < self->slot_count; i++)
        settle_slot(self, &self->slots[i]);
}

void lx_recording_forget(lx_recording *self)
{
    for (int i = 0; i < self->slot_count; i++)
        let_go(&self->slots[i]);
}

void lx_recording_free(lx_recording *self)
{
    if (!self)
        return;
    detach(self);
    lx_recording_forget(self);
    for (int i = 0; i < self->step_count; i++)
        free_step(&self->steps[i]);
    free(self->slots);
    free(self->steps);
    free(self);
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static bool same_slot(const lx_slot *a, const lx_slot *b)
{
    return a->role == b->role && a->device == b->device && a->bytes == b->bytes && a->number == b->number &&
           (a->role != LX_EXTERNAL || a->id == b->id);
}

static bool same_work(const lx_recorded *a, const lx_recorded *b)
{
    const lx_launch *x = &a->launch, *y = &b->launch;
    return x->kernel == y->kernel && a->check == b->check && memcmp(x->size, y->size, sizeof x->size) == 0 &&
           memcmp(x->group, y->group, sizeof x->group) == 0 && x->params_size == y->params_size &&
           lx_same_options(&x->options, &y->options) && x->count == y->count && a->live == b->live &&
           a->draws == b->draws && a->stream == b->stream;
}

static bool same_tensors(const lx_recorded *a, const lx_recorded *b)
{
    for (int i = 0; i < a->launch.count; i++)
        if (a->slots[i] != b->slots[i] || a->launch.arguments[i].offset != b->launch.arguments[i].offset)
            return false;
    return true;
}

static const char *name_of(const lx_recorded *step)
{
    return step->launch.kernel ? step->launch.kernel->name : step->check ? "check" : "write";
}

static bool differ(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool differ(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return false;
}

bool lx_recording_same(const lx_recording *a, const lx_recording *b, char *text, size_t size)
{
    for (int i = 0; i < a->step_count && i < b->step_count; i++) {
        const lx_recorded *x = &a->steps[i], *y = &b->steps[i];
        if (!same_work(x, y))
            return differ(text, size, "step %d is %s in one call and %s, or of another size, in the next", i + 1,
                          name_of(x), name_of(y));
        if (!same_tensors(x, y))
            return differ(text, size, "%s (step %d) works on other tensors in each call", name_of(x), i + 1);
        if (!x->live && memcmp(x->launch.params, y->launch.params, x->launch.params_size) != 0)
            return differ(text, size, "a number that %s (step %d) takes changes from call to call; pass it as a tensor",
                          name_of(x), i + 1);
    }
    if (a->step_count != b->step_count)
        return differ(text, size, "it launches %d kernels in one call and %d in the next", a->step_count,
                      b->step_count);
    for (int i = 0; i < a->slot_count && i < b->slot_count; i++)
        if (!same_slot(&a->slots[i], &b->slots[i]))
            return differ(text, size, "it uses other tensors in each call");
    if (a->slot_count != b->slot_count || a->drawn != b->drawn)
        return differ(text, size, "it uses more tensors, or random numbers, in one call than in the next");
    return true;
}

/* ---- replaying ------------------------------------------------------------------------------------------------ */

bool lx_recording_move(lx_recording *self, lx_storage *kept, lx_storage *other)
{
    lx_slot *slot = NULL;
    for (int i = 0; i < self->slot_count; i++) {
        if (self->slots[i].storage == other)
            return false;
        if (self->slots[i].role == LX_KEPT && self->slots[i].storage == kept)
            slot = &self->slots[i];
    }
    if (!slot || slot->bytes != other->bytes || slot->device != other->device)
        return false;
    hold(other);
    let_go(slot);
    slot->storage = other;
    slot->departures = other->departures;
    slot->held = true;
    return true;
}

/* A storage from outside that only recordings hold, or that a tensor left, is no longer what the function would use. */
bool lx_recording_fits(const lx_recording *self)
{
    for (int i = 0; i < self->slot_count; i++) {
        const lx_slot *slot = &self->slots[i];
        if (slot->storage && slot->storage->departures != slot->departures)
            return false;
        if (slot->role == LX_EXTERNAL && slot->storage->references <= slot->storage->held)
            return false;
    }
    return true;
}

void lx_recording_refresh(lx_recording *self, lx_device *const *devices, int count)
{
    self->refreshing = true;
    self->cursor = 0;
    attach(self, devices, count);
}

lx_code lx_recording_refreshed(lx_recording *self, lx_error *error)
{
    detach(self);
    self->refreshing = false;
    for (; self->cursor < self->step_count; self->cursor++)
        if (self->steps[self->cursor].live)
            return lx_fail(error, LX_EARG,
                           "compile: what runs at each replay no longer launches %s, as it did when it "
                           "was recorded; make a new lx.compile after such a change",
                           self->steps[self->cursor].launch.kernel->name);
    return LX_OK;
}

/* The storage of a slot in this replay, and where in it the slot begins. */
static lx_argument place_of(const lx_slot *slot, lx_storage *arena, const lx_argument *bound,
                            lx_storage *const *results)
{
    switch (slot->role) {
    case LX_TEMPORARY: return (lx_argument){arena, slot->offset};
    case LX_BOUND: return bound[slot->number];
    case LX_RESULT: return (lx_argument){results[slot->number], 0};
    default: return (lx_argument){slot->storage, 0};
    }
}

static lx_code do_step(const lx_recording *self, lx_recorded *step, lx_storage *arena, const lx_argument *bound,
                       lx_stream start, lx_storage *const *results, lx_error *error)
{
    lx_launch launch = step->launch;
    for (int i = 0; i < launch.count; i++) {
        if (step->slots[i] < 0)
            continue;
        const lx_argument place = place_of(&self->slots[step->slots[i]], arena, bound, results);
        launch.arguments[i].storage = place.storage;
        launch.arguments[i].offset += place.offset;
    }
    if (step->draws) {
        char *params = (char *)step->launch.params;
        const unsigned long stream = start.stream + step->stream;
        memcpy(params + step->seed_at, &start.seed, sizeof start.seed);
        memcpy(params + step->stream_at, &stream, sizeof stream);
    }
    if (step->check)
        return step->check(launch.params, launch.arguments, error);
    if (!launch.kernel)
        return lx_storage_write(launch.arguments[0].storage, launch.arguments[0].offset, launch.params,
                                launch.params_size, error);
    return lx_device_launch(self->device, &launch, error);
}

static lx_code make_results(const lx_recording *self, lx_storage **results, lx_error *error)
{
    for (int i = 0; i < self->slot_count; i++) {
        const lx_slot *slot = &self->slots[i];
        if (slot->role == LX_RESULT && !(results[slot->number] = lx_storage_new(slot->device, slot->bytes, error)))
            return error->code;
    }
    return LX_OK;
}

lx_code lx_recording_replay(lx_recording *self, const lx_argument *bound, lx_stream start, lx_storage **results,
                            lx_error *error)
{
    lx_storage *arena = NULL;
    if (make_results(self, results, error))
        return error->code;
    if (self->facts.arena && !(arena = lx_storage_scratch(self->device, self->facts.arena, error)))
        return error->code;
    const long versions = lx_recording_folded_versions(self);
    const bool folded = self->done_folded && versions == self->folded_versions;
    for (int i = 0; i < self->step_count && !error->code; i++)
        if (!self->steps[i].dropped && !(folded && self->steps[i].folded))
            do_step(self, &self->steps[i], arena, bound, start, results, error);
    self->done_folded = !error->code;
    self->folded_versions = versions;
    lx_storage_release(arena);
    return error->code;
}

lx_role lx_recording_role(const lx_recording *self, int slot, int *number, size_t *offset, lx_storage **storage)
{
    const lx_slot *of = &self->slots[slot];
    *number = of->number;
    *offset = of->offset;
    *storage = of->storage;
    return of->role;
}

int lx_recording_results(const lx_recording *self)
{
    return self->results;
}

lx_stream lx_recording_start(const lx_recording *self)
{
    return self->start;
}

unsigned long lx_recording_drawn(const lx_recording *self)
{
    return self->drawn;
}

lx_recording_facts lx_recording_describe(const lx_recording *self)
{
    return self->facts;
}
