#include "filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geometry.h"
#include "rows.h"

/* ---- separable filters ---------------------------------------------------------------------------------------- */

/* One row of the output summed down, with `margin` columns more on both sides. */
static void sum_down(const lx_plane *in, const lx_separable *f, int y, int margin, float *padded)
{
    float *sum = padded + margin;
    lx_row_sum down;
    lx_row_sum_begin(&down, in->type, sum, (size_t)in->width);
    for (int k = 0; k < f->down_count; k++) {
        const long row = lx_border_place(y + k - f->down_count / 2, in->height, f->border);
        if (row >= 0) /* beyond the edge stands 0 */
            lx_row_sum_add(&down, lx_plane_row(in, row), f->down[k]);
    }
    lx_row_sum_end(&down);
    for (int i = 1; i <= margin; i++) {
        const long left = lx_border_place(-i, in->width, f->border);
        const long right = lx_border_place(in->width - 1 + i, in->width, f->border);
        sum[-i] = left < 0 ? 0 : sum[left];
        sum[in->width - 1 + i] = right < 0 ? 0 : sum[right];
    }
}

lx_code lx_separable_filter(const lx_plane *in, lx_plane *out, const lx_separable *f, lx_error *error)
{
    if (f->across_count % 2 == 0 || f->down_count % 2 == 0 || f->across_count > LX_MOST_TAPS ||
        f->down_count > LX_MOST_TAPS)
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
        lx_row_sum across;
        lx_row_sum_begin(&across, LX_PLANE_F32, result, width);
        for (int k = 0; k < f->across_count; k++)
            lx_row_sum_add(&across, padded + k, f->across[k]);
        lx_row_sum_end(&across);
        if (out->type == LX_PLANE_U8)
            lx_round_row(row, (uint8_t *)out->samples + to, width);
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

/* sums += by * row, of bytes. */
LX_WIDE static void add_row(uint32_t *restrict sums, const uint8_t *restrict row, size_t count, uint32_t by)
{
    for (size_t i = 0; i < count; i++)
        sums[i] += by * row[i];
}

LX_WIDE static void round_means(const uint32_t *restrict sums, float scale, uint8_t *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)rintf((float)sums[i] * scale);
}

static const void *mirrored_row(const lx_plane *in, long y)
{
    return lx_plane_row(in, lx_border_place(y, in->height, LX_BORDER_REFLECT101));
}

/* Windows of bytes: the sums of columns slide down, and the window over them, so that size does not matter. */
static lx_code slide_window(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    const long width = in->width, radius = size / 2;
    uint32_t *padded = calloc((size_t)(2 * width + 2 * radius), sizeof *padded);
    if (!padded)
        return lx_fail(error, LX_ENOMEM, "box_blur: out of memory for a row of %d pixels", in->width);
    uint32_t *columns = padded + radius, *sums = columns + width + radius;
    for (long k = -radius; k < radius; k++) /* all of the first window but its last row */
        add_row(columns, mirrored_row(in, k), (size_t)width, 1);
    for (long y = 0; y < in->height; y++) {
        add_row(columns, mirrored_row(in, y + radius), (size_t)width, 1);
        for (long i = 1; i <= radius; i++) {
            columns[-i] = columns[lx_border_place(-i, width, LX_BORDER_REFLECT101)];
            columns[width - 1 + i] = columns[lx_border_place(width - 1 + i, width, LX_BORDER_REFLECT101)];
        }
        uint32_t sum = 0;
        for (long x = -radius; x < radius; x++)
            sum += columns[x];
        for (long x = 0; x < width; x++) {
            sum += columns[x + radius];
            sums[x] = sum;
            sum -= columns[x - radius];
        }
        round_means(sums, 1.0f / (float)(size * size), lx_plane_row(out, y), (size_t)width);
        add_row(columns, mirrored_row(in, y - radius), (size_t)width, (uint32_t)-1);
    }
    free(padded);
    return LX_OK;
}

lx_code lx_box_blur(const lx_plane *in, lx_plane *out, int size, lx_error *error)
{
    if (size < 1 || size > LX_MOST_TAPS || size % 2 == 0)
        return lx_fail(error, LX_EARG, "box_blur: size must be odd, 1 to %d, not %d", LX_MOST_TAPS, size);
    if (in->type == LX_PLANE_U8 && out->type == LX_PLANE_U8)
        return slide_window(in, out, size, error);
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

/* What a Gaussian took away is added again, `times` over; the types of `in` and `out` are the same. */
LX_WIDE static void sharpen(const lx_plane *in, const float *restrict smooth, float times, float white, lx_plane *out)
{
    const size_t count = lx_plane_count(in);
    if (in->type == LX_PLANE_U8) {
        const uint8_t *restrict from = in->samples;
        uint8_t *restrict to = out->samples;
        for (size_t i = 0; i < count; i++) {
            const float level = from[i], sharp = level + times * (level - smooth[i]);
            to[i] = (uint8_t)(lx_cut_level(sharp, 255) + 0.5f);
        }
    } else {
        const float *restrict from = in->samples;
        float *restrict to = out->samples;
        for (size_t i = 0; i < count; i++) {
            const float sharp = from[i] + times * (from[i] - smooth[i]);
            to[i] = lx_cut_level(sharp, white);
        }
    }
}

lx_code lx_unsharp_mask(const lx_plane *in, lx_plane *out, double sigma, double amount, float white, lx_error *error)
{
    lx_plane blurred = {in->width, in->height, LX_PLANE_F32, malloc(lx_plane_count(in) * sizeof(float))};
    if (!blurred.samples)
        return lx_fail(error, LX_ENOMEM, "unsharp_mask: out of memory for %d x %d pixels", in->height, in->width);
    if (!lx_gaussian_blur(in, &blurred, sigma, error))
        sharpen(in, blurred.samples, (float)amount, white, out);
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

LX_WIDE static void lengths(float *restrict x, const float *restrict y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sqrtf(x[i] * x[i] + y[i] * y[i]);
}

lx_code lx_sobel_magnitude(const lx_plane *in, lx_plane *out, lx_error *error)
{
    lx_plane down = {in->width, in->height, LX_PLANE_F32, malloc(lx_plane_count(in) * sizeof(float))};
    if (!down.samples)
        return lx_fail(error, LX_ENOMEM, "sobel_magnitude: out of memory for %d x %d pixels", in->height, in->width);
    if (!lx_sobel(in, out, 1, 0, error) && !lx_sobel(in, &down, 0, 1, error))
        lengths(out->samples, down.samples, lx_plane_count(in));
    free(down.samples);
    return error->code;
}

LX_WIDE static void add_plane(float *restrict sum, const float *restrict other, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += other[i];
}

lx_code lx_laplacian(const lx_plane *in, lx_plane *out, lx_error *error)
{
    static const float second[3] = {1, -2, 1}, same[3] = {0, 1, 0};
    const lx_separable across = {second, same, 3, 3, LX_BORDER_REFLECT101};
    const lx_separable down = {same, second, 3, 3, LX_BORDER_REFLECT101};
    const size_t count = lx_plane_count(in);
    lx_plane other = {in->width, in->height, LX_PLANE_F32, malloc(count * sizeof(float))};
    if (!other.samples)
        return lx_fail(error, LX_ENOMEM, "laplacian: out of memory for %d x %d pixels", in->height, in->width);
    if (!lx_separable_filter(in, out, &across, error) && !lx_separable_filter(in, &other, &down, error))
        add_plane(out->samples, other.samples, count);
    free(other.samples);
    return error->code;
}

/* ---- bilateral ------------------------------------------------------------------------------------------------ */

enum { MOST_HALVINGS = 126 }; /* below that floats lose digits */

/* 2 to the power of -t, t from 0 to MOST_HALVINGS, to 2e-7 of it. */
static inline float power_of_half(float t)
{
    const int whole = (int)t;
    const float f = t - (float)whole;
    const union {
        uint32_t bits;
        float value;
    } scale = {(uint32_t)(127 - whole) << 23};
    /* fitted at Chebyshev's points of 0..1 */
    const float low = 0.99999994f + f * (-0.69314314f + f * 0.24017896f);
    const float high = -0.05529812f + f * (0.0092091804f + f * -0.00094687703f);
    return scale.value * (low + f * f * f * high);
}

/* Adds one neighbour of each pixel of a row; its weight is 2 to the power of -(near + by_level * (difference of
   levels)^2). */
LX_WIDE static void add_alike(float *restrict sum, float *restrict total, const float *restrict centre,
                              const float *restrict other, float near, float by_level, size_t count)
{
    const float most = (MOST_HALVINGS - near) / by_level;
    for (size_t i = 0; i < count; i++) {
        const float apart = (other[i] - centre[i]) * (other[i] - centre[i]);
        const float weight = power_of_half(near + (apart < most ? apart : most) * by_level);
        sum[i] += weight * other[i];
        total[i] += weight;
    }
}

/* The picture as floats, with its mirror image around it. */
static void fill_padded(const lx_plane *in, int radius, float *padded)
{
    for (long y = -radius; y < in->height + radius; y++) {
        const size_t row = (size_t)lx_border_place(y, in->height, LX_BORDER_REFLECT101) * (size_t)in->width;
        for (long x = -radius; x < in->width + radius; x++)
            *padded++ = level_of(in, row + (size_t)lx_border_place(x, in->width, LX_BORDER_REFLECT101));
    }
}

static void divide_row(const float *sum, const float *total, lx_plane *out, int y)
{
    const size_t count = (size_t)out->width;
    uint8_t *bytes = lx_plane_row(out, y);
    float *floats = lx_plane_row(out, y);
    if (out->type == LX_PLANE_U8)
        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)(int)(sum[i] / total[i] + 0.5f);
    else
        for (size_t i = 0; i < count; i++)
            floats[i] = sum[i] / total[i];
}

lx_code lx_bilateral_filter(const lx_plane *in, lx_plane *out, int radius, double level, double space, lx_error *error)
{
    if (radius < 1 || radius > 64 || !(level > 0) || !(space > 0))
        return lx_fail(error, LX_EARG,
                       "bilateral_filter: radius must be 1 to 64, the deviations above 0; not %d, %g, "
                       "%g",
                       radius, level, space);
    const size_t width = (size_t)in->width;
    const size_t stride = width + 2 * (size_t)radius, rows = (size_t)in->height + 2 * (size_t)radius;
    float *padded = malloc(sizeof *padded * (stride * rows + 2 * width));
    if (!padded)
        return lx_fail(error, LX_ENOMEM, "bilateral_filter: out of memory for %d x %d pixels", in->height, in->width);
    fill_padded(in, radius, padded);
    float *sum = padded + stride * rows, *total = sum + width;
    /* the exponents of 2; what is multiplied by 0 is not infinite, and what divides is not 0 */
    const double half = 0.5 / log(2), by_level = fmax(fmin(half / (level * level), 1e30), 1e-30);
    const double by_space = fmin(half / (space * space), 1e30);
    for (int y = 0; y < in->height; y++) {
        const float *centre = padded + ((size_t)y + (size_t)radius) * stride + radius;
        memset(sum, 0, 2 * sizeof *sum * width);
        for (int j = -radius; j <= radius; j++)
            for (int i = -radius; i <= radius; i++) {
                const float near = (float)fmin((i * i + j * j) * by_space, MOST_HALVINGS);
                if (i * i + j * j <= radius * radius)
                    add_alike(sum, total, centre, centre + (long)j * (long)stride + i, near, (float)by_level, width);
            }
        divide_row(sum, total, out, y);
    }
    free(padded);
    return LX_OK;
}
