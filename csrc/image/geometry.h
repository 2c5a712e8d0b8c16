/* Where pixels are: sizes and warps of planes (see plane.h). Pixel (x, y) covers the square from (x, y) to (x+1, y+1),
   so its centre is at (x + 0.5, y + 0.5). */
#ifndef LX_GEOMETRY_H
#define LX_GEOMETRY_H

#include <stdbool.h>

#include "plane.h"

typedef enum { LX_NEAREST, LX_BILINEAR, LX_BICUBIC, LX_AREA, LX_LANCZOS } lx_interpolation;

/* Resizes. With `antialias` the filter is as wide as the reduction, so that shrinking averages all pixels, as Pillow
   does (bicubic with a = -0.5, Lanczos of 3 lobes); without, it is as wide as the filter, as OpenCV does (a = -0.75, 4
   lobes). Nearest and area have no choice; area is the mean of what an output pixel covers. */
lx_code lx_resize(const lx_plane *in, lx_plane *out, lx_interpolation how, bool antialias, lx_error *error);

/* Shifts on a grid over the output, between which a cubic B-spline is laid: smooth bending. The grid reaches one cell
   beyond the picture on every side. */
typedef struct {
    int cells;          /* across the picture; (cells + 3) x (cells + 3) nodes */
    const float *x, *y; /* the shifts of the nodes; NULL: no bending */
    float across, down; /* what x and y are multiplied by to be pixels of the input */
} lx_bend;

/* A warp: the point (x, y) of the output shows the point of the input that the matrix takes (x, y, 1) to, in
   homogeneous coordinates, shifted by the bend. */
typedef struct {
    double matrix[9];
    lx_bend bend;
} lx_map;

/* The matrix that applies `first` and then `second`. */
void lx_matrix_product(const double second[9], const double first[9], double out[9]);
/* False if there is none. */
bool lx_matrix_inverse(const double matrix[9], double out[9]);

/* The same map for an input whose sides are `x` and `y` times as long. */
lx_map lx_map_scaled(const lx_map *map, double x, double y);

/* Where a point of the input is seen in the output; false if nowhere. */
bool lx_map_forward(const lx_map *map, int out_width, int out_height, const double point[2], double seen[2]);

/* Warps by nearest, bilinear or bicubic interpolation; beyond the border stands `fill` or what `border` says. */
lx_code lx_warp(const lx_plane *in, lx_plane *out, const lx_map *map, lx_interpolation how, lx_border border,
                float fill, lx_error *error);

/* The coordinate inside 0..size-1 that a coordinate beyond it stands for; -1 for LX_BORDER_CONSTANT. */
long lx_border_place(long place, long size, lx_border border);

#endif
