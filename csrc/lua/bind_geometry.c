/* Bindings of sizes and warps of images. */
#include "../image/geometry.h"

#include "planes.h"

static const char *const interpolations[] = {"nearest", "bilinear", "bicubic", "area", "lanczos", NULL};
static const char *const borders[] = {"constant", "replicate", "reflect", "reflect101", "wrap", NULL};
LX_ASSERT_ROWS(interpolations, LX_LANCZOS + 2);
LX_ASSERT_ROWS(borders, LX_BORDER_WRAP + 2);

static int check_side(lua_State *L, int arg, const char *name)
{
    const lua_Integer side = lx_check_integer(L, arg);
    if (side < 1 || side > LX_IMAGE_MAX_SIDE)
        lx_arg_mistake(L, arg, lua_pushfstring(L, "%s must be 1 to %d pixels", name, LX_IMAGE_MAX_SIDE));
    return (int)side;
}

typedef struct {
    lx_interpolation how;
    bool antialias;
} resize_params;

static lx_code resize(const lx_plane *in, lx_plane *out, const void *params, lx_error *error)
{
    const resize_params *p = params;
    return lx_resize(in, out, p->how, p->antialias, error);
}

/* resize(image, height, width, interpolation, antialias) -> image */
static int l_resize(lua_State *L)
{
    const lx_planes in = lx_check_planes(L, 1);
    const int height = check_side(L, 2, "height"), width = check_side(L, 3, "width");
    const lx_interpolation how = (lx_interpolation)lx_check_option(L, 4, "bilinear", interpolations);
    const resize_params params = {how, lua_toboolean(L, 5)};
    const lx_planes out = lx_push_planes(L, &in, in.first.type, height, width);
    lx_each_plane(L, &in, &out, resize, &params);
    return 1;
}

typedef struct {
    lx_map map;
    lx_interpolation how;
    lx_border border;
    float fill;
} warp_params;

static lx_code warp(const lx_plane *in, lx_plane *out, const void *params, lx_error *error)
{
    const warp_params *p = params;
    return lx_warp(in, out, &p->map, p->how, p->border, p->fill, error);
}

/* warp(image, {nine numbers}, height, width, interpolation, border, fill) -> image */
static int l_warp(lua_State *L)
{
    const lx_planes in = lx_check_planes(L, 1);
    warp_params params = {0};
    lx_check_type(L, 2, LUA_TTABLE);
    for (int i = 0; i < 9; i++) {
        lua_geti(L, 2, i + 1);
        params.map.matrix[i] = lx_check_number(L, -1);
        lua_pop(L, 1);
    }
    const int height = check_side(L, 3, "height"), width = check_side(L, 4, "width");
    params.how = (lx_interpolation)lx_check_option(L, 5, "bilinear", interpolations);
    params.border = (lx_border)lx_check_option(L, 6, "constant", borders);
    params.fill = (float)luaL_opt(L, lx_check_number, 7, 0);
    const lx_planes out = lx_push_planes(L, &in, in.first.type, height, width);
    lx_each_plane(L, &in, &out, warp, &params);
    return 1;
}

/* Copies the inside and fills the border of a plane that is larger, or cuts off where an edge is negative. */
typedef struct {
    int left, top;
    lx_border border;
    float fill;
} pad_params;

static lx_code pad(const lx_plane *in, lx_plane *out, const void *params, lx_error *error)
{
    const pad_params *p = params;
    (void)error;
    for (long y = 0; y < out->height; y++)
        for (long x = 0; x < out->width; x++) {
            const long row = lx_border_place(y - p->top, in->height, p->border);
            const long column = lx_border_place(x - p->left, in->width, p->border);
            const size_t from = (size_t)(row < 0 ? 0 : row) * (size_t)in->width + (size_t)(column < 0 ? 0 : column);
            const size_t to = (size_t)y * (size_t)out->width + (size_t)x;
            const bool outside = row < 0 || column < 0;
            if (in->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[to] = outside ? (uint8_t)p->fill : ((const uint8_t *)in->samples)[from];
            else
                ((float *)out->samples)[to] = outside ? p->fill : ((const float *)in->samples)[from];
        }
    return LX_OK;
}

/* pad(image, left, top, right, bottom, border, fill) -> image */
static int l_pad(lua_State *L)
{
    const lx_planes in = lx_check_planes(L, 1);
    lua_Integer edge[4];
    for (int i = 0; i < 4; i++) {
        edge[i] = lx_check_integer(L, 2 + i);
        lx_argcheck(L, edge[i] >= -LX_IMAGE_MAX_SIDE && edge[i] <= LX_IMAGE_MAX_SIDE, 2 + i, "out of range");
    }
    const lua_Integer width = in.first.width + edge[0] + edge[2], height = in.first.height + edge[1] + edge[3];
    if (width < 1 || height < 1 || width > LX_IMAGE_MAX_SIDE || height > LX_IMAGE_MAX_SIDE)
        return lx_mistake(L, "pad: an image of %d x %d pixels would become %I x %I; sides are 1 to %d", in.first.height,
                          in.first.width, height, width, LX_IMAGE_MAX_SIDE);
    const pad_params params = {(int)edge[0], (int)edge[1], (lx_border)lx_check_option(L, 6, "constant", borders),
                               (float)luaL_opt(L, lx_check_number, 7, 0)};
    lx_argcheck(L, in.first.type == LX_PLANE_F32 || (params.fill >= 0 && params.fill <= 255), 7,
                "the fill of a uint8 image is 0 to 255");
    const lx_planes out = lx_push_planes(L, &in, in.first.type, (int)height, (int)width);
    lx_each_plane(L, &in, &out, pad, &params);
    return 1;
}

const luaL_Reg lx_geometry_functions[] = {
    {"resize_image", l_resize}, {"warp_image", l_warp}, {"pad_image", l_pad}, {NULL, NULL}};
