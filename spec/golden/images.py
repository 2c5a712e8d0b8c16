"""What the scripts that make golden image files share: the files, the pixels that are right, and the writing of both."""
import io
import json
import os
import struct
import subprocess
import tempfile
import zlib

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian,
                         generate_uid)

work = tempfile.mkdtemp()
tensors = {}


def planes(array):
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def add(name, data, within=0, **right):
    tensors[name + "/file"] = np.frombuffer(data, np.uint8)
    tensors[name + "/within"] = np.array([within], np.float32)
    for kind, array in right.items():
        array = planes(np.asarray(array))
        tensors[name + "/" + kind] = array if array.dtype == np.uint8 else array.astype(np.float32)


def levels_of(units, low, high):
    """Units as bytes, black at low and white at high."""
    return (np.clip((units - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def write(out):
    """All files and pixels as one file of tensors."""
    header, at, parts = {}, 0, []
    for name in sorted(tensors):
        array = tensors[name]
        data = array.tobytes()
        header[name] = {"dtype": "U8" if array.dtype == np.uint8 else "F32", "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(out, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    print(sum(name.endswith("/file") for name in tensors), "files in", out)


# ---- DICOM -----------------------------------------------------------------------------------------------------------


def dataset(syntax, photometric, bits, samples, pixels, allocated=None, shape=(21, 30), **more):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = syntax
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid(entropy_srcs=[photometric, str(bits), str(more)])
    d.Modality, (d.Rows, d.Columns) = "CR", shape
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = samples, photometric, 0
    d.BitsAllocated, d.BitsStored, d.HighBit = allocated or (8 if bits <= 8 else 16), bits, bits - 1
    if samples == 3:
        d.PlanarConfiguration = 0
    d.is_little_endian, d.is_implicit_VR = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    for key, value in more.items():
        setattr(d, key, value)
    d.PixelData = pixels
    d["PixelData"].VR = "OW" if bits > 8 or syntax == ExplicitVRBigEndian else "OB"
    if syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        d["PixelData"].is_undefined_length = True
    return d


def saved(d):
    path = os.path.join(work, "x.dcm")
    d.save_as(path, write_like_original=False)
    with open(path, "rb") as file:
        return file.read()


def jpeg(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, **options)
    return buffer.getvalue()


def pad(data):
    return data + b"\0" * (len(data) % 2)


def converted(data, *command):
    """A file as one of dcmtk's programs makes it."""
    before, after = os.path.join(work, "before.dcm"), os.path.join(work, "after.dcm")
    with open(before, "wb") as file:
        file.write(data)
    subprocess.run([*command, before, after], check=True)
    with open(after, "rb") as file:
        return file.read()


def decoded(data, *command):
    """The stored values of a packed file, by dcmtk's decoder."""
    path = os.path.join(work, "decoded.dcm")
    with open(path, "wb") as file:
        file.write(converted(data, *command))
    return pydicom.dcmread(path).pixel_array


# ---- PNG and BMP -------------------------------------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bmp(header, palette, pixels):
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels
