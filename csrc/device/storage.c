/* Devices and storages: counted references, the accounting of bytes, and the retry when memory runs out. */
#include <stdint.h>
#include <stdlib.h>

#include "device.h"

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

/* Tries to allocate; when there is no memory, gives back what is cached, then asks the owner to let go of all it can. */
static lx_code allocate(lx_device *device, size_t bytes, lx_storage *storage, lx_error *error)
{
    const struct lx_runtime *runtime = device->runtime;
    lx_code code = runtime->allocate(device, bytes, &storage->handle, &storage->capacity, error);
    if (code == LX_ENOMEM) {
        if (device->reclaim)
            device->reclaim(device->owner, device, true);
        runtime->trim(device);
        error->code = LX_OK;
        code = runtime->allocate(device, bytes, &storage->handle, &storage->capacity, error);
    }
    return code;
}

lx_storage *lx_storage_new(lx_device *device, size_t bytes, lx_error *error)
{
    if (device->reclaim && device->memory.live + bytes > device->limit)
        device->reclaim(device->owner, device, false);
    lx_storage *storage = malloc(sizeof *storage);
    if (!storage) {
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    if (allocate(device, bytes, storage, error)) {
        free(storage);
        return NULL;
    }
    storage->device = lx_device_retain(device);
    atomic_init(&storage->references, 1);
    storage->bytes = bytes;
    storage->version = 0;
    const size_t live = atomic_fetch_add(&device->memory.live, storage->capacity) + storage->capacity;
    if (live > device->memory.peak)
        device->memory.peak = live;
    return storage;
}

lx_storage *lx_storage_retain(lx_storage *storage)
{
    atomic_fetch_add(&storage->references, 1);
    return storage;
}

void lx_storage_release(lx_storage *storage)
{
    if (!storage || atomic_fetch_sub(&storage->references, 1) != 1)
        return;
    lx_device *device = storage->device;
    atomic_fetch_sub(&device->memory.live, storage->capacity);
    device->runtime->release(device, storage->handle, storage->capacity);
    free(storage);
    lx_device_release(device);
}
