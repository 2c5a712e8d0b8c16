#include "layer_table.h"

/* LAYERS(X), X(NAME) of each file of csrc/ops/layers/, is what the Makefile found there. */
#define DECLARE(name) extern const lx_layer lx_layer_##name;
LAYERS(DECLARE)

#define ROW(name) &lx_layer_##name,
const lx_layer *const lx_layers[] = {LAYERS(ROW) NULL};
