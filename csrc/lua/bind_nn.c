/* Bindings of what networks are made of: convolution, max-pooling, random numbers, losses, optimiser steps, batches. */
#include "bind.h"

#include <stdlib.h>

#include "../ops/nn.h"

/* ---- convolution -------------------------------------------------------------------------------------------- */

#define NAME_OF_ACTIVATION(name, slope, most) #name,
static const char *const activations[] = {"none", ACTIVATIONS_IN_PASSING(NAME_OF_ACTIVATION) NULL};

int lx_opt_activation(lua_State *L, int arg)
{
    return luaL_checkoption(L, arg, "none", activations);
}

/* activations_in_passing() -> {name = true}: those that conv2d and linear take */
static int l_activations_in_passing(lua_State *L)
{
    lua_newtable(L);
    for (int i = ACTIVATION_none + 1; i < ACTIVATION_COUNT; i++) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, activations[i]);
    }
    return 1;
}

/* {stride, padding, dilation: n or {h, w}; groups: n; activation: name} */
static lx_conv2d_options conv2d_options(lua_State *L, int arg)
{
    lx_conv2d_options options;
    lx_pair_field(L, arg, "stride", 1, options.stride);
    lx_pair_field(L, arg, "padding", 0, options.padding);
    lx_pair_field(L, arg, "dilation", 1, options.dilation);
    options.groups = (int)lx_opt_integer(L, arg, "groups", 1, INT32_MIN, INT32_MAX);
    options.activation = ACTIVATION_none;
    if (lua_istable(L, arg)) {
        lua_getfield(L, arg, "activation");
        options.activation = lx_opt_activation(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    return options;
}

static void check_four(lua_State *L, int arg, long shape[LX_MAX_DIMS])
{
    lx_argcheck(L, lx_check_shape(L, arg, shape) == 4, arg, "expected four sizes");
}

/* conv2d(x, w, b | nil, options) */
static int l_conv2d(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1), *w = lx_check_tensor(L, 2), *b = lx_opt_tensor(L, 3);
    const lx_conv2d_options options = conv2d_options(L, 4);
    return lx_results(L, lx_conv2d(lx_push_tensor(L), x, w, b, &options, &error), &error, 1);
}

/* conv2d_backward_data(dy, w, {n,c,h,w}, options) */
static int l_conv2d_backward_data(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long shape[LX_MAX_DIMS];
    const lx_tensor *dy = lx_check_any(L, 1), *w = lx_check_tensor(L, 2);
    check_four(L, 3, shape);
    const lx_conv2d_options options = conv2d_options(L, 4);
    return lx_results(L, lx_conv2d_backward_data(lx_push_tensor(L), dy, w, shape, &options, &error), &error, 1);
}

/* conv2d_backward_weight(x, dy, {weight shape}, options) */
static int l_conv2d_backward_weight(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long shape[LX_MAX_DIMS];
    const lx_tensor *x = lx_check_any(L, 1), *dy = lx_check_any(L, 2);
    check_four(L, 3, shape);
    const lx_conv2d_options options = conv2d_options(L, 4);
    return lx_results(L, lx_conv2d_backward_weight(lx_push_tensor(L), x, dy, shape, &options, &error), &error, 1);
}

/* conv2d_pool(x, w, b | nil, options) -> y, codes */
static int l_conv2d_pool(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1), *w = lx_check_tensor(L, 2), *b = lx_opt_tensor(L, 3);
    const lx_conv2d_options options = conv2d_options(L, 4);
    lx_tensor *y = lx_push_tensor(L), *codes = lx_push_tensor(L);
    return lx_results(L, lx_conv2d_pool(y, codes, x, w, b, &options, &error), &error, 2);
}

/* conv2d_pool_backward(x, w, dy, codes, options, {dx, dw, db}) -> dx, dw, db, or nil for those that are not wanted */
static int l_conv2d_pool_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1), *w = lx_check_tensor(L, 2), *dy = lx_check_any(L, 3);
    const lx_tensor *codes = lx_check_tensor(L, 4);
    const lx_conv2d_options options = conv2d_options(L, 5);
    lx_tensor *made[3] = {NULL, NULL, NULL};
    lx_check_type(L, 6, LUA_TTABLE);
    for (int i = 0; i < 3; i++) {
        lua_rawgeti(L, 6, i + 1);
        const bool wanted = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (wanted)
            made[i] = lx_push_tensor(L);
        else
            lua_pushnil(L);
    }
    const lx_code code = lx_conv2d_pool_backward(made[0], made[1], made[2], x, w, dy, codes, &options, &error);
    return lx_results(L, code, &error, 3);
}

/* conv2d_backward_bias(dy) */
static int l_conv2d_backward_bias(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *dy = lx_check_any(L, 1);
    return lx_results(L, lx_conv2d_backward_bias(lx_push_tensor(L), dy, &error), &error, 1);
}

/* ---- max-pooling -------------------------------------------------------------------------------------------- */

/* {kernel: n or {h, w}; stride: default the kernel; padding; ceil_mode: flag} */
static lx_pool_options pool_options(lua_State *L, int arg)
{
    lx_pool_options options;
    lx_pair_field(L, arg, "kernel", 0, options.kernel);
    lx_pair_field(L, arg, "stride", 0, options.stride);
    lx_pair_field(L, arg, "padding", 0, options.padding);
    for (int i = 0; i < 2; i++)
        if (options.stride[i] == 0)
            options.stride[i] = options.kernel[i];
    options.ceil = lx_opt_flag(L, arg, "ceil_mode");
    return options;
}

/* max_pool2d(x, options) -> y, choices (for the gradient) */
static int l_max_pool2d(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1);
    const lx_pool_options options = pool_options(L, 2);
    lx_tensor *y = lx_push_tensor(L), *chosen = lx_push_tensor(L);
    return lx_results(L, lx_max_pool2d(y, chosen, x, &options, &error), &error, 2);
}

/* max_pool2d_backward(dy, choices, {n,c,h,w}, options) */
static int l_max_pool2d_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long shape[LX_MAX_DIMS];
    const lx_tensor *dy = lx_check_any(L, 1), *chosen = lx_check_any(L, 2);
    check_four(L, 3, shape);
    const lx_pool_options options = pool_options(L, 4);
    return lx_results(L, lx_max_pool2d_backward(lx_push_tensor(L), dy, chosen, shape, &options, &error), &error, 1);
}

/* ---- random numbers ----------------------------------------------------------------------------------------- */

static lx_stream check_stream(lua_State *L, int arg)
{
    return (lx_stream){(unsigned long)lx_check_integer(L, arg), (unsigned long)lx_check_integer(L, arg + 1)};
}

/* rand(shape, seed, stream, device) and randn */
static int random_numbers(lua_State *L,
                          lx_code (*draw)(lx_tensor *, lx_device *, int, const long *, lx_stream, lx_error *))
{
    lx_error error = {.code = LX_OK};
    long shape[LX_MAX_DIMS];
    const int ndim = lx_check_shape(L, 1, shape);
    const lx_stream stream = check_stream(L, 2);
    lx_device *device = lx_check_device(L, 4);
    return lx_results(L, draw(lx_push_tensor(L), device, ndim, shape, stream, &error), &error, 1);
}

static int l_rand(lua_State *L)
{
    return random_numbers(L, lx_rand);
}

static int l_randn(lua_State *L)
{
    return random_numbers(L, lx_randn);
}

/* randint(low, high, shape, seed, stream, device) */
static int l_randint(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long shape[LX_MAX_DIMS];
    const long low = (long)lx_check_integer(L, 1), high = (long)lx_check_integer(L, 2);
    const int ndim = lx_check_shape(L, 3, shape);
    const lx_stream stream = check_stream(L, 4);
    lx_device *device = lx_check_device(L, 6);
    return lx_results(L, lx_randint(lx_push_tensor(L), device, low, high, ndim, shape, stream, &error), &error, 1);
}

/* philox(key, low, high) -> four words of the generator, for tests */
static int l_philox(lua_State *L)
{
    unsigned words[4];
    lx_philox(words, (unsigned long)lx_check_integer(L, 1), (unsigned long)lx_check_integer(L, 2),
              (unsigned long)lx_check_integer(L, 3));
    for (int i = 0; i < 4; i++)
        lua_pushinteger(L, words[i]);
    return 4;
}

/* dropout(x, p, seed, stream) */
static int l_dropout(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1);
    const double p = lx_check_number(L, 2);
    const lx_stream stream = check_stream(L, 3);
    return lx_results(L, lx_dropout(lx_push_tensor(L), x, p, stream, &error), &error, 1);
}

/* ---- losses ------------------------------------------------------------------------------------------------- */

typedef lx_code bce_function(lx_tensor *, const lx_tensor *, const lx_tensor *, const lx_tensor *, double, lx_error *);

/* bce_with_logits(x, target, pos_weight: number, tensor or nil) and its gradient, elementwise */
static int run_bce(lua_State *L, bce_function *function)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1), *target = lx_check_tensor(L, 2);
    const bool number = lua_type(L, 3) == LUA_TNUMBER;
    const lx_tensor *weights = number ? NULL : lx_opt_tensor(L, 3);
    const double weight = number ? lua_tonumber(L, 3) : 1;
    return lx_results(L, function(lx_push_tensor(L), x, target, weights, weight, &error), &error, 1);
}

static int l_bce_with_logits(lua_State *L)
{
    return run_bce(L, lx_bce_with_logits);
}

static int l_bce_with_logits_backward(lua_State *L)
{
    return run_bce(L, lx_bce_with_logits_backward);
}

/* ---- optimiser steps ---------------------------------------------------------------------------------------- */

/* sgd_step(parameter, gradient, buffer | nil, options) */
static int l_sgd_step(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *weight = lx_check_tensor(L, 1), *gradient = lx_check_tensor(L, 2), *buffer = lx_opt_tensor(L, 3);
    const lx_sgd_options options = {
        .rate = lx_opt_field(L, 4, "lr", 0.01),
        .momentum = lx_opt_field(L, 4, "momentum", 0),
        .dampening = lx_opt_field(L, 4, "dampening", 0),
        .weight_decay = lx_opt_field(L, 4, "weight_decay", 0),
        .nesterov = lx_opt_flag(L, 4, "nesterov"),
        .first = lx_opt_flag(L, 4, "first"),
    };
    return lx_results(L, lx_sgd_step(weight, gradient, buffer, &options, &error), &error, 0);
}

/* adam_step(parameter, gradient, mean, square, options) */
static int l_adam_step(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *weight = lx_check_tensor(L, 1), *gradient = lx_check_tensor(L, 2);
    lx_tensor *mean = lx_check_tensor(L, 3), *square = lx_check_tensor(L, 4);
    const lx_adam_options options = {
        .rate = lx_opt_field(L, 5, "lr", 1e-3),
        .beta1 = lx_opt_field(L, 5, "beta1", 0.9),
        .beta2 = lx_opt_field(L, 5, "beta2", 0.999),
        .epsilon = lx_opt_field(L, 5, "eps", 1e-8),
        .weight_decay = lx_opt_field(L, 5, "weight_decay", 0),
        .decoupled = lx_opt_flag(L, 5, "decoupled"),
        .step = (long)lx_opt_integer(L, 5, "step", 1, 1, LUA_MAXINTEGER),
    };
    return lx_results(L, lx_adam_step(weight, gradient, mean, square, &options, &error), &error, 0);
}

/* rmsprop_step(parameter, gradient, square, buffer | nil, options) */
static int l_rmsprop_step(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_tensor *weight = lx_check_tensor(L, 1), *gradient = lx_check_tensor(L, 2);
    lx_tensor *square = lx_check_tensor(L, 3), *buffer = lx_opt_tensor(L, 4);
    const lx_rmsprop_options options = {
        .rate = lx_opt_field(L, 5, "lr", 0.01),
        .alpha = lx_opt_field(L, 5, "alpha", 0.99),
        .epsilon = lx_opt_field(L, 5, "eps", 1e-8),
        .weight_decay = lx_opt_field(L, 5, "weight_decay", 0),
        .momentum = lx_opt_field(L, 5, "momentum", 0),
    };
    return lx_results(L, lx_rmsprop_step(weight, gradient, square, buffer, &options, &error), &error, 0);
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

const luaL_Reg lx_nn_functions[] = {
    {"activations_in_passing", l_activations_in_passing},
    {"conv2d", l_conv2d},
    {"conv2d_backward_data", l_conv2d_backward_data},
    {"conv2d_backward_weight", l_conv2d_backward_weight},
    {"conv2d_backward_bias", l_conv2d_backward_bias},
    {"conv2d_pool", l_conv2d_pool},
    {"conv2d_pool_backward", l_conv2d_pool_backward},
    {"max_pool2d", l_max_pool2d},
    {"max_pool2d_backward", l_max_pool2d_backward},
    {"rand", l_rand},
    {"randn", l_randn},
    {"randint", l_randint},
    {"philox", l_philox},
    {"dropout", l_dropout},
    {"bce_with_logits", l_bce_with_logits},
    {"bce_with_logits_backward", l_bce_with_logits_backward},
    {"sgd_step", l_sgd_step},
    {"adam_step", l_adam_step},
    {"rmsprop_step", l_rmsprop_step},
    {NULL, NULL},
};
