/* Which OpenCL devices there are. */
#ifndef LX_OPENCL_PLATFORMS_H
#define LX_OPENCL_PLATFORMS_H

#include "api.h"
#include "opencl.h"

enum { LX_OPENCL_MOST = 64 }; /* devices that are looked at */

/* The devices of all platforms, in the platforms' order; returns how many. Why there are none goes to the error. */
int lx_opencl_find(const lx_opencl_api *api, cl_platform_id *platforms, cl_device_id *devices, lx_error *error);

void lx_opencl_describe(const lx_opencl_api *api, cl_platform_id platform, cl_device_id device, int index,
                        lx_device_info *info);

#endif
