/* EXIF: of it only the orientation (CIPA DC-008, tag 0x0112 of the first directory). */
#include "rooms.h"

int lx_exif_orientation(const uint8_t *bytes, size_t size)
{
    enum { ENTRY = 12, ORIENTATION = 0x0112, SHORT = 3 };
    if (size < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return 1;
    uint32_t (*const read16)(const uint8_t *) = bytes[0] == 'M' ? lx_big16 : lx_little16;
    uint32_t (*const read32)(const uint8_t *) = bytes[0] == 'M' ? lx_big32 : lx_little32;
    const size_t directory = read32(bytes + 4);
    if (read16(bytes + 2) != 42 || directory > size || size - directory < 2)
        return 1;
    const size_t count = read16(bytes + directory), room = (size - directory - 2) / ENTRY;
    for (size_t i = 0; i < count && i < room; i++) {
        const uint8_t *entry = bytes + directory + 2 + i * ENTRY;
        if (read16(entry) != ORIENTATION)
            continue;
        const uint32_t stated = read16(entry + 8);
        return read16(entry + 2) == SHORT && stated >= 1 && stated <= 8 ? (int)stated : 1;
    }
    return 1;
}
