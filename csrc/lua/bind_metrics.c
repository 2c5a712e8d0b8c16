/* Bindings of what metrics compute many times over. */
#include "bind.h"

#include <limits.h>
#include <math.h>

#include "../metrics/cholesky.h"
#include "../metrics/resample.h"
#include "planes.h"

#define LX_FIGURES_AT_ONCE 8
#define LX_MOST 1000000

/* A new array of the whole numbers from 1 to `most` in a list, less 1; a userdata on the stack. */
static int32_t *check_places(lua_State *L, int list, lua_Integer count, lua_Integer most)
{
    int32_t *out = lua_newuserdatauv(L, sizeof *out * (size_t)count, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        const lua_Integer place = lx_check_integer(L, -1);
        lx_argcheck(L, place >= 1 && place <= most, list, "a place is out of range");
        out[i] = (int32_t)(place - 1);
        lua_pop(L, 1);
    }
    return out;
}

static double *check_numbers(lua_State *L, int list, lua_Integer count)
{
    double *out = lua_newuserdatauv(L, sizeof *out * (size_t)count, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        out[i] = lx_check_number(L, -1);
        lua_pop(L, 1);
    }
    return out;
}

/* The sample of the labels and units at the bottom of the stack; its arrays are userdata on top. */
static lx_sample check_sample(lua_State *L)
{
    lx_check_type(L, 1, LUA_TTABLE);
    lx_check_type(L, 2, LUA_TTABLE);
    const lua_Integer images = luaL_len(L, 1), units = luaL_len(L, 2);
    lx_argcheck(L, images >= 1 && images <= INT_MAX / 64, 1, "expected labels");
    lx_argcheck(L, units >= 1 && units <= images, 2, "expected lists of images");
    uint8_t *labels = lua_newuserdatauv(L, (size_t)images, 0);
    int32_t *first = lua_newuserdatauv(L, sizeof *first * (size_t)(units + 1), 0);
    int32_t *members = lua_newuserdatauv(L, sizeof *members * (size_t)images, 0);
    int32_t *weights = lua_newuserdatauv(L, sizeof *weights * (size_t)images, 0);
    for (lua_Integer i = 0; i < images; i++) {
        lua_rawgeti(L, 1, i + 1);
        labels[i] = lx_check_number(L, -1) == 1;
        lua_pop(L, 1);
    }
    int32_t count = 0;
    for (lua_Integer u = 0; u < units; u++) {
        first[u] = count;
        lua_rawgeti(L, 2, u + 1);
        lx_check_type(L, -1, LUA_TTABLE);
        for (lua_Integer k = 1; k <= luaL_len(L, -1); k++) {
            lua_rawgeti(L, -1, k);
            const lua_Integer image = lx_check_integer(L, -1);
            lx_argcheck(L, image >= 1 && image <= images && count < images, 2, "an image is out of range");
            members[count++] = (int32_t)(image - 1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    first[units] = count;
    return (lx_sample){(long)images, (long)units, labels, first, members, weights, 0, 0};
}

/* The figure of the table on top of the stack, {kind, scores, images, threshold}; its arrays stay on the stack. */
static lx_figure check_figure(lua_State *L, lua_Integer images)
{
    lx_check_type(L, -1, LUA_TTABLE);
    const int table = lua_gettop(L);
    lua_rawgeti(L, table, 1);
    const lua_Integer kind = lx_check_integer(L, -1);
    lx_argcheck(L, kind >= 0 && kind < LX_FIGURES, 3, "there is no such figure");
    lua_rawgeti(L, table, 4);
    const double threshold = lx_check_number(L, -1);
    lua_rawgeti(L, table, 2);
    lua_rawgeti(L, table, 3);
    lx_check_type(L, -2, LUA_TTABLE);
    lx_check_type(L, -1, LUA_TTABLE);
    const int scores = lua_gettop(L) - 1;
    lx_argcheck(L, luaL_len(L, scores) == images && luaL_len(L, scores + 1) == images, 3,
                "expected a score and a place for each label");
    const double *numbers = check_numbers(L, scores, images);
    return (lx_figure){(lx_figure_kind)kind, threshold, numbers, check_places(L, scores + 1, images, images)};
}

/* resample(labels, units, figures, both, state, count, tries) -> state, tries that are left, {the numbers of the first
   resample, ...}. Units are lists of places; figures {kind, scores, places, threshold} each, kinds as in
   lx_figure_kind. Ends after `count` resamples, which have both classes if `both`, or when no tries are left. */
static int l_resample(lua_State *L)
{
    lua_settop(L, 7);
    luaL_checkstack(L, 8 + 8 * LX_FIGURES_AT_ONCE, "figures");
    lx_sample sample = check_sample(L);
    lx_check_type(L, 3, LUA_TTABLE);
    const lua_Integer figures = luaL_len(L, 3);
    lx_argcheck(L, figures >= 1 && figures <= LX_FIGURES_AT_ONCE, 3, "expected figures");
    lx_figure list[LX_FIGURES_AT_ONCE];
    for (lua_Integer f = 0; f < figures; f++) {
        lua_rawgeti(L, 3, f + 1);
        list[f] = check_figure(L, sample.images);
    }
    const bool both = lua_toboolean(L, 4);
    uint64_t state = (uint64_t)lx_check_integer(L, 5);
    const lua_Integer count = lx_check_integer(L, 6);
    lua_Integer tries = lx_check_integer(L, 7), done = 0, place = 0;
    lx_argcheck(L, count <= LX_MOST && tries <= 100 * LX_MOST, 6, "too many");
    lua_newtable(L);
    while (done < count && tries > 0) {
        tries--;
        if (!lx_resample(&sample, both, &state))
            continue;
        for (lua_Integer f = 0; f < figures; f++) {
            double numbers[LX_FIGURE_MOST];
            lx_figure_of(&sample, &list[f], numbers);
            for (int i = 0; i < lx_figure_numbers(list[f].kind); i++) {
                lua_pushnumber(L, numbers[i]);
                lua_rawseti(L, -2, ++place);
            }
        }
        done++;
    }
    lua_pushinteger(L, (lua_Integer)state);
    lua_pushinteger(L, tries);
    lua_rotate(L, -3, 2);
    return 3;
}

static lx_planes check_column(lua_State *L, int arg, long size)
{
    const lx_planes column = lx_check_planes(L, arg);
    lx_argcheck(L,
                column.count == 1 && column.first.type == LX_PLANE_F32 && column.first.height == size &&
                    column.first.width == 1,
                arg, "expected float32 [D,1]");
    return column;
}

/* solve_positive(matrix, diagonal, vector) -> float32 [D,1], or nil where the matrix is not positive definite: the
   solution x of (matrix + the diagonal) x = vector. float32 [D,D] and [D,1], D up to 4096 */
static int l_solve_positive(lua_State *L)
{
    enum { MOST = 4096 };
    const lx_planes matrix = lx_check_planes(L, 1);
    const long size = matrix.first.height;
    lx_argcheck(L, matrix.count == 1 && matrix.first.type == LX_PLANE_F32 && matrix.first.width == size && size <= MOST,
                1, "expected float32 [D,D], D up to 4096");
    const lx_planes diagonal = check_column(L, 2, size), vector = check_column(L, 3, size);
    double *a = lua_newuserdatauv(L, sizeof *a * (size_t)(size * size), 0);
    double *b = lua_newuserdatauv(L, sizeof *b * (size_t)size, 0);
    for (long i = 0; i < size * size; i++)
        a[i] = (double)((const float *)matrix.first.samples)[i];
    for (long i = 0; i < size; i++) {
        a[i * size + i] += (double)((const float *)diagonal.first.samples)[i];
        b[i] = (double)((const float *)vector.first.samples)[i];
    }
    if (!lx_solve_positive(a, b, size)) {
        lua_pushnil(L);
        return 1;
    }
    const lx_planes out = lx_push_planes(L, &vector, LX_PLANE_F32, (int)size, 1);
    for (long i = 0; i < size; i++)
        ((float *)out.first.samples)[i] = (float)b[i];
    return 1;
}

/* drawn_errors(bins, state, count) -> state, {calibration error of labels drawn from the probabilities, ...}. Bins are
   lists of probabilities. */
static int l_drawn_errors(lua_State *L)
{
    lua_settop(L, 3);
    lx_check_type(L, 1, LUA_TTABLE);
    const lua_Integer bins = luaL_len(L, 1);
    lx_argcheck(L, bins >= 1 && bins <= INT_MAX / 64, 1, "expected bins");
    int32_t *first = lua_newuserdatauv(L, sizeof *first * (size_t)(bins + 1), 0);
    lua_Integer images = 0;
    for (lua_Integer b = 0; b < bins; b++) {
        first[b] = (int32_t)images;
        lua_rawgeti(L, 1, b + 1);
        lx_check_type(L, -1, LUA_TTABLE);
        images += luaL_len(L, -1);
        lx_argcheck(L, images <= INT_MAX / 64, 1, "too many probabilities");
        lua_pop(L, 1);
    }
    first[bins] = (int32_t)images;
    double *probabilities = lua_newuserdatauv(L, sizeof *probabilities * (size_t)images, 0);
    for (lua_Integer b = 0; b < bins; b++) {
        lua_rawgeti(L, 1, b + 1);
        for (int32_t i = first[b]; i < first[b + 1]; i++) {
            lua_rawgeti(L, -1, i - first[b] + 1);
            probabilities[i] = lx_check_number(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    uint64_t state = (uint64_t)lx_check_integer(L, 2);
    const lua_Integer count = lx_check_integer(L, 3);
    lx_argcheck(L, count >= 0 && count <= LX_MOST, 3, "too many");
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_pushnumber(L, lx_drawn_error(probabilities, first, (long)bins, &state));
        lua_rawseti(L, -2, i);
    }
    lua_pushinteger(L, (lua_Integer)state);
    lua_insert(L, -2);
    return 2;
}

/* erfc(x): the complementary error function. */
static int l_erfc(lua_State *L)
{
    lua_pushnumber(L, erfc(lx_check_number(L, 1)));
    return 1;
}

const luaL_Reg lx_metrics_functions[] = {{"resample", l_resample},
                                         {"drawn_errors", l_drawn_errors},
                                         {"erfc", l_erfc},
                                         {"solve_positive", l_solve_positive},
                                         {NULL, NULL}};
