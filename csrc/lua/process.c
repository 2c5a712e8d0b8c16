/* Bindings of what programs do with their process: folders that one run at a time works in, and signals that end it. */
#include "bind.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../base/file.h"

#define LOCK "luxel.lock"

/* ---- locks ------------------------------------------------------------------------------------------------------ */

static int l_unlock(lua_State *L)
{
    int *folder = lx_check_udata(L, 1, LOCK);
    if (*folder >= 0)
        close(*folder);
    *folder = -1;
    return 0;
}

/* lock_folder(path) -> a lock, which is a variable to close; or nil, message, code: "busy" where another one has it */
static int l_lock_folder(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    bool busy;
    const char *path = lx_check_string(L, 1);
    int *folder = lua_newuserdatauv(L, sizeof *folder, 0);
    *folder = -1;
    if (luaL_newmetatable(L, LOCK)) {
        lua_pushcfunction(L, l_unlock);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_unlock);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    *folder = lx_folder_lock(path, &busy, &error);
    if (*folder >= 0)
        return 1;
    if (!busy)
        return lx_refuse(L, &error);
    luaL_pushfail(L);
    lua_pushfstring(L, "another run writes into %s; wait for its end, or choose another folder", path);
    lua_pushliteral(L, "busy");
    return 3;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

/* What a handler can reach. Only a program that says so (end_on_signals) has it, as lua.c has one for Ctrl-C. */
static lua_State *volatile ended;

static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "interrupted!");
}

static void handle(int number)
{
    signal(number, SIG_DFL); /* a second one ends the process at once */
    lua_sethook(ended, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void set_handler(void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* The handler goes before the state and the code of this module do. */
static int l_leave_signals(lua_State *L)
{
    (void)L;
    set_handler(SIG_DFL);
    signal(SIGINT, SIG_DFL);
    ended = NULL;
    return 0;
}

/* interrupt_on_ctrl_c(on): Ctrl-C becomes an error of the running code, or ends the process, as it does at a prompt.
 * After end_on_signals, for programs alone. */
static int l_interrupt_on_ctrl_c(lua_State *L)
{
    const bool on = lua_toboolean(L, 1) && ended;
    signal(SIGINT, on ? handle : SIG_DFL);
    return 0;
}

/* end_on_signals(): SIGTERM and SIGHUP become the error that Ctrl-C is. For programs alone; those of a host are its own
 * business. */
static int l_end_on_signals(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    ended = lua_tothread(L, -1);
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_leave_signals);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, "luxel.signals");
    set_handler(handle);
    return 0;
}

const luaL_Reg lx_process_functions[] = {{"lock_folder", l_lock_folder},
                                         {"end_on_signals", l_end_on_signals},
                                         {"interrupt_on_ctrl_c", l_interrupt_on_ctrl_c},
                                         {NULL, NULL}};
