#include "huffman.h"

#include <string.h>

bool lx_huffman_make(lx_huffman *h, const uint8_t counts[LX_CODE_BITS], const uint8_t *symbols)
{
    int32_t code = 0;
    int place = 0;
    memset(h, 0, sizeof *h);
    for (int length = 1; length <= LX_CODE_BITS; length++) {
        const int count = counts[length - 1];
        h->offset[length] = place - code;
        for (int i = 0; i < count; i++, code++, place++) {
            h->symbol[place] = symbols[place];
            for (int k = 0; length <= LX_QUICK_BITS && k < 1 << (LX_QUICK_BITS - length); k++) {
                const int byte = code << (LX_QUICK_BITS - length) | k;
                if (byte >= 1 << LX_QUICK_BITS)
                    return false;
                h->quick_length[byte] = (uint8_t)length;
                h->quick_symbol[byte] = symbols[place];
            }
        }
        if (code > 1 << length)
            return false;
        h->end[length] = code << (LX_CODE_BITS - length);
        code <<= 1;
    }
    h->end[LX_CODE_BITS + 1] = INT32_MAX;
    h->defined = true;
    return true;
}

bool lx_bits_restart(lx_bits *s)
{
    s->window = 0;
    s->bits = s->made_up = 0;
    if (s->size - s->at < 2 || s->bytes[s->at] != 0xff || s->bytes[s->at + 1] < 0xd0 || s->bytes[s->at + 1] > 0xd7)
        return false;
    s->at += 2;
    return true;
}
