/* A program of a later Lua, as a module of this one sees it: lua_version is what its library asks for, too. Loads the
   module luxel.core, and prints what came of it. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

static int later;

lua_Number lua_version(lua_State *L)
{
    (void)L;
    return LUA_VERSION_NUM + later;
}

int main(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    later = 1;
    puts(luaL_dostring(L, "return tostring(require 'luxel.core')") ? "refused" : "loaded");
    puts(lua_tostring(L, -1));
    later = 0;
    lua_close(L);
    return 0;
}
