#include "codec.h"

#include <ctype.h>
#include <string.h>

/* A file in memory, and the place to say what is wrong with it. */
typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t size;
    lx_image_header *header;
    lx_error *error;
} lx_inspection;

/* Every scan of a progressive JPEG costs a pass over the picture, however few its bytes. Real files have about ten. */
enum { MOST_SCANS = 100 };

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big32(const uint8_t *at)
{
    return big16(at) << 16 | big16(at + 2);
}

static uint32_t little16(const uint8_t *at)
{
    return (uint32_t)at[1] << 8 | at[0];
}

static uint32_t little32(const uint8_t *at)
{
    return little16(at + 2) << 16 | little16(at);
}

const char *lx_image_format_name(lx_image_format format)
{
    static const char *const names[] = {"JPEG", "PNG", "BMP", "PNM", "DICOM file"};
    return names[format];
}

static lx_code damaged(const lx_inspection *file, const char *what)
{
    return lx_fail(file->error, LX_EFORMAT, "\"%.300s\" is a damaged %s: %s", file->path,
                   lx_image_format_name(file->header->format), what);
}

static lx_code unsupported(const lx_inspection *file, const char *what)
{
    return lx_fail(file->error, LX_EFORMAT, "\"%.300s\" is %s, which is not supported; convert it to 8-bit JPEG or PNG",
                   file->path, what);
}

static lx_code truncated(const lx_inspection *file)
{
    return lx_fail(file->error, LX_EFORMAT, "\"%.300s\" is truncated: the %s breaks off after %zu bytes", file->path,
                   lx_image_format_name(file->header->format), file->size);
}

static lx_code accept_size(const lx_inspection *file, uint32_t width, uint32_t height)
{
    if (width == 0 || height == 0)
        return lx_fail(file->error, LX_EFORMAT, "\"%.300s\" is a damaged %s: its header says %u x %u pixels",
                       file->path, lx_image_format_name(file->header->format), width, height);
    if (width > LX_IMAGE_MAX_SIDE || height > LX_IMAGE_MAX_SIDE || (uint64_t)width * height > LX_IMAGE_MAX_PIXELS)
        return lx_fail(file->error, LX_EFORMAT,
                       "\"%.300s\" is too large: %u x %u pixels, and the limit is %d a side and %d million in all",
                       file->path, width, height, LX_IMAGE_MAX_SIDE, LX_IMAGE_MAX_PIXELS / 1000000);
    file->header->info.width = (int)width;
    file->header->info.height = (int)height;
    return LX_OK;
}

static lx_code inspect_jpeg_frame(const lx_inspection *file, int marker, const uint8_t *segment, size_t length)
{
    if (marker > 0xc2)
        return unsupported(file, "a lossless, hierarchical or arithmetic-coded JPEG");
    if (length < 8)
        return damaged(file, "its frame header is too short");
    if (segment[2] != 8)
        return unsupported(file, "a JPEG of more than 8 bits");
    file->header->info.channels = segment[7] >= 3 ? 3 : 1;
    return accept_size(file, big16(segment + 5), big16(segment + 3));
}

/* A Huffman table of more codes than there are byte values overruns the tables of older stb_image versions. */
static lx_code inspect_jpeg_tables(const lx_inspection *file, const uint8_t *segment, size_t length)
{
    size_t at = 2;
    while (at < length) {
        size_t codes = 0;
        if (length - at < 17)
            return damaged(file, "a Huffman table is cut short");
        for (size_t i = 1; i <= 16; i++)
            codes += segment[at + i];
        if (codes > 256 || codes > length - at - 17)
            return damaged(file, "a Huffman table has too many codes");
        at += 17 + codes;
    }
    return LX_OK;
}

static lx_code inspect_jpeg(const lx_inspection *file)
{
    const uint8_t *bytes = file->bytes;
    size_t size = file->size, at = 2;
    int frames = 0, scans = 0;
    for (;;) {
        /* Compressed data and padding are passed over up to the next marker. */
        const uint8_t *next = memchr(bytes + at, 0xff, size - at);
        if (next == NULL)
            return truncated(file);
        at = (size_t)(next - bytes);
        while (at < size && bytes[at] == 0xff)
            at++;
        if (at == size)
            return truncated(file);
        int marker = bytes[at++];
        if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8))
            continue; /* a stuffed 0xff, or a marker without a segment */
        if (marker == 0xd9)
            break;

        if (size - at < 2)
            return truncated(file);
        size_t length = big16(bytes + at);
        if (length < 2)
            return damaged(file, "a segment has no length");
        if (length > size - at)
            return truncated(file);
        if (marker == 0xc4) {
            lx_code code = inspect_jpeg_tables(file, bytes + at, length);
            if (code != LX_OK)
                return code;
        }
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
            lx_code code = inspect_jpeg_frame(file, marker, bytes + at, length);
            if (code != LX_OK)
                return code;
            if (++frames > 1)
                return damaged(file, "it has two frame headers");
        }
        if (marker == 0xda && ++scans > MOST_SCANS)
            return damaged(file, "it has more than 100 scans");
        at += length;
    }
    if (frames == 0 || scans == 0)
        return damaged(file, "it has no picture in it");
    return LX_OK;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    /* Four bits at a time: the remainders of the 16 half-bytes by the reversed polynomial 0xedb88320. */
    static const uint32_t remainders[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return ~crc;
}

static lx_code inspect_png_header(const lx_inspection *file, const uint8_t *data, size_t length)
{
    static const int channels[7] = {1, 0, 3, 3, 2, 0, 4}; /* by colour type */
    if (length != 13)
        return damaged(file, "its header has the wrong length");
    int depth = data[8], type = data[9];
    if (type > 6 || channels[type] == 0)
        return damaged(file, "its colour type is unknown");
    file->header->info.channels = channels[type];
    file->header->info.bits = depth == 16 ? 16 : 8;
    return accept_size(file, big32(data), big32(data + 4));
}

static lx_code inspect_png(const lx_inspection *file)
{
    const uint8_t *bytes = file->bytes;
    bool transparent = false, data = false;
    for (size_t at = 8;;) {
        if (file->size - at < 12)
            return truncated(file);
        size_t length = big32(bytes + at);
        const uint8_t *name = bytes + at + 4;
        if (length > 0x7fffffff)
            return damaged(file, "a chunk has an impossible length");
        if (at == 8 && memcmp(name, "IHDR", 4) != 0)
            return damaged(file, "it does not begin with a header");

        /* The limits come first: what a header claims is worth saying even when the rest is missing. */
        if (at == 8 && length <= file->size - at - 12) {
            lx_code code = inspect_png_header(file, name + 4, length);
            if (code != LX_OK)
                return code;
        }
        if (length > file->size - at - 12)
            return truncated(file);

        bool critical = (name[0] & 0x20) == 0;
        if (critical && crc32_of(name, length + 4) != big32(name + 4 + length))
            return damaged(file, "a checksum does not match");
        if (memcmp(name, "IEND", 4) == 0)
            break;
        if (memcmp(name, "IDAT", 4) == 0)
            data = true;
        else if (memcmp(name, "tRNS", 4) == 0)
            transparent = true;
        else if (critical && memcmp(name, "PLTE", 4) != 0 && at != 8)
            return unsupported(file, "a PNG with non-standard parts");
        at += length + 12;
    }
    if (!data)
        return damaged(file, "it has no picture in it");
    if (transparent && file->header->info.channels % 2 == 1)
        file->header->info.channels++;
    return LX_OK;
}

static lx_code inspect_bmp(const lx_inspection *file)
{
    const uint8_t *bytes = file->bytes;
    if (file->size < 34)
        return truncated(file);
    uint32_t start = little32(bytes + 10), header = little32(bytes + 14);
    uint32_t width, height, depth, compression = 0;
    if (header == 12) {
        width = little16(bytes + 18);
        height = little16(bytes + 20);
        depth = little16(bytes + 24);
    } else {
        width = little32(bytes + 18);
        height = little32(bytes + 22);
        depth = little16(bytes + 28);
        compression = little32(bytes + 30);
        if (height > 0x80000000u)
            height = 0u - height; /* rows from the top down */
    }
    if (compression != 0 && compression != 3)
        return unsupported(file, "a compressed BMP");
    if (depth != 1 && depth != 4 && depth != 8 && depth != 16 && depth != 24 && depth != 32)
        return damaged(file, "its number of bits to a pixel is unknown");
    lx_code code = accept_size(file, width, height);
    if (code != LX_OK)
        return code;
    uint64_t row = ((uint64_t)width * depth + 31) / 32 * 4;
    if (start + row * height > file->size)
        return truncated(file);
    file->header->info.channels = lx_codec_bmp_channels(bytes, file->size);
    return file->header->info.channels == 0 ? damaged(file, "its header makes no sense") : LX_OK;
}

/* Reads one number of a PNM header after any white space and comments; false when there is none. */
static bool pnm_number(const lx_inspection *file, size_t *at, uint32_t *number)
{
    const uint8_t *bytes = file->bytes;
    size_t i = *at;
    while (i < file->size && (isspace(bytes[i]) || bytes[i] == '#')) {
        if (bytes[i] == '#')
            while (i < file->size && bytes[i] != '\n')
                i++;
        else
            i++;
    }
    size_t first = i;
    *number = 0;
    for (; i < file->size && bytes[i] >= '0' && bytes[i] <= '9'; i++)
        if (*number < 100000000) /* far beyond the limits, far below overflow */
            *number = *number * 10 + (uint32_t)(bytes[i] - '0');
    *at = i;
    return i > first;
}

static lx_code inspect_pnm(const lx_inspection *file)
{
    size_t at = 2;
    uint32_t width, height, white;
    if (!pnm_number(file, &at, &width) || !pnm_number(file, &at, &height) || !pnm_number(file, &at, &white))
        return at == file->size ? truncated(file) : damaged(file, "its header is not three numbers");
    lx_code code = accept_size(file, width, height);
    if (code != LX_OK)
        return code;
    if (white == 0 || white > 65535)
        return damaged(file, "its largest value is not between 1 and 65535");
    lx_image_header *header = file->header;
    header->info.channels = file->bytes[1] == '6' ? 3 : 1;
    header->white = (int)white;
    for (header->info.bits = 8; white >> header->info.bits; header->info.bits++)
        continue;
    header->raster = at + 1; /* one white space ends the header */
    uint64_t samples = (uint64_t)width * height * (uint64_t)header->info.channels;
    if (header->raster + samples * (white > 255 ? 2 : 1) > file->size)
        return truncated(file);
    return LX_OK;
}

lx_code lx_image_inspect(const char *path, const uint8_t *bytes, size_t size, lx_image_header *header, lx_error *error)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    lx_inspection file = {path, bytes, size, header, error};
    memset(header, 0, sizeof *header);
    header->info.bits = 8;
    if (size == 0)
        return lx_fail(error, LX_EFORMAT, "\"%.300s\" is empty", path);
    if (size >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) {
        header->format = LX_FORMAT_JPEG;
        return inspect_jpeg(&file);
    }
    if (memcmp(bytes, png, size < 8 ? size : 8) == 0) {
        header->format = LX_FORMAT_PNG;
        return size < 8 ? truncated(&file) : inspect_png(&file);
    }
    if (size >= 2 && bytes[0] == 'B' && bytes[1] == 'M') {
        header->format = LX_FORMAT_BMP;
        return inspect_bmp(&file);
    }
    if (size >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') && isspace(bytes[2])) {
        header->format = LX_FORMAT_PNM;
        return inspect_pnm(&file);
    }
    if (lx_dicom_looks_like(bytes, size)) {
        header->format = LX_FORMAT_DICOM; /* which is read on by lx_dicom_parse */
        return LX_OK;
    }
    return lx_fail(error, LX_EFORMAT, "\"%.300s\" is not an image: JPEG, PNG, BMP, binary PGM and PPM, and DICOM are supported",
                   path);
}
