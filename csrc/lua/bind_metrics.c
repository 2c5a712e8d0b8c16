/* Bindings of what metrics compute many times over. */
#include "bind.h"

#include <limits.h>

#include "../metrics/cholesky.h"
#include "../metrics/resample.h"
#include "planes.h"

/* The sample of the tables on the stack; its arrays are userdata behind them. */
static lx_sample check_sample(lua_State *L)
{
    for (int i = 1; i <= 3; i++)
        lx_check_type(L, i, LUA_TTABLE);
    const lua_Integer images = luaL_len(L, 1), units = luaL_len(L, 3);
    lx_argcheck(L, images >= 1 && images <= INT_MAX / 64 && luaL_len(L, 2) == images, 2,
                "expected a label for each score");
    lx_argcheck(L, units >= 1 && units <= images, 3, "expected lists of images");
    double *scores = lua_newuserdatauv(L, sizeof *scores * (size_t)images, 0);
    uint8_t *labels = lua_newuserdatauv(L, (size_t)images, 0);
    int32_t *first = lua_newuserdatauv(L, sizeof *first * (size_t)(units + 1), 0);
    int32_t *members = lua_newuserdatauv(L, sizeof *members * (size_t)images, 0);
    int32_t *weights = lua_newuserdatauv(L, sizeof *weights * (size_t)images, 0);
    for (lua_Integer i = 0; i < images; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawgeti(L, 2, i + 1);
        scores[i] = lx_check_number(L, -2);
        labels[i] = lx_check_number(L, -1) == 1;
        lua_pop(L, 2);
    }
    int32_t count = 0;
    for (lua_Integer u = 0; u < units; u++) {
        first[u] = count;
        lua_rawgeti(L, 3, u + 1);
        lx_check_type(L, -1, LUA_TTABLE);
        for (lua_Integer k = 1; k <= luaL_len(L, -1); k++) {
            lua_rawgeti(L, -1, k);
            const lua_Integer image = lx_check_integer(L, -1);
            lx_argcheck(L, image >= 1 && image <= images && count < images, 3, "an image is out of range");
            members[count++] = (int32_t)(image - 1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    first[units] = count;
    return (lx_sample){(long)images, (long)units, scores, labels, first, members, weights};
}

/* resample(scores, labels, units, threshold, state, count, tries) -> state, tries that are left, {tp, fp, tn, fn, area
   of the first, ...}. The scores ascend; the units are lists of places. Ends after `count` resamples that have both
   classes, or when no tries are left. */
static int l_resample(lua_State *L)
{
    lua_settop(L, 7);
    const lx_sample sample = check_sample(L);
    const double threshold = lx_check_number(L, 4);
    uint64_t state = (uint64_t)lx_check_integer(L, 5);
    const lua_Integer count = lx_check_integer(L, 6);
    lua_Integer tries = lx_check_integer(L, 7), done = 0;
    lua_newtable(L);
    while (done < count && tries > 0) {
        lx_resampled found;
        tries--;
        if (!lx_resample(&sample, threshold, &state, &found))
            continue;
        const double numbers[] = {found.true_positives, found.false_positives, found.true_negatives,
                                  found.false_negatives, found.area};
        for (int i = 0; i < 5; i++) {
            lua_pushnumber(L, numbers[i]);
            lua_rawseti(L, -2, 5 * done + i + 1);
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

const luaL_Reg lx_metrics_functions[] = {{"resample", l_resample}, {"solve_positive", l_solve_positive}, {NULL, NULL}};
