/* Errors as users see them: raised at their line, beginning with the name of the public function that they called. */
#include "bind.h"

#include <string.h>

static const char names_key = 0; /* registry: public functions to their names */

/* Whether the running function of a level belongs to the library: C, or Lua from its folder. */
static bool of_library(const lua_Debug *frame, const char *home)
{
    return frame->currentline <= 0 || (*home && strncmp(frame->source, home, strlen(home)) == 0);
}

/* Pushes "file:line: " of the innermost Lua function outside the library ("" where there is none), and the name of the
 * outermost public function that runs inside it (nil where there is none). */
static void push_blame(lua_State *L)
{
    lua_Debug frame;
    luaL_checkstack(L, 6, NULL);
    const char *home = lua_getfield(L, LUA_REGISTRYINDEX, "luxel.home") == LUA_TSTRING ? lua_tostring(L, -1) : "";
    const bool named = lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE;
    lua_pushliteral(L, "");
    lua_pushnil(L);
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Slf", &frame);
        if (!of_library(&frame, home)) {
            lua_pop(L, 1);
            lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
            lua_replace(L, -3);
            break;
        }
        if (named && lua_rawget(L, -4) == LUA_TSTRING)
            lua_replace(L, -2);
        else
            lua_pop(L, 1);
    }
    lua_remove(L, -3);
    lua_remove(L, -3);
}

void lx_push_place(lua_State *L)
{
    push_blame(L);
    lua_pop(L, 1);
}

/* Whether the message begins with the name, or with the part of it behind the last dot or colon. */
static bool begins_with(const char *message, const char *name)
{
    for (const char *part = name; part; part = strpbrk(part, ".:")) {
        part += part > name;
        const size_t length = strlen(part);
        if (strncmp(message, part, length) == 0 && (message[length] == ':' || message[length] == ' '))
            return true;
    }
    return false;
}

/* Raises the message on top of the stack. */
static int raise_top(lua_State *L)
{
    push_blame(L);
    const char *message = lua_tostring(L, -3), *name = lua_tostring(L, -1);
    if (!name || begins_with(message, name)) {
        lua_pop(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    } else {
        lua_pushliteral(L, ": ");
        lua_pushvalue(L, -4);
        lua_concat(L, 4);
    }
    return lua_error(L);
}

int lx_raise(lua_State *L, const lx_error *error)
{
    lx_note_raised(L, error);
    if (error->code == LX_EINTERRUPTED) { /* what the hook raised, as it is */
        lx_push_place(L);
        if (lx_push_interrupt(L) == LUA_TSTRING)
            lua_concat(L, 2);
        return lua_error(L);
    }
    lua_pushstring(L, error->text);
    return raise_top(L);
}

int lx_mistake(lua_State *L, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    return raise_top(L);
}

int lx_arg_mistake(lua_State *L, int arg, const char *message)
{
    lua_Debug frame;
    const char *name = NULL;
    if (lua_getstack(L, 0, &frame) && lua_getinfo(L, "n", &frame))
        name = frame.name;
    return lx_mistake(L, "%s: argument %d: %s", name ? name : "luxel", arg, message);
}

static int unexpected(lua_State *L, int arg, const char *expected)
{
    const char *got = lua_type(L, arg) == LUA_TNUMBER ? lua_tostring(L, arg) : luaL_typename(L, arg);
    return lx_arg_mistake(L, arg, lua_pushfstring(L, "expected %s, got %s", expected, got));
}

lua_Integer lx_check_integer(lua_State *L, int arg)
{
    int valid = 0;
    const lua_Integer value = lua_type(L, arg) == LUA_TNUMBER ? lua_tointegerx(L, arg, &valid) : 0;
    if (!valid)
        unexpected(L, arg, "an integer");
    return value;
}

lua_Number lx_check_number(lua_State *L, int arg)
{
    if (lua_type(L, arg) != LUA_TNUMBER)
        unexpected(L, arg, "a number");
    return lua_tonumber(L, arg);
}

const char *lx_check_lstring(lua_State *L, int arg, size_t *length)
{
    if (lua_type(L, arg) != LUA_TSTRING)
        unexpected(L, arg, "a string");
    return lua_tolstring(L, arg, length);
}

const char *lx_check_string(lua_State *L, int arg)
{
    return lx_check_lstring(L, arg, NULL);
}

void lx_check_type(lua_State *L, int arg, int type)
{
    if (lua_type(L, arg) != type)
        unexpected(L, arg, lua_typename(L, type));
}

void *lx_check_udata(lua_State *L, int arg, const char *type)
{
    void *data = luaL_testudata(L, arg, type);
    if (!data)
        unexpected(L, arg, type);
    return data;
}

int lx_check_option(lua_State *L, int arg, const char *absent, const char *const options[])
{
    const char *name = lua_isnoneornil(L, arg) && absent ? absent : lx_check_string(L, arg);
    for (int i = 0; options[i]; i++)
        if (strcmp(options[i], name) == 0)
            return i;
    luaL_Buffer words;
    luaL_buffinit(L, &words);
    for (int i = 0; options[i]; i++) {
        luaL_addstring(&words, i ? ", " : "one of ");
        luaL_addstring(&words, options[i]);
    }
    luaL_pushresult(&words);
    return lx_arg_mistake(L, arg, lua_pushfstring(L, "expected %s, got '%s'", lua_tostring(L, -1), name));
}

const char **lx_check_paths(lua_State *L, int arg, long least, long most, long *count)
{
    lx_check_type(L, arg, LUA_TTABLE);
    const lua_Integer given = luaL_len(L, arg);
    if (given < least || given > most)
        lx_arg_mistake(L, arg,
                       lua_pushfstring(L, "expected a table of %I to %I paths", (LUAI_UACINT)least, (LUAI_UACINT)most));
    const char **paths = lua_newuserdatauv(L, sizeof *paths * (size_t)given + 1, 0);
    for (lua_Integer i = 0; i < given; i++) {
        lua_geti(L, arg, i + 1);
        lx_argcheck(L, lua_type(L, -1) == LUA_TSTRING, arg, "expected a table of paths");
        paths[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    *count = (long)given;
    return paths;
}

/* set_home(source): Lua files whose source starts like this belong to the library */
static int l_set_home(lua_State *L)
{
    lx_check_string(L, 1);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "luxel.home");
    return 0;
}

/* set_names(table): public functions to the names that errors begin with */
static int l_set_names(lua_State *L)
{
    lx_check_type(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    return 0;
}

/* fail(message): raises it at the user's line */
static int l_fail(lua_State *L)
{
    lx_check_string(L, 1);
    lua_settop(L, 1);
    return raise_top(L);
}

const luaL_Reg lx_error_functions[] = {
    {"set_home", l_set_home},
    {"set_names", l_set_names},
    {"fail", l_fail},
    {NULL, NULL},
};
