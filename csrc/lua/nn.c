/* Bindings of what networks are made of: convolution, pooling, normalisation, losses, optimiser steps. */
#include "bind.h"

const luaL_Reg lx_nn_functions[] = {
    {NULL, NULL},
};
