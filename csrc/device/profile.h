/* What a device did while it was watched: one entry for each launch, read and write. */
#ifndef LX_PROFILE_H
#define LX_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char name[48];         /* of the kernel, or "read", "write" */
    double start, seconds; /* the start on a clock that only goes forward */
    double work, bytes;    /* arithmetic operations; bytes of the tensors, each counted once */
} lx_profile_entry;

typedef struct {
    lx_profile_entry *entries;
    size_t count, room;
    bool full; /* there was no memory for more */
} lx_profile;

void lx_profile_add(lx_profile *profile, const char *name, double start, double seconds, double work, double bytes);
void lx_profile_free(lx_profile *profile);

#endif
