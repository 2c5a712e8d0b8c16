/* A device is a runtime: memory, launch, wait. It knows nothing of tensors or operations.
 *
 * Devices and storages are counted references, safe to release from any thread and in any order: a storage keeps
 * its device alive.
 */
#ifndef LX_DEVICE_H
#define LX_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../kernels/native.h"
#include "../../kernels/options.h"
#include "../base/error.h"
#include "profile.h"
#include "tuning.h"

typedef struct lx_storage lx_storage;
struct lx_recording;

/* ---- kernels ---------------------------------------------------------------------------------------------- */

/* One kernel on every device: its text for OpenCL is PROGRAM.cl, its native code is linked in. */
typedef struct {
    const char *program, *name;
    lx_native *native[3];   /* by lx_isa */
    const unsigned *writes; /* bit i: it may write buffer i */
    int over;               /* 1 + the buffer that its result may be written over; 0: none */
} lx_kernel;

typedef enum { LX_ISA_BASE, LX_ISA_AVX2, LX_ISA_AVX512 } lx_isa;

/* Declares `static const lx_kernel k_NAME` for the kernel NAME of kernels/PROGRAM.cl. The one whose result has the
 * shape of buffer `over_` and needs of each element no other one of that buffer may be given one piece of memory for
 * both. */
#if defined(__x86_64__)
#define LX_KERNEL_OVER(program_, name_, over_)                                                       \
    extern lx_native lx_kernel_##name_##_base, lx_kernel_##name_##_avx2, lx_kernel_##name_##_avx512; \
    extern const unsigned lx_writes_##name_##_base;                                                  \
    static const lx_kernel k_##name_ = {                                                             \
        #program_,                                                                                   \
        #name_,                                                                                      \
        {lx_kernel_##name_##_base, lx_kernel_##name_##_avx2, lx_kernel_##name_##_avx512},            \
        &lx_writes_##name_##_base,                                                                   \
        (over_) + 1}
#else
#define LX_KERNEL_OVER(program_, name_, over_)      \
    extern lx_native lx_kernel_##name_##_base;      \
    extern const unsigned lx_writes_##name_##_base; \
    static const lx_kernel k_##name_ = {            \
        #program_, #name_, {lx_kernel_##name_##_base, NULL, NULL}, &lx_writes_##name_##_base, (over_) + 1}
#endif
#define LX_KERNEL(program_, name_) LX_KERNEL_OVER(program_, name_, -1)

/* Declares a kernel of kernels/simt/: it wants work-groups and local memory, and has no native code. Its first `reads_`
 * buffers are const, and it writes the others: C never sees its declaration, so spec/in_place_spec.lua compares the
 * two. */
#define LX_SIMT_KERNEL(program_, name_, reads_) \
    static const lx_kernel k_##name_ = {        \
        "simt/" #program_, #name_, {NULL, NULL, NULL}, &(const unsigned){~0u << (reads_)}, 0}

/* A buffer argument of a launch: a storage and the byte in it where the kernel's pointer starts. */
typedef struct {
    lx_storage *storage;
    size_t offset;
} lx_argument;

enum { LX_MAX_ARGUMENTS = 9 };

typedef struct {
    const lx_kernel *kernel;
    long size[3]; /* ids; any zero means nothing to do. In kernels/simt/: work-items, multiples of the group */
    int group[3]; /* kernels/simt/ only: work-items in a group */
    lx_build_options options; /* what the driver's compiler is told */
    const void *params;       /* the kernel's scalar parameters, copied at launch */
    size_t params_size;
    lx_argument arguments[LX_MAX_ARGUMENTS];
    int count;
    double work;  /* arithmetic operations, roughly: decides whether threads are worth waking */
    double bytes; /* of the tensors, each counted once: for the profile */
} lx_launch;

/* ---- devices ---------------------------------------------------------------------------------------------- */

/* How kernels of the families that have two forms are best written for a device: one work-item computes a large
 * register tile with wide vectors (processors), or work-groups share local memory (GPUs). */
typedef enum { LX_TILE, LX_SIMT, LX_FORMS } lx_form;
extern const char *const lx_form_names[LX_FORMS]; /* "tile", "simt" */

/* What launches of the SIMT form depend on. */
typedef struct {
    size_t local_memory; /* bytes of a work-group */
    int most_group;      /* work-items of a group */
    int registers;       /* floats that a work-item can keep at hand before it has to put some away */
    long busy_items;     /* work-items that keep the whole device busy */
} lx_gpu;

typedef struct {
    atomic_size_t live, cached, peak; /* bytes in use, bytes kept for reuse, most ever in use */
} lx_memory;

/* Whom a device tells of what it is asked to do. What it is called with first hangs on the device beside it. */
typedef struct {
    void (*storage)(struct lx_recording *recording, lx_storage *storage);       /* there is a new one */
    void (*release)(struct lx_recording *recording, const lx_storage *storage); /* and now it goes */
    void (*write)(struct lx_recording *recording, lx_storage *to, size_t offset, const void *from, size_t bytes);
    /* It cannot be done again, for this reason: "reads a value", say. */
    void (*obstacle)(struct lx_recording *recording, const char *format, ...) __attribute__((format(printf, 2, 3)));
} lx_recorder;

struct lx_device {
    const struct lx_runtime *runtime;
    atomic_int references;
    char label[32]; /* "cpu", "opencl:1" */
    char name[128];
    lx_form form;
    int lanes; /* floats in a vector, and channels in a block of the blocked layout */
    lx_gpu gpu;
    bool exact; /* sums are computed as they are written, not in ways that save multiplications and round more */
    /* Called before live bytes would pass `limit`, and with `full` after an allocation failed: the owner may
     * release what it does not need. Only ever called on the thread that allocates. */
    void (*reclaim)(void *owner, lx_device *device, bool full);
    /* Called when something takes long that a person waiting may wonder about; may be NULL. On the launching thread. */
    void (*notice)(void *owner, const char *text);
    void *owner;
    struct {
        unsigned long storages; /* that there ever were when the host's call began */
        bool changes;           /* it has begun to write to one of them */
    } call;
    size_t limit;
    size_t budget; /* bytes that there may be, in use and cached; SIZE_MAX: no limit but the system's */
    lx_memory memory;
    atomic_ulong waits;             /* times that the host waited for the device */
    lx_profile *profile;            /* where to note what it does; NULL: nowhere */
    struct lx_recording *recording; /* what notes all that it is asked to do, to do it again; NULL: nothing */
    const lx_recorder *recorder;    /* its functions */
    unsigned long storages;         /* that it ever had */
    lx_tuning tuning;
    char tuning_file[64]; /* in the cache folder; empty: what is measured is forgotten with the process */
};

/* What a kind of device implements. */
struct lx_runtime {
    const char *kind; /* "cpu", "opencl" */
    lx_code (*allocate)(lx_device *device, size_t bytes, void **handle, size_t *capacity, lx_error *error);
    void (*release)(lx_device *device, void *handle, size_t capacity);
    void (*trim)(lx_device *device); /* gives cached blocks back to the system */
    lx_code (*read)(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error);
    lx_code (*write)(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error);
    lx_code (*launch)(lx_device *device, const lx_launch *launch, lx_error *error);
    lx_code (*finish)(lx_device *device, lx_error *error);
    int (*threads)(lx_device *device, int set); /* sets if > 0; returns the number in force */
    /* Notes launches from now on, or if `profile` is NULL no longer: then all that was launched has been noted. */
    lx_code (*watch)(lx_device *device, lx_profile *profile, lx_error *error);
    void (*close)(lx_device *device);
};

struct lx_storage {
    lx_device *device;
    atomic_int references;
    size_t bytes, capacity;         /* asked for; given */
    void *handle;                   /* the runtime's: on cpu the address itself */
    void (*give_back)(void *owner); /* of memory that somebody else owns; else NULL */
    void *owner;
    long version;            /* counts writes, so that backward can tell that what it saved has changed */
    unsigned long id;        /* counts from 1; no other storage of the device has it, nor had it before */
    long departures;         /* times that a tensor was moved away from it */
    int held;                /* references that recordings have */
    unsigned long recording; /* the last one that saw it, and as which of its slots (-1: not used yet) */
    int slot;
};

/* The cpu device, with one reference; NULL and an error if there is no memory for it. */
lx_device *lx_cpu_open(lx_error *error);
/* Its threads, for work that is no launch of a kernel. */
struct lx_pool *lx_cpu_pool(lx_device *cpu);

lx_device *lx_device_retain(lx_device *device);
void lx_device_release(lx_device *device);

/* New memory, not cleared, aligned to 64 bytes, with one reference; NULL and an error when there is none. */
lx_storage *lx_storage_new(lx_device *device, size_t bytes, lx_error *error);
/* Memory of the host that `owner` holds until give_back(owner), as a storage of the cpu device; NULL and an error when
 * there is no memory for the note, and then nothing is given back. */
lx_storage *lx_storage_borrow(lx_device *cpu, void *address, size_t bytes, void (*give_back)(void *owner), void *owner,
                              lx_error *error);
/* The same for memory that is given back soon, as often as the same work is done: the owner is not asked to let go of
 * anything unless there is none. */
lx_storage *lx_storage_scratch(lx_device *device, size_t bytes, lx_error *error);
lx_storage *lx_storage_retain(lx_storage *storage);
void lx_storage_release(lx_storage *storage);

/* What the runtime does, counted in the versions of what it writes. These are the only places that count: every launch
 * comes here, first or replayed. */
lx_code lx_device_launch(lx_device *device, const lx_launch *launch, lx_error *error);
void lx_storage_written(lx_storage *storage);

/* Bytes between a storage and the host: what the runtime does, noted by a recording if there is one. */
lx_code lx_storage_read(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error);
lx_code lx_storage_write(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error);

/* The bytes of a storage of the cpu device, for the host to read and write; a recording learns that it cannot repeat
 * what is done with them. */
void *lx_storage_host(lx_storage *storage);

/* Copies bytes from one storage to another, on whichever devices. */
lx_code lx_storage_copy(lx_storage *to, size_t to_offset, lx_storage *from, size_t from_offset, size_t bytes,
                        lx_error *error);

/* Fills in the error for memory that a device does not have. */
lx_code lx_no_memory(const lx_device *device, size_t bytes, lx_error *error);

#endif
