#include "memory.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20, LARGE = 256 << 20 };

/* The number behind a name in a small file of the system's, times a unit; SIZE_MAX if it does not say. */
static size_t number_in(const char *path, const char *name, size_t unit)
{
    char text[4096];
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[size < 0 ? 0 : size] = '\0';
    const char *at = strstr(text, name);
    at = at ? at + strlen(name) : "";
    at += strspn(at, " ");
    return *at >= '0' && *at <= '9' ? (size_t)strtoull(at, NULL, 10) * unit : SIZE_MAX;
}

/* What the system, and the limit that this process runs under, have left. Linux promises more than there is, and then
   ends the process that touches it. */
static size_t host_memory_left(void)
{
    const size_t left = number_in("/proc/meminfo", "MemAvailable:", 1024);
    const size_t most = number_in("/sys/fs/cgroup/memory.max", "", 1),
                 used = number_in("/sys/fs/cgroup/memory.current", "", 1);
    const size_t allowed = most == SIZE_MAX || used == SIZE_MAX ? SIZE_MAX : most > used ? most - used : 0;
    return left < allowed ? left : allowed;
}

void *lx_host_block(size_t size, size_t alignment)
{
    void *block = NULL;
    if (size >= LARGE && size > host_memory_left())
        return NULL;
    if (posix_memalign(&block, size >= HUGE_PAGE ? HUGE_PAGE : alignment, size))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE)
        madvise(block, size, MADV_HUGEPAGE);
#endif
    return block;
}

void lx_host_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
