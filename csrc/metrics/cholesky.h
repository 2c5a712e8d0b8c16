/* Linear equations with a symmetric positive definite matrix, for the Newton steps of lua/luxel/data/linear_probe.lua.
 */
#ifndef LX_CHOLESKY_H
#define LX_CHOLESKY_H

#include <stdbool.h>

/* Solves matrix x = vector in place by the factorisation of Cholesky (Golub and Van Loan, "Matrix computations", 4.2):
   `vector` becomes x, and of the matrix, rows of `size`, the lower triangle is overwritten. Only that one is read.
   False where the matrix is not positive definite in this precision, or holds what is no finite number. */
bool lx_solve_positive(double *matrix, double *vector, long size);

#endif
