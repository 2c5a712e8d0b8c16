/* Which lines of Lua a process runs, for `make coverage`: loaded by LUA_INIT, so programs that specs start are watched
 * as well. At exit, however Lua comes to it, each line is appended once to a file of the process in LUXEL_COVERAGE. In
 * C, because a hook in Lua makes tables, which specs that count memory would see.
 */
#include <lua.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES = 512, MAX_LINES = 8192 };

typedef struct {
    const char *source; /* as Lua has it, to find the file again soon */
    char *name;         /* from lua/luxel/ on */
    unsigned char seen[MAX_LINES];
} file_lines;

static file_lines *files[MAX_FILES];
static int file_count;

/* The file of a chunk; NULL for one that is not in lua/luxel/. Addresses are used again, so the text is compared too.
 */
static file_lines *file_of(const char *source)
{
    const char *name = source[0] == '@' ? strstr(source, "lua/luxel/") : NULL;
    if (!name)
        return NULL;
    for (int i = 0; i < file_count; i++)
        if (files[i]->source == source && strcmp(files[i]->name, name) == 0)
            return files[i];
    for (int i = 0; i < file_count; i++)
        if (strcmp(files[i]->name, name) == 0) {
            files[i]->source = source;
            return files[i];
        }
    file_lines *file = file_count < MAX_FILES ? calloc(1, sizeof *file) : NULL;
    if (!file || !(file->name = strdup(name))) {
        free(file);
        return NULL;
    }
    file->source = source;
    return files[file_count++] = file;
}

static void hook(lua_State *L, lua_Debug *ar)
{
    if (!lua_getinfo(L, "S", ar))
        return;
    file_lines *file = file_of(ar->source);
    if (file && ar->currentline > 0 && ar->currentline < MAX_LINES)
        file->seen[ar->currentline] = 1;
}

static void write_lines(void)
{
    char path[4096];
    const char *folder = getenv("LUXEL_COVERAGE");
    snprintf(path, sizeof path, "%s/%ld.lines", folder ? folder : ".", (long)getpid());
    FILE *out = fopen(path, "a");
    if (!out)
        return;
    for (int i = 0; i < file_count; i++)
        for (int line = 0; line < MAX_LINES; line++)
            if (files[i]->seen[line])
                fprintf(out, "%s %d\n", files[i]->name, line);
    fclose(out);
}

/* Sets the hook; called again, it sets it after somebody has taken it away. */
int luaopen_lines(lua_State *L);
int luaopen_lines(lua_State *L)
{
    static int registered;
    lua_sethook(L, hook, LUA_MASKLINE, 0);
    if (!registered)
        registered = atexit(write_lines) == 0;
    return 0;
}
