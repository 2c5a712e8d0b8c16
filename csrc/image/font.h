/* Letters as rectangles. */
#ifndef LX_FONT_H
#define LX_FONT_H

/* A stroke of a glyph, in dots from the glyph's upper left corner. */
typedef struct {
    int x, y, width, height;
} lx_stroke;

enum { LX_GLYPH_STROKES = 32 };

/* The strokes of a printable ASCII character, and how far it moves the pen; returns their number. */
int lx_glyph(char character, lx_stroke strokes[LX_GLYPH_STROKES], int *advance);

#endif
