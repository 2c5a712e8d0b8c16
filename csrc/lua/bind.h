/* What the binding files share: the library's state, tensor arguments and results, and errors. */
#ifndef LX_BIND_H
#define LX_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "../ops/ops.h"

#define LX_TENSOR "luxel.tensor"

enum { LX_MAX_DEVICES = 16 };

/* All that the library keeps, one for each lua_State: userdata in the registry, first upvalue of every function. */
typedef struct {
    lua_State *L;
    lx_device *devices[LX_MAX_DEVICES];
    int count;
    char alias[64]; /* the last name that was not a label, and the device that it means */
    lx_device *aliased;
    lx_error raised; /* the last error that lx_raise made a Lua error of */
    bool collecting;
    bool exact; /* see lx_device.exact */
    bool tidying; /* new tensors are noted in the table that core.tidy set */
    unsigned long seed, stream; /* of the random numbers: see csrc/ops/random.c */
} lx_context;

lx_context *lx_get_context(lua_State *L);

/* Adds a device that the context then owns and that asks it for memory. */
void lx_adopt_device(lx_context *context, lx_device *device);
/* The device named by the argument, opened if need be; the cpu where it is absent. Raises if there is none. */
lx_device *lx_check_device(lua_State *L, int arg);

/* Pushes "file:line: " of the innermost Lua function outside the library; "" where there is none. */
void lx_push_place(lua_State *L);
/* Raises the error as a Lua error. A memory error raises too: arithmetic has no other way to say it. */
int lx_raise(lua_State *L, const lx_error *error);
/* Returns nil, message, code for what the world did; raises the programmer's mistakes. */
int lx_refuse(lua_State *L, const lx_error *error);

/* ---- tensors ------------------------------------------------------------------------------------------------ */

/* A tensor argument in the plain layout. A blocked one is converted where it stands, once. */
lx_tensor *lx_check_tensor(lua_State *L, int arg);
/* A tensor argument in whichever layout it has. */
lx_tensor *lx_check_any(lua_State *L, int arg);
/* NULL if the argument is nil or absent. */
lx_tensor *lx_opt_tensor(lua_State *L, int arg);
lx_tensor *lx_opt_any(lua_State *L, int arg);
/* The tensor if the value is one, else NULL. */
lx_tensor *lx_test_tensor(lua_State *L, int arg);
void lx_make_plain(lua_State *L, lx_tensor *tensor);

/* Pushes a new empty tensor for an operation to fill. Inside a tidy it is noted there. */
lx_tensor *lx_push_tensor(lua_State *L);
/* For the end of a binding: raises if the operation failed, else returns the number of results. */
int lx_results(lua_State *L, lx_code code, const lx_error *error, int results);

/* A dimension argument, from 1 or from the end, as counted from 0. */
int lx_check_dim(lua_State *L, int arg, int ndim);
/* A table of sizes; returns how many. */
int lx_check_shape(lua_State *L, int arg, long *shape);
lx_dtype lx_check_dtype(lua_State *L, int arg, lx_dtype absent);
void lx_push_shape(lua_State *L, int ndim, const long *shape);

/* Option fields of a table argument (absent table: the defaults). */
double lx_opt_field(lua_State *L, int arg, const char *name, double absent);
bool lx_opt_flag(lua_State *L, int arg, const char *name);
/* A field that is a number for both, or {height, width}. */
void lx_pair_field(lua_State *L, int arg, const char *name, int absent, int pair[2]);

/* ---- the files' function lists ------------------------------------------------------------------------------ */

void lx_set_functions(lua_State *L, const luaL_Reg *functions); /* into the table on top, with the context */
extern const luaL_Reg lx_device_functions[], lx_tensor_functions[], lx_op_functions[], lx_reduce_functions[],
    lx_layer_functions[], lx_nn_functions[], lx_image_functions[], lx_file_functions[],
    lx_opencl_functions[], lx_recording_functions[], lx_loader_functions[],
    lx_geometry_functions[], lx_enhance_functions[], lx_pipeline_functions[],
    lx_survey_functions[];
void lx_register_tensor(lua_State *L); /* the metatable; leaves nothing on the stack */
void lx_register_recording(lua_State *L);
void lx_register_loader(lua_State *L);
void lx_register_pipeline(lua_State *L);

#endif
