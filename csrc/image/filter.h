/* Filters: each sample from its neighbours (see plane.h). Beyond the edge the picture is mirrored, as OpenCV does it
   (LX_BORDER_REFLECT101), unless a border can be named. */
#ifndef LX_FILTER_H
#define LX_FILTER_H

#include <stdbool.h>

#include "plane.h"

enum { LX_MOST_TAPS = 1023 }; /* of a separable filter along one axis */

/* A filter that is the product of a row and a column of weights, both of odd length. `out` may be bytes, rounded and
   cut off at 0 and 255, or floats, whatever `in` is. */
typedef struct {
    const float *across, *down;
    int across_count, down_count;
    lx_border border;
} lx_separable;

lx_code lx_separable_filter(const lx_plane *in, lx_plane *out, const lx_separable *filter, lx_error *error);

/* Gaussian of deviation sigma pixels, cut off at 4 sigma (bytes: 3), the radius OpenCV takes. */
lx_code lx_gaussian_blur(const lx_plane *in, lx_plane *out, double sigma, lx_error *error);

/* The mean of size x size samples, `size` odd. */
lx_code lx_box_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error);

/* in + amount * (in - blurred), cut off at 0 and `white`; a negative amount smooths. */
lx_code lx_unsharp_mask(const lx_plane *in, lx_plane *out, double sigma, double amount, float white, lx_error *error);

/* The median of size x size samples, `size` odd; beyond the edge the edge goes on, as in OpenCV. */
lx_code lx_median_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error);

/* Mean weighted by distance and by likeness (Tomasi and Manduchi, ICCV 1998), of the samples within `radius` pixels:
   `space` is the deviation in pixels, `level` in grey levels. */
lx_code lx_bilateral_filter(const lx_plane *in, lx_plane *out, int radius, double level, double space, lx_error *error);

/* Sobel's derivatives with 3x3 weights; dx and dy 0..2, not both 0; `out` is float32. */
lx_code lx_sobel(const lx_plane *in, lx_plane *out, int dx, int dy, lx_error *error);

/* The length of the vector of both first derivatives; `out` is float32. */
lx_code lx_sobel_magnitude(const lx_plane *in, lx_plane *out, lx_error *error);

/* The sum of the second derivatives by a 3x3 mask (0 1 0, 1 -4 1, 0 1 0); `out` is float32. */
lx_code lx_laplacian(const lx_plane *in, lx_plane *out, lx_error *error);

/* Edges (Canny, IEEE TPAMI 1986): 255 where the gradient |dx| + |dy| is a ridge above `high`, or above `low` and
   connected to such a one; else 0. `in` and `out` are bytes. */
lx_code lx_canny(const lx_plane *in, lx_plane *out, double low, double high, lx_error *error);

#endif
