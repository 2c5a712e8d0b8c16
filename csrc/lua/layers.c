/* Bindings of normalisation, softmax, table look-up, mean-pooling and resizing. */
#include "../ops/layers.h"

#include "bind.h"

/* ---- normalisation -------------------------------------------------------------------------------------------- */

/* batch_norm_stats(x) -> mean, var */
static int l_batch_norm_stats(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    lx_tensor *mean = lx_push_tensor(L), *var = lx_push_tensor(L);
    return lx_results(L, lx_batch_norm_stats(mean, var, x, &error), &error, 2);
}

/* batch_norm_apply(x, mean, var, weight | nil, bias | nil, eps) */
static int l_batch_norm_apply(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *mean = lx_check_tensor(L, 2), *var = lx_check_tensor(L, 3);
    const lx_tensor *weight = lx_opt_tensor(L, 4), *bias = lx_opt_tensor(L, 5);
    const double eps = luaL_checknumber(L, 6);
    return lx_results(L, lx_batch_norm(lx_push_tensor(L), x, mean, var, weight, bias, eps, &error), &error, 1);
}

/* batch_norm_backward(dy, x, mean, var, weight | nil, eps, training) -> dx, dweight, dbias */
static int l_batch_norm_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *dy = lx_check_tensor(L, 1), *x = lx_check_tensor(L, 2), *mean = lx_check_tensor(L, 3);
    const lx_tensor *var = lx_check_tensor(L, 4), *weight = lx_opt_tensor(L, 5);
    const double eps = luaL_checknumber(L, 6);
    const bool training = lua_toboolean(L, 7);
    lx_tensor *dx = lx_push_tensor(L), *dweight = lx_push_tensor(L), *dbias = lx_push_tensor(L);
    const lx_code code = lx_batch_norm_backward(dx, dweight, dbias, dy, x, mean, var, weight, eps, training, &error);
    return lx_results(L, code, &error, 3);
}

/* row_norm(x, eps) -> y, mean, rstd */
static int l_row_norm(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    const double eps = luaL_checknumber(L, 2);
    lx_tensor *y = lx_push_tensor(L), *mean = lx_push_tensor(L), *rstd = lx_push_tensor(L);
    return lx_results(L, lx_row_norm(y, mean, rstd, x, eps, &error), &error, 3);
}

/* row_norm_backward(dy, y, rstd) */
static int l_row_norm_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *dy = lx_check_tensor(L, 1), *y = lx_check_tensor(L, 2), *rstd = lx_check_tensor(L, 3);
    return lx_results(L, lx_row_norm_backward(lx_push_tensor(L), dy, y, rstd, &error), &error, 1);
}

/* ---- softmax -------------------------------------------------------------------------------------------------- */

/* softmax(x) */
static int l_softmax(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    return lx_results(L, lx_softmax(lx_push_tensor(L), x, &error), &error, 1);
}

/* log_softmax(x) */
static int l_log_softmax(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    return lx_results(L, lx_log_softmax(lx_push_tensor(L), x, &error), &error, 1);
}

/* softmax_backward(y, dy) */
static int l_softmax_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *y = lx_check_tensor(L, 1), *dy = lx_check_tensor(L, 2);
    return lx_results(L, lx_softmax_backward(lx_push_tensor(L), y, dy, &error), &error, 1);
}

/* log_softmax_backward(y, dy) */
static int l_log_softmax_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *y = lx_check_tensor(L, 1), *dy = lx_check_tensor(L, 2);
    return lx_results(L, lx_log_softmax_backward(lx_push_tensor(L), y, dy, &error), &error, 1);
}

const luaL_Reg lx_layer_functions[] = {
    {"batch_norm_stats", l_batch_norm_stats},
    {"batch_norm_apply", l_batch_norm_apply},
    {"batch_norm_backward", l_batch_norm_backward},
    {"row_norm", l_row_norm},
    {"row_norm_backward", l_row_norm_backward},
    {"softmax", l_softmax},
    {"log_softmax", l_log_softmax},
    {"softmax_backward", l_softmax_backward},
    {"log_softmax_backward", l_log_softmax_backward},
    {NULL, NULL},
};
