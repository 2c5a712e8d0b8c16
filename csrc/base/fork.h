/* Processes that are made by fork have one thread, whatever there was before. */
#ifndef LX_FORK_H
#define LX_FORK_H

/* How often this process was forked off since the module was loaded: threads, locks and drivers that were begun at
 * another count are not there any more. */
unsigned lx_forks(void);

#endif
