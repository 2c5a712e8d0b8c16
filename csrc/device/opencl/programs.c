#include "programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/clock.h"
#include "../../base/invariant.h"
#include "sources.h"

enum { OPTIONS_TEXT = 1024 }; /* bytes of what a compiler is told */

static lx_code fail(const lx_opencl_programs *self, lx_error *error, const char *what, cl_int status)
{
    return lx_fail(error, status == CL_OUT_OF_HOST_MEMORY ? LX_ENOMEM : LX_EDEVICE, "%s: %s: %s (%d)",
                   self->device->label, what, lx_opencl_message(status), (int)status);
}

/* ---- building ------------------------------------------------------------------------------------------------ */

/* The end of the compiler's log is the error. */
static void fail_with_log(const lx_opencl_programs *self, cl_program program, const char *name, cl_int status,
                          lx_error *error)
{
    size_t length = 0;
    char *log = NULL;
    self->api->clGetProgramBuildInfo(program, self->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &length);
    if (length)
        log = calloc(length + 1, 1);
    if (log)
        self->api->clGetProgramBuildInfo(program, self->id, CL_PROGRAM_BUILD_LOG, length, log, NULL);
    lx_fail(error, LX_EDEVICE, "%s: %s does not build on %s (%d):\n%.1700s", self->device->label, name,
            self->device->name, (int)status, log && *log ? log : "the driver gives no log");
    free(log);
}

static lx_hash key_of(const lx_opencl_programs *self, const char *source, const char *options)
{
    lx_hash key = self->identity;
    lx_hash_add(&key, options, strlen(options));
    lx_hash_add(&key, source, strlen(source));
    return key;
}

/* A program from what an earlier process stored; NULL if there is nothing, or the driver does not take it. */
static cl_program load(const lx_opencl_programs *self, const lx_hash *key, const char *options)
{
    size_t length;
    cl_int status, taken;
    const unsigned char *bytes = lx_cache_load(key, &length);
    if (!bytes)
        return NULL;
    cl_program program = self->api->clCreateProgramWithBinary(self->context, 1, &self->id, &length, &bytes, &taken,
                                                              &status);
    free((void *)bytes);
    if (!program)
        return NULL;
    if (status == CL_SUCCESS && self->api->clBuildProgram(program, 1, &self->id, options, NULL, NULL) == CL_SUCCESS)
        return program;
    self->api->clReleaseProgram(program);
    return NULL;
}

static void store(const lx_opencl_programs *self, const lx_hash *key, cl_program program)
{
    size_t length = 0;
    if (!self->stored ||
        self->api->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof length, &length, NULL) != CL_SUCCESS ||
        length == 0)
        return;
    unsigned char *bytes = malloc(length);
    if (bytes && self->api->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) == CL_SUCCESS)
        lx_cache_store(key, bytes, length);
    free(bytes);
}

/* Seconds that a build takes only where the driver compiles, and has not kept the program of another process. */
#define SLOW_BUILD 0.2

/* Says once that this driver compiles, and that the kernels after this one will take their time too. */
static void notice(lx_opencl_programs *self)
{
    char text[256];
    if (self->noticed || !self->device->notice)
        return;
    self->noticed = true;
    snprintf(text, sizeof text, "compiling kernels for %.160s, once for this driver", self->device->name);
    self->device->notice(self->device->owner, text);
}

cl_program lx_opencl_build(lx_opencl_programs *self, const char *name, const char *source, const char *options,
                           lx_error *error)
{
    const lx_hash key = key_of(self, source, options);
    cl_program program = load(self, &key, options);
    if (program)
        return program;
    cl_int status;
    const double start = lx_now();
    program = self->api->clCreateProgramWithSource(self->context, 1, &source, NULL, &status);
    if (!program) {
        fail(self, error, name, status);
        return NULL;
    }
    status = self->api->clBuildProgram(program, 1, &self->id, options, NULL, NULL);
    if (lx_now() - start > SLOW_BUILD)
        notice(self);
    if (status != CL_SUCCESS) {
        fail_with_log(self, program, name, status, error);
        self->api->clReleaseProgram(program);
        return NULL;
    }
    store(self, &key, program);
    return program;
}

/* ---- the library's own kernels ------------------------------------------------------------------------------- */

/* What kernels are told of the form they are compiled for, and whether large ones are compiled without the others of
 * their file. Compilers take a while to begin, so that most are better compiled together; but where the driver is for a
 * GPU, and generates the code of all of a program's kernels at once, not the large ones, of which few are needed. */
static const struct {
    const char *define;
    bool large_apart;
} forms[LX_FORMS] = {[LX_TILE] = {"LX_TILE", false}, [LX_SIMT] = {"LX_SIMT", true}};

static bool stands_alone(const lx_opencl_programs *self, const lx_kernel *kernel)
{
    return forms[self->device->form].large_apart &&
           (strcmp(kernel->program, "conv2d") == 0 || strcmp(kernel->program, "matmul") == 0 ||
            strncmp(kernel->program, "simt/", 5) == 0);
}

/* All that the compiler is told: of the device, of which kernels of a file are wanted, and of the kernel's case. */
static void spell_options(const lx_opencl_programs *self, const lx_kernel *kernel, const lx_build_options *options,
                          char text[OPTIONS_TEXT])
{
    int length = snprintf(text, OPTIONS_TEXT, "-cl-std=CL1.2 -w -DLANES=%d -D%s -DLX_WANT_%s", self->device->lanes,
                          forms[self->device->form].define, stands_alone(self, kernel) ? kernel->name : "ALL");
#define SPELL(type, field, name) \
    if (options->field)          \
        length += snprintf(text + length, (size_t)(OPTIONS_TEXT - length), " -D" #name "=%d", (int)options->field);
    LX_BUILD_OPTIONS(SPELL)
#undef SPELL
    LX_ASSERT(length < OPTIONS_TEXT);
}

/* The program of a kernel: of all of its file, or of it alone. */
static cl_program build_kernel(lx_opencl_programs *self, const lx_kernel *kernel, const lx_build_options *options,
                               lx_error *error)
{
    char all[OPTIONS_TEXT], file[128];
    char *source = lx_opencl_source(kernel->program);
    if (!source) {
        fail(self, error, kernel->name, CL_OUT_OF_HOST_MEMORY);
        return NULL;
    }
    spell_options(self, kernel, options, all);
    snprintf(file, sizeof file, "%s of kernels/%s.cl", kernel->name, kernel->program);
    cl_program program = lx_opencl_build(self, file, source, all, error);
    free(source);
    return program;
}

/* The program that an earlier kernel of the same file brought, if they are compiled together; else a new one. */
static cl_program find_program(lx_opencl_programs *self, const lx_kernel *kernel, const lx_build_options *options,
                               lx_error *error)
{
    for (lx_opencl_kernel *k = self->kernels; k; k = k->next)
        if (!stands_alone(self, kernel) && strcmp(k->kernel->program, kernel->program) == 0 &&
            lx_same_options(&k->options, options)) {
            self->api->clRetainProgram(k->program);
            return k->program;
        }
    return build_kernel(self, kernel, options, error);
}

static lx_opencl_kernel *add_kernel(lx_opencl_programs *self, const lx_kernel *kernel, const lx_build_options *options,
                                    lx_error *error)
{
    cl_program program = find_program(self, kernel, options, error);
    if (!program)
        return NULL;
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    lx_opencl_kernel *made = calloc(1, sizeof *made);
    cl_kernel handle = made ? self->api->clCreateKernel(program, kernel->name, &status) : NULL;
    if (!handle) {
        free(made);
        self->api->clReleaseProgram(program);
        fail(self, error, kernel->name, status);
        return NULL;
    }
    *made = (lx_opencl_kernel){self->kernels, kernel, *options, program, handle, 1};
    self->api->clGetKernelWorkGroupInfo(handle, self->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof made->most, &made->most,
                                        NULL);
    self->kernels = made;
    return made;
}

lx_opencl_kernel *lx_opencl_find_kernel(lx_opencl_programs *self, const lx_kernel *kernel,
                                        const lx_build_options *options, lx_error *error)
{
    for (lx_opencl_kernel *k = self->kernels; k; k = k->next)
        if (k->kernel == kernel && lx_same_options(&k->options, options))
            return k;
    return add_kernel(self, kernel, options, error);
}

void lx_opencl_free_programs(lx_opencl_programs *self)
{
    for (lx_opencl_kernel *k = self->kernels, *next; k; k = next) {
        next = k->next;
        self->api->clReleaseKernel(k->handle);
        self->api->clReleaseProgram(k->program);
        free(k);
    }
}
