/* Sorting: the dimension is made the last one, its rows are sorted, and the result is turned back. */
#include "sort.h"

#include "../../kernels/sort.h"

#include <math.h>

#include "exact.h"
#include "ops.h"

LX_KERNEL(sort, sort_runs);
LX_KERNEL(sort, sort_merge);

enum { FIRST_RUN = 8192 }; /* elements that one work-item sorts, which stay near the processor meanwhile */

/* A dense tensor, or a view, with the dimensions `dim` and the last one swapped. */
static lx_code swap_with_last(lx_tensor *out, const lx_tensor *x, int dim, lx_error *error)
{
    int dims[LX_MAX_DIMS];
    for (int i = 0; i < x->ndim; i++)
        dims[i] = i;
    dims[dim] = x->ndim - 1;
    dims[x->ndim - 1] = dim;
    return lx_permute(out, x, dims, x->ndim, error);
}

/* Values and the places that they come from. */
typedef struct {
    lx_tensor *values, *places;
} pairs;

/* Sorts runs, and merges them until there is one a row; it ends in `out`. */
static lx_code sort_and_merge(const lx_tensor *rows, pairs out, pairs spare, long count, bool descending,
                              lx_error *error)
{
    const long size = rows->shape[rows->ndim - 1];
    const double all = (double)(count * size);
    sort_args args = {.size = size, .run = size < FIRST_RUN ? size : FIRST_RUN, .descending = descending};
    bool swapped = false; /* whether what is sorted so far is to be in the spare pair */
    for (long run = args.run; run < size; run *= 2)
        swapped = !swapped;
    pairs from = swapped ? spare : out, to = swapped ? out : spare;
    if (LX_RUN(k_sort_runs, lx_ceil_div(size, args.run), count, 1, all * log2((double)args.run + 1) * 8, args, error,
               rows, from.values, from.places, to.values, to.places))
        return error->code;
    for (; args.run < size; args.run *= 2) {
        const long merges = lx_ceil_div(size, 2 * args.run);
        if (LX_RUN(k_sort_merge, merges, count, 1, all * 8, args, error, from.values, from.places, to.values,
                   to.places))
            return error->code;
        const pairs sorted = to;
        to = from;
        from = sorted;
    }
    return LX_OK;
}

/* The sorted rows, dense, with the sorted dimension last. */
static lx_code sort_rows(lx_tensor *values, lx_tensor *places, const lx_tensor *rows, bool descending, lx_error *error)
{
    lx_tensor spare_values = {0}, spare_places = {0};
    lx_device *device = rows->storage->device;
    const long count = lx_tensor_count(rows);
    if (!lx_tensor_new(values, device, LX_FLOAT32, rows->ndim, rows->shape, error) &&
        !lx_tensor_new(places, device, LX_INT32, rows->ndim, rows->shape, error) &&
        !lx_tensor_new(&spare_values, device, LX_FLOAT32, 1, &count, error) &&
        !lx_tensor_new(&spare_places, device, LX_INT32, 1, &count, error) && count > 0)
        sort_and_merge(rows, (pairs){values, places}, (pairs){&spare_values, &spare_places},
                       count / rows->shape[rows->ndim - 1], descending, error);
    lx_tensor_free(&spare_values);
    lx_tensor_free(&spare_places);
    return error->code;
}

static lx_code turn_back(lx_tensor *out, const lx_tensor *sorted, int dim, lx_error *error)
{
    lx_tensor view = {0};
    if (!swap_with_last(&view, sorted, dim, error))
        lx_contiguous(out, &view, error);
    lx_tensor_free(&view);
    return error->code;
}

lx_code lx_sort(lx_tensor *values, lx_tensor *places, const lx_tensor *x, int dim, bool descending, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    lx_tensor view = {0}, rows = {0}, sorted = {0}, from = {0};
    if (dim < 0 || dim >= x->ndim)
        return lx_fail(error, LX_EARG, "sort: dimension %d is out of range for shape %s", dim + 1,
                       lx_shape_text(x->ndim, x->shape, text));
    if (x->shape[dim] > INT32_MAX)
        return lx_fail(error, LX_EARG, "sort: dimension %d of shape %s is longer than an int32 counts", dim + 1,
                       lx_shape_text(x->ndim, x->shape, text));
    if (!swap_with_last(&view, x, dim, error) && !lx_exact_dense_float(&rows, "sort", &view, error) &&
        !sort_rows(&sorted, &from, &rows, descending, error) && !turn_back(values, &sorted, dim, error))
        turn_back(places, &from, dim, error);
    lx_tensor_free(&view);
    lx_tensor_free(&rows);
    lx_tensor_free(&sorted);
    lx_tensor_free(&from);
    if (error->code) {
        lx_tensor_free(values);
        lx_tensor_free(places);
    }
    return error->code;
}
