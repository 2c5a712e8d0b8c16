#include "forms.h"

static const lx_form_ops tables[LX_FORMS] = {
    [LX_TILE] = {&lx_conv2d_tile, &lx_reduce_tile, &lx_batch_norm_tile, lx_multiply_tile, lx_run_rows_tile},
    [LX_SIMT] = {&lx_conv2d_simt, &lx_reduce_simt, &lx_batch_norm_simt, lx_multiply_simt, lx_run_rows_simt},
};

const lx_form_ops *lx_form_ops_of(const lx_tensor *tensor)
{
    return &tables[tensor->storage->device->form];
}
