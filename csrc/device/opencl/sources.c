#include "sources.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One file of kernels/, put into the module by the assembler. */
#define EMBED(label, file)                   \
    __asm__(".pushsection .rodata\n"         \
            ".global lx_text_" #label "\n"   \
            ".hidden lx_text_" #label "\n"   \
            "lx_text_" #label ":\n"          \
            ".incbin \"kernels/" file "\"\n" \
            ".byte 0\n"                      \
            ".popsection\n");                \
    extern const char lx_text_##label[];

/* KERNEL_TEXTS(X), X(label, path) of each file under kernels/, is what the Makefile found there. */
KERNEL_TEXTS(EMBED)

typedef struct {
    const char *file, *text;
} source;

#define ROW(label, file) {file, lx_text_##label},
static const source sources[] = {KERNEL_TEXTS(ROW){NULL, NULL}};

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
