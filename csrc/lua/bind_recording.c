/* Recordings for lua/luxel/compile: what a function's tensors have in common with another call's, and recording and
 * replaying what the devices do. */
#include "bind.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define RECORDING "luxel.recording"

enum { MOST_RESULTS = 16, MOST_ARGUMENTS = 64 };

/* How far a recording has come: `record` begins it, `settle` ends it, `plan` makes it ready for replay; `forget` leaves
   it fit for comparing alone. */
typedef enum { BEGUN = 1, SETTLED = 2, PLANNED = 4, FORGOTTEN = 8 } stage;

/* A recording and the tensors that the function returned: their views, and the slots of their storages. */
typedef struct {
    lx_recording *recording;
    lua_State *L; /* that runs the function */
    stage stage;
    lx_tensor results[MOST_RESULTS];
    int slots[MOST_RESULTS];
    int count;
} handle;

static handle *check_handle(lua_State *L, int arg)
{
    handle *self = lx_check_udata(L, arg, RECORDING);
    lx_argcheck(L, self->recording, arg, "this recording is closed");
    return self;
}

/* A recording that has come so far: to one of the stages. */
static handle *check_stage(lua_State *L, int arg, int stages)
{
    handle *self = check_handle(L, arg);
    lx_argcheck(L, self->stage & stages, arg, "this recording is at another stage");
    return self;
}

/* ---- signatures ----------------------------------------------------------------------------------------------- */

/* The first argument (from `first` on) on the same storage as the one at `arg`; `arg` itself if there is none before.
 */
static int find_first(lua_State *L, int first, int arg, const lx_tensor *tensor)
{
    for (int i = first; i < arg; i++) {
        const lx_tensor *other = lx_test_tensor(L, i);
        if (other && other->storage == tensor->storage)
            return i;
    }
    return arg;
}

/* How a tensor lies in its storage, and which arguments share it. */
static void add_tensor(lua_State *L, luaL_Buffer *buffer, int first, int arg, const lx_tensor *tensor)
{
    char text[64];
    const int same = find_first(L, first, arg, tensor);
    const long from = same < arg ? tensor->offset - lx_test_tensor(L, same)->offset : 0;
    snprintf(text, sizeof text, "t%s %d %d %d %ld:", tensor->storage->device->label, (int)tensor->dtype, tensor->block,
             same - first, from);
    luaL_addstring(buffer, text);
    for (int i = 0; i < tensor->ndim; i++) {
        snprintf(text, sizeof text, "%ld/%ld,", tensor->shape[i], tensor->block ? 0 : tensor->stride[i]);
        luaL_addstring(buffer, text);
    }
}

/* Why a call with such an argument is not recorded; NULL if it is. */
static const char *unfit(lua_State *L, int arg)
{
    const lx_tensor *tensor = lx_test_tensor(L, arg);
    const int type = lua_type(L, arg);
    if (tensor && !tensor->storage)
        return "an argument was freed";
    if (tensor && lx_requires_grad(L, arg))
        return "an argument requires a gradient; pass t:detach(), or do the whole step inside";
    if (!tensor && (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD))
        return "arguments should be tensors, numbers, strings or booleans; let the function reach others by itself";
    return NULL;
}

static void add_value(lua_State *L, luaL_Buffer *buffer, int arg)
{
    char text[64];
    size_t length;
    switch (lua_type(L, arg)) {
    case LUA_TNUMBER:
        if (lua_isinteger(L, arg))
            snprintf(text, sizeof text, "i" LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, arg));
        else
            snprintf(text, sizeof text, "n%a", lua_tonumber(L, arg));
        luaL_addstring(buffer, text);
        break;
    case LUA_TSTRING:
        lua_tolstring(L, arg, &length);
        snprintf(text, sizeof text, "s%zu:", length);
        luaL_addstring(buffer, text);
        luaL_addlstring(buffer, lua_tostring(L, arg), length);
        break;
    default: luaL_addstring(buffer, lua_isnil(L, arg) ? "0" : lua_toboolean(L, arg) ? "true" : "false");
    }
    luaL_addchar(buffer, ';');
}

/* What decides how devices compute besides their arguments. */
static void add_modes(const lx_context *context, luaL_Buffer *buffer)
{
    char text[64];
    for (int i = 0; i < context->count; i++) {
        const lx_device *device = context->devices[i];
        snprintf(text, sizeof text, "%d %d %d;", device->exact, device->tuning.count, device->tuning.forced);
        luaL_addstring(buffer, text);
    }
}

/* Pushes a text that is the same for calls whose arguments, from `first` on, differ in the contents of tensors alone;
 * or nothing, and returns why such a call is not recorded. */
static const char *push_signature(lua_State *L, int first)
{
    const int last = lua_gettop(L);
    luaL_Buffer buffer;
    if (last - first + 1 > MOST_ARGUMENTS)
        return "there are more than 64 arguments";
    for (int i = first; i <= last; i++) {
        const char *reason = unfit(L, i);
        if (reason)
            return reason;
    }
    luaL_buffinit(L, &buffer);
    add_modes(lx_get_context(L), &buffer);
    for (int i = first; i <= last; i++) {
        const lx_tensor *tensor = lx_test_tensor(L, i);
        if (tensor)
            add_tensor(L, &buffer, first, i, tensor);
        else
            add_value(L, &buffer, i);
    }
    luaL_pushresult(&buffer);
    return NULL;
}

/* signature(...) -> a text that is the same for calls whose arguments differ in the contents of tensors alone; or nil
 * and why such a call is not recorded */
static int l_signature(lua_State *L)
{
    const char *reason = push_signature(L, 1);
    if (!reason)
        return 1;
    luaL_pushfail(L);
    lua_pushstring(L, reason);
    return 2;
}

/* ---- recording ------------------------------------------------------------------------------------------------ */

/* " (at train.lua:12)" */
static void locate(void *owner, char *text, size_t size)
{
    lua_State *L = ((handle *)owner)->L;
    if (!lua_checkstack(L, 8))
        return;
    lx_push_place(L);
    const char *place = lua_tostring(L, -1);
    const size_t length = strlen(place);
    if (length > 2)
        snprintf(text, size, " (at %.*s)", (int)(length - 2), place);
    lua_pop(L, 1);
}

static int close_handle(lua_State *L)
{
    handle *self = lx_check_udata(L, 1, RECORDING);
    lx_recording *recording = self->recording;
    self->recording = NULL;
    lx_recording_free(recording);
    return 0;
}

/* alias(t) -> another tensor on the same storage, of the same layout, without history */
static int l_alias(lua_State *L)
{
    const lx_tensor *tensor = lx_check_any(L, 1);
    lx_tensor_share(lx_push_tensor(L), tensor);
    return 1;
}

/* record(...) -> a recording, attached to all devices, and the arguments for the function. A blocked one is an alias,
 * which may be converted where it stands without the next call finding it so. */
static int l_record(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lx_error error = {.code = LX_OK};
    const int count = lua_gettop(L);
    const char *reason = push_signature(L, 1);
    if (reason)
        return lx_mistake(L, "record: %s", reason);
    handle *self = lua_newuserdatauv(L, sizeof *self, 1);
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, RECORDING);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1); /* the signature, of which replays must be */
    lua_insert(L, 1);
    self->L = L;
    self->stage = BEGUN;
    self->recording = lx_recording_new((lx_stream){context->seed, context->stream}, &error);
    if (!self->recording)
        return lx_raise(L, &error);
    if (context->devices[0]->recording)
        return lx_mistake(L, "a recording is under way already");
    for (int i = 2; i < 2 + count; i++) {
        lx_tensor *tensor = lx_test_tensor(L, i);
        if (tensor && tensor->block) {
            lx_tensor_share(lx_push_tensor(L), tensor);
            lua_replace(L, i);
        }
    }
    lx_recording_begin(self->recording, context->devices, context->count, locate, self);
    for (int i = 2; i < 2 + count; i++) {
        const lx_tensor *tensor = lx_test_tensor(L, i);
        if (tensor && find_first(L, 2, i, tensor) == i)
            lx_recording_bind(self->recording, tensor->storage, (size_t)tensor->offset * lx_dtype_size(tensor->dtype));
    }
    return 1 + count;
}

/* recording:live(flag): whether what is launched now takes its numbers from the host at each replay */
static int l_live(lua_State *L)
{
    lx_recording_live(check_stage(L, 1, BEGUN)->recording, lua_toboolean(L, 2));
    return 0;
}

/* recording:stop(): the devices no longer tell it what they do; harmless twice */
static int l_stop(lua_State *L)
{
    lx_recording_end(check_handle(L, 1)->recording);
    return 0;
}

static void add_result(lua_State *L, handle *self, const lx_tensor *tensor)
{
    lx_error error = {.code = LX_OK};
    int number;
    size_t offset;
    lx_storage *storage;
    const int slot = lx_recording_result(self->recording, tensor->storage, &error);
    if (slot < 0)
        lx_raise(L, &error);
    self->slots[self->count] = slot;
    self->results[self->count] = *tensor;
    self->results[self->count].storage = NULL;
    if (lx_recording_role(self->recording, slot, &number, &offset, &storage) == LX_BOUND)
        self->results[self->count].offset -= (long)(offset / lx_dtype_size(tensor->dtype));
    self->count++;
}

/* recording:settle(results, n) -> nil, or why it cannot be replayed: ends it. `results` are all that refers to the
 * tensors that the function returned. */
static int l_settle(lua_State *L)
{
    const lx_context *context = lx_get_context(L);
    handle *self = check_stage(L, 1, BEGUN);
    lx_check_type(L, 2, LUA_TTABLE);
    const lua_Integer count = lx_check_integer(L, 3);
    lx_argcheck(L, count >= 0 && count <= INT_MAX, 3, "out of range");
    lx_recording_end(self->recording);
    self->stage = SETTLED;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        const lx_tensor *tensor = lx_test_tensor(L, -1);
        if (tensor && tensor->storage && self->count == MOST_RESULTS)
            lx_note_obstacle(self->recording, "returns more than %d tensors", MOST_RESULTS);
        else if (tensor && tensor->storage)
            add_result(L, self, tensor);
        lua_pop(L, 1);
    }
    lx_recording_settle(self->recording, context->stream - lx_recording_start(self->recording).stream);
    lua_pushstring(L, lx_recording_obstacle(self->recording));
    return 1;
}

/* recording:problem(text): it cannot be replayed */
static int l_problem(lua_State *L)
{
    lx_note_obstacle(check_handle(L, 1)->recording, "%s", lx_check_string(L, 2));
    return 0;
}

/* recording:made(t) -> whether the memory of t came into being since it began */
static int l_made(lua_State *L)
{
    lua_pushboolean(L, lx_recording_made(check_stage(L, 1, BEGUN)->recording, lx_check_any(L, 2)->storage));
    return 1;
}

static bool same_view(const lx_tensor *a, const lx_tensor *b)
{
    return a->offset == b->offset && a->dtype == b->dtype && a->block == b->block && lx_same_shape(a, b) &&
           (a->block || memcmp(a->stride, b->stride, (size_t)a->ndim * sizeof *a->stride) == 0);
}

/* recording:same(other) -> true; or false and what differs */
static int l_same(lua_State *L)
{
    char text[256] = "it returns other tensors in each call";
    const handle *a = check_stage(L, 1, SETTLED | FORGOTTEN), *b = check_stage(L, 2, SETTLED | FORGOTTEN);
    bool same = a->count == b->count;
    for (int i = 0; same && i < a->count; i++)
        same = a->slots[i] == b->slots[i] && same_view(&a->results[i], &b->results[i]);
    same = lx_recording_same(a->recording, b->recording, text, sizeof text) && same;
    lua_pushboolean(L, same);
    lua_pushstring(L, text);
    return same ? 1 : 2;
}

static int l_forget(lua_State *L)
{
    handle *self = check_stage(L, 1, SETTLED | FORGOTTEN);
    lx_recording_forget(self->recording);
    self->stage = FORGOTTEN;
    return 0;
}

/* ---- replaying ------------------------------------------------------------------------------------------------ */

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* recording:plan() -> {steps, dropped, folded, arena, temporaries, constants, eager, kept}: makes it ready for replay
 */
static int l_plan(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    handle *self = check_stage(L, 1, SETTLED);
    lx_recording *recording = self->recording;
    lx_argcheck(L, !lx_recording_obstacle(recording), 1, "this recording cannot be replayed");
    if (lx_recording_plan(recording, &error))
        return lx_raise(L, &error);
    self->stage = PLANNED;
    const lx_recording_facts facts = lx_recording_describe(recording);
    lua_createtable(L, 0, 8);
    set_integer(L, "steps", facts.steps);
    set_integer(L, "dropped", facts.dropped);
    set_integer(L, "folded", facts.folded);
    set_integer(L, "arena", (lua_Integer)facts.arena);
    set_integer(L, "temporaries", (lua_Integer)facts.temporaries);
    set_integer(L, "constants", (lua_Integer)facts.constants);
    set_integer(L, "eager", (lua_Integer)facts.eager);
    set_integer(L, "kept", (lua_Integer)facts.kept);
    return 1;
}

/* recording:move(kept, other): what it writes into the first tensor's memory goes to the other's from now on; returns
 * whether that is possible */
static int l_move(lua_State *L)
{
    const handle *self = check_stage(L, 1, SETTLED);
    lua_pushboolean(L, lx_recording_move(self->recording, lx_check_any(L, 2)->storage, lx_check_any(L, 3)->storage));
    return 1;
}

/* recording:fits() -> whether the tensors that it refers to are still there */
static int l_fits(lua_State *L)
{
    lua_pushboolean(L, lx_recording_fits(check_stage(L, 1, PLANNED)->recording));
    return 1;
}

/* recording:refresh(flag): launches are not done, but give their numbers to the live ones in order, until false */
static int l_refresh(lua_State *L)
{
    const lx_context *context = lx_get_context(L);
    lx_error error = {.code = LX_OK};
    lx_recording *recording = check_stage(L, 1, PLANNED)->recording;
    lx_argcheck(L, !context->devices[0]->recording || context->devices[0]->recording == recording, 1,
                "a recording is under way already");
    if (lua_toboolean(L, 2))
        lx_recording_refresh(recording, context->devices, context->count);
    else if (lx_recording_refreshed(recording, &error))
        return lx_raise(L, &error);
    return 0;
}

/* The storages of the arguments, from the second on, as they were bound. */
static void collect_bound(lua_State *L, int count, lx_argument *bound)
{
    int found = 0;
    for (int i = 2; i <= count; i++) {
        const lx_tensor *tensor = lx_test_tensor(L, i);
        if (tensor && find_first(L, 2, i, tensor) == i)
            bound[found++] = lx_argument_of(tensor);
    }
}

/* A tensor of its own with what a view shows. */
static lx_code copy_of(lx_tensor *out, const lx_tensor *view, lx_error *error)
{
    if (view->block)
        return lx_to_plain(out, view, error);
    if (lx_tensor_new(out, view->storage->device, view->dtype, view->ndim, view->shape, error))
        return error->code;
    return lx_copy(out, view, error);
}

/* Fills in the i-th result. What others than the caller hold too is copied for the caller. */
static lx_code fill_result(lx_tensor *out, const handle *self, int i, const lx_argument *bound,
                           lx_storage *const *results, lx_error *error)
{
    int number;
    size_t offset;
    lx_storage *storage;
    lx_tensor view = self->results[i];
    const lx_role role = lx_recording_role(self->recording, self->slots[i], &number, &offset, &storage);
    view.storage = role == LX_RESULT ? results[number] : role == LX_BOUND ? bound[number].storage : storage;
    if (role == LX_BOUND)
        view.offset += (long)(bound[number].offset / lx_dtype_size(view.dtype));
    if (role == LX_KEPT)
        return copy_of(out, &view, error);
    lx_tensor_share(out, &view);
    return LX_OK;
}

/* recording:replay(...) -> the tensors that the function would return */
static int l_replay(lua_State *L)
{
    lx_context *context = lx_get_context(L);
    lx_error error = {.code = LX_OK};
    handle *self = check_stage(L, 1, PLANNED);
    lx_argument bound[MOST_ARGUMENTS];
    lx_storage *results[MOST_RESULTS] = {NULL};
    lx_tensor *tensors[MOST_RESULTS];
    const int last = lua_gettop(L);
    lua_getiuservalue(L, 1, 1);
    lua_insert(L, 2);
    if (push_signature(L, 3) || !lua_rawequal(L, 2, -1))
        return lx_mistake(L, "replay: these are not arguments like those of the recording");
    lua_pop(L, 1);
    lua_remove(L, 2);
    collect_bound(L, last, bound);
    luaL_checkstack(L, MOST_RESULTS + 4, NULL);
    for (int i = 0; i < self->count; i++)
        tensors[i] = lx_push_tensor(L);
    lx_recording_replay(self->recording, bound, (lx_stream){context->seed, context->stream}, results, &error);
    if (!error.code)
        context->stream += lx_recording_drawn(self->recording);
    for (int i = 0; i < self->count && !error.code; i++)
        fill_result(tensors[i], self, i, bound, results, &error);
    for (int i = 0; i < lx_recording_results(self->recording); i++)
        lx_storage_release(results[i]);
    return lx_results(L, error.code, &error, self->count);
}

/* ---- checks --------------------------------------------------------------------------------------------------- */

/* Fails with the text in params unless the byte of the first argument is 0. */
static lx_code check_byte(const void *params, const lx_argument *arguments, lx_error *error)
{
    unsigned char byte = 0;
    const lx_argument of = arguments[0];
    if (!of.storage->device->runtime->read(of.storage, of.offset, &byte, 1, error) && byte)
        return lx_fail(error, LX_EARG, "%s", (const char *)params);
    return error->code;
}

/* check_zero(t, text): raises unless t, one uint8 on the cpu, is 0; also whenever this is replayed */
static int l_check_zero(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    size_t length;
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    const char *text = lx_check_lstring(L, 2, &length);
    lx_argcheck(L, tensor->dtype == LX_UINT8 && lx_tensor_count(tensor) == 1, 1, "one uint8 expected");
    return lx_results(L, lx_run_check(check_byte, text, length + 1, &tensor, 1, &error), &error, 0);
}

static const luaL_Reg methods[] = {
    {"live", l_live},       {"stop", l_stop},     {"settle", l_settle},    {"problem", l_problem}, {"made", l_made},
    {"same", l_same},       {"plan", l_plan},     {"move", l_move},        {"forget", l_forget},   {"fits", l_fits},
    {"refresh", l_refresh}, {"replay", l_replay}, {"close", close_handle}, {"__gc", close_handle}, {NULL, NULL},
};

void lx_register_recording(lua_State *L)
{
    if (luaL_newmetatable(L, RECORDING)) {
        lx_set_functions(L, methods);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

const luaL_Reg lx_recording_functions[] = {
    {"signature", l_signature}, {"record", l_record}, {"alias", l_alias}, {"check_zero", l_check_zero}, {NULL, NULL},
};
