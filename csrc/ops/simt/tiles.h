/* Tiles of matrix products on GPUs, for products proper and for convolutions. */
#ifndef LX_TILES_H
#define LX_TILES_H

#include "../../device/device.h"

/* How a tile of the result is made: its size, the depth of a step, and the part of a work-item. */
typedef struct {
    int m, n, k, item_m, item_n;
    double speed; /* of its inner loop, relative to the best: a guess, by what is computed for a value loaded */
} lx_tile;

enum { LX_LEAST_TILE = 32 };

int lx_tile_items(const lx_tile *tile); /* work-items of its group */

/* Whether a device can run it, and it is not plainly too large for the result. */
bool lx_tile_fits(const lx_device *device, const lx_tile *tile, long rows, long columns);

/* The error of an operation for which a device has room for no tile. */
lx_code lx_no_tile(const lx_device *device, const char *operation, lx_error *error);

/* Its speed on a device: less where a work-item has too few registers for its part. */
double lx_tile_speed(const lx_device *device, const lx_tile *tile);

/* What the compiler is told of it. */
lx_build_options lx_tile_options(const lx_tile *tile);

#endif
