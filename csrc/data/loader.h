/* Batches made ahead: threads take images from a store through a pipeline into the batches that they are given. Which
   image stands where and how it is drawn follows from the order and the seed alone. */
#ifndef LX_LOADER_H
#define LX_LOADER_H

#include "../base/pool.h"
#include "pipeline.h"
#include "store.h"

enum { LX_LOADER_MOST_AHEAD = 64, LX_LOADER_MOST_THREADS = 64 };

/* One image of the order: which of the store, which of the masks (-1: it has none, and gets zeros), and the number that
   names its random draws. */
typedef struct {
    long image, mask;
    uint64_t draw;
} lx_visit;

typedef struct {
    lx_store *images, *masks; /* masks: NULL if there are none */
    lx_pipeline *pipeline;
    int height, width; /* of what the pipeline gives */
    float scale, bias; /* a grey value v of 0..255 becomes v * scale + bias */
    uint64_t seed, epoch;
    const lx_visit *visits; /* copied */
    long count;
    int batch;
    int threads;
} lx_loader_options;

typedef struct lx_loader lx_loader;

/* Starts the threads, fewer if the system does not give as many. Without any, which is what a forked process has,
   lx_loader_wait does the work. NULL and an error if there is no memory. */
lx_loader *lx_loader_open(const lx_loader_options *options, lx_error *error);

/* Gives the loader the memory for its next batch: [B, channels, height, width] floats and, if there are masks,
   [B, height, width] bytes, which stay the loader's until lx_loader_wait has returned this batch or the loader is
   closed. */
void lx_loader_give(lx_loader *loader, float *images, uint8_t *masks);

/* Waits for the oldest batch given, `seconds` at most: true if it is ready or failed, and then the error says which
   image it failed at, the first of the batch. `pool` does the work here if the loader has no threads; where that is
   interrupted the error says so, and the batch can be waited for again. */
bool lx_loader_wait(lx_loader *loader, double seconds, lx_pool *pool, lx_error *error);

/* Stops the threads, each after the image it is at. */
void lx_loader_close(lx_loader *loader);

#endif
