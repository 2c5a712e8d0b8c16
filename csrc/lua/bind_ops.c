/* Bindings of the operations on tensors: one line each in the list at the end, arguments checked, results pushed. */
#include "bind.h"

/* An operand of a binary operation: a tensor (of any layout) or a number. */
static lx_operand check_operand(lua_State *L, int arg, const char *name, const char *parameter)
{
    if (lua_type(L, arg) == LUA_TNUMBER)
        return (lx_operand){NULL, lua_tonumber(L, arg)};
    const lx_tensor *tensor = lx_test_tensor(L, arg);
    if (!tensor || !tensor->storage)
        lx_mistake(L, "%s: %s: expected a tensor or a number, got %s", name, parameter,
                   tensor ? "a freed tensor" : luaL_tolstring(L, arg, NULL));
    return (lx_operand){tensor, 0};
}

/* Converts blocked operands unless a result in the layout of `target` can be made of them. */
static void settle_layout(lua_State *L, const char *name, lx_tensor *target, const lx_tensor *other)
{
    if (lx_keeps_blocked(name, target, other))
        return;
    if (target)
        lx_make_plain(L, target);
    if (other)
        lx_make_plain(L, (lx_tensor *)other);
}

/* unary(name, a, s, t) */
static int l_unary(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *name = lx_check_string(L, 1);
    lx_tensor *a = lx_check_any(L, 2);
    const double s = luaL_opt(L, lx_check_number, 3, 0), t = luaL_opt(L, lx_check_number, 4, 0);
    settle_layout(L, name, a, NULL);
    return lx_results(L, lx_unary(lx_push_tensor(L), name, a, s, t, &error), &error, 1);
}

/* unary_(target, name, s, t): in place */
static int l_unary_in_place(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *target = lx_check_any(L, 1);
    const char *name = lx_check_string(L, 2);
    const double s = luaL_opt(L, lx_check_number, 3, 0), t = luaL_opt(L, lx_check_number, 4, 0);
    settle_layout(L, name, target, NULL);
    lua_settop(L, 1);
    return lx_results(L, lx_unary_into(target, name, target, s, t, &error), &error, 1);
}

/* binary(name, a, b): tensors or numbers, not two numbers */
static int l_binary(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *name = lx_check_string(L, 1);
    const lx_operand a = check_operand(L, 2, name, "t"), b = check_operand(L, 3, name, "other");
    lx_argcheck(L, a.tensor || b.tensor, 2, "tensor expected");
    if (!lx_keeps_blocked(name, b.tensor, a.tensor))
        settle_layout(L, name, (lx_tensor *)a.tensor, b.tensor);
    return lx_results(L, lx_binary(lx_push_tensor(L), name, a, b, &error), &error, 1);
}

/* binary_(target, name, b): target = target OP b */
static int l_binary_in_place(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *target = lx_check_any(L, 1);
    const char *name = lx_check_string(L, 2);
    const lx_operand a = {target, 0}, b = check_operand(L, 3, name, "other");
    settle_layout(L, name, target, b.tensor);
    const lx_code code = lx_binary_into(target, name, a, b, &error);
    lua_settop(L, 1);
    return lx_results(L, code, &error, 1);
}

/* add_scaled_(target, b, s): target = target + s b */
static int l_add_scaled_in_place(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *target = lx_check_any(L, 1), *b = lx_check_any(L, 2);
    const double s = lx_check_number(L, 3);
    settle_layout(L, "add", target, b);
    const lx_code code = lx_add_scaled_into(target, target, b, s, &error);
    lua_settop(L, 1);
    return lx_results(L, code, &error, 1);
}

/* clamp_backward(x, gradient, low, high) */
static int l_clamp_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *x = lx_check_any(L, 1), *gradient = lx_check_any(L, 2);
    const double low = lx_check_number(L, 3), high = lx_check_number(L, 4);
    settle_layout(L, "clamp", x, gradient);
    return lx_results(L, lx_clamp_backward(lx_push_tensor(L), x, gradient, low, high, &error), &error, 1);
}

/* where(condition, a, b); b may be a number */
static int l_where(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *condition = lx_check_tensor(L, 1), *a = lx_check_tensor(L, 2);
    if (lua_type(L, 3) == LUA_TNUMBER) {
        const double number = lua_tonumber(L, 3);
        return lx_results(L, lx_where_number(lx_push_tensor(L), condition, a, number, &error), &error, 1);
    }
    const lx_tensor *b = lx_check_tensor(L, 3);
    return lx_results(L, lx_where(lx_push_tensor(L), condition, a, b, &error), &error, 1);
}

/* arange(start, step, count, device, dtype) */
static int l_arange(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const double start = lx_check_number(L, 1), step = lx_check_number(L, 2);
    const long count = (long)lx_check_integer(L, 3);
    lx_device *device = lx_check_device(L, 4);
    const lx_dtype dtype = lx_check_dtype(L, 5, LX_FLOAT32);
    return lx_results(L, lx_arange(lx_push_tensor(L), device, dtype, start, step, count, &error), &error, 1);
}

/* activations() -> {{name, "x" | "y"}, ...}: functions NAME with a binary NAME_backward of x or y and the gradient of y
 */
static int l_activations(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; lx_activations[i].name; i++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, lx_activations[i].name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, lx_activations[i].from);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

const luaL_Reg lx_op_functions[] = {
    {"activations", l_activations},
    {"unary", l_unary},
    {"unary_", l_unary_in_place},
    {"binary", l_binary},
    {"binary_", l_binary_in_place},
    {"add_scaled_", l_add_scaled_in_place},
    {"clamp_backward", l_clamp_backward},
    {"where", l_where},
    {"arange", l_arange},
    {NULL, NULL},
};
