#include "error.h"

#include <stdio.h>

lx_code lx_fail(lx_error *error, lx_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->code = code;
    return code;
}

const char *lx_code_name(lx_code code)
{
    static const char *const names[] = {"ok", "argument", "memory", "io", "format", "device"};
    return names[code];
}
