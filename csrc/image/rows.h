/* Rows of a plane added up with weights, which is what separable filters and resizing do. */
#ifndef LX_ROWS_H
#define LX_ROWS_H

#include <stdbool.h>
#include <string.h>

#include "plane.h"

enum { LX_ROW_TAPS = 4 }; /* rows that are added at a time */

/* Rows that wait to be added to `sum`. */
typedef struct {
    lx_plane_type type;
    float *sum;
    size_t length;
    bool begun; /* there is something in `sum` */
    int count;
    const void *rows[LX_ROW_TAPS];
    float weight[LX_ROW_TAPS];
} lx_row_sum;

/* Begins a sum of rows of `length` samples of a type; it is there after lx_row_sum_end, and 0 if nothing was added. */
void lx_row_sum_begin(lx_row_sum *self, lx_plane_type type, float *sum, size_t length);
void lx_row_sum_add(lx_row_sum *self, const void *row, float weight);
void lx_row_sum_end(lx_row_sum *self);

/* Rounds to whole levels, and cuts off at 0 and 255. */
void lx_round_row(const float *row, uint8_t *out, size_t count);

/* The bytes at a place of two rows and those to the right of them, in one word: upper ones first. Two are fetched at
 * once. */
static inline uint32_t lx_quad(const uint8_t *upper_row, const uint8_t *lower_row, int place)
{
    uint16_t upper, lower;
    memcpy(&upper, upper_row + place, 2);
    memcpy(&lower, lower_row + place, 2);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    upper = (uint16_t)(upper << 8 | upper >> 8);
    lower = (uint16_t)(lower << 8 | lower >> 8);
#endif
    return (uint32_t)lower << 16 | upper;
}

#endif
