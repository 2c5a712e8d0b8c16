/* luxel.core: the library's state in one lua_State, its devices and memory. */
#include "bind.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static const char context_key = 0;

/* Below this many live bytes the collector is left to Lua. */
enum { COLLECT_FLOOR = 256 << 20 };

lx_context *lx_get_context(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The device wants memory: Lua sees a small userdata, not the megabytes behind it, so we make it collect. */
static void reclaim(void *owner, lx_device *device, bool full)
{
    lx_context *context = owner;
    if (context->collecting)
        return;
    context->collecting = true;
    lua_gc(context->L, LUA_GCCOLLECT);
    if (full) /* objects that a finaliser kept alive go in a second cycle */
        lua_gc(context->L, LUA_GCCOLLECT);
    context->collecting = false;
    const size_t live = device->memory.live;
    device->limit = 2 * live > COLLECT_FLOOR ? 2 * live : COLLECT_FLOOR;
}

static int close_context(lua_State *L)
{
    lx_context *context = lua_touserdata(L, 1);
    for (int i = 0; i < context->count; i++) {
        context->devices[i]->reclaim = NULL;
        lx_device_release(context->devices[i]);
    }
    context->count = 0;
    return 0;
}

/* Pushes the context of this lua_State, made at the first call. */
static void push_context(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key) == LUA_TUSERDATA)
        return;
    lua_pop(L, 1);
    lx_context *context = lua_newuserdatauv(L, sizeof *context, 0);
    memset(context, 0, sizeof *context);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_context);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    context->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    lx_error error = {.code = LX_OK};
    lx_device *cpu = lx_cpu_open(&error);
    if (!cpu)
        luaL_error(L, "%s", error.text);
    cpu->reclaim = reclaim;
    cpu->owner = context;
    cpu->limit = COLLECT_FLOOR;
    context->devices[context->count++] = cpu;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

/* Opens the first OpenCL device when it is first asked for. */
static lx_device *open_opencl(lx_context *context, lx_error *error)
{
    lx_device *device = lx_opencl_open(0, error);
    if (!device)
        return NULL;
    device->reclaim = reclaim;
    device->owner = context;
    device->limit = COLLECT_FLOOR;
    context->devices[context->count++] = device;
    return device;
}

/* The device named by the argument; NULL and an error where there is none. */
static lx_device *find_device(lua_State *L, int arg, lx_error *error)
{
    lx_context *context = lx_get_context(L);
    const char *name = luaL_optstring(L, arg, "cpu");
    for (int i = 0; i < context->count; i++)
        if (strcmp(context->devices[i]->runtime->kind, name) == 0)
            return context->devices[i];
    if (strcmp(name, "opencl") == 0)
        return open_opencl(context, error);
    lx_fail(error, LX_EDEVICE, "there is no device '%s'; there are cpu and, where a driver is installed, opencl", name);
    return NULL;
}

lx_device *lx_check_device(lua_State *L, int arg)
{
    lx_error error = {.code = LX_OK};
    lx_device *device = find_device(L, arg, &error);
    if (!device)
        lx_raise(L, &error);
    return device;
}

/* Pushes "file:line: " of the innermost Lua function outside the library, for that is where the mistake is. */
static void push_place(lua_State *L)
{
    lua_Debug frame;
    const char *home = lua_getfield(L, LUA_REGISTRYINDEX, "luxel.home") == LUA_TSTRING ? lua_tostring(L, -1) : "";
    for (int level = 1; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline > 0 && (!*home || strncmp(frame.source, home, strlen(home)) != 0)) {
            lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
            lua_remove(L, -2);
            return;
        }
    }
    lua_pushliteral(L, "");
    lua_remove(L, -2);
}

int lx_raise(lua_State *L, const lx_error *error)
{
    push_place(L);
    lua_pushstring(L, error->text);
    lua_concat(L, 2);
    return lua_error(L);
}

/* set_home(source): Lua files whose source starts like this belong to the library */
static int l_set_home(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "luxel.home");
    return 0;
}

int lx_refuse(lua_State *L, const lx_error *error)
{
    if (error->code == LX_EARG)
        return lx_raise(L, error);
    luaL_pushfail(L);
    lua_pushstring(L, error->text);
    lua_pushstring(L, lx_code_name(error->code));
    return 3;
}

int lx_results(lua_State *L, lx_code code, const lx_error *error, int results)
{
    return code ? lx_raise(L, error) : results;
}

/* Pushes {kind, name, lanes, threads}. */
static void push_device(lua_State *L, lx_device *device)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, device->runtime->kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, device->name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, device->lanes);
    lua_setfield(L, -2, "lanes");
    lua_pushinteger(L, device->runtime->threads(device, 0));
    lua_setfield(L, -2, "threads");
}

/* devices() -> list of {kind, name, lanes, threads}: those that are open */
static int l_devices(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lua_createtable(L, context->count, 0);
    for (int i = 0; i < context->count; i++) {
        push_device(L, context->devices[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* device(name) -> {kind, name, lanes, threads}; or nil, message, code where there is none */
static int l_device(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    luaL_checkstring(L, 1);
    lx_device *device = find_device(L, 1, &error);
    if (!device)
        return lx_refuse(L, &error);
    push_device(L, device);
    return 1;
}

/* memory(device) -> {live, cached, peak} in bytes */
static int l_memory(lua_State *L)
{
    const lx_device *device = lx_check_device(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)device->memory.live);
    lua_setfield(L, -2, "live");
    lua_pushinteger(L, (lua_Integer)device->memory.cached);
    lua_setfield(L, -2, "cached");
    lua_pushinteger(L, (lua_Integer)device->memory.peak);
    lua_setfield(L, -2, "peak");
    return 1;
}

/* reset_peak(device): the peak counts from now */
static int l_reset_peak(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    device->memory.peak = device->memory.live;
    return 0;
}

/* trim(device): gives cached memory back to the system */
static int l_trim(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    device->runtime->trim(device);
    return 0;
}

/* threads([n]) -> the number of threads that the cpu device computes with */
static int l_threads(lua_State *L)
{
    lx_device *device = lx_check_device(L, 2);
    const lua_Integer count = luaL_optinteger(L, 1, 0);
    if (!lua_isnoneornil(L, 1))
        luaL_argcheck(L, count >= 1 && count <= 1024, 1, "the number of threads must be from 1 to 1024");
    lua_pushinteger(L, device->runtime->threads(device, (int)count));
    return 1;
}

/* manual_seed(n): random numbers start again from here */
static int l_manual_seed(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    context->seed = (unsigned long)luaL_checkinteger(L, 1);
    context->stream = 0;
    return 0;
}

/* next_stream() -> seed, stream: numbers no other call has drawn from */
static int l_next_stream(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lua_pushinteger(L, (lua_Integer)context->seed);
    lua_pushinteger(L, (lua_Integer)context->stream++);
    return 2;
}

/* random_state([stream]) -> seed, stream: where the random numbers stand, without drawing; sets the stream if given */
static int l_random_state(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    if (!lua_isnoneornil(L, 1))
        context->stream = (unsigned long)luaL_checkinteger(L, 1);
    lua_pushinteger(L, (lua_Integer)context->seed);
    lua_pushinteger(L, (lua_Integer)context->stream);
    return 2;
}

/* now() -> seconds on a clock that only goes forward */
static int l_now(lua_State *L)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    lua_pushnumber(L, (double)time.tv_sec + (double)time.tv_nsec * 1e-9);
    return 1;
}

/* is_terminal(fd) -> whether somebody is watching */
static int l_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

static const luaL_Reg core_functions[] = {
    {"device", l_device},           {"set_home", l_set_home},       {"now", l_now},                 {"is_terminal", l_is_terminal},
    {"devices", l_devices},         {"memory", l_memory},           {"reset_peak", l_reset_peak},
    {"trim", l_trim},               {"threads", l_threads},         {"manual_seed", l_manual_seed},
    {"next_stream", l_next_stream}, {"random_state", l_random_state}, {NULL, NULL},
};

void lx_set_functions(lua_State *L, const luaL_Reg *functions)
{
    push_context(L);
    luaL_setfuncs(L, functions, 1);
}

__attribute__((visibility("default"))) int luaopen_luxel_core(lua_State *L);

int luaopen_luxel_core(lua_State *L)
{
    lx_register_tensor(L);
    lua_newtable(L);
    lx_set_functions(L, core_functions);
    lx_set_functions(L, lx_tensor_functions);
    lx_set_functions(L, lx_op_functions);
    lx_set_functions(L, lx_reduce_functions);
    lx_set_functions(L, lx_layer_functions);
    lx_set_functions(L, lx_nn_functions);
    lx_set_functions(L, lx_image_functions);
    luaL_getmetatable(L, LX_TENSOR);
    lua_setfield(L, -2, "metatable");
    return 1;
}
