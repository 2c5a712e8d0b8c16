/* A host that forks: runs a Lua file, and then again and again, in a process forked off, the function that the file
 * returned, given the number of the process. What it returns must be true. Usage: forks FILE COUNT */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 }; /* after which a process counts as one that hangs */

static int in_child(lua_State *L, int number)
{
    alarm(SECONDS);
    lua_pushinteger(L, number);
    if (lua_pcall(L, 1, 1, 0) || !lua_toboolean(L, -1)) {
        fprintf(stderr, "process %d: %s\n", number, lua_isstring(L, -1) ? lua_tostring(L, -1) : "not true");
        return EXIT_FAILURE;
    }
    lua_close(L);
    return EXIT_SUCCESS;
}

int main(int count, char **arguments)
{
    const int processes = count > 2 ? atoi(arguments[2]) : 0;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (count < 3 || luaL_dofile(L, arguments[1])) {
        fprintf(stderr, "%s\n", count < 3 ? "usage: forks FILE COUNT" : lua_tostring(L, -1));
        return EXIT_FAILURE;
    }
    for (int i = 1; i <= processes; i++) {
        int status;
        const pid_t child = fork();
        if (child == 0)
            _exit(in_child(L, i));
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status)) {
            fprintf(stderr, "process %d %s\n", i, child < 0 ? "could not be made" : "did not end well");
            return EXIT_FAILURE;
        }
    }
    lua_close(L);
    printf("%d processes\n", processes);
    return EXIT_SUCCESS;
}
