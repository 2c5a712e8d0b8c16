/* Cameras and scanners store rows as they come, and say how the picture is to be turned. */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

/* What is at (x, y) of the upright picture is at `start` + x `across` + y `down` of the stored one. */
typedef struct {
    long start, across, down;
} walk;

/* Orientations 5 to 8 exchange rows and columns; width and height are those of the stored picture. */
static walk walk_of(int orientation, long width, long height)
{
    const long last = width * height - 1;
    switch (orientation) {
    case 2: return (walk){width - 1, -1, width};
    case 3: return (walk){last, -1, -width};
    case 4: return (walk){last - (width - 1), 1, -width};
    case 5: return (walk){0, width, 1};
    case 6: return (walk){last - (width - 1), -width, 1};
    case 7: return (walk){last, -width, -1};
    case 8: return (walk){width - 1, width, -1};
    default: return (walk){0, 1, width};
    }
}

static void turn(const lx_plane *from, const lx_plane *to, walk w)
{
    for (long y = 0; y < to->height; y++)
        for (long x = 0; x < to->width; x++) {
            const long there = w.start + x * w.across + y * w.down, here = y * to->width + x;
            if (to->type == LX_PLANE_U8)
                ((uint8_t *)to->samples)[here] = ((const uint8_t *)from->samples)[there];
            else
                ((float *)to->samples)[here] = ((const float *)from->samples)[there];
        }
}

lx_code lx_orient(const lx_input *in, lx_picture *picture, lx_image_info *info)
{
    if (info->orientation <= 1)
        return LX_OK;
    lx_picture turned = *picture;
    if (info->orientation > 4) {
        turned.first.width = info->width = picture->first.height;
        turned.first.height = info->height = picture->first.width;
    }
    if (!lx_picture_room(&turned)) {
        free(picture->first.samples);
        return lx_no_room(in, info);
    }
    for (int c = 0; c < picture->channels; c++) {
        lx_plane from = picture->first, to = turned.first;
        from.samples = (char *)from.samples + (size_t)c * lx_plane_bytes(&from);
        to.samples = (char *)to.samples + (size_t)c * lx_plane_bytes(&to);
        turn(&from, &to, walk_of(info->orientation, from.width, from.height));
    }
    free(picture->first.samples);
    *picture = turned;
    return LX_OK;
}
