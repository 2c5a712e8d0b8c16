#include "decode.h"

#include <string.h>

#include "read.h"

typedef struct {
    const char *const *paths;
    int size;
    bool lungs;
    uint8_t *out;
    uint64_t *hashes;
    lx_error *errors;
} job;

static void decode(void *work, long i)
{
    const job *of = work;
    const size_t bytes = (size_t)of->size * (size_t)of->size;
    const lx_store_options options = {.channels = 1, .square = of->size, .bytes = true, .lungs = of->lungs};
    lx_stored image;
    uint8_t *out = of->out + (size_t)i * bytes;
    of->errors[i].code = LX_OK;
    of->hashes[i] = 0;
    if (lx_read_image(of->paths[i], &options, &image, &of->errors[i])) {
        memset(out, 0, bytes);
        return;
    }
    memcpy(out, image.plane.samples, bytes);
    of->hashes[i] = image.hash;
    lx_store_put(&image);
}

lx_code lx_decode_images(const char *const *paths, int count, int size, bool lungs, lx_pool *pool, uint8_t *out,
                         uint64_t *hashes, lx_error *errors, lx_error *error)
{
    job work = {paths, size, lungs, out, hashes, errors};
    return lx_pool_run(pool, count, decode, &work, error);
}
