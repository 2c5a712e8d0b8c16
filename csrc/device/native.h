/* How the cpu device calls a kernel that was compiled for it: the one thing kernels and runtime agree on. */
#ifndef LX_NATIVE_H
#define LX_NATIVE_H

/* The work-items a call runs: id0 in [first, last), and (id1, id2) flattened to rows in [first_row, last_row). */
typedef struct {
    long first, last;
    long first_row, last_row;
    long size1;
} lx_span;

typedef void lx_native(const lx_span *span, void *const *buffers, const void *params);

#endif
