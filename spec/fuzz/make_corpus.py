#!/usr/bin/python3
"""Writes the files in corpus/, from which the fuzzer starts: tiny drawn pictures in every format that is read.

    /usr/bin/python3 spec/fuzz/make_corpus.py
"""
import io
import json
import os
import re
import struct
import sys

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate

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
    for name, values in golden("formats").items():
        if name.endswith("/file") or name.startswith("refused/"):
            what = re.sub("/file$|^refused/", "", name)
            out["made-" + re.sub("[^A-Za-z0-9_-]+", "-", what)] = values
    for name, values in golden("formats_metaimage").items():
        if re.search("(uint8|int16|float64|compressed|frame 3.*)/file", name):
            out["made-" + re.sub("[^A-Za-z0-9_-]+", "-", name[:-5])] = values
    for name, values in golden("headers").items():
        if re.search("interlaced, all|tiffcp|predictor 7|frame 2|table of .* 10 bits.* 256|fields 7c00|adobe|4x2", name) and name.endswith("/file"):
            out["made-" + re.sub("[^A-Za-z0-9_-]+", "-", name[:-5])] = values
    out.update(greedy())
    return out


def golden(name):
    """The tensors of bytes of a file of the golden values."""
    with open(os.path.join(HERE, "..", "golden", name + ".safetensors"), "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, rest = json.loads(file.read(length)), file.read()
    return {name: rest[slice(*entry["data_offsets"])] for name, entry in header.items() if entry["dtype"] == "U8"}


def greedy():
    """JPEG 2000 that asks for far more than its picture needs, or lacks some of it."""
    values = drawn(9, 13, 7, 65535).astype(np.uint16)
    whole = make_dicom.pil_bytes(values, "JPEG2000", irreversible=False, no_jp2=True)
    size, coding = whole.index(b"\xff\x51"), whole.index(b"\xff\x52")
    length = struct.unpack_from(">H", whole, coding + 2)[0]

    def resized(width, height, tile_width, tile_height, change=lambda stream: None, columns=None):
        stream = bytearray(whole)
        struct.pack_into(">8I", stream, size + 6, width, height, 0, 0, tile_width, tile_height, 0, 0)
        change(stream)
        d = make_dicom.dataset(values, make_dicom.JPEG2000, 16)
        d.Rows, d.Columns = height, columns or width
        return make_dicom.finish(d, encapsulate([bytes(stream)])).tobytes()

    def precincts(stream):
        levels = stream[coding + 9]
        stream[coding + 4] |= 1
        struct.pack_into(">H", stream, coding + 2, length + levels + 1)
        stream[coding + 2 + length:coding + 2 + length] = b"\x11" * (levels + 1)

    def layers(stream):
        struct.pack_into(">H", stream, coding + 6, 65535)

    def blocks(stream):
        stream[coding + 10] = stream[coding + 11] = 0

    return {
        "dicom-greedy-tiles": resized(255, 257, 1, 1), "dicom-greedy-missing": resized(300, 300, 100, 100),
        "dicom-greedy-precincts": resized(300, 300, 300, 300, precincts),
        "dicom-greedy-layers": resized(300, 300, 300, 300, layers),
        "dicom-greedy-size": resized(300, 300, 300, 300, columns=13),
        "dicom-greedy-blocks": resized(300, 300, 300, 300, blocks),
    }


if __name__ == "__main__":
    for name, data in files().items():
        with open(os.path.join(HERE, "corpus", name), "wb") as file:
            file.write(data)
