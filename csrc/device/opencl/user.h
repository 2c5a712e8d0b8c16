/* Kernels that a user wrote: built for one OpenCL device, launched on storages and plain values.
 *
 * A kernel is used by one thread at a time. It keeps its device alive.
 */
#ifndef LX_OPENCL_USER_H
#define LX_OPENCL_USER_H

#include "../device.h"

enum { LX_MAX_PARAMETERS = 64, LX_VALUE_BYTES = 128 };

/* How an argument is passed. LX_PASS_UNKNOWN: the driver does not tell, or it is something that cannot be. */
typedef enum { LX_PASS_UNKNOWN, LX_PASS_BUFFER, LX_PASS_LOCAL, LX_PASS_VALUE } lx_pass;

/* The scalar types of OpenCL C, as arguments may have them. */
typedef enum {
    LX_SCALAR_UNKNOWN,
    LX_SCALAR_CHAR,
    LX_SCALAR_UCHAR,
    LX_SCALAR_SHORT,
    LX_SCALAR_USHORT,
    LX_SCALAR_INT,
    LX_SCALAR_UINT,
    LX_SCALAR_LONG,
    LX_SCALAR_ULONG,
    LX_SCALAR_FLOAT,
    LX_SCALAR_DOUBLE,
    LX_SCALARS
} lx_scalar;

size_t lx_scalar_size(lx_scalar scalar);
const char *lx_scalar_name(lx_scalar scalar);
/* The scalar type of a name, LX_SCALAR_UNKNOWN if it is none. */
lx_scalar lx_scalar_named(const char *name);

/* A parameter as the kernel declares it. */
typedef struct {
    char name[64], type[64]; /* "y", "float4*"; empty where the driver does not tell */
    int address;             /* CL_KERNEL_ARG_ADDRESS_... */
    bool constant;           /* what it points to is not written */
    lx_pass pass;
    lx_scalar scalar; /* what it or its vectors are made of */
    int lanes;        /* of a vector: 2, 3, 4, 8, 16; else 1 */
} lx_parameter;

typedef struct {
    lx_device *device;
    char *name;
    int count;
    lx_parameter parameters[LX_MAX_PARAMETERS];
    size_t most;        /* work-items of a group */
    size_t required[3]; /* the group that the kernel is declared for; 0: any */
    size_t local;       /* bytes of local memory that it declares itself */
    void *program, *handle;
} lx_user_kernel;

/* One argument of a launch, passed as `pass` says. */
typedef struct {
    lx_pass pass;
    lx_storage *storage; /* a buffer, from this byte on */
    size_t offset;
    size_t size; /* bytes of the buffer, of local memory, or of the value */
    unsigned char value[LX_VALUE_BYTES];
} lx_user_argument;

/* Work-items along each dimension, in all and in a group (0: the driver chooses). */
typedef struct {
    int dims;
    size_t global[3], group[3];
} lx_range;

/* Builds the kernel `name` of the source; NULL and an error, with the compiler's log, if that fails. */
lx_user_kernel *lx_user_kernel_new(lx_device *device, const char *name, const char *source, const char *options,
                                   lx_error *error);
void lx_user_kernel_free(lx_user_kernel *kernel);

/* Launches it with kernel->count arguments, which the caller has checked against the parameters. `bytes` of the
 * buffers, for the profile. */
lx_code lx_user_kernel_launch(lx_user_kernel *kernel, const lx_range *range, const lx_user_argument *arguments,
                              double bytes, lx_error *error);

/* Of how many bytes offsets of buffers must be multiples; 1 where the device is no OpenCL device. */
size_t lx_opencl_alignment(lx_device *device);

/* "argument 2 ('y')", written into a buffer of LX_ARGUMENT_TEXT bytes, which is returned. `index` counts from 0. */
enum { LX_ARGUMENT_TEXT = 96 };
const char *lx_argument_text(const lx_user_kernel *kernel, int index, char *buffer);

#endif
