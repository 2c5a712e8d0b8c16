/* The kinds of devices beside the cpu, which is always there: each a folder with a row in backends.c. */
#ifndef LX_BACKENDS_H
#define LX_BACKENDS_H

#include "device.h"

typedef struct lx_backend lx_backend;

/* What a driver says of a device. The first two are for who opens it. */
typedef struct {
    const lx_backend *backend;
    int index;      /* among those of the backend */
    char label[32]; /* "opencl:1": the kind, and a number from 1 */
    char platform[128], vendor[64], name[128], driver[128], version[128];
    const char *type;              /* "gpu", "cpu", "accelerator" */
    size_t memory, largest, local; /* bytes: in all, in one buffer, of local memory of a work-group */
    int units, lanes, most_group;  /* compute units; floats in a native vector; work-items of a work-group */
    bool fp16, shares_memory;      /* computes with half floats; uses the host's memory */
} lx_device_info;

struct lx_backend {
    const char *kind; /* "opencl": that of the runtime, and what selects the best of its devices */
    /* False where no driver can have a GPU, which takes no time to tell while loading drivers takes long. */
    bool (*gpu_possible)(void);
    /* Describes up to `room` devices and returns how many there are; where there is none, the error says why. */
    int (*list)(lx_device_info *list, int room, lx_error *error);
    /* Opens the device at `index` of the list; NULL and an error if that fails. */
    lx_device *(*open)(int index, lx_error *error);
    /* Whether it is one of its devices that was opened before this process was forked off, and is of no use in it. */
    bool (*left_behind)(lx_device *device);
};

/* The devices of all backends, in the order of these. */
int lx_backends_list(lx_device_info *list, int room, lx_error *error);

/* The device that a name selects among `count`: "auto" the best GPU, a kind the best of it, "opencl:2" the second, or a
 * part of a device's or platform's name. -1 if there is none. */
int lx_backends_select(const lx_device_info *list, int count, const char *name);

/* Whether a name is a kind or a label of one, whether or not there is such a device. */
bool lx_backends_name(const char *name);
bool lx_backends_gpu_possible(void);
bool lx_backends_left_behind(lx_device *device);

#endif
