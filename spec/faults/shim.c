/* Stands before the C library (LD_PRELOAD) and fails the n-th allocation or the n-th call for a file that the module
 * makes; calls of others pass. Which are the module's is told by where they return to. It also counts what the module
 * has allocated and not freed. Loaded as a Lua module (luaopen_faults) it is told what to do:
 *
 *   faults.watch(path, ...)      whose calls count: libraries by a part of their path, and "(program)". The first one's
 *                                allocations count, and files of all of them
 *   faults.arm(kind, n, stays, errno)  "memory" or "files": the n-th call from now on fails, and with `stays` all after
 * it faults.disarm() -> calls, failed    how many there were since, and how many of them failed faults.live() ->
 * blocks, bytes      that the module allocated and nobody freed faults.place() -> text       where the last one failed:
 * an address of the module, for addr2line
 *
 * Calls that give something back (free, close of what is open, unlink) do their work even where they report failure. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_RANGES = 64, SLOTS = 1 << 16 };

typedef enum { NOTHING, MEMORY, FILES } fault_kind;

typedef struct {
    uintptr_t from, to;
    bool allocates;
} range;

static range ranges[MOST_RANGES];
static int range_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fault_kind armed;
static long wanted, calls, failed;
static bool persistent;
static int reason;
static void *failed_at;
static uintptr_t module_base;

/* Blocks of the module, by open addressing. */
static struct {
    void *block;
    size_t size;
} blocks[SLOTS];
static long live_blocks, live_bytes;

/* The same function of the C library. */
#define REAL(name) ((__typeof__(&name))find(#name))

static void *find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static bool is_watched(void *caller, bool allocating)
{
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < range_count; i++)
        if (at >= ranges[i].from && at < ranges[i].to)
            return ranges[i].allocates || !allocating;
    return false;
}

/* Whether this call is to fail. */
static bool fails(fault_kind kind, void *caller)
{
    if (armed != kind || !is_watched(caller, kind == MEMORY))
        return false;
    pthread_mutex_lock(&lock);
    const long number = ++calls;
    const bool now = wanted > 0 && (number == wanted || (persistent && number > wanted));
    if (now) {
        if (!failed++)
            failed_at = caller;
        errno = kind == MEMORY ? ENOMEM : reason;
    }
    pthread_mutex_unlock(&lock);
    return now;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static size_t slot_of(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> 48) % SLOTS;
}

static void *note(void *block, size_t size, void *caller)
{
    if (!block || !range_count || !is_watched(caller, true))
        return block;
    pthread_mutex_lock(&lock);
    size_t i = slot_of(block);
    while (blocks[i].block)
        i = (i + 1) % SLOTS;
    blocks[i].block = block;
    blocks[i].size = size;
    live_bytes += (long)size;
    if (++live_blocks > SLOTS / 2)
        abort(); /* far more than any case holds */
    pthread_mutex_unlock(&lock);
    return block;
}

static void forget(void *block)
{
    if (!block || !live_blocks)
        return;
    pthread_mutex_lock(&lock);
    size_t hole = slot_of(block);
    while (blocks[hole].block && blocks[hole].block != block)
        hole = (hole + 1) % SLOTS;
    if (blocks[hole].block) {
        live_blocks--;
        live_bytes -= (long)blocks[hole].size;
        blocks[hole].block = NULL;
        /* what follows moves up unless it would come before its place */
        for (size_t i = (hole + 1) % SLOTS; blocks[i].block; i = (i + 1) % SLOTS)
            if ((i - slot_of(blocks[i].block)) % SLOTS >= (i - hole) % SLOTS) {
                blocks[hole] = blocks[i];
                blocks[i].block = NULL;
                hole = i;
            }
    }
    pthread_mutex_unlock(&lock);
}

#define CALLER __builtin_return_address(0)

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size)
{
    return fails(MEMORY, CALLER) ? NULL : note(__libc_malloc(size), size, CALLER);
}

void *calloc(size_t count, size_t size)
{
    return fails(MEMORY, CALLER) ? NULL : note(__libc_calloc(count, size), count * size, CALLER);
}

void *realloc(void *block, size_t size)
{
    if (fails(MEMORY, CALLER))
        return NULL;
    void *larger = __libc_realloc(block, size);
    if (larger || size == 0)
        forget(block);
    return note(larger, size, CALLER);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (fails(MEMORY, CALLER))
        return ENOMEM;
    *out = note(__libc_memalign(alignment, size), size, CALLER);
    return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(MEMORY, CALLER) ? NULL : note(__libc_memalign(alignment, size), size, CALLER);
}

void free(void *block)
{
    forget(block);
    __libc_free(block);
}

char *strndup(const char *text, size_t most)
{
    const size_t length = strnlen(text, most);
    char *copy = fails(MEMORY, CALLER) ? NULL : note(__libc_malloc(length + 1), length + 1, CALLER);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = fails(MEMORY, CALLER) ? NULL : note(__libc_malloc(size), size, CALLER);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *realpath(const char *path, char *out)
{
    if (fails(out ? FILES : MEMORY, CALLER))
        return NULL;
    if (!out && fails(FILES, CALLER))
        return NULL;
    char *found = REAL(realpath)(path, out);
    return out || !found ? found : note(found, strlen(found) + 1, CALLER);
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    if (fails(flags & MAP_ANONYMOUS ? MEMORY : FILES, CALLER) || (!(flags & MAP_ANONYMOUS) && fails(MEMORY, CALLER)))
        return MAP_FAILED;
    void *block = REAL(mmap)(address, length, protection, flags, file, offset);
    if (block != MAP_FAILED)
        note(block, length, CALLER);
    return block;
}

int munmap(void *address, size_t length)
{
    forget(address);
    return REAL(munmap)(address, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    return fails(MEMORY, CALLER) ? EAGAIN : REAL(pthread_create)(thread, attributes, start, argument);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* FAILING(result, name, (parameters), (arguments)): a function that returns `result` where it fails. */
#define FAILING(type, result, name, parameters, arguments)             \
    type name parameters                                               \
    {                                                                  \
        return fails(FILES, CALLER) ? (result) : REAL(name) arguments; \
    }

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, int) : 0;
    va_end(list);
    return fails(FILES, CALLER) ? -1 : REAL(open)(path, flags, mode);
}

FAILING(ssize_t, -1, read, (int file, void *to, size_t size), (file, to, size))
FAILING(ssize_t, -1, pread, (int file, void *to, size_t size, off_t at), (file, to, size, at))
FAILING(ssize_t, -1, write, (int file, const void *from, size_t size), (file, from, size))
FAILING(ssize_t, -1, pwrite, (int file, const void *from, size_t size, off_t at), (file, from, size, at))
FAILING(int, -1, fsync, (int file), (file))
FAILING(int, -1, fchmod, (int file, mode_t mode), (file, mode))
FAILING(int, -1, ftruncate, (int file, off_t size), (file, size))
FAILING(int, -1, rename, (const char *from, const char *to), (from, to))
FAILING(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
FAILING(int, -1, stat, (const char *path, struct stat *to), (path, to))
FAILING(int, -1, lstat, (const char *path, struct stat *to), (path, to))
FAILING(int, -1, fstat, (int file, struct stat *to), (file, to))
FAILING(int, -1, mkstemp, (char *path), (path))
FAILING(int, -1, access, (const char *path, int mode), (path, mode))
FAILING(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
FAILING(FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))
FAILING(FILE *, NULL, fdopen, (int file, const char *mode), (file, mode))
FAILING(size_t, 0, fread, (void *to, size_t size, size_t count, FILE *file), (to, size, count, file))
FAILING(size_t, 0, fwrite, (const void *from, size_t size, size_t count, FILE *file), (from, size, count, file))
FAILING(int, EOF, fflush, (FILE * file), (file))
FAILING(DIR *, NULL, opendir, (const char *path), (path))
FAILING(DIR *, NULL, fdopendir, (int file), (file))

struct dirent *readdir(DIR *folder)
{
    return fails(FILES, CALLER) ? NULL : REAL(readdir)(folder);
}

int close(int file)
{
    const bool bad = fails(FILES, CALLER);
    const int result = REAL(close)(file);
    if (!bad)
        return result;
    errno = reason;
    return -1;
}

int fclose(FILE *file)
{
    const bool bad = fails(FILES, CALLER);
    const int result = REAL(fclose)(file);
    if (!bad)
        return result;
    errno = reason;
    return EOF;
}

/* ---- for Lua -------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *part;
    bool allocates;
    int found;
} library;

static int add_library(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    library *of = data;
    if (!strstr(*info->dlpi_name ? info->dlpi_name : "(program)", of->part))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && range_count < MOST_RANGES; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        const uintptr_t from = info->dlpi_addr + segment->p_vaddr;
        ranges[range_count++] = (range){from, from + segment->p_memsz, of->allocates};
    }
    if (of->allocates)
        module_base = info->dlpi_addr;
    of->found++;
    return 0;
}

static int l_watch(lua_State *L)
{
    for (int i = 1; i <= lua_gettop(L); i++) {
        library of = {luaL_checkstring(L, i), i == 1, 0};
        dl_iterate_phdr(add_library, &of);
        if (!of.found)
            return luaL_error(L, "faults: no library %s is loaded", of.part);
    }
    return 0;
}

static int l_arm(lua_State *L)
{
    static const char *const kinds[] = {"memory", "files", NULL};
    const fault_kind kind = luaL_checkoption(L, 1, NULL, kinds) == 0 ? MEMORY : FILES;
    wanted = (long)luaL_checkinteger(L, 2);
    persistent = lua_toboolean(L, 3);
    reason = (int)luaL_optinteger(L, 4, EIO);
    calls = failed = 0;
    armed = kind;
    return 0;
}

static int l_disarm(lua_State *L)
{
    armed = NOTHING;
    lua_pushinteger(L, calls);
    lua_pushinteger(L, failed);
    return 2;
}

static int l_live(lua_State *L)
{
    lua_pushinteger(L, live_blocks);
    lua_pushinteger(L, live_bytes);
    return 2;
}

static int l_place(lua_State *L)
{
    lua_pushfstring(L, "%p", (void *)((uintptr_t)failed_at - module_base));
    return 1;
}

int luaopen_faults(lua_State *L)
{
    static const luaL_Reg functions[] = {{"watch", l_watch}, {"arm", l_arm},     {"disarm", l_disarm},
                                         {"live", l_live},   {"place", l_place}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
