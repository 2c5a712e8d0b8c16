/* Drawing on interleaved rows of uint8, top row first, `channels` bytes to a pixel. Every function is safe to call from
   several threads at once, as long as they do not share a picture. */
#ifndef LX_DRAW_H
#define LX_DRAW_H

#include <stdint.h>

enum { LX_IMAGE_TEXT_HEIGHT = 12 }; /* pixels from one line of text to the next, at scale 1 */

/* The drawing functions clip to the picture. Colours are RGB: one- and two-channel pictures get their luminance, and
   where there is an alpha channel, what is drawn is made as opaque as it is drawn. */

/* Draws ASCII text with its upper left corner at x, y, `scale` >= 1 pixels to a dot of the font; "\n" starts a new line
   and a character the font lacks shows as "?". */
void lx_image_draw_text(uint8_t *pixels, int width, int height, int channels, int x, int y, int scale, const char *text,
                        const uint8_t colour[3]);

/* Width in pixels of the longest line of the text as lx_image_draw_text draws it. */
int lx_image_text_width(const char *text, int scale);
int lx_image_text_height(const char *text, int scale);

/* Fills a rectangle; `alpha` 1 replaces what was there, 0 leaves it. */
void lx_image_fill_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, const uint8_t colour[3], float alpha);

/* Draws the outline of a rectangle, `thickness` pixels thick, inside its edges. */
void lx_image_draw_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, int thickness, const uint8_t colour[3]);

#endif
