/* What the files of an OpenCL device share: the device itself, how it reports errors and what it watches. */
#ifndef LX_OPENCL_INTERNAL_H
#define LX_OPENCL_INTERNAL_H

#include <pthread.h>

#include "../blocks.h"
#include "../device.h"
#include "api.h"
#include "programs.h"

/* A launch that is watched: its event tells the time once it is done. */
typedef struct {
    cl_event event;
    char name[sizeof((lx_profile_entry *)0)->name];
    double work, bytes;
} lx_opencl_watched;

typedef struct {
    lx_device device;
    lx_opencl_api api;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    lx_opencl_programs programs;
    lx_block_cache cache;
    size_t largest;     /* bytes that one buffer may have */
    int units;          /* that compute at once */
    bool shares_memory; /* with the host: buffers are its memory */
    unsigned forks; /* lx_forks() when it was opened: in a process forked off since, its driver must be left alone */
    bool lost;      /* the device failed: nothing more is launched */
    bool checking;  /* buffers are as large as was asked, used once, and full of NaN at first: finds misuse */
    lx_opencl_watched *watched;
    size_t watched_count, watched_room;
    pthread_mutex_t lock; /* guards programs and the arguments of kernels */
} lx_opencl;

/* The same device, if it is an OpenCL device; else NULL. */
lx_opencl *lx_opencl_of(lx_device *device);

/* The error of a call, where `what` says for what it was made. */
lx_code lx_opencl_fail(lx_opencl *self, lx_error *error, const char *what, cl_int status);

/* Whether the driver is this process's to call. */
bool lx_opencl_is_here(const lx_opencl *self);

/* Fails where the device takes no more work: it failed before, or it belongs to the process before a fork. */
lx_code lx_opencl_check_usable(lx_opencl *self, lx_error *error);

/* Adds an event to what is watched; takes it over. Only while there is a profile. */
void lx_opencl_watch_event(lx_opencl *self, cl_event event, const char *name, double work, double bytes);

#endif
