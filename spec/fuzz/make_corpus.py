#!/usr/bin/python3
"""Writes the files in corpus/, from which the fuzzer starts: tiny drawn pictures in every format that is read.

    /usr/bin/python3 spec/fuzz/make_corpus.py
"""
import io
import os
import sys

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "golden"))
import make_dicom # noqa: E402
from make_vision import drawn # noqa: E402

make_dicom.HEIGHT, make_dicom.WIDTH = 9, 13


def save(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def pnm(magic, values, white):
    samples = values.astype(">u2" if white > 255 else "u1").tobytes()
    return f"{magic} {values.shape[1]} {values.shape[0]}\n# drawn\n{white}\n".encode() + samples


def files():
    grey = drawn(9, 13, 1).astype(np.uint8)
    deep = drawn(9, 13, 2, 65535).astype(np.uint16)
    rgb = np.stack([drawn(9, 13, seed) for seed in (3, 4, 5)], 2).astype(np.uint8)
    rgba = np.dstack([rgb, grey])
    large = Image.fromarray(drawn(33, 47, 6).astype(np.uint8))
    out = {
        "png-grey": save(Image.fromarray(grey), "PNG"), "png-deep": save(Image.fromarray(deep), "PNG"),
        "png-rgb": save(Image.fromarray(rgb), "PNG"), "png-rgba": save(Image.fromarray(rgba), "PNG"),
        "png-palette": save(Image.fromarray(rgb).quantize(7), "PNG", transparency=2),
        "png-one-bit": save(Image.fromarray(grey).convert("1"), "PNG"),
        "png-grey-alpha": save(Image.fromarray(rgba).convert("LA"), "PNG"),
        "jpeg-grey": save(large, "JPEG"), "jpeg-rgb": save(Image.fromarray(rgb), "JPEG"),
        "jpeg-subsampled": save(Image.fromarray(np.kron(rgb, np.ones((3, 3, 1), np.uint8))), "JPEG", subsampling=2),
        "jpeg-progressive": save(large, "JPEG", progressive=True),
        "jpeg-restart": save(large, "JPEG", restart_marker_blocks=2),
        "jpeg-cmyk": save(Image.fromarray(rgb).convert("CMYK"), "JPEG"),
        "bmp-grey": save(Image.fromarray(grey), "BMP"), "bmp-rgb": save(Image.fromarray(rgb), "BMP"),
        "pgm": pnm("P5", grey, 255), "pgm-dark": pnm("P5", grey // 4, 63), "pgm-deep": pnm("P5", deep // 16, 4095),
        "ppm": pnm("P6", rgb, 255),
    }
    for name, values in make_dicom.files().items():
        if name.endswith("/file"):
            out["dicom-" + name[:-5].replace("/", "-")] = values.tobytes()
    return out


if __name__ == "__main__":
    for name, data in files().items():
        with open(os.path.join(HERE, "corpus", name), "wb") as file:
            file.write(data)
