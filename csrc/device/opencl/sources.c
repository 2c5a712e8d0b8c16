#include "sources.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One file of kernels/, put into the module by the assembler. */
#define EMBED(label, file)                              \
    __asm__(".pushsection .rodata\n"                    \
            ".global lx_text_" #label "\n"              \
            ".hidden lx_text_" #label "\n"              \
            "lx_text_" #label ":\n"                     \
            ".incbin \"kernels/" file "\"\n"            \
            ".byte 0\n"                                 \
            ".popsection\n");                           \
    extern const char lx_text_##label[];

#define FAMILIES(X) \
    X(avgpool) X(conv2d) X(elementwise) X(gather) X(layout) X(loss) X(matmul) X(norm) X(optim) X(pool) \
    X(random) X(reduce) X(softmax) X(sort) X(upsample) X(winograd)

#define EMBED_FAMILY(name) EMBED(name##_cl, #name ".cl") EMBED(name##_h, #name ".h")
FAMILIES(EMBED_FAMILY)
EMBED(luxel_h, "luxel.h")
EMBED(philox_h, "philox.h")
EMBED(rows_h, "rows.h")
EMBED(span_h, "span.h")
EMBED(window_h, "window.h")
EMBED(bias_h, "bias.h")

/* The kernels for GPUs, in kernels/simt/. */
#define SIMT_FILES(X) \
    X(simt, h) X(conv2d, cl) X(convolution, h) X(matmul, cl) X(norm, cl) X(norm, h) X(reduce, cl) X(reduce, h) X(rows, h) X(softmax, cl) \
    X(winograd, cl) X(winograd, h)

#define EMBED_SIMT(name, kind) EMBED(simt_##name##_##kind, "simt/" #name "." #kind)
SIMT_FILES(EMBED_SIMT)

typedef struct {
    const char *file, *text;
} source;

#define ROW_FAMILY(name) {#name ".cl", lx_text_##name##_cl}, {#name ".h", lx_text_##name##_h},
#define ROW_SIMT(name, kind) {"simt/" #name "." #kind, lx_text_simt_##name##_##kind},
static const source sources[] = {FAMILIES(ROW_FAMILY){"luxel.h", lx_text_luxel_h},
                                 {"philox.h", lx_text_philox_h},
                                 {"rows.h", lx_text_rows_h},
                                 {"span.h", lx_text_span_h},
                                 {"window.h", lx_text_window_h},
                                 {"bias.h", lx_text_bias_h},
                                 SIMT_FILES(ROW_SIMT)
                                 {NULL, NULL}};

static const char *find(const char *file, size_t length)
{
    for (const source *s = sources; s->file; s++)
        if (strlen(s->file) == length && memcmp(s->file, file, length) == 0)
            return s->text;
    return NULL;
}

/* A text that grows. */
typedef struct {
    char *bytes;
    size_t length, room;
    bool failed;
} text;

static void append(text *to, const char *from, size_t length)
{
    if (to->failed)
        return;
    if (to->length + length + 1 > to->room) {
        to->room = 2 * (to->length + length + 1);
        char *larger = realloc(to->bytes, to->room);
        to->failed = !larger;
        if (to->failed)
            return;
        to->bytes = larger;
    }
    memcpy(to->bytes + to->length, from, length);
    to->length += length;
    to->bytes[to->length] = '\0';
}

/* Copies a file line by line, with what it includes in the place of the line. The guards of the headers see to it that
 * one included twice counts once. Headers of C stand behind the test for OpenCL and are never reached. */
static void expand(text *to, const char *from)
{
    static const char include[] = "#include \"";
    while (*from) {
        const char *end = strchr(from, '\n');
        const size_t length = end ? (size_t)(end - from) + 1 : strlen(from);
        const char *inner = NULL;
        if (strncmp(from, include, sizeof include - 1) == 0) {
            const char *name = from + sizeof include - 1;
            inner = find(name, strcspn(name, "\""));
        }
        if (inner)
            expand(to, inner);
        else
            append(to, from, length);
        from += length;
    }
}

char *lx_opencl_source(const char *program)
{
    char file[64];
    text whole = {NULL, 0, 0, false};
    const size_t length = strlen(program);
    if (length + 4 > sizeof file)
        return NULL;
    memcpy(file, program, length);
    memcpy(file + length, ".cl", 4);
    const char *start = find(file, length + 3);
    if (start)
        expand(&whole, start);
    if (whole.failed) {
        free(whole.bytes);
        return NULL;
    }
    return whole.bytes;
}
