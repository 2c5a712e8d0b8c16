/* Image arguments and results for the bindings of what works on planes (csrc/image/plane.h). */
#ifndef LX_PLANES_H
#define LX_PLANES_H

#include "../image/plane.h"
#include "../image/plane.h"
#include "bind.h"

/* All planes of one tensor, one after the other. */
typedef struct {
    lx_plane first; /* the others have the same size and type, and follow it without gaps */
    long count;
    int ndim;
    long shape[LX_MAX_DIMS];
} lx_planes;

static inline lx_plane lx_plane_at(const lx_planes *planes, long i)
{
    lx_plane plane = planes->first;
    plane.samples = (char *)plane.samples + (size_t)i * lx_plane_bytes(&plane);
    return plane;
}

/* An image argument: [H,W], [C,H,W] or [N,C,H,W], uint8 or float32, on the cpu. One with gaps is copied; the copy
   stands on the stack, in place of the argument. */
lx_planes lx_check_planes(lua_State *L, int arg);

/* Pushes a new tensor of as many planes as `like`, of this type and size. */
lx_planes lx_push_planes(lua_State *L, const lx_planes *like, lx_plane_type type, int height, int width);

/* What is done to each plane; `params` is the caller's. */
typedef lx_code lx_plane_function(const lx_plane *in, lx_plane *out, const void *params, lx_error *error);

/* Does it, several planes at a time. Raises the first error. */
void lx_each_plane(lua_State *L, const lx_planes *in, const lx_planes *out, lx_plane_function *function,
                   const void *params);

/* The same size and type as the argument, which is what most functions give: returns 1, the tensor on the stack. */
int lx_map_planes(lua_State *L, int arg, lx_plane_function *function, const void *params);

#endif
