#include "fork.h"

#include <pthread.h>

/* A fact of the process, not of a state of Lua, and the only global variable. The child's handler alone writes to it,
 * while there is one thread. */
static unsigned forks;

static void count_fork(void)
{
    forks++;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned lx_forks(void)
{
    return forks;
}
