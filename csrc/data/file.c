#if !defined _GNU_SOURCE && !defined _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* realpath */
#endif

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One write(2) moves at most 2 GiB on Linux and fails outright for more on some systems. */
enum { LARGEST_TRANSFER = 1 << 30 };

static lx_code fail_to(const char *verb, const char *path, int reason, lx_error *error)
{
    lx_code code = reason == ENOMEM ? LX_ENOMEM : LX_EIO;
    return lx_fail(error, code, "cannot %s \"%.300s\": %s", verb, path, strerror(reason));
}

/* Returns 0 or an errno. */
static int write_all(int file, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(file, bytes, size < LARGEST_TRANSFER ? size : LARGEST_TRANSFER);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            return ENOSPC;
        bytes += done;
        size -= (size_t)done;
    }
    return 0;
}

static int write_chunks(int file, const lx_chunk *chunks, size_t count)
{
    /* Passing the file-size limit raises SIGXFSZ, which would kill the process instead of failing the write. */
    sigset_t over_limit, before, pending;
    sigemptyset(&over_limit);
    sigaddset(&over_limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &over_limit, &before);

    int reason = 0;
    for (size_t i = 0; i < count && reason == 0; i++)
        reason = write_all(file, chunks[i].bytes, chunks[i].size);

    if (reason == EFBIG && !sigismember(&before, SIGXFSZ) && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGXFSZ)) {
        int taken;
        sigwait(&over_limit, &taken);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason;
}

/* Creates a file of a name nobody has in the directory of `target` and writes that name to `name`; returns the
   descriptor, or -1 and errno. The name does not grow with the target's, which may be as long as names can be. */
static int create_beside(const char *target, size_t directory, char *name, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t number = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    number = (number ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&now) * UINT64_C(0x9e3779b97f4a7c15);

    for (int attempt = 0; attempt < 100; attempt++, number++) {
        snprintf(name, size, "%.*s.luxel-%016" PRIx64, (int)directory, target, number);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* A rename lasts through a power cut only once its directory is on disk. Directories that cannot be opened or synced
   (no read permission, some network file systems) are left to the system. */
static int sync_directory(const char *target, size_t directory)
{
    char *name = directory > 0 ? strndup(target, directory) : strdup(".");
    if (name == NULL)
        return ENOMEM;
    int file = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(name);
    if (file < 0)
        return 0;
    int reason = fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
    close(file);
    return reason;
}

/* Writes to the temporary file, then renames; returns 0 or an errno. `existing` is the old file, or NULL. */
static int replace(const char *target, const struct stat *existing, const lx_chunk *chunks, size_t count)
{
    const char *slash = strrchr(target, '/');
    size_t directory = slash == NULL ? 0 : (size_t)(slash - target) + 1;
    size_t size = directory + sizeof ".luxel-0123456789abcdef";
    char *name = malloc(size);
    if (name == NULL)
        return ENOMEM;

    int file = create_beside(target, directory, name, size);
    if (file < 0) {
        int reason = errno;
        free(name);
        return reason;
    }

    int reason = write_chunks(file, chunks, count);
    if (reason == 0 && existing != NULL && fchmod(file, existing->st_mode & 07777) != 0)
        reason = errno;
    if (reason == 0 && fsync(file) != 0)
        reason = errno;
    if (close(file) != 0 && reason == 0 && errno != EINTR)
        reason = errno;
    if (reason == 0 && rename(name, target) != 0)
        reason = errno;
    if (reason != 0)
        unlink(name);
    else
        reason = sync_directory(target, directory);
    free(name);
    return reason;
}

lx_code lx_file_write(const char *path, const lx_chunk *chunks, size_t count, lx_error *error)
{
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && !S_ISREG(status.st_mode))
        return lx_fail(error, LX_EIO, "cannot write \"%.300s\": it exists and is not a regular file", path);

    char *target = exists ? realpath(path, NULL) : strdup(path);
    int reason = target == NULL ? errno : replace(target, exists ? &status : NULL, chunks, count);
    free(target);
    return reason == 0 ? LX_OK : fail_to("write", path, reason, error);
}

/* Opens a regular file and asks for its size; -1 and an error if it is none. */
static int open_regular(const char *path, struct stat *status, lx_error *error)
{
    /* Without O_NONBLOCK, opening a named pipe waits for a writer that may never come. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        fail_to("read", path, errno, error);
        return -1;
    }
    if (fstat(file, status) != 0)
        fail_to("read", path, errno, error);
    else if (!S_ISREG(status->st_mode))
        lx_fail(error, LX_EIO, "cannot read \"%.300s\": it is %s", path,
                S_ISDIR(status->st_mode) ? "a directory" : "not a regular file");
    else
        return file;
    close(file);
    return -1;
}

lx_code lx_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, lx_error *error)
{
    struct stat status;
    int file = open_regular(path, &status, error);
    if (file < 0)
        return error->code;
    if ((uintmax_t)status.st_size > limit) {
        close(file);
        return lx_fail(error, LX_EFORMAT, "cannot read \"%.300s\": it has %jd bytes, and the limit is %zu", path,
                       (intmax_t)status.st_size, limit);
    }

    size_t expected = (size_t)status.st_size, total = 0;
    uint8_t *buffer = malloc(expected > 0 ? expected : 1);
    int reason = buffer == NULL ? ENOMEM : 0;
    while (reason == 0 && total < expected) {
        size_t left = expected - total;
        ssize_t done = read(file, buffer + total, left < LARGEST_TRANSFER ? left : LARGEST_TRANSFER);
        if (done < 0 && errno != EINTR)
            reason = errno;
        else if (done == 0)
            break;
        else if (done > 0)
            total += (size_t)done;
    }
    close(file);
    if (reason != 0) {
        free(buffer);
        return fail_to("read", path, reason, error);
    }
    *bytes = buffer;
    *size = total;
    return LX_OK;
}

lx_mapping *lx_file_map(const char *path, lx_error *error)
{
    struct stat status;
    int file = open_regular(path, &status, error);
    if (file < 0)
        return NULL;
    lx_mapping *mapping = calloc(1, sizeof *mapping);
    void *bytes = NULL;
    int reason = mapping == NULL ? ENOMEM : 0;
    if (reason == 0 && status.st_size > 0) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        reason = bytes == MAP_FAILED ? errno : 0;
    }
    close(file);
    if (reason != 0) {
        free(mapping);
        fail_to("read", path, reason, error);
        return NULL;
    }
    atomic_init(&mapping->references, 1);
    mapping->bytes = bytes;
    mapping->size = (size_t)status.st_size;
    return mapping;
}

lx_mapping *lx_mapping_retain(lx_mapping *mapping)
{
    atomic_fetch_add(&mapping->references, 1);
    return mapping;
}

void lx_mapping_release(void *owner)
{
    lx_mapping *mapping = owner;
    if (mapping == NULL || atomic_fetch_sub(&mapping->references, 1) != 1)
        return;
    if (mapping->bytes != NULL)
        munmap(mapping->bytes, mapping->size);
    free(mapping);
}
