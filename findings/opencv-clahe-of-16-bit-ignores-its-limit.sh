#!/bin/sh
# OpenCV 4.12.0: the clip limit of CLAHE does next to nothing on 16-bit pictures. The limit is counted in samples of a tile in
# each of as many bins as there are levels, 65,536, and never less than one sample: with the usual 8 x 8 tiles of a film of
# 512 x 512 (4,096 samples a tile) all limits below 32 give the same picture to the bit, whether it fills 12 bits or 16. That
# picture is not the enhancement that 8 bits get, and 12-bit films leave their 12 bits, since the excess of each bin is spread
# over all 65,536. The documentation calls the limit a "threshold for contrast limiting", allows 16 bits, and says nothing
# about bins. Limits that were chosen at 8 bits mean nothing at 16; who enhances deep films has to count them in fewer bins
# first, or to use a library whose number of bins does not depend on the type.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import cv2
import numpy as np

LIMITS = (0.5, 1, 2, 4, 8, 16, 31)
row, column = np.mgrid[0:512, 0:512]
noise = np.random.default_rng(1).normal(0, 0.01, (512, 512))
film = (0.37 + 0.15 * np.sin(column / 40) * np.cos(row / 60) + noise).clip(0, 1)      # 0 is black, 1 white


def enhanced(picture):
    return [cv2.createCLAHE(limit, (8, 8)).apply(picture) for limit in LIMITS]


print("OpenCV", cv2.__version__)
for name, white, kind in (("8 bits", 255, np.uint8), ("12 bits in 16", 4095, np.uint16), ("16 bits", 65535, np.uint16)):
    pictures = enhanced((film * white).astype(kind))
    different = len({p.tobytes() for p in pictures})
    print(f"{name}: {len(LIMITS)} limits from {LIMITS[0]} to {LIMITS[-1]} give {different}; "
          f"levels above white: {any(p.max() > white for p in pictures)}")
END
cat >"$folder/expected" <<'END'
OpenCV 4.12.0
8 bits: 7 limits from 0.5 to 31 give 7; levels above white: False
12 bits in 16: 7 limits from 0.5 to 31 give 1; levels above white: True
16 bits: 7 limits from 0.5 to 31 give 1; levels above white: False
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
