#!/bin/sh
# A grey TIFF may say that its least level is white (PhotometricInterpretation 0, MinIsWhite), which scanners of films and
# digitisers write. Pillow 12.0.0 and OpenCV 4.12.0 turn the levels round at 8 bits, so that bright is bright, and hand
# them out as they are stored at 16 bits, so that the same film is a negative. tifffile never turns them. A folder with
# both depths is read half inverted by either of the first two. Readers have to look at the tag themselves at 16 bits.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numpy==2.2.6 pillow==12.0.0 opencv-python-headless==4.12.0.88 tifffile==2025.6.11

cat >"$folder/expected" <<'END'
8 bits: stored 0 64 255; Pillow 255 191 0; OpenCV 255 191 0; tifffile 0 64 255
16 bits: stored 0 16384 65535; Pillow 0 16384 65535; OpenCV 0 16384 65535; tifffile 0 16384 65535
END
"$folder/venv/bin/python" - "$folder/film.tif" >"$folder/seen" <<'END'
import sys

import cv2
import numpy as np
import tifffile
from PIL import Image


def words(row):
    return " ".join(str(v) for v in row)


for bits, dtype, levels in (8, np.uint8, [0, 64, 255]), (16, np.uint16, [0, 16384, 65535]):
    stored = np.array([levels] * 3, dtype)
    tifffile.imwrite(sys.argv[1], stored, photometric="miniswhite")
    print(f"{bits} bits: stored {words(stored[0])}; Pillow {words(np.asarray(Image.open(sys.argv[1]))[0])}; "
          f"OpenCV {words(cv2.imread(sys.argv[1], cv2.IMREAD_UNCHANGED)[0])}; "
          f"tifffile {words(tifffile.imread(sys.argv[1])[0])}")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
