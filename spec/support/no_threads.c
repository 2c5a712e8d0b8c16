/* In between, by LD_PRELOAD: a system that gives no more threads than THREADS says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    static int given;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (given >= atoi(getenv("THREADS")))
        return EAGAIN;
    given++;
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    return create(thread, attributes, start, argument);
}
