/* Softmax of rows for GPUs, its logarithm, and their gradients. Groups: blocks of rows. */
#include "simt/simt.h"
#include "simt/row_groups.h"

/* The largest element of a row. */
static LX_ITEM float top_of(LOCAL float *share, GLOBAL const float *x, const row_place at, const row_groups_args p)
{
    float top = -INFINITY;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        top = x[i] > top ? x[i] : top;
    return row_top(share, top, p);
}

#ifdef LX_WANT_softmax_groups
GROUP_KERNEL(ROW_ITEMS) softmax_groups(BUFFER(const float, x), BUFFER(float, y), const row_groups_args p)
{
    POINTER(const float, x);
    POINTER(float, y);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    const float top = top_of(share, x, at, p);
    float sum = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along) {
        y[i] = exp(x[i] - top);
        sum += y[i];
    }
    const float scale = 1.0f / row_total(share, sum, p);
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        y[i] *= scale;
}
#endif

#ifdef LX_WANT_log_softmax_groups
GROUP_KERNEL(ROW_ITEMS) log_softmax_groups(BUFFER(const float, x), BUFFER(float, y),
                                                     const row_groups_args p)
{
    POINTER(const float, x);
    POINTER(float, y);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    const float top = top_of(share, x, at, p);
    float sum = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        sum += exp(x[i] - top);
    const float log_sum = log(row_total(share, sum, p));
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        y[i] = x[i] - top - log_sum;
}
#endif

#ifdef LX_WANT_softmax_backward_groups
GROUP_KERNEL(ROW_ITEMS) softmax_backward_groups(BUFFER(const float, y), BUFFER(const float, dy),
                                                          BUFFER(float, dx), const row_groups_args p)
{
    POINTER(const float, y);
    POINTER(const float, dy);
    POINTER(float, dx);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    float sum = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        sum += y[i] * dy[i];
    const float dot = row_total(share, sum, p);
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        dx[i] = y[i] * (dy[i] - dot);
}
#endif

#ifdef LX_WANT_log_softmax_backward_groups
GROUP_KERNEL(ROW_ITEMS) log_softmax_backward_groups(BUFFER(const float, y), BUFFER(const float, dy),
                                                              BUFFER(float, dx), const row_groups_args p)
{
    POINTER(const float, y);
    POINTER(const float, dy);
    POINTER(float, dx);
    LOCAL float share[ROW_ITEMS];
    const row_place at = row_place_of(p);
    float part = 0.0f;
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        part += dy[i];
    const float sum = row_total(share, part, p);
    READ_AHEAD
    for (long i = at.first; i < at.end; i += p.along)
        dx[i] = dy[i] - exp(y[i]) * sum;
}
#endif
