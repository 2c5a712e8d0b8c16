/* The only file that sees stb_easy_font. */
#include "font.h"

/* Unused functions are found at the end of the file, so this one cannot be confined to the header. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-braces"
#include "stb_easy_font.h"
#pragma GCC diagnostic pop

int lx_glyph(char character, lx_stroke strokes[LX_GLYPH_STROKES], int *advance)
{
    /* stb_easy_font writes four corners of (x, y, z, colour) for each stroke. */
    float corners[LX_GLYPH_STROKES][4][4];
    char text[2] = {character, '\0'};
    int count = stb_easy_font_print(0, 0, text, NULL, corners, (int)sizeof corners);
    for (int i = 0; i < count; i++) {
        strokes[i].x = (int)corners[i][0][0];
        strokes[i].y = (int)corners[i][0][1];
        strokes[i].width = (int)(corners[i][2][0] - corners[i][0][0]);
        strokes[i].height = (int)(corners[i][2][1] - corners[i][0][1]);
    }
    *advance = stb_easy_font_width(text);
    return count;
}
