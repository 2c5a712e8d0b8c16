/* Numbers as files store them, little-endian, and what they become here: integers int32 (truth values and bytes uint8),
   floats float32. */
#ifndef LX_NUMBERS_H
#define LX_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor.h"

typedef struct lx_number_format lx_number_format;

/* The format of a name of safetensors ("F16"); NULL if there is none, or its numbers cannot be held. */
const lx_number_format *lx_number_format_of(const char *name);

/* Bytes of one number in the file, the type that it becomes, and whether its bytes stay what they are. */
size_t lx_number_size(const lx_number_format *format);
lx_dtype lx_number_dtype(const lx_number_format *format);
bool lx_number_is_native(const lx_number_format *format);

/* Writes `count` numbers of the file as numbers of lx_number_dtype. LX_EFORMAT, with the place and the value of the
   first one, where one is out of the range of that type. Floats are rounded; those too large for float32 count as out
   of range. */
lx_code lx_read_numbers(const lx_number_format *format, const uint8_t *bytes, size_t count, void *out, lx_error *error);

/* The nearest numbers of half precision ("F16"), of two equally near ones the even one; infinity past the largest. */
void lx_write_halves(const float *from, size_t count, uint8_t *out);

#endif
