#!/bin/sh
# Pillow 12.0.0 turns and warps 16-bit grey pictures (mode I;16) by bilinear or bicubic interpolation into numbers from 0
# to 255 that have nothing to do with the picture, and raises nothing. The same calls with nearest neighbours are right,
# and so is resize() with every filter, so that a pipeline of "resize, then augment" works until the first rotation.
# Who augments 16-bit radiographs through Pillow should convert to mode F (or I) first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numpy==2.2.6 pillow==12.0.0

cat >"$folder/expected" <<'END'
Pillow 12.0.0
stored levels 10000..41500
rotate bilinear:  mode F differs from the right value by at most 0; mode I;16 gives 0..255, wrong
rotate bicubic:   mode F differs from the right value by at most 0; mode I;16 gives 0..255, wrong
affine bilinear:  mode F differs from the right value by at most 0; mode I;16 gives 0..255, wrong
rotate nearest:   mode I;16 right
resize bilinear:  mode I;16 right
END
"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import numpy as np
import PIL
from PIL import Image

R = Image.Resampling
row, column = np.mgrid[0:64, 0:64]
levels = (10000 + 500 * column).astype(np.uint16)      # grows to the right: a turn by 180 degrees and shifts are known
deep = Image.fromarray(levels)
assert deep.mode == "I;16"
exact = Image.fromarray(levels.astype(np.float32))
print("Pillow", PIL.__version__)
print(f"stored levels {levels.min()}..{levels.max()}")


def compare(name, call, right):
    a, b = np.asarray(call(deep)).astype(float), np.asarray(call(exact)).astype(float)
    inner = (slice(4, -4), slice(4, -4))
    off = abs(b[inner] - right[inner]).max()
    print(f"{name:<17} mode F differs from the right value by at most {off:.0f}; mode I;16 gives "
          f"{0 if a.max() < 256 else a.min():.0f}..{255 if a.max() < 256 else a.max():.0f}, "
          + ("right" if abs(a[inner] - right[inner]).max() <= 1 else "wrong"))


# half a pixel to the right: every value is the mean of two neighbours
half = 10000 + 500.0 * (column + 0.5)
centre = (31.75, 31.75)
turned = 10000 + 500.0 * (62.5 - column)
compare("rotate bilinear:", lambda i: i.rotate(180, R.BILINEAR, center=centre), turned)
compare("rotate bicubic:", lambda i: i.rotate(180, R.BICUBIC, center=centre), turned)
compare("affine bilinear:", lambda i: i.transform(i.size, Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), R.BILINEAR), half)
nearest = np.asarray(deep.rotate(7)).astype(float) - np.asarray(exact.rotate(7))
print("rotate nearest:   mode I;16", "right" if abs(nearest).max() <= 1000 else "wrong")
resized = np.asarray(deep.resize((31, 37), R.BILINEAR)).astype(float) - np.asarray(exact.resize((31, 37), R.BILINEAR))
print("resize bilinear:  mode I;16", "right" if abs(resized).max() <= 1 else "wrong")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
