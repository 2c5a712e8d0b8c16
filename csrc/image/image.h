/* Reading pictures, and drawing on them. What is drawn on and written has interleaved rows of uint8, top row first,
   `channels` bytes to a pixel.

   Every function is safe to call from several threads at once, as long as they do not share a destination buffer.
   Files are hostile until checked: size, dimensions and structure are verified before pixels are allocated. Reading one
   takes at most 16 bytes a sample that its header states (with 32 more rows and columns), twice the file and 1 MiB in one
   piece, and three times that in all; spec/fuzz checks it, libraries included. */
#ifndef LX_IMAGE_H
#define LX_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dicom.h"
#include "picture.h"

enum {
    LX_IMAGE_MAX_SIDE = 16384,         /* pixels */
    LX_IMAGE_MAX_PIXELS = 100000000,   /* width x height */
    LX_IMAGE_MAX_BYTES = 256 << 20,    /* of the file */
    LX_IMAGE_TEXT_HEIGHT = 12          /* pixels from one line of text to the next, at scale 1 */
};

/* What the file holds, whatever was asked of the decoder. */
typedef struct {
    const char *format; /* "JPEG", "PNG", "BMP", "PNM", "DICOM" */
    int width, height;
    int channels; /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; a palette counts as RGB */
    int bits;     /* of a sample that mean something */
} lx_image_info;

/* Tells what an image file (JPEG, PNG, BMP, binary PGM or PPM, DICOM) holds, without decoding pixels. A file that is cut
   short or over the limits is refused here as it is by lx_image_read; damage inside the compressed data shows only there.
   `dicom` may be NULL; of a DICOM file it has what the file says, but no pointers into it. */
lx_code lx_image_probe(const char *path, lx_image_info *info, lx_dicom *dicom, lx_error *error);

/* Decodes a file. Alpha is dropped, and EXIF rotation is not applied. The caller frees the samples. Fails with LX_EIO for the
   file system, LX_EFORMAT for the content. `dicom` as above. */
lx_code lx_image_read(const char *path, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom, lx_error *error);

/* The same for a file in memory; the name is for messages. */
lx_code lx_image_read_memory(const char *name, const uint8_t *bytes, size_t size, const lx_read_options *options,
                             lx_picture *picture, lx_image_info *info, lx_dicom *dicom, lx_error *error);

/* Decodes a file to grey and resizes the whole of it, whatever its aspect ratio, to size x size bytes at `out`. */
lx_code lx_image_load_gray(const char *path, int size, uint8_t *out, lx_error *error);

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
