#include "jpeg_loss.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Entropy coding loses nothing, so that all that JPEG does to an image is to round the coefficients of its blocks to
 * multiples of a table: ITU-T T.81, A.3.3 (the cosine transform), A.3.4 (rounding), and K.1 (the table for luminance).
 */

enum { SIDE = 8, COEFFICIENTS = SIDE * SIDE };

static const int luminance[COEFFICIENTS] = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                                            14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                                            18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                                            49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};

/* What a quality makes of the table: the Independent JPEG Group's rule. */
static void fill_table(int quality, float steps[COEFFICIENTS])
{
    const int percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (int i = 0; i < COEFFICIENTS; i++) {
        const int step = (luminance[i] * percent + 50) / 100;
        steps[i] = (float)(step < 1 ? 1 : step > 255 ? 255 : step);
    }
}

/* Rows of the orthonormal cosine transform: basis[u][x]. */
static void fill_basis(float basis[SIDE][SIDE])
{
    for (int u = 0; u < SIDE; u++)
        for (int x = 0; x < SIDE; x++)
            basis[u][x] = (float)((u == 0 ? sqrt(0.125) : 0.5) * cos((2 * x + 1) * u * M_PI / 16));
}

/* out = basis in basis', or the transpose of basis on both sides. */
static void transform(float basis[SIDE][SIDE], bool back, float in[SIDE][SIDE], float out[SIDE][SIDE])
{
    float half[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            float sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += (back ? basis[k][i] : basis[i][k]) * in[k][j];
            half[i][j] = sum;
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            float sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += half[i][k] * (back ? basis[k][j] : basis[j][k]);
            out[i][j] = sum;
        }
}

static float byte_at(const lx_plane *in, int x, int y)
{
    const size_t place = (size_t)y * (size_t)in->width + (size_t)x;
    return in->type == LX_PLANE_U8 ? (float)((const uint8_t *)in->samples)[place]
                                   : rintf(lx_cut_level(((const float *)in->samples)[place], 255));
}

void lx_jpeg_loss(const lx_plane *in, lx_plane *out, int quality)
{
    float steps[COEFFICIENTS], basis[SIDE][SIDE], block[SIDE][SIDE], coefficients[SIDE][SIDE];
    fill_table(quality, steps);
    fill_basis(basis);
    for (int top = 0; top < in->height; top += SIDE)
        for (int left = 0; left < in->width; left += SIDE) {
            const int rows = in->height - top < SIDE ? in->height - top : SIDE;
            const int columns = in->width - left < SIDE ? in->width - left : SIDE;
            for (int y = 0; y < SIDE; y++) /* at the edges the last row and column are repeated */
                for (int x = 0; x < SIDE; x++)
                    block[y][x] = byte_at(in, left + (x < columns ? x : columns - 1), top + (y < rows ? y : rows - 1)) -
                                  128;
            transform(basis, false, block, coefficients);
            for (int i = 0; i < COEFFICIENTS; i++)
                coefficients[i / SIDE][i % SIDE] = roundf(coefficients[i / SIDE][i % SIDE] / steps[i]) * steps[i];
            transform(basis, true, coefficients, block);
            for (int y = 0; y < rows; y++)
                for (int x = 0; x < columns; x++) {
                    const size_t place = (size_t)(top + y) * (size_t)in->width + (size_t)(left + x);
                    const float level = rintf(lx_cut_level(block[y][x] + 128, 255));
                    if (out->type == LX_PLANE_U8)
                        ((uint8_t *)out->samples)[place] = (uint8_t)level;
                    else
                        ((float *)out->samples)[place] = level;
                }
        }
}
