/* One channel of a picture, which is what filters, histograms and warps work on.

   Such a function is `lx_code lx_NAME(const lx_plane *in, lx_plane *out, PARAMETERS, lx_error *error)`. `out` comes
   with its size, its type and room for its samples, and shares no memory with `in` unless the function says that it
   may. The function works on the calling thread alone, keeps nothing between calls, and may run on many threads at
   once: parallel work is over planes and images. The same arguments give the same bits, whatever instructions the
   processor has: no fused multiply-add in this folder (see Makefile), and no sum whose order depends on the vector
   width. */
#ifndef LX_PLANE_H
#define LX_PLANE_H

#include "../base/error.h"

#include <stddef.h>
#include <stdint.h>

/* The largest picture: pixels of a side, and width x height. */
enum { LX_IMAGE_MAX_SIDE = 16384, LX_IMAGE_MAX_PIXELS = 100000000 };

typedef enum { LX_PLANE_U8, LX_PLANE_F32 } lx_plane_type;

typedef struct {
    int width, height;
    lx_plane_type type;
    void *samples; /* rows from the top, without gaps */
} lx_plane;

static inline size_t lx_plane_count(const lx_plane *plane)
{
    return (size_t)plane->width * (size_t)plane->height;
}

static inline size_t lx_plane_bytes(const lx_plane *plane)
{
    return lx_plane_count(plane) * (plane->type == LX_PLANE_U8 ? 1 : sizeof(float));
}

static inline void *lx_plane_row(const lx_plane *plane, long y)
{
    const size_t sample = plane->type == LX_PLANE_U8 ? 1 : sizeof(float);
    return (char *)plane->samples + (size_t)y * (size_t)plane->width * sample;
}

/* A level cut off at 0 and `most`; what is no number becomes 0. Compilers make two vector instructions of this. */
static inline float lx_cut_level(float level, float most)
{
    level = level > 0 ? level : 0;
    return level < most ? level : most;
}

/* The weights of red, green and blue in luma (ITU-R BT.601). */
#define LX_GREY_RED 0.299f
#define LX_GREY_GREEN 0.587f
#define LX_GREY_BLUE 0.114f

/* Luma of levels, by the same weights as whole numbers, which add up to 256. */
static inline int lx_grey(int red, int green, int blue)
{
    enum {
        RED = (int)(LX_GREY_RED * 256 + 0.5f),
        GREEN = (int)(LX_GREY_GREEN * 256 + 0.5f),
        BLUE = (int)(LX_GREY_BLUE * 256 + 0.5f)
    };
    _Static_assert(RED + GREEN + BLUE == 256, "white stays white");
    return (red * RED + green * GREEN + blue * BLUE) >> 8;
}

static inline float lx_grey_of_floats(float red, float green, float blue)
{
    return LX_GREY_RED * red + LX_GREY_GREEN * green + LX_GREY_BLUE * blue;
}

/* What a function does beyond the edge of a plane. The names and meanings are those of OpenCV's border types. */
typedef enum {
    LX_BORDER_CONSTANT,   /* a value that the caller gives */
    LX_BORDER_REPLICATE,  /* aaa|abcd|ddd */
    LX_BORDER_REFLECT,    /* cba|abcd|dcb */
    LX_BORDER_REFLECT101, /* dcb|abcd|cba */
    LX_BORDER_WRAP        /* bcd|abcd|abc */
} lx_border;

/* Compiles a function once more for wide vectors, where the compiler can; the best of them is taken when the module is
   loaded. Put it on the few functions whose loops take the time; what they inline is compiled along. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define LX_WIDE __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define LX_WIDE
#endif

#endif
