/* The only file that sees the stb libraries. Their PNM reader is left out: it misreads 16-bit files. */
#include "codec.h"

#include <stdlib.h>
#include <string.h>

/* The largest allocation the decode running in this thread may make; 0 once it has asked for more. */
static _Thread_local size_t decode_allowance;

static bool allowed(size_t size)
{
    if (size > decode_allowance)
        decode_allowance = 0;
    return decode_allowance > 0;
}

/* Zeroed, because damaged files leave parts of the decoder's buffers unwritten, and those end up in the picture. */
static void *decode_malloc(size_t size)
{
    return allowed(size) ? calloc(1, size) : NULL;
}

static void *decode_realloc(void *memory, size_t size)
{
    return allowed(size) ? realloc(memory, size) : NULL;
}

/* Unused functions are found at the end of the file, so this one cannot be confined to the headers. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-braces"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS LX_IMAGE_MAX_SIDE
#define STBI_MALLOC(size) decode_malloc(size)
#define STBI_REALLOC(memory, size) decode_realloc(memory, size)
#define STBI_FREE(memory) free(memory)
#define STBI_ASSERT(condition) ((void)0) /* a library does not abort its host */
#include "stb_image.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STBIW_ASSERT(condition) ((void)0)
#include "stb_image_write.h"

#include "stb_easy_font.h"

#pragma GCC diagnostic pop

/* Says why there are no pixels. */
static void explain(lx_codec_result *result)
{
    const bool exceeded = decode_allowance == 0;
    const char *reason = stbi_failure_reason();
    result->no_memory = !exceeded && reason != NULL && strcmp(reason, "outofmem") == 0;
    result->failure = exceeded ? "more data than its size allows" : reason != NULL ? reason : "no reason known";
}

uint8_t *lx_codec_decode(const uint8_t *bytes, size_t size, int channels, size_t allowance, lx_codec_result *result)
{
    decode_allowance = allowance;
    uint8_t *pixels = stbi_load_from_memory(bytes, (int)size, &result->width, &result->height, &result->channels,
                                            channels);
    if (pixels == NULL)
        explain(result);
    return pixels;
}

uint16_t *lx_codec_decode16(const uint8_t *bytes, size_t size, int channels, size_t allowance, lx_codec_result *result)
{
    decode_allowance = allowance;
    uint16_t *pixels = stbi_load_16_from_memory(bytes, (int)size, &result->width, &result->height, &result->channels,
                                                channels);
    if (pixels == NULL)
        explain(result);
    return pixels;
}

int lx_codec_bmp_channels(const uint8_t *bytes, size_t size)
{
    int width, height, channels;
    decode_allowance = 1 << 20;
    return stbi_info_from_memory(bytes, (int)size, &width, &height, &channels) ? channels : 0;
}

uint8_t *lx_codec_encode_png(const uint8_t *pixels, int width, int height, int channels, size_t *size)
{
    int length = 0;
    uint8_t *png = stbi_write_png_to_mem(pixels, width * channels, width, height, channels, &length);
    *size = (size_t)length;
    return png;
}

int lx_codec_glyph(char character, lx_stroke strokes[LX_GLYPH_STROKES], int *advance)
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
