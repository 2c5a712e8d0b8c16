#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/file.h"
#include "rooms.h"

#define ROW(format) &format,
const lx_format *const lx_formats[] = {LX_FORMATS(ROW) NULL};

/* The names of all formats: "JPEG, PNG and BMP". */
static const char *names_of_all(char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; lx_formats[i] && length < room; i++)
        length += (size_t)snprintf(text + length, room - length, "%s%s",
                                   i == 0              ? ""
                                   : lx_formats[i + 1] ? ", "
                                                       : " and ",
                                   lx_formats[i]->name);
    return text;
}

static const lx_format *format_of(const lx_input *in)
{
    char names[256];
    if (in->size == 0) {
        lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is empty", in->name);
        return NULL;
    }
    for (int i = 0; lx_formats[i]; i++)
        if (lx_formats[i]->sniff(in->bytes, in->size))
            return lx_formats[i];
    lx_fail(in->error, LX_EFORMAT, "\"%.300s\" is not an image: %s are supported", in->name,
            names_of_all(names, sizeof names));
    return NULL;
}

lx_code lx_image_probe_memory(const lx_input *in, bool as_stored, lx_image_info *info, lx_dicom *dicom)
{
    lx_dicom own;
    const lx_format *format = format_of(in);
    if (!format)
        return in->error->code;
    dicom = dicom ? dicom : &own;
    *info = (lx_image_info){.format = format->name, .bits = 8, .frames = 1, .orientation = 1};
    memset(dicom, 0, sizeof *dicom);
    format->inspect(in, info, dicom);
    lx_dicom_forget(dicom);
    if (in->error->code)
        return in->error->code;
    if (!as_stored && info->orientation > 4) {
        const int width = info->width;
        info->width = info->height;
        info->height = width;
    }
    return LX_OK;
}

lx_code lx_image_read_memory(const lx_input *in, const lx_read_options *options, lx_picture *picture,
                             lx_image_info *info, lx_dicom *dicom)
{
    lx_dicom own;
    if (options->channels != 0 && options->channels != 1 && options->channels != 3)
        return lx_fail(in->error, LX_EARG, "image read: channels must be 0 (as stored), 1 or 3, not %d",
                       options->channels);
    const lx_format *format = format_of(in);
    if (!format)
        return in->error->code;
    dicom = dicom ? dicom : &own;
    *info = (lx_image_info){.format = format->name, .bits = 8, .frames = 1, .orientation = 1};
    memset(dicom, 0, sizeof *dicom);
    format->decode(in, options, picture, info, dicom);
    lx_dicom_forget(dicom);
    return in->error->code ? in->error->code : options->as_stored ? LX_OK : lx_orient(in, picture, info);
}

lx_code lx_image_probe(const char *path, bool as_stored, lx_image_info *info, lx_dicom *dicom, lx_error *error)
{
    uint8_t *bytes;
    size_t size;
    if (lx_file_read(path, LX_IMAGE_MAX_BYTES, &bytes, &size, error))
        return error->code;
    const lx_input in = {path, bytes, size, error, path};
    lx_image_probe_memory(&in, as_stored, info, dicom);
    free(bytes);
    return error->code;
}

lx_code lx_image_read(const char *path, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom, lx_error *error)
{
    uint8_t *bytes;
    size_t size;
    if (lx_file_read(path, LX_IMAGE_MAX_BYTES, &bytes, &size, error))
        return error->code;
    const lx_input in = {path, bytes, size, error, path};
    lx_image_read_memory(&in, options, picture, info, dicom);
    free(bytes);
    return error->code;
}
