/* What this machine can do at most: a loop of multiply-adds in registers, and loops over memory far larger than the
 * caches. Prints {"gflops", "read", "copy", "add", "update", "fill", "stream"}: after the first in GB/s of the bytes
 * that a loop names, each the best of several passes. What a store reads before it writes a line is not counted;
 * "stream" is "copy" with stores that go past the caches instead. Usage: peak THREADS */
#include <omp.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));

enum { CHAINS = 12, STEPS = 20000000, PASSES = 7, PIECE = 1 << 19, HUGE_PAGE = 2 << 20 };
static const size_t COUNT = 32 << 20; /* floats in an array, a multiple of PIECE */

/* Independent chains, so that each unit always has one that is ready. */
static float multiply_adds(long steps)
{
    lanes chain[CHAINS], factor, step;
    for (int i = 0; i < LANES; i++)
        factor[i] = 0.999f, step[i] = 0.001f;
    for (int c = 0; c < CHAINS; c++)
        chain[c] = step * (float)c;
    for (long n = 0; n < steps; n++)
        for (int c = 0; c < CHAINS; c++)
            chain[c] = chain[c] * factor + step;
    float sum = 0;
    for (int c = 0; c < CHAINS; c++)
        for (int i = 0; i < LANES; i++)
            sum += chain[c][i];
    return sum;
}

static double gflops(float *sink)
{
    double best = 0;
    for (int pass = 0; pass < 3; pass++) {
        float sum = 0;
        const double start = omp_get_wtime();
#pragma omp parallel reduction(+ : sum)
        sum += multiply_adds(STEPS);
        const double seconds = omp_get_wtime() - start;
        const double speed = 2e-9 * CHAINS * LANES * STEPS * omp_get_max_threads() / seconds;
        best = speed > best ? speed : best;
        *sink += sum;
    }
    return best;
}

/* Writes past the caches, where the processor can. */
static inline void store_past(float *to, lanes value)
{
#if defined(__SSE2__)
    for (int i = 0; i < LANES; i += 4)
        _mm_stream_ps(to + i, (__m128){value[i], value[i + 1], value[i + 2], value[i + 3]});
#else
    *(lanes *)to = value;
#endif
}

typedef enum { READ, COPY, ADD, UPDATE, FILL, STREAM } loop;

static float walk(loop which, const float *a, const float *b, float *y, size_t from, size_t to)
{
    float sum = 0;
    if (which == READ) {
        lanes total = {0};
        for (size_t i = from; i < to; i += LANES)
            total += *(const lanes *)(a + i);
        sum = total[0];
    } else if (which == COPY) {
        for (size_t i = from; i < to; i += LANES)
            *(lanes *)(y + i) = *(const lanes *)(a + i) + 1.0f;
    } else if (which == UPDATE) {
        for (size_t i = from; i < to; i += LANES)
            *(lanes *)(y + i) = *(const lanes *)(y + i) * 0.5f + *(const lanes *)(a + i);
    } else if (which == FILL) {
        for (size_t i = from; i < to; i += LANES)
            *(lanes *)(y + i) = (lanes){0} + (float)from;
    } else if (which == STREAM) {
        for (size_t i = from; i < to; i += LANES)
            store_past(y + i, *(const lanes *)(a + i) + 1.0f);
    } else {
        for (size_t i = from; i < to; i += LANES)
            *(lanes *)(y + i) = *(const lanes *)(a + i) + *(const lanes *)(b + i);
    }
    return sum;
}

static double bandwidth(loop which, const float *a, const float *b, float *y, float *sink)
{
    static const int touched[] = {[READ] = 1, [COPY] = 2, [ADD] = 3, [UPDATE] = 3, [FILL] = 1, [STREAM] = 2};
    double best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        float sum = 0;
        const double start = omp_get_wtime();
#pragma omp parallel for reduction(+ : sum) schedule(dynamic)
        for (size_t from = 0; from < COUNT; from += PIECE)
            sum += walk(which, a, b, y, from, from + PIECE);
        const double speed = 1e-9 * touched[which] * sizeof *a * COUNT / (omp_get_wtime() - start);
        best = speed > best ? speed : best;
        *sink += sum;
    }
    return best;
}

static float *array(void)
{
    float *memory = NULL;
    if (posix_memalign((void **)&memory, HUGE_PAGE, COUNT * sizeof *memory)) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
#ifdef MADV_HUGEPAGE
    madvise(memory, COUNT * sizeof *memory, MADV_HUGEPAGE);
#endif
#pragma omp parallel for
    for (size_t i = 0; i < COUNT; i++)
        memory[i] = (float)(i % 17);
    return memory;
}

int main(int argc, char **argv)
{
    const int threads = argc == 2 ? atoi(argv[1]) : 0;
    if (threads < 1) {
        fprintf(stderr, "usage: peak THREADS\n");
        return 1;
    }
    omp_set_num_threads(threads);
    float sink = 0;
    float *a = array(), *b = array(), *y = array();
    printf("{\"gflops\": %.1f", gflops(&sink));
    static const char *const names[] = {"read", "copy", "add", "update", "fill", "stream"};
    for (loop which = READ; which <= STREAM; which++)
        printf(", \"%s\": %.2f", names[which], bandwidth(which, a, b, y, &sink));
    printf(", \"sums\": %g}\n", sink);
    free(a);
    free(b);
    free(y);
    return 0;
}
