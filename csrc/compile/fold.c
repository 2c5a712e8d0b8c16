/* The part of a recording that depends on nothing but tensors from outside which it does not write, such as the packing
 * of weights for inference. It is done once, and again when one of those tensors was changed. */
#include <stdlib.h>

#include "recorded.h"

enum { MOST_GROWTH = 8 /* what is kept takes at most so many times the memory of what it is made from */ };

/* Whether nothing but results is changed: in training, what depends on the weights is different each time. */
static bool changes_nothing(const lx_recording *self)
{
    for (int i = 0; i < self->step_count; i++) {
        const lx_recorded *step = &self->steps[i];
        for (int j = 0; j < step->launch.count && !step->dropped; j++) {
            if (!lx_step_writes(step, j))
                continue;
            const lx_role role = self->slots[step->slots[j]].role;
            if (role != LX_TEMPORARY && role != LX_RESULT)
                return false;
        }
    }
    return true;
}

static bool can_fold(const lx_recorded *step, const bool *constant)
{
    if (step->dropped || step->check || step->live || step->draws)
        return false;
    for (int i = 0; i < step->launch.count; i++)
        if (step->slots[i] >= 0 && !constant[step->slots[i]])
            return false;
    return true;
}

/* A step is folded if all that it touches is constant; what any other step writes is not. Until nothing changes. */
static void find_constants(lx_recording *self, bool *constant)
{
    bool changed = true;
    for (int i = 0; i < self->slot_count; i++)
        constant[i] = self->slots[i].role == LX_EXTERNAL || self->slots[i].role == LX_TEMPORARY;
    while (changed) {
        changed = false;
        for (int i = 0; i < self->step_count; i++) {
            lx_recorded *step = &self->steps[i];
            step->folded = can_fold(step, constant);
            for (int j = 0; j < step->launch.count && !step->folded; j++)
                if (lx_step_writes(step, j) && constant[step->slots[j]]) {
                    constant[step->slots[j]] = false;
                    changed = true;
                }
        }
    }
}

/* What folded steps make and others read is kept; the rest of it is temporary. Returns the bytes of it, and of what it
 * is made from. */
static size_t find_kept(lx_recording *self, const bool *constant, bool *kept, size_t *from)
{
    size_t bytes = 0;
    for (int i = 0; i < self->step_count; i++) {
        const lx_recorded *step = &self->steps[i];
        for (int j = 0; j < step->launch.count && !step->dropped; j++) {
            const int slot = step->slots[j];
            if (slot < 0 || !constant[slot])
                continue;
            if (step->folded)
                self->slots[slot].folded = true;
            else
                kept[slot] = true;
        }
    }
    *from = 0;
    for (int i = 0; i < self->slot_count; i++) {
        lx_slot *slot = &self->slots[i];
        kept[i] = kept[i] && slot->folded && slot->role == LX_TEMPORARY;
        slot->folded = slot->folded && slot->role == LX_EXTERNAL;
        bytes += kept[i] ? slot->bytes : 0;
        *from += slot->folded ? slot->bytes : 0;
    }
    return bytes;
}

static void unfold(lx_recording *self)
{
    for (int i = 0; i < self->step_count; i++)
        self->steps[i].folded = false;
    for (int i = 0; i < self->slot_count; i++)
        self->slots[i].folded = false;
}

/* Memory for what is kept: all of it or none. */
static bool allocate(lx_recording *self, const bool *kept)
{
    lx_error error = {.code = LX_OK};
    bool all = true;
    for (int i = 0; i < self->slot_count && all; i++)
        if (kept[i])
            all = (self->slots[i].storage = lx_storage_new(self->device, self->slots[i].bytes, &error)) != NULL;
    for (int i = 0; i < self->slot_count; i++) {
        lx_slot *slot = &self->slots[i];
        if (kept[i] && all) {
            slot->role = LX_KEPT;
            slot->departures = slot->storage->departures;
            slot->held = true;
            slot->storage->held++;
            self->facts.constants += slot->storage->capacity;
        } else if (kept[i]) {
            lx_storage_release(slot->storage);
            slot->storage = NULL;
        }
    }
    return all;
}

void lx_recording_fold(lx_recording *self, bool *constant, bool *kept)
{
    size_t from;
    if (!changes_nothing(self))
        return;
    find_constants(self, constant);
    const size_t bytes = find_kept(self, constant, kept, &from);
    if (bytes > MOST_GROWTH * from || !allocate(self, kept)) {
        unfold(self);
        return;
    }
    for (int i = 0; i < self->step_count; i++)
        self->facts.folded += self->steps[i].folded;
}

long lx_recording_folded_versions(const lx_recording *self)
{
    long sum = 0; /* versions only grow, so that a sum tells whether one of them did */
    for (int i = 0; i < self->slot_count; i++)
        if (self->slots[i].folded)
            sum += self->slots[i].storage->version;
    return sum;
}
