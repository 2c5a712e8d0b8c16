/* The cpu device: kernels compiled ahead of time, run over OpenMP threads. Storage handles are plain addresses. */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../blocks.h"
#include "../device.h"
#include "../plan.h"

typedef struct {
    lx_device device;
    lx_isa isa;
    int threads;
    lx_block_cache cache;
} lx_cpu;

static lx_code cpu_allocate(lx_device *device, size_t bytes, void **handle, size_t *capacity, lx_error *error)
{
    lx_cpu *cpu = (lx_cpu *)device;
    *capacity = lx_block_size(bytes);
    if (*capacity == 0)
        return lx_no_memory(device, bytes, error);
    *handle = lx_block_take(&cpu->cache, *capacity);
    if (*handle)
        atomic_fetch_sub(&device->memory.cached, *capacity);
    else
        *handle = lx_host_block(*capacity, 64);
    return *handle ? LX_OK : lx_no_memory(device, bytes, error);
}

static void cpu_release(lx_device *device, void *handle, size_t capacity)
{
    lx_cpu *cpu = (lx_cpu *)device;
    if (lx_block_keep(&cpu->cache, handle, capacity))
        atomic_fetch_add(&device->memory.cached, capacity);
    else
        free(handle);
}

static void cpu_trim(lx_device *device)
{
    lx_cpu *cpu = (lx_cpu *)device;
    void *block;
    size_t size;
    while ((block = lx_block_take_any(&cpu->cache, &size))) {
        atomic_fetch_sub(&device->memory.cached, size);
        free(block);
    }
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

static lx_code cpu_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    (void)error;
    const lx_cpu *cpu = (const lx_cpu *)device;
    lx_native *const kernel = launch->kernel->native[cpu->isa];
    const double start = device->profile ? lx_now() : 0.0;
    void *buffers[LX_MAX_ARGUMENTS] = {NULL};
    for (int i = 0; i < launch->count; i++)
        if (launch->arguments[i].storage)
            buffers[i] = (char *)launch->arguments[i].storage->handle + launch->arguments[i].offset;
    if (launch->size[0] <= 0 || launch->size[1] <= 0 || launch->size[2] <= 0)
        return LX_OK;
    long tasks;
    const lx_plan plan = lx_plan_tasks(launch->size, launch->work, cpu->threads, &tasks);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads) if (tasks > 1)
    for (long task = 0; task < tasks; task++) {
        const lx_span span = lx_span_of(plan, task);
        kernel(&span, buffers, launch->params);
    }
    if (device->profile)
        lx_profile_add(device->profile, launch->kernel->name, start, lx_now() - start, launch->work, launch->bytes);
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

static lx_code cpu_watch(lx_device *device, lx_profile *profile, lx_error *error)
{
    (void)error;
    device->profile = profile;
    return LX_OK;
}

static void cpu_close(lx_device *device)
{
    lx_cpu *cpu = (lx_cpu *)device;
    cpu_trim(device);
    lx_tuning_free(&device->tuning);
    lx_blocks_close(&cpu->cache);
    free(cpu);
}

static const struct lx_runtime cpu_runtime = {
    "cpu", cpu_allocate, cpu_release, cpu_trim, cpu_read, cpu_write, cpu_launch, cpu_finish, cpu_threads, cpu_watch,
    cpu_close,
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
    cpu->device.budget = SIZE_MAX;
    lx_blocks_open(&cpu->cache);
    snprintf(cpu->device.label, sizeof cpu->device.label, "cpu");
    snprintf(cpu->device.name, sizeof cpu->device.name, "cpu (%s, %d threads)", isa_names[cpu->isa], cpu->threads);
    return &cpu->device;
}
