/* luxel.core: the library's state in one lua_State, its devices and memory. */
#include "bind.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../image/plane.h"
#include "../ops/ops.h"

static const char context_key = 0;

lx_context *lx_get_context(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int close_context(lua_State *L)
{
    lx_context *context = lua_touserdata(L, 1);
    for (int i = 0; i < context->count; i++) {
        context->devices[i]->reclaim = NULL;
        context->devices[i]->notice = NULL;
        if (i == 0)
            lx_pool_listen(lx_cpu_pool(context->devices[i]), (lx_pool_listener){NULL, NULL, NULL});
        lx_device_release(context->devices[i]);
    }
    context->count = 0;
    return 0;
}

/* ---- work that takes long ------------------------------------------------------------------------------------- */

lx_pool *lx_begin_work(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lx_device *cpu = context->devices[0];
    context->caller = L;
    context->hook = lua_gethook(L);
    cpu->call.storages = cpu->storages;
    cpu->call.changes = false;
    return lx_cpu_pool(cpu);
}

static void end_work(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    if (context)
        context->caller = NULL;
}

/* Runs a hook that was set since the work began; if it raises an error, that becomes the error of the call. */
static bool interrupted(void *owner)
{
    lx_context *context = owner;
    lua_State *L = context->caller;
    if (!L || context->devices[0]->call.changes || lua_gethook(L) == context->hook || !lua_checkstack(L, 4))
        return false;
    /* its call, line, instruction and return are what hooks wait for */
    const bool raised = luaL_loadbuffer(L, "return", 6, "=luxel") || lua_pcall(L, 0, 0, 0);
    if (raised)
        lua_setfield(L, LUA_REGISTRYINDEX, "luxel.interrupt");
    context->hook = lua_gethook(L);
    return raised;
}

static void short_of_threads(void *owner, int wanted, int got)
{
    char text[128];
    lx_device *cpu = ((lx_context *)owner)->devices[0];
    snprintf(text, sizeof text, "the system gives %d of %d threads; computing goes on with %s", got, wanted,
             got > 1 ? "those" : "one");
    if (cpu->notice)
        cpu->notice(cpu->owner, text);
}

/* ---- the context ---------------------------------------------------------------------------------------------- */

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
        lx_mistake(L, "%s", error.text);
    lx_adopt_device(context, cpu);
    lx_pool_listen(lx_cpu_pool(cpu), (lx_pool_listener){interrupted, short_of_threads, context});
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

int lx_push_interrupt(lua_State *L)
{
    const int type = lua_getfield(L, LUA_REGISTRYINDEX, "luxel.interrupt");
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "luxel.interrupt");
    return type;
}

void lx_note_raised(lua_State *L, const lx_error *error)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key) == LUA_TUSERDATA)
        ((lx_context *)lua_touserdata(L, -1))->raised = *error;
    lua_pop(L, 1);
    end_work(L);
}

/* raise(code, text): an error that error_code tells from others, as those of C */
static int l_raise(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *name = lx_check_string(L, 1);
    int code = LX_EARG;
    while (code < LX_CODES && strcmp(lx_code_name((lx_code)code), name) != 0)
        code++;
    lx_argcheck(L, code < LX_CODES, 1, "there is no such code");
    lx_fail(&error, (lx_code)code, "%s", lx_check_string(L, 2));
    return lx_raise(L, &error);
}

/* error_code(message) -> "memory", "device", ... and the bare text, if it is the message of the error raised last */
static int l_error_code(lua_State *L)
{
    const lx_error *raised = &lx_get_context(L)->raised;
    if (raised->code == LX_OK || !strstr(lx_check_string(L, 1), raised->text))
        return 0;
    lua_pushstring(L, lx_code_name(raised->code));
    lua_pushstring(L, raised->text);
    return 2;
}

int lx_refuse(lua_State *L, const lx_error *error)
{
    if (error->code == LX_EARG || error->code == LX_EINTERRUPTED)
        return lx_raise(L, error);
    end_work(L);
    luaL_pushfail(L);
    lua_pushstring(L, error->text);
    lua_pushstring(L, lx_code_name(error->code));
    return 3;
}

int lx_results(lua_State *L, lx_code code, const lx_error *error, int results)
{
    if (code)
        return lx_raise(L, error);
    end_work(L);
    return results;
}

/* A replay draws on from where the random numbers stand, and cannot start them again. */
static void note_seeding(const lx_context *context)
{
    if (context->devices[0]->recording)
        lx_note_obstacle(context->devices[0]->recording, "sets the seed of the random numbers; do that outside");
}

/* manual_seed(n): random numbers start again from here */
static int l_manual_seed(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    note_seeding(context);
    context->seed = (unsigned long)lx_check_integer(L, 1);
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
        note_seeding(context);
    if (!lua_isnoneornil(L, 1))
        context->stream = (unsigned long)lx_check_integer(L, 1);
    lua_pushinteger(L, (lua_Integer)context->seed);
    lua_pushinteger(L, (lua_Integer)context->stream);
    return 2;
}

/* unbroken(f, ...) -> f(...), which cannot yield meanwhile */
static int l_unbroken(lua_State *L)
{
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* now() -> seconds on a clock that only goes forward */
static int l_now(lua_State *L)
{
    lua_pushnumber(L, lx_now());
    return 1;
}

/* is_terminal(fd) -> whether somebody is watching */
static int l_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)lx_check_integer(L, 1)));
    return 1;
}

static const luaL_Reg core_functions[] = {
    {"now", l_now},
    {"is_terminal", l_is_terminal},
    {"manual_seed", l_manual_seed},
    {"next_stream", l_next_stream},
    {"random_state", l_random_state},
    {"error_code", l_error_code},
    {"raise", l_raise},
    {"unbroken", l_unbroken},
    {NULL, NULL},
};

void lx_set_functions(lua_State *L, const luaL_Reg *functions)
{
    push_context(L);
    luaL_setfuncs(L, functions, 1);
}

/* What C and Lua both have to know, and C says: fields of the module. */
static void publish_constants(lua_State *L)
{
    lua_pushinteger(L, LX_IMAGE_MAX_SIDE);
    lua_setfield(L, -2, "image_max_side");
}

__attribute__((visibility("default"))) int luaopen_luxel_core(lua_State *L);

int luaopen_luxel_core(lua_State *L)
{
    luaL_checkversion(L);
    lx_register_tensor(L);
    lx_register_recording(L);
    lx_register_loader(L);
    lx_register_pipeline(L);
    lua_newtable(L);
    lx_set_functions(L, core_functions);
    lx_set_functions(L, lx_error_functions);
    lx_set_functions(L, lx_device_functions);
    lx_set_functions(L, lx_tensor_functions);
    lx_set_functions(L, lx_op_functions);
    lx_set_functions(L, lx_reduce_functions);
    lx_set_functions(L, lx_layer_functions);
    lx_set_functions(L, lx_nn_functions);
    lx_set_functions(L, lx_image_functions);
    lx_set_functions(L, lx_file_functions);
    lx_set_functions(L, lx_opencl_functions);
    lx_set_functions(L, lx_recording_functions);
    lx_set_functions(L, lx_loader_functions);
    lx_set_functions(L, lx_geometry_functions);
    lx_set_functions(L, lx_enhance_functions);
    lx_set_functions(L, lx_survey_functions);
    lx_set_functions(L, lx_metrics_functions);
    lx_set_functions(L, lx_detection_functions);
    lx_set_functions(L, lx_process_functions);
    lx_set_functions(L, lx_pipeline_functions);
    publish_constants(L);
    luaL_getmetatable(L, LX_TENSOR);
    lua_setfield(L, -2, "metatable");
    return 1;
}
