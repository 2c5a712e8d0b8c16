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

/* All files that kernels for OpenCL consist of: a name for the assembler, and the path in kernels/. */
#define FILES(X) \
    X(avgpool_cl, "avgpool.cl") X(avgpool_h, "avgpool.h") X(bias_h, "bias.h") X(conv2d_cl, "conv2d.cl") \
    X(conv2d_h, "conv2d.h") X(dialect_opencl_h, "dialect/opencl.h") X(elementwise_cl, "elementwise.cl") X(elementwise_h, "elementwise.h") \
    X(gather_cl, "gather.cl") X(gather_h, "gather.h") X(layout_cl, "layout.cl") X(layout_h, "layout.h") \
    X(loss_cl, "loss.cl") X(loss_h, "loss.h") X(luxel_h, "luxel.h") X(matmul_cl, "matmul.cl") X(matmul_h, "matmul.h") \
    X(norm_cl, "norm.cl") X(norm_h, "norm.h") X(optim_cl, "optim.cl") X(optim_h, "optim.h") X(philox_h, "philox.h") \
    X(pool_cl, "pool.cl") X(pool_h, "pool.h") X(random_cl, "random.cl") X(random_h, "random.h") \
    X(reduce_cl, "reduce.cl") X(reduce_h, "reduce.h") X(row_args_h, "row_args.h") X(rows_h, "rows.h") \
    X(softmax_cl, "softmax.cl") X(sort_cl, "sort.cl") X(sort_h, "sort.h") X(span_h, "span.h") \
    X(upsample_cl, "upsample.cl") X(upsample_h, "upsample.h") X(window_h, "window.h") X(winograd_cl, "winograd.cl") \
    X(winograd_h, "winograd.h") \
    X(simt_conv2d_cl, "simt/conv2d.cl") X(simt_convolution_h, "simt/convolution.h") X(simt_matmul_cl, "simt/matmul.cl") \
    X(simt_norm_cl, "simt/norm.cl") X(simt_norm_h, "simt/norm.h") X(simt_reduce_cl, "simt/reduce.cl") \
    X(simt_reduce_h, "simt/reduce.h") X(simt_row_groups_h, "simt/row_groups.h") X(simt_rows_h, "simt/rows.h") X(simt_simt_h, "simt/simt.h") \
    X(simt_softmax_cl, "simt/softmax.cl") X(simt_winograd_cl, "simt/winograd.cl") X(simt_winograd_h, "simt/winograd.h")

FILES(EMBED)

typedef struct {
    const char *file, *text;
} source;

#define ROW(label, file) {file, lx_text_##label},
static const source sources[] = {FILES(ROW){NULL, NULL}};

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
