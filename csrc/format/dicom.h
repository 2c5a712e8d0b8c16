/* DICOM files: single images as radiography stores them (PS3.5 and PS3.3 of the standard). */
#ifndef LX_DICOM_H
#define LX_DICOM_H

#include <stdbool.h>
#include <stddef.h>

#include "picture.h"

enum { LX_DICOM_TEXT = 65, LX_DICOM_WINDOWS = 8 };

/* How the samples are packed. */
typedef enum {
    LX_DICOM_PLAIN,
    LX_DICOM_RLE,
    LX_DICOM_JPEG,
    LX_DICOM_JPEG_LOSSLESS,
    LX_DICOM_JPEG_LS,
    LX_DICOM_JPEG2000
} lx_dicom_coding;

/* A table of levels, as the file has it: entry i is for the value first + i. */
typedef struct {
    long count, first;
    int bits;
    const uint8_t *entries; /* in the file; 8 or 16 bits each */
    bool wide, big;
} lx_dicom_table;

/* What a file says. Pointers are into the file's bytes. */
typedef struct {
    bool big, explicit_vr;
    lx_dicom_coding coding;
    int rows, columns, samples, planar, allocated, stored, high_bit, is_signed, frames;
    double slope, intercept;
    bool has_padding; /* stored values from the one to the other fill the image up */
    long padding, padding_limit;
    int windows;
    double centre[LX_DICOM_WINDOWS], width[LX_DICOM_WINDOWS];
    double spacing[2];        /* millimetres between rows and between columns; 0: not known */
    bool spacing_at_detector; /* not corrected for magnification */
    lx_dicom_table modality_lut, voi_lut;
    const uint8_t *pixels; /* samples, or items of compressed fragments */
    size_t pixel_bytes;
    bool encapsulated;
    uint8_t *inflated; /* what the pointers are into, of a data set that was deflated; else NULL */
    bool word_pixels;  /* stored as 16-bit words: matters to 8-bit samples in big endian files */
    char syntax[LX_DICOM_TEXT], photometric[LX_DICOM_TEXT], voi_function[LX_DICOM_TEXT], lut_shape[LX_DICOM_TEXT];
    char intensity[LX_DICOM_TEXT]; /* the relationship of pixels and intensity, of angiography */
    char modality[LX_DICOM_TEXT], view[LX_DICOM_TEXT], laterality[LX_DICOM_TEXT], body_part[LX_DICOM_TEXT];
    char manufacturer[LX_DICOM_TEXT], sex[LX_DICOM_TEXT], age[LX_DICOM_TEXT];
    /* who it is: only for those who ask */
    char patient_name[LX_DICOM_TEXT], patient_id[LX_DICOM_TEXT], birth_date[LX_DICOM_TEXT], study_date[LX_DICOM_TEXT];
    char study_uid[LX_DICOM_TEXT], accession[LX_DICOM_TEXT];
} lx_dicom;

/* Reads all that is around the pixels; refuses what cannot be decoded here, saying why. What it reserves goes with
   lx_dicom_forget, in any case. */
lx_code lx_dicom_parse(const char *path, const uint8_t *bytes, size_t size, lx_dicom *dicom, lx_error *error);

/* Pointers into the file's bytes end with them. */
void lx_dicom_forget(lx_dicom *dicom);

/* Decodes one frame, counted from 0, as the options say. */
lx_code lx_dicom_decode(const char *path, const lx_dicom *dicom, const lx_read_options *options, lx_picture *picture,
                        lx_error *error);

/* ---- between the files of the reader ---------------------------------------------------------------------------- */

/* The stored values of one frame, [samples][rows][columns], each in the lower bits of a word, without its sign; the
   bits above them may be anything. They are in the file, or in memory for free() that *owned holds. */
lx_code lx_dicom_codes(const char *path, const lx_dicom *dicom, int frame, const uint16_t **codes, uint16_t **owned,
                       lx_error *error);

/* Checks a JPEG 2000 stream against what the file says, within limits for what decoding it takes; leaves out boxes
   around the stream. */
lx_code lx_jpeg2000_inspect(const char *path, const uint8_t **bytes, size_t *size, const lx_dicom *dicom,
                            lx_error *error);

/* Whether OpenJPEG was there when this was compiled; and a JPEG 2000 stream of a known size as codes. */
bool lx_jpeg2000_available(void);
lx_code lx_jpeg2000_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *dicom, uint16_t *codes,
                           lx_error *error);

/* The same of JPEG-LS and CharLS. */
bool lx_jpegls_available(void);
lx_code lx_jpegls_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *dicom, uint16_t *codes,
                         lx_error *error);

/* Whether a JPEG has samples of 12 bits (process 4), and one as codes. (jpeg_deep.c) */
bool lx_jpeg_is_deep(const uint8_t *bytes, size_t size);
lx_code lx_jpeg_deep_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *dicom, uint16_t *codes,
                            lx_error *error);

#endif
