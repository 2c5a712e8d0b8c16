#include "error.h"

#include <stdio.h>

#include "invariant.h"

lx_code lx_fail(lx_error *error, lx_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->code = code;
    return code;
}

void lx_blame(lx_error *error, const char *name)
{
    const lx_error reason = *error;
    lx_fail(error, reason.code, "\"%.300s\": %.1500s", name, reason.text);
}

const char *lx_code_name(lx_code code)
{
    static const char *const names[] = {"ok", "argument", "memory", "io", "format", "device", "interrupted", "result"};
    LX_ASSERT_ROWS(names, LX_CODES);
    return names[code];
}
