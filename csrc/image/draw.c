#include "draw.h"

#include <limits.h>
#include <stddef.h>

#include "font.h"
#include "plane.h"

static int clamp(int64_t value, int limit)
{
    return value < 0 ? 0 : value > limit ? limit : (int)value;
}

/* Blends a rectangle whose corners may lie anywhere. */
static void blend(uint8_t *pixels, int width, int height, int channels, int64_t x, int64_t y, int64_t rect_width,
                  int64_t rect_height, const uint8_t colour[3], float alpha)
{
    int left = clamp(x, width), right = clamp(x + rect_width, width);
    int top = clamp(y, height), bottom = clamp(y + rect_height, height);
    uint8_t source[4] = {colour[0], colour[1], colour[2], 255};
    if (channels < 3) {
        source[0] = (uint8_t)lx_grey(colour[0], colour[1], colour[2]);
        source[1] = 255;
    }
    for (int row = top; row < bottom; row++) {
        uint8_t *pixel = pixels + ((size_t)row * (size_t)width + (size_t)left) * (size_t)channels;
        for (int column = left; column < right; column++, pixel += channels)
            for (int c = 0; c < channels; c++)
                pixel[c] = (uint8_t)((float)pixel[c] + ((float)source[c] - (float)pixel[c]) * alpha + 0.5f);
    }
}

void lx_image_fill_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, const uint8_t colour[3], float alpha)
{
    if (alpha > 0) /* not so for NaN */
        blend(pixels, width, height, channels, x, y, rect_width, rect_height, colour, alpha < 1 ? alpha : 1);
}

void lx_image_draw_rect(uint8_t *pixels, int width, int height, int channels, int x, int y, int rect_width,
                        int rect_height, int thickness, const uint8_t colour[3])
{
    int64_t w = rect_width, h = rect_height, t = thickness;
    if (w < 1 || h < 1 || t < 1)
        return;
    t = t < w ? t : w;
    t = t < h ? t : h;
    blend(pixels, width, height, channels, x, y, w, t, colour, 1);
    blend(pixels, width, height, channels, x, y + h - t, w, t, colour, 1);
    blend(pixels, width, height, channels, x, y, t, h, colour, 1);
    blend(pixels, width, height, channels, x + w - t, y, t, h, colour, 1);
}

/* The next character the font can show, or '\0' at the end. One "?" stands for a whole UTF-8 sequence. */
static char next_character(const char **text)
{
    unsigned char first = (unsigned char)**text;
    if (first == '\0')
        return '\0';
    (*text)++;
    if (first >= 0xc0)
        while (((unsigned char)**text & 0xc0) == 0x80)
            (*text)++;
    return first == '\n' || (first >= ' ' && first <= '~') ? (char)first : '?';
}

void lx_image_draw_text(uint8_t *pixels, int width, int height, int channels, int x, int y, int scale, const char *text,
                        const uint8_t colour[3])
{
    int64_t pen = x, line = y;
    for (char character; (character = next_character(&text)) != '\0';) {
        if (character == '\n') {
            pen = x;
            line += (int64_t)LX_IMAGE_TEXT_HEIGHT * scale;
            continue;
        }
        lx_stroke strokes[LX_GLYPH_STROKES];
        int advance, count = lx_glyph(character, strokes, &advance);
        for (int i = 0; i < count; i++)
            blend(pixels, width, height, channels, pen + (int64_t)strokes[i].x * scale,
                  line + (int64_t)strokes[i].y * scale, (int64_t)strokes[i].width * scale,
                  (int64_t)strokes[i].height * scale, colour, 1);
        pen += (int64_t)advance * scale;
    }
}

int lx_image_text_width(const char *text, int scale)
{
    int64_t pen = 0, widest = 0;
    for (char character; (character = next_character(&text)) != '\0';) {
        lx_stroke strokes[LX_GLYPH_STROKES];
        int advance = 0;
        if (character == '\n')
            pen = 0;
        else
            lx_glyph(character, strokes, &advance);
        pen += (int64_t)advance * scale;
        widest = pen > widest ? pen : widest;
    }
    return clamp(widest, INT_MAX);
}

int lx_image_text_height(const char *text, int scale)
{
    int64_t lines = 1;
    for (; *text; text++)
        lines += *text == '\n';
    return clamp(lines * LX_IMAGE_TEXT_HEIGHT * scale, INT_MAX);
}
