/* Image files: which formats there are, what a file says, and its pixels.

   A format is a row of the table in format.c; what asks for formats reads that table. Files are hostile until checked:
   size, dimensions and structure are verified before pixels are reserved. Reading one takes at most 16 bytes a sample
   that its header states (with 32 more rows and columns), twice the file and 1 MiB in one piece, and three times that
   in all; spec/fuzz checks it, libraries included. Every function may be called from several threads at once. */
#ifndef LX_FORMAT_H
#define LX_FORMAT_H

#include <stdbool.h>

#include "../image/plane.h"
#include "dicom.h"
#include "picture.h"

enum { LX_IMAGE_MAX_BYTES = 256 << 20 }; /* of a file */

/* What a file holds, whatever was asked of the decoder. */
typedef struct {
    const char *format; /* the name of its row */
    int width, height;
    int channels;        /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; a palette counts as RGB */
    int bits;            /* of a sample that mean something */
    int white;           /* the sample that is white, where black is 0; 0: bytes, or units that are no levels */
    double quantisation; /* of a JPEG: the mean step of its first table, 1 for the best; 0 for all else */
    int frames;          /* pages of a TIFF file, frames of a DICOM file */
    int orientation; /* as EXIF counts: 1 upright, 3 upside down, ...; size and pixels are those of the upright picture
                      */
} lx_image_info;

/* A file in memory, and the place to say what is wrong with it. */
typedef struct {
    const char *name; /* for messages */
    const uint8_t *bytes;
    size_t size;
    lx_error *error;
    const char *path; /* of the file, for formats whose pixels are in another one beside it; NULL: bytes alone */
} lx_input;

typedef struct {
    const char *name;
    const char *extensions; /* of file names, in lower case, with spaces between them */
    bool (*sniff)(const uint8_t *bytes, size_t size);

    /* Tells what a file holds without decoding pixels. One that is cut short or over the limits is refused here; damage
       inside the compressed data shows only in decoding. */
    lx_code (*inspect)(const lx_input *in, lx_image_info *info, lx_dicom *dicom);

    /* Inspects and decodes. The samples are for free(). */
    lx_code (*decode)(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom);
} lx_format;

/* The formats, in the order in which they are tried; NULL after the last one. */
extern const lx_format *const lx_formats[];

/* What a file holds; `as_stored`: with the size that it has before it is turned upright. `dicom` may be NULL; of a
 * DICOM file it has what the file says, but no pointers into it. */
lx_code lx_image_probe(const char *path, bool as_stored, lx_image_info *info, lx_dicom *dicom, lx_error *error);
lx_code lx_image_probe_memory(const lx_input *in, bool as_stored, lx_image_info *info, lx_dicom *dicom);

/* Decodes a file. Alpha is dropped, and the picture turned upright unless the options say otherwise. The caller frees
   the samples. Fails with LX_EIO for the file system, LX_EFORMAT for the content. `dicom` as above. */
lx_code lx_image_read(const char *path, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom, lx_error *error);
lx_code lx_image_read_memory(const lx_input *in, const lx_read_options *options, lx_picture *picture,
                             lx_image_info *info, lx_dicom *dicom);

/* The bytes of a PNG of 1 to 4 interleaved channels, for free(); NULL when memory is short. */
uint8_t *lx_png_encode(const uint8_t *pixels, int width, int height, int channels, size_t *size);

/* Writes one; the file appears complete or not at all. */
lx_code lx_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, lx_error *error);

#endif
