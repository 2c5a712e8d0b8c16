#include "rows.h"

LX_WIDE static void add_bytes(float *restrict sum, const uint8_t *const rows[LX_ROW_TAPS], size_t count,
                              const float weight[LX_ROW_TAPS])
{
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    const float p = weight[0], q = weight[1], r = weight[2], s = weight[3];
    for (size_t i = 0; i < count; i++)
        sum[i] += (p * (float)a[i] + q * (float)b[i]) + (r * (float)c[i] + s * (float)d[i]);
}

LX_WIDE static void add_floats(float *restrict sum, const float *const rows[LX_ROW_TAPS], size_t count,
                               const float weight[LX_ROW_TAPS])
{
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    const float p = weight[0], q = weight[1], r = weight[2], s = weight[3];
    for (size_t i = 0; i < count; i++)
        sum[i] += (p * a[i] + q * b[i]) + (r * c[i] + s * d[i]);
}

/* Interpolation between two rows has no others, and begins with them. */
LX_WIDE static void set_two_bytes(float *restrict sum, const uint8_t *restrict a, const uint8_t *restrict b,
                                  size_t count, float p, float q)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = p * (float)a[i] + q * (float)b[i];
}

LX_WIDE static void set_two_floats(float *restrict sum, const float *restrict a, const float *restrict b, size_t count,
                                   float p, float q)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = p * a[i] + q * b[i];
}

void lx_row_sum_begin(lx_row_sum *self, lx_plane_type type, float *sum, size_t length)
{
    *self = (lx_row_sum){.type = type, .sum = sum, .length = length};
}

static void set_two(lx_row_sum *self)
{
    if (self->type == LX_PLANE_U8)
        set_two_bytes(self->sum, self->rows[0], self->rows[1], self->length, self->weight[0], self->weight[1]);
    else
        set_two_floats(self->sum, self->rows[0], self->rows[1], self->length, self->weight[0], self->weight[1]);
}

static void add_all(lx_row_sum *self)
{
    if (!self->begun)
        memset(self->sum, 0, sizeof *self->sum * self->length);
    if (self->count > 0 && self->type == LX_PLANE_U8)
        add_bytes(self->sum, (const uint8_t *const *)self->rows, self->length, self->weight);
    else if (self->count > 0)
        add_floats(self->sum, (const float *const *)self->rows, self->length, self->weight);
}

void lx_row_sum_end(lx_row_sum *self)
{
    for (int i = self->count; i < LX_ROW_TAPS; i++) {
        self->rows[i] = self->rows[0];
        self->weight[i] = 0;
    }
    if (!self->begun && (self->count == 1 || self->count == 2))
        set_two(self);
    else
        add_all(self);
    self->begun = true;
    self->count = 0;
}

void lx_row_sum_add(lx_row_sum *self, const void *row, float weight)
{
    if (weight == 0)
        return;
    self->rows[self->count] = row;
    self->weight[self->count++] = weight;
    if (self->count == LX_ROW_TAPS)
        lx_row_sum_end(self);
}

LX_WIDE void lx_round_row(const float *restrict row, uint8_t *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)lx_cut_level(row[i] + 0.5f, 255);
}
