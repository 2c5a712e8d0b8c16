/* How the cpu device calls a kernel that was compiled for it. */
#ifndef LX_NATIVE_H
#define LX_NATIVE_H

#include "span.h"

typedef void lx_native(const lx_span *span, void *const *buffers, const void *params);

#endif
