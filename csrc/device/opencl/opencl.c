/* An OpenCL device: buffers, programs built when first used, and an in-order queue. Storage handles are cl_mem. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../device.h"
#include "api.h"
#include "sources.h"

/* A kernel that was built; the programs hang on theirs. */
typedef struct compiled {
    struct compiled *next;
    const lx_kernel *kernel;
    cl_kernel handle;
} compiled;

typedef struct program {
    struct program *next;
    const char *name;
    cl_program handle;
} program;

typedef struct {
    lx_device device;
    lx_opencl_api api;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    program *programs;
    compiled *kernels;
    cl_ulong largest;     /* bytes that one buffer may have */
    pthread_mutex_t lock; /* guards the lists and the arguments of kernels */
} lx_opencl;

enum { HEAVY = 64 }; /* operations of a work-item from which on it is a work-group of its own */

static lx_code fail(lx_error *error, const char *what, cl_int status)
{
    const lx_code code = status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_HOST_MEMORY ? LX_ENOMEM
                                                                                                       : LX_EDEVICE;
    return lx_fail(error, code, "opencl: %s: %s (%d)", what, lx_opencl_message(status), (int)status);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static lx_code opencl_allocate(lx_device *device, size_t bytes, void **handle, size_t *capacity, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    cl_int status = CL_SUCCESS;
    if (bytes > self->largest)
        return lx_fail(error, LX_ENOMEM, "out of memory: a buffer on %s has at most %.1f MiB, asked for %.1f MiB",
                       device->name, (double)self->largest / 1048576.0, (double)bytes / 1048576.0);
    *capacity = (bytes + 63) / 64 * 64;
    *handle = self->api.clCreateBuffer(self->context, CL_MEM_READ_WRITE, *capacity, NULL, &status);
    return status == CL_SUCCESS ? LX_OK : fail(error, "cannot allocate", status);
}

static void opencl_release(lx_device *device, void *handle, size_t capacity)
{
    (void)capacity;
    ((lx_opencl *)device)->api.clReleaseMemObject(handle);
}

static void opencl_trim(lx_device *device)
{
    (void)device; /* nothing is cached */
}

static lx_code opencl_read(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)from->device;
    if (bytes == 0)
        return LX_OK;
    const cl_int status =
        self->api.clEnqueueReadBuffer(self->queue, from->handle, CL_TRUE, offset, bytes, to, 0, NULL, NULL);
    return status == CL_SUCCESS ? LX_OK : fail(error, "cannot read from the device", status);
}

static lx_code opencl_write(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)to->device;
    if (bytes == 0)
        return LX_OK;
    const cl_int status =
        self->api.clEnqueueWriteBuffer(self->queue, to->handle, CL_TRUE, offset, bytes, from, 0, NULL, NULL);
    return status == CL_SUCCESS ? LX_OK : fail(error, "cannot write to the device", status);
}

/* ---- kernels ------------------------------------------------------------------------------------------------- */

/* Builds a program; where that fails, the end of the driver's log is the error. */
static lx_code build(lx_opencl *self, cl_program handle, const char *name, lx_error *error)
{
    char options[64], *log = NULL;
    size_t length = 0;
    snprintf(options, sizeof options, "-cl-std=CL1.2 -DLANES=%d", self->device.lanes);
    const cl_int status = self->api.clBuildProgram(handle, 1, &self->id, options, NULL, NULL);
    if (status == CL_SUCCESS)
        return LX_OK;
    self->api.clGetProgramBuildInfo(handle, self->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &length);
    if (length)
        log = calloc(length + 1, 1);
    if (log)
        self->api.clGetProgramBuildInfo(handle, self->id, CL_PROGRAM_BUILD_LOG, length, log, NULL);
    lx_fail(error, LX_EDEVICE, "opencl: kernels/%s.cl does not build on %s (%d): %.380s", name, self->device.name,
            (int)status, log ? log : "no log");
    free(log);
    return error->code;
}

static cl_program find_program(lx_opencl *self, const char *name, lx_error *error)
{
    for (program *p = self->programs; p; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p->handle;
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    cl_program handle = NULL;
    program *made = calloc(1, sizeof *made);
    char *source = lx_opencl_source(name);
    if (made && source)
        handle = self->api.clCreateProgramWithSource(self->context, 1, (const char **)&source, NULL, &status);
    free(source);
    if (!handle) {
        fail(error, name, status);
    } else if (!build(self, handle, name, error)) {
        *made = (program){self->programs, name, handle};
        self->programs = made;
        return handle;
    } else {
        self->api.clReleaseProgram(handle);
    }
    free(made);
    return NULL;
}

static cl_kernel find_kernel(lx_opencl *self, const lx_kernel *kernel, lx_error *error)
{
    for (compiled *k = self->kernels; k; k = k->next)
        if (k->kernel == kernel || strcmp(k->kernel->name, kernel->name) == 0)
            return k->handle;
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    cl_program from = find_program(self, kernel->program, error);
    if (!from)
        return NULL;
    compiled *made = calloc(1, sizeof *made);
    cl_kernel handle = made ? self->api.clCreateKernel(from, kernel->name, &status) : NULL;
    if (!handle) {
        free(made);
        fail(error, kernel->name, status);
        return NULL;
    }
    *made = (compiled){self->kernels, kernel, handle};
    self->kernels = made;
    return handle;
}

/* Each buffer, followed by its offset in bytes; the parameters last. */
static cl_int set_arguments(lx_opencl *self, cl_kernel kernel, const lx_launch *launch)
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
        status = self->api.clSetKernelArg(kernel, index, launch->params_size, launch->params);
    return status;
}

static lx_code opencl_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    static const size_t alone[3] = {1, 1, 1};
    if (launch->size[0] <= 0 || launch->size[1] <= 0 || launch->size[2] <= 0)
        return LX_OK;
    const size_t size[3] = {(size_t)launch->size[0], (size_t)launch->size[1], (size_t)launch->size[2]};
    const double items = (double)size[0] * (double)size[1] * (double)size[2];
    pthread_mutex_lock(&self->lock);
    cl_kernel kernel = find_kernel(self, launch->kernel, error);
    cl_int status = CL_SUCCESS;
    if (kernel) {
        status = set_arguments(self, kernel, launch);
        if (status == CL_SUCCESS)
            status = self->api.clEnqueueNDRangeKernel(self->queue, kernel, 3, NULL, size,
                                                      launch->work / items > HEAVY ? alone : NULL, 0, NULL, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    if (status != CL_SUCCESS)
        return fail(error, launch->kernel->name, status);
    return error->code;
}

static lx_code opencl_finish(lx_device *device, lx_error *error)
{
    lx_opencl *self = (lx_opencl *)device;
    const cl_int status = self->api.clFinish(self->queue);
    return status == CL_SUCCESS ? LX_OK : fail(error, "cannot finish", status);
}

static int opencl_threads(lx_device *device, int set)
{
    cl_uint units = 0;
    lx_opencl *self = (lx_opencl *)device;
    (void)set; /* the driver decides */
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    return (int)units;
}

/* ---- opening and closing ------------------------------------------------------------------------------------- */

static void opencl_close(lx_device *device)
{
    lx_opencl *self = (lx_opencl *)device;
    for (compiled *k = self->kernels, *next; k; k = next) {
        next = k->next;
        self->api.clReleaseKernel(k->handle);
        free(k);
    }
    for (program *p = self->programs, *next; p; p = next) {
        next = p->next;
        self->api.clReleaseProgram(p->handle);
        free(p);
    }
    if (self->queue) {
        self->api.clFinish(self->queue);
        self->api.clReleaseCommandQueue(self->queue);
    }
    if (self->context)
        self->api.clReleaseContext(self->context);
    lx_opencl_unload(&self->api);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct lx_runtime opencl_runtime = {
    "opencl",    opencl_allocate, opencl_release, opencl_trim,    opencl_read,
    opencl_write, opencl_launch,  opencl_finish,  opencl_threads, opencl_close,
};

/* The device at `index`, counted over all platforms. */
static cl_device_id find_device(lx_opencl *self, int index)
{
    cl_platform_id platforms[16];
    cl_uint platform_count = 0;
    if (self->api.clGetPlatformIDs(16, platforms, &platform_count) != CL_SUCCESS)
        return NULL;
    for (cl_uint p = 0; p < platform_count && p < 16; p++) {
        cl_device_id ids[16];
        cl_uint count = 0;
        if (self->api.clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 16, ids, &count) != CL_SUCCESS)
            continue;
        if (index < (int)count)
            return ids[index];
        index -= (int)count;
    }
    return NULL;
}

/* The widest vector that the device computes with at once, among those that kernels are written for. */
static int choose_lanes(lx_opencl *self)
{
    cl_uint width = 0;
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof width, &width, NULL);
    return width >= 16 ? 16 : width >= 8 ? 8 : 4;
}

static lx_code start(lx_opencl *self, int index, lx_error *error)
{
    cl_int status = CL_SUCCESS;
    if (lx_opencl_load(&self->api, error))
        return error->code;
    self->id = find_device(self, index);
    if (!self->id)
        return lx_fail(error, LX_EDEVICE, "there is no OpenCL device %d here", index);
    self->context = self->api.clCreateContext(NULL, 1, &self->id, NULL, NULL, &status);
    if (!self->context)
        return fail(error, "cannot make a context", status);
    self->queue = self->api.clCreateCommandQueue(self->context, self->id, 0, &status);
    if (!self->queue)
        return fail(error, "cannot make a queue", status);
    self->device.lanes = choose_lanes(self);
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof self->largest, &self->largest, NULL);
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_NAME, sizeof self->device.name - 1, self->device.name, NULL);
    return LX_OK;
}

lx_device *lx_opencl_open(int index, lx_error *error)
{
    lx_opencl *self = calloc(1, sizeof *self);
    if (!self) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    self->device.runtime = &opencl_runtime;
    self->device.limit = SIZE_MAX;
    atomic_init(&self->device.references, 1);
    pthread_mutex_init(&self->lock, NULL);
    if (start(self, index, error)) {
        opencl_close(&self->device);
        return NULL;
    }
    return &self->device;
}
