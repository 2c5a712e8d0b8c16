/* A picture as it is read from a file, and what one may ask of the reader. */
#ifndef LX_PICTURE_H
#define LX_PICTURE_H

#include <stdbool.h>

#include "../image/plane.h"

/* `channels` planes that follow each other; the samples of the first are to be freed. */
typedef struct {
    lx_plane first;
    int channels;
} lx_picture;

/* In which samples a picture is wanted. */
typedef enum {
    LX_AS_STORED, /* bytes; float32 in the file's own units where it has more than 8 bits, or units that are no levels
                   */
    LX_AS_BYTES,  /* bytes, whatever the file has: DICOM through its window, other deep files by their upper 8 bits */
    LX_AS_LEVELS  /* bytes, or float32 on the scale 0..255 where the file has more than 8 bits */
} lx_read_as;

typedef struct {
    int channels; /* 1 grey, 3 RGB, 0 as stored */
    lx_read_as as;
    bool as_stored;     /* not turned upright, whatever the file says of its orientation */
    bool raw;           /* DICOM: stored values as they are, not rescaled, and not inverted */
    bool prefer_window; /* DICOM: of a table of levels and a window the window */
    int frame; /* of a DICOM file, or page of a TIFF file, from 0; -1: the first, or an error where a DICOM file has
                  more */
} lx_read_options;

#endif
