/* Invariants that the code relies on, whatever users pass: where one does not hold, the process says so and aborts.
 *
 * Only builds for finding mistakes look (LX_CHECKED: `make DEBUG=1`, with a SANITIZE, or ASSERTS=1). What a user, a
 * file or the system can bring about is no invariant: that is an lx_error.
 */
#ifndef LX_INVARIANT_H
#define LX_INVARIANT_H

#ifdef LX_CHECKED
#include <stdio.h>
#include <stdlib.h>

#define LX_ASSERT(condition) \
    ((condition) ? (void)0   \
                 : (fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition), abort()))
#else
#define LX_ASSERT(condition) ((void)(0 && (condition))) /* compiled, not computed */
#endif

/* That a table has a row for each value of an enum. */
#define LX_COUNT(table) (sizeof(table) / sizeof(table)[0])
#define LX_ASSERT_ROWS(table, rows) _Static_assert(LX_COUNT(table) == (rows), #table " has a row for each of " #rows)

#endif
