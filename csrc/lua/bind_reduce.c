/* Bindings of the operations that reduce, sort, pick and multiply. */
#include "../ops/reduce.h"

#include "../ops/gather.h"
#include "../ops/matmul.h"
#include "../ops/sort.h"
#include "bind.h"

/* A table of dimensions, or nil for all, as one flag for each dimension. */
static void check_reduced(lua_State *L, int arg, int ndim, bool reduced[LX_MAX_DIMS])
{
    const bool all = lua_isnoneornil(L, arg);
    for (int i = 0; i < LX_MAX_DIMS; i++)
        reduced[i] = all;
    if (all)
        return;
    lx_check_type(L, arg, LUA_TTABLE);
    const lua_Integer count = luaL_len(L, arg);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, arg, i);
        const int dim = lx_check_dim(L, lua_gettop(L), ndim);
        if (reduced[dim])
            lx_mistake(L, "dimension %d is named twice", dim + 1);
        reduced[dim] = true;
        lua_pop(L, 1);
    }
}

/* reduce(name, t, dims | nil, keepdim) */
static int l_reduce(lua_State *L)
{
    bool reduced[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const char *name = lx_check_string(L, 1);
    lx_tensor *x = lx_check_any(L, 2);
    check_reduced(L, 3, x->ndim, reduced);
    const bool keep = lua_toboolean(L, 4);
    if (!lx_reduces_blocked(x, reduced, keep))
        lx_make_plain(L, x);
    return lx_results(L, lx_reduce(lx_push_tensor(L), name, x, reduced, keep, &error), &error, 1);
}

/* argreduce(name, t, dim | nil, keepdim) */
static int l_argreduce(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *name = lx_check_string(L, 1);
    const lx_tensor *x = lx_check_tensor(L, 2);
    const int dim = lua_isnoneornil(L, 3) ? -1 : lx_check_dim(L, 3, x->ndim);
    const bool keep = lua_toboolean(L, 4);
    return lx_results(L, lx_arg_reduce(lx_push_tensor(L), name, x, dim, keep, &error), &error, 1);
}

/* cumsum(t, dim, reverse) */
static int l_cumsum(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, x->ndim);
    const bool reverse = lua_toboolean(L, 3);
    return lx_results(L, lx_cumsum(lx_push_tensor(L), x, dim, reverse, &error), &error, 1);
}

/* valid_mean(x, of) -> the mean of x where `of` is not NaN, and 1 / the number of such elements */
static int l_valid_mean(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *of = lx_check_tensor(L, 2);
    lx_tensor *mean = lx_push_tensor(L), *share = lx_push_tensor(L);
    return lx_results(L, lx_valid_mean(mean, share, x, of, &error), &error, 2);
}

/* sort(t, dim, descending) -> values, places */
static int l_sort(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    const int dim = lx_check_dim(L, 2, x->ndim);
    const bool descending = lua_toboolean(L, 3);
    lx_tensor *values = lx_push_tensor(L), *places = lx_push_tensor(L);
    return lx_results(L, lx_sort(values, places, x, dim, descending, &error), &error, 2);
}

/* cat({tensors}, dim) */
static int l_cat(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_check_type(L, 1, LUA_TTABLE);
    const lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    lx_argcheck(L, count > 0, 1, "a list of tensors expected, it is empty");
    const lx_tensor **tensors = lua_newuserdatauv(L, (size_t)count * sizeof *tensors, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        tensors[i] = lx_check_any(L, lua_gettop(L)); /* the list keeps it alive */
        lua_pop(L, 1);
    }
    const int dim = lx_check_dim(L, 2, tensors[0]->ndim);
    for (lua_Integer i = 0, plain = !lx_cats_blocked(tensors, (int)count, dim); plain && i < count; i++)
        lx_make_plain(L, (lx_tensor *)tensors[i]);
    return lx_results(L, lx_cat(lx_push_tensor(L), tensors, (int)count, dim, &error), &error, 1);
}

/* part(t, dim, start, length): as narrow, but nothing is to be written into it */
static int l_part(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *x = lx_check_any(L, 1);
    const int dim = lx_check_dim(L, 2, x->ndim);
    const long start = (long)lx_check_integer(L, 3) - 1, length = (long)lx_check_integer(L, 4);
    if (!lx_parts_blocked(x, dim, start, length))
        lx_make_plain(L, x);
    return lx_results(L, lx_part(lx_push_tensor(L), x, dim, start, length, &error), &error, 1);
}

/* index_select(t, dim, index) */
static int l_index_select(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *index = lx_check_tensor(L, 3);
    const int dim = lx_check_dim(L, 2, x->ndim);
    return lx_results(L, lx_index_select(lx_push_tensor(L), x, dim, index, &error), &error, 1);
}

/* take_along(t, dim, index) */
static int l_take_along(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *index = lx_check_tensor(L, 3);
    const int dim = lx_check_dim(L, 2, x->ndim);
    return lx_results(L, lx_take_along(lx_push_tensor(L), x, dim, index, &error), &error, 1);
}

/* index_add(shape, dim, index, src) */
static int l_index_add(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const int ndim = lx_check_shape(L, 1, shape), dim = lx_check_dim(L, 2, ndim);
    const lx_tensor *index = lx_check_tensor(L, 3), *src = lx_check_tensor(L, 4);
    return lx_results(L, lx_index_add(lx_push_tensor(L), ndim, shape, dim, index, src, &error), &error, 1);
}

/* scatter_along(shape, dim, index, src) */
static int l_scatter_along(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const int ndim = lx_check_shape(L, 1, shape), dim = lx_check_dim(L, 2, ndim);
    const lx_tensor *index = lx_check_tensor(L, 3), *src = lx_check_tensor(L, 4);
    return lx_results(L, lx_scatter_along(lx_push_tensor(L), ndim, shape, dim, index, src, &error), &error, 1);
}

/* last_along(shape, dim, index) */
static int l_last_along(lua_State *L)
{
    long shape[LX_MAX_DIMS];
    lx_error error = {.code = LX_OK};
    const int ndim = lx_check_shape(L, 1, shape), dim = lx_check_dim(L, 2, ndim);
    const lx_tensor *index = lx_check_tensor(L, 3);
    return lx_results(L, lx_last_along(lx_push_tensor(L), ndim, shape, dim, index, &error), &error, 1);
}

/* matmul(a, b) */
static int l_matmul(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *a = lx_check_tensor(L, 1), *b = lx_check_tensor(L, 2);
    return lx_results(L, lx_matmul(lx_push_tensor(L), a, b, &error), &error, 1);
}

/* linear(x, w, b | nil, activation | nil) -> activation(x w^T + b) */
static int l_linear(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *w = lx_check_tensor(L, 2), *b = lx_opt_tensor(L, 3);
    const int activation = lx_opt_activation(L, 4);
    return lx_results(L, lx_linear(lx_push_tensor(L), x, w, b, activation, &error), &error, 1);
}

const luaL_Reg lx_reduce_functions[] = {
    {"reduce", l_reduce},
    {"argreduce", l_argreduce},
    {"cumsum", l_cumsum},
    {"valid_mean", l_valid_mean},
    {"sort", l_sort},
    {"cat", l_cat},
    {"part", l_part},
    {"index_select", l_index_select},
    {"take_along", l_take_along},
    {"index_add", l_index_add},
    {"scatter_along", l_scatter_along},
    {"last_along", l_last_along},
    {"matmul", l_matmul},
    {"linear", l_linear},
    {NULL, NULL},
};
