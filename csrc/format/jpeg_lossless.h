/* Lossless JPEG, which only DICOM files have; the other kinds are in jpeg.c and jpeg_deep.c. */
#ifndef LX_JPEG_LOSSLESS_H
#define LX_JPEG_LOSSLESS_H

#include "dicom.h"

/* The samples of a stream, as words without sign: [samples][rows][columns], of the size that the file says. */
lx_code lx_jpeg_lossless_decode(const char *path, const uint8_t *bytes, size_t size, const lx_dicom *dicom,
                                uint16_t *codes, lx_error *error);

#endif
