/* JPEG (ITU-T T.81). The structure of a file is walked before anything is decoded; libjpeg decodes where it was there
   at build time, else stb_image. */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

/* Every scan of a progressive JPEG costs a pass over the picture, however few its bytes. Real files have about ten. */
enum { MOST_SCANS = 100 };

enum {
    DHT = 0xc4,
    JPG = 0xc8,
    DAC = 0xcc,
    RST0 = 0xd0,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DNL = 0xdc,
    APP0 = 0xe0,
    APP1 = 0xe1,
    APP14 = 0xee
};

/* What the walk finds beside the picture's size. */
typedef struct {
    int frames, scans;
    bool tables;
    bool jfif, adobe; /* marks that say what the components are */
    int components;
    uint8_t ids[4];       /* of the components */
    size_t height_at;     /* where the frame header has the height */
    uint32_t late_height; /* that follows the first scan; 0: there is none */
} structure;

static lx_code inspect_frame(const lx_input *in, int marker, size_t at, size_t length, lx_image_info *info,
                             structure *s)
{
    const uint8_t *segment = in->bytes + at;
    if (++s->frames > 1)
        return lx_damaged(in, info, "it has two frame headers");
    if (marker > 0xc2)
        return lx_unsupported(in, "a lossless, hierarchical or arithmetic-coded JPEG");
    if (length < 8 || length < 8 + 3 * (size_t)segment[7])
        return lx_damaged(in, info, "its frame header is too short");
    if (segment[2] != 8)
        return lx_unsupported(in, "a JPEG of more than 8 bits");
    if (segment[7] != 1 && segment[7] != 3 && segment[7] != 4)
        return lx_unsupported(in, "a JPEG of neither 1, 3 nor 4 components");
    info->channels = segment[7] >= 3 ? 3 : 1;
    info->width = (int)lx_big16(segment + 5);
    info->height = (int)lx_big16(segment + 3);
    s->height_at = at + 3;
    s->components = segment[7];
    for (int i = 0; i < s->components; i++)
        s->ids[i] = segment[8 + 3 * i];
    /* a height of 0 follows the first scan; what is too wide is refused before it is looked for */
    return lx_accept_size(in, (uint32_t)info->width, info->height ? (uint32_t)info->height : 1, info);
}

/* A Huffman table of more codes than there are byte values overruns the tables of older stb_image versions. */
static lx_code inspect_tables(const lx_input *in, const uint8_t *segment, size_t length, const lx_image_info *info)
{
    size_t at = 2;
    while (at < length) {
        size_t codes = 0;
        if (length - at < 17)
            return lx_damaged(in, info, "a Huffman table is cut short");
        for (size_t i = 1; i <= 16; i++)
            codes += segment[at + i];
        if (codes > 256 || codes > length - at - 17)
            return lx_damaged(in, info, "a Huffman table has too many codes");
        at += 17 + codes;
    }
    return LX_OK;
}

/* The first table, which is that of luminance by custom; decoders judge whether tables are whole. */
static void note_steps(const uint8_t *segment, size_t length, lx_image_info *info)
{
    enum { STEPS = 64 };
    double sum = 0;
    if (length < 3 || info->quantisation > 0)
        return;
    const size_t bytes = segment[2] >> 4 ? 2 : 1;
    if (length < 3 + STEPS * bytes)
        return;
    for (size_t i = 0; i < STEPS; i++)
        sum += bytes == 2 ? (double)lx_big16(segment + 3 + 2 * i) : segment[3 + i];
    info->quantisation = sum / STEPS;
}

static bool is_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != DHT && marker != JPG && marker != DAC;
}

static lx_code inspect_segment(const lx_input *in, int marker, size_t at, size_t length, lx_image_info *info,
                               structure *s)
{
    const uint8_t *segment = in->bytes + at;
    if (is_frame(marker))
        return inspect_frame(in, marker, at, length, info, s);
    switch (marker) {
    case DHT: s->tables = true; return inspect_tables(in, segment, length, info);
    case DQT: note_steps(segment, length, info); return LX_OK;
    case SOS: return ++s->scans > MOST_SCANS ? lx_damaged(in, info, "it has more than 100 scans") : LX_OK;
    case DNL: s->late_height = length == 4 ? lx_big16(segment + 2) : 0; return LX_OK;
    case APP0: s->jfif = s->jfif || (length >= 7 && memcmp(segment + 2, "JFIF", 5) == 0); return LX_OK;
    case APP14: s->adobe = s->adobe || (length >= 7 && memcmp(segment + 2, "Adobe", 5) == 0); return LX_OK;
    case APP1:
        if (length > 8 && memcmp(segment + 2, "Exif\0\0", 6) == 0)
            info->orientation = lx_exif_orientation(segment + 8, length - 8);
        return LX_OK;
    default: return LX_OK;
    }
}

static lx_code inspect_file(const lx_input *in, lx_image_info *info, structure *s)
{
    const uint8_t *bytes = in->bytes;
    size_t size = in->size, at = 2;
    memset(s, 0, sizeof *s);
    for (;;) {
        /* Compressed data and padding are passed over up to the next marker. */
        const uint8_t *next = memchr(bytes + at, 0xff, size - at);
        if (next == NULL)
            return lx_truncated(in, info);
        at = (size_t)(next - bytes);
        while (at < size && bytes[at] == 0xff)
            at++;
        if (at == size)
            return lx_truncated(in, info);
        int marker = bytes[at++];
        if (marker <= 0x01 || (marker >= RST0 && marker <= SOI))
            continue; /* a stuffed 0xff, or a marker without a segment */
        if (marker == EOI)
            break;
        if (size - at < 2)
            return lx_truncated(in, info);
        size_t length = lx_big16(bytes + at);
        if (length < 2)
            return lx_damaged(in, info, "a segment has no length");
        if (length > size - at)
            return lx_truncated(in, info);
        if (inspect_segment(in, marker, at, length, info, s))
            return in->error->code;
        at += length;
    }
    if (s->frames == 0 || s->scans == 0)
        return lx_damaged(in, info, "it has no picture in it");
    if (lx_big16(bytes + s->height_at) == 0)
        return lx_accept_size(in, (uint32_t)info->width, s->late_height, info);
    s->late_height = 0;
    return LX_OK;
}

lx_code lx_jpeg_inspect(const lx_input *in, lx_image_info *info)
{
    structure s;
    return inspect_file(in, info, &s);
}

/* ---- libjpeg ------------------------------------------------------------------------------------------------------
 */

#ifdef LX_LIBJPEG

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

typedef struct {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    const lx_input *in;
    const lx_image_info *info;
} watcher;

static void give_up(j_common_ptr codec)
{
    watcher *w = (watcher *)codec->err;
    char text[JMSG_LENGTH_MAX];
    w->manager.format_message(codec, text);
    if (w->manager.msg_code == JERR_OUT_OF_MEMORY)
        lx_no_room(w->in, w->info);
    else
        lx_damaged(w->in, w->info, text);
    longjmp(w->back, 1);
}

/* What the library would go on with after a warning is a picture that is partly made up. These warnings are harmless.
 */
static void note(j_common_ptr codec, int level)
{
    static const int harmless[] = {JWRN_ADOBE_XFORM, JWRN_BOGUS_PROGRESSION, JWRN_EXTRANEOUS_DATA, JWRN_JFIF_MAJOR,
                                   JWRN_NOT_SEQUENTIAL};
    if (level >= 0)
        return;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (codec->err->msg_code == harmless[i])
            return;
    give_up(codec);
}

static void say_nothing(j_common_ptr codec)
{
    (void)codec;
}

static void choose_colours(struct jpeg_decompress_struct *codec, int channels, bool rgb)
{
    if (rgb)
        codec->jpeg_color_space = JCS_RGB;
    codec->out_color_space = codec->num_components == 4 ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
}

static uint8_t multiply(int a, int b)
{
    return (uint8_t)((a * b + 127) / 255);
}

/* A row of interleaved samples into the planes. Inks are stored as light, 255 for none: Adobe's programs began with it,
   and readers take it so where there is no mark of theirs. */
static void put_row(const struct jpeg_decompress_struct *codec, const uint8_t *row, int channels, uint8_t *out,
                    size_t pixels)
{
    const size_t width = codec->output_width;
    for (size_t x = 0; x < width; x++) {
        uint8_t rgb[3];
        if (codec->out_color_components == 3) {
            memcpy(rgb, row + 3 * x, 3);
        } else {
            for (size_t c = 0; c < 3; c++)
                rgb[c] = multiply(row[4 * x + c], row[4 * x + 3]);
        }
        if (channels == 1)
            out[x] = (uint8_t)lx_grey(rgb[0], rgb[1], rgb[2]);
        for (size_t c = 0; channels == 3 && c < 3; c++)
            out[c * pixels + x] = rgb[c];
    }
}

/* What needs to be released is in `codec` and `*row`, whatever happens. */
static lx_code decode_rows(struct jpeg_decompress_struct *codec, watcher *w, int channels, bool rgb,
                           uint8_t *volatile *row, uint8_t *planes)
{
    const size_t width = (size_t)w->info->width, pixels = width * (size_t)w->info->height;
    if (setjmp(w->back))
        return w->in->error->code;
    jpeg_create_decompress(codec);
    jpeg_mem_src(codec, w->in->bytes, (unsigned long)w->in->size);
    jpeg_read_header(codec, TRUE);
    choose_colours(codec, channels, rgb);
    jpeg_start_decompress(codec);
    if (codec->output_width != (JDIMENSION)w->info->width || codec->output_height != (JDIMENSION)w->info->height)
        return lx_damaged(w->in, w->info, "it states two sizes");
    const bool direct = codec->out_color_components == channels && channels == 1;
    if (!direct && !(*row = malloc((size_t)codec->out_color_components * width)))
        return lx_no_room(w->in, w->info);
    while (codec->output_scanline < codec->output_height) {
        uint8_t *out = planes + codec->output_scanline * width;
        JSAMPROW target = direct ? out : *row;
        jpeg_read_scanlines(codec, &target, 1);
        if (!direct)
            put_row(codec, *row, channels, out, pixels);
    }
    jpeg_finish_decompress(codec);
    return LX_OK;
}

/* What a build without the library cannot read: nothing. */
static lx_code check_fallback(const lx_input *in, const structure *s, bool rgb)
{
    (void)s, (void)rgb;
    return in->error->code;
}

static lx_code decode_planes(const lx_input *in, const lx_image_info *info, int channels, bool rgb, uint8_t *planes)
{
    struct jpeg_decompress_struct codec;
    watcher w = {.in = in, .info = info};
    uint8_t *volatile row = NULL;
    memset(&codec, 0, sizeof codec);
    codec.err = jpeg_std_error(&w.manager);
    w.manager.error_exit = give_up;
    w.manager.emit_message = note;
    w.manager.output_message = say_nothing;
    decode_rows(&codec, &w, channels, rgb, &row, planes);
    jpeg_destroy_decompress(&codec);
    free(row);
    return in->error->code;
}

#else

/* The library knows colours by their marks and names alone, and takes four components without a mark for something
 * else. */
static lx_code check_fallback(const lx_input *in, const structure *s, bool rgb)
{
    const char *what = !s->tables                             ? "a JPEG without Huffman tables"
                       : rgb && memcmp(s->ids, "RGB", 3) != 0 ? "a JPEG of RGB without a mark"
                       : s->components == 4 && !s->adobe      ? "a JPEG of four inks without a mark"
                                                              : NULL;
    return what ? lx_fail(in->error, LX_EFORMAT,
                          "\"%.300s\" is %s, which this build does not read (package libjpeg62-turbo-dev "
                          "was not there)",
                          in->name, what)
                : LX_OK;
}

static lx_code decode_planes(const lx_input *in, const lx_image_info *info, int channels, bool rgb, uint8_t *planes)
{
    const size_t pixels = (size_t)info->width * (size_t)info->height;
    void *found;
    (void)rgb;
    if (lx_stb_decode(in, channels, info, &found))
        return in->error->code;
    const uint8_t *samples = found;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < (size_t)channels; c++)
            planes[c * pixels + i] = samples[i * (size_t)channels + c];
    free(found);
    return LX_OK;
}

#endif

/* ---- decoding -----------------------------------------------------------------------------------------------------
 */

/* RGB that nothing in the JPEG calls so; components numbered 1, 2, 3 are YCbCr by everybody who does not mark them. */
static bool is_rgb(const structure *s, lx_jpeg_colours colours)
{
    return colours == LX_JPEG_RGB && s->components == 3 && !s->jfif && !s->adobe && memcmp(s->ids, "\1\2\3", 3) != 0;
}

lx_code lx_jpeg_planes(const lx_input *in, const lx_image_info *info, int channels, lx_jpeg_colours colours,
                       uint8_t *planes)
{
    structure s;
    lx_image_info again = *info;
    if (inspect_file(in, &again, &s))
        return in->error->code;
    const bool rgb = is_rgb(&s, colours);
    if (check_fallback(in, &s, rgb))
        return in->error->code;
    if (s.late_height == 0)
        return decode_planes(in, info, channels, rgb, planes);
    /* decoders want to know the height before they begin */
    uint8_t *copy = malloc(in->size);
    if (!copy)
        return lx_no_room(in, info);
    memcpy(copy, in->bytes, in->size);
    copy[s.height_at] = (uint8_t)(s.late_height >> 8);
    copy[s.height_at + 1] = (uint8_t)s.late_height;
    const lx_input whole = {in->name, copy, in->size, in->error, NULL};
    decode_planes(&whole, info, channels, rgb, planes);
    free(copy);
    return in->error->code;
}

/* ---- the row of the table --------------------------------------------------------------------------------------- */

static bool sniff(const uint8_t *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8;
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    (void)dicom;
    return lx_jpeg_inspect(in, info);
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    (void)dicom;
    if (lx_jpeg_inspect(in, info))
        return in->error->code;
    *picture = (lx_picture){{info->width, info->height, LX_PLANE_U8, NULL}, lx_channels_of(options, info)};
    if (!lx_picture_room(picture))
        return lx_no_room(in, info);
    if (lx_jpeg_planes(in, info, picture->channels, LX_JPEG_AS_IT_SAYS, picture->first.samples))
        free(picture->first.samples);
    return in->error->code;
}

const lx_format lx_jpeg = {"JPEG", "jpg jpeg jpe jfif", sniff, inspect, decode};
