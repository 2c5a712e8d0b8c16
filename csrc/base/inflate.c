#include "inflate.h"

#include <stdbool.h>
#include <string.h>

enum {
    LONGEST = 15,      /* bits of a code */
    LITERALS = 288,    /* and lengths */
    DISTANCES = 32,    /* codes that there are room for; 30 mean something */
    LENGTH_CODES = 19, /* of the code in which codes are sent */
    END = 256,
    QUICK = 9 /* bits of a code that are looked up at once */
};

/* A canonical Huffman code: how many codes there are of each length, and what they mean, in order. */
typedef struct {
    uint16_t count[LONGEST + 1], meaning[LITERALS];
    uint16_t quick[1 << QUICK]; /* by the next bits: meaning << 4 | length; 0: the code is longer, or there is none */
} code_table;

typedef struct {
    const uint8_t *in;
    size_t in_size, at;
    uint64_t bits; /* read and not used, the next one lowest, and how many */
    int waiting;
    uint8_t *out;
    size_t out_size, written;
    const char *problem; /* the first; NULL: none */
} inflater;

static bool fail(inflater *self, const char *problem)
{
    if (!self->problem)
        self->problem = problem;
    return false;
}

/* At least LONGEST bits, where there are still so many. */
static void fill(inflater *self)
{
    for (; self->waiting <= 56 && self->at < self->in_size; self->waiting += 8)
        self->bits |= (uint64_t)self->in[self->at++] << self->waiting;
}

/* The next `count` bits, at most 16; 0 and a problem where they end. */
static unsigned take(inflater *self, int count)
{
    fill(self);
    if (self->waiting < count) {
        fail(self, "the compressed data are cut off");
        return 0;
    }
    const unsigned value = (unsigned)(self->bits & ((1u << count) - 1));
    self->bits >>= count;
    self->waiting -= count;
    return value;
}

static unsigned turned(unsigned code, int length)
{
    unsigned result = 0;
    for (int i = 0; i < length; i++)
        result |= (code >> i & 1) << (length - 1 - i);
    return result;
}

/* The code with these lengths. It has to use all bits up, but, where `few` is allowed, for a single code of one bit or
 * none. */
static bool make_table(inflater *self, code_table *table, const uint8_t *lengths, int count, bool few)
{
    uint16_t place[LONGEST + 2] = {0};
    unsigned code = 0;
    int left = 1;
    memset(table, 0, sizeof *table);
    for (int i = 0; i < count; i++)
        table->count[lengths[i]]++;
    table->count[0] = 0;
    for (int length = 1; length <= LONGEST; length++) {
        left = 2 * left - table->count[length];
        if (left < 0)
            return fail(self, "a code in the compressed data is not valid");
        place[length + 1] = (uint16_t)(place[length] + table->count[length]);
    }
    const int codes = place[LONGEST + 1];
    if (left > 0 && !(few && codes == table->count[1]))
        return fail(self, "a code in the compressed data is not complete");
    for (int i = 0; i < count; i++)
        if (lengths[i] != 0)
            table->meaning[place[lengths[i]]++] = (uint16_t)i;
    for (int length = 1, next = 0; length <= QUICK; length++, code <<= 1)
        for (int i = 0; i < table->count[length]; i++, code++, next++)
            for (unsigned bits = turned(code, length); bits < 1u << QUICK; bits += 1u << length)
                table->quick[bits] = (uint16_t)(table->meaning[next] << 4 | length);
    return true;
}

/* The meaning of the next code; -1 and a problem where there is none. */
static int decode(inflater *self, const code_table *table)
{
    fill(self);
    const unsigned quick = table->quick[self->bits & ((1u << QUICK) - 1)];
    int code = 0, first = 0, next = 0, length = (int)(quick & 15);
    if (length != 0 && length <= self->waiting) {
        self->bits >>= length;
        self->waiting -= length;
        return (int)(quick >> 4);
    }
    for (length = 1; length <= LONGEST && length <= self->waiting; length++) {
        code |= (int)(self->bits >> (length - 1) & 1);
        const int count = table->count[length];
        if (code - first < count) {
            self->bits >>= length;
            self->waiting -= length;
            return table->meaning[next + code - first];
        }
        next += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    fail(self, length > LONGEST ? "a code in the compressed data has no meaning" : "the compressed data are cut off");
    return -1;
}

static bool copy_stored(inflater *self)
{
    const int rest = self->waiting & 7;
    self->bits >>= rest;
    self->waiting -= rest;
    const unsigned size = take(self, 16), check = take(self, 16);
    if (self->problem)
        return false;
    if (size != (check ^ 0xffff))
        return fail(self, "a stored block of the compressed data is damaged");
    self->at -= (size_t)self->waiting / 8; /* whole bytes that were read ahead */
    self->bits = 0;
    self->waiting = 0;
    if (size > self->in_size - self->at)
        return fail(self, "the compressed data are cut off");
    if (size > self->out_size - self->written)
        return fail(self, "the compressed data are longer than stated");
    if (size != 0)
        memcpy(self->out + self->written, self->in + self->at, size);
    self->at += size;
    self->written += size;
    return true;
}

/* A repetition of earlier bytes, of which the meaning of the code for its length is known. */
static bool copy_earlier(inflater *self, int meaning, const code_table *distances)
{
    static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                             31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                            2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                               33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                               1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    const int kind = meaning - END - 1;
    if (kind >= 29)
        return fail(self, "a length in the compressed data is not valid");
    const size_t length = length_base[kind] + take(self, length_bits[kind]);
    const int far = decode(self, distances);
    if (far >= 30)
        return fail(self, "a distance in the compressed data is not valid");
    if (self->problem)
        return false;
    const size_t distance = distance_base[far] + take(self, far < 2 ? 0 : far / 2 - 1);
    if (self->problem)
        return false;
    if (distance > self->written)
        return fail(self, "the compressed data refer to bytes before the first");
    if (length > self->out_size - self->written)
        return fail(self, "the compressed data are longer than stated");
    uint8_t *to = self->out + self->written;
    for (size_t i = 0; i < length; i++)
        to[i] = to[i - distance];
    self->written += length;
    return true;
}

static bool copy_coded(inflater *self, const code_table *literals, const code_table *distances)
{
    for (;;) {
        const int meaning = decode(self, literals);
        if (meaning < 0)
            return false;
        if (meaning == END)
            return true;
        if (meaning > END) {
            if (!copy_earlier(self, meaning, distances))
                return false;
        } else if (self->written == self->out_size) {
            return fail(self, "the compressed data are longer than stated");
        } else {
            self->out[self->written++] = (uint8_t)meaning;
        }
    }
}

static bool fixed_tables(inflater *self, code_table *literals, code_table *distances)
{
    uint8_t lengths[LITERALS];
    for (int i = 0; i < LITERALS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    if (!make_table(self, literals, lengths, LITERALS, false))
        return false;
    memset(lengths, 5, DISTANCES);
    return make_table(self, distances, lengths, DISTANCES, false);
}

/* Lengths of codes: each a number, or the last one or 0 several times. */
static bool read_lengths(inflater *self, const code_table *table, uint8_t *lengths, int count)
{
    for (int i = 0; i < count;) {
        const int meaning = decode(self, table);
        if (meaning < 0)
            return false;
        if (meaning < 16) {
            lengths[i++] = (uint8_t)meaning;
            continue;
        }
        if (meaning == 16 && i == 0)
            return fail(self, "a code in the compressed data repeats nothing");
        const uint8_t value = meaning == 16 ? lengths[i - 1] : 0;
        const int times = meaning == 16   ? 3 + (int)take(self, 2)
                          : meaning == 17 ? 3 + (int)take(self, 3)
                                          : 11 + (int)take(self, 7);
        if (self->problem || times > count - i)
            return fail(self, "a code in the compressed data is not valid");
        memset(lengths + i, value, (size_t)times);
        i += times;
    }
    return true;
}

static bool sent_tables(inflater *self, code_table *literals, code_table *distances)
{
    static const uint8_t order[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS + DISTANCES] = {0};
    const int literal_count = 257 + (int)take(self, 5), distance_count = 1 + (int)take(self, 5);
    const int sent = 4 + (int)take(self, 4);
    if (self->problem || literal_count > 286 || distance_count > 30)
        return fail(self, "a block of the compressed data is not valid");
    for (int i = 0; i < sent; i++)
        lengths[order[i]] = (uint8_t)take(self, 3);
    if (self->problem || !make_table(self, literals, lengths, LENGTH_CODES, false))
        return false;
    memset(lengths, 0, sizeof lengths);
    if (!read_lengths(self, literals, lengths, literal_count + distance_count))
        return false;
    if (lengths[END] == 0)
        return fail(self, "a block of the compressed data has no end");
    return make_table(self, distances, lengths + literal_count, distance_count, true) &&
           make_table(self, literals, lengths, literal_count, true);
}

static bool read_block(inflater *self)
{
    code_table literals, distances;
    switch (take(self, 2)) {
    case 0: return !self->problem && copy_stored(self);
    case 1: return fixed_tables(self, &literals, &distances) && copy_coded(self, &literals, &distances);
    case 2: return sent_tables(self, &literals, &distances) && copy_coded(self, &literals, &distances);
    }
    return fail(self, "a block of the compressed data is not valid");
}

lx_code lx_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, lx_error *error)
{
    inflater self = {.in = in, .in_size = in_size, .out = out, .out_size = out_size};
    bool last = false;
    while (!last && !self.problem) {
        last = take(&self, 1) == 1;
        if (!self.problem)
            read_block(&self);
    }
    if (!self.problem && self.written < out_size)
        fail(&self, "the compressed data are shorter than stated");
    return self.problem ? lx_fail(error, LX_EFORMAT, "%s", self.problem) : LX_OK;
}
