/* Programs and kernels of one OpenCL device: built when first used, and kept on disk for the next process. */
#ifndef LX_OPENCL_PROGRAMS_H
#define LX_OPENCL_PROGRAMS_H

#include "../../base/cache.h"
#include "../device.h"
#include "api.h"

typedef struct lx_opencl_kernel lx_opencl_kernel;

typedef struct {
    const lx_opencl_api *api;
    lx_device *device;
    cl_context context;
    cl_device_id id;
    lx_hash identity; /* of device, driver and platform */
    lx_opencl_kernel *kernels;
    bool stored;  /* whether programs are kept on disk */
    bool noticed; /* the person was told that something compiles */
} lx_opencl_programs;

struct lx_opencl_kernel {
    lx_opencl_kernel *next;
    const lx_kernel *kernel;
    lx_build_options options;
    cl_program program;
    cl_kernel handle;
    size_t most; /* work-items of a group */
};

/* The kernel, built for the options; NULL and an error, with the compiler's log, if that fails. */
lx_opencl_kernel *lx_opencl_find_kernel(lx_opencl_programs *programs, const lx_kernel *kernel,
                                        const lx_build_options *options, lx_error *error);

/* A program from any source, from disk if it is there; `name` is for messages. */
cl_program lx_opencl_build(lx_opencl_programs *programs, const char *name, const char *source, const char *options,
                           lx_error *error);

void lx_opencl_free_programs(lx_opencl_programs *programs);

#endif
