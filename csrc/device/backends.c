#include "backends.h"

#include <ctype.h>
#include <string.h>

#include "opencl/opencl.h"

static const lx_backend *const backends[] = {&lx_opencl_backend};

enum { BACKENDS = sizeof backends / sizeof *backends };

int lx_backends_list(lx_device_info *list, int room, lx_error *error)
{
    int count = 0;
    for (int b = 0; b < BACKENDS; b++) {
        lx_error problem = {.code = LX_OK};
        const int found = backends[b]->list(list + count, room - count, &problem);
        if (found == 0 && !error->code)
            *error = problem;
        for (int i = 0; i < found; i++) {
            list[count + i].backend = backends[b];
            list[count + i].index = i;
        }
        count += found;
    }
    if (count > 0)
        error->code = LX_OK;
    return count;
}

/* Whether `text` has `part` in it, whatever the case. */
static bool contains(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; length && *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

/* GPUs before others, those with their own memory first, then the one with the most units. */
static long rank(const lx_device_info *info)
{
    const bool gpu = strcmp(info->type, "gpu") == 0, cpu = strcmp(info->type, "cpu") == 0;
    return (gpu ? 2000000L : cpu ? 0L : 1000000L) + (gpu && !info->shares_memory ? 500000L : 0L) + info->units;
}

int lx_backends_select(const lx_device_info *list, int count, const char *name)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].label, name) == 0)
            return i;
    const bool automatic = strcmp(name, "auto") == 0;
    for (int i = 0; i < count; i++) {
        const bool fits = automatic ? strcmp(list[i].type, "gpu") == 0
                                    : strcmp(list[i].backend->kind, name) == 0 || contains(list[i].name, name) ||
                                          contains(list[i].platform, name);
        if (fits && (best < 0 || rank(&list[i]) > rank(&list[best])))
            best = i;
    }
    return best;
}

bool lx_backends_name(const char *name)
{
    for (int b = 0; b < BACKENDS; b++)
        if (strncmp(name, backends[b]->kind, strlen(backends[b]->kind)) == 0)
            return true;
    return false;
}

bool lx_backends_gpu_possible(void)
{
    for (int b = 0; b < BACKENDS; b++)
        if (backends[b]->gpu_possible())
            return true;
    return false;
}

bool lx_backends_left_behind(lx_device *device)
{
    for (int b = 0; b < BACKENDS; b++)
        if (backends[b]->left_behind(device))
            return true;
    return false;
}
