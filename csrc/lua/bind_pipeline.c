/* Bindings of pipelines: what lua/luxel/vision/pipeline.lua has checked, made ready for threads. */
#include "bind_pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "planes.h"

#define PIPELINE "luxel.pipeline"

enum { MOST_STYLES = 4096 };

/* Lua passes these as numbers, FITS and BORDERS of lua/luxel/vision/pipeline.lua. */
_Static_assert(LX_FIT_STRETCH == 0 && LX_FIT_PAD == 1 && LX_FIT_CROP == 2, "FITS in Lua");
_Static_assert(LX_BORDER_CONSTANT == 0 && LX_BORDER_REPLICATE == 1 && LX_BORDER_REFLECT == 2 &&
                   LX_BORDER_REFLECT101 == 3 && LX_BORDER_WRAP == 4,
               "BORDERS in Lua");

lx_pipeline *lx_check_pipeline(lua_State *L, int arg)
{
    lx_pipeline *pipeline = *(lx_pipeline **)lx_check_udata(L, arg, PIPELINE);
    lx_argcheck(L, pipeline, arg, "this pipeline is closed");
    return pipeline;
}

static int l_collect(lua_State *L)
{
    lx_pipeline **pipeline = lx_check_udata(L, 1, PIPELINE);
    lx_pipeline_release(*pipeline);
    *pipeline = NULL;
    return 0;
}

/* Reads {kind, chance, value, ...} from the top of the stack, and pops it. */
static lx_step check_step(lua_State *L)
{
    lx_step step = {.chance = 1};
    lx_check_type(L, -1, LUA_TTABLE);
    lua_geti(L, -1, 1);
    const char *name = lx_check_string(L, -1);
    step.kind = lx_step_kind(name);
    if (step.kind < 0)
        lx_mistake(L, "pipeline: there is no step '%s'", name);
    lua_geti(L, -2, 2);
    step.chance = lx_check_number(L, -1);
    lua_pop(L, 2);
    for (int i = 0; i < LX_STEP_VALUES; i++) {
        lua_geti(L, -1, 3 + i);
        step.v[i] = luaL_opt(L, lx_check_number, -1, 0);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return step;
}

/* The field `styles` of the options, a list of levels, one image after the other, in memory on the stack. */
static const float *check_styles(lua_State *L, int *count)
{
    lua_getfield(L, 2, "styles");
    if (lua_isnil(L, -1))
        return NULL;
    lx_check_type(L, -1, LUA_TTABLE);
    const lua_Integer levels = luaL_len(L, -1);
    lx_argcheck(L, levels > 0 && levels % LX_STYLE_LEVELS == 0 && levels / LX_STYLE_LEVELS <= MOST_STYLES, 2,
                "styles are 256 levels for each image");
    float *styles = lua_newuserdatauv(L, sizeof *styles * (size_t)levels, 0);
    for (lua_Integer i = 0; i < levels; i++) {
        lua_geti(L, -2, i + 1);
        styles[i] = (float)lx_check_number(L, -1);
        lua_pop(L, 1);
    }
    *count = (int)(levels / LX_STYLE_LEVELS);
    return styles;
}

/* pipeline({{kind, chance, value, ...}, ...}, {height, width, fit, border, fill, styles}) -> pipeline */
static int l_pipeline(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_step steps[LX_MOST_STEPS];
    lx_check_type(L, 1, LUA_TTABLE);
    const int count = (int)luaL_len(L, 1);
    lx_argcheck(L, count <= LX_MOST_STEPS, 1, "too many steps, 32 is the most");
    for (int i = 0; i < count; i++) {
        lua_geti(L, 1, i + 1);
        steps[i] = check_step(L);
        const double members = steps[i].kind == lx_step_kind("some_of") ? steps[i].v[2] : 0;
        lx_argcheck(L, members >= 0 && members < count - i, 1, "a step chooses among more steps than there are");
    }
    lx_pipeline_options options = {
        .height = (int)lx_opt_integer(L, 2, "height", 0, 0, LX_IMAGE_MAX_SIDE),
        .width = (int)lx_opt_integer(L, 2, "width", 0, 0, LX_IMAGE_MAX_SIDE),
        .fit = (lx_fit)lx_opt_integer(L, 2, "fit", LX_FIT_STRETCH, 0, LX_FIT_CROP),
        .fill = (float)lx_opt_field(L, 2, "fill", 0),
        .border = (lx_border)lx_opt_integer(L, 2, "border", LX_BORDER_REPLICATE, 0, LX_BORDER_WRAP)};
    options.styles = check_styles(L, &options.style_count);
    lx_pipeline **pipeline = lua_newuserdatauv(L, sizeof *pipeline, 0);
    *pipeline = NULL;
    luaL_setmetatable(L, PIPELINE);
    *pipeline = lx_pipeline_new(steps, count, &options, &error);
    return *pipeline ? 1 : lx_raise(L, &error);
}

static lx_draw check_draw(lua_State *L, int arg)
{
    return (lx_draw){(uint64_t)luaL_opt(L, lx_check_integer, arg, 1),
                     (uint64_t)luaL_opt(L, lx_check_integer, arg + 1, 1),
                     (uint64_t)luaL_opt(L, lx_check_integer, arg + 2, 1)};
}

/* Reads {{x, y, w, h}, ...} into memory on the stack, in which there is as much room again. */
static float (*check_boxes(lua_State *L, int arg, int *count))[4]
{
    lx_check_type(L, arg, LUA_TTABLE);
    *count = (int)luaL_len(L, arg);
    float(*boxes)[4] = lua_newuserdatauv(L, sizeof *boxes * (size_t)*count * 2 + 1, 0);
    static const char *const names[4] = {"x", "y", "w", "h"};
    for (int i = 0; i < *count; i++) {
        lua_geti(L, arg, i + 1);
        lx_argcheck(L, lua_istable(L, -1), arg, "boxes are {{x =, y =, w =, h =}, ...}");
        for (int k = 0; k < 4; k++) {
            lua_getfield(L, -1, names[k]);
            lx_argcheck(L, lua_isnumber(L, -1), arg, "boxes are {{x =, y =, w =, h =}, ...}");
            boxes[i][k] = (float)lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return boxes;
}

static void push_boxes(lua_State *L, float (*boxes)[4], int count)
{
    static const char *const names[4] = {"x", "y", "w", "h"};
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_createtable(L, 0, 4);
        for (int k = 0; k < 4; k++) {
            lua_pushnumber(L, (lua_Number)boxes[i][k]);
            lua_setfield(L, -2, names[k]);
        }
        lua_rawseti(L, -2, i + 1);
    }
}

/* pipeline:run(image [C,H,W], mask [1,H,W] | nil, seed, epoch, index) -> image, mask | nil */
static int l_run(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lua_settop(L, 6);
    const lx_pipeline *pipeline = lx_check_pipeline(L, 1);
    const lx_planes image = lx_check_planes(L, 2);
    lx_argcheck(L, image.ndim == 3 && (image.count == 1 || image.count == 3), 2,
                "expected an image [1,H,W] or [3,H,W]");
    int width, height;
    lx_pipeline_size(pipeline, image.first.width, image.first.height, &width, &height);
    lx_sample in = {.image = image.first, .channels = (int)image.count}, out = {.channels = (int)image.count};
    lx_planes mask = {0};
    if (!lua_isnil(L, 3)) {
        mask = lx_check_planes(L, 3);
        lx_argcheck(L, mask.first.type == LX_PLANE_U8 && mask.count == 1, 3, "expected a uint8 mask of one channel");
        in.mask = mask.first;
    }
    const lx_draw draw = check_draw(L, 4);
    out.image = lx_push_planes(L, &image, image.first.type, height, width).first;
    if (in.mask.samples)
        out.mask = lx_push_planes(L, &mask, LX_PLANE_U8, height, width).first;
    else
        lua_pushnil(L);
    return lx_pipeline_run(pipeline, draw, &in, &out, &error) ? lx_raise(L, &error) : 2;
}

/* pipeline:boxes(height, width, boxes, seed, epoch, index) -> boxes in the image that comes out. One that has left it
   is 0 wide. */
static int l_boxes(lua_State *L)
{
    int count;
    const lx_pipeline *pipeline = lx_check_pipeline(L, 1);
    const lua_Integer height = lx_check_integer(L, 2), width = lx_check_integer(L, 3);
    lx_argcheck(L, height >= 1 && width >= 1 && height <= LX_IMAGE_MAX_SIDE && width <= LX_IMAGE_MAX_SIDE, 2,
                "out of range");
    float(*boxes)[4] = check_boxes(L, 4, &count);
    lx_pipeline_boxes(pipeline, check_draw(L, 5), (int)width, (int)height, (const float(*)[4])boxes, boxes + count,
                      count);
    push_boxes(L, boxes + count, count);
    return 1;
}

/* pipeline:describe(seed, epoch, index) -> what is drawn, in words */
static int l_describe(lua_State *L)
{
    char text[1024];
    lx_pipeline_describe(lx_check_pipeline(L, 1), check_draw(L, 2), text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

void lx_register_pipeline(lua_State *L)
{
    static const luaL_Reg methods[] = {{"run", l_run}, {"boxes", l_boxes}, {"describe", l_describe}, {NULL, NULL}};
    luaL_newmetatable(L, PIPELINE);
    lua_pushcfunction(L, l_collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    lx_set_functions(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

const luaL_Reg lx_pipeline_functions[] = {{"pipeline", l_pipeline}, {NULL, NULL}};
