#include "cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

enum { LARGEST_ENTRY = 256 << 20 };

/* What stands before the bytes of an entry: a damaged or foreign file does not have all of it right. */
typedef struct {
    char magic[8];
    lx_hash key, contents;
    uint64_t length;
} header;

static const char magic[8] = "luxelcl1";

static int make_folder(const char *path)
{
    return mkdir(path, 0700) == 0 || access(path, W_OK | X_OK) == 0;
}

int lx_cache_path(const char *name, char *path, size_t room)
{
    const char *own = getenv("LUXEL_CACHE_DIR"), *shared = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[3072];
    int length = 0;
    if (own && *own)
        length = snprintf(folder, sizeof folder, "%s", own);
    else if (shared && *shared)
        length = snprintf(folder, sizeof folder, "%s/luxel", shared);
    else if (home && *home)
        length = snprintf(folder, sizeof folder, "%s/.cache/luxel", home);
    if (length <= 0 || (size_t)length >= sizeof folder)
        return 0;
    char *last = strrchr(folder, '/');
    if (last && last != folder) {
        *last = '\0';
        make_folder(folder); /* ~/.cache, where it is missing */
        *last = '/';
    }
    make_folder(folder);
    return (size_t)snprintf(path, room, "%s/%s", folder, name) < room;
}

static int entry_path(const lx_hash *key, char *path, size_t room)
{
    char name[64];
    snprintf(name, sizeof name, "%016" PRIx64 "%016" PRIx64 ".program", key->words[0], key->words[1]);
    return lx_cache_path(name, path, room);
}

static lx_hash hash_of(const void *bytes, size_t length)
{
    lx_hash hash = lx_hash_start();
    lx_hash_add(&hash, bytes, length);
    return hash;
}

static void *read_entry(FILE *file, const lx_hash *key, size_t *length)
{
    header head;
    if (fread(&head, sizeof head, 1, file) != 1 || memcmp(head.magic, magic, sizeof magic) != 0 ||
        memcmp(&head.key, key, sizeof *key) != 0 || head.length == 0 || head.length > LARGEST_ENTRY)
        return NULL;
    void *bytes = malloc(head.length);
    if (!bytes)
        return NULL;
    const lx_hash none = {{0, 0}};
    const int whole = fread(bytes, 1, head.length, file) == head.length && fgetc(file) == EOF;
    const lx_hash contents = whole ? hash_of(bytes, head.length) : none;
    if (!whole || memcmp(&contents, &head.contents, sizeof contents) != 0) {
        free(bytes);
        return NULL;
    }
    *length = head.length;
    return bytes;
}

void *lx_cache_load(const lx_hash *key, size_t *length)
{
    char path[4096];
    FILE *file = entry_path(key, path, sizeof path) ? fopen(path, "rb") : NULL;
    if (!file)
        return NULL;
    void *bytes = read_entry(file, key, length);
    fclose(file);
    return bytes;
}

void lx_cache_store(const lx_hash *key, const void *bytes, size_t length)
{
    char path[4096];
    if (length == 0 || length > LARGEST_ENTRY || !entry_path(key, path, sizeof path))
        return;
    header head = {.key = *key, .contents = hash_of(bytes, length), .length = length};
    memcpy(head.magic, magic, sizeof magic);
    const lx_chunk chunks[] = {{&head, sizeof head}, {bytes, length}};
    lx_error error = {0}; /* a program that is not kept is built again */
    lx_file_write(path, chunks, 2, &error);
}
