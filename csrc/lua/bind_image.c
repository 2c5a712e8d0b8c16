/* Bindings of image files and drawing. Images are uint8 tensors [C,H,W], C 1 or 3. */
#include "bind.h"

#include <stdlib.h>
#include <string.h>

#include "../data/decode.h"
#include "../format/format.h"
#include "../image/draw.h"

/* Pixels in host memory, interleaved as files and drawing want them: a userdata, so that errors do not leak it. */
typedef struct {
    uint8_t *pixels;
    int width, height, channels;
} picture;

/* Reads an image tensor argument into a new picture on the stack. */
static picture push_picture(lua_State *L, int arg)
{
    char text[LX_SHAPE_TEXT];
    lx_error error = {.code = LX_OK};
    const lx_tensor *image = lx_check_tensor(L, arg);
    const long *shape = image->shape;
    if (image->dtype != LX_UINT8 || image->ndim != 3 || (shape[0] != 1 && shape[0] != 3) || shape[1] < 1 ||
        shape[2] < 1 || shape[1] > LX_IMAGE_MAX_SIDE || shape[2] > LX_IMAGE_MAX_SIDE)
        lx_mistake(L, "an image is a uint8 tensor [1,H,W] or [3,H,W] with sides up to %d, got %s %s", LX_IMAGE_MAX_SIDE,
                   lx_dtype_name(image->dtype), lx_shape_text(image->ndim, shape, text));
    const long order[] = {1, 2, 0};
    lx_tensor interleaved = *image;
    for (int i = 0; i < 3; i++) {
        interleaved.shape[i] = shape[order[i]];
        interleaved.stride[i] = image->stride[order[i]];
    }
    const size_t bytes = (size_t)(shape[0] * shape[1] * shape[2]);
    picture out = {lua_newuserdatauv(L, bytes, 0), (int)shape[2], (int)shape[1], (int)shape[0]};
    lx_tensor *dense = lx_push_tensor(L);
    if (lx_contiguous(dense, &interleaved, &error) ||
        lx_storage_read(dense->storage, (size_t)dense->offset, out.pixels, bytes, &error))
        lx_raise(L, &error);
    lx_tensor_free(dense);
    lua_pop(L, 1);
    return out;
}

/* Pushes a picture as a tensor [C,H,W]. */
static void push_image(lua_State *L, const picture *from)
{
    lx_error error = {.code = LX_OK};
    lx_device *device = lx_get_context(L)->devices[0];
    const long shape[] = {from->height, from->width, from->channels};
    lx_tensor *out = lx_push_tensor(L), *stored = lx_push_tensor(L);
    if (lx_tensor_new(stored, device, LX_UINT8, 3, shape, &error) ||
        lx_storage_write(stored->storage, 0, from->pixels, (size_t)(shape[0] * shape[1] * shape[2]), &error))
        lx_raise(L, &error);
    lx_tensor planar;
    const int order[] = {2, 0, 1};
    if (lx_permute(&planar, stored, order, 3, &error))
        lx_raise(L, &error);
    lx_tensor_free(stored);
    *stored = planar;
    if (lx_contiguous(out, stored, &error))
        lx_raise(L, &error);
    lx_tensor_free(stored);
    lua_pop(L, 1);
}

static void set_integer(lua_State *L, const char *name, long value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* Texts that a file leaves out are left out. */
static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!text[0])
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* Adds what a DICOM file says to the table on top. */
static void set_dicom(lua_State *L, const lx_dicom *d, bool identifiers)
{
    set_text(L, "transfer_syntax", d->syntax);
    set_text(L, "photometric", d->photometric);
    set_text(L, "modality", d->modality);
    set_text(L, "view_position", d->view);
    set_text(L, "laterality", d->laterality);
    set_text(L, "body_part", d->body_part);
    set_text(L, "manufacturer", d->manufacturer);
    set_text(L, "sex", d->sex);
    set_text(L, "age", d->age);
    set_integer(L, "bits_allocated", d->allocated);
    lua_pushboolean(L, d->is_signed);
    lua_setfield(L, -2, "signed");
    set_number(L, "rescale_slope", d->slope);
    set_number(L, "rescale_intercept", d->intercept);
    if (d->spacing[0] > 0) {
        lua_createtable(L, 2, 0);
        for (int i = 0; i < 2; i++) {
            lua_pushnumber(L, d->spacing[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, d->spacing_at_detector ? "detector_spacing" : "pixel_spacing");
    }
    if (d->windows > 0) {
        lua_createtable(L, d->windows, 0);
        for (int i = 0; i < d->windows; i++) {
            lua_createtable(L, 0, 2);
            set_number(L, "centre", d->centre[i]);
            set_number(L, "width", d->width[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "windows");
        set_text(L, "voi_function", d->voi_function);
    }
    if (!identifiers)
        return;
    set_text(L, "patient_name", d->patient_name);
    set_text(L, "patient_id", d->patient_id);
    set_text(L, "birth_date", d->birth_date);
    set_text(L, "study_date", d->study_date);
    set_text(L, "study_uid", d->study_uid);
    set_text(L, "accession_number", d->accession);
}

static void push_info(lua_State *L, const lx_image_info *info, const lx_dicom *dicom, bool identifiers)
{
    lua_createtable(L, 0, 5);
    lua_pushstring(L, info->format);
    lua_setfield(L, -2, "format");
    set_integer(L, "width", info->width);
    set_integer(L, "height", info->height);
    set_integer(L, "channels", info->channels);
    set_integer(L, "bits", info->bits);
    if (info->white)
        set_integer(L, "white", info->white);
    set_integer(L, "orientation", info->orientation);
    set_integer(L, "frames", info->frames);
    if (strcmp(info->format, "DICOM") == 0)
        set_dicom(L, dicom, identifiers);
}

static int push_picture_of(lua_State *L, lx_tensor *out, const lx_picture *found, const lx_image_info *info,
                           const lx_dicom *dicom, bool identifiers, lx_error *error)
{
    const long shape[] = {found->channels, found->first.height, found->first.width};
    const bool bytes = found->first.type == LX_PLANE_U8;
    if (!lx_tensor_new(out, lx_get_context(L)->devices[0], bytes ? LX_UINT8 : LX_FLOAT32, 3, shape, error))
        memcpy(lx_storage_host(out->storage), found->first.samples,
               lx_plane_bytes(&found->first) * (size_t)found->channels);
    free(found->first.samples);
    if (error->code)
        return lx_raise(L, error);
    push_info(L, info, dicom, identifiers);
    return 2;
}

static lx_read_options read_options(lua_State *L, int arg)
{
    return (lx_read_options){.channels = (int)lx_opt_integer(L, arg, "channels", 1, 0, 3),
                             .as = lx_opt_flag(L, arg, "bytes") ? LX_AS_BYTES : LX_AS_STORED,
                             .raw = lx_opt_flag(L, arg, "raw"),
                             .as_stored = lx_opt_flag(L, arg, "as_stored"),
                             .prefer_window = lx_opt_flag(L, arg, "prefer_window"),
                             .frame = (int)lx_opt_integer(L, arg, "frame", 0, 0, INT32_MAX) - 1};
}

/* load_image(path, {channels, bytes, raw, as_stored, prefer_window, frame, identifiers}) -> uint8 or float32 [C,H,W],
 * info; or nil, message, code */
static int l_load_image(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_image_info info;
    lx_dicom dicom;
    lx_picture found;
    lua_settop(L, 2);
    const char *path = lx_check_string(L, 1);
    const lx_read_options options = read_options(L, 2);
    const bool identifiers = lx_opt_flag(L, 2, "identifiers");
    lx_tensor *out = lx_push_tensor(L);
    if (lx_image_read(path, &options, &found, &info, &dicom, &error))
        return lx_refuse(L, &error);
    return push_picture_of(L, out, &found, &info, &dicom, identifiers, &error);
}

/* Files that are read by several threads, and their pictures until they are tensors: a userdata, so that errors do not
   leak them. */
typedef struct {
    lx_picture picture;
    lx_image_info info;
    lx_dicom dicom;
    lx_error error;
} film;

typedef struct {
    const char *const *paths;
    lx_read_options options;
    long count;
    film films[];
} films;

#define FILMS "luxel.Films"

static int l_films_gc(lua_State *L)
{
    films *all = luaL_checkudata(L, 1, FILMS);
    for (long i = 0; i < all->count; i++) {
        free(all->films[i].picture.first.samples);
        all->films[i].picture.first.samples = NULL;
    }
    return 0;
}

static void read_film(void *work, long i)
{
    films *all = work;
    film *one = &all->films[i];
    if (lx_image_read(all->paths[i], &all->options, &one->picture, &one->info, &one->dicom, &one->error))
        one->picture.first.samples = NULL;
}

static void push_film(lua_State *L, film *one, bool identifiers)
{
    lx_error error = {.code = LX_OK};
    lua_createtable(L, 0, 2);
    if (one->error.code) {
        lua_pushstring(L, one->error.text);
        lua_setfield(L, -2, "message");
        lua_pushstring(L, lx_code_name(one->error.code));
        lua_setfield(L, -2, "code");
        return;
    }
    const lx_picture found = one->picture;
    lx_tensor *out = lx_push_tensor(L);
    one->picture.first.samples = NULL; /* the next call frees it, whatever happens */
    push_picture_of(L, out, &found, &one->info, &one->dicom, identifiers, &error);
    lua_setfield(L, -3, "info");
    lua_setfield(L, -2, "image");
}

/* load_images(paths, options) -> {{image =, info =} | {message =, code =}, ...}: as load_image, several files at a
   time */
static int l_load_images(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long count;
    lua_settop(L, 2);
    const lx_read_options options = read_options(L, 2);
    const bool identifiers = lx_opt_flag(L, 2, "identifiers");
    const char **paths = lx_check_paths(L, 1, 1, 4096, &count);
    films *all = lua_newuserdatauv(L, sizeof *all + (size_t)count * sizeof *all->films, 0);
    all->paths = paths;
    all->options = options;
    all->count = count;
    for (long i = 0; i < count; i++) {
        all->films[i].picture.first.samples = NULL;
        all->films[i].error.code = LX_OK;
    }
    if (luaL_newmetatable(L, FILMS)) {
        lua_pushcfunction(L, l_films_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (lx_pool_run(lx_begin_work(L), count, read_film, all, &error))
        return lx_raise(L, &error);
    lua_createtable(L, (int)count, 0);
    for (long i = 0; i < count; i++) {
        push_film(L, &all->films[i], identifiers);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* decode_image(bytes, options, name) -> the same of a file in memory; the name is for messages */
static int l_decode_image(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_image_info info;
    lx_dicom dicom;
    lx_picture found;
    size_t size;
    lua_settop(L, 3);
    const char *bytes = lx_check_lstring(L, 1, &size);
    const lx_read_options options = read_options(L, 2);
    const bool identifiers = lx_opt_flag(L, 2, "identifiers");
    const lx_input in = {lx_check_string(L, 3), (const uint8_t *)bytes, size, &error, NULL};
    lx_tensor *out = lx_push_tensor(L);
    if (size > LX_IMAGE_MAX_BYTES)
        return lx_mistake(L, "decode: bytes: %I bytes are more than the %d that an image may have", (LUAI_UACINT)size,
                          LX_IMAGE_MAX_BYTES);
    if (lx_image_read_memory(&in, &options, &found, &info, &dicom))
        return lx_refuse(L, &error);
    return push_picture_of(L, out, &found, &info, &dicom, identifiers, &error);
}

/* probe_image(path, {identifiers, as_stored}) -> info; or nil, message, code */
static int l_probe_image(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_image_info info;
    lx_dicom dicom;
    lua_settop(L, 2);
    if (lx_image_probe(lx_check_string(L, 1), lx_opt_flag(L, 2, "as_stored"), &info, &dicom, &error))
        return lx_refuse(L, &error);
    push_info(L, &info, &dicom, lx_opt_flag(L, 2, "identifiers"));
    return 1;
}

/* image_formats() -> {{name, extensions}, ...}: a list of words, without dots */
static int l_image_formats(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; lx_formats[i]; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, lx_formats[i]->name);
        lua_setfield(L, -2, "name");
        lua_newtable(L);
        int count = 0;
        for (const char *at = lx_formats[i]->extensions; *at; at += strspn(at, " ")) {
            const size_t length = strcspn(at, " ");
            lua_pushlstring(L, at, length);
            lua_rawseti(L, -2, ++count);
            at += length;
        }
        lua_setfield(L, -2, "extensions");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* write_png(path, image) -> true; or nil, message, code */
static int l_write_png(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    const char *path = lx_check_string(L, 1);
    const picture image = push_picture(L, 2);
    if (lx_png_write(path, image.pixels, image.width, image.height, image.channels, &error))
        return lx_refuse(L, &error);
    lua_pushboolean(L, 1);
    return 1;
}

/* encode_png(image) -> the bytes of a PNG */
static int l_encode_png(lua_State *L)
{
    const picture image = push_picture(L, 1);
    size_t size;
    uint8_t *png = lx_png_encode(image.pixels, image.width, image.height, image.channels, &size);
    if (!png)
        return lx_mistake(L, "encode_png: out of memory for %d x %d pixels", image.height, image.width);
    void *copy = lua_newuserdatauv(L, size, 0); /* in Lua's memory first: pushing a string may raise */
    memcpy(copy, png, size);
    free(png);
    lua_pushlstring(L, copy, size);
    return 1;
}

static void check_colour(lua_State *L, int arg, uint8_t colour[3])
{
    lx_check_type(L, arg, LUA_TTABLE);
    for (int i = 0; i < 3; i++) {
        lua_geti(L, arg, i + 1);
        const lua_Integer value = lx_check_integer(L, -1);
        lx_argcheck(L, value >= 0 && value <= 255, arg, "a colour is {red, green, blue}, each from 0 to 255");
        colour[i] = (uint8_t)value;
        lua_pop(L, 1);
    }
}

/* A coordinate: far outside the image is allowed and clipped, but must fit an int with room to add. */
static int check_coordinate(lua_State *L, int arg)
{
    const lua_Integer value = lx_check_integer(L, arg);
    lx_argcheck(L, value > -(1 << 24) && value < (1 << 24), arg, "coordinate is out of range");
    return (int)value;
}

/* draw_text(image, x, y, text, colour, scale) -> a new image */
static int l_draw_text(lua_State *L)
{
    uint8_t colour[3];
    const picture image = push_picture(L, 1);
    const int x = check_coordinate(L, 2), y = check_coordinate(L, 3);
    const char *text = lx_check_string(L, 4);
    check_colour(L, 5, colour);
    const lua_Integer scale = luaL_opt(L, lx_check_integer, 6, 1);
    lx_argcheck(L, scale >= 1 && scale <= 64, 6, "scale must be from 1 to 64");
    lx_image_draw_text(image.pixels, image.width, image.height, image.channels, x, y, (int)scale, text, colour);
    push_image(L, &image);
    return 1;
}

/* text_size(text, scale) -> width, height in pixels */
static int l_text_size(lua_State *L)
{
    const char *text = lx_check_string(L, 1);
    const lua_Integer scale = luaL_opt(L, lx_check_integer, 2, 1);
    lx_argcheck(L, scale >= 1 && scale <= 64, 2, "scale must be from 1 to 64");
    lua_pushinteger(L, lx_image_text_width(text, (int)scale));
    lua_pushinteger(L, lx_image_text_height(text, (int)scale));
    return 2;
}

/* fill_rect(image, x, y, width, height, colour, alpha) -> a new image */
static int l_fill_rect(lua_State *L)
{
    uint8_t colour[3];
    const picture image = push_picture(L, 1);
    const int x = check_coordinate(L, 2), y = check_coordinate(L, 3);
    const int width = check_coordinate(L, 4), height = check_coordinate(L, 5);
    check_colour(L, 6, colour);
    const float alpha = (float)lx_check_number(L, 7);
    lx_image_fill_rect(image.pixels, image.width, image.height, image.channels, x, y, width, height, colour, alpha);
    push_image(L, &image);
    return 1;
}

/* draw_rect(image, x, y, width, height, colour, thickness) -> a new image */
static int l_draw_rect(lua_State *L)
{
    uint8_t colour[3];
    const picture image = push_picture(L, 1);
    const int x = check_coordinate(L, 2), y = check_coordinate(L, 3);
    const int width = check_coordinate(L, 4), height = check_coordinate(L, 5);
    check_colour(L, 6, colour);
    const int thickness = (int)luaL_opt(L, lx_check_integer, 7, 1);
    lx_image_draw_rect(image.pixels, image.width, image.height, image.channels, x, y, width, height, thickness, colour);
    push_image(L, &image);
    return 1;
}

/* decode_images(paths, size, lungs) -> uint8 [n,1,size,size], {true|false, ...}, {false|message, ...}, {false|code,
   ...}, {hash, ...} of the decoded pixels; or nil, message, code where memory ran out, which says nothing about the
   file */
static int l_decode_images(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long count;
    const bool lungs = lua_toboolean(L, 3); /* before the list of paths takes its place, where it is left out */
    const char **paths = lx_check_paths(L, 1, 1, 4096, &count);
    const lua_Integer size = lx_check_integer(L, 2);
    lx_argcheck(L, size >= 1 && size <= 4096, 2, "size must be from 1 to 4096");
    lx_error *errors = lua_newuserdatauv(L, sizeof *errors * (size_t)count, 0);
    uint64_t *hashes = lua_newuserdatauv(L, sizeof *hashes * (size_t)count, 0);
    const long shape[] = {count, 1, (long)size, (long)size};
    const size_t bytes = (size_t)count * (size_t)size * (size_t)size;
    lx_device *device = lx_get_context(L)->devices[0];
    uint8_t *pixels = lua_newuserdatauv(L, bytes, 0);
    lx_tensor *out = lx_push_tensor(L);
    if (lx_decode_images(paths, (int)count, (int)size, lungs, lx_begin_work(L), pixels, hashes, errors, &error) ||
        lx_tensor_new(out, device, LX_UINT8, 4, shape, &error) ||
        lx_storage_write(out->storage, 0, pixels, bytes, &error))
        return lx_raise(L, &error);
    for (long i = 0; i < count; i++)
        if (errors[i].code == LX_ENOMEM)
            return lx_refuse(L, &errors[i]);
    for (int list = 0; list < 4; list++)
        lua_createtable(L, (int)count, 0);
    for (long i = 0; i < count; i++) {
        const bool bad = errors[i].code != LX_OK;
        lua_pushboolean(L, !bad);
        lua_rawseti(L, -5, i + 1);
        bad ? (void)lua_pushstring(L, errors[i].text) : lua_pushboolean(L, 0);
        lua_rawseti(L, -4, i + 1);
        bad ? (void)lua_pushstring(L, lx_code_name(errors[i].code)) : lua_pushboolean(L, 0);
        lua_rawseti(L, -3, i + 1);
        lua_pushinteger(L, (lua_Integer)hashes[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 5;
}

const luaL_Reg lx_image_functions[] = {
    {"load_image", l_load_image},
    {"load_images", l_load_images},
    {"probe_image", l_probe_image},
    {"write_png", l_write_png},
    {"encode_png", l_encode_png},
    {"decode_image", l_decode_image},
    {"image_formats", l_image_formats},
    {"draw_text", l_draw_text},
    {"text_size", l_text_size},
    {"fill_rect", l_fill_rect},
    {"draw_rect", l_draw_rect},
    {"decode_images", l_decode_images},
    {NULL, NULL},
};
