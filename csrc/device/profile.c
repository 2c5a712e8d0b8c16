#include "profile.h"

#include <stdio.h>
#include <stdlib.h>

void lx_profile_add(lx_profile *profile, const char *name, double start, double seconds, double work, double bytes)
{
    if (profile->count == profile->room) {
        const size_t room = profile->room ? 2 * profile->room : 1024;
        lx_record *larger = realloc(profile->records, room * sizeof *larger);
        profile->full = profile->full || !larger;
        if (!larger)
            return;
        profile->records = larger;
        profile->room = room;
    }
    lx_record *record = &profile->records[profile->count++];
    *record = (lx_record){.start = start, .seconds = seconds, .work = work, .bytes = bytes};
    snprintf(record->name, sizeof record->name, "%s", name);
}

void lx_profile_free(lx_profile *profile)
{
    free(profile->records);
    *profile = (lx_profile){NULL, 0, 0, false};
}
