/* How everything below the bindings reports failure: a code, and one sentence for the person. */
#ifndef LX_ERROR_H
#define LX_ERROR_H

#include <stdarg.h>

typedef enum {
    LX_OK = 0,
    LX_EARG,         /* the caller's mistake: a shape, type or range; the bindings raise it */
    LX_ENOMEM,       /* out of memory, on the host or on a device */
    LX_EIO,          /* the file system said no */
    LX_EFORMAT,      /* a file is not what it should be */
    LX_EDEVICE,      /* a device is missing or failed */
    LX_EINTERRUPTED, /* somebody asked for the work to be given up; the bindings raise it */
    LX_ERESULT,      /* a result is no finite number */
    LX_CODES
} lx_code;

typedef struct {
    lx_code code;
    char text[2048];
} lx_error;

/* A call starts with code LX_OK in the error; a function that succeeds leaves it so.
 * lx_fail fills the error and returns its code, so that a check is `return lx_fail(...)`. */
lx_code lx_fail(lx_error *error, lx_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts the name of what the error is about before its text. */
void lx_blame(lx_error *error, const char *name);

/* The code as users see it: "argument", "memory", "io", "format", "device", "interrupted", "result". */
const char *lx_code_name(lx_code code);

#endif
