#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

/* Gradients of one call; a margin of one pixel around the magnitudes stays 0. */
typedef struct {
    int width, height;
    size_t stride;    /* of `magnitude` and `state` */
    float *dx, *dy;   /* whole numbers */
    int *magnitude;
    uint8_t *state;   /* NOTHING, WEAK or EDGE */
    int *found;       /* edges whose neighbours are to be looked at */
} job;

enum { NOTHING, WEAK, EDGE };

static lx_code find_gradients(const lx_plane *in, job *j, lx_error *error)
{
    static const float smooth[3] = {1, 2, 1}, derive[3] = {-1, 0, 1};
    const lx_separable across = {derive, smooth, 3, 3, LX_BORDER_REPLICATE};
    const lx_separable down = {smooth, derive, 3, 3, LX_BORDER_REPLICATE};
    lx_plane dx = {in->width, in->height, LX_PLANE_F32, j->dx}, dy = dx;
    dy.samples = j->dy;
    if (lx_separable_filter(in, &dx, &across, error) || lx_separable_filter(in, &dy, &down, error))
        return error->code;
    for (int y = 0; y < j->height; y++)
        for (int x = 0; x < j->width; x++) {
            const size_t from = (size_t)y * (size_t)j->width + (size_t)x;
            j->magnitude[((size_t)y + 1) * j->stride + (size_t)x + 1] = abs((int)j->dx[from]) + abs((int)j->dy[from]);
        }
    return LX_OK;
}

/* Whether a pixel is a ridge: not less than both neighbours along its gradient, which is taken as horizontal,
   vertical or diagonal, by the tangent of 22.5 degrees in fixed point. */
static bool is_ridge(const job *j, size_t place, int dx, int dy)
{
    const int *m = j->magnitude + place;
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
            if (magnitude <= low || !is_ridge(j, place, (int)j->dx[from], (int)j->dy[from]))
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

lx_code lx_canny(const lx_plane *in, lx_plane *out, double low, double high, lx_error *error)
{
    if (in->type != LX_PLANE_U8)
        return lx_fail(error, LX_EARG, "canny: expected a uint8 image");
    if (!(low >= 0 && high >= low && high <= 1e6))
        return lx_fail(error, LX_EARG, "canny: thresholds must be 0 <= low <= high, not %g and %g", low, high);
    const size_t count = lx_plane_count(in), stride = (size_t)in->width + 2;
    const size_t padded = stride * ((size_t)in->height + 2);
    job j = {in->width, in->height, stride, malloc(count * sizeof(float)), malloc(count * sizeof(float)),
             calloc(padded, sizeof(int)), calloc(padded, 1), malloc(count * sizeof(int))};
    if (!j.dx || !j.dy || !j.magnitude || !j.state || !j.found) {
        lx_fail(error, LX_ENOMEM, "canny: out of memory for %d x %d pixels", in->height, in->width);
    } else if (!find_gradients(in, &j, error)) {
        follow_edges(&j, (int)floor(low), (int)floor(high));
        for (int y = 0; y < j.height; y++)
            for (int x = 0; x < j.width; x++)
                ((uint8_t *)out->samples)[(size_t)y * (size_t)j.width + (size_t)x] =
                    j.state[((size_t)y + 1) * stride + (size_t)x + 1] == EDGE ? 255 : 0;
    }
    free(j.dx);
    free(j.dy);
    free(j.magnitude);
    free(j.state);
    free(j.found);
    return error->code;
}
