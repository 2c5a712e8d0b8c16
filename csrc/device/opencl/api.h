/* The OpenCL functions that Luxel calls, found at run time: the module loads and works where there is no OpenCL. */
#ifndef LX_OPENCL_API_H
#define LX_OPENCL_API_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "../../base/error.h"

/* clang-format off */
#define LX_OPENCL_FUNCTIONS(X) \
    X(clGetPlatformIDs) X(clGetPlatformInfo) X(clGetDeviceIDs) X(clGetDeviceInfo) X(clCreateContext) \
    X(clReleaseContext) X(clCreateCommandQueue) X(clReleaseCommandQueue) X(clCreateBuffer) X(clCreateSubBuffer) \
    X(clReleaseMemObject) X(clSetMemObjectDestructorCallback) X(clCreateProgramWithSource) X(clCreateProgramWithBinary) X(clBuildProgram) \
    X(clGetProgramInfo) X(clGetProgramBuildInfo) X(clRetainProgram) X(clReleaseProgram) X(clCreateKernel) X(clReleaseKernel) \
    X(clSetKernelArg) X(clGetKernelInfo) X(clGetKernelArgInfo) X(clGetKernelWorkGroupInfo) \
    X(clEnqueueNDRangeKernel) X(clEnqueueReadBuffer) X(clEnqueueWriteBuffer) X(clEnqueueMapBuffer) \
    X(clEnqueueUnmapMemObject) X(clEnqueueMigrateMemObjects) X(clSetEventCallback) X(clGetEventProfilingInfo) \
    X(clReleaseEvent) X(clFlush) X(clFinish)
/* clang-format on */

typedef struct {
    void *library;
#define LX_MEMBER(name) __typeof__(name) *name;
    LX_OPENCL_FUNCTIONS(LX_MEMBER)
#undef LX_MEMBER
} lx_opencl_api;

/* Opens the loader (libOpenCL, or the library that LUXEL_OPENCL_LIBRARY names) and fills the table. */
lx_code lx_opencl_load(lx_opencl_api *api, lx_error *error);
void lx_opencl_unload(lx_opencl_api *api);

/* What a status means, in words where it is a common one. */
const char *lx_opencl_message(cl_int status);

#endif
