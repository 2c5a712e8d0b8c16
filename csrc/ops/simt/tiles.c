#include "tiles.h"

enum { PITCH = 4 }; /* PITCH: as in the kernels, added to a line of a copy */

int lx_tile_items(const lx_tile *tile)
{
    return tile->m / tile->item_m * (tile->n / tile->item_n);
}

bool lx_tile_fits(const lx_device *device, const lx_tile *tile, long rows, long columns)
{
    const size_t copies = 2 * (size_t)tile->k * (size_t)(tile->m + tile->n + 2 * PITCH) * sizeof(float);
    if (copies > device->gpu.local_memory || lx_tile_items(tile) > device->gpu.most_group)
        return false;
    return (tile->m == LX_LEAST_TILE || tile->m < 2 * rows) && (tile->n == LX_LEAST_TILE || tile->n < 2 * columns);
}

lx_code lx_no_tile(const lx_device *device, const char *operation, lx_error *error)
{
    return lx_fail(error, LX_EDEVICE,
                   "%s: %s (%s) has too little local memory (%zu bytes) or too small work-groups (%d "
                   "work-items) for it; use another device",
                   operation, device->label, device->name, device->gpu.local_memory, device->gpu.most_group);
}

double lx_tile_speed(const lx_device *device, const lx_tile *tile)
{
    const int kept = tile->item_m * tile->item_n + 2 * (tile->item_m + tile->item_n) +
                     tile->k * (tile->m + tile->n) / lx_tile_items(tile); /* sums, operands, what is on its way */
    return kept <= device->gpu.registers ? tile->speed : tile->speed * 0.3;
}

lx_build_options lx_tile_options(const lx_tile *tile)
{
    return (lx_build_options){
        .tile_m = tile->m, .tile_n = tile->n, .tile_k = tile->k, .item_m = tile->item_m, .item_n = tile->item_n};
}
