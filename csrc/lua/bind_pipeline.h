/* Pipelines as arguments of other bindings. */
#ifndef LX_LUA_PIPELINE_H
#define LX_LUA_PIPELINE_H

#include "../data/pipeline.h"
#include "bind.h"

lx_pipeline *lx_check_pipeline(lua_State *L, int arg);

#endif
