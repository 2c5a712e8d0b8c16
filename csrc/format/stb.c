/* The only file that sees stb_image, which reads JPEG and PNG. */
#include <stdlib.h>

#include "rooms.h"

/* Of the decode running in this thread: the largest allocation that it may make, 0 once it has asked for more; and
   whether memory ran out, which the library does not always say. */
static _Thread_local size_t decode_allowance;
static _Thread_local bool decode_starved;

static void allow(size_t allowance)
{
    decode_allowance = allowance;
    decode_starved = false;
}

static bool allowed(size_t size)
{
    if (size > decode_allowance)
        decode_allowance = 0;
    return decode_allowance > 0;
}

/* Zeroed, because damaged files leave parts of the decoder's buffers unwritten, and those end up in the picture. */
static void *decode_malloc(size_t size)
{
    void *memory = allowed(size) ? calloc(1, size) : NULL;
    decode_starved |= !memory && decode_allowance > 0;
    return memory;
}

static void *decode_realloc(void *memory, size_t size)
{
    void *larger = allowed(size) ? realloc(memory, size) : NULL;
    decode_starved |= !larger && decode_allowance > 0;
    return larger;
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
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS LX_IMAGE_MAX_SIDE
#define STBI_MALLOC(size) decode_malloc(size)
#define STBI_REALLOC(memory, size) decode_realloc(memory, size)
#define STBI_FREE(memory) free(memory)
#define STBI_ASSERT(condition) ((void)0) /* a library does not abort its host */
#include "stb_image.h"

#pragma GCC diagnostic pop

/* Says why there are no pixels. */
static lx_code explain(const lx_input *in, const lx_image_info *info)
{
    if (decode_starved)
        return lx_no_room(in, info);
    const char *reason = decode_allowance == 0 ? "more data than its size allows" : stbi_failure_reason();
    return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is a damaged or unsupported %s: %s", in->name, info->format,
                   reason ? reason : "no reason known");
}

lx_code lx_stb_decode(const lx_input *in, int channels, const lx_image_info *info, void **samples)
{
    int width = 0, height = 0, stored = 0;
    /* 16-bit RGBA takes 8 bytes a pixel, decoders double their buffers as they grow, and JPEG pads to whole blocks of
       up to 32 pixels; the compressed bytes themselves are gathered in one buffer, which doubles as well. */
    allow((size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * in->size + 65536);
    *samples = info->bits > 8
                   ? (void *)stbi_load_16_from_memory(in->bytes, (int)in->size, &width, &height, &stored, channels)
                   : (void *)stbi_load_from_memory(in->bytes, (int)in->size, &width, &height, &stored, channels);
    if (!*samples)
        return explain(in, info);
    if (width != info->width || height != info->height) {
        free(*samples);
        return lx_damaged(in, info, "it states two sizes");
    }
    return LX_OK;
}
