#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

/* Gradients of one call; a margin of one pixel around the magnitudes stays 0. */
typedef struct {
    int width, height;
    size_t stride; /* of `magnitude` and `state` */
    int16_t *dx, *dy;
    uint16_t *magnitude;     /* |dx| + |dy| */
    uint8_t *state;          /* NOTHING, WEAK or EDGE */
    int *found;              /* edges whose neighbours are to be looked at */
    int16_t *smooth, *slope; /* room for a row each, with a column more on both sides */
} job;

enum { NOTHING, WEAK, EDGE };

/* Sobel's weights down: 1 2 1, and -1 0 1. */
LX_WIDE static void sum_down(const uint8_t *above, const uint8_t *row, const uint8_t *below, int16_t *restrict smooth,
                             int16_t *restrict slope, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        smooth[x] = (int16_t)(above[x] + 2 * row[x] + below[x]);
        slope[x] = (int16_t)(below[x] - above[x]);
    }
}

/* The same across. */
LX_WIDE static void sum_across(const int16_t *smooth, const int16_t *slope, int16_t *restrict dx, int16_t *restrict dy,
                               uint16_t *restrict magnitude, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        dx[x] = (int16_t)(smooth[x + 2] - smooth[x]);
        dy[x] = (int16_t)(slope[x] + 2 * slope[x + 1] + slope[x + 2]);
        magnitude[x] = (uint16_t)((dx[x] < 0 ? -dx[x] : dx[x]) + (dy[x] < 0 ? -dy[x] : dy[x]));
    }
}

/* Beyond the edge the edge goes on. */
static void find_gradients(const lx_plane *in, job *j)
{
    const size_t width = (size_t)j->width;
    for (int y = 0; y < j->height; y++) {
        const uint8_t *above = lx_plane_row(in, y > 0 ? y - 1 : 0),
                      *below = lx_plane_row(in, y + 1 < j->height ? y + 1 : y);
        sum_down(above, lx_plane_row(in, y), below, j->smooth + 1, j->slope + 1, width);
        j->smooth[0] = j->smooth[1];
        j->slope[0] = j->slope[1];
        j->smooth[width + 1] = j->smooth[width];
        j->slope[width + 1] = j->slope[width];
        sum_across(j->smooth, j->slope, j->dx + (size_t)y * width, j->dy + (size_t)y * width,
                   j->magnitude + ((size_t)y + 1) * j->stride + 1, width);
    }
}

/* Whether a pixel is a ridge: not less than both neighbours along its gradient, which is taken as horizontal,
   vertical or diagonal, by the tangent of 22.5 degrees in fixed point. */
static bool is_ridge(const job *j, size_t place, int dx, int dy)
{
    const uint16_t *m = j->magnitude + place;
    const long stride = (long)j->stride, x = abs(dx), y = (long)abs(dy) << 15, tangent = x * 13573;
    if (y < tangent)
        return m[0] > m[-1] && m[0] >= m[1];
    if (y > tangent + (x << 16))
        return m[0] > m[-stride] && m[0] >= m[stride];
    const int side = (dx ^ dy) < 0 ? -1 : 1;
    return m[0] > m[-stride - side] && m[0] > m[stride + side];
}

/* What is above the upper threshold, and all that hangs together with it above the lower one. */
static void follow_edges(job *j, int low, int high)
{
    int count = 0;
    for (int y = 0; y < j->height; y++)
        for (int x = 0; x < j->width; x++) {
            const size_t from = (size_t)y * (size_t)j->width + (size_t)x;
            const size_t place = ((size_t)y + 1) * j->stride + (size_t)x + 1;
            const int magnitude = j->magnitude[place];
            if (magnitude <= low || !is_ridge(j, place, j->dx[from], j->dy[from]))
                continue;
            j->state[place] = magnitude > high ? EDGE : WEAK;
            if (magnitude > high)
                j->found[count++] = (int)place;
        }
    while (count > 0) {
        const int place = j->found[--count];
        for (int row = -1; row <= 1; row++)
            for (int column = -1; column <= 1; column++) {
                const int next = place + row * (int)j->stride + column;
                if (j->state[next] == WEAK) {
                    j->state[next] = EDGE;
                    j->found[count++] = next;
                }
            }
    }
}

LX_WIDE static void take_edges(const uint8_t *restrict state, uint8_t *restrict out, size_t width)
{
    for (size_t x = 0; x < width; x++)
        out[x] = state[x] == EDGE ? 255 : 0;
}

lx_code lx_canny(const lx_plane *in, lx_plane *out, double low, double high, lx_error *error)
{
    if (in->type != LX_PLANE_U8)
        return lx_fail(error, LX_EARG, "canny: expected a uint8 image");
    if (!(low >= 0 && high >= low && high <= 1e6))
        return lx_fail(error, LX_EARG, "canny: thresholds must be 0 <= low <= high, not %g and %g", low, high);
    const size_t count = lx_plane_count(in), stride = (size_t)in->width + 2;
    const size_t padded = stride * ((size_t)in->height + 2);
    job j = {in->width,
             in->height,
             stride,
             malloc(count * sizeof *j.dx),
             malloc(count * sizeof *j.dy),
             calloc(padded, sizeof *j.magnitude),
             calloc(padded, 1),
             malloc(count * sizeof *j.found),
             malloc(stride * sizeof *j.smooth),
             malloc(stride * sizeof *j.slope)};
    if (!j.dx || !j.dy || !j.magnitude || !j.state || !j.found || !j.smooth || !j.slope) {
        lx_fail(error, LX_ENOMEM, "canny: out of memory for %d x %d pixels", in->height, in->width);
    } else {
        find_gradients(in, &j);
        follow_edges(&j, (int)floor(low), (int)floor(high));
        for (int y = 0; y < j.height; y++)
            take_edges(j.state + ((size_t)y + 1) * stride + 1, lx_plane_row(out, y), (size_t)j.width);
    }
    free(j.dx);
    free(j.dy);
    free(j.magnitude);
    free(j.state);
    free(j.found);
    free(j.smooth);
    free(j.slope);
    return error->code;
}
