#!/usr/bin/env python3
"""MetaImage files as ITK writes them, and the pixels that ITK reads from them: spec/golden/formats_metaimage.safetensors.

Needs SimpleITK and numpy from PyPI. The names are those of make_formats.py. What SimpleITK does not write (the other byte order,
headers of other programs) is put together here, and read by SimpleITK before it counts.
usage: make_metaimage.py [OUT]
"""
import json
import os
import struct
import sys
import tempfile
import zlib

import numpy as np
import SimpleITK as sitk

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "formats_metaimage.safetensors")
work = tempfile.mkdtemp()
H, W = 11, 17
y, x = np.mgrid[0:H, 0:W]
wave = np.sin(x / 3.0) * np.cos(y / 4.0 + x / 9.0)
NAMES = {"uint8": "UCHAR", "int8": "CHAR", "uint16": "USHORT", "int16": "SHORT", "uint32": "UINT", "int32": "INT",
         "float32": "FLOAT", "float64": "DOUBLE"}
tensors = {}


def samples_of(kind):
    if kind.startswith("float"):
        return (wave * 1000.25).astype(kind)
    range_of = np.iinfo(kind)
    low, high = max(range_of.min, -2000000), min(range_of.max, 2000000)
    return np.round(low + (wave + 1) / 2 * (high - low)).astype(kind)


def read_by_itk(data, extension="mha"):
    path = os.path.join(work, "file." + extension)
    with open(path, "wb") as f:
        f.write(data)
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def add(name, data, values, frame=None):
    """A file, and its pixels as `load` gives them: bytes as bytes, all others as floats."""
    seen = read_by_itk(data)
    seen = seen[frame - 1] if frame else seen
    assert np.array_equal(seen.reshape(values.shape), values), name
    stored = values if values.dtype == np.uint8 else values.astype(np.float32)
    tensors[name + "/file"] = np.frombuffer(data, np.uint8)
    tensors[name + "/stored"] = stored[None]
    tensors[name + "/within"] = np.zeros(1, np.float32)
    if frame:
        tensors[name + "/frame"] = np.full((1, 1, 1), frame, np.int32)


def written(values, compressed=False):
    path = os.path.join(work, "written.mha")
    sitk.WriteImage(sitk.GetImageFromArray(values), path, compressed)
    with open(path, "rb") as f:
        return f.read()


def header(values, *more, file="LOCAL"):
    size = " ".join(str(n) for n in values.shape[::-1])
    lines = ["ObjectType = Image", f"NDims = {values.ndim}", f"DimSize = {size}",
             f"ElementType = MET_{NAMES[values.dtype.name]}", *more, f"ElementDataFile = {file}"]
    return ("\n".join(lines) + "\n").encode()


for kind in NAMES:
    values = samples_of(kind)
    add("metaimage: " + kind, written(values), values)
    add(f"metaimage: {kind}, compressed", written(values, True), values)
    big = values.astype(values.dtype.newbyteorder(">")).tobytes()
    add(f"metaimage: {kind}, large end first", header(values, "BinaryDataByteOrderMSB = True") + big, values)
deep = samples_of("int16")
packed = zlib.compress(deep.astype(">i2").tobytes())
add("metaimage: large end first, compressed", header(deep, "ElementByteOrderMSB = True", "CompressedData = True",
    f"CompressedDataSize = {len(packed)}") + packed, deep)
volume = np.stack([deep, deep[::-1], deep[:, ::-1]])
for compressed in (False, True):
    for frame in (1, 3):
        add(f"metaimage: frame {frame} of 3{', compressed' if compressed else ''}", written(volume, compressed), volume[frame - 1],
            frame)
single = samples_of("uint8")
add("metaimage: one slice of three dimensions", written(single[None]), single)
add("metaimage: lines as of Windows", header(single).replace(b"\n", b"\r\n") + single.tobytes(), single)

head, chunks, offset = {}, [], 0
KINDS = {"uint8": "U8", "int32": "I32", "float32": "F32"}
for name in sorted(tensors):
    data = np.ascontiguousarray(tensors[name]).tobytes()
    head[name] = {"dtype": KINDS[tensors[name].dtype.name], "shape": list(tensors[name].shape),
                  "data_offsets": [offset, offset + len(data)]}
    chunks.append(data)
    offset += len(data)
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(out, "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
print(f"{len(tensors)} tensors, {os.path.getsize(out)} bytes")
