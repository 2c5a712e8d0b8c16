/* luxel.core: kernels that a user wrote, and the arguments that Lua gives them. */
#include "bind.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../device/opencl/user.h"

#define KERNEL "luxel.opencl.kernel"

static lx_user_kernel *check_kernel(lua_State *L, int arg)
{
    lx_user_kernel *kernel = *(lx_user_kernel **)lx_check_udata(L, arg, KERNEL);
    lx_argcheck(L, kernel, arg, "this kernel was released: the lua_State is being closed");
    return kernel;
}

static int free_kernel(lua_State *L)
{
    lx_user_kernel **kernel = lx_check_udata(L, 1, KERNEL);
    lx_user_kernel_free(*kernel);
    *kernel = NULL;
    return 0;
}

/* build_kernel(device, name, source, options) -> the kernel, built for the device */
static int l_build_kernel(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_device *device = lx_check_device(L, 1);
    const char *name = lx_check_string(L, 2), *source = lx_check_string(L, 3), *options = lx_check_string(L, 4);
    lx_user_kernel **kernel = lua_newuserdatauv(L, sizeof *kernel, 0);
    *kernel = NULL;
    if (luaL_newmetatable(L, KERNEL)) {
        lua_pushcfunction(L, free_kernel);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *kernel = lx_user_kernel_new(device, name, source, options, &error);
    return lx_results(L, error.code, &error, 1);
}

/* kernel_parameters(kernel) -> list of {name, type, written}; without name and type where the driver does not tell */
static int l_kernel_parameters(lua_State *L)
{
    const lx_user_kernel *kernel = check_kernel(L, 1);
    lua_createtable(L, kernel->count, 0);
    for (int i = 0; i < kernel->count; i++) {
        const lx_parameter *parameter = &kernel->parameters[i];
        lua_createtable(L, 0, 3);
        if (*parameter->type) {
            lua_pushstring(L, parameter->name);
            lua_setfield(L, -2, "name");
            lua_pushstring(L, parameter->type);
            lua_setfield(L, -2, "type");
            lua_pushboolean(L, parameter->pass == LX_PASS_BUFFER && !parameter->constant);
            lua_setfield(L, -2, "written");
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- errors --------------------------------------------------------------------------------------------------- */

static int complain(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(lua_State *L, const lx_user_kernel *kernel, int index, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Raises the programmer's mistake. */
static int complain(lua_State *L, const char *format, ...)
{
    lx_error error = {.code = LX_EARG};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.text, sizeof error.text, format, arguments);
    va_end(arguments);
    return lx_raise(L, &error);
}

/* Raises "NAME: argument 2 ('y') MESSAGE". */
static int refuse(lua_State *L, const lx_user_kernel *kernel, int index, const char *format, ...)
{
    char text[LX_ARGUMENT_TEXT], message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return complain(L, "%s: %s %s", kernel->name, lx_argument_text(kernel, index, text), message);
}

/* Pushes "a uint8 tensor [3,4]", or the type and value of anything else, and returns it. */
static const char *push_description(lua_State *L, int arg)
{
    char text[LX_SHAPE_TEXT];
    const lx_tensor *tensor = lx_test_tensor(L, arg);
    if (tensor)
        return lua_pushfstring(L, "a %s tensor %s", lx_dtype_name(tensor->dtype),
                               lx_shape_text(tensor->ndim, tensor->shape, text));
    if (lua_type(L, arg) == LUA_TNUMBER)
        return lua_pushfstring(L, "the number %s", luaL_tolstring(L, arg, NULL));
    return lua_pushfstring(L, lua_isnil(L, arg) ? "%s" : "a %s", luaL_typename(L, arg));
}

static int refuse_type(lua_State *L, const lx_user_kernel *kernel, int index, int arg, const char *hint)
{
    const lx_parameter *parameter = &kernel->parameters[index];
    return refuse(L, kernel, index, "is %s%s, got %s%s", parameter->pass == LX_PASS_LOCAL ? "__local " : "",
                  parameter->type, push_description(L, arg), hint);
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static int refuse_range(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_scalar scalar)
{
    const char *value = luaL_tolstring(L, arg, NULL);
    return refuse(L, kernel, index, "is %s, which cannot hold %s", lx_scalar_name(scalar), value);
}

static void store_integer(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_scalar scalar, void *to)
{
    int whole = 1;
    const lua_Integer value = lua_isboolean(L, arg) ? lua_toboolean(L, arg) : lua_tointegerx(L, arg, &whole);
    const size_t size = lx_scalar_size(scalar);
    const bool is_signed = scalar == LX_SCALAR_CHAR || scalar == LX_SCALAR_SHORT || scalar == LX_SCALAR_INT ||
                           scalar == LX_SCALAR_LONG;
    const int bits = 8 * (int)size - is_signed;
    const lua_Integer most = bits >= 63 ? LUA_MAXINTEGER : ((lua_Integer)1 << bits) - 1;
    if (!whole || value > most || value < (is_signed ? -most - 1 : 0))
        refuse_range(L, kernel, index, arg, scalar);
    const int8_t byte = (int8_t)value;
    const int16_t two = (int16_t)value;
    const int32_t four = (int32_t)value;
    const void *narrowed[] = {[1] = &byte, [2] = &two, [4] = &four, [8] = &value};
    memcpy(to, narrowed[size], size);
}

/* Stores the number (or, for an integer type, the boolean) at `arg` as a scalar. */
static void store_scalar(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_scalar scalar, void *to)
{
    const bool floating = scalar == LX_SCALAR_FLOAT || scalar == LX_SCALAR_DOUBLE;
    if (lua_type(L, arg) != LUA_TNUMBER && (floating || !lua_isboolean(L, arg)))
        refuse(L, kernel, index, "is %s, got %s; give a number%s", lx_scalar_name(scalar), push_description(L, arg),
               floating ? "" : " or a boolean");
    if (!floating) {
        store_integer(L, kernel, index, arg, scalar, to);
        return;
    }
    const double value = lua_tonumber(L, arg);
    const float single = (float)value;
    if (scalar == LX_SCALAR_FLOAT && isfinite(value) && !isfinite(single))
        refuse_range(L, kernel, index, arg, scalar);
    memcpy(to, scalar == LX_SCALAR_FLOAT ? (const void *)&single : &value, lx_scalar_size(scalar));
}

/* A scalar from a number, a vector from a list of numbers. */
static void take_value(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_user_argument *argument)
{
    const lx_parameter *parameter = &kernel->parameters[index];
    const size_t size = lx_scalar_size(parameter->scalar);
    const int lanes = parameter->lanes;
    argument->pass = LX_PASS_VALUE;
    argument->size = size * (size_t)(lanes == 3 ? 4 : lanes);
    if (lanes == 1) {
        if (lua_type(L, arg) != LUA_TNUMBER && !lua_isboolean(L, arg))
            refuse_type(L, kernel, index, arg, "; give a number");
        store_scalar(L, kernel, index, arg, parameter->scalar, argument->value);
        return;
    }
    if (!lua_istable(L, arg) || lua_rawlen(L, arg) != (lua_Unsigned)lanes)
        refuse(L, kernel, index, "is %s, got %s; give a list of %d numbers", parameter->type, push_description(L, arg),
               lanes);
    for (int lane = 0; lane < lanes; lane++) {
        lua_rawgeti(L, arg, lane + 1);
        store_scalar(L, kernel, index, lua_gettop(L), parameter->scalar, argument->value + (size_t)lane * size);
        lua_pop(L, 1);
    }
}

/* A number that says its type itself, {float = 2.0}, for a parameter of which it is not known. */
static void take_typed(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_user_argument *argument)
{
    lua_pushnil(L);
    if (lua_next(L, arg) && lua_type(L, -2) == LUA_TSTRING) {
        const lx_scalar scalar = lx_scalar_named(lua_tostring(L, -2));
        if (scalar != LX_SCALAR_UNKNOWN) {
            argument->pass = LX_PASS_VALUE;
            argument->size = lx_scalar_size(scalar);
            store_scalar(L, kernel, index, lua_gettop(L), scalar, argument->value);
            lua_pop(L, 2);
            return;
        }
    }
    refuse(L, kernel, index,
           "is given as a table that names no scalar type of OpenCL C; write {float = 2.0}, "
           "{int = 3} or the like");
}

/* ---- tensors and local memory --------------------------------------------------------------------------------- */

/* The bytes of {local_bytes = 1024}; 0 for anything else. */
static lua_Integer local_bytes(lua_State *L, int arg)
{
    if (!lua_istable(L, arg))
        return 0;
    lua_pushliteral(L, "local_bytes");
    lua_rawget(L, arg);
    const lua_Integer bytes = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return bytes > 0 ? bytes : 0;
}

static void take_local(lua_State *L, const lx_user_kernel *kernel, int index, int arg, lx_user_argument *argument)
{
    argument->pass = LX_PASS_LOCAL;
    argument->size = (size_t)local_bytes(L, arg);
    if (argument->size == 0)
        refuse_type(L, kernel, index, arg, "; say how much with {local_bytes = 1024}");
}

/* Whether the elements of the tensor are what the pointer points to. void and types of the user's own take any. */
static void check_elements(lua_State *L, const lx_user_kernel *kernel, int index, int arg, const lx_tensor *tensor)
{
    switch (kernel->parameters[index].scalar) {
    case LX_SCALAR_UNKNOWN: return;
    case LX_SCALAR_FLOAT:
        if (tensor->dtype != LX_FLOAT32)
            refuse_type(L, kernel, index, arg, "; convert it with :float()");
        return;
    case LX_SCALAR_UCHAR:
        if (tensor->dtype != LX_UINT8)
            refuse_type(L, kernel, index, arg, "; convert it with :byte()");
        return;
    case LX_SCALAR_INT:
    case LX_SCALAR_UINT:
        if (tensor->dtype != LX_INT32)
            refuse_type(L, kernel, index, arg, "; convert it with :int()");
        return;
    default: refuse_type(L, kernel, index, arg, "; tensors hold float, int (or uint) and uchar");
    }
}

/* A tensor that operations are recorded for must not be changed in place. */
static void check_recording(lua_State *L, const lx_user_kernel *kernel, int index, int arg)
{
    const bool known = kernel->parameters[index].pass == LX_PASS_BUFFER;
    if (lx_changes_history(L, arg))
        refuse(L, kernel, index,
               "requires a gradient, so it cannot be changed in place while operations are recorded%s; "
               "call the kernel in lx.autograd.define or in lx.no_grad(function() ... end)",
               known ? ", and its pointer is not const" : " (the driver does not tell whether the kernel does)");
}

static void take_tensor(lua_State *L, const lx_user_kernel *kernel, int index, int arg, bool recording,
                        lx_user_argument *argument)
{
    const lx_parameter *parameter = &kernel->parameters[index];
    lx_tensor *tensor = lx_test_tensor(L, arg);
    if (!tensor->storage)
        refuse(L, kernel, index, "is a tensor that was freed");
    if (tensor->storage->device != kernel->device)
        refuse(L, kernel, index, "is on %s, but the first tensor is on %s; move one with :to(device)",
               tensor->storage->device->label, kernel->device->label);
    check_elements(L, kernel, index, arg, tensor);
    lx_make_plain(L, tensor);
    if (!lx_tensor_dense(tensor))
        refuse(L, kernel, index,
               "is a view whose elements do not lie one after the other (%s); pass a :contiguous() "
               "copy%s",
               push_description(L, arg), parameter->constant ? "" : " of it, and :copy_() the result back");
    if (recording && !parameter->constant)
        check_recording(L, kernel, index, arg);
    argument->pass = LX_PASS_BUFFER;
    argument->storage = tensor->storage;
    argument->offset = (size_t)tensor->offset * lx_dtype_size(tensor->dtype);
    argument->size = (size_t)lx_tensor_count(tensor) * lx_dtype_size(tensor->dtype);
}

/* An argument of a parameter whose type the driver does not tell, or which has a type of the user's own. */
static void take_unknown(lua_State *L, const lx_user_kernel *kernel, int index, int arg, bool recording,
                         lx_user_argument *argument)
{
    const char *type = kernel->parameters[index].type;
    if (lx_test_tensor(L, arg) && !*type) {
        take_tensor(L, kernel, index, arg, recording, argument);
    } else if (local_bytes(L, arg) && !*type) {
        take_local(L, kernel, index, arg, argument);
    } else if (lua_istable(L, arg)) {
        take_typed(L, kernel, index, arg, argument);
    } else if (*type) {
        refuse(L, kernel, index,
               "is %s, which is no type of OpenCL C that Lua can give; if it is another name for "
               "one, say which: {float = 2.0}, {int = 3}",
               type);
    } else {
        refuse(L, kernel, index,
               "has a type that the driver of %s does not tell, got %s; give a tensor, a number as "
               "{float = 2.0} or {int = 3}, or {local_bytes = 1024}",
               kernel->device->label, push_description(L, arg));
    }
}

static void take_argument(lua_State *L, const lx_user_kernel *kernel, int index, int arg, bool recording,
                          lx_user_argument *argument)
{
    switch (kernel->parameters[index].pass) {
    case LX_PASS_BUFFER:
        if (!lx_test_tensor(L, arg))
            refuse_type(L, kernel, index, arg, "; give a tensor");
        take_tensor(L, kernel, index, arg, recording, argument);
        return;
    case LX_PASS_LOCAL: take_local(L, kernel, index, arg, argument); return;
    case LX_PASS_VALUE: take_value(L, kernel, index, arg, argument); return;
    case LX_PASS_UNKNOWN: take_unknown(L, kernel, index, arg, recording, argument); return;
    }
}

/* ---- launching ------------------------------------------------------------------------------------------------ */

/* Reads a field of the range, a whole number or a list of up to three; returns how many, 0 if the field is absent. */
static int read_sizes(lua_State *L, int arg, const char *kernel, const char *field, lua_Integer least, size_t sizes[3])
{
    int count = 1, whole;
    const int type = lua_getfield(L, arg, field);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    if (type == LUA_TTABLE)
        count = (int)luaL_len(L, -1);
    if (count < 1 || count > 3)
        complain(L, "%s: %s should have one to three sizes, got %d", kernel, field, count);
    for (int i = 0; i < count; i++) {
        if (type == LUA_TTABLE)
            lua_geti(L, -1, i + 1);
        else
            lua_pushvalue(L, -1);
        const lua_Integer size = lua_tointegerx(L, -1, &whole);
        if (!whole || size < least)
            complain(L, "%s: size %d of %s should be a whole number of at least %d, got %s", kernel, i + 1, field,
                     (int)least, luaL_tolstring(L, -1, NULL));
        sizes[i] = (size_t)size;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return count;
}

static lx_range read_range(lua_State *L, int arg, const lx_user_kernel *kernel)
{
    lx_range range = {.global = {1, 1, 1}};
    range.dims = read_sizes(L, arg, kernel->name, "global", 0, range.global);
    const int grouped = read_sizes(L, arg, kernel->name, "group", 1, range.group);
    if (range.dims == 0)
        complain(L, "%s: say how many work-items: {global = {1024}}", kernel->name);
    if (grouped && grouped != range.dims)
        complain(L, "%s: global has %d sizes, group has %d; they should be as many", kernel->name, range.dims, grouped);
    return range;
}

/* Pushes " (const float* x, float* y, float a)", nothing where the driver does not tell, and returns it. */
static const char *push_signature(lua_State *L, const lx_user_kernel *kernel)
{
    lua_pushliteral(L, "");
    for (int i = 0; i < kernel->count && *kernel->parameters[i].type; i++) {
        const lx_parameter *p = &kernel->parameters[i];
        lua_pushfstring(L, "%s%s%s%s %s%s", i == 0 ? " (" : ", ", p->pass == LX_PASS_LOCAL ? "__local " : "",
                        p->constant && p->pass == LX_PASS_BUFFER ? "const " : "", p->type, p->name,
                        i == kernel->count - 1 ? ")" : "");
        lua_concat(L, 2);
    }
    return lua_tostring(L, -1);
}

/* launch_kernel(kernel, recording, {global =, group =}, ...): while operations are recorded, what is written must not
 * require a gradient */
static int l_launch_kernel(lua_State *L)
{
    enum { FIRST = 4 };
    lx_error error = {.code = LX_OK};
    lx_user_argument arguments[LX_MAX_PARAMETERS];
    lx_user_kernel *kernel = check_kernel(L, 1);
    const bool recording = lua_toboolean(L, 2);
    const lx_range range = read_range(L, 3, kernel);
    const int given = lua_gettop(L) - FIRST + 1;
    double bytes = 0;
    luaL_checkstack(L, 16, NULL);
    if (given != kernel->count)
        return complain(L, "%s: the kernel has %d arguments%s, got %d", kernel->name, kernel->count,
                        push_signature(L, kernel), given);
    for (int i = 0; i < given; i++)
        take_argument(L, kernel, i, FIRST + i, recording, &arguments[i]);
    for (int i = 0; i < given; i++)
        bytes += arguments[i].pass == LX_PASS_BUFFER ? (double)arguments[i].size : 0;
    if (lx_user_kernel_launch(kernel, &range, arguments, bytes, &error))
        return lx_raise(L, &error);
    return 0;
}

/* is_addressable(t) -> whether a kernel on the device of the tensor can take it as it is */
static int l_is_addressable(lua_State *L)
{
    const lx_tensor *tensor = lx_check_tensor(L, 1);
    const size_t offset = (size_t)tensor->offset * lx_dtype_size(tensor->dtype);
    lua_pushboolean(L, lx_tensor_dense(tensor) && offset % lx_opencl_alignment(tensor->storage->device) == 0);
    return 1;
}

const luaL_Reg lx_opencl_functions[] = {
    {"build_kernel", l_build_kernel},
    {"kernel_parameters", l_kernel_parameters},
    {"launch_kernel", l_launch_kernel},
    {"is_addressable", l_is_addressable},
    {NULL, NULL},
};
