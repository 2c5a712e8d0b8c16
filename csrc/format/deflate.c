/* Compression as PNG wants it: one block with the fixed codes of RFC 1951, in the wrapping of RFC 1950. All memory is
   taken at once before the work, so that it fails there or not at all. */
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

enum {
    WINDOW = 32768,
    SHORTEST = 3, /* and longest repetition */
    LONGEST = 258,
    HASH_BITS = 15,
    TRIES = 24 /* earlier places compared at each byte */
};

typedef struct {
    uint8_t *out;
    size_t size;
    uint32_t bits; /* that are not whole bytes yet, and how many */
    int waiting;
} bit_writer;

/* Places with the same three bytes: the last one of each hash, and the one before each place in the window; -1: none.
 */
typedef struct {
    int32_t last[1 << HASH_BITS], before[WINDOW];
} repetitions;

static void put_bits(bit_writer *to, uint32_t value, int count)
{
    to->bits |= value << to->waiting;
    to->waiting += count;
    for (; to->waiting >= 8; to->waiting -= 8, to->bits >>= 8)
        to->out[to->size++] = (uint8_t)to->bits;
}

/* Codes go out from their highest bit on. */
static void put_code(bit_writer *to, uint32_t code, int count)
{
    uint32_t turned = 0;
    for (int i = 0; i < count; i++)
        turned |= (code >> i & 1) << (count - 1 - i);
    put_bits(to, turned, count);
}

/* A byte, the end (256) or a length (from 257 on). */
static void put_symbol(bit_writer *to, unsigned symbol)
{
    if (symbol < 144)
        put_code(to, 0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(to, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(to, symbol - 256, 7);
    else
        put_code(to, 0xc0 + symbol - 280, 8);
}

/* Lengths and distances come in classes of 2^k values: four, or two, of each k. `value` counts from 0. Returns the
   class and the bits that follow it. */
static unsigned class_of(unsigned value, int per_octave_bits, int *extra)
{
    *extra = 0;
    while (value >> *extra >= 2u << per_octave_bits)
        ++*extra;
    return ((unsigned)*extra << per_octave_bits) + (value >> *extra);
}

static void put_repetition(bit_writer *to, int length, int distance)
{
    int extra;
    const unsigned longer = (unsigned)(length - SHORTEST), further = (unsigned)(distance - 1);
    if (length == LONGEST) {
        put_symbol(to, 285);
    } else {
        put_symbol(to, 257 + class_of(longer, 2, &extra));
        put_bits(to, longer & ((1u << extra) - 1), extra);
    }
    put_code(to, class_of(further, 1, &extra), 5);
    put_bits(to, further & ((1u << extra) - 1), extra);
}

static uint32_t hash_at(const uint8_t *data)
{
    return ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16) * 2654435761u >> (32 - HASH_BITS);
}

static void note_place(repetitions *seen, const uint8_t *data, int size, int at)
{
    if (at + SHORTEST > size)
        return;
    int32_t *last = &seen->last[hash_at(data + at)];
    seen->before[at % WINDOW] = *last;
    *last = at;
}

/* The longest earlier run of bytes that are those from `at` on; 0 if none is long enough. */
static int find_repetition(const repetitions *seen, const uint8_t *data, int size, int at, int *distance)
{
    const int most = size - at < LONGEST ? size - at : LONGEST;
    int best = SHORTEST - 1;
    if (most < SHORTEST)
        return 0;
    int place = seen->last[hash_at(data + at)];
    for (int tries = 0; tries < TRIES && place >= 0 && at - place <= WINDOW && best < most; tries++) {
        int length = 0;
        if (data[place + best] == data[at + best])
            while (length < most && data[place + length] == data[at + length])
                length++;
        if (length > best) {
            best = length;
            *distance = at - place;
        }
        place = seen->before[place % WINDOW];
    }
    return best >= SHORTEST ? best : 0;
}

static uint32_t adler32(const uint8_t *data, int size)
{
    uint32_t a = 1, b = 0;
    for (int i = 0; i < size; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

uint8_t *lx_deflate(const uint8_t *data, int size, int *length)
{
    /* No byte takes more than nine bits: a repetition takes fewer than the bytes that it stands for. */
    bit_writer to = {.out = malloc((size_t)size + (size_t)size / 8 + 16)};
    repetitions *seen = malloc(sizeof *seen);
    if (!to.out || !seen) {
        free(to.out);
        free(seen);
        return NULL;
    }
    memset(seen, 0xff, sizeof *seen);
    put_bits(&to, 0x78, 8); /* a window of 32 KiB, and a check of the header */
    put_bits(&to, 0x5e, 8);
    put_bits(&to, 1, 1); /* the last block */
    put_bits(&to, 1, 2); /* of the fixed codes */
    for (int at = 0; at < size;) {
        int distance = 0;
        const int found = find_repetition(seen, data, size, at, &distance), step = found ? found : 1;
        if (found)
            put_repetition(&to, found, distance);
        else
            put_symbol(&to, data[at]);
        for (int i = 0; i < step; i++)
            note_place(seen, data, size, at + i);
        at += step;
    }
    put_symbol(&to, 256);
    put_bits(&to, 0, (8 - to.waiting) % 8);
    const uint32_t check = adler32(data, size);
    for (int shift = 24; shift >= 0; shift -= 8)
        put_bits(&to, check >> shift & 255, 8);
    free(seen);
    *length = (int)to.size;
    return to.out;
}
