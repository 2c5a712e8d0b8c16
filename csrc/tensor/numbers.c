#include "numbers.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What the highest exponent of a small float means. */
typedef enum {
    INFINITE,      /* infinity and NaN, as in IEEE 754 */
    NEARLY,        /* numbers like any, but for the largest code, which is NaN */
    UNSIGNED_ZERO, /* numbers; the code of -0 is NaN */
    POWERS         /* no sign and no fraction: powers of two, and the largest code is NaN */
} specials;

struct lx_number_format {
    const char *name;
    size_t size;
    lx_dtype dtype;
    enum { NATIVE, TRUTH, SIGNED, UNSIGNED, SMALL_FLOAT, DOUBLE } kind;
    int exponent, fraction, bias; /* of small floats: bits, bits, and what the exponent is counted from */
    specials top;
};

static const lx_number_format formats[] = {
    {.name = "F32", .size = 4, .dtype = LX_FLOAT32, .kind = NATIVE},
    {.name = "I32", .size = 4, .dtype = LX_INT32, .kind = NATIVE},
    {.name = "U8", .size = 1, .dtype = LX_UINT8, .kind = NATIVE},
    {.name = "BOOL", .size = 1, .dtype = LX_UINT8, .kind = TRUTH},
    {.name = "I8", .size = 1, .dtype = LX_INT32, .kind = SIGNED},
    {.name = "I16", .size = 2, .dtype = LX_INT32, .kind = SIGNED},
    {.name = "I64", .size = 8, .dtype = LX_INT32, .kind = SIGNED},
    {.name = "U16", .size = 2, .dtype = LX_INT32, .kind = UNSIGNED},
    {.name = "U32", .size = 4, .dtype = LX_INT32, .kind = UNSIGNED},
    {.name = "U64", .size = 8, .dtype = LX_INT32, .kind = UNSIGNED},
    {.name = "F64", .size = 8, .dtype = LX_FLOAT32, .kind = DOUBLE},
    {"F16", 2, LX_FLOAT32, SMALL_FLOAT, 5, 10, 15, INFINITE},
    {"BF16", 2, LX_FLOAT32, SMALL_FLOAT, 8, 7, 127, INFINITE},
    /* Micikevicius et al. 2022, "FP8 formats for deep learning"; with FNUZ those of Noune et al. 2022 */
    {"F8_E5M2", 1, LX_FLOAT32, SMALL_FLOAT, 5, 2, 15, INFINITE},
    {"F8_E4M3", 1, LX_FLOAT32, SMALL_FLOAT, 4, 3, 7, NEARLY},
    {"F8_E5M2FNUZ", 1, LX_FLOAT32, SMALL_FLOAT, 5, 2, 16, UNSIGNED_ZERO},
    {"F8_E4M3FNUZ", 1, LX_FLOAT32, SMALL_FLOAT, 4, 3, 8, UNSIGNED_ZERO},
    {"F8_E8M0", 1, LX_FLOAT32, SMALL_FLOAT, 8, 0, 127, POWERS},
};

const lx_number_format *lx_number_format_of(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

size_t lx_number_size(const lx_number_format *format)
{
    return format->size;
}

lx_dtype lx_number_dtype(const lx_number_format *format)
{
    return format->dtype;
}

bool lx_number_is_native(const lx_number_format *format)
{
    return format->kind == NATIVE;
}

static uint64_t word_at(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return word;
}

static lx_code read_truths(const uint8_t *bytes, size_t count, uint8_t *out, lx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] > 1)
            return lx_fail(error, LX_EFORMAT, "truth value %zu is %d, expected 0 or 1", i + 1, bytes[i]);
        out[i] = bytes[i];
    }
    return LX_OK;
}

static lx_code read_signed(size_t size, const uint8_t *bytes, size_t count, int32_t *out, lx_error *error)
{
    const int unused = 64 - 8 * (int)size;
    for (size_t i = 0; i < count; i++) {
        const int64_t value = (int64_t)(word_at(bytes + i * size, size) << unused) >> unused;
        if (value < INT32_MIN || value > INT32_MAX)
            return lx_fail(error, LX_EFORMAT, "number %zu is %" PRId64 ", which int32 does not hold", i + 1, value);
        out[i] = (int32_t)value;
    }
    return LX_OK;
}

static lx_code read_unsigned(size_t size, const uint8_t *bytes, size_t count, int32_t *out, lx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = word_at(bytes + i * size, size);
        if (value > INT32_MAX)
            return lx_fail(error, LX_EFORMAT, "number %zu is %" PRIu64 ", which int32 does not hold", i + 1, value);
        out[i] = (int32_t)value;
    }
    return LX_OK;
}

static lx_code read_doubles(const uint8_t *bytes, size_t count, float *out, lx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        out[i] = (float)value;
        if (isinf(out[i]) && !isinf(value))
            return lx_fail(error, LX_EFORMAT, "number %zu is %.9g, which float32 does not hold", i + 1, value);
    }
    return LX_OK;
}

static bool is_nan_code(const lx_number_format *format, uint32_t code)
{
    const uint32_t sign = 1u << (format->exponent + format->fraction), magnitude = code & (sign - 1);
    if (format->top == UNSIGNED_ZERO)
        return code == sign;
    if (format->top == INFINITE)
        return magnitude >> format->fraction == (1u << format->exponent) - 1 &&
               magnitude << (32 - format->fraction) != 0;
    return magnitude == sign - 1;
}

/* The float32 of a code, exactly: all small formats have their numbers among those of float32. */
static float small_float(const lx_number_format *format, uint32_t code)
{
    const uint32_t top = (1u << format->exponent) - 1;
    const uint32_t exponent = code >> format->fraction & top, fraction = code & ((1u << format->fraction) - 1);
    const bool negative = format->top != POWERS && code >> (format->exponent + format->fraction) & 1;
    if (is_nan_code(format, code))
        return NAN;
    if (format->top == INFINITE && exponent == top)
        return negative ? -INFINITY : INFINITY;
    const bool normal = exponent > 0 || format->top == POWERS;
    const float significand = (float)(fraction + ((uint32_t)normal << format->fraction));
    const float value = ldexpf(significand, (normal ? (int)exponent : 1) - format->bias - format->fraction);
    return negative ? -value : value;
}

static void read_small_floats(const lx_number_format *format, const uint8_t *bytes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = small_float(format, (uint32_t)word_at(bytes + i * format->size, format->size));
}

lx_code lx_read_numbers(const lx_number_format *format, const uint8_t *bytes, size_t count, void *out, lx_error *error)
{
    switch (format->kind) {
    case NATIVE: memcpy(out, bytes, count * format->size); return LX_OK;
    case TRUTH: return read_truths(bytes, count, out, error);
    case SIGNED: return read_signed(format->size, bytes, count, out, error);
    case UNSIGNED: return read_unsigned(format->size, bytes, count, out, error);
    case DOUBLE: return read_doubles(bytes, count, out, error);
    case SMALL_FLOAT: read_small_floats(format, bytes, count, out);
    }
    return LX_OK;
}

/* Shifts bits out on the right, rounding to the nearest, of two equally near to the even one. */
static uint32_t round_off(uint32_t bits, int count)
{
    const uint32_t kept = bits >> count, half = 1u << (count - 1), rest = bits & ((1u << count) - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

/* A carry out of the fraction makes the exponent one more, as it should: the largest numbers become infinity. */
static uint16_t half_of(float value)
{
    enum {
        FRACTION = 23,
        HALF_FRACTION = 10,
        SHIFT = FRACTION - HALF_FRACTION,
        BIAS = 127 - 15,
        INFINITY_CODE = 0x7c00
    };
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffff, exponent = magnitude >> FRACTION;
    if (isnan(value))
        return sign | INFINITY_CODE | 1u << (HALF_FRACTION - 1);
    if (exponent > BIAS + 30)
        return sign | INFINITY_CODE;
    if (exponent > BIAS)
        return (uint16_t)(sign | (round_off(magnitude, SHIFT) - ((uint32_t)BIAS << HALF_FRACTION)));
    if (exponent < BIAS - HALF_FRACTION)
        return sign;
    const uint32_t significand = (magnitude & ((1u << FRACTION) - 1)) | 1u << FRACTION;
    return (uint16_t)(sign | round_off(significand, SHIFT + 1 + (int)(BIAS - exponent)));
}

void lx_write_halves(const float *from, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const uint16_t half = half_of(from[i]);
        out[2 * i] = (uint8_t)half;
        out[2 * i + 1] = (uint8_t)(half >> 8);
    }
}
