/* Pictures as plain buffers: interleaved rows of uint8, top row first, `channels` bytes to a pixel.

   Every function is safe to call from several threads at once, as long as they do not share a destination buffer.
   Files are hostile until checked: size, dimensions and structure are verified before pixels are allocated. */
#ifndef LX_IMAGE_H
#define LX_IMAGE_H

#include "../error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LX_IMAGE_MAX_SIDE = 16384,         /* pixels */
    LX_IMAGE_MAX_PIXELS = 100000000,   /* width x height */
    LX_IMAGE_MAX_BYTES = 256 << 20,    /* of the file */
    LX_IMAGE_TEXT_HEIGHT = 12          /* pixels from one line of text to the next, at scale 1 */
};

/* What the file holds, whatever was asked of the decoder. */
typedef struct {
    int width, height;
    int channels; /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; a palette counts as RGB */
    bool is16;    /* more than 8 bits to a sample */
} lx_image_info;

/* Tells what an image file (JPEG, PNG, BMP, binary PGM or PPM) holds, without decoding pixels. A file that is cut short
   or over the limits is refused here as it is by lx_image_load; damage inside the compressed data shows only there. */
lx_code lx_image_probe(const char *path, lx_image_info *info, lx_error *error);

/* Decodes a file to `channels` bytes a pixel: 1 for grey, 3 for RGB, 0 for as many as are stored. 16-bit samples keep
   their upper 8 bits, alpha is dropped when 1 or 3 channels are asked for, and EXIF rotation is not applied. The caller
   frees `*pixels`. Fails with LX_EIO for the file system, LX_EFORMAT for the content. */
lx_code lx_image_load(const char *path, int channels, uint8_t **pixels, lx_image_info *info, lx_error *error);

/* Decodes a file to grey and resizes the whole of it, whatever its aspect ratio, to size x size bytes at `out`. */
lx_code lx_image_load_gray(const char *path, int size, uint8_t *out, lx_image_info *info, lx_error *error);

/* Writes a PNG of 1 to 4 channels; the file appears complete or not at all. */
lx_code lx_image_write_png(const char *path, const uint8_t *pixels, int width, int height, int channels,
                           lx_error *error);

/* The drawing functions clip to the picture. Colours are RGB: one- and two-channel pictures get their luminance, and
   where there is an alpha channel, what is drawn is made as opaque as it is drawn. */

/* Draws ASCII text with its upper left corner at x, y, `scale` >= 1 pixels to a dot of the font; "\n" starts a new line
   and a character the font lacks shows as "?". */
void lx_image_draw_text(uint8_t *pixels, int width, int height, int channels, int x, int y, int scale, const char *text,
                        const uint8_t colour[3]);

/* Width in pixels of the longest line of the text as lx_image_draw_text draws it. */
int lx_image_text_width(const char *text, int scale);

/* Fills a rectangle; `alpha` 1 replaces what was there, 0 leaves it. */
void lx_image_fill_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, const uint8_t colour[3], float alpha);

/* Draws the outline of a rectangle, `thickness` pixels thick, inside its edges. */
void lx_image_draw_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, int thickness, const uint8_t colour[3]);

#endif
