#include "survey.h"

#include <stdlib.h>

#include "../base/file.h"
#include "../base/hash.h"
#include "../image/geometry.h"

/* More than JPEG makes of grey. */
enum { COLOUR = 24 };

static uint64_t hash_bytes(const void *bytes, size_t size)
{
    lx_hash hash = lx_hash_start();
    lx_hash_add(&hash, bytes, size);
    return hash.words[0];
}

/* Whether the channels of many pixels are apart; single ones may be a coloured mark. */
static bool has_colours(const lx_picture *picture)
{
    const size_t count = lx_plane_count(&picture->first);
    const uint8_t *red = picture->first.samples, *green = red + count, *blue = green + count;
    size_t coloured = 0;
    if (picture->channels != 3 || picture->first.type != LX_PLANE_U8)
        return false;
    for (size_t i = 0; i < count; i++)
        coloured += abs(red[i] - green[i]) > COLOUR || abs(green[i] - blue[i]) > COLOUR;
    return coloured > count / 100;
}

static void survey_bytes(const lx_input *in, lx_survey *s)
{
    lx_picture picture;
    lx_read_options options = {.channels = 1, .as = LX_AS_BYTES, .frame = -1};
    if (lx_image_read_memory(in, &options, &picture, &s->info, NULL))
        return;
    const size_t length = lx_plane_bytes(&picture.first);
    s->file_hash = hash_bytes(in->bytes, in->size);
    s->pixel_hash = hash_bytes(picture.first.samples, length) ^ (uint64_t)picture.first.width << 40;
    lx_plane reduced = {LX_SURVEY_SIDE, LX_SURVEY_SIDE, LX_PLANE_U8, s->reduced};
    s->bytes = in->size;
    if (lx_measure(&picture.first, &s->measures, &s->error) ||
        lx_resize(&picture.first, &reduced, LX_AREA, true, &s->error) ||
        lx_find_markers(&picture.first, s->markers, &s->marker_count, &s->error))
        lx_blame(&s->error, in->name);
    free(picture.first.samples);
    if (s->error.code || s->info.channels < 3)
        return;
    options.channels = 3;
    if (lx_image_read_memory(in, &options, &picture, &s->info, NULL))
        return;
    s->coloured = has_colours(&picture);
    free(picture.first.samples);
}

typedef struct {
    const char *const *paths;
    lx_survey *surveys;
} job;

static void survey_file(void *work, long i)
{
    const job *of = work;
    uint8_t *bytes;
    size_t size;
    lx_survey *s = &of->surveys[i];
    s->error.code = LX_OK;
    s->coloured = false;
    if (lx_file_read(of->paths[i], LX_IMAGE_MAX_BYTES, &bytes, &size, &s->error))
        return;
    const lx_input in = {of->paths[i], bytes, size, &s->error, of->paths[i]};
    survey_bytes(&in, s);
    free(bytes);
}

lx_code lx_survey_files(const char *const *paths, long count, lx_pool *pool, lx_survey *surveys, lx_error *error)
{
    job work = {paths, surveys};
    return lx_pool_run(pool, count, survey_file, &work, error);
}

long lx_near_hashes(const uint64_t *hashes, long count, int most, long (*pairs)[2], long room)
{
    long found = 0;
    for (long a = 0; a < count; a++)
        for (long b = a + 1; b < count; b++)
            if (lx_hash_distance(hashes[a], hashes[b]) <= most) {
                if (found < room) {
                    pairs[found][0] = a;
                    pairs[found][1] = b;
                }
                found++;
            }
    return found;
}
