#include "user.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* ---- types --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t size;
} scalars[LX_SCALARS] = {
    [LX_SCALAR_UNKNOWN] = {"", 0},    [LX_SCALAR_CHAR] = {"char", 1},     [LX_SCALAR_UCHAR] = {"uchar", 1},
    [LX_SCALAR_SHORT] = {"short", 2}, [LX_SCALAR_USHORT] = {"ushort", 2}, [LX_SCALAR_INT] = {"int", 4},
    [LX_SCALAR_UINT] = {"uint", 4},   [LX_SCALAR_LONG] = {"long", 8},     [LX_SCALAR_ULONG] = {"ulong", 8},
    [LX_SCALAR_FLOAT] = {"float", 4}, [LX_SCALAR_DOUBLE] = {"double", 8},
};

size_t lx_scalar_size(lx_scalar scalar)
{
    return scalars[scalar].size;
}

const char *lx_scalar_name(lx_scalar scalar)
{
    return scalars[scalar].name;
}

/* The scalar type that the first `length` characters of a name are. */
static lx_scalar scalar_of(const char *name, size_t length)
{
    for (int scalar = LX_SCALAR_UNKNOWN + 1; scalar < LX_SCALARS; scalar++)
        if (strlen(scalars[scalar].name) == length && memcmp(scalars[scalar].name, name, length) == 0)
            return (lx_scalar)scalar;
    return LX_SCALAR_UNKNOWN;
}

lx_scalar lx_scalar_named(const char *name)
{
    return scalar_of(name, strlen(name));
}

/* Takes "float4*" apart, and sees from it and the address space how the argument is passed. */
static void classify(lx_parameter *parameter)
{
    size_t letters = 0;
    while (isalpha((unsigned char)parameter->type[letters]))
        letters++;
    char *rest;
    const long lanes = strtol(parameter->type + letters, &rest, 10);
    const bool whole = rest == parameter->type + letters || lanes == 2 || lanes == 3 || lanes == 4 || lanes == 8 ||
                       lanes == 16;
    const bool pointer = strchr(parameter->type, '*') != NULL;
    const bool simple = whole && strcmp(rest, pointer ? "*" : "") == 0;
    parameter->scalar = simple ? scalar_of(parameter->type, letters) : LX_SCALAR_UNKNOWN;
    parameter->lanes = parameter->scalar != LX_SCALAR_UNKNOWN && lanes ? (int)lanes : 1;
    if (parameter->address == CL_KERNEL_ARG_ADDRESS_LOCAL)
        parameter->pass = LX_PASS_LOCAL;
    else if (pointer)
        parameter->pass = LX_PASS_BUFFER;
    else
        parameter->pass = parameter->scalar != LX_SCALAR_UNKNOWN ? LX_PASS_VALUE : LX_PASS_UNKNOWN;
}

/* ---- parameters ---------------------------------------------------------------------------------------------- */

static void remove_blanks(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != ' ')
            *to++ = *from;
    *to = '\0';
}

/* What the driver tells of one parameter; false if it does not. */
static bool ask_parameter(const lx_opencl_api *api, cl_kernel handle, cl_uint index, lx_parameter *parameter)
{
    cl_kernel_arg_address_qualifier address;
    cl_kernel_arg_type_qualifier qualifier;
    const struct {
        cl_kernel_arg_info what;
        size_t size;
        void *to;
    } questions[] = {{CL_KERNEL_ARG_TYPE_NAME, sizeof parameter->type, parameter->type},
                     {CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address},
                     {CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof qualifier, &qualifier},
                     {CL_KERNEL_ARG_NAME, sizeof parameter->name, parameter->name}};
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (api->clGetKernelArgInfo(handle, index, questions[i].what, questions[i].size, questions[i].to, NULL) !=
            CL_SUCCESS) {
            memset(parameter, 0, sizeof *parameter);
            return false;
        }
    remove_blanks(parameter->type);
    parameter->address = (int)address;
    parameter->constant = address == CL_KERNEL_ARG_ADDRESS_CONSTANT || (qualifier & CL_KERNEL_ARG_TYPE_CONST);
    return true;
}

/* Drivers may tell the parameters of a program only if they compiled it from source, not if it came from disk: then
 * what they told the process that stored the program is taken, which lies beside it. */
static void find_parameters(lx_opencl *self, lx_user_kernel *kernel, const char *source, const char *options)
{
    const char *texts[] = {"parameters 1", kernel->name, source, options};
    const size_t bytes = (size_t)kernel->count * sizeof *kernel->parameters;
    lx_hash key = self->programs.identity;
    bool told = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        lx_hash_add(&key, texts[i], strlen(texts[i]));
    for (int i = 0; i < kernel->count; i++)
        told = ask_parameter(&self->api, kernel->handle, (cl_uint)i, &kernel->parameters[i]) && told;
    if (told && self->programs.stored) {
        lx_cache_store(&key, kernel->parameters, bytes);
    } else if (!told) {
        size_t length = 0;
        void *stored = lx_cache_load(&key, &length);
        if (stored && length == bytes)
            memcpy(kernel->parameters, stored, bytes);
        free(stored);
    }
    for (int i = 0; i < kernel->count; i++) {
        kernel->parameters[i].name[sizeof kernel->parameters->name - 1] = '\0';
        kernel->parameters[i].type[sizeof kernel->parameters->type - 1] = '\0';
        classify(&kernel->parameters[i]);
    }
}

const char *lx_argument_text(const lx_user_kernel *kernel, int index, char *buffer)
{
    const char *name = kernel->parameters[index].name;
    snprintf(buffer, LX_ARGUMENT_TEXT, *name ? "argument %d ('%s')" : "argument %d", index + 1, name);
    return buffer;
}

/* ---- building ------------------------------------------------------------------------------------------------ */

/* The error of a name that the source does not have: says which it has. */
static lx_code fail_name(lx_opencl *self, const lx_user_kernel *kernel, cl_int status, lx_error *error)
{
    char names[512] = "";
    if (status != CL_INVALID_KERNEL_NAME)
        return lx_opencl_fail(self, error, kernel->name, status);
    self->api.clGetProgramInfo(kernel->program, CL_PROGRAM_KERNEL_NAMES, sizeof names, names, NULL);
    return lx_fail(error, LX_EARG, "%s: the source has no kernel of that name%s%s", kernel->name,
                   *names ? "; it has " : "", names);
}

/* Asks what depends on the device; what the driver does not know stays as it is. */
static void ask(const lx_opencl *self, const lx_user_kernel *kernel, cl_kernel_work_group_info what, size_t size,
                void *to)
{
    self->api.clGetKernelWorkGroupInfo(kernel->handle, self->id, what, size, to, NULL);
}

/* What the driver knows of the kernel once it is built. */
static lx_code describe(lx_opencl *self, lx_user_kernel *kernel, lx_error *error)
{
    const lx_opencl_api *api = &self->api;
    cl_uint count = 0;
    cl_ulong local = 0;
    const cl_int status = api->clGetKernelInfo(kernel->handle, CL_KERNEL_NUM_ARGS, sizeof count, &count, NULL);
    if (status != CL_SUCCESS)
        return lx_opencl_fail(self, error, kernel->name, status);
    if (count > LX_MAX_PARAMETERS)
        return lx_fail(error, LX_EARG, "%s: a kernel may have %d arguments, this one has %u", kernel->name,
                       LX_MAX_PARAMETERS, (unsigned)count);
    kernel->count = (int)count;
    ask(self, kernel, CL_KERNEL_WORK_GROUP_SIZE, sizeof kernel->most, &kernel->most);
    ask(self, kernel, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof kernel->required, kernel->required);
    ask(self, kernel, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local);
    kernel->local = (size_t)local;
    return LX_OK;
}

static lx_code build(lx_opencl *self, lx_user_kernel *kernel, const char *source, const char *options, lx_error *error)
{
    cl_int status;
    if (lx_opencl_check_usable(self, error))
        return error->code;
    const size_t room = strlen(options) + 64;
    char *all = malloc(room);
    if (!all)
        return lx_fail(error, LX_ENOMEM, "out of memory");
    snprintf(all, room, "%s-cl-kernel-arg-info %s", strstr(options, "-cl-std") ? "" : "-cl-std=CL1.2 ", options);
    kernel->program = lx_opencl_build(&self->programs, kernel->name, source, all, error);
    free(all);
    if (!kernel->program)
        return error->code;
    kernel->handle = self->api.clCreateKernel(kernel->program, kernel->name, &status);
    if (!kernel->handle)
        return fail_name(self, kernel, status, error);
    if (!describe(self, kernel, error))
        find_parameters(self, kernel, source, options);
    return error->code;
}

lx_user_kernel *lx_user_kernel_new(lx_device *device, const char *name, const char *source, const char *options,
                                   lx_error *error)
{
    lx_opencl *self = lx_opencl_of(device);
    if (!self) {
        lx_fail(error, LX_EARG, "%s: %s is not an OpenCL device", name, device->label);
        return NULL;
    }
    lx_user_kernel *kernel = calloc(1, sizeof *kernel);
    char *own_name = strdup(name);
    if (!kernel || !own_name) {
        free(kernel);
        free(own_name);
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    kernel->device = lx_device_retain(device);
    kernel->name = own_name;
    if (build(self, kernel, source, options, error)) {
        lx_user_kernel_free(kernel);
        return NULL;
    }
    return kernel;
}

void lx_user_kernel_free(lx_user_kernel *kernel)
{
    if (!kernel)
        return;
    const lx_opencl *self = lx_opencl_of(kernel->device);
    const bool here = lx_opencl_is_here(self);
    if (here && kernel->handle)
        self->api.clReleaseKernel(kernel->handle);
    if (here && kernel->program)
        self->api.clReleaseProgram(kernel->program);
    lx_device_release(kernel->device);
    free(kernel->name);
    free(kernel);
}

/* ---- launching ----------------------------------------------------------------------------------------------- */

/* The group that is used, in `group`; false where the driver is to choose. */
static bool choose_group(const lx_user_kernel *kernel, const lx_range *range, size_t group[3])
{
    const bool declared = kernel->required[0] != 0 && range->group[0] == 0;
    for (int i = 0; i < 3; i++)
        group[i] = declared ? kernel->required[i] : range->group[i];
    return group[0] != 0;
}

/* Whether the group divides the work-items and is one that kernel and device take. */
static lx_code check_group(const lx_opencl *self, const lx_user_kernel *kernel, const lx_range *range,
                           const size_t group[3], lx_error *error)
{
    size_t most[16] = {0}, all = 1;
    const char *name = kernel->name, *label = self->device.label;
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof most, most, NULL);
    for (int i = 0; i < range->dims; i++) {
        if (range->global[i] % group[i])
            return lx_fail(error, LX_EARG,
                           "%s: %zu work-items along dimension %d are not a multiple of the group's "
                           "%zu (%s); make them %zu and let the kernel ignore those too many",
                           name, range->global[i], i + 1, group[i], label,
                           (range->global[i] / group[i] + 1) * group[i]);
        if (kernel->required[0] && group[i] != kernel->required[i])
            return lx_fail(error, LX_EARG,
                           "%s: it is declared for groups of %zu×%zu×%zu work-items, got %zu along "
                           "dimension %d",
                           name, kernel->required[0], kernel->required[1], kernel->required[2], group[i], i + 1);
        if (most[i] && group[i] > most[i])
            return lx_fail(error, LX_EARG, "%s: a group on %s has at most %zu work-items along dimension %d, got %zu",
                           name, label, most[i], i + 1, group[i]);
        all *= group[i]; /* each is at most `most`, so that the product fits */
    }
    if (kernel->most && all > kernel->most)
        return lx_fail(error, LX_EARG, "%s: a group of this kernel has at most %zu work-items on %s, got %zu", name,
                       kernel->most, label, all);
    return LX_OK;
}

/* Whether the local memory that is asked for is there. */
static lx_code check_local(const lx_opencl *self, const lx_user_kernel *kernel, const lx_user_argument *arguments,
                           lx_error *error)
{
    cl_ulong there = 0;
    size_t wanted = kernel->local;
    self->api.clGetDeviceInfo(self->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof there, &there, NULL);
    for (int i = 0; i < kernel->count; i++)
        if (arguments[i].pass == LX_PASS_LOCAL && __builtin_add_overflow(wanted, arguments[i].size, &wanted))
            wanted = SIZE_MAX;
    if (there && wanted > there)
        return lx_fail(error, LX_EARG, "%s: a group on %s has %zu bytes of local memory, the kernel wants %zu",
                       kernel->name, self->device.label, (size_t)there, wanted);
    return LX_OK;
}

size_t lx_opencl_alignment(lx_device *device)
{
    const lx_opencl *self = lx_opencl_of(device);
    cl_uint bits = 0;
    if (self)
        self->api.clGetDeviceInfo(self->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL);
    return bits >= 8 ? bits / 8 : 1;
}

/* A view's argument is a part of its buffer, which has to start where the device can address it. */
static lx_code check_offsets(const lx_user_kernel *kernel, const lx_user_argument *arguments, lx_error *error)
{
    char text[LX_ARGUMENT_TEXT];
    const size_t step = lx_opencl_alignment(kernel->device);
    for (int i = 0; i < kernel->count; i++)
        if (arguments[i].pass == LX_PASS_BUFFER && arguments[i].size && arguments[i].offset % step)
            return lx_fail(error, LX_EARG,
                           "%s: %s is a view that starts at byte %zu of its storage, but buffers on "
                           "%s start at multiples of %zu bytes; pass a :clone() of it%s",
                           kernel->name, lx_argument_text(kernel, i, text), arguments[i].offset, kernel->device->label,
                           step, kernel->parameters[i].constant ? "" : ", and :copy_() the result back");
    return LX_OK;
}

/* Sets one argument. A buffer that starts within a storage is made for it, and goes to *part. */
static cl_int set_argument(lx_opencl *self, cl_kernel handle, cl_uint index, const lx_user_argument *argument,
                           cl_mem *part)
{
    cl_int status;
    if (argument->pass == LX_PASS_LOCAL)
        return self->api.clSetKernelArg(handle, index, argument->size, NULL);
    if (argument->pass == LX_PASS_VALUE)
        return self->api.clSetKernelArg(handle, index, argument->size, argument->value);
    cl_mem memory = argument->storage->handle;
    if (argument->offset && argument->size) {
        const cl_buffer_region region = {argument->offset, argument->size};
        memory = *part = self->api.clCreateSubBuffer(memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
        if (!memory)
            return status;
    }
    return self->api.clSetKernelArg(handle, index, sizeof memory, &memory);
}

static lx_code set_arguments(lx_opencl *self, const lx_user_kernel *kernel, const lx_user_argument *arguments,
                             cl_mem *parts, lx_error *error)
{
    for (int i = 0; i < kernel->count; i++) {
        const cl_int status = set_argument(self, kernel->handle, (cl_uint)i, &arguments[i], &parts[i]);
        if (status != CL_SUCCESS) {
            char text[LX_ARGUMENT_TEXT], what[LX_ARGUMENT_TEXT + 64];
            snprintf(what, sizeof what, "%.60s: %s", kernel->name, lx_argument_text(kernel, i, text));
            return lx_opencl_fail(self, error, what, status);
        }
    }
    return LX_OK;
}

static lx_code enqueue(lx_opencl *self, const lx_user_kernel *kernel, const lx_range *range, const size_t *group,
                       double bytes, lx_error *error)
{
    cl_event event = NULL;
    cl_event *watched = self->device.profile ? &event : NULL;
    const cl_int status = self->api.clEnqueueNDRangeKernel(self->queue, kernel->handle, (cl_uint)range->dims, NULL,
                                                           range->global, group, 0, NULL, watched);
    if (status != CL_SUCCESS)
        return lx_opencl_fail(self, error, kernel->name, status);
    if (event)
        lx_opencl_watch_event(self, event, kernel->name, 0, bytes);
    return LX_OK;
}

lx_code lx_user_kernel_launch(lx_user_kernel *kernel, const lx_range *range, const lx_user_argument *arguments,
                              double bytes, lx_error *error)
{
    lx_opencl *self = lx_opencl_of(kernel->device);
    cl_mem parts[LX_MAX_PARAMETERS] = {NULL};
    size_t group[3];
    const bool grouped = choose_group(kernel, range, group);
    if (lx_opencl_check_usable(self, error))
        return error->code;
    if (kernel->device->recording)
        kernel->device->recorder->obstacle(kernel->device->recording, "launches %s, a kernel of your own",
                                           kernel->name);
    if ((grouped && check_group(self, kernel, range, group, error)) || check_local(self, kernel, arguments, error) ||
        check_offsets(kernel, arguments, error))
        return error->code;
    for (int i = 0; i < range->dims; i++)
        if (range->global[i] == 0)
            return LX_OK;
    for (int i = 0; i < kernel->count; i++)
        if (arguments[i].pass == LX_PASS_BUFFER && !kernel->parameters[i].constant)
            lx_storage_written(arguments[i].storage);
    if (!set_arguments(self, kernel, arguments, parts, error))
        enqueue(self, kernel, range, grouped ? group : NULL, bytes, error);
    for (int i = 0; i < kernel->count; i++)
        if (parts[i])
            self->api.clReleaseMemObject(parts[i]); /* the launch holds it for as long as it runs */
    return error->code;
}
