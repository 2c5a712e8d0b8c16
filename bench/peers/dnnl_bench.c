/* oneDNN's side of the timings of single convolutions, through its C API (version 2): direct algorithms in the layouts
 * that it chooses itself. Prints what ../time.lua prints.
 * Usage: dnnl_bench BATCH LAYER..., a layer being CIN,COUT,KERNEL,SIDE,STRIDE,GROUPS; OMP_NUM_THREADS says how many
 * threads. */
#include <dnnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WARM = 2, COUNT = 7 };

typedef struct {
    long batch, cin, cout, kernel, side, stride, groups, out;
} layer;

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT } direction;

static void check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "oneDNN: %s: error %d\n", what, (int)status);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A description whose layout oneDNN chooses. */
static dnnl_memory_desc_t any(int ndim, const dnnl_dims_t shape)
{
    dnnl_memory_desc_t desc;
    check(dnnl_memory_desc_init_by_tag(&desc, ndim, shape, dnnl_f32, dnnl_format_tag_any), "memory");
    return desc;
}

static dnnl_primitive_desc_t describe(const layer *l, direction which, dnnl_engine_t engine)
{
    const bool grouped = l->groups > 1;
    const dnnl_memory_desc_t x = any(4, (dnnl_dims_t){l->batch, l->cin, l->side, l->side});
    const dnnl_memory_desc_t y = any(4, (dnnl_dims_t){l->batch, l->cout, l->out, l->out});
    const dnnl_memory_desc_t w = grouped ? any(5, (dnnl_dims_t){l->groups, l->cout / l->groups, l->cin / l->groups,
                                                                l->kernel, l->kernel})
                                         : any(4, (dnnl_dims_t){l->cout, l->cin, l->kernel, l->kernel});
    const dnnl_dims_t stride = {l->stride, l->stride}, padding = {l->kernel / 2, l->kernel / 2};
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t forward, result;
    check(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &x, &w, NULL, &y,
                                             stride, padding, padding),
          "forward");
    check(dnnl_primitive_desc_create(&forward, &desc, NULL, engine, NULL), "forward");
    if (which == FORWARD)
        return forward;
    if (which == BACKWARD_DATA)
        check(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &x, &w, &y, stride, padding,
                                                       padding),
              "backward data");
    else
        check(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &x, &w, NULL, &y, stride,
                                                          padding, padding),
              "backward weights");
    check(dnnl_primitive_desc_create(&result, &desc, NULL, engine, forward), "backward");
    dnnl_primitive_desc_destroy(forward);
    return result;
}

static int by_size(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double time_primitive(dnnl_primitive_t primitive, dnnl_stream_t stream, const dnnl_exec_arg_t *arguments)
{
    double seconds[COUNT];
    for (int i = -WARM; i < COUNT; i++) {
        const double start = now();
        check(dnnl_primitive_execute(primitive, stream, 3, arguments), "execute");
        check(dnnl_stream_wait(stream), "wait");
        if (i >= 0)
            seconds[i] = now() - start;
    }
    qsort(seconds, COUNT, sizeof *seconds, by_size);
    return seconds[COUNT / 2];
}

/* The median time of one direction of a layer. */
static double time_direction(const layer *l, direction which, dnnl_engine_t engine, dnnl_stream_t stream)
{
    static const dnnl_query_t queries[3][3] = {
        {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
        {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md},
    };
    static const int names[3][3] = {
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    dnnl_primitive_desc_t desc = describe(l, which, engine);
    dnnl_primitive_t primitive;
    check(dnnl_primitive_create(&primitive, desc), "primitive");
    dnnl_exec_arg_t arguments[3];
    for (int i = 0; i < 3; i++) {
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, queries[which][i], 0);
        void *data;
        arguments[i].arg = names[which][i];
        check(dnnl_memory_create(&arguments[i].memory, md, engine, DNNL_MEMORY_ALLOCATE), "memory");
        check(dnnl_memory_get_data_handle(arguments[i].memory, &data), "memory");
        float *values = data;
        for (size_t n = 0; n < dnnl_memory_desc_get_size(md) / sizeof *values; n++)
            values[n] = (float)(n % 13) * 0.01f - 0.06f;
    }
    const double seconds = time_primitive(primitive, stream, arguments);
    for (int i = 0; i < 3; i++)
        dnnl_memory_destroy(arguments[i].memory);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    return seconds;
}

static void time_layer(const layer *l, dnnl_engine_t engine, dnnl_stream_t stream)
{
    static const char *const directions[] = {"forward", "backward data", "backward weight"};
    for (direction which = FORWARD; which <= BACKWARD_WEIGHT; which++) {
        if (which == BACKWARD_DATA && l->cin <= 3)
            continue; /* nobody asks for the gradient of an image */
        const double seconds = time_direction(l, which, engine, stream);
        printf("\"%ld→%ld %ld×%ld at %ld", l->cin, l->cout, l->kernel, l->kernel, l->side);
        if (l->stride > 1)
            printf(", stride %ld", l->stride);
        if (l->groups > 1)
            printf(", groups %ld", l->groups);
        printf(" %s\": {\"seconds\": %.9f, \"gflop\": %.9f},\n", directions[which], seconds,
               2e-9 * (double)(l->batch * l->cout * (l->cin / l->groups) * l->kernel * l->kernel * l->out * l->out));
    }
}

static double peak_mb(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "VmHWM: %ld", &kilobytes);
    if (file)
        fclose(file);
    return (double)kilobytes / 1024;
}

int main(int argc, char **argv)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    printf("{");
    for (int i = 2; i < argc; i++) {
        layer l = {.batch = atol(argv[1])};
        if (sscanf(argv[i], "%ld,%ld,%ld,%ld,%ld,%ld", &l.cin, &l.cout, &l.kernel, &l.side, &l.stride, &l.groups) !=
            6) {
            fprintf(stderr, "%s is no layer\n", argv[i]);
            return 1;
        }
        l.out = (l.side + l.kernel / 2 * 2 - l.kernel) / l.stride + 1;
        time_layer(&l, engine, stream);
    }
    printf("\"peak_mb\": %.1f}\n", peak_mb());
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
