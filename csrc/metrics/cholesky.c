#include "cholesky.h"

#include <math.h>

/* Four sums at a time, which processors add side by side. */
static double product(const double *a, const double *b, long count)
{
    double sums[4] = {0, 0, 0, 0};
    long i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++)
            sums[k] += a[i + k] * b[i + k];
    for (; i < count; i++)
        sums[0] += a[i] * b[i];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

static bool factorise(double *matrix, long size)
{
    for (long i = 0; i < size; i++) {
        double *row = matrix + i * size;
        for (long k = 0; k < i; k++)
            row[k] = (row[k] - product(row, matrix + k * size, k)) / matrix[k * size + k];
        const double rest = row[i] - product(row, row, i);
        if (!(rest > 0) || isinf(rest)) /* NaN is not above 0 either */
            return false;
        row[i] = sqrt(rest);
    }
    return true;
}

bool lx_solve_positive(double *matrix, double *vector, long size)
{
    if (!factorise(matrix, size))
        return false;
    for (long i = 0; i < size; i++)
        vector[i] = (vector[i] - product(matrix + i * size, vector, i)) / matrix[i * size + i];
    for (long i = size - 1; i >= 0; i--) {
        vector[i] /= matrix[i * size + i];
        for (long k = 0; k < i; k++)
            vector[k] -= matrix[i * size + k] * vector[i];
    }
    for (long i = 0; i < size; i++)
        if (!isfinite(vector[i]))
            return false;
    return true;
}
