/* Bindings of files: written safely, and mapped, so that tensors are the file's own bytes. */
#include "../base/file.h"
#include "../base/inflate.h"
#include "../base/sha256.h"

#include <stdint.h>

#include "../base/checksum.h"
#include "../tensor/numbers.h"
#include "bind.h"

#define LX_MAPPED_FILE "luxel.file"

/* write_file(path, {strings}) -> true; or nil, message, code. The old file stays until the new one is complete. */
static int l_write_file(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *path = lx_check_string(L, 1);
    lx_check_type(L, 2, LUA_TTABLE);
    const size_t count = (size_t)luaL_len(L, 2);
    lx_chunk *chunks = lua_newuserdatauv(L, sizeof *chunks * count + 1, 0);
    for (size_t i = 0; i < count; i++) {
        lua_geti(L, 2, (lua_Integer)i + 1);
        lx_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "expected a table of strings");
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
    lx_mapping **file = lx_check_udata(L, 1, LX_MAPPED_FILE);
    lx_mapping_release(*file);
    *file = NULL;
    return 0;
}

static lx_mapping *check_file(lua_State *L, int arg)
{
    lx_mapping *file = *(lx_mapping **)lx_check_udata(L, arg, LX_MAPPED_FILE);
    lx_argcheck(L, file, arg, "the file is closed");
    return file;
}

/* Pushes a file with no bytes yet. */
static lx_mapping **push_file(lua_State *L)
{
    lx_mapping **file = lua_newuserdatauv(L, sizeof *file, 0);
    *file = NULL;
    if (luaL_newmetatable(L, LX_MAPPED_FILE)) {
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    return file;
}

/* map_file(path) -> file, its size; or nil, message, code. A file is a variable to close; tensors of it live on. */
static int l_map_file(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *path = lx_check_string(L, 1);
    lx_mapping **file = push_file(L);
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
    lx_argcheck(L, from >= 0 && count >= 0 && from <= size && count <= size - from, arg,
                "these bytes lie outside the file");
    return file->bytes + from;
}

/* file_text(file, from, count) -> `count` bytes behind the first `from` */
static int l_file_text(lua_State *L)
{
    const lx_mapping *file = check_file(L, 1);
    const lua_Integer from = lx_check_integer(L, 2), count = lx_check_integer(L, 3);
    const uint8_t *bytes = check_bytes(L, file, 2, from, count);
    lua_pushlstring(L, count ? (const char *)bytes : "", (size_t)count);
    return 1;
}

/* unpack(file, from, count, size) -> file: what `count` deflated bytes behind the first `from` unpack to, which has to
 * be `size` bytes; or nil, message, code. */
static int l_unpack(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_mapping *file = check_file(L, 1);
    const lua_Integer from = lx_check_integer(L, 2), count = lx_check_integer(L, 3), size = lx_check_integer(L, 4);
    const uint8_t *bytes = check_bytes(L, file, 2, from, count);
    lx_argcheck(L, size >= 0, 4, "not valid");
    lx_mapping **out = push_file(L);
    *out = lx_mapping_new((size_t)size, &error);
    if (!*out || lx_inflate(bytes, (size_t)count, (*out)->bytes, (size_t)size, &error))
        return lx_refuse(L, &error);
    return 1;
}

/* swap_bytes(file, from, count, width) -> file: the bytes of numbers of `width` bytes in the opposite order; or nil,
 * message, code */
static int l_swap_bytes(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_mapping *file = check_file(L, 1);
    const lua_Integer from = lx_check_integer(L, 2), count = lx_check_integer(L, 3), width = lx_check_integer(L, 4);
    const uint8_t *bytes = check_bytes(L, file, 2, from, count);
    lx_argcheck(L, width > 0 && count % width == 0, 4, "not valid");
    lx_mapping **out = push_file(L);
    *out = lx_mapping_new((size_t)count, &error);
    if (!*out)
        return lx_refuse(L, &error);
    for (lua_Integer i = 0; i < count; i += width)
        for (lua_Integer k = 0; k < width; k++)
            (*out)->bytes[i + k] = bytes[i + width - 1 - k];
    return 1;
}

/* A tensor that is bytes of the file, or a copy of them where they do not lie on a multiple of their size or stand for
   numbers of another type. */
static lx_code tensor_of(lx_tensor *out, lx_mapping *file, const uint8_t *bytes, const lx_number_format *format,
                         int ndim, const long *shape, size_t count, lx_device *cpu, lx_error *error)
{
    const size_t size = lx_number_size(format);
    const lx_dtype dtype = lx_number_dtype(format);
    if (count == 0 || !lx_number_is_native(format) || (uintptr_t)bytes % size != 0) {
        if (lx_tensor_new(out, cpu, dtype, ndim, shape, error) || count == 0)
            return error->code;
        return lx_read_numbers(format, bytes, count, lx_storage_host(out->storage), error);
    }
    lx_storage *storage = lx_storage_borrow(cpu, (void *)(uintptr_t)bytes, count * size, lx_mapping_release, file,
                                            error);
    if (!storage)
        return error->code;
    lx_mapping_retain(file);
    lx_tensor_over(out, storage, dtype, ndim, shape);
    return LX_OK;
}

/* file_tensor(file, from, shape, format) -> the tensor whose first byte is behind the first `from`, row-major, its
 * numbers in a format of csrc/tensor/numbers.h; or nil, message, code if they cannot be held. Writing to it does not
 * change the file. */
static int l_file_tensor(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    lx_mapping *file = check_file(L, 1);
    const lua_Integer from = lx_check_integer(L, 2);
    const int ndim = lx_check_shape(L, 3, shape);
    const lx_number_format *format = lx_number_format_of(lx_check_string(L, 4));
    lx_argcheck(L, format, 4, "there is no such format of numbers");
    lua_Integer count = 1, size;
    for (int i = 0; i < ndim; i++)
        lx_argcheck(L, shape[i] >= 0 && !__builtin_mul_overflow(count, (lua_Integer)shape[i], &count), 3, "not valid");
    lx_argcheck(L, !__builtin_mul_overflow(count, (lua_Integer)lx_number_size(format), &size), 3, "not valid");
    const uint8_t *bytes = check_bytes(L, file, 2, from, size);
    lx_device *cpu = lx_get_context(L)->devices[0];
    if (tensor_of(lx_push_tensor(L), file, bytes, format, ndim, shape, (size_t)count, cpu, &error))
        return error.code == LX_EFORMAT ? lx_refuse(L, &error) : lx_raise(L, &error);
    return 1;
}

/* number_format(name) -> bytes of one number, or nil if there is no such format or it cannot be held */
static int l_number_format(lua_State *L)
{
    const lx_number_format *format = lx_number_format_of(lx_check_string(L, 1));
    if (!format)
        return 0;
    lua_pushinteger(L, (lua_Integer)lx_number_size(format));
    return 1;
}

/* checksum(string), or checksum(file, from, count) of bytes of a file -> an integer */
static int l_checksum(lua_State *L)
{
    size_t size;
    const void *bytes;
    if (lua_type(L, 1) == LUA_TSTRING) {
        bytes = lua_tolstring(L, 1, &size);
    } else {
        const lua_Integer count = lx_check_integer(L, 3);
        bytes = check_bytes(L, check_file(L, 1), 2, lx_check_integer(L, 2), count);
        size = (size_t)count;
    }
    lua_pushinteger(L, (lua_Integer)lx_checksum(size ? bytes : "", size));
    return 1;
}

/* crc32(file, from, count) -> the check that zip archives have of their members */
static int l_crc32(lua_State *L)
{
    const lua_Integer from = lx_check_integer(L, 2), count = lx_check_integer(L, 3);
    const uint8_t *bytes = check_bytes(L, check_file(L, 1), 2, from, count);
    lua_pushinteger(L, (lua_Integer)lx_crc32(count ? bytes : (const uint8_t *)"", (size_t)count));
    return 1;
}

/* sha256(file, from, count) -> the digest in hexadecimal */
static int l_sha256(lua_State *L)
{
    const lua_Integer from = lx_check_integer(L, 2), count = lx_check_integer(L, 3);
    const uint8_t *bytes = check_bytes(L, check_file(L, 1), 2, from, count);
    uint8_t digest[32];
    char text[64];
    lx_sha256(count ? bytes : (const uint8_t *)"", (size_t)count, digest);
    for (int i = 0; i < 64; i++)
        text[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

const luaL_Reg lx_file_functions[] = {
    {"write_file", l_write_file},
    {"map_file", l_map_file},
    {"file_text", l_file_text},
    {"unpack", l_unpack},
    {"swap_bytes", l_swap_bytes},
    {"crc32", l_crc32},
    {"sha256", l_sha256},
    {"file_tensor", l_file_tensor},
    {"number_format", l_number_format},
    {"checksum", l_checksum},
    {NULL, NULL},
};
