/* OpenCL devices: which there are, and opening one. */
#ifndef LX_OPENCL_H
#define LX_OPENCL_H

#include "../backends.h"

int lx_opencl_list(lx_device_info *list, int room, lx_error *error);
bool lx_opencl_gpu_possible(void);

extern const lx_backend lx_opencl_backend;

#endif
