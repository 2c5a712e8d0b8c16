/* The rows of the table, and what the files of this folder share. */
#ifndef LX_ROOMS_H
#define LX_ROOMS_H

#include "format.h"

/* The table of format.c, in the order in which formats are tried. */
#define LX_FORMATS(X) X(lx_jpeg) X(lx_png) X(lx_bmp) X(lx_pnm) X(lx_tiff) X(lx_dicom_file) X(lx_metaimage)
#define LX_DECLARE_FORMAT(format) extern const lx_format format;
LX_FORMATS(LX_DECLARE_FORMAT)

/* ---- what can be wrong with a file (input.c); info->format is its format ------------------------------------------
 */

lx_code lx_damaged(const lx_input *in, const lx_image_info *info, const char *what);
lx_code lx_truncated(const lx_input *in, const lx_image_info *info);
lx_code lx_unsupported(const lx_input *in, const char *what);
lx_code lx_no_room(const lx_input *in, const lx_image_info *info); /* out of memory for its pixels */

/* Notes the size of a picture, if it is within the limits. */
lx_code lx_accept_size(const lx_input *in, uint32_t width, uint32_t height, lx_image_info *info);

static inline uint32_t lx_big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t lx_big32(const uint8_t *at)
{
    return lx_big16(at) << 16 | lx_big16(at + 2);
}

static inline uint32_t lx_little16(const uint8_t *at)
{
    return (uint32_t)at[1] << 8 | at[0];
}

static inline uint32_t lx_little32(const uint8_t *at)
{
    return lx_little16(at + 2) << 16 | lx_little16(at);
}

/* ---- samples (samples.c) ---------------------------------------------------------------------------------------- */

/* Memory for the samples of a picture; false if there is none. */
bool lx_picture_room(lx_picture *picture);

/* How many channels a picture gets: as asked, or grey or RGB as the file has it. */
int lx_channels_of(const lx_read_options *options, const lx_image_info *info);

/* A picture of interleaved samples, of `stored` channels, where white is `white`. Frees `samples` in any case. */
lx_code lx_take_bytes(const lx_input *in, uint8_t *samples, int stored, int white, const lx_read_options *options,
                      const lx_image_info *info, lx_picture *picture);
lx_code lx_take_words(const lx_input *in, uint16_t *samples, int stored, int white, const lx_read_options *options,
                      const lx_image_info *info, lx_picture *picture);

/* The same of files of 16 bits, which often have less in them: detectors of 10 to 14 bits are put into 16, and many
   programs leave their levels at the lower end, whatever the file says of its significant bits (0: nothing). Then white
   is where those bits end; without a word of the file, where the fewest of 8, 10, 12, 14 and 16 bits end that hold all
   samples. Inverted: small samples are white. It is noted in the info. */
lx_code lx_take_deep(const lx_input *in, uint16_t *samples, int stored, int significant, bool inverted,
                     const lx_read_options *options, lx_image_info *info, lx_picture *picture);

/* The same of samples in units of their own: where levels are asked for, black is the smallest and white the largest.
 */
lx_code lx_take_floats(const lx_input *in, float *samples, int stored, const lx_read_options *options,
                       const lx_image_info *info, lx_picture *picture);

/* The orientation (1 to 8) that an EXIF block, which begins as a TIFF file does, states; 1 where it states none.
 * (exif.c) */
int lx_exif_orientation(const uint8_t *bytes, size_t size);

/* Turns a picture upright, and says so in its info. (orient.c) */
lx_code lx_orient(const lx_input *in, lx_picture *picture, lx_image_info *info);

/* ---- codecs ------------------------------------------------------------------------------------------------------ */

/* What a JPEG is known to be, whatever it says itself. */
typedef enum { LX_JPEG_AS_IT_SAYS, LX_JPEG_RGB } lx_jpeg_colours;

lx_code lx_jpeg_inspect(const lx_input *in, lx_image_info *info);

/* The planes of an inspected JPEG, 1 or 3 of them, of the size that the info says, into memory of the caller's. With
   LX_JPEG_RGB, three components that are neither marked nor numbered as YCbCr are taken to be RGB. (jpeg.c) */
lx_code lx_jpeg_planes(const lx_input *in, const lx_image_info *info, int channels, lx_jpeg_colours colours,
                       uint8_t *planes);

/* By stb_image (stb.c): interleaved samples of an inspected JPEG or PNG for free(); `info` says how many bits they
 * have. */
lx_code lx_stb_decode(const lx_input *in, int channels, const lx_image_info *info, void **samples);

/* Compresses into the form of zlib; returns what is for free(), or NULL when memory is short. (deflate.c) */
uint8_t *lx_deflate(const uint8_t *data, int size, int *length);

#endif
