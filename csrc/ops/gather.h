/* Joining tensors, and picking from them by indices. Tensors are plain, of any strides, unless a comment says more;
 * indices are of any dtype, used as int32, and count from 1: one out of range is an error on the cpu. On a device that
 * would have to be waited for to know, it picks NaN (0 of integers) and adds nothing. `out` must be empty; it is filled
 * on success and stays empty on failure.
 */
#ifndef LX_GATHER_H
#define LX_GATHER_H

#include "../tensor/tensor.h"

/* The tensors one after another along a dimension. All have the dtype of the first, which the result has. */
lx_code lx_cat(lx_tensor *out, const lx_tensor *const *tensors, int count, int dim, lx_error *error);

/* Whether lx_cat takes the tensors as they are and gives a blocked one: all are blocked, and along the channels all but
 * the last have whole blocks of them. Else all have to be plain. */
bool lx_cats_blocked(const lx_tensor *const *tensors, int count, int dim);

/* `length` of x along a dimension, to be read: of a plain tensor a view, of a blocked one a blocked copy, where
 * lx_parts_blocked says that it is in x and begins and ends with a block. */
lx_code lx_part(lx_tensor *out, const lx_tensor *x, int dim, long start, long length, lx_error *error);
bool lx_parts_blocked(const lx_tensor *x, int dim, long start, long length);

/* Slices of x along a dimension; index is [n]. Keeps the dtype. */
lx_code lx_index_select(lx_tensor *out, const lx_tensor *x, int dim, const lx_tensor *index, lx_error *error);

/* float32 zeros of the shape, with slice i of src added to slice index[i] for each i. */
lx_code lx_index_add(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index, const lx_tensor *src,
                     lx_error *error);

/* For each position of index, the element of x there but at index along the dimension, in whose size alone the
 * shapes may differ. Keeps the dtype. */
lx_code lx_take_along(lx_tensor *out, const lx_tensor *x, int dim, const lx_tensor *index, lx_error *error);

/* float32 zeros of the shape, with each element of src, which has the shape of index, added where lx_take_along
 * would have taken it. */
lx_code lx_scatter_along(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index,
                         const lx_tensor *src, lx_error *error);

/* int32 of the shape: which element of its line of indices, from 1, is the last that names the place; 0 where none
 * does. */
lx_code lx_last_along(lx_tensor *out, int ndim, const long *shape, int dim, const lx_tensor *index, lx_error *error);

#endif
