#include "filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geometry.h"

/* ---- separable filters ---------------------------------------------------------------------------------------- */

LX_WIDE static void add_bytes(float *restrict sum, const uint8_t *restrict row, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += weight * (float)row[i];
}

LX_WIDE static void add_floats(float *restrict sum, const float *restrict row, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += weight * row[i];
}

LX_WIDE static void round_row(const float *restrict row, uint8_t *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float value = row[i] + 0.5f;
        out[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* One row of the output summed down, with `margin` columns more on both sides. */
static void sum_down(const lx_plane *in, const lx_separable *f, int y, int margin, float *padded)
{
    float *sum = padded + margin;
    memset(sum, 0, sizeof *sum * (size_t)in->width);
    for (int k = 0; k < f->down_count; k++) {
        const long row = lx_border_place(y + k - f->down_count / 2, in->height, f->border);
        if (row < 0 || f->down[k] == 0)
            continue; /* beyond the edge stands 0 */
        const size_t from = (size_t)row * (size_t)in->width;
        if (in->type == LX_PLANE_U8)
            add_bytes(sum, (const uint8_t *)in->samples + from, (size_t)in->width, f->down[k]);
        else
            add_floats(sum, (const float *)in->samples + from, (size_t)in->width, f->down[k]);
    }
    for (int i = 1; i <= margin; i++) {
        const long left = lx_border_place(-i, in->width, f->border);
        const long right = lx_border_place(in->width - 1 + i, in->width, f->border);
        sum[-i] = left < 0 ? 0 : sum[left];
        sum[in->width - 1 + i] = right < 0 ? 0 : sum[right];
    }
}

lx_code lx_separable_filter(const lx_plane *in, lx_plane *out, const lx_separable *f, lx_error *error)
{
    if (f->across_count % 2 == 0 || f->down_count % 2 == 0 || f->across_count > LX_MOST_TAPS || f->down_count > LX_MOST_TAPS)
        return lx_fail(error, LX_EARG, "filter: %d and %d weights; needs odd numbers up to %d", f->across_count,
                       f->down_count, LX_MOST_TAPS);
    const int margin = f->across_count / 2;
    const size_t width = (size_t)in->width;
    float *padded = malloc(sizeof *padded * (2 * width + 2 * (size_t)margin));
    if (!padded)
        return lx_fail(error, LX_ENOMEM, "filter: out of memory for a row of %d pixels", in->width);
    float *row = padded + width + 2 * (size_t)margin;
    for (int y = 0; y < in->height; y++) {
        const size_t to = (size_t)y * width;
        float *result = out->type == LX_PLANE_U8 ? row : (float *)out->samples + to;
        sum_down(in, f, y, margin, padded);
        memset(result, 0, sizeof *result * width);
        for (int k = 0; k < f->across_count; k++)
            if (f->across[k] != 0)
                add_floats(result, padded + k, width, f->across[k]);
        if (out->type == LX_PLANE_U8)
            round_row(row, (uint8_t *)out->samples + to, width);
    }
    free(padded);
    return LX_OK;
}

/* ---- blurs ---------------------------------------------------------------------------------------------------- */

lx_code lx_gaussian_blur(const lx_plane *in, lx_plane *out, double sigma, lx_error *error)
{
    if (!(sigma > 0 && sigma <= 100))
        return lx_fail(error, LX_EARG, "gaussian_blur: sigma must be above 0 and at most 100 pixels, not %g", sigma);
    float weight[LX_MOST_TAPS];
    const int count = (int)lrint(sigma * (in->type == LX_PLANE_U8 ? 3 : 4) * 2 + 1) | 1;
    double total = 0;
    for (int i = 0; i < count; i++)
        total += exp(-0.5 * pow((i - count / 2) / sigma, 2));
    for (int i = 0; i < count; i++)
        weight[i] = (float)(exp(-0.5 * pow((i - count / 2) / sigma, 2)) / total);
    const lx_separable filter = {weight, weight, count, count, LX_BORDER_REFLECT101};
    return lx_separable_filter(in, out, &filter, error);
}

lx_code lx_box_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    if (size < 1 || size > LX_MOST_TAPS || size % 2 == 0)
        return lx_fail(error, LX_EARG, "box_blur: size must be odd, 1 to %d, not %d", LX_MOST_TAPS, size);
    float weight[LX_MOST_TAPS];
    for (int i = 0; i < size; i++)
        weight[i] = 1.0f / (float)size;
    const lx_separable filter = {weight, weight, size, size, LX_BORDER_REFLECT101};
    return lx_separable_filter(in, out, &filter, error);
}

static float level_of(const lx_plane *plane, size_t i)
{
    return plane->type == LX_PLANE_U8 ? ((const uint8_t *)plane->samples)[i] : ((const float *)plane->samples)[i];
}

lx_code lx_unsharp_mask(const lx_plane *in, lx_plane *out, double sigma, double amount, float white, lx_error *error)
{
    const size_t count = lx_plane_count(in);
    lx_plane blurred = {in->width, in->height, LX_PLANE_F32, malloc(count * sizeof(float))};
    if (!blurred.samples)
        return lx_fail(error, LX_ENOMEM, "unsharp_mask: out of memory for %d x %d pixels", in->height, in->width);
    if (!lx_gaussian_blur(in, &blurred, sigma, error)) {
        const float *smooth = blurred.samples;
        const float times = (float)amount;
        for (size_t i = 0; i < count; i++) {
            const float level = level_of(in, i), sharp = level + times * (level - smooth[i]);
            const float cut = sharp < 0 ? 0 : sharp > white ? white : sharp;
            if (out->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[i] = (uint8_t)(cut + 0.5f);
            else
                ((float *)out->samples)[i] = cut;
        }
    }
    free(blurred.samples);
    return error->code;
}

/* ---- derivatives ---------------------------------------------------------------------------------------------- */

lx_code lx_sobel(const lx_plane *in, lx_plane *out, int dx, int dy, lx_error *error)
{
    static const float weights[3][3] = {{1, 2, 1}, {-1, 0, 1}, {1, -2, 1}};
    if (dx < 0 || dx > 2 || dy < 0 || dy > 2 || dx + dy == 0)
        return lx_fail(error, LX_EARG, "sobel: dx and dy must be 0, 1 or 2, and not both 0; got %d and %d", dx, dy);
    const lx_separable filter = {weights[dx], weights[dy], 3, 3, LX_BORDER_REFLECT101};
    return lx_separable_filter(in, out, &filter, error);
}

lx_code lx_laplacian(const lx_plane *in, lx_plane *out, lx_error *error)
{
    static const float second[3] = {1, -2, 1}, same[3] = {0, 1, 0};
    const lx_separable across = {second, same, 3, 3, LX_BORDER_REFLECT101}, down = {same, second, 3, 3, LX_BORDER_REFLECT101};
    const size_t count = lx_plane_count(in);
    lx_plane other = {in->width, in->height, LX_PLANE_F32, malloc(count * sizeof(float))};
    if (!other.samples)
        return lx_fail(error, LX_ENOMEM, "laplacian: out of memory for %d x %d pixels", in->height, in->width);
    if (!lx_separable_filter(in, out, &across, error) && !lx_separable_filter(in, &other, &down, error))
        add_floats(out->samples, other.samples, count, 1);
    free(other.samples);
    return error->code;
}

/* ---- bilateral ------------------------------------------------------------------------------------------------ */

lx_code lx_bilateral_filter(const lx_plane *in, lx_plane *out, int radius, double level, double space, lx_error *error)
{
    if (radius < 1 || radius > 64 || !(level > 0) || !(space > 0))
        return lx_fail(error, LX_EARG, "bilateral_filter: radius must be 1 to 64, the deviations above 0; got %d, %g, %g",
                       radius, level, space);
    const size_t stride = (size_t)in->width + 2 * (size_t)radius;
    float *padded = malloc(sizeof *padded * (stride * ((size_t)in->height + 2 * (size_t)radius) + 2 * (size_t)in->width));
    if (!padded)
        return lx_fail(error, LX_ENOMEM, "bilateral_filter: out of memory for %d x %d pixels", in->height, in->width);
    for (long y = 0; y < in->height + 2 * radius; y++)
        for (long x = 0; x < (long)stride; x++) {
            const long row = lx_border_place(y - radius, in->height, LX_BORDER_REFLECT101);
            const long column = lx_border_place(x - radius, in->width, LX_BORDER_REFLECT101);
            padded[(size_t)y * stride + (size_t)x] = level_of(in, (size_t)row * (size_t)in->width + (size_t)column);
        }
    float *sum = padded + stride * ((size_t)in->height + 2 * (size_t)radius), *total = sum + in->width;
    const float by_level = (float)(-0.5 / (level * level)), by_space = (float)(-0.5 / (space * space));
    for (int y = 0; y < in->height; y++) {
        const float *centre = padded + ((size_t)y + (size_t)radius) * stride + radius;
        memset(sum, 0, 2 * sizeof *sum * (size_t)in->width);
        for (int j = -radius; j <= radius; j++)
            for (int i = -radius; i <= radius; i++) {
                if (i * i + j * j > radius * radius)
                    continue;
                const float near = expf((float)(i * i + j * j) * by_space);
                const float *other = centre + (long)j * (long)stride + i;
                for (int x = 0; x < in->width; x++) {
                    const float apart = other[x] - centre[x], weight = near * expf(apart * apart * by_level);
                    sum[x] += weight * other[x];
                    total[x] += weight;
                }
            }
        for (int x = 0; x < in->width; x++) {
            const size_t place = (size_t)y * (size_t)in->width + (size_t)x;
            if (out->type == LX_PLANE_U8)
                ((uint8_t *)out->samples)[place] = (uint8_t)(sum[x] / total[x] + 0.5f);
            else
                ((float *)out->samples)[place] = sum[x] / total[x];
        }
    }
    free(padded);
    return LX_OK;
}
