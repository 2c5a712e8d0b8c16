#include "rooms.h"

lx_code lx_damaged(const lx_input *in, const lx_image_info *info, const char *what)
{
    return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is a damaged %s: %s", in->name, info->format, what);
}

lx_code lx_truncated(const lx_input *in, const lx_image_info *info)
{
    return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is truncated: the %s breaks off after %zu bytes", in->name,
                   info->format, in->size);
}

lx_code lx_unsupported(const lx_input *in, const char *what)
{
    return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is %s, which is not supported; convert it to 8-bit JPEG or PNG",
                   in->name, what);
}

lx_code lx_no_room(const lx_input *in, const lx_image_info *info)
{
    return lx_fail(in->error, LX_ENOMEM, "cannot decode \"%.300s\": out of memory for %d x %d pixels", in->name,
                   info->width, info->height);
}

lx_code lx_accept_size(const lx_input *in, uint32_t width, uint32_t height, lx_image_info *info)
{
    if (width == 0 || height == 0)
        return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is a damaged %s: its header says %u x %u pixels", in->name,
                       info->format, width, height);
    if (width > LX_IMAGE_MAX_SIDE || height > LX_IMAGE_MAX_SIDE || (uint64_t)width * height > LX_IMAGE_MAX_PIXELS)
        return lx_fail(in->error, LX_EFORMAT,
                       "\"%.300s\" is too large: %u x %u pixels, and the limit is %d a side and %d million in all",
                       in->name, width, height, LX_IMAGE_MAX_SIDE, LX_IMAGE_MAX_PIXELS / 1000000);
    info->width = (int)width;
    info->height = (int)height;
    return LX_OK;
}
