#!/bin/sh
# stb_image of Debian 12 (libstb-dev, September 2022) reads PGM and PPM files of 16 bits with their bytes the wrong way round:
# the format has the high byte first, and the library copies bytes as they are into numbers of a machine that wants the low
# one first. stbi_load_16 turns level 256 into 1. stbi_load, which is to keep the high 8 bits, keeps the low ones, so that a
# smooth film becomes bands. Both report success. The header has listed "16-bit PNM support" since 2.27 and says nothing about
# the order of bytes. OpenCV, netpbm and OpenJPEG's opj_decompress write such files of radiographs; who reads them with
# stb_image has to swap the bytes, and to make 8 bits of them himself.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -q download libstb-dev=0.0~git20220908.8b5f1f3+ds-1 >download.log 2>&1
for package in *.deb; do dpkg -x "$package" root; done

cat >read.c <<'END'
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stdio.h>

static const int levels[] = {0, 256, 300, 4095, 65280};

/* The levels as a PGM file of one row, high bytes first; returns its length. */
static int make_pgm(unsigned char *file)
{
    int length = sprintf((char *)file, "P5\n5 1\n65535\n");
    for (int i = 0; i < 5; i++) {
        file[length++] = (unsigned char)(levels[i] >> 8);
        file[length++] = (unsigned char)(levels[i] & 255);
    }
    return length;
}

int main(void)
{
    unsigned char file[64];
    const int length = make_pgm(file);
    int width, height, channels;
    printf("taken for 16 bits: %s\n", stbi_is_16_bit_from_memory(file, length) ? "yes" : "no");
    unsigned short *deep = stbi_load_16_from_memory(file, length, &width, &height, &channels, 0);
    unsigned char *grey = stbi_load_from_memory(file, length, &width, &height, &channels, 0);
    for (int i = 0; deep && grey && i < 5; i++)
        printf("level %5d: stbi_load_16 %5d; stbi_load %3d, right is %3d\n", levels[i], deep[i], grey[i], levels[i] >> 8);
    stbi_image_free(deep);
    stbi_image_free(grey);
    return 0;
}
END
cc -w -o read read.c -Iroot/usr/include -lm

cat >expected <<'END'
taken for 16 bits: yes
level     0: stbi_load_16     0; stbi_load   0, right is   0
level   256: stbi_load_16     1; stbi_load   0, right is   1
level   300: stbi_load_16 11265; stbi_load  44, right is   1
level  4095: stbi_load_16 65295; stbi_load 255, right is  15
level 65280: stbi_load_16   255; stbi_load   0, right is 255
END
./read >seen
cat seen
diff expected seen && echo "as described"
