#!/bin/sh
# The same 12-bit film, 0..4095, in three formats that can say so: a PGM with largest value 4095, a JPEG 2000 of 12 bits, and a
# TIFF of 12 bits a sample. Pillow 12.0.0 stretches the PGM to 0..65535, shifts the JPEG 2000 by four bits (white becomes
# 65520, not 65535), and leaves the TIFF as it is. OpenCV 4.12.0 does the opposite each time: the PGM and the JPEG 2000
# stay 0..4095, the TIFF is shifted. Asked for 8 bits (IMREAD_GRAYSCALE), OpenCV goes by the depth of the JPEG 2000, whose
# white is 255, but not by that of the PGM, whose white is 15: a black picture. Nothing in the arrays tells which it was,
# and the pages on formats of either library do not say. A set that is converted from one format to another, or a program
# that changes its reader, has levels that are off by 16. Who reads deep films has to take the depth from the file's
# header and to compare it with the largest level.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -q download libopenjp2-7=2.5.0-2+deb12u3 libopenjp2-tools=2.5.0-2+deb12u3 >download.log 2>&1
for package in *.deb; do dpkg -x "$package" root; done
python3 -m venv venv
venv/bin/pip -q install --no-compile numpy==2.2.6 pillow==12.0.0 opencv-python-headless==4.12.0.88

cat >make.py <<'END'
import struct

ROW = (0, 1, 100, 4095)
with open("film.pgm", "wb") as file:
    file.write(b"P5\n4 4\n4095\n" + struct.pack(">16H", *ROW * 4))
samples = bytes.fromhex("".join(f"{level:03x}" for level in ROW * 4))
tags = ((256, 4), (257, 4), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, len(samples)))
with open("film.tif", "wb") as file:
    file.write(b"II*\0" + struct.pack("<I", 8 + len(samples)) + samples + struct.pack("<H", len(tags)))
    for tag, value in tags:
        file.write(struct.pack("<HHIHH", tag, 3, 1, value, 0))
    file.write(b"\0\0\0\0")
END
python3 make.py
export LD_LIBRARY_PATH=$(dirname "$(find root -name libopenjp2.so.7)")
root/usr/bin/opj_compress -n 1 -i film.pgm -o film.jp2 >compress.log
unset LD_LIBRARY_PATH

cat >expected <<'END'
film.pgm: Pillow 0 16 1600 65535; OpenCV 0 1 100 4095, as 8 bits 0 0 0 15
film.jp2: Pillow 0 16 1600 65520; OpenCV 0 1 100 4095, as 8 bits 0 0 6 255
film.tif: Pillow 0 1 100 4095; OpenCV 0 16 1600 65520, as 8 bits refused
END
venv/bin/python - >seen 2>warnings <<'END'
import cv2
import numpy as np
from PIL import Image


def words(picture):
    return "refused" if picture is None else " ".join(str(v) for v in picture[0])


for name in "film.pgm", "film.jp2", "film.tif":
    print(f"{name}: Pillow {words(np.asarray(Image.open(name)))}; OpenCV {words(cv2.imread(name, cv2.IMREAD_UNCHANGED))}, "
          f"as 8 bits {words(cv2.imread(name, cv2.IMREAD_GRAYSCALE))}")
END
cat seen
diff expected seen && echo "as described"
