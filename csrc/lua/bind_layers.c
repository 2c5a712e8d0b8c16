/* Bindings of normalisation, softmax, table look-up, mean-pooling and resizing. */
#include <string.h>

#include "../ops/layer_table.h"
#include "../ops/layers.h"

#include "bind.h"

/* ---- normalisation -------------------------------------------------------------------------------------------- */

/* batch_norm_stats(x) -> mean, var */
static int l_batch_norm_stats(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1);
    lx_tensor *mean = lx_push_tensor(L), *var = lx_push_tensor(L);
    return lx_results(L, lx_batch_norm_stats(mean, var, x, &error), &error, 2);
}

/* batch_norm_apply(x, mean, var, weight | nil, bias | nil, eps, activation | nil, addend | nil) */
static int l_batch_norm_apply(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const int activation = lx_opt_activation(L, 7);
    const lx_tensor *x = lx_check_any(L, 1), *mean = lx_check_tensor(L, 2), *var = lx_check_tensor(L, 3);
    const lx_tensor *weight = lx_opt_tensor(L, 4), *bias = lx_opt_tensor(L, 5), *addend = lx_opt_any(L, 8);
    const double eps = lx_check_number(L, 6);
    return lx_results(L, lx_batch_norm(lx_push_tensor(L), x, mean, var, weight, bias, addend, eps, activation, &error),
                      &error, 1);
}

/* batch_norm_backward(dy, x, mean, var, weight | nil, bias | nil, eps, training, activation | nil) -> dx, dweight,
 * dbias */
static int l_batch_norm_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const int activation = lx_opt_activation(L, 9);
    const lx_tensor *dy = lx_check_any(L, 1), *x = lx_check_any(L, 2), *mean = lx_check_tensor(L, 3);
    const lx_tensor *var = lx_check_tensor(L, 4), *weight = lx_opt_tensor(L, 5), *bias = lx_opt_tensor(L, 6);
    const double eps = lx_check_number(L, 7);
    const bool training = lua_toboolean(L, 8);
    lx_tensor *dx = lx_push_tensor(L), *dweight = lx_push_tensor(L), *dbias = lx_push_tensor(L);
    const lx_code code = lx_batch_norm_backward(dx, dweight, dbias, dy, x, mean, var, weight, bias, eps, activation,
                                                training, &error);
    return lx_results(L, code, &error, 3);
}

/* row_norm(x, eps) -> y, mean, rstd */
static int l_row_norm(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_tensor(L, 1);
    const double eps = lx_check_number(L, 2);
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

/* ---- table look-up -------------------------------------------------------------------------------------------- */

/* ---- mean-pooling --------------------------------------------------------------------------------------------- */

static void check_size(lua_State *L, int arg, long size[2])
{
    long given[LX_MAX_DIMS];
    lx_argcheck(L, lx_check_shape(L, arg, given) == 2, arg, "{height, width} expected");
    size[0] = given[0];
    size[1] = given[1];
}

static void check_image_shape(lua_State *L, int arg, long shape[4])
{
    long given[LX_MAX_DIMS];
    lx_argcheck(L, lx_check_shape(L, arg, given) == 4, arg, "{n, c, h, w} expected");
    for (int i = 0; i < 4; i++)
        shape[i] = given[i];
}

/* {kernel = {h, w}, stride = {h, w} (absent: kernel), padding = {h, w}, count_include_pad = true} */
static lx_avg_pool2d_options check_windows(lua_State *L, int arg)
{
    lx_avg_pool2d_options options;
    lx_check_type(L, arg, LUA_TTABLE);
    lx_pair_field(L, arg, "kernel", 0, options.kernel);
    lx_pair_field(L, arg, "stride", 0, options.stride);
    lx_pair_field(L, arg, "padding", 0, options.padding);
    if (lua_getfield(L, arg, "stride") == LUA_TNIL)
        for (int i = 0; i < 2; i++)
            options.stride[i] = options.kernel[i];
    options.count_include_pad = lua_getfield(L, arg, "count_include_pad") == LUA_TNIL || lua_toboolean(L, -1);
    lua_pop(L, 2);
    return options;
}

/* avg_pool2d(x, options) */
static int l_avg_pool2d(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1);
    const lx_avg_pool2d_options options = check_windows(L, 2);
    return lx_results(L, lx_avg_pool2d(lx_push_tensor(L), x, &options, &error), &error, 1);
}

/* avg_pool2d_backward(dy, shape, options) */
static int l_avg_pool2d_backward(lua_State *L)
{
    long shape[4];
    lx_error error = {.code = LX_OK};
    const lx_tensor *dy = lx_check_any(L, 1);
    check_image_shape(L, 2, shape);
    const lx_avg_pool2d_options options = check_windows(L, 3);
    return lx_results(L, lx_avg_pool2d_backward(lx_push_tensor(L), dy, shape, &options, &error), &error, 1);
}

/* adaptive_avg_pool2d(x, size) */
static int l_adaptive_avg_pool2d(lua_State *L)
{
    long size[2];
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = lx_check_any(L, 1);
    check_size(L, 2, size);
    return lx_results(L, lx_adaptive_avg_pool2d(lx_push_tensor(L), x, size, &error), &error, 1);
}

/* adaptive_avg_pool2d_backward(dy, shape, blocked) */
static int l_adaptive_avg_pool2d_backward(lua_State *L)
{
    long shape[4];
    lx_error error = {.code = LX_OK};
    const lx_tensor *dy = lx_check_any(L, 1);
    check_image_shape(L, 2, shape);
    const bool blocked = lua_toboolean(L, 3);
    return lx_results(L, lx_adaptive_avg_pool2d_backward(lx_push_tensor(L), dy, shape, blocked, &error), &error, 1);
}

/* ---- resizing ------------------------------------------------------------------------------------------------- */

typedef lx_code resizing(lx_tensor *, const lx_tensor *, const long[2], lx_upsampling, lx_error *);

static int resize(lua_State *L, resizing *function, lx_upsampling how)
{
    long size[2];
    lx_error error = {.code = LX_OK};
    const lx_tensor *x = how == LX_NEAREST ? lx_check_any(L, 1) : lx_check_tensor(L, 1);
    check_size(L, 2, size);
    return lx_results(L, function(lx_push_tensor(L), x, size, how, &error), &error, 1);
}

static lx_upsampling check_corners(lua_State *L, int arg)
{
    return lua_toboolean(L, arg) ? LX_BILINEAR_CORNERS : LX_BILINEAR;
}

/* upsample_nearest2d(x, size) */
static int l_upsample_nearest2d(lua_State *L)
{
    return resize(L, lx_upsample2d, LX_NEAREST);
}

/* upsample_nearest2d_backward(dy, input_size) */
static int l_upsample_nearest2d_backward(lua_State *L)
{
    return resize(L, lx_upsample2d_backward, LX_NEAREST);
}

/* upsample_bilinear2d(x, size, align_corners) */
static int l_upsample_bilinear2d(lua_State *L)
{
    return resize(L, lx_upsample2d, check_corners(L, 3));
}

/* upsample_bilinear2d_backward(dy, input_size, align_corners) */
static int l_upsample_bilinear2d_backward(lua_State *L)
{
    return resize(L, lx_upsample2d_backward, check_corners(L, 3));
}

/* ---- those of the table (csrc/ops/layer_table.h)
 * --------------------------------------------------------------------- */

static const lx_layer *check_layer(lua_State *L, int arg)
{
    const char *name = lx_check_string(L, arg);
    for (int i = 0; lx_layers[i]; i++)
        if (strcmp(lx_layers[i]->name, name) == 0)
            return lx_layers[i];
    lx_mistake(L, "there is no layer '%s'", name);
    return NULL;
}

static void check_numbers(lua_State *L, int arg, const lx_layer *layer, double numbers[LX_LAYER_NUMBERS])
{
    lx_check_type(L, arg, LUA_TTABLE);
    lx_argcheck(L, luaL_len(L, arg) == layer->numbers, arg, "not as many numbers as the layer takes");
    for (int i = 0; i < layer->numbers; i++) {
        lua_geti(L, arg, i + 1);
        numbers[i] = lx_check_number(L, -1);
        lua_pop(L, 1);
    }
}

/* Tensors from `arg` on, all on one device as the first. */
static void check_tensors(lua_State *L, int arg, const lx_layer *layer, int count, const lx_tensor **tensors)
{
    lx_error error = {.code = LX_OK};
    for (int i = 0; i < count; i++) {
        tensors[i] = lx_check_tensor(L, arg + i);
        if (lx_same_device(layer->name, tensors[0], tensors[i], &error))
            lx_raise(L, &error);
    }
}

/* layers() -> list of names */
static int l_layers(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; lx_layers[i]; i++) {
        lua_pushstring(L, lx_layers[i]->name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* layer(name, {numbers}, input, ...) -> result, what backward gets besides, ... */
static int l_layer(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *inputs[LX_LAYER_TENSORS];
    lx_tensor *results[LX_LAYER_TENSORS];
    double numbers[LX_LAYER_NUMBERS];
    const lx_layer *layer = check_layer(L, 1);
    check_numbers(L, 2, layer, numbers);
    check_tensors(L, 3, layer, layer->inputs, inputs);
    for (int i = 0; i <= layer->saved; i++)
        results[i] = lx_push_tensor(L);
    return lx_results(L, layer->forward(results, inputs, numbers, &error), &error, layer->saved + 1);
}

/* layer_backward(name, {numbers}, {whether each input wants one}, dy, input, ..., saved, ...) -> the gradients of the
   inputs, or nil */
static int l_layer_backward(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_tensor *tensors[LX_LAYER_TENSORS + 1];
    lx_tensor *gradients[LX_LAYER_TENSORS] = {NULL};
    double numbers[LX_LAYER_NUMBERS];
    const lx_layer *layer = check_layer(L, 1);
    check_numbers(L, 2, layer, numbers);
    lx_check_type(L, 3, LUA_TTABLE);
    check_tensors(L, 4, layer, 1 + layer->inputs + layer->saved, tensors);
    for (int i = 0; i < layer->inputs; i++) {
        lua_geti(L, 3, i + 1);
        const bool wanted = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (wanted)
            gradients[i] = lx_push_tensor(L);
        else
            lua_pushnil(L);
    }
    return lx_results(L, layer->backward(gradients, tensors[0], tensors + 1, numbers, &error), &error, layer->inputs);
}

const luaL_Reg lx_layer_functions[] = {
    {"layers", l_layers},
    {"layer", l_layer},
    {"layer_backward", l_layer_backward},
    {"batch_norm_stats", l_batch_norm_stats},
    {"batch_norm_apply", l_batch_norm_apply},
    {"batch_norm_backward", l_batch_norm_backward},
    {"row_norm", l_row_norm},
    {"row_norm_backward", l_row_norm_backward},
    {"softmax", l_softmax},
    {"log_softmax", l_log_softmax},
    {"softmax_backward", l_softmax_backward},
    {"log_softmax_backward", l_log_softmax_backward},
    {"avg_pool2d", l_avg_pool2d},
    {"avg_pool2d_backward", l_avg_pool2d_backward},
    {"adaptive_avg_pool2d", l_adaptive_avg_pool2d},
    {"adaptive_avg_pool2d_backward", l_adaptive_avg_pool2d_backward},
    {"upsample_nearest2d", l_upsample_nearest2d},
    {"upsample_nearest2d_backward", l_upsample_nearest2d_backward},
    {"upsample_bilinear2d", l_upsample_bilinear2d},
    {"upsample_bilinear2d_backward", l_upsample_bilinear2d_backward},
    {NULL, NULL},
};
