/* Bindings of image files, drawing, and files written safely. */
#include "bind.h"

const luaL_Reg lx_image_functions[] = {
    {NULL, NULL},
};
