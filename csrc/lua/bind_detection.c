/* Bindings of csrc/detection: boxes and the loss of detectors. */
#include "bind.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "../detection/nms.h"
#include "../detection/region.h"
#include "planes.h"

#define LX_FARTHEST 1e9f /* coordinates, so that areas are finite */

/* The numbers of a tensor of a type on the cpu without gaps; NULL unless it is one. */
static void *dense_numbers(lua_State *L, int arg, lx_dtype dtype)
{
    const lx_tensor *t = lx_check_tensor(L, arg);
    lx_argcheck(L, t->dtype == dtype && lx_tensor_dense(t), arg, "expected a tensor of another type, without gaps");
    lx_argcheck(L, strcmp(t->storage->device->runtime->kind, "cpu") == 0, arg, "expected a tensor on the cpu");
    return (char *)lx_storage_host(t->storage) + (size_t)t->offset * lx_dtype_size(dtype);
}

/* nms(boxes, scores, classes or nil, method, most, sigma, least) -> places from 1, scores: of the kept boxes, the best
   first. float32 [K,4] corners and [K], int32 [K]; method 0: hard, 1: soft and linear, 2: soft and gaussian */
static int l_nms(lua_State *L)
{
    lua_settop(L, 7);
    const lx_tensor *shape = lx_check_tensor(L, 1);
    lx_argcheck(L, shape->ndim == 2 && shape->shape[1] == 4 && shape->shape[0] <= INT_MAX / 64, 1, "expected [K,4]");
    const long count = shape->shape[0];
    for (int arg = 2; arg <= 3; arg++)
        lx_argcheck(L, lua_isnil(L, arg) || lx_tensor_count(lx_check_tensor(L, arg)) == count, arg, "expected [K]");
    const lx_box *boxes = dense_numbers(L, 1, LX_FLOAT32);
    const float *scores = dense_numbers(L, 2, LX_FLOAT32);
    const int32_t *classes = lua_isnil(L, 3) ? NULL : dense_numbers(L, 3, LX_INT32);
    const lua_Integer method = lx_check_integer(L, 4);
    const float most = (float)lx_check_number(L, 5), sigma = (float)lx_check_number(L, 6);
    const float least = (float)lx_check_number(L, 7);
    for (long i = 0; i < 4 * count; i++)
        if (!(fabsf(((const float *)boxes)[i]) <= LX_FARTHEST))
            return lx_mistake(L, "boxes: expected numbers from -1e9 to 1e9, box %d has another", (int)(i / 4 + 1));
    for (long i = 0; i < count; i++)
        if (!isfinite(scores[i]))
            return lx_mistake(L, "scores: expected finite numbers, number %d is not", (int)(i + 1));
    const size_t n = (size_t)count;
    float *left = lua_newuserdatauv(L, sizeof *left * (n + 1), 0);
    if (n > 0)
        memcpy(left, scores, sizeof *left * n);
    const lx_nms nms = {count,
                        boxes,
                        scores,
                        classes,
                        lua_newuserdatauv(L, sizeof(lx_ranked) * (n + 1), 0),
                        lua_newuserdatauv(L, sizeof(lx_ranked) * (n + 1), 0),
                        lua_newuserdatauv(L, sizeof(int32_t) * (n + 1), 0),
                        lua_newuserdatauv(L, sizeof(float) * 5 * (n + 1), 0)};
    const long kept = method == 0
                          ? lx_nms_hard(&nms, most)
                          : lx_nms_soft(&nms, left, method == 1 ? LX_NMS_LINEAR : LX_NMS_GAUSSIAN, most, sigma, least);
    lx_device *cpu = lx_get_context(L)->devices[0];
    lx_tensor *places = lx_push_tensor(L), *remaining = lx_push_tensor(L);
    lx_error error;
    if (lx_tensor_new(places, cpu, LX_INT32, 1, &kept, &error) ||
        lx_tensor_new(remaining, cpu, LX_FLOAT32, 1, &kept, &error))
        lx_raise(L, &error);
    int32_t *place = lx_storage_host(places->storage);
    float *score = lx_storage_host(remaining->storage);
    for (long i = 0; i < kept; i++) {
        place[i] = nms.kept[i] + 1;
        score[i] = left[nms.kept[i]];
    }
    return 2;
}

static void read_anchors(lua_State *L, int arg, lx_region *r)
{
    lx_check_type(L, arg, LUA_TTABLE);
    r->anchors = (int)luaL_len(L, arg) / 2;
    lx_argcheck(L, r->anchors >= 1 && r->anchors <= LX_REGION_MOST_ANCHORS, arg, "expected 1 to 64 anchors");
    for (int i = 0; i < 2 * r->anchors; i++) {
        lua_rawgeti(L, arg, i + 1);
        r->anchor[i / 2][i % 2] = (float)lx_check_number(L, -1);
        lua_pop(L, 1);
    }
}

/* The objects of an image of the tensor [N,T,5] of rows {x, y, w, h, class from 1}; rows of class 0 are none. */
static long read_objects(lua_State *L, const float *rows, long count, const lx_region *r, lx_object *objects)
{
    long found = 0;
    for (long t = 0; t < count; t++, rows += 5) {
        if (rows[4] == 0)
            continue;
        const int class = rows[4] >= 1 && rows[4] <= (float)r->classes ? (int)rows[4] : 0;
        if (class == 0 || (float)class != rows[4])
            lx_mistake(L, "truth: expected classes from 1 to %d, and 0 where a row is empty, got %f", r->classes,
                       (double)rows[4]);
        if (!(rows[0] >= 0 && rows[0] < 1 && rows[1] >= 0 && rows[1] < 1))
            lx_mistake(L, "truth: expected centres from 0 to below 1, as fractions of the image, got (%f, %f)",
                       (double)rows[0], (double)rows[1]);
        if (!(rows[2] > 0 && rows[2] <= 2 && rows[3] > 0 && rows[3] <= 2))
            lx_mistake(L, "truth: expected sizes above 0, as fractions of the image, got %f x %f", (double)rows[2],
                       (double)rows[3]);
        objects[found++] = (lx_object){rows[0], rows[1], rows[2], rows[3], class - 1};
    }
    return found;
}

static void push_field(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* Of v3: the anchors of all maps, and the numbers from 1 of those of this one. */
static void read_shapes(lua_State *L, int anchors, int own, lx_region *r)
{
    read_anchors(L, anchors, r);
    memcpy(r->shape, r->anchor, sizeof r->shape);
    r->shapes = r->anchors;
    for (int k = 0; k < r->shapes; k++)
        r->own[k] = -1;
    lx_check_type(L, own, LUA_TTABLE);
    r->anchors = (int)luaL_len(L, own);
    lx_argcheck(L, r->anchors >= 1 && r->anchors <= r->shapes, own, "expected 1 to all of the anchors");
    for (int i = 0; i < r->anchors; i++) {
        lua_rawgeti(L, own, i + 1);
        const lua_Integer k = lx_check_integer(L, -1);
        lx_argcheck(L, k >= 1 && k <= r->shapes && r->own[k - 1] < 0, own, "expected different numbers of anchors");
        r->own[k - 1] = i;
        memcpy(r->anchor[i], r->shape[k - 1], sizeof r->anchor[i]);
        lua_pop(L, 1);
    }
}

/* region(map, truth, anchors, options, own or nil) -> differences [N,A(5+K),H,W], {coordinates =, cost =, ...}: see
   csrc/detection/region.h. float32 on the cpu, [N,A(5+K),H,W] and [N,T,5]; anchors a flat list, in cells; with the
   numbers of this map's own ones it is v3 */
static int l_region(lua_State *L)
{
    lua_settop(L, 5);
    const lx_planes map = lx_check_planes(L, 1), truth = lx_check_planes(L, 2);
    lx_check_type(L, 4, LUA_TTABLE);
    lx_region r = {.height = map.first.height,
                   .width = map.first.width,
                   .object = (float)lx_opt_field(L, 4, "object_scale", 5),
                   .no_object = (float)lx_opt_field(L, 4, "noobject_scale", 1),
                   .class = (float)lx_opt_field(L, 4, "class_scale", 1),
                   .coord = (float)lx_opt_field(L, 4, "coord_scale", 1),
                   .threshold = (float)lx_opt_field(L, 4, "thresh", 0.6),
                   .rescore = lx_opt_flag(L, 4, "rescore"),
                   .bias_match = lx_opt_flag(L, 4, "bias_match"),
                   .by_size = lx_opt_flag(L, 4, "by_size"),
                   .warming = lx_opt_flag(L, 4, "warming"),
                   .through_sigmoid = lx_opt_flag(L, 4, "through_sigmoid"),
                   .logistic = !lua_isnil(L, 5)};
    if (r.logistic)
        read_shapes(L, 3, 5, &r);
    else
        read_anchors(L, 3, &r);
    lx_argcheck(L, map.ndim == 4 && map.first.type == LX_PLANE_F32 && map.shape[1] % r.anchors == 0, 1,
                "expected a map");
    r.classes = (int)(map.shape[1] / r.anchors) - 5;
    lx_argcheck(L, r.classes >= 1, 1, "expected classes");
    lx_argcheck(L,
                truth.ndim == 3 && truth.first.type == LX_PLANE_F32 && truth.shape[0] == map.shape[0] &&
                    truth.first.width == 5,
                2, "expected [N,T,5]");
    const long images = map.shape[0], most = truth.first.height;
    const size_t cells = (size_t)r.height * (size_t)r.width, size = cells * (size_t)map.shape[1];
    lx_object *objects = lua_newuserdatauv(L, sizeof *objects * (size_t)most, 0);
    float *work = lua_newuserdatauv(L, sizeof *work * (3 * cells * (size_t)r.anchors + (size_t)(5 + r.classes)), 0);
    const lx_planes out = lx_push_planes(L, &map, LX_PLANE_F32, r.height, r.width);
    lx_region_sums sums = {0};
    for (long i = 0; i < images; i++) {
        const long count = read_objects(L, (const float *)truth.first.samples + i * most * 5, most, &r, objects);
        lx_region_differences(&r, (const float *)map.first.samples + (size_t)i * size, objects, count,
                              (float *)out.first.samples + (size_t)i * size, work, &sums);
    }
    lua_newtable(L);
    push_field(L, "coordinates", sums.coordinates);
    push_field(L, "with_object", sums.object);
    push_field(L, "without_object", sums.no_object);
    push_field(L, "classes", sums.kinds);
    push_field(L, "cost", sums.cost);
    push_field(L, "iou", sums.iou);
    push_field(L, "class", sums.class);
    push_field(L, "objectness", sums.objectness);
    push_field(L, "any", sums.any);
    push_field(L, "recall", sums.recall);
    push_field(L, "objects", (double)sums.objects);
    return 2;
}

const luaL_Reg lx_detection_functions[] = {{"nms", l_nms}, {"region", l_region}, {NULL, NULL}};
