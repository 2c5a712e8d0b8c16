/* Choosing among variants that compute a result, on a device that is only pretended: variants that are wrong, or fail,
 * must lose however fast they are. Built and run by tune_spec.lua; prints the one that was taken. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../csrc/device/device.h"

enum { COUNT = 6, VALUES = 100 };

static float memory[VALUES];
static int last;

static lx_code read_memory(lx_storage *from, size_t offset, void *to, size_t bytes, lx_error *error)
{
    (void)from;
    (void)error;
    memcpy(to, (const char *)memory + offset, bytes);
    return LX_OK;
}

static lx_code write_memory(lx_storage *to, size_t offset, const void *from, size_t bytes, lx_error *error)
{
    (void)to;
    (void)error;
    memcpy((char *)memory + offset, from, bytes);
    return LX_OK;
}

static lx_code finish(lx_device *device, lx_error *error)
{
    (void)device;
    (void)error;
    return LX_OK;
}

static void name(const void *job, int variant, char text[LX_VARIANT_NAME])
{
    (void)job;
    snprintf(text, LX_VARIANT_NAME, "variant %d", variant);
}

/* 0: right, slow. 1: fast, a little wrong. 2: right, faster than 0. 3: fails. 4: fast, not a number.
 * 5: fast, leaves out the end. */
static lx_code run(void *job, int variant, lx_error *error)
{
    static const long nanoseconds[COUNT] = {3000000, 10, 1000000, 10, 10, 10};
    const struct timespec time = {0, nanoseconds[variant]};
    (void)job;
    nanosleep(&time, NULL);
    for (int i = 0; i < (variant == 5 ? VALUES * 3 / 5 : VALUES); i++)
        memory[i] = (float)i;
    if (variant == 1)
        memory[50] += 0.05f;
    if (variant == 2)
        memory[50] += 0.0001f;
    if (variant == 3)
        return lx_fail(error, LX_EDEVICE, "the device cannot");
    if (variant == 4)
        memory[50] = NAN;
    last = variant;
    return LX_OK;
}

int main(void)
{
    static const struct lx_runtime runtime = {
        .kind = "pretended", .read = read_memory, .write = write_memory, .finish = finish};
    lx_device device = {.runtime = &runtime};
    lx_error error = {.code = LX_OK};
    lx_choice choice = {"a problem", COUNT, 0, NULL, name, run, NULL, 0, sizeof memory};
    lx_choose(&device, &choice, &error);
    printf("untuned %d\n", last);
    device.tuning.measuring = true;
    lx_choose(&device, &choice, &error);
    printf("tuned %d, %d of %d rejected\n", last, device.tuning.entries[0].rejected, device.tuning.entries[0].variants);
    device.tuning.measuring = false;
    lx_choose(&device, &choice, &error);
    printf("afterwards %d, error %d\n", last, (int)error.code);
    /* more problems than room is reserved for at once */
    device.tuning.measuring = true;
    for (int i = 0; i < 70; i++) {
        char problem[16];
        snprintf(problem, sizeof problem, "problem %d", i);
        lx_choice another = {problem, 2, 0, NULL, name, run, NULL, 0, sizeof memory};
        lx_choose(&device, &another, &error);
    }
    printf("%d problems known\n", device.tuning.count);
    lx_tuning_free(&device.tuning);
    return 0;
}
