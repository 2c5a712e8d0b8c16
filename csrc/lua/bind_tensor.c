/* The tensor userdata: making, viewing, reading and writing tensors from Lua. */
#include "bind.h"

#include "../tensor/numbers.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---------------------------------------------------------------------------------------------- */

lx_tensor *lx_test_tensor(lua_State *L, int arg)
{
    return luaL_testudata(L, arg, LX_TENSOR);
}

lx_tensor *lx_check_any(lua_State *L, int arg)
{
    lx_tensor *tensor = lx_check_udata(L, arg, LX_TENSOR);
    lx_argcheck(L, tensor->storage, arg, "this tensor was freed");
    return tensor;
}

void lx_make_plain(lua_State *L, lx_tensor *tensor)
{
    if (!tensor->block)
        return;
    lx_error error = {.code = LX_OK};
    lx_tensor plain = {0};
    if (lx_to_plain(&plain, tensor, &error))
        lx_raise(L, &error);
    plain.storage->version = tensor->storage->version; /* the contents are what they were */
    lx_tensor_free(tensor);
    *tensor = plain;
}

lx_tensor *lx_check_tensor(lua_State *L, int arg)
{
    lx_tensor *tensor = lx_check_any(L, arg);
    lx_make_plain(L, tensor);
    return tensor;
}

lx_tensor *lx_opt_tensor(lua_State *L, int arg)
{
    return lua_isnoneornil(L, arg) ? NULL : lx_check_tensor(L, arg);
}

lx_tensor *lx_opt_any(lua_State *L, int arg)
{
    return lua_isnoneornil(L, arg) ? NULL : lx_check_any(L, arg);
}

static const char tidy_key = 0; /* registry: by coroutine, the table of the tensors made inside its running tidy */

/* A tensor as Lua holds it. Its first user value is autograd's slot; a view's second one is the tensor that it views.
 */
typedef struct {
    lx_tensor tensor;
    bool view;
    long seen; /* of a view: the version of the storage for which the slot is right */
} held_tensor;

/* Pushes the tables of all coroutines; one that is dropped takes its own along. */
static void push_tidies(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tidy_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tidy_key);
}

lx_tensor *lx_push_tensor(lua_State *L)
{
    held_tensor *held = lua_newuserdatauv(L, sizeof *held, 2);
    memset(held, 0, sizeof *held);
    lx_tensor *tensor = &held->tensor;
    luaL_setmetatable(L, LX_TENSOR);
    lx_begin_work(L);
    if (lx_get_context(L)->tidying) {
        luaL_checkstack(L, 4, NULL);
        push_tidies(L);
        lua_pushthread(L);
        if (lua_rawget(L, -2) == LUA_TTABLE) {
            lua_pushvalue(L, -3);
            lua_pushboolean(L, 1);
            lua_rawset(L, -3);
        }
        lua_pop(L, 2);
    }
    return tensor;
}

/* tidy(table | nil) -> the table before: tensors that this coroutine makes become keys of the table */
static int l_tidy(lua_State *L)
{
    lua_settop(L, 1);
    push_tidies(L);
    lua_pushthread(L);
    lua_rawget(L, 2);
    lua_pushthread(L);
    lua_pushvalue(L, 1);
    lua_rawset(L, 2);
    lua_pushnil(L);
    lx_get_context(L)->tidying = lua_next(L, 2) != 0;
    lua_settop(L, 3);
    return 1;
}

/* refs(t) -> how many tensors share its storage */
static int l_refs(lua_State *L)
{
    lua_pushinteger(L, lx_check_any(L, 1)->storage->references);
    return 1;
}

int lx_check_dim(lua_State *L, int arg, int ndim)
{
    const lua_Integer dim = lx_check_integer(L, arg);
    const lua_Integer counted = dim < 0 ? ndim + dim : dim - 1;
    if (counted < 0 || counted >= ndim)
        lx_mistake(L, "dimension %I is out of range for a tensor of %d dimensions", (LUAI_UACINT)dim, ndim);
    return (int)counted;
}

int lx_check_shape(lua_State *L, int arg, long *shape)
{
    lx_check_type(L, arg, LUA_TTABLE);
    const lua_Integer ndim = (lua_Integer)lua_rawlen(L, arg); /* raw: no code of the user's between here and the use */
    if (ndim > LX_MAX_DIMS)
        lx_mistake(L, "a tensor has at most %d dimensions, asked for %I", LX_MAX_DIMS, (LUAI_UACINT)ndim);
    for (int i = 0; i < ndim; i++) {
        int valid;
        lua_rawgeti(L, arg, i + 1);
        shape[i] = (long)lua_tointegerx(L, -1, &valid);
        if (!valid)
            lx_mistake(L, "size %d of a shape must be a whole number, got %s", i + 1, luaL_tolstring(L, -1, NULL));
        lua_pop(L, 1);
    }
    return (int)ndim;
}

lx_dtype lx_check_dtype(lua_State *L, int arg, lx_dtype absent)
{
    static const char *const names[] = {"float32", "uint8", "int32", NULL};
    LX_ASSERT_ROWS(names, LX_DTYPES + 1);
    return (lx_dtype)lx_check_option(L, arg, names[absent], names);
}

void lx_push_shape(lua_State *L, int ndim, const long *shape)
{
    lua_createtable(L, ndim, 0);
    for (int i = 0; i < ndim; i++) {
        lua_pushinteger(L, shape[i]);
        lua_rawseti(L, -2, i + 1);
    }
    luaL_setmetatable(L, LX_SHAPE);
}

double lx_opt_field(lua_State *L, int arg, const char *name, double absent)
{
    if (!lua_istable(L, arg))
        return absent;
    lua_getfield(L, arg, name);
    if (!lua_isnil(L, -1) && !lua_isnumber(L, -1))
        lx_mistake(L, "option '%s' must be a number, got %s", name, luaL_typename(L, -1));
    const double value = luaL_opt(L, lx_check_number, -1, absent);
    lua_pop(L, 1);
    return value;
}

lua_Integer lx_opt_integer(lua_State *L, int arg, const char *name, lua_Integer absent, lua_Integer least,
                           lua_Integer most)
{
    if (!lua_istable(L, arg))
        return absent;
    int valid = lua_getfield(L, arg, name) == LUA_TNIL;
    const lua_Integer value = valid ? absent : lua_tointegerx(L, -1, &valid);
    if (!valid || value < least || value > most)
        lx_mistake(L, "option '%s' must be a whole number from %I to %I, got %s", name, (LUAI_UACINT)least,
                   (LUAI_UACINT)most, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return value;
}

bool lx_opt_flag(lua_State *L, int arg, const char *name)
{
    if (!lua_istable(L, arg))
        return false;
    lua_getfield(L, arg, name);
    const bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static int whole_number(lua_State *L, const char *name)
{
    int valid;
    const lua_Integer value = lua_tointegerx(L, -1, &valid);
    if (!valid || value < INT16_MIN || value > INT16_MAX * 1024)
        lx_mistake(L, "option '%s' must be a whole number or {height, width}, got %s", name,
                   luaL_tolstring(L, -1, NULL));
    return (int)value;
}

void lx_pair_field(lua_State *L, int arg, const char *name, int absent, int pair[2])
{
    pair[0] = pair[1] = absent;
    if (!lua_istable(L, arg))
        return;
    if (lua_getfield(L, arg, name) == LUA_TTABLE) {
        for (int i = 0; i < 2; i++) {
            lua_geti(L, -1, i + 1);
            pair[i] = whole_number(L, name);
            lua_pop(L, 1);
        }
    } else if (!lua_isnil(L, -1)) {
        pair[0] = pair[1] = whole_number(L, name);
    }
    lua_pop(L, 1);
}

/* ---- making ------------------------------------------------------------------------------------------------- */

/* new(shape, dtype, device): contents not set */
static int l_new(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const int ndim = lx_check_shape(L, 1, shape);
    const lx_dtype dtype = lx_check_dtype(L, 2, LX_FLOAT32);
    lx_device *device = lx_check_device(L, 3);
    lx_tensor *out = lx_push_tensor(L);
    return lx_results(L, lx_tensor_new(out, device, dtype, ndim, shape, &error), &error, 1);
}

/* The shape of nested tables, read along the first elements. */
static int nested_shape(lua_State *L, int arg, long *shape)
{
    int ndim = 0;
    lua_pushvalue(L, arg);
    while (lua_istable(L, -1)) {
        if (ndim == LX_MAX_DIMS)
            lx_mistake(L, "tensor: tables are nested more than %d deep", LX_MAX_DIMS);
        shape[ndim++] = luaL_len(L, -1);
        lua_geti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
    return ndim;
}

/* Stores the number on top of the stack as element `index`. */
static void store_number(lua_State *L, void *data, lx_dtype dtype, long index)
{
    if (!lua_isboolean(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
        lx_mistake(L, "tensor: expected a number, got %s", luaL_typename(L, -1));
    const double value = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
    if (dtype == LX_FLOAT32) {
        ((float *)data)[index] = (float)value;
        return;
    }
    const double least = dtype == LX_UINT8 ? 0 : INT32_MIN, most = dtype == LX_UINT8 ? 255 : INT32_MAX;
    if (!(value >= least && value <= most) || value != floor(value))
        lx_mistake(L, "tensor: %f does not fit into %s", value, lx_dtype_name(dtype));
    if (dtype == LX_UINT8)
        ((uint8_t *)data)[index] = (uint8_t)value;
    else
        ((int32_t *)data)[index] = (int32_t)value;
}

/* Fills data from the nested table on top of the stack; returns the index after the last element written. */
static long fill_nested(lua_State *L, void *data, lx_dtype dtype, int dim, int ndim, const long *shape, long index)
{
    char text[LX_SHAPE_TEXT];
    if (dim == ndim) {
        store_number(L, data, dtype, index);
        return index + 1;
    }
    if (!lua_istable(L, -1) || (long)luaL_len(L, -1) != shape[dim])
        lx_mistake(L, "tensor: tables of different lengths; the first elements give shape %s, which others do not have",
                   lx_shape_text(ndim, shape, text));
    if (shape[dim] == 0 && (lua_pushnil(L), lua_next(L, -2)))
        lx_mistake(L, "tensor: expected a list of numbers, got a table with the key '%s'", luaL_tolstring(L, -2, NULL));
    luaL_checkstack(L, 4, "tensor: nested too deep");
    for (long i = 1; i <= shape[dim]; i++) {
        lua_geti(L, -1, i);
        index = fill_nested(L, data, dtype, dim + 1, ndim, shape, index);
        lua_pop(L, 1);
    }
    return index;
}

/* Writes `count` elements of host memory into a new tensor. */
static lx_code from_host(lx_tensor *out, lx_device *device, lx_dtype dtype, int ndim, const long *shape,
                         const void *data, lx_error *error)
{
    if (lx_tensor_new(out, device, dtype, ndim, shape, error))
        return error->code;
    const size_t bytes = (size_t)lx_tensor_count(out) * lx_dtype_size(dtype);
    return lx_storage_write(out->storage, 0, data, bytes, error);
}

/* from_table(nested tables or a number, dtype, device) */
static int l_from_table(lua_State *L)
{
    long shape[LX_MAX_DIMS], count = 1;
    lx_error error = {.code = LX_OK};
    const lx_dtype dtype = lx_check_dtype(L, 2, LX_FLOAT32);
    lx_device *device = lx_check_device(L, 3);
    const int ndim = nested_shape(L, 1, shape);
    for (int i = 0; i < ndim; i++)
        if (__builtin_mul_overflow(count, shape[i], &count) || count > INT32_MAX)
            return lx_mistake(L, "tensor: too many elements for a table");
    void *data = lua_newuserdatauv(L, (size_t)count * lx_dtype_size(dtype) + 1, 0);
    lua_pushvalue(L, 1);
    fill_nested(L, data, dtype, 0, ndim, shape, 0);
    lua_pop(L, 1);
    lx_tensor *out = lx_push_tensor(L);
    return lx_results(L, from_host(out, device, dtype, ndim, shape, data, &error), &error, 1);
}

/* from_string(bytes, shape, dtype, device): little-endian, row-major */
static int l_from_string(lua_State *L)
{
    size_t length;
    long shape[LX_MAX_DIMS];
    char text[LX_SHAPE_TEXT];
    lx_error error = {.code = LX_OK};
    const char *bytes = lx_check_lstring(L, 1, &length);
    const int ndim = lx_check_shape(L, 2, shape);
    const lx_dtype dtype = lx_check_dtype(L, 3, LX_FLOAT32);
    lx_device *device = lx_check_device(L, 4);
    long wanted = (long)lx_dtype_size(dtype);
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(wanted, shape[i], &wanted))
            return lx_mistake(L, "from_string: shape %s is not valid", lx_shape_text(ndim, shape, text));
    if ((size_t)wanted != length)
        return lx_mistake(L, "from_string: %s of shape %s takes %I bytes, got %I", lx_dtype_name(dtype),
                          lx_shape_text(ndim, shape, text), (LUAI_UACINT)wanted, (LUAI_UACINT)length);
    lx_tensor *out = lx_push_tensor(L);
    return lx_results(L, from_host(out, device, dtype, ndim, shape, bytes, &error), &error, 1);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* Pushes a buffer with the tensor's elements in row-major order, and returns its address. */
static void *push_host_copy(lua_State *L, const lx_tensor *tensor)
{
    lx_error error = {.code = LX_OK};
    const size_t bytes = (size_t)lx_tensor_count(tensor) * lx_dtype_size(tensor->dtype);
    void *data = lua_newuserdatauv(L, bytes + 1, 0);
    lx_tensor *dense = lx_push_tensor(L);
    if (lx_contiguous(dense, tensor, &error))
        lx_raise(L, &error);
    lx_storage *storage = dense->storage;
    if (lx_storage_read(storage, (size_t)dense->offset * lx_dtype_size(dense->dtype), data, bytes, &error))
        lx_raise(L, &error);
    lx_tensor_free(dense);
    lua_pop(L, 1);
    return data;
}

static void push_number(lua_State *L, const void *data, lx_dtype dtype, long index)
{
    if (dtype == LX_FLOAT32)
        lua_pushnumber(L, ((const float *)data)[index]);
    else if (dtype == LX_UINT8)
        lua_pushinteger(L, ((const uint8_t *)data)[index]);
    else
        lua_pushinteger(L, ((const int32_t *)data)[index]);
}

/* item(t) -> the only element, as a number */
static int l_item(lua_State *L)
{
    char text[LX_SHAPE_TEXT], data[8];
    lx_error error = {.code = LX_OK};
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    if (lx_tensor_count(tensor) != 1)
        return lx_mistake(L, "item: the tensor must have one element, shape is %s",
                          lx_shape_text(tensor->ndim, tensor->shape, text));
    const size_t size = lx_dtype_size(tensor->dtype);
    if (lx_storage_read(tensor->storage, (size_t)tensor->offset * size, data, size, &error))
        return lx_raise(L, &error);
    push_number(L, data, tensor->dtype, 0);
    return 1;
}

static long push_nested(lua_State *L, const void *data, const lx_tensor *tensor, int dim, long index)
{
    if (dim == tensor->ndim) {
        push_number(L, data, tensor->dtype, index);
        return index + 1;
    }
    luaL_checkstack(L, 4, "totable: nested too deep");
    lua_createtable(L, (int)tensor->shape[dim], 0);
    for (long i = 1; i <= tensor->shape[dim]; i++) {
        index = push_nested(L, data, tensor, dim + 1, index);
        lua_rawseti(L, -2, i);
    }
    return index;
}

/* to_table(t) -> nested tables; a number for a tensor without dimensions */
static int l_to_table(lua_State *L)
{
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    const void *data = push_host_copy(L, tensor);
    push_nested(L, data, tensor, 0, 0);
    return 1;
}

/* nonzero(t) -> int32 [n,ndim], the places of the elements that are not 0, from 1, in row-major order */
static int l_nonzero(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *flags = lx_push_tensor(L);
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    if (lx_binary(flags, "ne", (lx_operand){tensor, 0}, (lx_operand){NULL, 0}, &error))
        return lx_raise(L, &error);
    const uint8_t *data = push_host_copy(L, flags);
    const long count = lx_tensor_count(flags);
    long shape[2] = {0, flags->ndim}, place[LX_MAX_DIMS] = {0};
    for (long i = 0; i < count; i++)
        shape[0] += data[i];
    int32_t *places = lua_newuserdatauv(L, (size_t)(shape[0] * shape[1]) * sizeof *places + 1, 0), *next = places;
    for (long i = 0; i < count; i++) {
        for (int d = 0; data[i] && d < flags->ndim; d++)
            *next++ = (int32_t)place[d] + 1;
        for (int d = flags->ndim - 1; d >= 0 && ++place[d] == flags->shape[d]; d--)
            place[d] = 0;
    }
    lx_device *device = tensor->storage->device;
    return lx_results(L, from_host(lx_push_tensor(L), device, LX_INT32, 2, shape, places, &error), &error, 1);
}

/* to_device(t, device) -> the same contents there, dense: a copy, or the same memory where that is so already */
static int l_to_device(lua_State *L)
{
    const lx_tensor *from = lx_check_tensor(L, 1);
    lx_device *device = lx_check_device(L, 2);
    lx_error error = {.code = LX_OK};
    return lx_results(L, lx_place(lx_push_tensor(L), from, device, &error), &error, 1);
}

/* Gives a tensor other memory. Its version grows, so that whoever saved the tensor notices, and recordings that go on
 * with the old memory are no longer replayed. */
static void replace(lx_tensor *tensor, const lx_tensor *other)
{
    const long version = tensor->storage->version;
    tensor->storage->departures++;
    if (other->storage->version <= version)
        other->storage->version = version + 1;
    lx_tensor_free(tensor);
    *tensor = *other;
}

/* move_(t, device) -> t, which is there from now on; views that shared its memory stay where they are */
static int l_move_(lua_State *L)
{
    lx_tensor *tensor = lx_check_tensor(L, 1), moved = {0};
    lx_device *device = lx_check_device(L, 2);
    lx_error error = {.code = LX_OK};
    lua_settop(L, 1);
    if (tensor->storage->device == device)
        return 1;
    if (lx_place(&moved, tensor, device, &error))
        return lx_raise(L, &error);
    replace(tensor, &moved);
    return 1;
}

/* adopt_(tensor, source): the tensor becomes another view on what source shows; views of it keep what it was */
static int l_adopt_(lua_State *L)
{
    lx_tensor *tensor = lx_check_tensor(L, 1), shared = {0};
    lx_tensor_share(&shared, lx_check_tensor(L, 2));
    replace(tensor, &shared);
    lua_settop(L, 1);
    return 1;
}

/* to_string(t[, half]) -> the bytes, little-endian, row-major; with half, of float32 those of half precision */
static int l_to_string(lua_State *L)
{
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    const bool half = lua_toboolean(L, 2);
    lx_argcheck(L, !half || tensor->dtype == LX_FLOAT32, 1, "expected float32");
    const size_t count = (size_t)lx_tensor_count(tensor), bytes = count * lx_dtype_size(tensor->dtype);
    const void *data = push_host_copy(L, tensor);
    if (half) {
        luaL_Buffer buffer;
        lx_write_halves(data, count, (uint8_t *)luaL_buffinitsize(L, &buffer, count ? 2 * count : 1));
        luaL_pushresultsize(&buffer, 2 * count);
    } else {
        lua_pushlstring(L, data, bytes);
    }
    return 1;
}

/* info(t) -> shape, dtype, device, dense */
static int l_info(lua_State *L)
{
    const lx_tensor *tensor = lx_check_any(L, 1);
    lx_push_shape(L, tensor->ndim, tensor->shape);
    lua_pushstring(L, lx_dtype_name(tensor->dtype));
    lua_pushstring(L, tensor->storage->device->label);
    lua_pushboolean(L, tensor->block || lx_tensor_dense(tensor)); /* a blocked tensor becomes dense when looked at */
    return 4;
}

/* ---- views -------------------------------------------------------------------------------------------------- */

/* Pushes the tensor that the one at `arg` views: itself if it is no view, or no longer because one of them moved. */
static void push_base(lua_State *L, int arg)
{
    const held_tensor *own = lua_touserdata(L, arg);
    if (own->view) {
        lua_getiuservalue(L, arg, 2);
        const held_tensor *base = lua_touserdata(L, -1);
        if (!base->tensor.storage || base->tensor.storage == own->tensor.storage)
            return;
        lua_pop(L, 1);
    }
    lua_pushvalue(L, arg);
}

/* For the end of a binding whose result, on top, may share the memory of its first argument: then it is a view of that,
 * or of what that views, whose history changes when something is written into the view. */
static int view_results(lua_State *L, lx_code code, const lx_error *error)
{
    const int results = lx_results(L, code, error, 1);
    held_tensor *view = lua_touserdata(L, -1);
    if (view->tensor.storage == ((const held_tensor *)lua_touserdata(L, 1))->tensor.storage) {
        view->view = true;
        view->seen = view->tensor.storage->version;
        push_base(L, 1);
        lua_setiuservalue(L, -2, 2);
    }
    return results;
}

/* base(t) -> the tensor that t is a view of, which may have been freed; nil if it is none */
static int l_base(lua_State *L)
{
    lx_check_any(L, 1);
    push_base(L, 1);
    if (lua_rawequal(L, 1, -1))
        lua_pushnil(L);
    return 1;
}

/* layout(t) -> shape, strides, offset in the storage, in elements; also of a freed tensor */
static int l_layout(lua_State *L)
{
    lx_tensor *tensor = lx_check_udata(L, 1, LX_TENSOR);
    if (tensor->storage)
        lx_make_plain(L, tensor);
    lx_push_shape(L, tensor->ndim, tensor->shape);
    lx_push_shape(L, tensor->ndim, tensor->stride);
    lua_pushinteger(L, tensor->offset);
    return 3;
}

/* as_strided(t, shape, strides, offset): elements of its memory, from the first one of t */
static int l_as_strided(lua_State *L)
{
    long shape[LX_MAX_DIMS], stride[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int ndim = lx_check_shape(L, 2, shape);
    lx_argcheck(L, lx_check_shape(L, 3, stride) == ndim, 3, "there should be as many strides as sizes");
    const long offset = (long)lx_check_integer(L, 4);
    return view_results(L, lx_as_strided(lx_push_tensor(L), in, ndim, shape, stride, offset, &error), &error);
}

static int l_view(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int ndim = lx_check_shape(L, 2, shape);
    return view_results(L, lx_view(lx_push_tensor(L), in, ndim, shape, &error), &error);
}

/* reshape(t, shape): a view where the strides allow it, else of a copy */
static int l_reshape(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int ndim = lx_check_shape(L, 2, shape);
    lx_tensor *out = lx_push_tensor(L);
    if (!lx_view(out, in, ndim, shape, &error))
        return view_results(L, LX_OK, &error);
    if (lx_tensor_dense(in))
        return lx_raise(L, &error);
    error.code = LX_OK;
    lx_tensor *dense = lx_push_tensor(L);
    if (lx_contiguous(dense, in, &error) || lx_view(out, dense, ndim, shape, &error))
        return lx_raise(L, &error);
    lx_tensor_free(dense);
    lua_pop(L, 1);
    return 1;
}

/* narrow(t, dim, start, length, step = 1) */
static int l_narrow(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, in->ndim);
    const long start = (long)lx_check_integer(L, 3), length = (long)lx_check_integer(L, 4);
    const long counted = start < 1 ? -1 : start - 1, step = (long)luaL_opt(L, lx_check_integer, 5, 1);
    return view_results(L, lx_slice(lx_push_tensor(L), in, dim, counted, length, step, &error), &error);
}

/* select(t, dim, index) */
static int l_select(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, in->ndim);
    const long index = (long)lx_check_integer(L, 3);
    const long counted = index < 0 ? in->shape[dim] + index : index - 1;
    return view_results(L, lx_select(lx_push_tensor(L), in, dim, counted, &error), &error);
}

/* permute(t, {dims}) */
static int l_permute(lua_State *L)
{
    long named[LX_MAX_DIMS];
    int dims[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int count = lx_check_shape(L, 2, named);
    for (int i = 0; i < count; i++) {
        const long counted = named[i] < 0 ? in->ndim + named[i] : named[i] - 1;
        dims[i] = counted < 0 || counted >= in->ndim ? -1 : (int)counted;
    }
    return view_results(L, lx_permute(lx_push_tensor(L), in, dims, count, &error), &error);
}

static int l_expand(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int ndim = lx_check_shape(L, 2, shape);
    return view_results(L, lx_expand(lx_push_tensor(L), in, ndim, shape, &error), &error);
}

static int l_unsqueeze(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, in->ndim + 1);
    return view_results(L, lx_unsqueeze(lx_push_tensor(L), in, dim, &error), &error);
}

static int l_squeeze(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, in->ndim);
    return view_results(L, lx_squeeze(lx_push_tensor(L), in, dim, &error), &error);
}

/* detach(t) -> another tensor on the same storage, without history */
static int l_detach(lua_State *L)
{
    const lx_tensor *in = lx_check_tensor(L, 1);
    lx_tensor_share(lx_push_tensor(L), in);
    return 1;
}

static int l_contiguous(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    return view_results(L, lx_contiguous(lx_push_tensor(L), in, &error), &error);
}

/* cast(t, dtype) -> always a tensor of its own unless it has the dtype already */
static int l_cast(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *in = lx_check_tensor(L, 1);
    const lx_dtype dtype = lx_check_dtype(L, 2, LX_FLOAT32);
    return view_results(L, lx_cast(lx_push_tensor(L), in, dtype, &error), &error);
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

/* check_target(function, t, source | nil): raises if t cannot be written, or not with what has the shape of the source
 */
static int l_check_target(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *function = lx_check_string(L, 1);
    if (lx_check_target(function, lx_check_tensor(L, 2), lx_opt_tensor(L, 3), &error))
        return lx_raise(L, &error);
    return 0;
}

/* copy_(target, source) */
static int l_copy(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *target = lx_check_tensor(L, 1);
    const lx_tensor *source = lx_check_tensor(L, 2);
    lua_settop(L, 1);
    return lx_results(L, lx_copy(target, source, &error), &error, 1);
}

/* fill_(target, value) */
static int l_fill(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *target = lx_check_tensor(L, 1);
    const double value = lx_check_number(L, 2);
    lua_settop(L, 1);
    return lx_results(L, lx_fill(target, value, &error), &error, 1);
}

/* version(t) -> how often its storage was written */
static int l_version(lua_State *L)
{
    lua_pushinteger(L, lx_check_any(L, 1)->storage->version);
    return 1;
}

/* storage_id(t) -> a number that no other memory of its device has or had */
static int l_storage_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lx_check_any(L, 1)->storage->id);
    return 1;
}

/* ---- the userdata ------------------------------------------------------------------------------------------- */

/* Lets autograd look whether the memory of a view was changed by a recorded operation since its slot was made. */
static void refresh(lua_State *L, int arg, held_tensor *view)
{
    const long seen = view->seen;
    view->seen = view->tensor.storage->version;
    arg = lua_absindex(L, arg);
    luaL_checkstack(L, 8, NULL);
    if (luaL_getmetafield(L, arg, "refresh") == LUA_TNIL)
        return;
    lua_pushvalue(L, arg);
    lua_pushinteger(L, seen);
    lua_call(L, 2, 0);
}

void lx_push_slot(lua_State *L, int arg)
{
    held_tensor *held = lx_check_udata(L, arg, LX_TENSOR);
    if (held->view && held->tensor.storage && held->seen != held->tensor.storage->version)
        refresh(L, arg, held);
    lua_getiuservalue(L, arg, 1);
}

/* Whether the tensor at the top requires a gradient; pops it. */
static bool top_requires_grad(lua_State *L)
{
    bool yes = false;
    lx_push_slot(L, -1);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "requires_grad");
        yes = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return yes;
}

bool lx_requires_grad(lua_State *L, int arg)
{
    lua_pushvalue(L, arg);
    return top_requires_grad(L);
}

bool lx_changes_history(lua_State *L, int arg)
{
    push_base(L, arg);
    return top_requires_grad(L) || lx_requires_grad(L, arg);
}

/* getslot(t) -> the Lua table that autograd hangs on a tensor, or nil */
static int l_getslot(lua_State *L)
{
    lx_push_slot(L, 1);
    return 1;
}

static int l_setslot(lua_State *L)
{
    held_tensor *held = lx_check_udata(L, 1, LX_TENSOR);
    if (held->view && held->tensor.storage)
        held->seen = held->tensor.storage->version;
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    return 0;
}

/* free(t): gives the memory back now; also __gc and __close. Harmless twice. */
static int l_free(lua_State *L)
{
    lx_tensor_free(lx_check_udata(L, 1, LX_TENSOR));
    return 0;
}

static int l_is_tensor(lua_State *L)
{
    lua_pushboolean(L, lx_test_tensor(L, 1) != NULL);
    return 1;
}

/* is_usable(value): whether it is a tensor that was not freed */
static int l_is_usable(lua_State *L)
{
    const lx_tensor *tensor = lx_test_tensor(L, 1);
    lua_pushboolean(L, tensor && tensor->storage);
    return 1;
}

static int l_is_freed(lua_State *L)
{
    lua_pushboolean(L, ((lx_tensor *)lx_check_udata(L, 1, LX_TENSOR))->storage == NULL);
    return 1;
}

/* is_blocked(t): whether it carries the internal layout, for tests and profiles */
static int l_is_blocked(lua_State *L)
{
    lua_pushboolean(L, lx_check_any(L, 1)->block != 0);
    return 1;
}

/* as_stored(t) -> the numbers of a blocked tensor as a plain one, [N,C/block,H,W,block]; of a plain one itself; for
 * tests */
static int l_as_stored(lua_State *L)
{
    const lx_tensor stored = lx_as_stored(lx_check_any(L, 1));
    lx_tensor_share(lx_push_tensor(L), &stored);
    return 1;
}

/* Fields: shape, dtype, device, ndim. Anything else is a mistake, of which the metatable's `missing` tells. */
static int push_field(lua_State *L, const lx_tensor *tensor, const char *key)
{
    if (strcmp(key, "shape") == 0)
        lx_push_shape(L, tensor->ndim, tensor->shape);
    else if (strcmp(key, "ndim") == 0)
        lua_pushinteger(L, tensor->ndim);
    else if (strcmp(key, "dtype") == 0)
        lua_pushstring(L, lx_dtype_name(tensor->dtype));
    else if (strcmp(key, "device") == 0)
        lua_pushstring(L, tensor->storage->device->label);
    else if (luaL_getmetafield(L, 1, "missing") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 2);
        lua_call(L, 2, 0);
        return 0;
    } else
        return 0;
    return 1;
}

/* t[key]: a method, a field, or (numbers, tables) the method `index`. Methods live in metatable.methods. */
static int l_index(lua_State *L)
{
    lx_check_udata(L, 1, LX_TENSOR); /* whoever took the metamethod may give it anything */
    luaL_getmetatable(L, LX_TENSOR);
    lua_getfield(L, -1, "methods");
    if (lua_type(L, 2) != LUA_TSTRING) {
        lx_check_any(L, 1);
        lua_getfield(L, -1, "index");
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 2);
        lua_call(L, 2, 1);
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    const char *key = lua_tostring(L, 2);
    if (strcmp(key, "grad") == 0 || strcmp(key, "requires_grad") == 0) {
        lx_push_slot(L, 1);
        if (lua_istable(L, -1))
            lua_getfield(L, -1, key);
        else
            lua_pushnil(L);
        if (*key == 'r' && lua_isnil(L, -1))
            lua_pushboolean(L, 0);
        return 1;
    }
    return push_field(L, lx_check_any(L, 1), key);
}

/* t[key] = value: the method `assign` */
static int l_newindex(lua_State *L)
{
    lx_check_udata(L, 1, LX_TENSOR);
    lua_settop(L, 3);
    luaL_getmetatable(L, LX_TENSOR);
    lua_getfield(L, -1, "methods");
    lua_getfield(L, -1, "assign");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 3, 0);
    return 0;
}

static int l_len(lua_State *L)
{
    const lx_tensor *tensor = lx_check_any(L, 1);
    lua_pushinteger(L, tensor->ndim ? tensor->shape[0] : 1);
    return 1;
}

void lx_register_tensor(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", l_free},           {"__close", l_free}, {"__index", l_index},
        {"__newindex", l_newindex}, {"__len", l_len},    {NULL, NULL},
    };
    if (luaL_newmetatable(L, LX_TENSOR)) {
        lx_set_functions(L, metamethods);
        lua_newtable(L);
        lua_setfield(L, -2, "methods");
        luaL_newmetatable(L, LX_SHAPE);
        lua_setfield(L, -2, "shapes");
    }
    lua_pop(L, 1);
}

const luaL_Reg lx_tensor_functions[] = {
    {"new", l_new},
    {"from_table", l_from_table},
    {"from_string", l_from_string},
    {"item", l_item},
    {"to_table", l_to_table},
    {"to_string", l_to_string},
    {"nonzero", l_nonzero},
    {"to_device", l_to_device},
    {"move_", l_move_},
    {"adopt_", l_adopt_},
    {"info", l_info},
    {"view", l_view},
    {"reshape", l_reshape},
    {"narrow", l_narrow},
    {"select", l_select},
    {"permute", l_permute},
    {"expand", l_expand},
    {"unsqueeze", l_unsqueeze},
    {"squeeze", l_squeeze},
    {"base", l_base},
    {"layout", l_layout},
    {"as_strided", l_as_strided},
    {"check_target", l_check_target},
    {"detach", l_detach},
    {"contiguous", l_contiguous},
    {"cast", l_cast},
    {"copy_", l_copy},
    {"fill_", l_fill},
    {"version", l_version},
    {"storage_id", l_storage_id},
    {"refs", l_refs},
    {"tidy", l_tidy},
    {"getslot", l_getslot},
    {"setslot", l_setslot},
    {"free", l_free},
    {"is_tensor", l_is_tensor},
    {"is_usable", l_is_usable},
    {"is_freed", l_is_freed},
    {"is_blocked", l_is_blocked},
    {"as_stored", l_as_stored},
    {NULL, NULL},
};
