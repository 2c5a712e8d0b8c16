/* Devices and storages: counted references, the accounting of bytes, and the retry when memory runs out. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/invariant.h"
#include "device.h"

const char *const lx_form_names[LX_FORMS] = {[LX_TILE] = "tile", [LX_SIMT] = "simt"};

lx_device *lx_device_retain(lx_device *device)
{
    atomic_fetch_add(&device->references, 1);
    return device;
}

void lx_device_release(lx_device *device)
{
    if (device && atomic_fetch_sub(&device->references, 1) == 1)
        device->runtime->close(device);
}

lx_code lx_no_memory(const lx_device *device, size_t bytes, lx_error *error)
{
    const double mib = 1048576.0, used = (double)device->memory.live, kept = (double)device->memory.cached;
    char free_text[64] = "";
    if (device->budget != SIZE_MAX) {
        const double left = (double)device->budget - used;
        snprintf(free_text, sizeof free_text, ", %.1f of %.1f MiB free", left > 0 ? left / mib : 0.0,
                 (double)device->budget / mib);
    }
    return lx_fail(error, LX_ENOMEM,
                   "out of memory: %s has no %.1f MiB more (%.1f MiB in use, %.1f MiB cached%s); use a "
                   "smaller batch or image, or free tensors with lx.tidy",
                   device->label, (double)bytes / mib, used / mib, kept / mib, free_text);
}

static lx_code allocate_once(lx_device *device, size_t bytes, lx_storage *storage, lx_error *error)
{
    if (bytes > device->budget || device->memory.live > device->budget - bytes)
        return lx_no_memory(device, bytes, error);
    if (device->memory.live + device->memory.cached > device->budget - bytes)
        device->runtime->trim(device);
    return device->runtime->allocate(device, bytes, &storage->handle, &storage->capacity, error);
}

/* Tries to allocate; when there is no memory, asks the owner to let go of all it can, gives back what is cached, and
 * tries once more. */
static lx_code allocate(lx_device *device, size_t bytes, lx_storage *storage, lx_error *error)
{
    lx_code code = allocate_once(device, bytes, storage, error);
    if (code == LX_ENOMEM) {
        if (device->reclaim)
            device->reclaim(device->owner, device, true);
        device->runtime->trim(device);
        error->code = LX_OK;
        code = allocate_once(device, bytes, storage, error);
    }
    return code;
}

/* A storage of no memory yet. */
static lx_storage *new_storage(lx_device *device, size_t bytes, lx_error *error)
{
    lx_storage *storage = calloc(1, sizeof *storage);
    if (!storage) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    storage->device = device;
    atomic_init(&storage->references, 1);
    storage->bytes = bytes;
    storage->id = ++device->storages;
    return storage;
}

lx_storage *lx_storage_scratch(lx_device *device, size_t bytes, lx_error *error)
{
    lx_storage *storage = new_storage(device, bytes, error);
    if (!storage)
        return NULL;
    if (allocate(device, bytes, storage, error)) {
        free(storage);
        return NULL;
    }
    lx_device_retain(device);
    const size_t live = atomic_fetch_add(&device->memory.live, storage->capacity) + storage->capacity;
    if (live > device->memory.peak)
        device->memory.peak = live;
    if (device->recording)
        device->recorder->storage(device->recording, storage);
    return storage;
}

lx_storage *lx_storage_new(lx_device *device, size_t bytes, lx_error *error)
{
    if (device->reclaim && device->memory.live + bytes > device->limit)
        device->reclaim(device->owner, device, false);
    return lx_storage_scratch(device, bytes, error);
}

lx_storage *lx_storage_borrow(lx_device *cpu, void *address, size_t bytes, void (*give_back)(void *owner), void *owner,
                              lx_error *error)
{
    lx_storage *storage = new_storage(cpu, bytes, error);
    if (!storage)
        return NULL;
    lx_device_retain(cpu);
    storage->handle = address;
    storage->give_back = give_back;
    storage->owner = owner;
    return storage;
}

lx_storage *lx_storage_retain(lx_storage *storage)
{
    const int before = atomic_fetch_add(&storage->references, 1);
    LX_ASSERT(before > 0); /* else it is freed already */
    (void)before;
    return storage;
}

void lx_storage_release(lx_storage *storage)
{
    if (!storage || atomic_fetch_sub(&storage->references, 1) != 1)
        return;
    lx_device *device = storage->device;
    LX_ASSERT(storage->held == 0); /* recordings hold references as well */
    if (device->recording)
        device->recorder->release(device->recording, storage);
    atomic_fetch_sub(&device->memory.live, storage->capacity);
    if (storage->give_back)
        storage->give_back(storage->owner);
    else
        device->runtime->release(device, storage->handle, storage->capacity);
    free(storage);
    lx_device_release(device);
}

lx_code lx_storage_read(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error)
{
    LX_ASSERT(offset <= from->bytes && bytes <= from->bytes - offset);
    if (from->device->recording)
        from->device->recorder->obstacle(from->device->recording,
                                         "reads values of a tensor; return the tensor and read it outside");
    return from->device->runtime->read(from, offset, to, bytes, error);
}

void lx_storage_written(lx_storage *storage)
{
    storage->version++;
}

lx_code lx_device_launch(lx_device *device, const lx_launch *launch, lx_error *error)
{
    for (int i = 0; i < launch->count; i++)
        if (launch->arguments[i].storage && (*launch->kernel->writes >> i & 1))
            lx_storage_written(launch->arguments[i].storage);
    return device->runtime->launch(device, launch, error);
}

lx_code lx_storage_write(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error)
{
    LX_ASSERT(offset <= to->bytes && bytes <= to->bytes - offset);
    if (to->device->recording)
        to->device->recorder->write(to->device->recording, to, offset, from, bytes);
    lx_storage_written(to);
    return to->device->runtime->write(to, offset, from, bytes, error);
}

void *lx_storage_host(lx_storage *storage)
{
    if (storage->device->recording)
        storage->device->recorder->obstacle(storage->device->recording,
                                            "works on images, which is not recorded; do that outside");
    return storage->handle;
}

/* Whether the handle of a storage is the address of its bytes. */
static bool in_host_memory(const lx_storage *storage)
{
    return strcmp(storage->device->runtime->kind, "cpu") == 0;
}

lx_code lx_storage_copy(lx_storage *to, size_t to_offset, lx_storage *from, size_t from_offset, size_t bytes,
                        lx_error *error)
{
    LX_ASSERT(to_offset <= to->bytes && bytes <= to->bytes - to_offset);
    LX_ASSERT(from_offset <= from->bytes && bytes <= from->bytes - from_offset);
    if (from->device->recording)
        from->device->recorder->obstacle(from->device->recording,
                                         "moves a tensor from %s to %s; move it before, and pass it "
                                         "as an argument",
                                         from->device->label, to->device->label);
    lx_storage_written(to);
    if (in_host_memory(from))
        return to->device->runtime->write(to, to_offset, (const char *)from->handle + from_offset, bytes, error);
    if (in_host_memory(to))
        return from->device->runtime->read(from, from_offset, (char *)to->handle + to_offset, bytes, error);
    void *between = malloc(bytes ? bytes : 1);
    if (!between)
        return lx_fail(error, LX_ENOMEM, "out of memory");
    if (!from->device->runtime->read(from, from_offset, between, bytes, error))
        to->device->runtime->write(to, to_offset, between, bytes, error);
    free(between);
    return error->code;
}
