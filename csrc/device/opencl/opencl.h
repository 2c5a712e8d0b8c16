/* OpenCL devices: which there are, and opening one. */
#ifndef LX_OPENCL_H
#define LX_OPENCL_H

#include "../device.h"

typedef struct {
    char label[32]; /* "opencl:1", counted over all platforms */
    char platform[128], vendor[64], name[128], driver[128], version[128];
    const char *type; /* "gpu", "cpu", "accelerator" */
    size_t memory, largest, local; /* bytes: in all, in one buffer, of local memory of a work-group */
    int units, lanes, most_group;  /* compute units; floats in a native vector; work-items of a work-group */
    bool fp16, shares_memory;      /* computes with half floats; uses the host's memory */
} lx_opencl_info;

/* Describes up to `room` devices and returns how many there are; where there is none, the error says why. */
int lx_opencl_list(lx_opencl_info *list, int room, lx_error *error);

/* False where no driver can have a GPU, which takes no time to tell while loading drivers takes long. */
bool lx_opencl_gpu_possible(void);

/* The device that a name selects among `count`: "opencl" the best one, "auto" the best GPU, "opencl:2" the second, or
 * a part of a device's or platform's name. -1 if there is none. */
int lx_opencl_select(const lx_opencl_info *list, int count, const char *name);

/* Opens the device at `index` of the list; NULL and an error if that fails. */
lx_device *lx_opencl_open(int index, lx_error *error);

/* Whether it is an OpenCL device that was opened before this process was forked off, and is of no use in it. */
bool lx_opencl_left_behind(lx_device *device);

#endif
