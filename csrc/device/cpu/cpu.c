/* The cpu device: kernels compiled ahead of time, run over OpenMP threads. Storage handles are plain addresses. */
#include <omp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../device.h"
#include "memory.h"

typedef struct {
    lx_device device;
    lx_isa isa;
    int threads;
    lx_block_cache cache;
    pthread_mutex_t lock; /* guards the cache: storages may be released on any thread */
} lx_cpu;

enum {
    PARALLEL_FROM = 32768, /* below this much work, waking threads costs more than it gives */
    TASKS_PER_THREAD = 8,  /* pieces that work is cut into, so that an unlucky thread does not hold up the rest */
    SPAN_MULTIPLE = 64     /* pieces of id0 start on such a multiple, so that vector loops have no ragged ends */
};

static lx_code cpu_allocate(lx_device *device, size_t bytes, void **handle, size_t *capacity, lx_error *error)
{
    lx_cpu *cpu = (lx_cpu *)device;
    pthread_mutex_lock(&cpu->lock);
    *handle = lx_block_take(&cpu->cache, bytes, capacity);
    device->memory.cached = cpu->cache.cached;
    pthread_mutex_unlock(&cpu->lock);
    if (*handle)
        return LX_OK;
    return lx_fail(error, LX_ENOMEM, "out of memory: cpu has no %.1f MiB more (%.1f MiB in use, %.1f MiB cached)",
                   (double)bytes / 1048576.0, (double)device->memory.live / 1048576.0,
                   (double)device->memory.cached / 1048576.0);
}

static void cpu_release(lx_device *device, void *handle, size_t capacity)
{
    lx_cpu *cpu = (lx_cpu *)device;
    pthread_mutex_lock(&cpu->lock);
    lx_block_give(&cpu->cache, handle, capacity);
    device->memory.cached = cpu->cache.cached;
    pthread_mutex_unlock(&cpu->lock);
}

static void cpu_trim(lx_device *device)
{
    lx_cpu *cpu = (lx_cpu *)device;
    pthread_mutex_lock(&cpu->lock);
    lx_block_trim(&cpu->cache);
    device->memory.cached = 0;
    pthread_mutex_unlock(&cpu->lock);
}

static lx_code cpu_read(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error)
{
    (void)error;
    memcpy(to, (const char *)from->handle + offset, bytes);
    return LX_OK;
}

static lx_code cpu_write(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error)
{
    (void)error;
    memcpy((char *)to->handle + offset, from, bytes);
    return LX_OK;
}

/* How the ids are cut into tasks: id0 into `columns` pieces of `width`, the rows into pieces of `height`. */
typedef struct {
    long width, columns, height, tasks;
} lx_plan;

static lx_plan plan_tasks(const long size[3], double work, int threads)
{
    const long rows = size[1] * size[2];
    lx_plan plan = {size[0], 1, rows, 1};
    if (threads == 1 || work < PARALLEL_FROM)
        return plan;
    const long wanted = (long)threads * TASKS_PER_THREAD;
    if (rows >= wanted) {
        plan.height = (rows + wanted - 1) / wanted;
    } else {
        plan.height = 1;
        const long pieces = (wanted + rows - 1) / rows;
        plan.width = (size[0] + pieces - 1) / pieces;
        if (plan.width > 1 && work / ((double)size[0] * (double)rows) < 64)
            plan.width = (plan.width + SPAN_MULTIPLE - 1) / SPAN_MULTIPLE * SPAN_MULTIPLE;
        plan.columns = (size[0] + plan.width - 1) / plan.width;
    }
    plan.tasks = plan.columns * ((rows + plan.height - 1) / plan.height);
    return plan;
}

static void run_task(lx_native *kernel, const lx_launch *launch, const lx_plan *plan, long task, void *const *buffers)
{
    const long rows = launch->size[1] * launch->size[2];
    lx_span span = {.size1 = launch->size[1]};
    span.first = task % plan->columns * plan->width;
    span.last = span.first + plan->width < launch->size[0] ? span.first + plan->width : launch->size[0];
    span.first_row = task / plan->columns * plan->height;
    span.last_row = span.first_row + plan->height < rows ? span.first_row + plan->height : rows;
    kernel(&span, buffers, launch->params);
}

static lx_code cpu_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    (void)error;
    const lx_cpu *cpu = (const lx_cpu *)device;
    lx_native *const kernel = launch->kernel->native[cpu->isa];
    void *buffers[LX_MAX_ARGUMENTS] = {NULL};
    for (int i = 0; i < launch->count; i++)
        if (launch->arguments[i].storage)
            buffers[i] = (char *)launch->arguments[i].storage->handle + launch->arguments[i].offset;
    if (launch->size[0] <= 0 || launch->size[1] <= 0 || launch->size[2] <= 0)
        return LX_OK;
    const lx_plan plan = plan_tasks(launch->size, launch->work, cpu->threads);
    if (plan.tasks == 1) {
        run_task(kernel, launch, &plan, 0, buffers);
        return LX_OK;
    }
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (long task = 0; task < plan.tasks; task++)
        run_task(kernel, launch, &plan, task, buffers);
    return LX_OK;
}

static lx_code cpu_finish(lx_device *device, lx_error *error)
{
    (void)device;
    (void)error;
    return LX_OK;
}

static int cpu_threads(lx_device *device, int set)
{
    lx_cpu *cpu = (lx_cpu *)device;
    if (set > 0)
        cpu->threads = set;
    return cpu->threads;
}

static void cpu_close(lx_device *device)
{
    lx_cpu *cpu = (lx_cpu *)device;
    lx_block_trim(&cpu->cache);
    pthread_mutex_destroy(&cpu->lock);
    free(cpu);
}

static const struct lx_runtime cpu_runtime = {
    "cpu", cpu_allocate, cpu_release, cpu_trim, cpu_read, cpu_write, cpu_launch, cpu_finish, cpu_threads, cpu_close,
};

/* The best instruction set that this processor has, or a lesser one that LUXEL_ISA names (for tests). */
static lx_isa choose_isa(void)
{
    lx_isa best = LX_ISA_BASE;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        best = LX_ISA_AVX2;
    if (best == LX_ISA_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        best = LX_ISA_AVX512;
#endif
    const char *wanted = getenv("LUXEL_ISA");
    if (wanted && strcmp(wanted, "base") == 0)
        return LX_ISA_BASE;
    if (wanted && strcmp(wanted, "avx2") == 0 && best > LX_ISA_AVX2)
        return LX_ISA_AVX2;
    return best;
}

lx_device *lx_cpu_open(lx_error *error)
{
    static const char *const isa_names[] = {"baseline", "AVX2", "AVX-512"};
    static const int isa_lanes[] = {4, 8, 16};
    lx_cpu *cpu = calloc(1, sizeof *cpu);
    if (!cpu) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    cpu->isa = choose_isa();
    cpu->threads = omp_get_max_threads();
    cpu->device.runtime = &cpu_runtime;
    cpu->device.lanes = isa_lanes[cpu->isa];
    atomic_init(&cpu->device.references, 1);
    cpu->device.limit = SIZE_MAX;
    pthread_mutex_init(&cpu->lock, NULL);
    snprintf(cpu->device.name, sizeof cpu->device.name, "cpu (%s, %d threads)", isa_names[cpu->isa], cpu->threads);
    return &cpu->device;
}
