#include "profile.h"

#include <stdio.h>
#include <stdlib.h>

void lx_profile_add(lx_profile *profile, const char *name, double start, double seconds, double work, double bytes)
{
    if (profile->count == profile->room) {
        const size_t room = profile->room ? 2 * profile->room : 1024;
        lx_profile_entry *larger = realloc(profile->entries, room * sizeof *larger);
        profile->full = profile->full || !larger;
        if (!larger)
            return;
        profile->entries = larger;
        profile->room = room;
    }
    lx_profile_entry *entry = &profile->entries[profile->count++];
    *entry = (lx_profile_entry){.start = start, .seconds = seconds, .work = work, .bytes = bytes};
    snprintf(entry->name, sizeof entry->name, "%s", name);
}

void lx_profile_free(lx_profile *profile)
{
    free(profile->entries);
    *profile = (lx_profile){NULL, 0, 0, false};
}
