#include "image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* For each output coordinate: which input coordinates it is a weighted mean of. */
typedef struct {
    int taps;      /* room for each output's weights */
    int *first;    /* [out] the first input coordinate */
    int *count;    /* [out] how many, at most `taps` */
    float *weight; /* [out][taps], each row summing to 1 */
} lx_axis;

static void axis_free(lx_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weight);
}

/* False when memory is short; axis_free is due either way. */
static bool axis_make(lx_axis *axis, int in, int out)
{
    double scale = (double)in / out;
    double support = scale > 1 ? scale : 1; /* half the width of the triangle, in input pixels */
    axis->taps = 2 * (int)ceil(support) + 1;
    axis->first = malloc((size_t)out * sizeof *axis->first);
    axis->count = malloc((size_t)out * sizeof *axis->count);
    axis->weight = malloc((size_t)out * (size_t)axis->taps * sizeof *axis->weight);
    if (axis->first == NULL || axis->count == NULL || axis->weight == NULL)
        return false;

    for (int o = 0; o < out; o++) {
        double centre = (o + 0.5) * scale;
        int first = (int)fmax(centre - support + 0.5, 0);
        int end = (int)fmin(centre + support + 0.5, in);
        float *weight = axis->weight + (size_t)o * (size_t)axis->taps;
        double total = 0;
        for (int i = first; i < end; i++)
            total += fmax(1 - fabs(i + 0.5 - centre) / support, 0);
        for (int i = first; i < end; i++)
            weight[i - first] = (float)(fmax(1 - fabs(i + 0.5 - centre) / support, 0) / total);
        axis->first[o] = first;
        axis->count[o] = end - first;
    }
    return true;
}

/* sum += weight * row. The fixed inner length lets compilers use vectors without being asked to. */
static void add_row(float *restrict sum, const uint8_t *restrict row, size_t count, float weight)
{
    enum { BLOCK = 16 };
    size_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK)
        for (size_t k = 0; k < BLOCK; k++)
            sum[i + k] += weight * (float)row[i + k];
    for (; i < count; i++)
        sum[i] += weight * (float)row[i];
}

static void resize_row(const float *row, int channels, const lx_axis *axis, int out_width, uint8_t *out)
{
    for (int x = 0; x < out_width; x++) {
        const float *weight = axis->weight + (size_t)x * (size_t)axis->taps;
        const float *from = row + (size_t)axis->first[x] * (size_t)channels;
        for (int c = 0; c < channels; c++) {
            float sum = 0.5f; /* rounds: the weights are not negative, so neither is the sum */
            for (int k = 0; k < axis->count[x]; k++)
                sum += weight[k] * from[(size_t)k * (size_t)channels + (size_t)c];
            *out++ = (uint8_t)sum;
        }
    }
}

lx_code lx_image_resize(const uint8_t *in, int width, int height, int channels, uint8_t *out, int out_width,
                        int out_height, lx_error *error)
{
    const int limit = LX_IMAGE_MAX_SIDE;
    if (width < 1 || height < 1 || out_width < 1 || out_height < 1 || width > limit || height > limit ||
        out_width > limit || out_height > limit || channels < 1 || channels > 4)
        return lx_fail(error, LX_EARG,
                       "resize: %d x %d to %d x %d pixels of %d channels; sides must be 1 to %d and channels 1 to 4",
                       width, height, out_width, out_height, channels, limit);

    lx_axis across = {0}, down = {0};
    size_t stride = (size_t)width * (size_t)channels;
    float *sum = malloc(stride * sizeof *sum);
    lx_code code = LX_OK;
    if (!axis_make(&across, width, out_width) || !axis_make(&down, height, out_height) || sum == NULL) {
        code = lx_fail(error, LX_ENOMEM, "resize: out of memory for %d x %d to %d x %d pixels", width, height,
                       out_width, out_height);
    } else {
        /* Down first: whole rows add up in long straight loops, and few of them are left to go across. */
        for (int y = 0; y < out_height; y++) {
            const float *weight = down.weight + (size_t)y * (size_t)down.taps;
            memset(sum, 0, stride * sizeof *sum);
            for (int k = 0; k < down.count[y]; k++)
                add_row(sum, in + (size_t)(down.first[y] + k) * stride, stride, weight[k]);
            resize_row(sum, channels, &across, out_width, out + (size_t)y * (size_t)out_width * (size_t)channels);
        }
    }
    axis_free(&across);
    axis_free(&down);
    free(sum);
    return code;
}
