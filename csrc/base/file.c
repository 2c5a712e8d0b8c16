#if !defined _GNU_SOURCE && !defined _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* realpath */
#define _DEFAULT_SOURCE   /* MAP_ANONYMOUS */
#endif

#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

/* One write(2) moves at most 2 GiB on Linux and fails outright for more on some systems. */
enum { LARGEST_TRANSFER = 1 << 30 };

static lx_code fail_to(const char *verb, const char *path, int reason, lx_error *error)
{
    lx_code code = reason == ENOMEM ? LX_ENOMEM : LX_EIO;
    return lx_fail(error, code, "cannot %s \"%.300s\": %s", verb, path, strerror(reason));
}

/* Returns 0 or an errno. */
static int write_all(int file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = pwrite(file, bytes, size < LARGEST_TRANSFER ? size : LARGEST_TRANSFER, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            return ENOSPC;
        bytes += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return 0;
}

lx_code lx_file_put(const lx_new_file *self, uint64_t offset, const void *bytes, size_t size, lx_error *error)
{
    /* Passing the file-size limit raises SIGXFSZ, which would kill the process instead of failing the write. */
    sigset_t over_limit, before, pending;
    sigemptyset(&over_limit);
    sigaddset(&over_limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &over_limit, &before);

    const int reason = write_all(self->file, offset, bytes, size);

    if (reason == EFBIG && !sigismember(&before, SIGXFSZ) && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGXFSZ)) {
        int taken;
        sigwait(&over_limit, &taken);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason == 0 ? LX_OK : fail_to("write", self->target, reason, error);
}

/* ---- temporary names --------------------------------------------------------------------------------------------

   A file that is being written is called ".luxel-", eight digits for this run of the machine's kernel, and eight that
   nobody else has there. Its writer holds a lock on it until it has its final name. Locks end with processes, so
   whatever can be locked was left by one that is no more. */

static const char PREFIX[] = ".luxel-";
enum { DIGITS = 8, NAME_SIZE = sizeof PREFIX + 2 * DIGITS };

/* Files of other machines, or of this one before it was started anew, are judged by their age too: some network file
   systems keep locks to one machine. A writer that lives does not rest for so long. */
enum { ABANDONED_AFTER = 24 * 60 * 60 };

/* Tells runs of kernels apart, also those of machines that share a folder; containers of one machine have the same. */
static uint32_t kernel_run(void)
{
    char text[256] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    const size_t read = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    if (read == 0)
        gethostname(text, sizeof text - 1);
    uint32_t hash = 2166136261u;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash;
}

/* Whether a file of this name is a temporary one; `run` becomes the kernel's that its writer ran on. */
static bool is_temporary(const char *name, uint32_t *run)
{
    const size_t prefix = sizeof PREFIX - 1;
    char digits[DIGITS + 1] = "";
    if (strlen(name) != NAME_SIZE - 1 || memcmp(name, PREFIX, prefix) != 0 ||
        strspn(name + prefix, "0123456789abcdef") != 2 * DIGITS)
        return false;
    memcpy(digits, name + prefix, DIGITS);
    *run = (uint32_t)strtoul(digits, NULL, 16);
    return true;
}

static void remove_if_abandoned(int folder, const char *name, bool this_run)
{
    struct stat status;
    /* for writing: NFS gives no exclusive lock otherwise */
    const int file = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        (this_run || time(NULL) - status.st_mtime > ABANDONED_AFTER) && flock(file, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(file);
}

/* What writers that were killed left in the directory of `target`. Where that cannot be seen it stays. */
static void remove_all_abandoned(const char *target, size_t directory)
{
    char *name = directory > 0 ? strndup(target, directory) : strdup(".");
    DIR *folder = name ? opendir(name) : NULL;
    free(name);
    if (!folder)
        return;
    uint32_t run;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (is_temporary(entry->d_name, &run))
            remove_if_abandoned(dirfd(folder), entry->d_name, run == kernel_run());
    closedir(folder);
}

/* Locks a new file; false if somebody took it for abandoned in the moment before. Where there are no locks nobody does.
 */
static bool claim(int file)
{
    struct stat status;
    if (flock(file, LOCK_EX | LOCK_NB) != 0)
        return errno != EWOULDBLOCK;
    return fstat(file, &status) != 0 || status.st_nlink > 0;
}

/* Creates a file of a temporary name in the directory of `target` and writes that name to `name`; returns the
   descriptor, or -1 and errno. The name does not grow with the target's, which may be as long as names can be. */
static int create_beside(const char *target, size_t directory, char *name, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t number = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    number = (number ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&now) * UINT64_C(0x9e3779b97f4a7c15);

    for (int attempt = 0; attempt < 100; attempt++, number += UINT64_C(1) << 32) {
        snprintf(name, size, "%.*s%s%08" PRIx32 "%08" PRIx32, (int)directory, target, PREFIX, kernel_run(),
                 (uint32_t)(number >> 32));
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 && claim(file))
            return file;
        if (file >= 0)
            close(file);
        else if (errno != EEXIST)
            return -1;
        errno = EEXIST;
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

lx_code lx_file_begin(lx_new_file *self, const char *path, lx_error *error)
{
    struct stat status;
    const bool exists = stat(path, &status) == 0;
    if (exists && !S_ISREG(status.st_mode))
        return lx_fail(error, LX_EIO, "cannot write \"%.300s\": it exists and is not a regular file", path);
    memset(self, 0, sizeof *self);
    self->file = -1;
    self->mode = exists ? (int)(status.st_mode & 07777) : -1;
    self->target = exists ? realpath(path, NULL) : strdup(path);
    int reason = self->target == NULL ? errno : 0;
    if (reason == 0) {
        const char *slash = strrchr(self->target, '/');
        self->directory = slash == NULL ? 0 : (size_t)(slash - self->target) + 1;
        const size_t size = self->directory + NAME_SIZE;
        remove_all_abandoned(self->target, self->directory);
        self->name = malloc(size);
        if (self->name != NULL)
            self->file = create_beside(self->target, self->directory, self->name, size);
        reason = self->file < 0 ? errno : 0;
    }
    if (reason == 0)
        return LX_OK;
    free(self->name);
    free(self->target);
    return fail_to("write", path, reason, error);
}

/* Renames and closes; returns 0 or an errno. Closing comes last: without the lock the temporary would look abandoned.
   It has nothing to say any more once the bytes are on disk. */
static int settle(lx_new_file *self)
{
    int reason = self->mode >= 0 && fchmod(self->file, (mode_t)self->mode) != 0 ? errno : 0;
    if (reason == 0 && fsync(self->file) != 0)
        reason = errno;
    if (reason == 0 && rename(self->name, self->target) != 0)
        reason = errno;
    if (reason == 0) {
        close(self->file);
        self->file = -1;
    }
    return reason;
}

lx_code lx_file_commit(lx_new_file *self, lx_error *error)
{
    int reason = settle(self);
    if (reason != 0) {
        fail_to("write", self->target, reason, error);
        lx_file_abandon(self);
        return error->code;
    }
    reason = sync_directory(self->target, self->directory);
    if (reason != 0)
        fail_to("write", self->target, reason, error);
    free(self->name);
    free(self->target);
    return error->code;
}

void lx_file_abandon(lx_new_file *self)
{
    unlink(self->name);
    if (self->file >= 0)
        close(self->file);
    free(self->name);
    free(self->target);
}

lx_code lx_file_write(const char *path, const lx_chunk *chunks, size_t count, lx_error *error)
{
    lx_new_file file;
    uint64_t offset = 0;
    if (lx_file_begin(&file, path, error))
        return error->code;
    for (size_t i = 0; i < count && !error->code; i++) {
        lx_file_put(&file, offset, chunks[i].bytes, chunks[i].size, error);
        offset += chunks[i].size;
    }
    if (!error->code)
        return lx_file_commit(&file, error);
    lx_file_abandon(&file);
    return error->code;
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
    uint8_t *buffer = lx_host_block(expected > 0 ? expected : 1, 64);
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

lx_mapping *lx_mapping_new(size_t size, lx_error *error)
{
    lx_mapping *mapping = calloc(1, sizeof *mapping);
    void *bytes = NULL;
    if (mapping != NULL && size > 0)
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == NULL || bytes == MAP_FAILED) {
        free(mapping);
        lx_fail(error, LX_ENOMEM, "there is no memory for %zu bytes", size);
        return NULL;
    }
    atomic_init(&mapping->references, 1);
    mapping->bytes = bytes;
    mapping->size = size;
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

int lx_folder_lock(const char *path, bool *busy, lx_error *error)
{
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *busy = false;
    if (folder < 0) {
        fail_to("lock", path, errno, error);
        return -1;
    }
    if (flock(folder, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return folder;
    close(folder);
    *busy = true;
    return -1;
}
