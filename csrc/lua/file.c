/* Bindings of files: written safely, and mapped, so that tensors are the file's own bytes. */
#include "../data/file.h"

#include <stdint.h>

#include "bind.h"

#define LX_MAPPED_FILE "luxel.file"

/* write_file(path, {strings}) -> true; or nil, message, code. The old file stays until the new one is complete. */
static int l_write_file(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    const size_t count = (size_t)luaL_len(L, 2);
    lx_chunk *chunks = lua_newuserdatauv(L, sizeof *chunks * count + 1, 0);
    for (size_t i = 0; i < count; i++) {
        lua_geti(L, 2, (lua_Integer)i + 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "expected a table of strings");
        chunks[i].bytes = lua_tolstring(L, -1, &chunks[i].size);
        lua_pop(L, 1);
    }
    if (lx_file_write(path, chunks, count, &error))
        return lx_refuse(L, &error);
    lua_pushboolean(L, 1);
    return 1;
}

static int l_close(lua_State *L)
{
    lx_mapping **file = luaL_checkudata(L, 1, LX_MAPPED_FILE);
    lx_mapping_release(*file);
    *file = NULL;
    return 0;
}

static lx_mapping *check_file(lua_State *L, int arg)
{
    lx_mapping *file = *(lx_mapping **)luaL_checkudata(L, arg, LX_MAPPED_FILE);
    luaL_argcheck(L, file, arg, "the file is closed");
    return file;
}

/* map_file(path) -> file, its size; or nil, message, code. A file is a variable to close; tensors of it live on. */
static int l_map_file(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *path = luaL_checkstring(L, 1);
    lx_mapping **file = lua_newuserdatauv(L, sizeof *file, 0);
    *file = NULL;
    if (luaL_newmetatable(L, LX_MAPPED_FILE)) {
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    *file = lx_file_map(path, &error);
    if (!*file)
        return lx_refuse(L, &error);
    lua_pushinteger(L, (lua_Integer)(*file)->size);
    return 2;
}

/* Checks that the file has `count` bytes behind the first `from`. */
static const uint8_t *check_bytes(lua_State *L, const lx_mapping *file, int arg, lua_Integer from, lua_Integer count)
{
    const lua_Integer size = (lua_Integer)file->size;
    luaL_argcheck(L, from >= 0 && count >= 0 && from <= size && count <= size - from, arg,
                  "these bytes lie outside the file");
    return file->bytes + from;
}

/* file_text(file, from, count) -> `count` bytes behind the first `from` */
static int l_file_text(lua_State *L)
{
    const lx_mapping *file = check_file(L, 1);
    const lua_Integer from = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 3);
    const uint8_t *bytes = check_bytes(L, file, 2, from, count);
    lua_pushlstring(L, count ? (const char *)bytes : "", (size_t)count);
    return 1;
}

/* A tensor that is bytes of the file, or a copy of them where they do not lie on a multiple of their size. */
static lx_code tensor_of(lx_tensor *out, lx_mapping *file, const uint8_t *bytes, lx_dtype dtype, int ndim,
                         const long *shape, size_t size, lx_device *cpu, lx_error *error)
{
    if (size == 0 || (uintptr_t)bytes % lx_dtype_size(dtype) != 0) {
        if (!lx_tensor_new(out, cpu, dtype, ndim, shape, error) && size > 0)
            lx_storage_write(out->storage, 0, bytes, size, error);
        return error->code;
    }
    lx_storage *storage = lx_storage_borrow(cpu, (void *)(uintptr_t)bytes, size, lx_mapping_release, file, error);
    if (!storage)
        return error->code;
    lx_mapping_retain(file);
    lx_tensor_over(out, storage, dtype, ndim, shape);
    return LX_OK;
}

/* file_tensor(file, from, shape, dtype) -> the tensor whose first byte is behind the first `from`, little-endian and
 * row-major; writing to it does not change the file */
static int l_file_tensor(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    lx_mapping *file = check_file(L, 1);
    const lua_Integer from = luaL_checkinteger(L, 2);
    const int ndim = lx_check_shape(L, 3, shape);
    const lx_dtype dtype = lx_check_dtype(L, 4, LX_FLOAT32);
    lua_Integer size = (lua_Integer)lx_dtype_size(dtype);
    for (int i = 0; i < ndim; i++)
        luaL_argcheck(L, shape[i] >= 0 && !__builtin_mul_overflow(size, (lua_Integer)shape[i], &size), 3, "not valid");
    const uint8_t *bytes = check_bytes(L, file, 2, from, size);
    lx_device *cpu = lx_get_context(L)->devices[0];
    return lx_results(L, tensor_of(lx_push_tensor(L), file, bytes, dtype, ndim, shape, (size_t)size, cpu, &error),
                      &error, 1);
}

const luaL_Reg lx_file_functions[] = {
    {"write_file", l_write_file},
    {"map_file", l_map_file},
    {"file_text", l_file_text},
    {"file_tensor", l_file_tensor},
    {NULL, NULL},
};
