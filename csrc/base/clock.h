/* The time, for measuring. */
#ifndef LX_CLOCK_H
#define LX_CLOCK_H

/* Seconds on a clock that only goes forward. */
double lx_now(void);

#endif
