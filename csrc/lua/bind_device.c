/* luxel.core: devices, their memory, and what they do while they are watched. */
#include <string.h>
#include <unistd.h>

#include "../device/backends.h"
#include "bind.h"

/* Below this many live bytes the collector is left to Lua. */
enum { COLLECT_FLOOR = 256 << 20, MOST_LISTED = 64 };

/* ---- the context's devices ---------------------------------------------------------------------------------- */

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

/* Hands a message to the function that set_notice was given. */
static void notice(void *owner, const char *text)
{
    lua_State *L = ((lx_context *)owner)->L;
    if (lua_checkstack(L, 2) && lua_getfield(L, LUA_REGISTRYINDEX, "luxel.notice") == LUA_TFUNCTION) {
        lua_pushstring(L, text);
        if (lua_pcall(L, 1, 0, 0) == LUA_OK)
            return;
    }
    lua_pop(L, 1);
}

void lx_adopt_device(lx_context *context, lx_device *device)
{
    device->reclaim = reclaim;
    device->notice = notice;
    device->owner = context;
    device->limit = COLLECT_FLOOR;
    device->exact = context->exact;
    context->devices[context->count++] = device;
}

static lx_device *find_open(const lx_context *context, const char *label)
{
    for (int i = 0; i < context->count; i++)
        if (strcmp(context->devices[i]->label, label) == 0)
            return context->devices[i];
    return NULL;
}

static lx_device *find_listed(lx_context *context, const char *name, lx_error *error)
{
    lx_device_info list[MOST_LISTED];
    if (strcmp(name, "auto") == 0 && !lx_backends_gpu_possible())
        return context->devices[0];
    const int count = lx_backends_list(list, MOST_LISTED, error);
    const int index = lx_backends_select(list, count, name);
    if (strcmp(name, "auto") == 0 && index < 0) {
        error->code = LX_OK;
        return context->devices[0];
    }
    if (count > 0 && index < 0) {
        lx_fail(error, LX_EDEVICE, "there is no device '%s'; there are cpu and %s%s (print(lx.devices()) shows them)",
                name, list[0].label, count > 1 ? " and others" : "");
        return NULL;
    }
    if (count == 0) {
        if (!lx_backends_name(name))
            lx_fail(error, LX_EDEVICE, "there is no device '%s'; there is only cpu (print(lx.devices()) says why)",
                    name);
        return NULL;
    }
    lx_device *device = find_open(context, list[index].label);
    if (device)
        return device;
    if (context->count == LX_MAX_DEVICES) {
        lx_fail(error, LX_EDEVICE, "%d devices are open, no more can be", LX_MAX_DEVICES);
        return NULL;
    }
    device = list[index].backend->open(list[index].index, error);
    if (device)
        lx_adopt_device(context, device);
    return device;
}

/* The device of a name, opened if need be; NULL and an error where there is none. */
static lx_device *find_device(lua_State *L, int arg, lx_error *error)
{
    lx_context *context = lx_get_context(L);
    const char *name = luaL_opt(L, lx_check_string, arg, "cpu");
    lx_device *device = find_open(context, name);
    if (!device && context->aliased && strcmp(context->alias, name) == 0)
        device = context->aliased;
    if (device)
        return device;
    device = find_listed(context, name, error);
    if (device && strlen(name) < sizeof context->alias) {
        strcpy(context->alias, name);
        context->aliased = device;
    }
    return device;
}

lx_device *lx_check_device(lua_State *L, int arg)
{
    lx_error error = {.code = LX_OK};
    lx_device *device = find_device(L, arg, &error);
    if (!device)
        lx_raise(L, &error);
    return device;
}

/* ---- descriptions -------------------------------------------------------------------------------------------- */

static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

/* Pushes what an open device computes with. */
static void push_device(lua_State *L, lx_device *device)
{
    lua_createtable(L, 0, 6);
    set_string(L, "label", device->label);
    set_string(L, "kind", device->runtime->kind);
    set_string(L, "name", device->name);
    set_string(L, "form", lx_form_names[device->form]);
    set_integer(L, "lanes", device->lanes);
    set_integer(L, "threads", device->runtime->threads(device, 0));
}

static void push_info(lua_State *L, const lx_device_info *info)
{
    lua_createtable(L, 0, 13);
    set_string(L, "label", info->label);
    set_string(L, "kind", info->backend->kind);
    set_string(L, "name", info->name);
    set_string(L, "platform", info->platform);
    set_string(L, "driver", info->driver);
    set_string(L, "version", info->version);
    set_string(L, "type", info->type);
    if (info->memory > 0)
        set_integer(L, "memory", (lua_Integer)info->memory);
    if (info->largest > 0)
        set_integer(L, "largest", (lua_Integer)info->largest);
    set_integer(L, "local_memory", (lua_Integer)info->local);
    set_integer(L, "units", info->units);
    set_integer(L, "lanes", info->lanes);
    set_flag(L, "fp16", info->fp16);
    set_flag(L, "shares_memory", info->shares_memory);
}

/* Pushes what there is to say of the cpu. */
static void push_cpu(lua_State *L, lx_device *cpu)
{
    push_device(L, cpu);
    set_string(L, "type", "cpu");
    set_integer(L, "units", cpu->runtime->threads(cpu, 0));
    set_integer(L, "memory", (lua_Integer)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    set_flag(L, "fp16", false);
    set_flag(L, "shares_memory", true);
}

/* devices() -> list of {label, kind, name, type, ...}, and why there is none but the cpu if that is so */
static int l_devices(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lx_error error = {.code = LX_OK};
    lx_device_info list[MOST_LISTED];
    const int count = lx_backends_list(list, MOST_LISTED, &error);
    lua_createtable(L, count + 1, 0);
    push_cpu(L, context->devices[0]);
    lua_rawseti(L, -2, 1);
    for (int i = 0; i < count; i++) {
        push_info(L, &list[i]);
        lua_rawseti(L, -2, i + 2);
    }
    if (count > 0)
        return 1;
    lua_pushstring(L, error.text);
    return 2;
}

/* device(name) -> {label, kind, name, form, lanes, threads}, of the cpu also what devices() says; or nil, message, code
 * where there is none */
static int l_device(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_check_string(L, 1);
    lx_device *device = find_device(L, 1, &error);
    if (!device)
        return lx_refuse(L, &error);
    (device == lx_get_context(L)->devices[0] ? push_cpu : push_device)(L, device);
    return 1;
}

/* label(name) -> the label of the device that the name means, "opencl:1" say; opens it */
static int l_label(lua_State *L)
{
    lua_pushstring(L, lx_check_device(L, 1)->label);
    return 1;
}

/* open_devices() -> list of labels, of those that this process can use */
static int l_open_devices(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lua_createtable(L, context->count, 0);
    for (int i = 0, n = 0; i < context->count; i++) {
        if (lx_backends_left_behind(context->devices[i]))
            continue;
        lua_pushstring(L, context->devices[i]->label);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* set_notice(f): f(text) is called when something takes long, such as compiling kernels; nil for silence */
static int l_set_notice(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        lx_check_type(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "luxel.notice");
    return 0;
}

/* ---- memory and threads --------------------------------------------------------------------------------------- */

/* memory(device) -> {live, cached, peak, budget} in bytes; no budget where only the system sets it */
static int l_memory(lua_State *L)
{
    const lx_device *device = lx_check_device(L, 1);
    lua_createtable(L, 0, 4);
    set_integer(L, "live", (lua_Integer)device->memory.live);
    set_integer(L, "cached", (lua_Integer)device->memory.cached);
    set_integer(L, "peak", (lua_Integer)device->memory.peak);
    if (device->budget != SIZE_MAX)
        set_integer(L, "budget", (lua_Integer)device->budget);
    return 1;
}

/* set_budget(device, bytes): the device uses no more than this; nil for no limit but the system's */
static int l_set_budget(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    const lua_Integer bytes = luaL_opt(L, lx_check_integer, 2, 0);
    lx_argcheck(L, bytes >= 0, 2, "the budget must not be negative");
    device->budget = lua_isnoneornil(L, 2) ? SIZE_MAX : (size_t)bytes;
    return 0;
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

/* threads([n], [device]) -> the number of threads that the device computes with */
static int l_threads(lua_State *L)
{
    lx_device *device = lx_check_device(L, 2);
    const lua_Integer count = luaL_opt(L, lx_check_integer, 1, 0);
    if (!lua_isnoneornil(L, 1))
        lx_argcheck(L, count >= 1 && count <= 1024, 1, "the number of threads must be from 1 to 1024");
    lua_pushinteger(L, device->runtime->threads(device, (int)count));
    return 1;
}

/* set_exact(exact): whether all devices compute sums as they are written; see lx_device.exact */
static int l_set_exact(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    context->exact = lua_toboolean(L, 1);
    for (int i = 0; i < context->count; i++)
        context->devices[i]->exact = context->exact;
    return 0;
}

/* synchronize(device): waits until all that was asked of it is done */
static int l_synchronize(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    lx_error error = {.code = LX_OK};
    return lx_results(L, device->runtime->finish(device, &error), &error, 0);
}

/* waits(device) -> how often the host waited for it */
static int l_waits(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lx_check_device(L, 1)->waits);
    return 1;
}

/* ---- tuning ---------------------------------------------------------------------------------------------------- */

/* tune(device, on): problems that are met from now on are measured if nothing is known of them, or no longer */
static int l_tune(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    device->tuning.measuring = lua_toboolean(L, 2);
    return 0;
}

/* force_way(device, n, kind): for tests, everything is computed by its n-th variant, of those whose names begin with
 * `kind` if that is given, and an error if there is none; 0 ends it */
static int l_force_way(lua_State *L)
{
    lx_tuning *tuning = &lx_check_device(L, 1)->tuning;
    tuning->forced = (int)lx_check_integer(L, 2);
    snprintf(tuning->forced_kind, sizeof tuning->forced_kind, "%s", luaL_opt(L, lx_check_string, 3, ""));
    return 0;
}

/* tuned(device) -> list of {problem, way, seconds, usual, ways, rejected}: what was measured or read from a file */
static int l_tuned(lua_State *L)
{
    const lx_tuning *tuning = &lx_check_device(L, 1)->tuning;
    lua_createtable(L, tuning->count, 0);
    for (int i = 0; i < tuning->count; i++) {
        const lx_tuned *entry = &tuning->entries[i];
        lua_createtable(L, 0, 6);
        set_integer(L, "ways", entry->variants);
        set_integer(L, "rejected", entry->rejected);
        set_string(L, "problem", entry->problem);
        set_string(L, "way", entry->variant);
        lua_pushnumber(L, entry->seconds);
        lua_setfield(L, -2, "seconds");
        lua_pushnumber(L, entry->default_seconds);
        lua_setfield(L, -2, "usual");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* save_tuning(device) -> whether what was measured is on disk now; forget_tuning(device): starts anew */
static int l_save_tuning(lua_State *L)
{
    lua_pushboolean(L, lx_tuning_save(lx_check_device(L, 1)));
    return 1;
}

static int l_forget_tuning(lua_State *L)
{
    lx_tuning_free(&lx_check_device(L, 1)->tuning);
    return 0;
}

/* ---- profile -------------------------------------------------------------------------------------------------- */

#define PROFILE "luxel.profile"

/* A profile that nobody has any more ends the watching: devices must not write to it. */
static int close_profile(lua_State *L)
{
    const lx_context *context = lx_get_context(L);
    lx_profile *profile = lx_check_udata(L, 1, PROFILE);
    for (int i = 0; i < context->count; i++) {
        lx_device *device = context->devices[i];
        lx_error error = {.code = LX_OK};
        if (device->profile == profile && device->runtime->watch(device, NULL, &error))
            device->profile = NULL;
    }
    lx_profile_free(profile);
    return 0;
}

/* watch(device) -> a profile, into which the device notes all that it does until unwatch */
static int l_watch(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    lx_error error = {.code = LX_OK};
    if (device->profile)
        lua_gc(L, LUA_GCCOLLECT); /* who watched may have been dropped */
    if (device->profile)
        return lx_mistake(L, "profile: %s is being watched already", device->label);
    lx_profile *profile = lua_newuserdatauv(L, sizeof *profile, 0);
    *profile = (lx_profile){NULL, 0, 0, false};
    if (luaL_newmetatable(L, PROFILE)) {
        lua_pushvalue(L, lua_upvalueindex(1)); /* the context */
        lua_pushcclosure(L, close_profile, 1);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return lx_results(L, device->runtime->watch(device, profile, &error), &error, 1);
}

static void push_profile_entry(lua_State *L, const lx_profile_entry *entry)
{
    lua_createtable(L, 0, 5);
    set_string(L, "name", entry->name);
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"start", entry->start}, {"seconds", entry->seconds}, {"work", entry->work}, {"bytes", entry->bytes}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        lua_pushnumber(L, numbers[i].value);
        lua_setfield(L, -2, numbers[i].key);
    }
}

/* unwatch(device, profile) -> list of {name, start, seconds, work, bytes}, and whether all found room */
static int l_unwatch(lua_State *L)
{
    lx_device *device = lx_check_device(L, 1);
    lx_profile *profile = lx_check_udata(L, 2, PROFILE);
    lx_error error = {.code = LX_OK};
    if (device->profile == profile && device->runtime->watch(device, NULL, &error))
        return lx_raise(L, &error);
    lua_createtable(L, (int)profile->count, 0);
    for (size_t i = 0; i < profile->count; i++) {
        push_profile_entry(L, &profile->entries[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushboolean(L, !profile->full);
    lx_profile_free(profile);
    return 2;
}

const luaL_Reg lx_device_functions[] = {
    {"device", l_device},
    {"devices", l_devices},
    {"open_devices", l_open_devices},
    {"label", l_label},
    {"set_notice", l_set_notice},
    {"memory", l_memory},
    {"set_budget", l_set_budget},
    {"reset_peak", l_reset_peak},
    {"trim", l_trim},
    {"threads", l_threads},
    {"waits", l_waits},
    {"synchronize", l_synchronize},
    {"watch", l_watch},
    {"unwatch", l_unwatch},
    {"tune", l_tune},
    {"tuned", l_tuned},
    {"save_tuning", l_save_tuning},
    {"forget_tuning", l_forget_tuning},
    {"force_way", l_force_way},
    {"set_exact", l_set_exact},
    {NULL, NULL},
};
