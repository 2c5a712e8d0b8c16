/* Feeds files to the readers of images: as a libFuzzer target, or, with its own main, a number of mutations of a corpus
 * that is the same each time (make fuzz). Both under AddressSanitizer, and both check every allocation, that of
 * libraries too, against what the file's own header allows.
 *
 *     read FOLDER COUNT [SEED]
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/format/format.h"

/* Of AddressSanitizer; gcc has no header for them. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *block);

/* What may be reserved while a file is read, at once and in one piece, by the readers and by the libraries they call.
 */
static struct {
    bool watching;
    size_t most_live, largest;
    ptrdiff_t live;
} memory;

static void note_malloc(const volatile void *block, size_t size)
{
    (void)block;
    if (!memory.watching)
        return;
    memory.live += (ptrdiff_t)size;
    if (size <= memory.largest && memory.live <= (ptrdiff_t)memory.most_live)
        return;
    memory.watching = false;
    fprintf(stderr, "%zu bytes asked for, %td in use; %zu in one piece and %zu in all are allowed\n", size, memory.live,
            memory.largest, memory.most_live);
    abort();
}

static void note_free(const volatile void *block)
{
    if (memory.watching && block)
        memory.live -= (ptrdiff_t)__sanitizer_get_allocated_size(block);
}

static void watch_allocations(void)
{
    static bool done;
    if (!done && !__sanitizer_install_malloc_and_free_hooks(note_malloc, note_free))
        abort();
    done = true;
}

static long read_well, refused; /* of all readings */

/* What a picture may take in one piece: 16 bytes a sample that its header says, twice the file, and a megabyte for
 * tables. */
static size_t allowed_for(const uint8_t *bytes, size_t size)
{
    static lx_error error;
    const lx_input in = {"fuzz", bytes, size, &error, NULL};
    lx_image_info info;
    lx_dicom dicom;
    size_t width = 0, height = 0;
    error.code = LX_OK;
    if (lx_image_probe_memory(&in, true, &info, &dicom) == LX_OK) {
        width = (size_t)info.width;
        height = (size_t)info.height * (size_t)(dicom.samples > 1 ? dicom.samples : 1);
    }
    return (width + 32) * (height + 32) * 16 + 2 * size + (1 << 20);
}

/* Reads a file in all ways; what comes out has to be there. */
static void read_all_ways(const uint8_t *bytes, size_t size)
{
    static lx_error error;
    const lx_input in = {"fuzz", bytes, size, &error, NULL};
    const size_t limit = allowed_for(bytes, size);
    for (int i = 0; i < 6; i++) {
        lx_picture picture;
        lx_image_info info;
        lx_dicom dicom;
        const lx_read_options options = {.channels = i % 2    ? 3
                                                     : i == 4 ? 0
                                                              : 1,
                                         .as = (lx_read_as)(i % 3),
                                         .raw = i == 3,
                                         .frame = i == 2   ? 1
                                                  : i == 5 ? -1
                                                           : 0,
                                         .as_stored = i == 4,
                                         .prefer_window = i == 1};
        error.code = LX_OK;
        memory.largest = limit;
        memory.most_live = 3 * limit;
        memory.live = 0;
        memory.watching = true;
        const lx_code code = lx_image_read_memory(&in, &options, &picture, &info, &dicom);
        memory.watching = false;
        if (code != error.code || (code != LX_OK && error.text[0] == '\0'))
            abort();
        if (code != LX_OK) {
            refused++;
            continue;
        }
        read_well++;
        uint32_t sum = 0; /* touches every sample */
        const uint8_t *samples = picture.first.samples;
        for (size_t k = 0; k < lx_plane_bytes(&picture.first) * (size_t)picture.channels; k++)
            sum = sum * 31 + samples[k];
        if (picture.first.width != info.width || picture.first.height != info.height || sum == 0x12345678)
            fprintf(stderr, "%u\n", sum);
        free(picture.first.samples);
    }
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    watch_allocations();
    read_all_ways(bytes, size);
    return 0;
}

#else

enum { MOST_FILES = 1024, LARGEST = 1 << 20 };

static struct {
    uint8_t *bytes;
    size_t size;
    char name[256];
} files[MOST_FILES];
static int file_count;

static uint64_t state;

static uint64_t draw(uint64_t limit)
{
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % limit;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_corpus(const char *folder)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, NULL, by_name);
    for (int i = 0; i < count; free(entries[i++])) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        FILE *file = entries[i]->d_name[0] == '.' || file_count == MOST_FILES ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        files[file_count].bytes = malloc(LARGEST);
        files[file_count].size = fread(files[file_count].bytes, 1, LARGEST, file);
        snprintf(files[file_count++].name, sizeof files[0].name, "%.255s", entries[i]->d_name);
        fclose(file);
    }
    if (count >= 0)
        free(entries);
}

/* Changes bytes, mostly near the beginning, where what matters stands; cuts, doubles, joins pieces of two files.
 * Checksums of PNG are put right, or nothing would get past them. */
static size_t mutate(uint8_t *bytes, size_t size)
{
    static const uint32_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    for (uint64_t n = 1 + draw(4) * draw(2); n > 0 && size > 4; n--) {
        const size_t at = draw(2) ? draw(size) : draw(size < 400 ? size : 400);
        switch (draw(8)) {
        case 0: bytes[at] ^= (uint8_t)(1u << draw(8)); break;
        case 1: bytes[at] = (uint8_t)draw(256); break;
        case 2:
        case 3: {
            const uint32_t value = odd[draw(sizeof odd / sizeof *odd)];
            const size_t width = (size_t)1 << draw(3);
            const uint64_t big = draw(2);
            for (size_t i = 0; i < width && at + i < size; i++)
                bytes[at + i] = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
            break;
        }
        case 4: size = 1 + draw(size); break;
        case 5: {
            const size_t length = 1 + draw(size - at), to = draw(size);
            const size_t fits = to + length <= size ? length : size - to;
            memmove(bytes + to, bytes + at, fits);
            break;
        }
        case 6: {
            const int other = (int)draw((uint64_t)file_count);
            const size_t from = draw(files[other].size), length = 1 + draw(files[other].size - from);
            memcpy(bytes + at, files[other].bytes + from, length);
            size = at + length > size ? at + length : size;
            break;
        }
        default: {
            const size_t length = 1 + draw(size - at < 64 ? size - at : 64);
            memmove(bytes + at + length, bytes + at, size - at);
            size += length;
            break;
        }
        }
    }
    return size;
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void mend_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 8; size >= 20 && at + 12 <= size && bytes[1] == 'P';) {
        const size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 |
                              bytes[at + 3];
        if (length > size - at - 12)
            return;
        const uint32_t crc = crc_of(bytes + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
}

int main(int count, char **arguments)
{
    if (count < 3) {
        fprintf(stderr, "usage: read FOLDER COUNT [SEED]\n");
        return 2;
    }
    watch_allocations();
    load_corpus(arguments[1]);
    if (file_count == 0) {
        fprintf(stderr, "no files in %s\n", arguments[1]);
        return 2;
    }
    const long wanted = atol(arguments[2]);
    uint8_t *bytes = malloc(4 * LARGEST);
    for (int i = 0; i < file_count; i++)
        read_all_ways(files[i].bytes, files[i].size);
    for (long i = 0; i < wanted; i++) {
        state = (uint64_t)(count > 3 ? atol(arguments[3]) : 1) << 32 ^ (uint64_t)i;
        const int which = (int)(i % file_count);
        memcpy(bytes, files[which].bytes, files[which].size);
        const size_t size = mutate(bytes, files[which].size);
        if (draw(4))
            mend_checksums(bytes, size);
        uint8_t *exact = malloc(size); /* so that one byte too far is noticed */
        memcpy(exact, bytes, size);
        read_all_ways(exact, size);
        free(exact);
    }
    for (int i = 0; i < file_count; i++)
        free(files[i].bytes);
    free(bytes);
    printf("%ld mutations of %d files: %ld times read, %ld times refused\n", wanted, file_count, read_well, refused);
    return 0;
}

#endif
