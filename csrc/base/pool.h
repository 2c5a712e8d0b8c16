/* Threads that share the pieces of a piece of work with the thread that asks for it. There is one pool for each cpu
 * device, so that states of Lua in several threads of a host do not meet in it. */
#ifndef LX_POOL_H
#define LX_POOL_H

#include <stdbool.h>

#include "error.h"

typedef struct lx_pool lx_pool;

/* Does piece `index` of the work. */
typedef void lx_task(void *work, long index);

/* How many threads to compute with: the number that LUXEL_THREADS or else OMP_NUM_THREADS begins with, or as many as
 * there are processors for this process. */
int lx_default_threads(void);

/* A pool without threads yet: they are started when they are first wanted. NULL and an error if there is no memory. */
lx_pool *lx_pool_open(int threads, lx_error *error);

/* Threads that work is shared among, the calling one among them; may be fewer than were asked for. */
int lx_pool_threads(const lx_pool *pool);
void lx_pool_resize(lx_pool *pool, int threads);

/* Who is to be asked between pieces whether the work should be given up (NULL: nobody), and who is told that the system
 * starts no more threads. Both are called on the thread that calls lx_pool_run. */
typedef struct {
    bool (*interrupted)(void *owner);
    void (*short_of_threads)(void *owner, int wanted, int got);
    void *owner;
} lx_pool_listener;
void lx_pool_listen(lx_pool *pool, lx_pool_listener listener);

/* Calls task(work, index) for the indices below `count`, each once, in any order, in several threads, and returns when
 * all is done; with LX_EINTERRUPTED not all of them were called. */
lx_code lx_pool_run(lx_pool *pool, long count, lx_task *task, void *work, lx_error *error);

/* Ends the threads. */
void lx_pool_close(lx_pool *pool);

#endif
