/* What image.c and draw.c need of the stb libraries, and the check of a file that comes before any decoding. */
#ifndef LX_CODEC_H
#define LX_CODEC_H

#include "image.h"

#include <stddef.h>

typedef enum { LX_FORMAT_JPEG, LX_FORMAT_PNG, LX_FORMAT_BMP, LX_FORMAT_PNM, LX_FORMAT_DICOM } lx_image_format;

typedef struct {
    lx_image_format format;
    lx_image_info info;
    size_t raster;   /* PNM only: where the samples begin, and the value that stands for white */
    int white;
} lx_image_header;

/* Walks the whole structure of a file in memory: refuses what is not an image, is cut short or exceeds the limits. */
lx_code lx_image_inspect(const char *path, const uint8_t *bytes, size_t size, lx_image_header *header, lx_error *error);

const char *lx_image_format_name(lx_image_format format);

typedef struct {
    int width, height, channels; /* channels as stored */
    const char *failure;         /* why there are no pixels, in two or three words */
    bool no_memory;
} lx_codec_result;

/* Decodes an inspected JPEG, PNG or BMP; returns interleaved pixels for free(), or NULL. No single allocation exceeds
   `allowance` bytes, so that a small file cannot unfold into more than its header admits to. */
uint8_t *lx_codec_decode(const uint8_t *bytes, size_t size, int channels, size_t allowance, lx_codec_result *result);
uint16_t *lx_codec_decode16(const uint8_t *bytes, size_t size, int channels, size_t allowance, lx_codec_result *result);

/* The number of channels a BMP decodes to, or 0 when its header makes no sense. */
int lx_codec_bmp_channels(const uint8_t *bytes, size_t size);

/* Returns the PNG for free(), or NULL when memory is short. */
uint8_t *lx_codec_encode_png(const uint8_t *pixels, int width, int height, int channels, size_t *size);

/* A stroke of a glyph, in dots from the glyph's upper left corner. */
typedef struct {
    int x, y, width, height;
} lx_stroke;

enum { LX_GLYPH_STROKES = 32 };

/* The strokes of a printable ASCII character, and how far it moves the pen; returns their number. */
int lx_codec_glyph(char character, lx_stroke strokes[LX_GLYPH_STROKES], int *advance);

#endif
