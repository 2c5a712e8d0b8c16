#include "platforms.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLATFORMS = 32 };

int lx_opencl_find(const lx_opencl_api *api, cl_platform_id *platforms, cl_device_id *devices, lx_error *error)
{
    cl_platform_id found[MOST_PLATFORMS];
    cl_uint platform_count = 0;
    int count = 0;
    if (api->clGetPlatformIDs(MOST_PLATFORMS, found, &platform_count) != CL_SUCCESS || platform_count == 0) {
        lx_fail(error, LX_EDEVICE,
                "the OpenCL loader is here but finds no driver (Debian: apt-get install pocl-opencl-icd "
                "for processors; NVIDIA's comes with its driver, and may need OCL_ICD_FILENAMES to "
                "name its library)");
        return 0;
    }
    for (cl_uint p = 0; p < platform_count && p < MOST_PLATFORMS; p++) {
        cl_uint added = 0;
        if (api->clGetDeviceIDs(found[p], CL_DEVICE_TYPE_ALL, (cl_uint)(LX_OPENCL_MOST - count), devices + count,
                                &added) != CL_SUCCESS)
            continue;
        for (cl_uint i = 0; i < added && count < LX_OPENCL_MOST; i++)
            platforms[count++] = found[p];
        if (count == LX_OPENCL_MOST)
            break;
    }
    if (count == 0)
        lx_fail(error, LX_EDEVICE, "OpenCL has %u platform%s here, but no device", platform_count,
                platform_count == 1 ? "" : "s");
    return count;
}

static cl_ulong number(const lx_opencl_api *api, cl_device_id device, cl_device_info what, size_t size)
{
    cl_uint small = 0;
    cl_ulong large = 0;
    api->clGetDeviceInfo(device, what, size, size == sizeof small ? (void *)&small : (void *)&large, NULL);
    return size == sizeof small ? small : large;
}

/* Drivers pad names with spaces. */
static void trim(char *text)
{
    const size_t start = strspn(text, " ");
    size_t length = strlen(text + start);
    memmove(text, text + start, length + 1);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
}

void lx_opencl_describe(const lx_opencl_api *api, cl_platform_id platform, cl_device_id device, int index,
                        lx_device_info *info)
{
    *info = (lx_device_info){.type = "accelerator"};
    snprintf(info->label, sizeof info->label, "opencl:%d", index + 1);
    api->clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof info->platform - 1, info->platform, NULL);
    api->clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof info->name - 1, info->name, NULL);
    api->clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof info->driver - 1, info->driver, NULL);
    api->clGetDeviceInfo(device, CL_DEVICE_VERSION, sizeof info->version - 1, info->version, NULL);
    api->clGetDeviceInfo(device, CL_DEVICE_VENDOR, sizeof info->vendor - 1, info->vendor, NULL);
    trim(info->name);
    const cl_ulong type = number(api, device, CL_DEVICE_TYPE, sizeof(cl_ulong));
    if (type & CL_DEVICE_TYPE_GPU)
        info->type = "gpu";
    else if (type & CL_DEVICE_TYPE_CPU)
        info->type = "cpu";
    info->memory = number(api, device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    info->largest = number(api, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    info->local = number(api, device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    info->units = (int)number(api, device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    info->most_group = (int)number(api, device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    info->lanes = (int)number(api, device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof(cl_uint));
    info->shares_memory = number(api, device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_uint)) != 0;
    info->fp16 = number(api, device, CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF, sizeof(cl_uint)) > 0;
}

int lx_opencl_list(lx_device_info *list, int room, lx_error *error)
{
    lx_opencl_api api;
    cl_platform_id platforms[LX_OPENCL_MOST];
    cl_device_id devices[LX_OPENCL_MOST];
    if (lx_opencl_load(&api, error))
        return 0;
    const int count = lx_opencl_find(&api, platforms, devices, error);
    for (int i = 0; i < count && i < room; i++)
        lx_opencl_describe(&api, platforms[i], devices[i], i, &list[i]);
    lx_opencl_unload(&api);
    return count < room ? count : room;
}

bool lx_opencl_gpu_possible(void)
{
#if defined(__linux__)
    /* Who names drivers knows better. */
    static const char *const names[] = {"LUXEL_OPENCL_LIBRARY", "OCL_ICD_FILENAMES", "OCL_ICD_VENDORS",
                                        "OPENCL_VENDOR_PATH"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return true;
    /* A driver reaches its GPU through a file like these: of most, NVIDIA's, AMD's, Windows', and of small systems. */
    glob_t found;
    const bool none = glob("/dev/{dri/*,nvidia*,kfd,dxg,mali*,kgsl*,pvr*,galcore}", GLOB_BRACE, NULL, &found) ==
                      GLOB_NOMATCH;
    globfree(&found);
    return !none;
#else
    return true;
#endif
}
