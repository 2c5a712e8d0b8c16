#!/bin/sh
# Pillow 12.0.0: ImageStat.Stat of a 16-bit grey picture (mode I;16) gives means and deviations of something near the high
# bytes, limited to 0..255, while getextrema() of the same picture gives its levels. A mean and a standard deviation taken
# for normalisation (or a test for empty films) are wrong by two orders of magnitude, without a warning. The histogram
# behind it has 256 bins for 65,536 levels. Who wants them should go through numpy.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numpy==2.2.6 pillow==12.0.0

cat >"$folder/expected" <<'END'
Pillow 12.0.0, mode I;16
levels 1000..60000, mean 30500.0
getextrema (1000, 60000)
ImageStat mean below 256: True
histogram has 256 bins
END
"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import numpy as np
import PIL
from PIL import Image, ImageStat

levels = np.linspace(1000, 60000, 64 * 64).round().astype(np.uint16).reshape(64, 64)
picture = Image.fromarray(levels)
print(f"Pillow {PIL.__version__}, mode {picture.mode}")
print(f"levels {levels.min()}..{levels.max()}, mean {levels.mean():.1f}")
print("getextrema", picture.getextrema())
print("ImageStat mean below 256:", ImageStat.Stat(picture).mean[0] < 256)
print("histogram has", len(picture.histogram()), "bins")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
