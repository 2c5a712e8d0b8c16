#include "checksum.h"

#include <string.h>

static const uint64_t PRIME[5] = {0x9e3779b185ebca87u, 0xc2b2ae3d27d4eb4fu, 0x165667b19e3779f9u, 0x85ebca77c2b2ae63u,
                                  0x27d4eb2f165667c5u};

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t word_at(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return word;
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
    return rotate(sum + word * PRIME[1], 31) * PRIME[0];
}

/* Four sums go over the bytes side by side, so that none waits for another. Returns where the last whole stripe ends.
 */
static const uint8_t *add_stripes(const uint8_t *at, size_t size, uint64_t sums[4])
{
    for (; size >= 32; size -= 32, at += 32)
        for (int i = 0; i < 4; i++)
            sums[i] = mix(sums[i], word_at(at + 8 * i, 8));
    return at;
}

uint64_t lx_checksum(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    size_t left = size;
    uint64_t sum = PRIME[4];
    if (size >= 32) {
        uint64_t sums[4] = {PRIME[0] + PRIME[1], PRIME[1], 0, -PRIME[0]};
        at = add_stripes(at, size, sums);
        left = size % 32;
        sum = rotate(sums[0], 1) + rotate(sums[1], 7) + rotate(sums[2], 12) + rotate(sums[3], 18);
        for (int i = 0; i < 4; i++)
            sum = (sum ^ mix(0, sums[i])) * PRIME[0] + PRIME[3];
    }
    sum += size;
    for (; left >= 8; left -= 8, at += 8)
        sum = rotate(sum ^ mix(0, word_at(at, 8)), 27) * PRIME[0] + PRIME[3];
    for (; left >= 4; left -= 4, at += 4)
        sum = rotate(sum ^ word_at(at, 4) * PRIME[0], 23) * PRIME[1] + PRIME[2];
    for (; left > 0; left--, at++)
        sum = rotate(sum ^ *at * PRIME[4], 11) * PRIME[0];
    sum = (sum ^ sum >> 33) * PRIME[1];
    sum = (sum ^ sum >> 29) * PRIME[2];
    return sum ^ sum >> 32;
}

#ifdef LX_ZLIB

#include <zlib.h>

uint32_t lx_crc32(const uint8_t *bytes, size_t size)
{
    return (uint32_t)crc32_z(0, bytes, size);
}

#else

uint32_t lx_crc32(const uint8_t *bytes, size_t size)
{
    /* Four bits at a time: the remainders of the 16 half-bytes by the reversed polynomial 0xedb88320. */
    static const uint32_t remainders[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                            0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                            0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return ~crc;
}

#endif
