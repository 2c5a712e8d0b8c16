/* The plan of a recording: which steps are needed, and where in one piece of memory its temporaries are. */
#include <stdlib.h>
#include <string.h>

#include "../base/count.h"
#include "recorded.h"

/* Temporaries start on such a multiple: whole lines of every cache. */
enum { ALIGNMENT = 128 };

/* From the last step to the first: one is needed if it writes what outlives the run or what a later needed one
 * touches. What is written may be read as well, so it is needed from before. */
static void drop_dead(lx_recording *self, bool *needed)
{
    for (int i = 0; i < self->slot_count; i++)
        needed[i] = self->slots[i].role != LX_TEMPORARY;
    for (int i = self->step_count - 1; i >= 0; i--) {
        lx_recorded *step = &self->steps[i];
        step->dropped = step->check == NULL;
        for (int j = 0; j < step->launch.count; j++)
            if (lx_step_writes(step, j) && needed[step->slots[j]])
                step->dropped = false;
        for (int j = 0; j < step->launch.count && !step->dropped; j++)
            if (step->slots[j] >= 0)
                needed[step->slots[j]] = true;
        self->facts.dropped += step->dropped;
    }
}

static void find_lifetimes(lx_recording *self)
{
    for (int i = 0; i < self->step_count; i++) {
        const lx_recorded *step = &self->steps[i];
        for (int j = 0; j < step->launch.count && !step->dropped; j++) {
            if (step->slots[j] < 0)
                continue;
            lx_slot *slot = &self->slots[step->slots[j]];
            slot->last = i;
            if (slot->first < 0)
                slot->first = i;
        }
    }
}

/* The argument of a step that is its only result of a slot's size; -1 if there is none. */
static int result_of(const lx_recording *self, const lx_recorded *step, size_t bytes)
{
    int found = -1;
    for (int j = 0; j < step->launch.count; j++)
        if (lx_step_writes(step, j) && self->slots[step->slots[j]].bytes == bytes)
            found = found < 0 ? j : LX_MAX_ARGUMENTS;
    return found < LX_MAX_ARGUMENTS ? found : -1;
}

static int uses_in_step(const lx_recorded *step, int slot)
{
    int uses = 0;
    for (int j = 0; j < step->launch.count; j++)
        uses += step->slots[j] == slot;
    return uses;
}

/* Where a kernel may write over what it reads, and that is not needed any more, the result is put in its place: one
 * piece of memory fewer, and one that is in the caches already. */
static void write_over(lx_recording *self)
{
    for (int i = 0; i < self->step_count; i++) {
        const lx_recorded *step = &self->steps[i];
        const int read = step->dropped || !step->launch.kernel ? -1 : step->launch.kernel->over - 1;
        if (read < 0 || step->slots[read] < 0)
            continue;
        int place = step->slots[read];
        const lx_slot *from = &self->slots[place];
        const int result = result_of(self, step, from->bytes);
        if (result < 0 || from->role != LX_TEMPORARY || from->last != i || uses_in_step(step, place) != 1)
            continue;
        lx_slot *to = &self->slots[step->slots[result]];
        if (to->role != LX_TEMPORARY || to->first != i)
            continue;
        while (self->slots[place].over >= 0)
            place = self->slots[place].over;
        to->over = place;
        self->slots[place].last = to->last;
    }
}

static size_t rounded(size_t bytes)
{
    return lx_round_up(bytes, ALIGNMENT);
}

static bool overlap(const lx_slot *a, const lx_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int larger_first(const void *a, const void *b)
{
    const lx_slot *x = *(lx_slot *const *)a, *y = *(lx_slot *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_offset(const void *a, const void *b)
{
    const lx_slot *x = *(lx_slot *const *)a, *y = *(lx_slot *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The smallest gap that holds the slot between those already placed which live at the same time. */
static size_t find_gap(const lx_slot *slot, lx_slot *const *placed, int count)
{
    size_t best = 0, best_gap = 0, end = 0;
    const size_t size = rounded(slot->bytes);
    for (int i = 0; i < count; i++) {
        if (!overlap(slot, placed[i]))
            continue;
        const size_t gap = placed[i]->offset > end ? placed[i]->offset - end : 0;
        if (gap >= size && (best_gap == 0 || gap < best_gap)) {
            best = end;
            best_gap = gap;
        }
        const size_t after = placed[i]->offset + rounded(placed[i]->bytes);
        end = after > end ? after : end;
    }
    return best_gap ? best : end;
}

/* Puts an element into its place among those that are sorted by offset. */
static void insert(lx_slot **placed, int count, lx_slot *slot)
{
    int at = count;
    for (; at > 0 && by_offset(&placed[at - 1], &slot) > 0; at--)
        placed[at] = placed[at - 1];
    placed[at] = slot;
}

/* Large ones first, each where it leaves the least over. */
static void place(lx_recording *self, lx_slot **slots, lx_slot **placed)
{
    int count = 0;
    for (int i = 0; i < self->slot_count; i++)
        if (self->slots[i].role == LX_TEMPORARY && self->slots[i].first >= 0 && self->slots[i].over < 0)
            slots[count++] = &self->slots[i];
    qsort(slots, (size_t)count, sizeof *slots, larger_first);
    for (int i = 0; i < count; i++) {
        slots[i]->offset = find_gap(slots[i], placed, i);
        insert(placed, i, slots[i]);
        const size_t end = slots[i]->offset + rounded(slots[i]->bytes);
        self->facts.temporaries += slots[i]->bytes;
        self->facts.arena = end > self->facts.arena ? end : self->facts.arena;
    }
    for (int i = 0; i < self->slot_count; i++)
        if (self->slots[i].over >= 0)
            self->slots[i].offset = self->slots[self->slots[i].over].offset;
}

lx_code lx_recording_plan(lx_recording *self, lx_error *error)
{
    const size_t count = (size_t)self->slot_count + 1;
    bool *needed = calloc(3 * count, sizeof *needed);
    lx_slot **slots = calloc(2 * count, sizeof *slots);
    self->facts = (lx_recording_facts){.steps = self->step_count, .eager = self->most_bytes};
    if (needed && slots) {
        drop_dead(self, needed);
        lx_recording_fold(self, needed + count, needed + 2 * count);
        find_lifetimes(self);
        write_over(self);
        place(self, slots, slots + count);
    } else {
        lx_fail(error, LX_ENOMEM, "out of memory");
    }
    free(needed);
    free(slots);
    for (int i = 0; i < self->slot_count; i++)
        if (self->slots[i].role == LX_KEPT)
            self->facts.kept += self->slots[i].storage->capacity;
    self->facts.kept -= self->facts.constants;
    if (self->device) /* what the calls before took for their temporaries is not needed beside the arena */
        self->device->runtime->trim(self->device);
    return error->code;
}
