#include "api.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../../base/fork.h"

/* A fact of the process, as csrc/base/fork.c has another: 1 + lx_forks() when drivers were first loaded; 0: never. */
static atomic_uint begun;

lx_code lx_opencl_load(lx_opencl_api *api, lx_error *error)
{
    unsigned before = 0;
    if (!atomic_compare_exchange_strong(&begun, &before, 1 + lx_forks()) && before != 1 + lx_forks())
        return lx_fail(error, LX_EDEVICE,
                       "OpenCL was used before this process was forked off, and cannot be used in it; first "
                       "use it after the fork, or go on with cpu");
    const char *other = getenv("LUXEL_OPENCL_LIBRARY");
    /* once loaded it stays: drivers have threads and do not all bear to be unloaded */
    api->library = dlopen(other ? other : "libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!api->library)
        return lx_fail(error, LX_EDEVICE,
                       "there is no OpenCL here: %s (Debian: apt-get install ocl-icd-libopencl1 and the "
                       "driver of your device, or pocl-opencl-icd for processors)",
                       dlerror());
#define LX_FIND(name)                                                                 \
    *(void **)&api->name = dlsym(api->library, #name);                                \
    if (!api->name) {                                                                 \
        lx_opencl_unload(api);                                                        \
        return lx_fail(error, LX_EDEVICE, "the OpenCL library here lacks %s", #name); \
    }
    LX_OPENCL_FUNCTIONS(LX_FIND)
#undef LX_FIND
    return LX_OK;
}

void lx_opencl_unload(lx_opencl_api *api)
{
    if (api->library)
        dlclose(api->library);
    api->library = NULL;
}

const char *lx_opencl_message(cl_int status)
{
    switch (status) {
    case CL_DEVICE_NOT_AVAILABLE: return "the device is not available";
    case CL_MEM_OBJECT_ALLOCATION_FAILURE: return "the device has no memory for it";
    case CL_OUT_OF_RESOURCES: return "out of resources";
    case CL_OUT_OF_HOST_MEMORY: return "out of host memory";
    case CL_BUILD_PROGRAM_FAILURE: return "the program does not build";
    case CL_INVALID_KERNEL_NAME: return "there is no kernel of that name";
    case CL_INVALID_KERNEL_ARGS: return "arguments are missing";
    case CL_INVALID_ARG_SIZE: return "an argument has the wrong size";
    case CL_INVALID_WORK_GROUP_SIZE: return "the work-group size does not fit";
    case CL_INVALID_WORK_ITEM_SIZE: return "the work-group size does not fit";
    case CL_INVALID_COMMAND_QUEUE: return "the queue is broken";
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST: return "a kernel before it failed";
    case CL_INVALID_BUFFER_SIZE: return "the buffer is larger than the device allows";
    default: return "error";
    }
}
