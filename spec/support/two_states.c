/* Two Lua states in two threads, that compute on one device at the same time: as a host with several threads would have
 * them. Runs a Lua file, which returns a text, alone and then in both, and closes the states in every order. Prints
 * the text if it was the same every time. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    lua_State *L;
    const char *path;
    int times; /* to run it */
    int close; /* whether the thread closes its state itself */
    char *result;
} work;

/* The Lua file's text, `times` times after another: it must be the same each time. NULL, with a message, if not. */
static void *run(void *argument)
{
    work *w = argument;
    w->L = luaL_newstate();
    luaL_openlibs(w->L);
    for (int i = 0; i < w->times; i++) {
        if (luaL_dofile(w->L, w->path) || !lua_isstring(w->L, -1)) {
            fprintf(stderr, "%s\n", lua_isstring(w->L, -1) ? lua_tostring(w->L, -1) : "the file returned no text");
            return NULL;
        }
        const char *text = lua_tostring(w->L, -1);
        if (w->result && strcmp(w->result, text) != 0) {
            fprintf(stderr, "not the same again:\n%s\n%s\n", w->result, text);
            return NULL;
        }
        if (!w->result)
            w->result = strdup(text);
        lua_settop(w->L, 0);
    }
    if (w->close)
        lua_close(w->L);
    return w;
}

/* Runs two at the same time, then closes what is open, `first` before the other. Whether both gave what is expected. */
static int run_both(const char *path, const char *expected, int close, int first)
{
    work works[2] = {{NULL, path, 1, close, NULL}, {NULL, path, close ? 2 : 1, close, NULL}};
    pthread_t threads[2];
    int same = 1;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run, &works[i]))
            return 0;
    for (int i = 0; i < 2; i++) {
        void *done;
        pthread_join(threads[i], &done);
        same = same && done;
    }
    for (int i = 0; i < 2 && !close; i++)
        lua_close(works[i == 0 ? first : !first].L);
    for (int i = 0; i < 2; i++) {
        if (same && strcmp(works[i].result, expected) != 0) {
            fprintf(stderr, "state %d gave another result beside the other than alone:\n%s\n%s\n", i + 1,
                    works[i].result, expected);
            same = 0;
        }
        free(works[i].result);
    }
    return same;
}

int main(int count, char **arguments)
{
    work alone = {NULL, count > 1 ? arguments[1] : "", 1, 1, NULL};
    int same = run(&alone) != NULL;
    for (int order = 0; order < 2 && same; order++)
        same = run_both(alone.path, alone.result, 0, order);
    if (same && run_both(alone.path, alone.result, 1, 0))
        puts(alone.result);
    else
        same = 0;
    free(alone.result);
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}
