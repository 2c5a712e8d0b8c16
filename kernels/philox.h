/* Philox 4×32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): four random
 * words that depend on nothing but a key and a counter, so that every device and any number of threads agree. */
#ifndef LX_PHILOX_H
#define LX_PHILOX_H

#ifndef LX_ITEM /* in C, but not in a kernel */
#define LX_ITEM inline
typedef unsigned int uint;
typedef unsigned long ulong;
#endif

typedef struct {
    uint word[4];
} philox_words;

static LX_ITEM philox_words philox(ulong key, ulong low, ulong high)
{
    uint k0 = (uint)key, k1 = (uint)(key >> 32);
    philox_words c = {{(uint)low, (uint)(low >> 32), (uint)high, (uint)(high >> 32)}};
    for (int round = 0; round < 10; round++) {
        const ulong a = (ulong)c.word[0] * 0xD2511F53u, b = (ulong)c.word[2] * 0xCD9E8D57u;
        c.word[0] = (uint)(b >> 32) ^ c.word[1] ^ k0;
        c.word[1] = (uint)b;
        c.word[2] = (uint)(a >> 32) ^ c.word[3] ^ k1;
        c.word[3] = (uint)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* [0, 1), from the upper 24 bits. */
static LX_ITEM float philox_uniform(uint word)
{
    return (float)(word >> 8) * 5.9604644775390625e-8f;
}

#endif
