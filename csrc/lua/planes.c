#include "planes.h"

#include <pthread.h>
#include <string.h>

lx_planes lx_check_planes(lua_State *L, int arg)
{
    char text[LX_SHAPE_TEXT];
    lx_error error = {.code = LX_OK};
    arg = lua_absindex(L, arg);
    const lx_tensor *image = lx_check_tensor(L, arg);
    const lx_device *device = image->storage->device;
    if (strcmp(device->runtime->kind, "cpu") != 0)
        lx_arg_mistake(
            L, arg,
            lua_pushfstring(L, "images are worked on by the cpu, this one is on %s; use :to(\"cpu\")", device->label));
    const long *side = image->shape + image->ndim - 2;
    if ((image->dtype != LX_UINT8 && image->dtype != LX_FLOAT32) || image->ndim < 2 || image->ndim > 4 || side[0] < 1 ||
        side[1] < 1 || side[0] > LX_IMAGE_MAX_SIDE || side[1] > LX_IMAGE_MAX_SIDE)
        lx_arg_mistake(L, arg,
                       lua_pushfstring(L,
                                       "an image is [H,W], [C,H,W] or [N,C,H,W] of uint8 or float32, with sides of "
                                       "1 to %d; got %s %s",
                                       LX_IMAGE_MAX_SIDE, lx_dtype_name(image->dtype),
                                       lx_shape_text(image->ndim, image->shape, text)));
    if (!lx_tensor_dense(image)) {
        lx_tensor *dense = lx_push_tensor(L);
        if (lx_contiguous(dense, image, &error))
            lx_raise(L, &error);
        lua_replace(L, arg);
        image = dense;
    }
    const bool bytes = image->dtype == LX_UINT8;
    lx_planes planes = {.first = {(int)side[1], (int)side[0], bytes ? LX_PLANE_U8 : LX_PLANE_F32, NULL},
                        .ndim = image->ndim};
    memcpy(planes.shape, image->shape, sizeof *planes.shape * (size_t)image->ndim);
    planes.count = lx_tensor_count(image) / (side[0] * side[1]);
    planes.first.samples = (char *)lx_storage_host(image->storage) +
                           (size_t)image->offset * lx_dtype_size(image->dtype);
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

typedef struct {
    const lx_planes *in, *out;
    lx_plane_function *function;
    const void *params;
    pthread_mutex_t lock;
    long failed; /* the first plane of those that failed, and why */
    lx_error first;
} job;

static void do_plane(void *work, long i)
{
    job *of = work;
    lx_error error = {.code = LX_OK};
    const lx_plane from = lx_plane_at(of->in, i);
    lx_plane to = lx_plane_at(of->out, i);
    if (!of->function(&from, &to, of->params, &error))
        return;
    pthread_mutex_lock(&of->lock);
    if (i < of->failed) {
        of->failed = i;
        of->first = error;
    }
    pthread_mutex_unlock(&of->lock);
}

void lx_each_plane(lua_State *L, const lx_planes *in, const lx_planes *out, lx_plane_function *function,
                   const void *params)
{
    lx_error error = {.code = LX_OK};
    job work = {in, out, function, params, PTHREAD_MUTEX_INITIALIZER, in->count, {.code = LX_OK}};
    lx_pool_run(lx_begin_work(L), in->count, do_plane, &work, &error);
    if (work.first.code || error.code)
        lx_raise(L, work.first.code ? &work.first : &error);
}

int lx_map_planes(lua_State *L, int arg, lx_plane_function *function, const void *params)
{
    const lx_planes in = lx_check_planes(L, arg);
    const lx_planes out = lx_push_planes(L, &in, in.first.type, in.first.height, in.first.width);
    lx_each_plane(L, &in, &out, function, params);
    return 1;
}
