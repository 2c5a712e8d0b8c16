/* The cpu device: kernels compiled ahead of time, run by a pool of threads. Storage handles are plain addresses. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/clock.h"
#include "../../base/memory.h"
#include "../blocks.h"
#include "../device.h"
#include "../partition.h"
#include "../../base/pool.h"

/* What waking threads is worth for: so much work (of operations that take longer than they look), and either bytes or
 * work that keep one of them busy for some ten microseconds. */
enum { SHARED_FROM = 32768, SHARED_FROM_BYTES = 256 << 10, SHARED_FROM_WORK = 1500000 };

enum { SLICE = 50000000, MOST_SLICES = 65536 }; /* work of a task, at most */

typedef struct {
    lx_device device;
    lx_isa isa;
    lx_pool *pool;
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
    lx_host_trim();
}

/* Work that has begun to change what was there before the call is not given up any more. */
static void note_change(const lx_storage *storage)
{
    if (storage->id <= storage->device->call.storages)
        storage->device->call.changes = true;
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
    note_change(to);
    memcpy((char *)to->handle + offset, from, bytes);
    return LX_OK;
}

/* A launch as the threads see it. */
typedef struct {
    lx_native *kernel;
    const void *params;
    void *buffers[LX_MAX_ARGUMENTS];
    lx_partition partition;
} job;

static void do_task(void *work, long index)
{
    const job *of = work;
    const lx_span span = lx_span_of(of->partition, index);
    of->kernel(&span, of->buffers, of->params);
}

/* Small launches are for the calling thread alone; large ones are cut so small that it is asked every few milliseconds
 * whether to go on. */
static long tasks_wanted(const lx_launch *launch, int threads)
{
    const bool shared = launch->work >= SHARED_FROM &&
                        (launch->bytes >= SHARED_FROM_BYTES || launch->work >= SHARED_FROM_WORK);
    const long least = threads > 1 && shared ? (long)threads * LX_TASKS_PER_THREAD : 1;
    const double slices = launch->work / SLICE;
    return slices <= (double)least ? least : slices < MOST_SLICES ? (long)slices : MOST_SLICES;
}

static lx_code cpu_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    const lx_cpu *cpu = (const lx_cpu *)device;
    const double start = device->profile ? lx_now() : 0.0;
    job work = {.kernel = launch->kernel->native[cpu->isa], .params = launch->params};
    for (int i = 0; i < launch->count; i++) {
        lx_storage *storage = launch->arguments[i].storage;
        if (!storage)
            continue;
        work.buffers[i] = (char *)storage->handle + launch->arguments[i].offset;
        if (!launch->kernel->writes || *launch->kernel->writes >> i & 1)
            note_change(storage);
    }
    if (launch->size[0] <= 0 || launch->size[1] <= 0 || launch->size[2] <= 0)
        return LX_OK;
    long tasks;
    work.partition = lx_partition_ids(launch->size, launch->work, tasks_wanted(launch, lx_pool_threads(cpu->pool)),
                                      &tasks);
    if (tasks == 1)
        do_task(&work, 0);
    else if (lx_pool_run(cpu->pool, tasks, do_task, &work, error))
        return error->code;
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
        lx_pool_resize(cpu->pool, set);
    return lx_pool_threads(cpu->pool);
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
    lx_pool_close(cpu->pool);
    free(cpu);
}

static const struct lx_runtime cpu_runtime = {
    "cpu",      cpu_allocate, cpu_release, cpu_trim,  cpu_read,  cpu_write,
    cpu_launch, cpu_finish,   cpu_threads, cpu_watch, cpu_close,
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

lx_pool *lx_cpu_pool(lx_device *device)
{
    return ((lx_cpu *)device)->pool;
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
    cpu->pool = lx_pool_open(lx_default_threads(), error);
    if (!cpu->pool) {
        free(cpu);
        return NULL;
    }
    cpu->device.runtime = &cpu_runtime;
    cpu->device.lanes = isa_lanes[cpu->isa];
    atomic_init(&cpu->device.references, 1);
    cpu->device.limit = SIZE_MAX;
    cpu->device.budget = SIZE_MAX;
    lx_blocks_open(&cpu->cache);
    snprintf(cpu->device.label, sizeof cpu->device.label, "cpu");
    snprintf(cpu->device.name, sizeof cpu->device.name, "cpu (%s, %d threads)", isa_names[cpu->isa],
             lx_pool_threads(cpu->pool));
    return &cpu->device;
}
