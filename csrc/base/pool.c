/* Work is handed over by a count of works, `turn`, that the threads watch: for a short while by looking again and
 * again, because the next launch of a network comes within microseconds, and then asleep. Whoever comes late finds the
 * pieces taken, and does no harm: the calling thread never waits for a thread to come, only for one that is at a piece.
 * That may take long where other processes want the processors, so it is reckoned how much time sharing has gained, and
 * where it lost some, the calling thread works alone for a while. */
#define _GNU_SOURCE
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fork.h"

enum {
    MOST_THREADS = 1024,
    STACK_BYTES = 8 << 20,
    LOOKS = 256, /* between two looks at the clock */
};

/* Seconds that a thread looks before it sleeps. Waking it takes some 0.1 ms, but where others want the processors,
 * those who slept are served first, and those who looked are stopped in the middle of a piece. */
static const double WATCH = 2e-3, WATCH_CROWDED = 100e-6;
static const double TAKEN = 50e-6;      /* yielding took so long: somebody else wants the processor */
static const double CROWDED = 0.2;      /* seconds for which that is remembered */
static const double MOST_CREDIT = 5e-3; /* seconds of gain that are remembered */
static const double ALONE = 16;         /* times what was lost: so long the calling thread works alone */

struct lx_pool {
    int wanted;     /* threads to compute with */
    int most;       /* that the system gave */
    int started;    /* threads of the pool's own */
    unsigned forks; /* lx_forks() when they were */
    bool running;
    double credit, alone_until; /* seconds that sharing gained; when it is tried again */
    _Atomic double crowded_until;
    lx_pool_listener listener;
    pthread_t *threads;
    /* the work, which only changes while `open` is false and nobody is inside */
    lx_task *task;
    void *work;
    long count;
    _Alignas(64) atomic_uint turn; /* counts works */
    atomic_bool open, stopping;
    _Alignas(64) atomic_long next;  /* the first piece that nobody has taken */
    _Alignas(64) atomic_int inside; /* threads of the pool that may be at a piece */
    atomic_int asleep;
    atomic_bool awaited; /* the calling thread sleeps until nobody is inside */
    pthread_mutex_t lock;
    pthread_cond_t wake, left;
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- the pool's threads --------------------------------------------------------------------------------------- */

/* Whether there is a turn after `seen`. */
static bool has_turn(const lx_pool *pool, unsigned seen)
{
    return atomic_load_explicit(&pool->turn, memory_order_relaxed) != seen;
}

/* Whether nobody is at a piece. */
static bool is_left(const lx_pool *pool, unsigned unused)
{
    (void)unused;
    return atomic_load(&pool->inside) == 0;
}

/* Looks again and again, for a while and as long as nobody else wants the processor, whether `is` has come true. */
static bool watch(lx_pool *pool, bool (*is)(const lx_pool *, unsigned), unsigned seen)
{
    const double start = lx_now();
    const double end = start + (start < atomic_load(&pool->crowded_until) ? WATCH_CROWDED : WATCH);
    for (double now = start; now < end;) {
        for (int i = 0; i < LOOKS; i++) {
            if (is(pool, seen))
                return true;
            pause_briefly();
        }
        now = lx_now();
        sched_yield();
        const double back = lx_now();
        if (back - now > TAKEN) {
            atomic_store(&pool->crowded_until, back + CROWDED);
            return is(pool, seen);
        }
    }
    return false;
}

static void await_turn(lx_pool *pool, unsigned seen)
{
    if (watch(pool, has_turn, seen))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (atomic_load(&pool->turn) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* Takes pieces until there are none. */
static void take_pieces(lx_pool *pool)
{
    for (long i; (i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->count;)
        pool->task(pool->work, i);
}

/* Sequential consistency sees to it that whoever is inside finds the work closed, or is waited for by who closed it. */
static void help(lx_pool *pool)
{
    atomic_fetch_add(&pool->inside, 1);
    if (atomic_load(&pool->open))
        take_pieces(pool);
    if (atomic_fetch_sub(&pool->inside, 1) == 1 && atomic_load(&pool->awaited)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->left);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void *thread(void *argument)
{
    lx_pool *pool = argument;
    unsigned seen = 0;
    while (!atomic_load(&pool->stopping)) {
        await_turn(pool, seen);
        seen = atomic_load(&pool->turn);
        help(pool);
    }
    return NULL;
}

/* ---- starting and ending them --------------------------------------------------------------------------------- */

static void prepare(lx_pool *pool)
{
    pool->started = 0;
    pool->running = false;
    pool->credit = pool->alone_until = 0;
    atomic_store(&pool->crowded_until, 0);
    pool->most = MOST_THREADS;
    pool->forks = lx_forks();
    atomic_store(&pool->inside, 0);
    atomic_store(&pool->asleep, 0);
    atomic_store(&pool->awaited, false);
    atomic_store(&pool->stopping, false);
    atomic_store(&pool->turn, 0);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->left, NULL);
}

/* Starts a thread with room on its stack for kernels, which takes no signals: those are for the threads of the host. */
static bool start(lx_pool *pool)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    if (pthread_attr_init(&attributes))
        return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const bool started = !pthread_create(&pool->threads[pool->started], &attributes, thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    pool->started += started;
    return started;
}

/* Starts what is wanted and not there. Where the system gives no more threads, it goes on with those that there are. */
static void start_all(lx_pool *pool)
{
    const int wanted = pool->wanted < pool->most ? pool->wanted : pool->most;
    while (pool->started < wanted - 1)
        if (!start(pool)) {
            pool->most = pool->started + 1;
            if (pool->listener.short_of_threads)
                pool->listener.short_of_threads(pool->listener.owner, pool->wanted, pool->most);
            return;
        }
}

/* Wakes `count` threads of those that sleep. */
static void wake(lx_pool *pool, long count)
{
    if (atomic_load(&pool->asleep) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    if (count >= pool->started)
        pthread_cond_broadcast(&pool->wake);
    else
        for (long i = 0; i < count; i++)
            pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void end_all(lx_pool *pool)
{
    if (pool->forks == lx_forks()) { /* in a forked process there are none */
        atomic_store(&pool->stopping, true);
        atomic_fetch_add(&pool->turn, 1);
        wake(pool, pool->started);
        for (int i = 0; i < pool->started; i++)
            pthread_join(pool->threads[i], NULL);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->left);
        pthread_mutex_destroy(&pool->lock);
    }
    prepare(pool);
}

int lx_default_threads(void)
{
    static const char *const names[] = {"LUXEL_THREADS", "OMP_NUM_THREADS"};
    for (int i = 0; i < 2; i++) {
        const char *text = getenv(names[i]);
        const long count = text ? strtol(text, NULL, 10) : 0;
        if (count >= 1)
            return count < MOST_THREADS ? (int)count : MOST_THREADS;
    }
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count >= 1 && count <= MOST_THREADS ? (int)count : 1;
}

lx_pool *lx_pool_open(int threads, lx_error *error)
{
    lx_pool *pool = aligned_alloc(64, sizeof *pool);
    pthread_t *own = calloc(MOST_THREADS, sizeof *own);
    if (!pool || !own) {
        free(pool);
        free(own);
        lx_fail(error, LX_ENOMEM, "out of memory");
        return NULL;
    }
    *pool = (lx_pool){.wanted = threads, .threads = own};
    prepare(pool);
    return pool;
}

int lx_pool_threads(const lx_pool *pool)
{
    return pool->wanted < pool->most ? pool->wanted : pool->most;
}

void lx_pool_resize(lx_pool *pool, int threads)
{
    pool->wanted = threads;
    if (pool->started > threads - 1)
        end_all(pool);
    pool->most = MOST_THREADS; /* perhaps there are more now */
}

void lx_pool_listen(lx_pool *pool, lx_pool_listener listener)
{
    pool->listener = listener;
}

void lx_pool_close(lx_pool *pool)
{
    if (!pool)
        return;
    end_all(pool);
    free(pool->threads);
    free(pool);
}

/* ---- work ----------------------------------------------------------------------------------------------------- */

static bool interrupted(const lx_pool *pool)
{
    return pool->listener.interrupted && pool->listener.interrupted(pool->listener.owner);
}

static void await_others(lx_pool *pool)
{
    if (watch(pool, is_left, 0))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->awaited, true);
    while (atomic_load(&pool->inside) > 0)
        pthread_cond_wait(&pool->left, &pool->lock);
    atomic_store(&pool->awaited, false);
    pthread_mutex_unlock(&pool->lock);
}

static lx_code run_alone(const lx_pool *pool, long count, lx_task *task, void *work, lx_error *error)
{
    for (long i = 0; i < count; i++) {
        if (i > 0 && interrupted(pool))
            return lx_fail(error, LX_EINTERRUPTED, "interrupted");
        task(work, i);
    }
    return LX_OK;
}

/* Opens the work to the others, and does what they leave of it. Returns the pieces that were done here. */
static long run_shared(lx_pool *pool, long count, lx_task *task, void *work, double *began, bool *stop)
{
    long done = 0;
    pool->task = task;
    pool->work = work;
    pool->count = count;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->open, true);
    atomic_fetch_add(&pool->turn, 1);
    wake(pool, count - 1);
    *began = lx_now();
    for (long i; (i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < count; done++) {
        task(work, i);
        if (!*stop && i < count - 1 && interrupted(pool)) {
            *stop = true;
            atomic_store(&pool->next, count);
        }
    }
    atomic_store(&pool->open, false);
    return done;
}

/* Reckons with what it took, and what it would have taken alone. */
static void reckon(lx_pool *pool, double alone, double took, double now)
{
    pool->credit += alone - took;
    if (pool->credit > MOST_CREDIT)
        pool->credit = MOST_CREDIT;
    if (pool->credit < 0) {
        pool->alone_until = now - ALONE * pool->credit;
        pool->credit = 0;
    }
}

lx_code lx_pool_run(lx_pool *pool, long count, lx_task *task, void *work, lx_error *error)
{
    bool stop = false;
    if (pool->forks != lx_forks())
        prepare(pool);
    if (count < 2 || pool->wanted < 2 || pool->running)
        return run_alone(pool, count, task, work, error);
    start_all(pool);
    const double start = lx_now();
    if (pool->started == 0 || start < pool->alone_until)
        return run_alone(pool, count, task, work, error);
    pool->running = true;
    double began;
    const long done = run_shared(pool, count, task, work, &began, &stop);
    const double here = lx_now() - began;
    await_others(pool);
    const double end = lx_now();
    pool->running = false;
    if (stop)
        return lx_fail(error, LX_EINTERRUPTED, "interrupted");
    if (done > 0)
        reckon(pool, here * (double)count / (double)done, end - start, end);
    return LX_OK;
}
