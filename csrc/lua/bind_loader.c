/* Bindings of what feeds networks: stores of images, and loaders, which make batches of them ahead of their use. */
#include "../data/loader.h"

#include <stdlib.h>
#include <string.h>

#include "bind_pipeline.h"
#include "planes.h"

#define STORE "luxel.store"
#define LOADER "luxel.loader"

/* ---- stores --------------------------------------------------------------------------------------------------- */

static lx_store **push_store(lua_State *L)
{
    lx_store **store = lua_newuserdatauv(L, sizeof *store, 0);
    *store = NULL;
    luaL_setmetatable(L, STORE);
    return store;
}

static lx_store *check_store(lua_State *L, int arg)
{
    lx_store *store = *(lx_store **)lx_check_udata(L, arg, STORE);
    lx_argcheck(L, store, arg, "this store was closed");
    return store;
}

static int l_close_store(lua_State *L)
{
    lx_store **store = lx_check_udata(L, 1, STORE);
    lx_store_release(*store);
    *store = NULL;
    return 0;
}

enum { MOST_FILES = 1 << 30 };

/* store_files(paths, {channels, side, lungs, labels, memory, cache}) -> store; or nil, message, code */
static int l_store_files(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long count;
    lua_settop(L, 2);
    const char **paths = lx_check_paths(L, 1, 0, MOST_FILES, &count);
    lx_store_options options = {.channels = (int)lx_opt_integer(L, 2, "channels", 1, 1, 3),
                                .side = (int)lx_opt_integer(L, 2, "side", 0, 0, LX_IMAGE_MAX_SIDE),
                                .lungs = lx_opt_flag(L, 2, "lungs"),
                                .labels = lx_opt_flag(L, 2, "labels")};
    const double memory = lx_opt_field(L, 2, "memory", 0);
    lx_argcheck(L, options.channels == 1 || options.channels == 3, 2, "channels must be 1 or 3");
    lx_argcheck(L, memory >= 0, 2, "memory must not be negative");
    options.memory = memory < (double)SIZE_MAX ? (size_t)memory : SIZE_MAX;
    lua_getfield(L, 2, "cache");
    options.cache = lua_tostring(L, -1);
    lx_store **store = push_store(L);
    *store = lx_store_open(paths, count, &options, &error);
    return *store ? 1 : lx_refuse(L, &error);
}

static void let_go(void *storage)
{
    lx_storage_release(storage);
}

/* store_images(images [N,C,H,W]) -> store of the tensor's own samples */
static int l_store_images(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const lx_planes planes = lx_check_planes(L, 1);
    lx_argcheck(L, planes.ndim == 4 && (planes.shape[1] == 1 || planes.shape[1] == 3), 1,
                "images are [N,1,H,W] or [N,3,H,W]");
    lx_storage *storage = lx_storage_retain(lx_check_tensor(L, 1)->storage);
    lx_store **store = push_store(L);
    *store = lx_store_over(&planes.first, planes.shape[0], (int)planes.shape[1], let_go, storage, &error);
    if (!*store) {
        lx_storage_release(storage);
        return lx_raise(L, &error);
    }
    return 1;
}

/* store:info() -> {count, channels, memory, cached} */
static int l_store_info(lua_State *L)
{
    const lx_store *store = check_store(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, lx_store_count(store));
    lua_setfield(L, -2, "count");
    lua_pushinteger(L, lx_store_channels(store));
    lua_setfield(L, -2, "channels");
    lua_pushinteger(L, (lua_Integer)lx_store_memory(store));
    lua_setfield(L, -2, "memory");
    lua_pushboolean(L, lx_store_cached(store));
    lua_setfield(L, -2, "cached");
    return 1;
}

/* store:image(i) -> image [C,H,W]; or nil, message, code */
static int l_store_image(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_store *store = check_store(L, 1);
    lx_stored image = {0};
    const lua_Integer index = lx_check_integer(L, 2);
    if (index < 1 || index > lx_store_count(store))
        return lx_mistake(L, "image: index %I is out of range: there are %I", (LUAI_UACINT)index,
                          (LUAI_UACINT)lx_store_count(store));
    if (lx_store_get(store, (long)index - 1, &image, &error))
        return lx_refuse(L, &error);
    const long shape[] = {image.channels, image.plane.height, image.plane.width};
    lx_tensor *out = lx_push_tensor(L);
    if (!lx_tensor_new(out, lx_get_context(L)->devices[0], image.plane.type == LX_PLANE_U8 ? LX_UINT8 : LX_FLOAT32, 3,
                       shape, &error))
        memcpy(lx_storage_host(out->storage), image.plane.samples,
               lx_plane_bytes(&image.plane) * (size_t)image.channels);
    lx_store_put(&image);
    return lx_results(L, error.code, &error, 1);
}

/* store:refused() -> {index: message} of the images that a complete cache does not have, because their files are none
 */
static int l_store_refused(lua_State *L)
{
    lx_store *store = check_store(L, 1);
    lx_error reason = {.code = LX_OK};
    lua_newtable(L);
    for (long i = 0; i < lx_store_count(store); i++) {
        if (!lx_store_refused(store, i, &reason))
            continue;
        lua_pushstring(L, reason.text);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* store:hashes() -> {integer}: what the pixels of each image are known by; 0 where a file was not read yet */
static int l_store_hashes(lua_State *L)
{
    lx_store *store = check_store(L, 1);
    lua_createtable(L, (int)lx_store_count(store), 0);
    for (long i = 0; i < lx_store_count(store); i++) {
        lua_pushinteger(L, (lua_Integer)lx_store_hash(store, i));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* A store whose cache is being made. */
static lx_store *check_building(lua_State *L, int arg)
{
    lx_store *store = check_store(L, arg);
    lx_argcheck(L, lx_store_building(store), arg, "no cache is being made of this store");
    return store;
}

typedef struct {
    lx_store *store;
    long from;
    lx_error *errors;
} addition;

static void add_image(void *work, long i)
{
    const addition *of = work;
    of->errors[i].code = LX_OK;
    lx_store_add(of->store, of->from + i, &of->errors[i]);
}

/* store:add(from, to) -> true; or nil, message, code if an image cannot be read now, or the disk is full. Decodes
   images from..to into the cache file, several at a time. */
static int l_store_add(lua_State *L)
{
    lx_store *store = check_building(L, 1);
    const lua_Integer from = lx_check_integer(L, 2), to = lx_check_integer(L, 3);
    lx_argcheck(L, from >= 1 && from <= to && to <= lx_store_count(store) && to - from < 4096, 2, "out of range");
    const long count = (long)(to - from + 1);
    lx_error error = {.code = LX_OK};
    addition work = {store, (long)from - 1, lua_newuserdatauv(L, sizeof(lx_error) * (size_t)count, 0)};
    if (lx_pool_run(lx_begin_work(L), count, add_image, &work, &error))
        return lx_raise(L, &error);
    for (long i = 0; i < count; i++)
        if (work.errors[i].code)
            return lx_refuse(L, &work.errors[i]);
    lua_pushboolean(L, 1);
    return 1;
}

/* store:finish() -> true; or nil, message, code: the cache file is complete */
static int l_store_finish(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    if (lx_store_finish(check_building(L, 1), &error))
        return lx_refuse(L, &error);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- loaders -------------------------------------------------------------------------------------------------- */

/* A loader and the memory of the batches it was given: held here, so that nothing that Lua does to tensors can pull it
   away from under the threads. */
typedef struct {
    lx_loader *loader;
    int channels, height, width, batch;
    bool with_masks;
    long count, given, returned; /* images; batches */
    lx_storage *images[LX_LOADER_MOST_AHEAD], *masks[LX_LOADER_MOST_AHEAD];
} loader_box;

static loader_box *check_loader(lua_State *L, int arg)
{
    loader_box *box = lx_check_udata(L, arg, LOADER);
    lx_argcheck(L, box->loader, arg, "this loader was closed");
    return box;
}

static int l_close_loader(lua_State *L)
{
    loader_box *box = lx_check_udata(L, 1, LOADER);
    lx_loader_close(box->loader);
    box->loader = NULL;
    for (int i = 0; i < LX_LOADER_MOST_AHEAD; i++) {
        lx_storage_release(box->images[i]);
        lx_storage_release(box->masks[i]);
        box->images[i] = box->masks[i] = NULL;
    }
    return 0;
}

/* Which of a store the i-th visit wants, from 0; `least` is what the table may have. */
static long check_place(lua_State *L, int table, long i, const lx_store *store, lua_Integer least)
{
    lua_geti(L, table, i + 1);
    const lua_Integer place = lx_check_integer(L, -1);
    lua_pop(L, 1);
    if (place < least || place > lx_store_count(store))
        lx_mistake(L, "loader: image %I is out of range, there are %d", place, (int)lx_store_count(store));
    return (long)place - 1;
}

/* Reads the order: for each visit the image, the number that names its random draws, and the mask, 0 for none. */
static lx_visit *check_visits(lua_State *L, int arg, const lx_store *images, const lx_store *masks, long *count)
{
    for (int i = 0; i < (masks ? 3 : 2); i++)
        lx_check_type(L, arg + i, LUA_TTABLE);
    *count = (long)luaL_len(L, arg);
    lx_visit *visits = lua_newuserdatauv(L, sizeof *visits * (size_t)*count + 1, 0);
    for (long i = 0; i < *count; i++) {
        lua_geti(L, arg + 1, i + 1);
        visits[i] = (lx_visit){.image = check_place(L, arg, i, images, 1),
                               .draw = (uint64_t)lx_check_integer(L, -1),
                               .mask = masks ? check_place(L, arg + 2, i, masks, 0) : -1};
        lua_pop(L, 1);
    }
    return visits;
}

/* loader(store, masks | nil, pipeline, options, images, draws, masks' places | nil) -> loader
   options: height, width, scale, bias, seed, epoch, batch, threads */
static int l_loader(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lua_settop(L, 7);
    lx_loader_options options = {.images = check_store(L, 1),
                                 .masks = lua_isnil(L, 2) ? NULL : check_store(L, 2),
                                 .pipeline = lx_check_pipeline(L, 3)};
    options.height = (int)lx_opt_integer(L, 4, "height", 0, 0, LX_IMAGE_MAX_SIDE);
    options.width = (int)lx_opt_integer(L, 4, "width", 0, 0, LX_IMAGE_MAX_SIDE);
    options.scale = (float)lx_opt_field(L, 4, "scale", 1);
    options.bias = (float)lx_opt_field(L, 4, "bias", 0);
    options.seed = (uint64_t)(int64_t)lx_opt_field(L, 4, "seed", 1);
    options.epoch = (uint64_t)(int64_t)lx_opt_field(L, 4, "epoch", 1);
    options.batch = (int)lx_opt_integer(L, 4, "batch", 1, 1, INT32_MAX);
    options.threads = (int)lx_opt_integer(L, 4, "threads", 0, 0, LX_LOADER_MOST_THREADS);
    lx_argcheck(L,
                options.height >= 1 && options.width >= 1 && options.height <= LX_IMAGE_MAX_SIDE &&
                    options.width <= LX_IMAGE_MAX_SIDE,
                4, "height or width is out of range");
    lx_argcheck(L, !options.masks || lx_store_channels(options.masks) == 1, 2, "masks have one channel");
    options.visits = check_visits(L, 5, options.images, options.masks, &options.count);
    loader_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, LOADER);
    box->channels = lx_store_channels(options.images);
    box->height = options.height;
    box->width = options.width;
    box->batch = options.batch;
    box->count = options.count;
    box->with_masks = options.masks != NULL;
    box->loader = lx_loader_open(&options, &error);
    return box->loader ? 1 : lx_raise(L, &error);
}

static long images_of_batch(const loader_box *box, long batch)
{
    const long left = box->count - batch * box->batch;
    return left < box->batch ? left : box->batch;
}

/* loader:give(n): memory for up to n more batches */
static int l_give(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    loader_box *box = check_loader(L, 1);
    lx_device *cpu = lx_get_context(L)->devices[0];
    for (lua_Integer n = lx_check_integer(L, 2); n > 0 && box->given - box->returned < LX_LOADER_MOST_AHEAD; n--) {
        const long images = images_of_batch(box, box->given);
        if (images <= 0)
            break;
        const size_t pixels = (size_t)images * (size_t)box->height * (size_t)box->width;
        lx_storage **slot = &box->images[box->given % LX_LOADER_MOST_AHEAD];
        lx_storage **mask_slot = &box->masks[box->given % LX_LOADER_MOST_AHEAD];
        *slot = lx_storage_new(cpu, pixels * (size_t)box->channels * sizeof(float), &error);
        if (*slot && box->with_masks)
            *mask_slot = lx_storage_new(cpu, pixels, &error);
        if (error.code)
            return lx_raise(L, &error);
        box->given++;
        lx_loader_give(box->loader, lx_storage_host(*slot), *mask_slot ? lx_storage_host(*mask_slot) : NULL);
    }
    return 0;
}

/* loader:wait(seconds) -> images [B,C,H,W], masks [B,1,H,W] | nil; false if they are not ready; raises what failed */
static int l_wait(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    loader_box *box = check_loader(L, 1);
    lx_argcheck(L, box->returned < box->given, 1, "no batch was given");
    if (!lx_loader_wait(box->loader, lx_check_number(L, 2), lx_begin_work(L), &error)) {
        if (error.code)
            return lx_raise(L, &error);
        lua_pushboolean(L, 0);
        return 1;
    }
    const long images = images_of_batch(box, box->returned), slot = box->returned % LX_LOADER_MOST_AHEAD;
    const long shape[] = {images, box->channels, box->height, box->width},
               mask_shape[] = {images, 1, box->height, box->width};
    lx_tensor *out = lx_push_tensor(L), *masks = box->with_masks ? lx_push_tensor(L) : NULL;
    lx_tensor_over(out, box->images[slot], LX_FLOAT32, 4, shape);
    if (masks)
        lx_tensor_over(masks, box->masks[slot], LX_UINT8, 4, mask_shape);
    box->images[slot] = box->masks[slot] = NULL;
    box->returned++;
    return lx_results(L, error.code, &error, masks ? 2 : 1);
}

static void register_type(lua_State *L, const char *name, lua_CFunction close, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_newtable(L);
    lx_set_functions(L, methods);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "close");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void lx_register_loader(lua_State *L)
{
    static const luaL_Reg store_methods[] = {{"info", l_store_info},
                                             {"image", l_store_image},
                                             {"refused", l_store_refused},
                                             {"hashes", l_store_hashes},
                                             {"add", l_store_add},
                                             {"finish", l_store_finish},
                                             {NULL, NULL}};
    static const luaL_Reg loader_methods[] = {{"give", l_give}, {"wait", l_wait}, {NULL, NULL}};
    register_type(L, STORE, l_close_store, store_methods);
    register_type(L, LOADER, l_close_loader, loader_methods);
}

const luaL_Reg lx_loader_functions[] = {
    {"store_files", l_store_files},
    {"store_images", l_store_images},
    {"loader", l_loader},
    {NULL, NULL},
};
