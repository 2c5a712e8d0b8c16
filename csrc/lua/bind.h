/* What the binding files share: the library's state, tensor arguments and results, and errors. */
#ifndef LX_BIND_H
#define LX_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "../base/pool.h"
#include "../ops/ops.h"

#define LX_TENSOR "luxel.tensor"
#define LX_SHAPE "luxel.shape" /* the lists of sizes that tensors give */

enum { LX_MAX_DEVICES = 16 };

/* All that the library keeps, one for each lua_State: userdata in the registry, first upvalue of every function. */
typedef struct {
    lua_State *L;
    lx_device *devices[LX_MAX_DEVICES];
    int count;
    char alias[64]; /* the last name that was not a label, and the device that it means */
    lx_device *aliased;
    lx_error raised;   /* the last error that lx_raise made a Lua error of */
    lua_State *caller; /* of the work under way, which may be given up; NULL: there is none */
    lua_Hook hook;     /* that it had when the work began */
    bool collecting;
    bool exact;                 /* see lx_device.exact */
    bool tidying;               /* new tensors are noted in the table that core.tidy set */
    unsigned long seed, stream; /* of the random numbers: see csrc/ops/random.c */
} lx_context;

lx_context *lx_get_context(lua_State *L);

/* Adds a device that the context then owns and that asks it for memory. */
void lx_adopt_device(lx_context *context, lx_device *device);
/* Work on the cpu begins, for a call whose results are not used if it fails: from here to lx_results, lx_raise or
 * lx_refuse it can be interrupted. How: a hook that is set meanwhile, as lua5.4 sets one at Ctrl-C, is run, and if it
 * raises an error the work fails with it. Returns the threads for the work. */
lx_pool *lx_begin_work(lua_State *L);
/* The device named by the argument, opened if need be; the cpu where it is absent. Raises if there is none. */
lx_device *lx_check_device(lua_State *L, int arg);

/* ---- errors: csrc/lua/errors.c ------------------------------------------------------------------------------ */

/* Pushes "file:line: " of the innermost Lua function outside the library; "" where there is none. */
void lx_push_place(lua_State *L);
/* Raises the error at the user's line. A memory error raises too: arithmetic has no other way to say it. */
int lx_raise(lua_State *L, const lx_error *error);
/* Keeps the error for core.error_code, and ends the work that the host was doing. */
void lx_note_raised(lua_State *L, const lx_error *error);
/* Pushes what a hook raised to end the work, once; returns its type. */
int lx_push_interrupt(lua_State *L);
/* Raises a mistake at the user's line. Formats are lua_pushfstring's. */
int lx_mistake(lua_State *L, const char *format, ...);
int lx_arg_mistake(lua_State *L, int arg, const char *message);
#define lx_argcheck(L, condition, arg, message) ((void)((condition) || lx_arg_mistake(L, arg, message)))
/* As luaL_check..., but numbers and strings do not stand for each other. */
lua_Integer lx_check_integer(lua_State *L, int arg);
lua_Number lx_check_number(lua_State *L, int arg);
const char *lx_check_string(lua_State *L, int arg);
const char *lx_check_lstring(lua_State *L, int arg, size_t *length);
void lx_check_type(lua_State *L, int arg, int type);
void *lx_check_udata(lua_State *L, int arg, const char *type);
int lx_check_option(lua_State *L, int arg, const char *absent, const char *const options[]);
/* The strings of a table of `least` to `most` of them, which keeps them alive; the array is on the stack. */
const char **lx_check_paths(lua_State *L, int arg, long least, long most, long *count);
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

/* Pushes autograd's table of the tensor, or nil. */
void lx_push_slot(lua_State *L, int arg);
bool lx_requires_grad(lua_State *L, int arg);
/* Whether there is a recorded history that writing into the tensor would have to become a part of: its own, or that of
 * the tensor that it is a view of. */
bool lx_changes_history(lua_State *L, int arg);

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
/* A field that is a whole number from least to most. */
lua_Integer lx_opt_integer(lua_State *L, int arg, const char *name, lua_Integer absent, lua_Integer least,
                           lua_Integer most);
bool lx_opt_flag(lua_State *L, int arg, const char *name);
/* A name of kernels/activation.h, or nil. */
int lx_opt_activation(lua_State *L, int arg);
/* A field that is a number for both, or {height, width}. */
void lx_pair_field(lua_State *L, int arg, const char *name, int absent, int pair[2]);

/* ---- the files' function lists ------------------------------------------------------------------------------ */

void lx_set_functions(lua_State *L, const luaL_Reg *functions); /* into the table on top, with the context */
extern const luaL_Reg lx_error_functions[], lx_device_functions[], lx_tensor_functions[], lx_op_functions[],
    lx_reduce_functions[], lx_layer_functions[], lx_nn_functions[], lx_image_functions[], lx_file_functions[],
    lx_opencl_functions[], lx_recording_functions[], lx_loader_functions[], lx_geometry_functions[],
    lx_enhance_functions[], lx_pipeline_functions[], lx_survey_functions[], lx_metrics_functions[],
    lx_detection_functions[], lx_process_functions[];
void lx_register_tensor(lua_State *L); /* the metatable; leaves nothing on the stack */
void lx_register_recording(lua_State *L);
void lx_register_loader(lua_State *L);
void lx_register_pipeline(lua_State *L);

#endif
