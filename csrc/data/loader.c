#include "loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/count.h"
#include "../base/fork.h"

/* A batch that was given and has not been returned. */
typedef struct {
    float *images;
    uint8_t *masks;
    long left;   /* images that are not done */
    long failed; /* the first visit of it that failed, and why; -1: none */
    lx_error error;
} batch_slot;

struct lx_loader {
    lx_loader_options options;
    lx_visit *visits;
    long batches;
    pthread_mutex_t lock;
    pthread_cond_t work, done; /* there is a batch to fill; a batch is full */
    /* under the lock: */
    batch_slot slots[LX_LOADER_MOST_AHEAD]; /* batch b is in slot b % MOST_AHEAD */
    long given, returned;                   /* batches */
    long next;                              /* the first visit that nobody has taken */
    bool stopping;
    int started;
    unsigned forks; /* lx_forks() when they were */
    pthread_t threads[LX_LOADER_MOST_THREADS];
};

/* ---- one image ------------------------------------------------------------------------------------------------ */

/* The samples of all channels as floats of the batch. */
static void write_floats(const lx_loader_options *options, const lx_sample *sample, float *to)
{
    const size_t count = lx_plane_count(&sample->image) * (size_t)sample->channels;
    if (sample->image.type == LX_PLANE_U8) {
        const uint8_t *from = sample->image.samples;
        for (size_t i = 0; i < count; i++)
            to[i] = (float)from[i] * options->scale + options->bias;
    } else {
        const float *from = sample->image.samples;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i] * options->scale + options->bias;
    }
}

/* Takes the images of a visit through the pipeline, into memory of its own: what the pipeline gives has the type of
   what went in. */
static lx_code run_pipeline(const lx_loader_options *options, const lx_visit *visit, const lx_stored *image,
                            const lx_stored *mask, float *images, uint8_t *masks, lx_error *error)
{
    const lx_sample in = {.image = image->plane, .channels = image->channels, .mask = mask->plane};
    const size_t count = (size_t)options->height * (size_t)options->width;
    lx_sample out = {.channels = image->channels,
                     .image = {options->width, options->height, image->plane.type, NULL},
                     .mask = {options->width, options->height, LX_PLANE_U8, masks}};
    int width, height;
    lx_pipeline_size(options->pipeline, in.image.width, in.image.height, &width, &height);
    if (width != options->width || height != options->height)
        return lx_fail(error, LX_EARG, "the images differ in size (%d x %d beside %d x %d); give the pipeline a size",
                       height, width, options->height, options->width);
    out.image.samples = malloc(lx_plane_bytes(&out.image) * (size_t)out.channels);
    if (!out.image.samples)
        return lx_fail(error, LX_ENOMEM, "out of memory for an image of %zu pixels", count);
    const lx_draw draw = {options->seed, options->epoch, visit->draw};
    if (!lx_pipeline_run(options->pipeline, draw, &in, &out, error))
        write_floats(options, &out, images);
    free(out.image.samples);
    return error->code;
}

/* Fills the place of one visit. */
static lx_code load(const lx_loader_options *options, const lx_visit *visit, float *images, uint8_t *masks,
                    lx_error *error)
{
    lx_stored image = {0}, mask = {0};
    const bool has_mask = options->masks && visit->mask >= 0;
    if (masks && !has_mask)
        memset(masks, 0, (size_t)options->height * (size_t)options->width);
    if (!lx_store_get(options->images, visit->image, &image, error) &&
        (!has_mask || !lx_store_get(options->masks, visit->mask, &mask, error)))
        run_pipeline(options, visit, &image, &mask, images, masks, error);
    lx_store_put(&image);
    lx_store_put(&mask);
    return error->code;
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

/* Does a visit that this thread has taken; the lock is not held. */
static void fill(lx_loader *self, long visit)
{
    const lx_loader_options *options = &self->options;
    const long batch = visit / options->batch, place = visit % options->batch;
    const size_t pixels = (size_t)options->height * (size_t)options->width;
    batch_slot *slot = &self->slots[batch % LX_LOADER_MOST_AHEAD];
    lx_error error = {.code = LX_OK};
    load(options, &self->visits[visit],
         slot->images + (size_t)place * pixels * (size_t)lx_store_channels(options->images),
         slot->masks ? slot->masks + (size_t)place * pixels : NULL, &error);
    pthread_mutex_lock(&self->lock);
    if (error.code && (slot->failed < 0 || visit < slot->failed)) {
        slot->failed = visit;
        slot->error = error;
    }
    if (--slot->left == 0)
        pthread_cond_signal(&self->done);
    pthread_mutex_unlock(&self->lock);
}

/* The next visit of the batches that were given, or -1; under the lock. */
static long take(lx_loader *self)
{
    return self->next < lx_least(self->given * self->options.batch, self->options.count) ? self->next++ : -1;
}

static void *work(void *loader)
{
    lx_loader *self = loader;
    pthread_mutex_lock(&self->lock);
    while (!self->stopping) {
        const long visit = take(self);
        if (visit < 0) {
            pthread_cond_wait(&self->work, &self->lock);
            continue;
        }
        pthread_mutex_unlock(&self->lock);
        fill(self, visit);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* Signals are for the threads of the host, so these ones take none. Where the system gives no more, those that there
   are have to do, and if there are none, the work is done when it is waited for. */
static void start_threads(lx_loader *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (self->started < self->options.threads && !pthread_create(&self->threads[self->started], NULL, work, self))
        self->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    self->options.threads = self->started;
}

static void prepare_lock(lx_loader *self)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->work, NULL);
    pthread_cond_init(&self->done, &steady);
    pthread_condattr_destroy(&steady);
    self->forks = lx_forks();
}

/* Forgets what was done of the batches that were given and not returned; nobody is at them. */
static void begin_again(lx_loader *self)
{
    self->next = self->returned * self->options.batch;
    for (long batch = self->returned; batch < self->given; batch++) {
        batch_slot *slot = &self->slots[batch % LX_LOADER_MOST_AHEAD];
        slot->failed = -1;
        slot->left = lx_least(self->options.batch, self->options.count - batch * self->options.batch);
    }
}

/* In a forked process the threads are gone, in the midst of their images, and one of them may have held the lock. */
static void notice_fork(lx_loader *self)
{
    if (self->forks == lx_forks())
        return;
    prepare_lock(self);
    self->started = self->options.threads = 0;
    begin_again(self);
}

lx_loader *lx_loader_open(const lx_loader_options *options, lx_error *error)
{
    lx_loader *self = calloc(1, sizeof *self);
    lx_visit *visits = malloc(sizeof *visits * (size_t)(options->count ? options->count : 1));
    if (!self || !visits) {
        free(self);
        free(visits);
        lx_fail(error, LX_ENOMEM, "out of memory for the order of %ld images", options->count);
        return NULL;
    }
    memcpy(visits, options->visits, sizeof *visits * (size_t)options->count);
    self->options = *options;
    self->visits = visits;
    self->batches = lx_ceil_div(options->count, options->batch);
    prepare_lock(self);
    lx_store_retain(options->images);
    if (options->masks)
        lx_store_retain(options->masks);
    lx_pipeline_retain(options->pipeline);
    start_threads(self);
    return self;
}

void lx_loader_give(lx_loader *self, float *images, uint8_t *masks)
{
    notice_fork(self);
    pthread_mutex_lock(&self->lock);
    if (self->given < self->batches && self->given - self->returned < LX_LOADER_MOST_AHEAD) {
        batch_slot *slot = &self->slots[self->given % LX_LOADER_MOST_AHEAD];
        slot->images = images;
        slot->masks = masks;
        slot->failed = -1;
        slot->left = lx_least(self->options.batch, self->options.count - self->given * self->options.batch);
        self->given++;
        pthread_cond_broadcast(&self->work);
    }
    pthread_mutex_unlock(&self->lock);
}

static void fill_next(void *loader, long i)
{
    lx_loader *self = loader;
    fill(self, self->next + i);
}

/* The work of the threads, done by those that compute: the batch that is waited for, of which nothing was done yet. */
static lx_code fill_here(lx_loader *self, lx_pool *pool, lx_error *error)
{
    const long to = lx_least((self->returned + 1) * self->options.batch, self->options.count);
    if (self->next >= to)
        return LX_OK;
    if (lx_pool_run(pool, to - self->next, fill_next, self, error))
        begin_again(self);
    else
        self->next = to;
    return error->code;
}

bool lx_loader_wait(lx_loader *self, double seconds, lx_pool *pool, lx_error *error)
{
    notice_fork(self);
    if (self->options.threads == 0 && fill_here(self, pool, error))
        return false;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const double end = (double)until.tv_nsec * 1e-9 + seconds;
    until.tv_sec += (time_t)end;
    until.tv_nsec = (long)((end - (double)(time_t)end) * 1e9);
    pthread_mutex_lock(&self->lock);
    batch_slot *slot = &self->slots[self->returned % LX_LOADER_MOST_AHEAD];
    while (slot->left > 0 && pthread_cond_timedwait(&self->done, &self->lock, &until) == 0)
        continue;
    const bool ready = self->returned < self->given && slot->left == 0;
    if (ready) {
        self->returned++;
        if (slot->failed >= 0)
            *error = slot->error;
    }
    pthread_mutex_unlock(&self->lock);
    return ready;
}

void lx_loader_close(lx_loader *self)
{
    if (!self)
        return;
    notice_fork(self);
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->lock);
    for (int i = 0; i < self->started; i++)
        pthread_join(self->threads[i], NULL);
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->done);
    pthread_mutex_destroy(&self->lock);
    lx_store_release(self->options.images);
    lx_store_release(self->options.masks);
    lx_pipeline_release(self->options.pipeline);
    free(self->visits);
    free(self);
}
