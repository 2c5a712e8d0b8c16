/* Bindings of what image files are like, for audits and checks of quality. */
#include "../data/survey.h"

#include <stdlib.h>
#include <string.h>

#include "planes.h"

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void push_measures(lua_State *L, const lx_measures *m)
{
    lua_createtable(L, 0, 11);
    set_number(L, "mean", m->mean);
    set_number(L, "deviation", m->deviation);
    set_number(L, "low", m->low);
    set_number(L, "middle", m->middle);
    set_number(L, "high", m->high);
    set_number(L, "black", m->black);
    set_number(L, "white", m->white);
    set_number(L, "sharpness", m->sharpness);
    set_integer(L, "hash", (lua_Integer)m->hash);
    lua_pushlstring(L, (const char *)m->thumbnail, sizeof m->thumbnail);
    lua_setfield(L, -2, "thumbnail");
    lua_createtable(L, LX_MEASURE_BINS, 0);
    for (int i = 0; i < LX_MEASURE_BINS; i++) {
        lua_pushinteger(L, m->histogram[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "histogram");
}

/* {{x, y, w, h, contrast}, ...} */
static void push_markers(lua_State *L, const lx_marker *markers, int count)
{
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_createtable(L, 0, 5);
        set_integer(L, "x", markers[i].x);
        set_integer(L, "y", markers[i].y);
        set_integer(L, "w", markers[i].width);
        set_integer(L, "h", markers[i].height);
        set_number(L, "contrast", markers[i].contrast);
        lua_rawseti(L, -2, i + 1);
    }
}

/* find_markers(image [1,H,W] or [H,W]) -> {{x, y, w, h, contrast}, ...} */
static int l_find_markers(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_marker markers[LX_MOST_MARKERS];
    int count;
    const lx_planes in = lx_check_planes(L, 1);
    lx_argcheck(L, in.count == 1, 1, "expected one channel");
    if (lx_find_markers(&in.first, markers, &count, &error))
        return lx_raise(L, &error);
    push_markers(L, markers, count);
    return 1;
}

/* measure(image [1,H,W] or [H,W]) -> {mean, deviation, low, middle, high, black, white, sharpness, hash, thumbnail,
 * histogram} */
static int l_measure(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    lx_measures measures;
    const lx_planes in = lx_check_planes(L, 1);
    lx_argcheck(L, in.count == 1, 1, "expected one channel");
    if (lx_measure(&in.first, &measures, &error))
        return lx_raise(L, &error);
    push_measures(L, &measures);
    return 1;
}

/* survey(paths) -> for each file what measure gives, and format, width, height, channels, bits, quantisation, bytes,
   coloured, file_hash, pixel_hash, reduced (28x28 bytes), markers (as find_markers); or {message, code}, where it
   cannot be read. nil, message, code where memory ran out, which says nothing about the files */
static int l_survey(lua_State *L)
{
    lx_error error = {.code = LX_OK};
    long count;
    const char **paths = lx_check_paths(L, 1, 1, 4096, &count);
    lx_survey *surveys = lua_newuserdatauv(L, sizeof *surveys * (size_t)count, 0);
    if (lx_survey_files(paths, count, lx_begin_work(L), surveys, &error))
        return lx_raise(L, &error);
    for (long i = 0; i < count; i++)
        if (surveys[i].error.code == LX_ENOMEM)
            return lx_refuse(L, &surveys[i].error);
    lua_createtable(L, (int)count, 0);
    for (long i = 0; i < count; i++) {
        const lx_survey *s = &surveys[i];
        if (s->error.code) {
            lua_createtable(L, 0, 2);
            lua_pushstring(L, s->error.text);
            lua_setfield(L, -2, "message");
            lua_pushstring(L, lx_code_name(s->error.code));
            lua_setfield(L, -2, "code");
        } else {
            push_measures(L, &s->measures);
            lua_pushstring(L, s->info.format);
            lua_setfield(L, -2, "format");
            set_integer(L, "width", s->info.width);
            set_integer(L, "height", s->info.height);
            set_integer(L, "channels", s->info.channels);
            set_integer(L, "bits", s->info.bits);
            set_number(L, "quantisation", s->info.quantisation);
            set_integer(L, "bytes", (lua_Integer)s->bytes);
            lua_pushlstring(L, (const char *)s->reduced, sizeof s->reduced);
            lua_setfield(L, -2, "reduced");
            push_markers(L, s->markers, s->marker_count);
            lua_setfield(L, -2, "markers");
            lua_pushboolean(L, s->coloured);
            lua_setfield(L, -2, "coloured");
            set_integer(L, "file_hash", (lua_Integer)s->file_hash);
            set_integer(L, "pixel_hash", (lua_Integer)s->pixel_hash);
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* near_hashes({hashes}, most) -> {{a, b, distance}, ...}: places of hashes that differ in at most so many bits, a < b
 */
static int l_near_hashes(lua_State *L)
{
    lx_check_type(L, 1, LUA_TTABLE);
    const long count = (long)luaL_len(L, 1);
    const int most = (int)lx_check_integer(L, 2);
    uint64_t *hashes = lua_newuserdatauv(L, sizeof *hashes * (size_t)count + 1, 0);
    for (long i = 0; i < count; i++) {
        lua_geti(L, 1, i + 1);
        hashes[i] = (uint64_t)lx_check_integer(L, -1);
        lua_pop(L, 1);
    }
    const long found = lx_near_hashes(hashes, count, most, NULL, 0);
    long(*pairs)[2] = lua_newuserdatauv(L, sizeof *pairs * (size_t)found + 1, 0);
    lx_near_hashes(hashes, count, most, pairs, found);
    lua_createtable(L, (int)(found < INT32_MAX ? found : 0), 0);
    for (long i = 0; i < found; i++) {
        const lua_Integer row[3] = {pairs[i][0] + 1, pairs[i][1] + 1,
                                    lx_hash_distance(hashes[pairs[i][0]], hashes[pairs[i][1]])};
        lua_createtable(L, 3, 0);
        for (int k = 0; k < 3; k++) {
            lua_pushinteger(L, row[k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

const luaL_Reg lx_survey_functions[] = {{"measure", l_measure},
                                        {"survey", l_survey},
                                        {"near_hashes", l_near_hashes},
                                        {"find_markers", l_find_markers},
                                        {NULL, NULL}};
