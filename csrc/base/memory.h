/* Large blocks of host memory. */
#ifndef LX_MEMORY_H
#define LX_MEMORY_H

#include <stddef.h>

/* Memory from the system for free(), on huge pages where it is large, so that touching it for the first time does not
   take longer than the work that it is for; NULL if there is none, also where the system would promise more than it has
   left. */
void *lx_host_block(size_t size, size_t alignment);

/* Gives the pages of freed blocks back to the system, which free() keeps where others lie behind them. */
void lx_host_trim(void);

#endif
