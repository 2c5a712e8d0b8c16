/* A tensor is a view (shape, strides, offset) on a storage. It is a plain value: copying the struct and retaining
 * the storage makes another view. A tensor whose storage is NULL is empty and may be filled by any function here.
 */
#ifndef LX_TENSOR_H
#define LX_TENSOR_H

#include "../device/device.h"
#include "../base/invariant.h"

enum { LX_MAX_DIMS = 8 };

typedef enum { LX_FLOAT32, LX_UINT8, LX_INT32, LX_DTYPES } lx_dtype;

typedef struct {
    lx_storage *storage;
    long offset; /* elements from the start of the storage */
    int ndim;
    lx_dtype dtype;
    int block; /* 0: strided. Else [N,C,H,W] is stored as [N, ceil(C/block), H, W, block], dense, padded with 0 */
    long shape[LX_MAX_DIMS];
    long stride[LX_MAX_DIMS]; /* in elements; meaningless when blocked */
} lx_tensor;

/* Elements of a shape; -1 if a size is negative, or if so many bytes have no place in the address space. Sizes of 0 do
   not excuse the others: they may be taken away, so the rest is to fit as well. */
long lx_shape_count(int ndim, const long *shape);

size_t lx_dtype_size(lx_dtype dtype);
const char *lx_dtype_name(lx_dtype dtype);

/* A new dense tensor in the plain layout; its contents are not set. */
lx_code lx_tensor_new(lx_tensor *out, lx_device *device, lx_dtype dtype, int ndim, const long *shape, lx_error *error);

/* A dense tensor of all that a storage holds, which it takes from the caller; the shape is valid and fits. */
void lx_tensor_over(lx_tensor *out, lx_storage *storage, lx_dtype dtype, int ndim, const long *shape);

/* A new [N,C,H,W] float32 tensor in the blocked layout of the device. */
lx_code lx_tensor_new_blocked(lx_tensor *out, lx_device *device, const long shape[4], lx_error *error);

/* Another view on the same storage. `out` must be empty or `*out == *from`. */
void lx_tensor_share(lx_tensor *out, const lx_tensor *from);

/* Releases the storage and leaves the tensor empty; harmless on an empty one. */
void lx_tensor_free(lx_tensor *tensor);

long lx_tensor_count(const lx_tensor *tensor); /* elements */
bool lx_tensor_dense(const lx_tensor *tensor); /* plain layout, row-major, no gaps */
bool lx_same_shape(const lx_tensor *a, const lx_tensor *b);

/* "[8,1,224,224]", written into a buffer of LX_SHAPE_TEXT bytes, which is returned. */
enum { LX_SHAPE_TEXT = 160 };
const char *lx_shape_text(int ndim, const long *shape, char *buffer);

/* The launch argument for a tensor's first element. */
lx_argument lx_argument_of(const lx_tensor *tensor);

/* A blocked tensor as the plain [N, C / block, H, W, block] that it is stored as, a plain one as it is. Does not keep
 * the storage: valid as long as the tensor is. */
lx_tensor lx_as_stored(const lx_tensor *tensor);

/* ---- views: share the storage, never copy (the caller checks that the input is not blocked) ---------------- */
lx_code lx_narrow(lx_tensor *out, const lx_tensor *in, int dim, long start, long length, lx_error *error);
/* Every step-th element, `length` of them. */
lx_code lx_slice(lx_tensor *out, const lx_tensor *in, int dim, long start, long length, long step, lx_error *error);
lx_code lx_select(lx_tensor *out, const lx_tensor *in, int dim, long index, lx_error *error);
lx_code lx_permute(lx_tensor *out, const lx_tensor *in, const int *dims, int count, lx_error *error);
lx_code lx_expand(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, lx_error *error);
/* Fails if the strides do not allow it without a copy. One size may be -1. */
lx_code lx_view(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, lx_error *error);
/* Elements of the storage, the first of them `offset` after that of the input; fails if one is not in it. */
lx_code lx_as_strided(lx_tensor *out, const lx_tensor *in, int ndim, const long *shape, const long *stride, long offset,
                      lx_error *error);
/* Inserts (or removes) a dimension of size 1 before `dim` (at `dim`). */
lx_code lx_unsqueeze(lx_tensor *out, const lx_tensor *in, int dim, lx_error *error);
lx_code lx_squeeze(lx_tensor *out, const lx_tensor *in, int dim, lx_error *error);

/* The first dimension along which a tensor shows the same elements again, as an expanded one does; -1: none. */
int lx_repeated_dim(const lx_tensor *tensor);

/* The shape that a and b broadcast to, as NumPy's. */
lx_code lx_broadcast_shape(const char *function, const lx_tensor *a, const lx_tensor *b, int *ndim, long *shape,
                           lx_error *error);

#endif
