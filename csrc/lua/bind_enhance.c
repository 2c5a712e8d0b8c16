/* Bindings of what works on the levels of images: histograms, filters, shapes. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../image/filter.h"
#include "../image/histogram.h"
#include "../image/lungs.h"
#include "../image/morphology.h"
#include "planes.h"

/* Lua passes these as numbers: SHAPES and morphology() of lua/luxel/vision/enhance.lua. */
_Static_assert(LX_RECTANGLE == 0 && LX_CROSS == 1 && LX_ELLIPSE == 2, "SHAPES in Lua");
_Static_assert(LX_ERODE == 0 && LX_DILATE == 1 && LX_OPENING == 2 && LX_CLOSING == 3 && LX_GRADIENT == 4 &&
                   LX_TOP_HAT == 5 && LX_BLACK_HAT == 6,
               "morphology() in Lua");

/* The numbers that a function takes besides the image: arguments 2 to 6. */
typedef struct {
    double v[5];
} numbers;

/* `kinds` has a letter for each: n, a number, or i, an integer. */
static numbers check_numbers(lua_State *L, const char *kinds)
{
    numbers n = {{0}};
    for (int i = 0; kinds[i]; i++) {
        const lua_Integer whole = kinds[i] == 'i' ? lx_check_integer(L, 2 + i) : 0;
        lx_argcheck(L, whole >= INT_MIN && whole <= INT_MAX, 2 + i, "the number is too large");
        n.v[i] = kinds[i] == 'i' ? (double)whole : lx_check_number(L, 2 + i);
    }
    return n;
}

/* Maps each plane by a function of such numbers; raises unless these are given. */
static int map(lua_State *L, const char *kinds, lx_plane_function *function)
{
    const numbers n = check_numbers(L, kinds);
    return lx_map_planes(L, 1, function, &n);
}

/* The same with a result of this type, whatever the image is. */
static int map_to(lua_State *L, lx_plane_type type, const char *kinds, lx_plane_function *function)
{
    const numbers n = check_numbers(L, kinds);
    const lx_planes in = lx_check_planes(L, 1);
    const lx_planes out = lx_push_planes(L, &in, type, in.first.height, in.first.width);
    lx_each_plane(L, &in, &out, function, &n);
    return 1;
}

static int map_to_floats(lua_State *L, const char *kinds, lx_plane_function *function)
{
    return map_to(L, LX_PLANE_F32, kinds, function);
}

static int map_to_bytes(lua_State *L, const char *kinds, lx_plane_function *function)
{
    return map_to(L, LX_PLANE_U8, kinds, function);
}

#define V(i) (((const numbers *)params)->v[i])

/* FUNCTION(name, how, kinds, call): `name(image, numbers...) -> image` */
#define FUNCTION(name, how, kinds, call)                                                             \
    static lx_code do_##name(const lx_plane *in, lx_plane *out, const void *params, lx_error *error) \
    {                                                                                                \
        (void)params, (void)error;                                                                   \
        return call;                                                                                 \
    }                                                                                                \
    static int l_##name(lua_State *L)                                                                \
    {                                                                                                \
        return how(L, kinds, do_##name);                                                             \
    }

FUNCTION(equalize, map, "n", lx_equalize(in, out, (float)V(0), error))
FUNCTION(clahe, map, "nni", lx_clahe(in, out, &(lx_clahe_params){V(1), (int)V(2), (float)V(0)}, error))
FUNCTION(gamma, map, "nn", lx_gamma(in, out, (float)V(0), V(1), error))
FUNCTION(stretch, map, "nnn", (lx_stretch(in, out, (float)V(0), (float)V(1), (float)V(2)), LX_OK))
FUNCTION(normalize_percentile, map, "nnn", lx_normalize_percentile(in, out, (float)V(0), V(1), V(2), error))
FUNCTION(invert, map, "n", (lx_invert(in, out, (float)V(0)), LX_OK))
FUNCTION(gaussian_blur, map, "n", lx_gaussian_blur(in, out, V(0), error))
FUNCTION(box_blur, map, "i", lx_box_blur(in, out, (int)V(0), error))
FUNCTION(median_blur, map, "i", lx_median_blur(in, out, (int)V(0), error))
FUNCTION(bilateral_filter, map, "inn", lx_bilateral_filter(in, out, (int)V(0), V(1), V(2), error))
FUNCTION(unsharp_mask, map, "nnn", lx_unsharp_mask(in, out, V(1), V(2), (float)V(0), error))
FUNCTION(sobel, map_to_floats, "ii", lx_sobel(in, out, (int)V(0), (int)V(1), error))
FUNCTION(sobel_magnitude, map_to_floats, "", lx_sobel_magnitude(in, out, error))
FUNCTION(laplacian, map_to_floats, "", lx_laplacian(in, out, error))
FUNCTION(canny, map, "nn", lx_canny(in, out, V(0), V(1), error))
FUNCTION(morphology, map, "iii", lx_morphology(in, out, (lx_morph)V(0), (lx_shape)V(1), (int)V(2), error))
FUNCTION(threshold, map_to_bytes, "n", (lx_threshold(in, out, (float)V(0)), LX_OK))

/* percentile(image, white, share) -> level, of all planes together if there is but one */
static int l_percentile(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_planes in = lx_check_planes(L, 1);
    const double white = lx_check_number(L, 2), share = lx_check_number(L, 3);
    float level;
    lx_plane all = in.first; /* the planes follow each other, so together they are a plane */
    lx_argcheck(L, in.count <= INT32_MAX / all.height, 1, "too many planes");
    all.height *= (int)in.count;
    if (lx_percentile(&all, (float)white, share, &level, &error))
        return lx_raise(L, &error);
    lua_pushnumber(L, (lua_Number)level);
    return 1;
}

/* otsu(image, white) -> level */
static int l_otsu(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_planes in = lx_check_planes(L, 1);
    float level;
    lx_argcheck(L, in.count == 1, 1, "expected one channel");
    if (lx_otsu(&in.first, (float)lx_check_number(L, 2), &level, &error))
        return lx_raise(L, &error);
    lua_pushnumber(L, (lua_Number)level);
    return 1;
}

/* histogram(image, white, bins) -> {counts}, of all planes */
static int l_histogram(lua_State *L)
{
    const lx_planes in = lx_check_planes(L, 1);
    const double white = lx_check_number(L, 2);
    const lua_Integer bins = lx_check_integer(L, 3);
    lx_argcheck(L, bins >= 1 && bins <= LX_LEVELS, 3, "bins must be 1 to 65536");
    long *counts = lua_newuserdatauv(L, sizeof *counts * (size_t)bins, 0);
    lx_plane all = in.first;
    lx_argcheck(L, in.count <= INT32_MAX / all.height, 1, "too many planes");
    all.height *= (int)in.count;
    lx_histogram(&all, (float)white, (int)bins, counts);
    lua_createtable(L, (int)bins, 0);
    for (lua_Integer i = 0; i < bins; i++) {
        lua_pushinteger(L, counts[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void set_integer(lua_State *L, const char *name, long value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* connected_components(image, diagonal) -> int32 labels [H,W], {{area, x, y, w, h, cx, cy}, ...} */
static int l_connected_components(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_planes in = lx_check_planes(L, 1);
    lx_argcheck(L, in.count == 1, 1, "expected one channel");
    const long shape[] = {in.first.height, in.first.width};
    lx_tensor *labels = lx_push_tensor(L);
    lx_component *found;
    long count;
    if (lx_tensor_new(labels, lx_get_context(L)->devices[0], LX_INT32, 2, shape, &error) ||
        lx_connected_components(&in.first, lua_toboolean(L, 2), lx_storage_host(labels->storage), &found, &count,
                                &error))
        return lx_raise(L, &error);
    /* into Lua's memory first: what follows may raise */
    lx_component *list = count <= INT32_MAX ? lua_newuserdatauv(L, sizeof *list * (size_t)count + 1, 0) : NULL;
    memcpy(list, found, sizeof *list * (size_t)count);
    free(found);
    lua_createtable(L, (int)count, 0);
    for (long i = 0; i < count; i++) {
        lua_createtable(L, 0, 7);
        set_integer(L, "area", list[i].area);
        set_integer(L, "x", list[i].left);
        set_integer(L, "y", list[i].top);
        set_integer(L, "w", list[i].right - list[i].left + 1);
        set_integer(L, "h", list[i].low - list[i].top + 1);
        lua_pushnumber(L, list[i].x + 0.5);
        lua_setfield(L, -2, "cx");
        lua_pushnumber(L, list[i].y + 0.5);
        lua_setfield(L, -2, "cy");
        lua_rawseti(L, -2, i + 1);
    }
    lua_remove(L, -2);
    return 2;
}

/* Pictures whose lungs are looked for, and where they are. */
typedef struct {
    lx_plane plane;
    lx_rect box;
    lx_error error;
} chest;

static void find_lungs(void *work, long i)
{
    chest *one = (chest *)work + i;
    lx_find_lungs(&one->plane, &one->box, &one->error);
}

/* find_lungs({image, ...}) -> {{x, y, w, h}, ...}, by the first channels, several images at a time */
static int l_find_lungs(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_check_type(L, 1, LUA_TTABLE);
    const lua_Integer count = luaL_len(L, 1);
    lua_settop(L, 1);
    lua_createtable(L, (int)count, 0); /* the images, and copies of those with gaps, which have to stay */
    chest *all = lua_newuserdatauv(L, sizeof *all * (size_t)(count + 1), 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 1, i + 1);
        const lx_planes in = lx_check_planes(L, -1);
        lx_argcheck(L, in.ndim < 4 || in.shape[0] == 1, 1, "expected one image");
        all[i] = (chest){.plane = in.first, .error = {.code = LX_OK}};
        lua_rawseti(L, 2, i + 1);
    }
    if (lx_pool_run(lx_begin_work(L), (long)count, find_lungs, all, &error))
        return lx_raise(L, &error);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 0; i < count; i++) {
        if (all[i].error.code)
            return lx_raise(L, &all[i].error);
        lua_createtable(L, 0, 4);
        set_integer(L, "x", all[i].box.x);
        set_integer(L, "y", all[i].box.y);
        set_integer(L, "w", all[i].box.width);
        set_integer(L, "h", all[i].box.height);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

const luaL_Reg lx_enhance_functions[] = {
    {"equalize", l_equalize},
    {"clahe", l_clahe},
    {"gamma", l_gamma},
    {"stretch", l_stretch},
    {"normalize_percentile", l_normalize_percentile},
    {"invert", l_invert},
    {"percentile", l_percentile},
    {"histogram", l_histogram},
    {"otsu", l_otsu},
    {"gaussian_blur", l_gaussian_blur},
    {"box_blur", l_box_blur},
    {"median_blur", l_median_blur},
    {"bilateral_filter", l_bilateral_filter},
    {"unsharp_mask", l_unsharp_mask},
    {"sobel", l_sobel},
    {"sobel_magnitude", l_sobel_magnitude},
    {"laplacian", l_laplacian},
    {"canny", l_canny},
    {"threshold", l_threshold},
    {"morphology", l_morphology},
    {"connected_components", l_connected_components},
    {"find_lungs", l_find_lungs},
    {NULL, NULL},
};
