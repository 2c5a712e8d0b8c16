/* Choosing among ways to compute a result, on a device that is only pretended: ways that are wrong, or fail, must lose
 * however fast they are. Built and run by tune_spec.lua; prints the way that was taken. */
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

static void name(const void *job, int way, char text[LX_WAY_NAME])
{
    (void)job;
    snprintf(text, LX_WAY_NAME, "way %d", way);
}

/* 0: right, slow. 1: fast, a little wrong. 2: right, faster than 0. 3: fails. 4: fast, not a number.
 * 5: fast, leaves out the end. */
static lx_code run(void *job, int way, lx_error *error)
{
    static const long nanoseconds[COUNT] = {3000000, 10, 1000000, 10, 10, 10};
    const struct timespec time = {0, nanoseconds[way]};
    (void)job;
    nanosleep(&time, NULL);
    for (int i = 0; i < (way == 5 ? VALUES * 3 / 5 : VALUES); i++)
        memory[i] = (float)i;
    if (way == 1)
        memory[50] += 0.05f;
    if (way == 2)
        memory[50] += 0.0001f;
    if (way == 3)
        return lx_fail(error, LX_EDEVICE, "the device cannot");
    if (way == 4)
        memory[50] = NAN;
    last = way;
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
    printf("tuned %d, %d of %d rejected\n", last, device.tuning.entries[0].rejected, device.tuning.entries[0].ways);
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
