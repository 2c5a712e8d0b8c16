#include "planes.h"

#include <string.h>

lx_planes lx_check_planes(lua_State *L, int arg)
{
    char text[LX_SHAPE_TEXT];
    lx_error error = {.code = LX_OK};
    arg = lua_absindex(L, arg);
    const lx_tensor *image = lx_check_tensor(L, arg);
    const lx_device *device = image->storage->device;
    if (strcmp(device->runtime->kind, "cpu") != 0)
        luaL_argerror(L, arg, lua_pushfstring(L, "images are worked on by the cpu, this one is on %s; use :to(\"cpu\")",
                                              device->label));
    const long *side = image->shape + image->ndim - 2;
    if ((image->dtype != LX_UINT8 && image->dtype != LX_FLOAT32) || image->ndim < 2 || image->ndim > 4 || side[0] < 1 ||
        side[1] < 1 || side[0] > LX_IMAGE_MAX_SIDE || side[1] > LX_IMAGE_MAX_SIDE)
        luaL_argerror(L, arg, lua_pushfstring(L, "an image is [H,W], [C,H,W] or [N,C,H,W] of uint8 or float32, with sides of "
                                                 "1 to %d; got %s %s", LX_IMAGE_MAX_SIDE, lx_dtype_name(image->dtype),
                                              lx_shape_text(image->ndim, image->shape, text)));
    if (!lx_tensor_dense(image)) {
        lx_tensor *dense = lx_push_tensor(L);
        if (lx_contiguous(dense, image, &error))
            lx_raise(L, &error);
        lua_replace(L, arg);
        image = dense;
    }
    const bool bytes = image->dtype == LX_UINT8;
    lx_planes planes = {.first = {(int)side[1], (int)side[0], bytes ? LX_PLANE_U8 : LX_PLANE_F32, NULL}, .ndim = image->ndim};
    memcpy(planes.shape, image->shape, sizeof *planes.shape * (size_t)image->ndim);
    planes.count = lx_tensor_count(image) / (side[0] * side[1]);
    planes.first.samples = (char *)lx_storage_host(image->storage) + (size_t)image->offset * lx_dtype_size(image->dtype);
    return planes;
}

lx_planes lx_push_planes(lua_State *L, const lx_planes *like, lx_plane_type type, int height, int width)
{
    lx_error error = {.code = LX_OK};
    lx_planes planes = *like;
    planes.shape[like->ndim - 2] = height;
    planes.shape[like->ndim - 1] = width;
    lx_tensor *out = lx_push_tensor(L);
    if (lx_tensor_new(out, lx_get_context(L)->devices[0], type == LX_PLANE_U8 ? LX_UINT8 : LX_FLOAT32, planes.ndim,
                      planes.shape, &error))
        lx_raise(L, &error);
    planes.first = (lx_plane){width, height, type, lx_storage_host(out->storage)};
    return planes;
}

void lx_each_plane(lua_State *L, const lx_planes *in, const lx_planes *out, lx_plane_function *function, const void *params)
{
    lx_device *device = lx_get_context(L)->devices[0];
    lx_error first = {.code = LX_OK};
    long failed = in->count;
    const int threads = in->count > 1 ? device->runtime->threads(device, 0) : 1;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (long i = 0; i < in->count; i++) {
        lx_error error = {.code = LX_OK};
        const lx_plane from = lx_plane_at(in, i);
        lx_plane to = lx_plane_at(out, i);
        if (function(&from, &to, params, &error)) {
#pragma omp critical(lx_each_plane)
            if (i < failed) {
                failed = i;
                first = error;
            }
        }
    }
    if (first.code)
        lx_raise(L, &first);
}

int lx_map_planes(lua_State *L, int arg, lx_plane_function *function, const void *params)
{
    const lx_planes in = lx_check_planes(L, arg);
    const lx_planes out = lx_push_planes(L, &in, in.first.type, in.first.height, in.first.width);
    lx_each_plane(L, &in, &out, function, params);
    return 1;
}
