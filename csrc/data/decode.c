#include "decode.h"

#include <string.h>

#include "../image/image.h"

void lx_decode_images(const char *const *paths, int count, int size, int threads, uint8_t *out, lx_error *errors)
{
    const size_t bytes = (size_t)size * (size_t)size;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < count; i++) {
        errors[i].code = LX_OK;
        if (lx_image_load_gray(paths[i], size, out + (size_t)i * bytes, &errors[i]))
            memset(out + (size_t)i * bytes, 0, bytes);
    }
}
