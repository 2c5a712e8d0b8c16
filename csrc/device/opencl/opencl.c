/* An OpenCL device: buffers in size classes, kernels of programs built when first used, and one in-order queue to which
 * everything is added without waiting; only reading waits. Storage handles are cl_mem. */
#include "opencl.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/clock.h"
#include "../../base/count.h"
#include "../../base/fork.h"
#include "../../base/memory.h"
#include "../partition.h"
#include "internal.h"
#include "platforms.h"

enum {
    PAGE = 4096,          /* drivers use host memory where it is only if it starts on one */
    GROUP = 256,          /* work-items of a group where a kernel does not say */
    LEAST_LANES = 4,      /* floats of a vector that kernels are compiled for */
    MOST_GROUPS = 65535,  /* along the second and third dimension: NVIDIA's limit */
    PARALLEL_FROM = 32768 /* below this much work, waking threads of a processor costs more than it gives */
};

/* ---- errors -------------------------------------------------------------------------------------------------- */

/* Whether a status means that the queue no longer works, and not that this one call was refused. */
static bool is_loss(cl_int status)
{
    return status == CL_DEVICE_NOT_AVAILABLE || status == CL_INVALID_COMMAND_QUEUE || status == CL_INVALID_CONTEXT ||
           status == CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST || status <= -9999;
}

/* After a call failed: whether the device is lost. Drivers say of a queue that broke what they say of a call that asks
 * too much (out of resources), so that only waiting for the queue tells the two apart. */
static bool look_for_loss(lx_opencl *self, cl_int status)
{
    if (is_loss(status) || (self->queue && self->api.clFinish(self->queue) != CL_SUCCESS))
        self->lost = true;
    return self->lost;
}

bool lx_opencl_is_here(const lx_opencl *self)
{
    return self->forks == lx_forks();
}

/* Drivers have threads and connections that a forked process has not. */
static lx_code check_here(const lx_opencl *self, lx_error *error)
{
    return lx_opencl_is_here(self) ? LX_OK
                                   : lx_fail(error, LX_EDEVICE,
                                             "%s (%s) was opened before this process was forked off, and "
                                             "cannot be used in it; first use OpenCL after the fork, or go "
                                             "on with cpu",
                                             self->device.label, self->device.name);
}

lx_code lx_opencl_check_usable(lx_opencl *self, lx_error *error)
{
    if (check_here(self, error) || !self->lost)
        return error->code;
    return lx_fail(error, LX_EDEVICE,
                   "%s (%s) failed and takes no more work; what is on it may still be read, to save "
                   "it; then start anew or go on with another device",
                   self->device.label, self->device.name);
}

lx_code lx_opencl_fail(lx_opencl *self, lx_error *error, const char *what, cl_int status)
{
    const bool lost = look_for_loss(self, status);
    const bool memory = status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_HOST_MEMORY;
    return lx_fail(error, memory && !lost ? LX_ENOMEM : LX_EDEVICE, "%s (%s): %s: %s (%d)%s", self->device.label,
                   self->device.name, what, lx_opencl_message(status), (int)status,
                   lost ? "; it takes no more work, but what is on it may still be read, to save it" : "");
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void CL_CALLBACK free_host_block(cl_mem memory, void *block)
{
    (void)memory;
    free(block);
}

/* A buffer in the host's memory, on its huge pages, which the device uses where it is. */
static cl_mem new_shared(lx_opencl *self, size_t size, cl_int *status)
{
    void *block = lx_host_block(size, size >= PAGE ? PAGE : 64);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!block)
        return NULL;
    if (self->checking)
        memset(block, 0xff, size); /* NaN for who reads before anybody wrote */
    cl_mem memory = self->api.clCreateBuffer(self->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size, block,
                                             status);
    if (!memory || self->api.clSetMemObjectDestructorCallback(memory, free_host_block, block) != CL_SUCCESS) {
        if (memory)
            self->api.clReleaseMemObject(memory);
        free(block);
        return NULL;
    }
    return memory;
}

/* A buffer in the device's memory. Drivers put off finding that memory until first use, so that is asked for here. */
static cl_mem new_own(lx_opencl *self, size_t size, cl_int *status)
{
    cl_mem memory = self->api.clCreateBuffer(self->context, CL_MEM_READ_WRITE, size, NULL, status);
    if (!memory)
        return NULL;
    *status = self->api.clEnqueueMigrateMemObjects(self->queue, 1, &memory, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0,
                                                   NULL, NULL);
    if (*status == CL_SUCCESS)
        return memory;
    self->api.clReleaseMemObject(memory);
    return NULL;
}

/* Whether blocks of a size are kept for reuse: all of a class have its size. */
static bool is_kept(const lx_opencl *self, size_t capacity)
{
    return !self->checking && capacity == lx_block_size(capacity);
}

static lx_code opencl_allocate(lx_device *device, size_t bytes, void **handle, size_t *capacity, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    cl_int status = CL_SUCCESS;
    if (check_here(self, error))
        return error->code;
    *capacity = self->checking && bytes ? bytes : lx_block_size(bytes);
    if (bytes <= self->largest && *capacity > self->largest)
        *capacity = bytes; /* the class would be too large, the block is not */
    if (*capacity == 0 || *capacity > self->largest)
        return lx_fail(error, LX_ENOMEM,
                       "out of memory: one tensor on %s (%s) has at most %.1f MiB, asked for %.1f MiB; "
                       "use a smaller batch or image",
                       device->label, device->name, (double)self->largest / 1048576.0, (double)bytes / 1048576.0);
    *handle = is_kept(self, *capacity) ? lx_block_take(&self->cache, *capacity) : NULL;
    if (*handle) {
        atomic_fetch_sub(&device->memory.cached, *capacity);
        return LX_OK;
    }
    *handle = self->shares_memory ? new_shared(self, *capacity, &status) : new_own(self, *capacity, &status);
    if (*handle)
        return LX_OK;
    if ((status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_RESOURCES ||
         status == CL_OUT_OF_HOST_MEMORY) &&
        !look_for_loss(self, status))
        return lx_no_memory(device, bytes, error);
    return lx_opencl_fail(self, error, "cannot allocate", status);
}

static void opencl_release(lx_device *device, void *handle, size_t capacity)
{
    lx_opencl *self = (lx_opencl *)device;
    if (!lx_opencl_is_here(self))
        return;
    if (is_kept(self, capacity) && lx_block_keep(&self->cache, handle, capacity))
        atomic_fetch_add(&device->memory.cached, capacity);
    else
        self->api.clReleaseMemObject(handle);
}

static void opencl_trim(lx_device *device)
{
    lx_opencl *self = (lx_opencl *)device;
    void *block;
    size_t size;
    if (!lx_opencl_is_here(self))
        return;
    while ((block = lx_block_take_any(&self->cache, &size))) {
        atomic_fetch_sub(&device->memory.cached, size);
        self->api.clReleaseMemObject(block);
    }
    self->api.clFinish(self->queue); /* the memory is given back once nothing uses it */
    lx_host_trim();
}

/* ---- reading and writing ------------------------------------------------------------------------------------- */

void lx_opencl_watch_event(lx_opencl *self, cl_event event, const char *name, double work, double bytes)
{
    if (self->watched_count == self->watched_room) {
        const size_t room = self->watched_room ? 2 * self->watched_room : 1024;
        lx_opencl_watched *larger = realloc(self->watched, room * sizeof *larger);
        if (!larger) {
            self->device.profile->full = true;
            self->api.clReleaseEvent(event);
            return;
        }
        self->watched = larger;
        self->watched_room = room;
    }
    lx_opencl_watched *added = &self->watched[self->watched_count++];
    *added = (lx_opencl_watched){.event = event, .work = work, .bytes = bytes};
    snprintf(added->name, sizeof added->name, "%s", name); /* a kernel of the user's may be gone when it is noted */
}

/* A new queue; it keeps the time of what it runs if something watches. */
static cl_int open_queue(lx_opencl *self)
{
    cl_int status;
    const cl_command_queue_properties properties = self->device.profile ? CL_QUEUE_PROFILING_ENABLE : 0;
    cl_command_queue queue = self->api.clCreateCommandQueue(self->context, self->id, properties, &status);
    if (!queue)
        return status;
    if (self->queue)
        self->api.clReleaseCommandQueue(self->queue);
    self->queue = queue;
    return CL_SUCCESS;
}

static cl_int read_bytes(lx_opencl *self, cl_mem from, size_t offset, void *to, size_t bytes, cl_event *event)
{
    if (!self->shares_memory)
        return self->api.clEnqueueReadBuffer(self->queue, from, CL_TRUE, offset, bytes, to, 0, NULL, event);
    cl_int status;
    void *mapped = self->api.clEnqueueMapBuffer(self->queue, from, CL_TRUE, CL_MAP_READ, offset, bytes, 0, NULL, event,
                                                &status);
    if (!mapped)
        return status;
    memcpy(to, mapped, bytes);
    return self->api.clEnqueueUnmapMemObject(self->queue, from, mapped, 0, NULL, NULL);
}

static lx_code opencl_read(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)from->device;
    cl_event event = NULL;
    if (bytes == 0)
        return LX_OK;
    if (check_here(self, error))
        return error->code;
    if (self->lost) /* its queue is broken; a new one may reach the memory all the same */
        open_queue(self);
    atomic_fetch_add(&self->device.waits, 1);
    const cl_int status = read_bytes(self, from->handle, offset, to, bytes, self->device.profile ? &event : NULL);
    if (event)
        lx_opencl_watch_event(self, event, "read", 0, (double)bytes);
    return status == CL_SUCCESS ? LX_OK : lx_opencl_fail(self, error, "cannot read from the device", status);
}

static void CL_CALLBACK free_staged(cl_event event, cl_int status, void *staged)
{
    (void)event;
    (void)status;
    free(staged);
}

/* Copies the bytes aside and lets the device fetch them when it gets there, so that nobody waits. */
static lx_code opencl_write(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)to->device;
    cl_event event;
    if (bytes == 0)
        return LX_OK;
    if (lx_opencl_check_usable(self, error))
        return error->code;
    void *staged = malloc(bytes);
    if (!staged)
        return lx_fail(error, LX_ENOMEM, "out of memory: %.1f MiB on their way to %s", (double)bytes / 1048576.0,
                       self->device.label);
    memcpy(staged, from, bytes);
    const cl_int status = self->api.clEnqueueWriteBuffer(self->queue, to->handle, CL_FALSE, offset, bytes, staged, 0,
                                                         NULL, &event);
    if (status != CL_SUCCESS) {
        free(staged);
        return lx_opencl_fail(self, error, "cannot write to the device", status);
    }
    if (self->api.clSetEventCallback(event, CL_COMPLETE, free_staged, staged) != CL_SUCCESS) {
        self->api.clFinish(self->queue);
        free(staged);
    }
    if (self->device.profile)
        lx_opencl_watch_event(self, event, "write", 0, (double)bytes);
    else
        self->api.clReleaseEvent(event);
    return LX_OK;
}

/* ---- launching ----------------------------------------------------------------------------------------------- */

/* Each buffer, followed by its offset in bytes; then the parameters, and the partition where the kernel has one. */
static cl_int set_arguments(lx_opencl *self, cl_kernel kernel, const lx_launch *launch, const lx_partition *partition)
{
    cl_int status = CL_SUCCESS;
    cl_uint index = 0;
    for (int i = 0; i < launch->count && status == CL_SUCCESS; i++) {
        const lx_argument *argument = &launch->arguments[i];
        cl_mem memory = argument->storage ? argument->storage->handle : NULL;
        const cl_ulong offset = argument->offset;
        status = self->api.clSetKernelArg(kernel, index++, sizeof memory, &memory);
        if (status == CL_SUCCESS)
            status = self->api.clSetKernelArg(kernel, index++, sizeof offset, &offset);
    }
    if (status == CL_SUCCESS)
        status = self->api.clSetKernelArg(kernel, index++, launch->params_size, launch->params);
    if (status == CL_SUCCESS && partition)
        status = self->api.clSetKernelArg(kernel, index, sizeof *partition, partition);
    return status;
}

/* A work-item for each task, on a processor. */
static void spread_tasks(const lx_launch *launch, size_t most, long tasks, size_t size[3], size_t group[3])
{
    (void)launch;
    (void)most;
    (void)group;
    size[0] = (size_t)tasks;
}

/* A work-item for each id, in work-groups for a GPU: along the first dimension as far as it reaches, then along the
 * second. */
static void spread_ids(const lx_launch *launch, size_t most, long tasks, size_t size[3], size_t group[3])
{
    const size_t whole = most < GROUP ? most : GROUP;
    (void)tasks;
    size_t wide = 1;
    while (wide < whole / 2 + 1 && wide < (size_t)launch->size[0])
        wide *= 2;
    size_t high = 1;
    while (wide * high * 2 <= whole && high < (size_t)launch->size[1])
        high *= 2;
    group[0] = wide;
    group[1] = high;
    group[2] = 1;
    for (int i = 0; i < 3; i++) {
        size_t groups = (size_t)lx_ceil_div(launch->size[i], (long)group[i]);
        if (i > 0 && groups > MOST_GROUPS)
            groups = MOST_GROUPS; /* work-items then take several ids */
        size[i] = groups * group[i];
    }
}

/* What is different between devices of the forms: floats of a vector, at most, and how a launch is spread over
 * work-items. */
static const struct {
    int most_lanes;
    void (*spread)(const lx_launch *launch, size_t most, long tasks, size_t size[3], size_t group[3]);
} forms[LX_FORMS] = {[LX_TILE] = {16, spread_tasks}, [LX_SIMT] = {4, spread_ids}};

/* The numbers of work-items, in all and in a group, and the partition for kernels that have one. */
static void lay_out(const lx_opencl *self, const lx_launch *launch, size_t most, size_t size[3], size_t group[3],
                    lx_partition *partition)
{
    long tasks;
    for (int i = 0; i < 3; i++) {
        size[i] = group[i] = 1;
        if (launch->group[0]) {
            size[i] = (size_t)launch->size[i];
            group[i] = (size_t)launch->group[i];
        }
    }
    if (launch->group[0])
        return;
    const bool alone = self->units == 1 || launch->work < PARALLEL_FROM;
    *partition = lx_partition_ids(launch->size, launch->work, alone ? 1 : (long)self->units * LX_TASKS_PER_THREAD,
                                  &tasks);
    forms[self->device.form].spread(launch, most, tasks, size, group);
}

static lx_code opencl_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    size_t size[3], group[3];
    lx_partition partition;
    cl_event event = NULL;
    if (launch->size[0] <= 0 || launch->size[1] <= 0 || launch->size[2] <= 0)
        return LX_OK;
    if (lx_opencl_check_usable(self, error))
        return error->code;
    pthread_mutex_lock(&self->lock);
    lx_opencl_kernel *kernel = lx_opencl_find_kernel(&self->programs, launch->kernel, &launch->options, error);
    cl_int status = CL_SUCCESS;
    if (kernel) {
        lay_out(self, launch, kernel->most, size, group, &partition);
        status = set_arguments(self, kernel->handle, launch, launch->group[0] ? NULL : &partition);
        if (status == CL_SUCCESS)
            status = self->api.clEnqueueNDRangeKernel(self->queue, kernel->handle, 3, NULL, size, group, 0, NULL,
                                                      device->profile ? &event : NULL);
    }
    pthread_mutex_unlock(&self->lock);
    if (status != CL_SUCCESS)
        return lx_opencl_fail(self, error, launch->kernel->name, status);
    if (event)
        lx_opencl_watch_event(self, event, launch->kernel->name, launch->work, launch->bytes);
    return error->code;
}

static lx_code opencl_finish(lx_device *device, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    if (lx_opencl_check_usable(self, error))
        return error->code;
    atomic_fetch_add(&device->waits, 1);
    const cl_int status = self->api.clFinish(self->queue);
    return status == CL_SUCCESS ? LX_OK : lx_opencl_fail(self, error, "cannot finish", status);
}

static int opencl_threads(lx_device *device, int set)
{
    (void)set; /* the driver decides */
    return ((lx_opencl *)device)->units;
}

/* Notes the times of what was watched. The device's clock is brought to ours by the end of the last event. */
static void note_watched(lx_opencl *self, lx_profile *profile)
{
    cl_ulong start, end, last = 0;
    for (size_t i = 0; i < self->watched_count; i++)
        if (self->api.clGetEventProfilingInfo(self->watched[i].event, CL_PROFILING_COMMAND_END, sizeof end, &end,
                                              NULL) == CL_SUCCESS &&
            end > last)
            last = end;
    const double now = lx_now();
    for (size_t i = 0; i < self->watched_count; i++) {
        const lx_opencl_watched *w = &self->watched[i];
        const cl_event event = w->event;
        if (self->api.clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) ==
                CL_SUCCESS &&
            self->api.clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS)
            lx_profile_add(profile, w->name, now - (double)(last - start) * 1e-9, (double)(end - start) * 1e-9, w->work,
                           w->bytes);
        self->api.clReleaseEvent(event);
    }
    free(self->watched);
    self->watched = NULL;
    self->watched_count = self->watched_room = 0;
}

static lx_code opencl_watch(lx_device *device, lx_profile *profile, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    if (!lx_opencl_is_here(self)) {
        device->profile = NULL;
        return profile ? check_here(self, error) : LX_OK;
    }
    const cl_int finished = self->api.clFinish(self->queue);
    if (device->profile)
        note_watched(self, device->profile);
    device->profile = profile;
    if (finished != CL_SUCCESS)
        return lx_opencl_fail(self, error, "cannot finish", finished);
    const cl_int status = open_queue(self);
    return status == CL_SUCCESS ? LX_OK : lx_opencl_fail(self, error, "cannot make a queue", status);
}

/* ---- opening and closing ------------------------------------------------------------------------------------- */

static void leave_driver(lx_opencl *self)
{
    if (self->queue)
        opencl_trim(&self->device);
    lx_opencl_free_programs(&self->programs);
    if (self->queue)
        self->api.clReleaseCommandQueue(self->queue);
    if (self->context)
        self->api.clReleaseContext(self->context);
    lx_opencl_unload(&self->api);
}

static void opencl_close(lx_device *device)
{
    lx_opencl *self = (lx_opencl *)device;
    if (lx_opencl_is_here(self))
        leave_driver(self);
    lx_tuning_free(&device->tuning);
    lx_blocks_close(&self->cache);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct lx_runtime opencl_runtime = {
    "opencl",      opencl_allocate, opencl_release, opencl_trim,  opencl_read,  opencl_write,
    opencl_launch, opencl_finish,   opencl_threads, opencl_watch, opencl_close,
};

lx_opencl *lx_opencl_of(lx_device *device)
{
    return device->runtime == &opencl_runtime ? (lx_opencl *)device : NULL;
}

static bool left_behind(lx_device *device)
{
    const lx_opencl *self = lx_opencl_of(device);
    return self && !lx_opencl_is_here(self);
}

/* GPUs take the SIMT form and blocks of four channels, processors the tile form and blocks as wide as their vectors.
 * LUXEL_OPENCL_FORM=simt|tile says otherwise, for tests. */
static void choose_form(lx_device *device, const lx_device_info *info)
{
    const char *wanted = getenv("LUXEL_OPENCL_FORM");
    device->form = strcmp(info->type, "cpu") == 0 ? LX_TILE : LX_SIMT;
    for (int form = 0; wanted && form < LX_FORMS; form++)
        if (strcmp(wanted, lx_form_names[form]) == 0)
            device->form = (lx_form)form;
    device->lanes = forms[device->form].most_lanes;
    while (device->lanes > LEAST_LANES && device->lanes > info->lanes)
        device->lanes /= 2;
}

static lx_hash identify(const lx_device_info *info)
{
    lx_hash hash = lx_hash_start();
    lx_hash_add(&hash, info->platform, strlen(info->platform));
    lx_hash_add(&hash, info->name, strlen(info->name));
    lx_hash_add(&hash, info->driver, strlen(info->driver));
    lx_hash_add(&hash, info->version, strlen(info->version));
    return hash;
}

/* Whether programs of the device are kept on disk. PoCL has such a cache itself, and to give out a program it compiles
 * every kernel of it once more: it does that only where a folder was asked for. */
static bool keeps_programs(const lx_device_info *info)
{
    const char *folder = getenv("LUXEL_CACHE_DIR");
    return strcmp(info->platform, "Portable Computing Language") != 0 || (folder && *folder);
}

/* What the choice among kernels for GPUs starts from until it is measured (lx.tune). A unit is a multiprocessor at
 * NVIDIA, a compute unit at AMD and an execution unit at Intel, which is much smaller. */
static lx_gpu classify(const lx_device_info *info)
{
    static const struct {
        const char *vendor;
        int items_of_unit, registers;
    } classes[] = {{"NVIDIA", 1024, 128}, {"Advanced Micro Devices", 1024, 128}, {"Intel", 112, 64}, {"", 256, 128}};
    /* a processor only stands for a GPU in tests, the same one whoever made it */
    const bool stands_in = strcmp(info->type, "cpu") == 0;
    const char *vendor = stands_in ? "" : info->vendor;
    const int units = stands_in ? 64 : info->units;
    int class = 0;
    while (!strstr(vendor, classes[class].vendor))
        class ++;
    return (lx_gpu){.local_memory = info->local,
                    .most_group = info->most_group,
                    .registers = classes[class].registers,
                    .busy_items = (long)classes[class].items_of_unit * (units > 0 ? units : 1)};
}

static void take_info(lx_opencl *self, const lx_device_info *info)
{
    lx_device *device = &self->device;
    memcpy(device->label, info->label, sizeof device->label);
    memcpy(device->name, info->name, sizeof device->name);
    choose_form(device, info);
    device->gpu = classify(info);
    self->largest = info->largest;
    self->units = info->units > 0 ? info->units : 1;
    self->shares_memory = info->shares_memory;
    self->checking = getenv("LUXEL_OPENCL_CHECK") != NULL;
    if (info->memory)
        device->budget = info->memory;
    const lx_hash identity = identify(info);
    snprintf(device->tuning_file, sizeof device->tuning_file, "%016" PRIx64 ".tuning", identity.words[0]);
    lx_tuning_load(device);
}

static lx_code start(lx_opencl *self, int index, lx_error *error)
{
    cl_platform_id platforms[LX_OPENCL_MOST];
    cl_device_id devices[LX_OPENCL_MOST];
    lx_device_info info;
    cl_int status = CL_SUCCESS;
    if (lx_opencl_load(&self->api, error))
        return error->code;
    const int count = lx_opencl_find(&self->api, platforms, devices, error);
    if (count == 0)
        return error->code;
    if (index < 0 || index >= count)
        return lx_fail(error, LX_EDEVICE, "there is no OpenCL device %d here", index + 1);
    lx_opencl_describe(&self->api, platforms[index], devices[index], index, &info);
    take_info(self, &info);
    self->id = devices[index];
    self->context = self->api.clCreateContext(NULL, 1, &self->id, NULL, NULL, &status);
    if (!self->context)
        return lx_opencl_fail(self, error, "cannot make a context", status);
    status = open_queue(self);
    if (status != CL_SUCCESS)
        return lx_opencl_fail(self, error, "cannot make a queue", status);
    self->programs = (lx_opencl_programs){&self->api,      &self->device, self->context,         self->id,
                                          identify(&info), NULL,          keeps_programs(&info), false};
    return LX_OK;
}

static lx_device *open_device(int index, lx_error *error)
{
    lx_opencl *self = calloc(1, sizeof *self);
    if (!self) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    self->device.runtime = &opencl_runtime;
    self->forks = lx_forks();
    self->device.limit = self->device.budget = SIZE_MAX;
    atomic_init(&self->device.references, 1);
    lx_blocks_open(&self->cache);
    pthread_mutexattr_t recursive; /* a notice may be answered by more work on the device */
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&self->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    if (start(self, index, error)) {
        opencl_close(&self->device);
        return NULL;
    }
    return &self->device;
}

const lx_backend lx_opencl_backend = {"opencl", lx_opencl_gpu_possible, lx_opencl_list, open_device, left_behind};
