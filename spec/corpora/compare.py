#!/usr/bin/env python3
"""Reads every image file below a folder beside the decoders that others use, and prints where they agree.

usage: compare.py FOLDER [--lua lua5.4]

DICOM by pydicom (stored values; with GDCM, which decodes what is compressed), TIFF by tifffile (stored values; by Pillow where it
does not decode them), the rest by Pillow. Needs python3-numpy, -pil, -pydicom, -gdcm, -tifffile. Nothing of the files is kept or printed but their paths.
"""
import argparse
import collections
import os
import subprocess
import sys
import warnings

import numpy as np
import pydicom
import tifffile
from PIL import Image, ImageOps

Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
EXTENSIONS = {"jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "png": "PNG", "bmp": "BMP", "dib": "BMP", "pgm": "PNM",
              "ppm": "PNM", "pbm": "PNM", "pnm": "PNM", "tif": "TIFF", "tiff": "TIFF", "dcm": "DICOM", "dicom": "DICOM"}


def format_of(path):
    with open(path, "rb") as file:
        head = file.read(132)
    if head[128:] == b"DICM":
        return "DICOM"
    return EXTENSIONS.get(path.rsplit(".", 1)[-1].lower() if "." in os.path.basename(path) else "")


def stored_tiff(path):
    """The first page of a TIFF file as it is stored; None where tifffile does not decode it, or colours need converting."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if page.photometric not in (0, 1, 2):
                return None
            array = page.asarray()
            return array.transpose(1, 2, 0) if page.planarconfig == 2 and array.ndim == 3 else array
    except (ValueError, NotImplementedError, KeyError):
        return None


def reference(path, kind):
    """The samples as float32 [C,H,W], as another library has them."""
    if kind == "DICOM":
        dataset = pydicom.dcmread(path, force=True)
        array = dataset.pixel_array
        if int(getattr(dataset, "NumberOfFrames", 1) or 1) > 1:
            array = array[0]
    elif kind == "TIFF" and (array := stored_tiff(path)) is not None:
        pass
    else:
        image = ImageOps.exif_transpose(Image.open(path))
        if image.mode in ("P", "CMYK", "YCbCr", "PA"):
            image = image.convert("RGB")
        elif image.mode in ("RGBA", "RGBX"):
            image = Image.fromarray(np.asarray(image)[..., :3])
        elif image.mode == "LA":
            image = image.getchannel(0)
        elif image.mode == "1":
            image = image.convert("L")
        array = np.asarray(image)
    array = array.astype(np.float32) * (255 if array.dtype == bool else 1)  # as bytes are shown
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


class Reader:
    def __init__(self, lua):
        self.process = subprocess.Popen([lua, os.path.join(HERE, "read.lua")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, path, raw):
        """The samples, or a text that says why there are none."""
        self.process.stdin.write((("raw " if raw else "") + path + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode(errors="replace")
        if not line.startswith("ok "):
            return line.partition(" ")[2].strip() or "the reader ended"
        shape = tuple(map(int, line.split()[1:]))
        return np.frombuffer(self.process.stdout.read(4 * int(np.prod(shape))), np.float32).reshape(shape)


def compare(ours, theirs):
    if isinstance(ours, str):
        return "both refuse" if theirs is None else "refused"
    if theirs is None:
        return "read here alone"
    if ours.shape != theirs.shape:
        return "differs"
    apart = np.abs(ours - theirs).max() if ours.size else 0
    return "equal" if apart == 0 else "within 1 level" if apart <= 1 else "differs"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--lua", default="lua5.4")
    args = parser.parse_args()
    reader = Reader(args.lua)
    table, notes = collections.defaultdict(collections.Counter), []
    paths = [os.path.join(root, name) for root, _, names in os.walk(args.folder) for name in names]
    for number, path in enumerate(sorted(paths)):
        kind = None if "\n" in path else format_of(path)
        if not kind:
            continue
        try:
            theirs, why = reference(path, kind), ""
        except Exception as problem:  # whatever a decoder may raise
            theirs, why = None, "%s: %s" % (type(problem).__name__, problem)
        ours = reader.read(path, kind in ("DICOM", "TIFF"))
        outcome = compare(ours, theirs)
        table[kind][outcome] += 1
        if outcome in ("refused", "both refuse", "differs", "read here alone"):
            detail = ours if isinstance(ours, str) else why.splitlines()[0] if why else \
                "%s here, %s there" % (ours.shape, theirs.shape) if ours.shape != theirs.shape else \
                "by up to %g, in %d of %d samples" % (np.abs(ours - theirs).max(), (ours != theirs).sum(), ours.size)
            notes.append("%s: %s: %s" % (outcome, os.path.relpath(path, args.folder), detail))
        if sys.stderr.isatty():
            sys.stderr.write("\r%d of %d" % (number + 1, len(paths)))
    columns = ["equal", "within 1 level", "differs", "refused", "both refuse", "read here alone"]
    print("| format | files | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 2))
    for kind in sorted(table):
        print("| %s | %d | %s |" % (kind, sum(table[kind].values()), " | ".join(str(table[kind][c]) for c in columns)))
    print("\n" + "\n".join(notes) if notes else "")
    return 0 if table else 1


if __name__ == "__main__":
    sys.exit(main())
