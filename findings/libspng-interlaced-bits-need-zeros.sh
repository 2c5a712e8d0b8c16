#!/bin/sh
# libspng 0.7.3 decodes interlaced PNG files of 1, 2 and 4 bits a sample by adding bits to what is in the caller's buffer. Into
# memory that is not all zeros, spng_decode_image with SPNG_FMT_PNG or SPNG_FMT_RAW reports success and gives a wrong picture,
# another one each time where the memory comes from malloc. Files in the order of their rows, samples of 8 bits and more, and
# formats that the library expands to (SPNG_FMT_G8) do not depend on the buffer. The documentation asks for no cleared buffer.
# Who decodes masks of few bits, which editors often save interlaced, has to clear the buffer first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -q download libspng0=0.7.3-3 libspng-dev=0.7.3-3 >download.log 2>&1
for package in *.deb; do dpkg -x "$package" root; done
library=$(dirname "$(find root -name libspng.so)")

cat >make.py <<'END'
import struct
import sys
import zlib

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


for depth in (1, 2, 4, 8):
    values = [[(3 * x + 5 * y) % (1 << depth) for x in range(9)] for y in range(7)]
    for interlaced in (0, 1):
        raw = b""
        for x0, y0, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
            for row in values[y0::dy]:
                bits = "".join(format(v, "0%db" % depth) for v in row[x0::dx])
                bits += "0" * (-len(bits) % 8)
                raw += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        header = struct.pack(">IIBBBBB", 9, 7, depth, 0, 0, 0, interlaced)
        with open("%d-%d.png" % (depth, interlaced), "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
END
python3 make.py

cat >decode.c <<'END'
#include <spng.h>
#include <stdio.h>
#include <string.h>

static size_t decode(const char *path, int format, int before, unsigned char out[1024])
{
    static unsigned char bytes[4096];
    size_t size = 0;
    FILE *file = fopen(path, "rb");
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    spng_ctx *codec = spng_ctx_new(0);
    memset(out, before, 1024);
    if (spng_set_png_buffer(codec, bytes, length) || spng_decoded_image_size(codec, format, &size) ||
        spng_decode_image(codec, out, size, format, 0))
        size = 0;
    spng_ctx_free(codec);
    return size;
}

int main(void)
{
    printf("libspng %s\n", spng_version_string());
    for (int depth = 1; depth <= 8; depth *= 2)
        for (int interlaced = 0; interlaced < 2; interlaced++) {
            char path[16];
            unsigned char zeros[1024], ones[1024], grey[2][1024];
            snprintf(path, sizeof path, "%d-%d.png", depth, interlaced);
            const size_t size = decode(path, SPNG_FMT_PNG, 0, zeros);
            const size_t again = decode(path, SPNG_FMT_PNG, 255, ones);
            const size_t wide = decode(path, SPNG_FMT_G8, 0, grey[0]);
            decode(path, SPNG_FMT_G8, 255, grey[1]);
            printf("%d bits, %s: %s, as stored %s, as bytes %s\n", depth, interlaced ? "interlaced" : "in order  ",
                   size && size == again && wide ? "success" : "failure",
                   memcmp(zeros, ones, size) ? "depends on the buffer" : "the same",
                   memcmp(grey[0], grey[1], wide) ? "depends on the buffer" : "the same");
        }
}
END
cc -o decode decode.c -Iroot/usr/include -L"$library" -lspng -Wl,-rpath,"$folder/$library"

cat >expected <<'END'
libspng 0.7.3
1 bits, in order  : success, as stored the same, as bytes the same
1 bits, interlaced: success, as stored depends on the buffer, as bytes the same
2 bits, in order  : success, as stored the same, as bytes the same
2 bits, interlaced: success, as stored depends on the buffer, as bytes the same
4 bits, in order  : success, as stored the same, as bytes the same
4 bits, interlaced: success, as stored depends on the buffer, as bytes the same
8 bits, in order  : success, as stored the same, as bytes the same
8 bits, interlaced: success, as stored the same, as bytes the same
END
./decode >seen
cat seen
diff expected seen && echo "as described"
