/* MetaImage (.mha, and .mhd with the pixels in a file beside it), as ITK writes radiographs: lines "Key = Value", of
 * which ElementDataFile is the last, then samples of one type in either byte order, perhaps in the form of zlib. Keys
 * and types are those of ITK's MetaIO documentation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/file.h"
#include "rooms.h"

enum { MOST_HEADER = 1 << 16, MOST_TEXT = 256, MOST_FRAMES = 1000000 };

typedef enum { UNSIGNED, SIGNED, FLOATING } number;

typedef struct {
    const char *name;
    int bytes;
    number kind;
} element;

/* MET_LONG and MET_ULONG have 4 bytes or 8, as the machine had that wrote them. */
static const element elements[] = {
    {"MET_UCHAR", 1, UNSIGNED}, {"MET_CHAR", 1, SIGNED}, {"MET_USHORT", 2, UNSIGNED}, {"MET_SHORT", 2, SIGNED},
    {"MET_UINT", 4, UNSIGNED},  {"MET_INT", 4, SIGNED},  {"MET_FLOAT", 4, FLOATING},  {"MET_DOUBLE", 8, FLOATING},
};

/* What a header says; text is empty where it does not say it. */
typedef struct {
    char object[MOST_TEXT], dims[MOST_TEXT], size[MOST_TEXT], type[MOST_TEXT], channels[MOST_TEXT], binary[MOST_TEXT];
    char msb[MOST_TEXT], compressed[MOST_TEXT], skip[MOST_TEXT], file[MOST_TEXT];
} header;

typedef struct {
    const element *type;
    bool msb, compressed;
    int64_t skip;         /* bytes before the samples; -1: the samples end the file */
    char file[MOST_TEXT]; /* that has them; empty: this one */
    size_t end;           /* of the header */
} layout;

/* ---- the header -------------------------------------------------------------------------------------------------- */

static char *field_of(header *h, const char *key)
{
    const struct {
        const char *key;
        char *text;
    } fields[] = {{"ObjectType", h->object},
                  {"NDims", h->dims},
                  {"DimSize", h->size},
                  {"ElementType", h->type},
                  {"ElementNumberOfChannels", h->channels},
                  {"BinaryData", h->binary},
                  {"BinaryDataByteOrderMSB", h->msb},
                  {"ElementByteOrderMSB", h->msb},
                  {"CompressedData", h->compressed},
                  {"HeaderSize", h->skip},
                  {"ElementDataFile", h->file}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].key, key) == 0)
            return fields[i].text;
    return NULL;
}

/* What is between two places without the space around it; false if it is too long. */
static bool copy_text(const uint8_t *from, size_t size, char text[MOST_TEXT])
{
    while (size > 0 && (from[0] == ' ' || from[0] == '\t')) {
        from++;
        size--;
    }
    while (size > 0 && (from[size - 1] == ' ' || from[size - 1] == '\t' || from[size - 1] == '\r'))
        size--;
    if (size >= MOST_TEXT || memchr(from, '\0', size))
        return false;
    memcpy(text, from, size);
    text[size] = '\0';
    return true;
}

/* One line into the header; keys that do not matter to pixels are passed over. */
static lx_code take_line(const lx_input *in, const lx_image_info *info, const uint8_t *line, size_t length, header *h)
{
    char key[MOST_TEXT];
    const uint8_t *equals = memchr(line, '=', length);
    if (!equals)
        return length > 0 && line[0] != '\r' ? lx_damaged(in, info, "a line of its header has no '='") : LX_OK;
    if (!copy_text(line, (size_t)(equals - line), key))
        return lx_damaged(in, info, "a key of its header is too long");
    char *text = field_of(h, key);
    if (!text)
        return LX_OK;
    if (text[0])
        return lx_damaged(in, info, "its header says something twice");
    if (!copy_text(equals + 1, length - (size_t)(equals - line) - 1, text) || !text[0])
        return lx_damaged(in, info, "its header has a key without a value, or with too long a one");
    return LX_OK;
}

static lx_code read_lines(const lx_input *in, const lx_image_info *info, header *h, size_t *end)
{
    size_t at = 0;
    memset(h, 0, sizeof *h);
    while (!h->file[0]) {
        const uint8_t *line = in->bytes + at, *stop = memchr(line, '\n', in->size - at);
        if (!stop && at < in->size && in->size - at < MOST_TEXT && in->path)
            stop = in->bytes + in->size; /* a header alone may end without a line's end */
        if (!stop)
            return lx_truncated(in, info);
        if (at > MOST_HEADER)
            return lx_damaged(in, info, "its header does not end");
        if (take_line(in, info, line, (size_t)(stop - line), h))
            return in->error->code;
        at = (size_t)(stop - in->bytes) + 1;
    }
    *end = at < in->size ? at : in->size;
    return LX_OK;
}

/* As ITK reads it; -1 for what is neither. */
static int truth(const char *text, int absent)
{
    if (!text[0])
        return absent;
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return 1;
    return strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0 ? 0 : -1;
}

static bool whole(const char *text, long absent, long *value)
{
    char *end;
    *value = absent;
    if (!text[0])
        return true;
    *value = strtol(text, &end, 10);
    return end != text && *end == '\0';
}

static lx_code read_size(const lx_input *in, const header *h, lx_image_info *info)
{
    long dims, size[3] = {0, 0, 1};
    char *at = (char *)(uintptr_t)h->size;
    if (!whole(h->dims, 0, &dims) || dims < 1)
        return lx_damaged(in, info, "its header does not say how many dimensions it has");
    if (dims != 2 && dims != 3)
        return lx_unsupported(in, "a MetaImage of neither 2 nor 3 dimensions");
    for (int i = 0; i < dims; i++) {
        char *end;
        size[i] = strtol(at, &end, 10);
        if (end == at || size[i] < 0 || size[i] > INT32_MAX)
            return lx_damaged(in, info, "its header does not say how large it is");
        at = end;
    }
    if (*at)
        return lx_damaged(in, info, "its header has more sizes than dimensions");
    if (size[2] < 1 || size[2] > MOST_FRAMES)
        return lx_damaged(in, info, "its third dimension is not between 1 and a million");
    info->frames = (int)size[2];
    return lx_accept_size(in, (uint32_t)size[0], (uint32_t)size[1], info);
}

static lx_code read_type(const lx_input *in, const header *h, lx_image_info *info, layout *l)
{
    long channels;
    const int binary = truth(h->binary, 1), msb = truth(h->msb, 0), compressed = truth(h->compressed, 0);
    if (h->object[0] && strcasecmp(h->object, "Image") != 0)
        return lx_unsupported(in, "a MetaIO file of something else than an image");
    if (!whole(h->channels, 1, &channels) || channels < 1)
        return lx_damaged(in, info, "its header does not say how many channels it has");
    if (channels != 1)
        return lx_unsupported(in, "a MetaImage of several channels");
    if (binary < 0 || msb < 0 || compressed < 0)
        return lx_damaged(in, info, "its header has something else where True or False should be");
    if (!binary)
        return lx_unsupported(in, "a MetaImage with samples in text");
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strcmp(elements[i].name, h->type) == 0)
            l->type = &elements[i];
    if (!l->type) {
        char what[MOST_TEXT + 64];
        snprintf(what, sizeof what, "a MetaImage of ElementType '%s'", h->type);
        return lx_unsupported(in, what);
    }
    l->msb = msb;
    l->compressed = compressed;
    info->bits = 8 * l->type->bytes;
    return LX_OK;
}

static lx_code read_place(const lx_input *in, const header *h, lx_image_info *info, layout *l)
{
    long skip;
    if (!whole(h->skip, 0, &skip) || skip < -1 || (skip == -1 && l->compressed))
        return lx_damaged(in, info, "its header does not say where the samples begin");
    l->skip = skip;
    l->file[0] = '\0';
    if (strcmp(h->file, "LOCAL") == 0 || strcmp(h->file, "Local") == 0 || strcmp(h->file, "local") == 0)
        return LX_OK;
    if (strncmp(h->file, "LIST", 4) == 0 || strchr(h->file, '%'))
        return lx_unsupported(in, "a MetaImage with its samples in several files");
    if (strchr(h->file, '/') || strchr(h->file, '\\') || strcmp(h->file, "..") == 0)
        return lx_fail(in->error, LX_EFORMAT,
                       "\"%.300s\" says that its samples are in \"%.255s\"; a file in the same folder "
                       "is read, no other",
                       in->name, h->file);
    if (!in->path)
        return lx_fail(in->error, LX_EFORMAT,
                       "\"%.300s\" has its samples in another file, \"%.255s\"; read it by its path", in->name,
                       h->file);
    memcpy(l->file, h->file, sizeof l->file);
    return LX_OK;
}

static lx_code read_header(const lx_input *in, lx_image_info *info, layout *l)
{
    header h;
    memset(l, 0, sizeof *l);
    if (read_lines(in, info, &h, &l->end) || read_size(in, &h, info) || read_type(in, &h, info, l))
        return in->error->code;
    return read_place(in, &h, info, l);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* The bytes after the header, or those of the file beside it, which are for free(). */
typedef struct {
    const uint8_t *bytes;
    size_t size;
    uint8_t *owned;
} stretch;

static lx_code open_samples(const lx_input *in, const layout *l, stretch *s)
{
    char path[4096];
    *s = (stretch){in->bytes + l->end, in->size - l->end, NULL};
    if (!l->file[0])
        return LX_OK;
    const char *slash = strrchr(in->path, '/');
    const int folder = slash ? (int)(slash - in->path) + 1 : 0;
    if (snprintf(path, sizeof path, "%.*s%s", folder, in->path, l->file) >= (int)sizeof path)
        return lx_fail(in->error, LX_EIO, "\"%.300s\": the path of its samples is too long", in->name);
    if (lx_file_read(path, LX_IMAGE_MAX_BYTES, &s->owned, &s->size, in->error))
        return in->error->code;
    s->bytes = s->owned;
    return LX_OK;
}

static size_t frame_bytes(const lx_image_info *info, const layout *l)
{
    return (size_t)info->width * (size_t)info->height * (size_t)l->type->bytes;
}

/* Moves the stretch to where samples begin, and sees that all are there, as far as that can be told. */
static lx_code find_samples(const lx_input *in, const lx_image_info *info, const layout *l, stretch *s)
{
    const uint64_t need = l->compressed ? 0 : (uint64_t)frame_bytes(info, l) * (uint64_t)info->frames;
    const uint64_t skip = l->skip >= 0 ? (uint64_t)l->skip : s->size > need ? s->size - need : 0;
    if (skip > s->size || need > s->size - skip)
        return l->file[0] ? lx_damaged(in, info, "the file with its samples is too short") : lx_truncated(in, info);
    s->bytes += skip;
    s->size -= (size_t)skip;
    return LX_OK;
}

#ifdef LX_ZLIB

#include <zlib.h>

/* Inflates one frame; those before it go the same way and are forgotten. */
static lx_code inflate_frame(const lx_input *in, const lx_image_info *info, const stretch *s, uint64_t before,
                             uint8_t *out, size_t size)
{
    uint8_t passed[4096];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)s->bytes, .avail_in = (uInt)s->size};
    int result = inflateInit2(&z, MAX_WBITS + 32); /* zlib or gzip, as it says */
    if (result != Z_OK)
        return lx_no_room(in, info);
    while (result == Z_OK && before > 0) {
        z.next_out = passed;
        z.avail_out = (uInt)(before < sizeof passed ? before : sizeof passed);
        const uInt room = z.avail_out;
        result = inflate(&z, Z_NO_FLUSH);
        before -= room - z.avail_out;
    }
    z.next_out = out;
    z.avail_out = (uInt)size;
    while (result == Z_OK && z.avail_out > 0)
        result = inflate(&z, Z_NO_FLUSH);
    const bool whole_frame = before == 0 && z.avail_out == 0;
    inflateEnd(&z);
    if (whole_frame)
        return LX_OK;
    if (result == Z_MEM_ERROR)
        return lx_no_room(in, info);
    return result == Z_DATA_ERROR || result == Z_NEED_DICT ? lx_damaged(in, info, "its samples cannot be inflated")
                                                           : lx_truncated(in, info);
}

#else

static lx_code inflate_frame(const lx_input *in, const lx_image_info *info, const stretch *s, uint64_t before,
                             uint8_t *out, size_t size)
{
    (void)info, (void)s, (void)before, (void)out, (void)size;
    return lx_fail(in->error, LX_EFORMAT,
                   "\"%.300s\" is a compressed MetaImage, which this build does not read (package "
                   "zlib1g-dev)",
                   in->name);
}

#endif

/* Turns samples around in place to the order of this machine's. */
static void order_bytes(uint8_t *samples, size_t count, int bytes, bool msb)
{
    const uint16_t one = 1;
    const bool here = *(const uint8_t *)&one == 0;
    if (msb == here)
        return;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < bytes / 2; k++) {
            uint8_t *sample = samples + i * (size_t)bytes, swap = sample[k];
            sample[k] = sample[bytes - 1 - k];
            sample[bytes - 1 - k] = swap;
        }
}

static float float_of(const uint8_t *at, const element *type)
{
    union {
        int8_t char_;
        int16_t short_;
        int32_t int_;
        uint32_t uint_;
        float float_;
        double double_;
    } value;
    memcpy(&value, at, (size_t)type->bytes);
    if (type->kind == FLOATING)
        return type->bytes == 4 ? value.float_ : (float)value.double_;
    if (type->bytes == 4)
        return type->kind == SIGNED ? (float)value.int_ : (float)value.uint_;
    return type->bytes == 1 ? value.char_ : value.short_;
}

/* Samples in the order of this machine's to a picture; frees them. Unsigned ones of 8 and 16 bits are levels, as in
 * other formats, others units of their own. */
static lx_code take(const lx_input *in, const layout *l, uint8_t *samples, const lx_read_options *options,
                    lx_image_info *info, lx_picture *picture)
{
    const size_t count = (size_t)info->width * (size_t)info->height;
    if (l->type->kind == UNSIGNED && l->type->bytes == 1)
        return lx_take_bytes(in, samples, 1, 255, options, info, picture);
    if (l->type->kind == UNSIGNED && l->type->bytes == 2)
        return lx_take_deep(in, (uint16_t *)(void *)samples, 1, 0, false, options, info, picture);
    float *floats = malloc(count * sizeof *floats);
    if (!floats) {
        free(samples);
        return lx_no_room(in, info);
    }
    for (size_t i = 0; i < count; i++)
        floats[i] = float_of(samples + i * (size_t)l->type->bytes, l->type);
    free(samples);
    return lx_take_floats(in, floats, 1, options, info, picture);
}

/* The samples of a frame in the order of this machine's, for free(); NULL and an error if they are not to be had. */
static uint8_t *read_frame(const lx_input *in, const lx_image_info *info, const layout *l, const stretch *s, int frame)
{
    const size_t size = frame_bytes(info, l);
    uint8_t *samples = malloc(size);
    if (!samples) {
        lx_no_room(in, info);
        return NULL;
    }
    if (!l->compressed)
        memcpy(samples, s->bytes + (size_t)frame * size, size);
    else if (inflate_frame(in, info, s, (uint64_t)frame * size, samples, size)) {
        free(samples);
        return NULL;
    }
    order_bytes(samples, size / (size_t)l->type->bytes, l->type->bytes, l->msb);
    return samples;
}

/* ---- the row of the table --------------------------------------------------------------------------------------- */

/* Whether a file begins with a key and '='. Writers put ObjectType or NDims first, those of old a comment. */
static bool sniff(const uint8_t *bytes, size_t size)
{
    static const char *const keys[] = {"ObjectType", "NDims", "Comment"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t at = strlen(keys[i]);
        if (size <= at || memcmp(bytes, keys[i], at) != 0)
            continue;
        while (at < size && (bytes[at] == ' ' || bytes[at] == '\t'))
            at++;
        return at < size && bytes[at] == '=';
    }
    return false;
}

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    layout l;
    stretch s;
    (void)dicom;
    info->channels = 1;
    if (read_header(in, info, &l) || open_samples(in, &l, &s))
        return in->error->code;
    find_samples(in, info, &l, &s);
    free(s.owned);
    return in->error->code;
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    layout l;
    stretch s;
    (void)dicom;
    info->channels = 1;
    if (read_header(in, info, &l))
        return in->error->code;
    if (options->frame < 0 && info->frames > 1)
        return lx_fail(in->error, LX_EFORMAT, "\"%.300s\" has %d frames; say which one, with frame = 1 for the first",
                       in->name, info->frames);
    if (options->frame >= info->frames)
        return lx_fail(in->error, LX_EARG, "\"%.300s\" has %d frame%s; there is no frame %d", in->name, info->frames,
                       info->frames > 1 ? "s" : "", options->frame + 1);
    if (open_samples(in, &l, &s))
        return in->error->code;
    uint8_t *samples = NULL;
    if (!find_samples(in, info, &l, &s))
        samples = read_frame(in, info, &l, &s, options->frame < 0 ? 0 : options->frame);
    free(s.owned);
    return samples ? take(in, &l, samples, options, info, picture) : in->error->code;
}

const lx_format lx_metaimage = {"MetaImage", "mha mhd", sniff, inspect, decode};
