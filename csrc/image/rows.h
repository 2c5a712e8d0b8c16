/* Rows of a plane added up with weights, which is what separable filters and resizing do. */
#ifndef LX_ROWS_H
#define LX_ROWS_H

#include "plane.h"

enum { LX_ROW_TAPS = 4 }; /* rows that are added at a time */

/* Rows that wait to be added to `sum`. */
typedef struct {
    lx_plane_type type;
    float *sum;
    size_t length;
    int count;
    const void *rows[LX_ROW_TAPS];
    float weight[LX_ROW_TAPS];
} lx_row_sum;

/* Begins a sum of rows of `length` samples of a type, with 0; it is there after lx_row_sum_end. */
void lx_row_sum_begin(lx_row_sum *self, lx_plane_type type, float *sum, size_t length);
void lx_row_sum_add(lx_row_sum *self, const void *row, float weight);
void lx_row_sum_end(lx_row_sum *self);

/* Rounds to whole levels, and cuts off at 0 and 255. */
void lx_round_row(const float *row, uint8_t *out, size_t count);

#endif
