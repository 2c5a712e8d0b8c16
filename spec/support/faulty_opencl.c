/* Stands between Luxel and an OpenCL library (LUXEL_OPENCL_LIBRARY=path of this) and fails as devices and drivers do.
 * It is linked with that library, where every function goes that is not here. The environment says what fails:
 *
 *   FAULTY_PLATFORMS=0, FAULTY_DEVICES=0   there are none
 *   FAULTY_LAUNCH=N    the N-th launch fails, counted over all queues, with FAULTY_STATUS (default: out of resources)
 *   FAULTY_LOST=1      all launches after it fail too, and so does all else on its queue; a new queue can still read
 *   FAULTY_SILENT=1    these launches are taken and never run: the failure shows where the queue is next waited for
 *   FAULTY_MEMORY=N    there are N bytes of memory for buffers
 *   FAULTY_BUILD=text  no program builds, and the compiler's log is the text
 *   FAULTY_BINARY=1    no binary is taken
 *   FAULTY_ARGUMENTS=1 the driver does not tell what arguments kernels have
 *   FAULTY_LANES=N     floats in a native vector
 *   FAULTY_LARGEST=N   bytes that one buffer may have
 *   FAULTY_LAUNCHES=path  where each launch is noted: kernel, work-items, groups, the options it was compiled with
 *   FAULTY_COUNTS=path where counts of calls are written when the process ends: launches, sources, binaries; and
 *                      what is left then: bytes allocated, kernels, programs
 */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same function of the library behind. */
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static atomic_long launches, sources, binaries, allocated, kernels, programs;
static cl_command_queue lost;

static long told(const char *name, long absent)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : absent;
}

__attribute__((destructor)) static void write_counts(void)
{
    const char *path = getenv("FAULTY_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "launches=%ld sources=%ld binaries=%ld allocated=%ld kernels=%ld programs=%ld\n", launches, sources,
            binaries, allocated, kernels, programs);
    fclose(file);
}

/* ---- platforms and devices ----------------------------------------------------------------------------------- */

cl_int clGetPlatformIDs(cl_uint room, cl_platform_id *platforms, cl_uint *count)
{
    if (told("FAULTY_PLATFORMS", 1) != 0)
        return REAL(clGetPlatformIDs)(room, platforms, count);
    if (count)
        *count = 0;
    return -1001; /* what loaders say where there is no driver */
}

cl_int clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *devices, cl_uint *count)
{
    if (told("FAULTY_DEVICES", 1) != 0)
        return REAL(clGetDeviceIDs)(platform, type, room, devices, count);
    if (count)
        *count = 0;
    return CL_DEVICE_NOT_FOUND;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t room, void *value, size_t *size)
{
    const cl_uint lanes = (cl_uint)told("FAULTY_LANES", 0);
    const cl_int status = REAL(clGetDeviceInfo)(device, what, room, value, size);
    const cl_ulong largest = (cl_ulong)told("FAULTY_LARGEST", 0);
    if (lanes && what == CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT && value && room >= sizeof lanes)
        memcpy(value, &lanes, sizeof lanes);
    if (largest && what == CL_DEVICE_MAX_MEM_ALLOC_SIZE && value && room >= sizeof largest)
        memcpy(value, &largest, sizeof largest);
    return status;
}

/* ---- a device that is lost ----------------------------------------------------------------------------------- */

static cl_int failure(void)
{
    return (cl_int)told("FAULTY_STATUS", CL_OUT_OF_RESOURCES);
}

static void note_launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *size,
                        const size_t *group)
{
    const char *path = getenv("FAULTY_LAUNCHES");
    FILE *file = path ? fopen(path, "a") : NULL;
    char name[128] = "", options[1024] = "";
    cl_program program = NULL;
    cl_device_id device = NULL;
    size_t items = 1, groups = 1;
    if (!file)
        return;
    REAL(clGetKernelInfo)(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL);
    REAL(clGetKernelInfo)(kernel, CL_KERNEL_PROGRAM, sizeof program, &program, NULL);
    REAL(clGetCommandQueueInfo)(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    REAL(clGetProgramBuildInfo)(program, device, CL_PROGRAM_BUILD_OPTIONS, sizeof options, options, NULL);
    for (cl_uint i = 0; i < dimensions; i++) {
        items *= size[i];
        groups *= group ? size[i] / group[i] : 1;
    }
    fprintf(file, "%s\t%zu\t%zu\t%s\n", name, items, groups, options);
    fclose(file);
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                              const size_t *size, const size_t *group, cl_uint waits, const cl_event *wait,
                              cl_event *event)
{
    const long number = atomic_fetch_add(&launches, 1) + 1, first = told("FAULTY_LAUNCH", 0);
    const int stays = (int)told("FAULTY_LOST", 0), silent = (int)told("FAULTY_SILENT", 0);
    note_launch(queue, kernel, dimensions, size, group);
    if (!first || number < first || (number > first && !stays))
        return REAL(clEnqueueNDRangeKernel)(queue, kernel, dimensions, offset, size, group, waits, wait, event);
    if (number == first) {
        REAL(clFinish)(queue); /* what was launched before has run */
        lost = stays ? queue : NULL;
    }
    return silent && queue == lost ? CL_SUCCESS : failure();
}

cl_command_queue clCreateCommandQueue(cl_context context, cl_device_id device, cl_command_queue_properties properties,
                                      cl_int *status)
{
    cl_command_queue queue = REAL(clCreateCommandQueue)(context, device, properties, status);
    if (queue == lost) /* at the address of the lost one, which was released */
        lost = NULL;
    return queue;
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                           void *to, cl_uint waits, const cl_event *wait, cl_event *event)
{
    if (lost && queue == lost)
        return failure();
    return REAL(clEnqueueReadBuffer)(queue, buffer, blocking, offset, size, to, waits, wait, event);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                            const void *from, cl_uint waits, const cl_event *wait, cl_event *event)
{
    if (lost && queue == lost)
        return failure();
    return REAL(clEnqueueWriteBuffer)(queue, buffer, blocking, offset, size, from, waits, wait, event);
}

void *clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset,
                         size_t size, cl_uint waits, const cl_event *wait, cl_event *event, cl_int *status)
{
    if (!lost || queue != lost)
        return REAL(clEnqueueMapBuffer)(queue, buffer, blocking, flags, offset, size, waits, wait, event, status);
    if (status)
        *status = failure();
    return NULL;
}

cl_int clEnqueueMigrateMemObjects(cl_command_queue queue, cl_uint count, const cl_mem *buffers,
                                  cl_mem_migration_flags flags, cl_uint waits, const cl_event *wait, cl_event *event)
{
    if (lost && queue == lost)
        return failure();
    return REAL(clEnqueueMigrateMemObjects)(queue, count, buffers, flags, waits, wait, event);
}

cl_int clFinish(cl_command_queue queue)
{
    return lost && queue == lost ? failure() : REAL(clFinish)(queue);
}

cl_int clFlush(cl_command_queue queue)
{
    return lost && queue == lost ? failure() : REAL(clFlush)(queue);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void CL_CALLBACK forget(cl_mem buffer, void *size)
{
    (void)buffer;
    atomic_fetch_sub(&allocated, (long)size);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *status)
{
    const long most = told("FAULTY_MEMORY", 0);
    if (most && allocated + (long)size > most) {
        if (status)
            *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    cl_mem buffer = REAL(clCreateBuffer)(context, flags, size, host, status);
    if (buffer && REAL(clSetMemObjectDestructorCallback)(buffer, forget, (void *)size) == CL_SUCCESS)
        atomic_fetch_add(&allocated, (long)size);
    return buffer;
}

/* ---- programs ------------------------------------------------------------------------------------------------ */

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **strings, const size_t *lengths,
                                     cl_int *status)
{
    cl_program program = REAL(clCreateProgramWithSource)(context, count, strings, lengths, status);
    atomic_fetch_add(&sources, 1);
    atomic_fetch_add(&programs, program != NULL);
    return program;
}

cl_program clCreateProgramWithBinary(cl_context context, cl_uint count, const cl_device_id *devices,
                                     const size_t *lengths, const unsigned char **bytes, cl_int *each, cl_int *status)
{
    if (!told("FAULTY_BINARY", 0)) {
        cl_program program = REAL(clCreateProgramWithBinary)(context, count, devices, lengths, bytes, each, status);
        atomic_fetch_add(&binaries, 1);
        atomic_fetch_add(&programs, program != NULL);
        return program;
    }
    if (status)
        *status = CL_INVALID_BINARY;
    return NULL;
}

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
                      void(CL_CALLBACK *done)(cl_program, void *), void *data)
{
    if (getenv("FAULTY_BUILD"))
        return CL_BUILD_PROGRAM_FAILURE;
    return REAL(clBuildProgram)(program, count, devices, options, done, data);
}

cl_int clGetProgramBuildInfo(cl_program program, cl_device_id device, cl_program_build_info what, size_t room,
                             void *value, size_t *size)
{
    const char *log = getenv("FAULTY_BUILD");
    if (!log || what != CL_PROGRAM_BUILD_LOG)
        return REAL(clGetProgramBuildInfo)(program, device, what, room, value, size);
    if (size)
        *size = strlen(log) + 1;
    if (value && room > strlen(log))
        memcpy(value, log, strlen(log) + 1);
    return CL_SUCCESS;
}

cl_int clRetainProgram(cl_program program)
{
    atomic_fetch_add(&programs, 1);
    return REAL(clRetainProgram)(program);
}

cl_int clReleaseProgram(cl_program program)
{
    atomic_fetch_sub(&programs, 1);
    return REAL(clReleaseProgram)(program);
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *status)
{
    cl_kernel kernel = REAL(clCreateKernel)(program, name, status);
    atomic_fetch_add(&kernels, kernel != NULL);
    return kernel;
}

cl_int clReleaseKernel(cl_kernel kernel)
{
    atomic_fetch_sub(&kernels, 1);
    return REAL(clReleaseKernel)(kernel);
}

cl_int clGetKernelArgInfo(cl_kernel kernel, cl_uint index, cl_kernel_arg_info what, size_t room, void *value,
                          size_t *size)
{
    if (told("FAULTY_ARGUMENTS", 0))
        return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
    return REAL(clGetKernelArgInfo)(kernel, index, what, room, value, size);
}
