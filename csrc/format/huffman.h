/* Huffman codes as JPEG has them (ITU-T T.81, annexes C and F), and the bits that they are made of. */
#ifndef LX_HUFFMAN_H
#define LX_HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rooms.h"

enum {
    LX_CODE_BITS = 16, /* of the longest code */
    LX_QUICK_BITS = 8  /* codes up to this length are looked up */
};

typedef struct {
    bool defined;
    int32_t end[LX_CODE_BITS + 2];    /* the first code of each length that there is not, at the upper end of 16 bits */
    int32_t offset[LX_CODE_BITS + 1]; /* from a code of this length to the place of its symbol */
    uint8_t symbol[256];
    uint8_t quick_length[1 << LX_QUICK_BITS], quick_symbol[1 << LX_QUICK_BITS]; /* length 0: the code is longer */
} lx_huffman;

/* Makes a table of how many codes of each length there are and of their symbols; false if there are more than can be.
   At most 256 in all. */
bool lx_huffman_make(lx_huffman *table, const uint8_t counts[LX_CODE_BITS], const uint8_t *symbols);

/* A stream with its place, and the bits that were read. */
typedef struct {
    const uint8_t *bytes;
    size_t size, at;
    uint64_t window;   /* the next bit uppermost; 0 below those that were read */
    int bits, made_up; /* how many there are; how many of the last of them are beyond the end */
} lx_bits;

/* Eight bytes without a marker or a stuffed byte among them, as far as they fit; false if there are none. */
static inline bool lx_bits_fill_quickly(lx_bits *s)
{
    uint64_t word;
    if (s->size - s->at < sizeof word)
        return false;
    memcpy(&word, s->bytes + s->at, sizeof word);
    if ((~word - 0x0101010101010101) & word & 0x8080808080808080) /* one is 0xff */
        return false;
    const uint64_t next = (uint64_t)lx_big32(s->bytes + s->at) << 32 | lx_big32(s->bytes + s->at + 4);
    const int bytes = (64 - s->bits) / 8;
    s->window |= next >> (64 - 8 * bytes) << (64 - 8 * bytes - s->bits);
    s->bits += 8 * bytes;
    s->at += (size_t)bytes;
    return true;
}

/* At least 32 bits more: a code and the number behind it. Beyond the end, or a marker, they are made up; whoever used
   them notices by and by. */
static inline void lx_bits_fill(lx_bits *s)
{
    if (s->bits >= 32 || lx_bits_fill_quickly(s))
        return;
    while (s->bits <= 56) {
        uint64_t byte = 0;
        const bool marker = s->at < s->size && s->bytes[s->at] == 0xff &&
                            !(s->at + 1 < s->size && s->bytes[s->at + 1] == 0);
        if (s->at < s->size && !marker) {
            byte = s->bytes[s->at];
            s->at += byte == 0xff ? 2 : 1;
        } else {
            s->made_up += 8;
        }
        s->window |= byte << (56 - s->bits);
        s->bits += 8;
    }
}

static inline void lx_bits_drop(lx_bits *s, int count)
{
    s->window <<= count;
    s->bits -= count;
}

/* Whether bits were used that are not there. */
static inline bool lx_bits_overrun(const lx_bits *s)
{
    return s->made_up > s->bits;
}

/* The next symbol, after a fill; -1 where there is no such code. */
static inline int lx_huffman_next(lx_bits *s, const lx_huffman *h)
{
    const uint32_t head = (uint32_t)(s->window >> (64 - LX_QUICK_BITS));
    if (h->quick_length[head]) {
        lx_bits_drop(s, h->quick_length[head]);
        return h->quick_symbol[head];
    }
    const int32_t code = (int32_t)(s->window >> (64 - LX_CODE_BITS));
    int length = 1;
    while (code >= h->end[length])
        length++;
    if (length > LX_CODE_BITS)
        return -1;
    lx_bits_drop(s, length);
    return h->symbol[((code >> (LX_CODE_BITS - length)) + h->offset[length]) & 255];
}

/* The number of a category (1 to 15 bits) that follows a code: the lower half of those of so many bits is negative. */
static inline int lx_bits_number(lx_bits *s, int category)
{
    const int value = (int)(s->window >> (64 - category));
    lx_bits_drop(s, category);
    return value < 1 << (category - 1) ? value - (1 << category) + 1 : value;
}

/* Goes over a restart marker to whole bytes; false if there is none. */
bool lx_bits_restart(lx_bits *s);

#endif
