#!/usr/bin/python3
"""The other side of bench/reading.lua. `reading.py make FOLDER SIZE [IMAGE]` writes one picture as files of several kinds;
`reading.py time FOLDER KIND COUNT` prints the median of the seconds that each of COUNT readings took, on one thread."""
import sys
import time
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

cv2.setNumThreads(1)

JPEG, PROGRESSIVE = [cv2.IMWRITE_JPEG_QUALITY, 90], [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
LOSSLESS = gdcm.TransferSyntax.JPEGLosslessProcess14_1


def picture(size, path):
    """A radiograph of 8 bits, and the same of 12 bits with the grain that those have."""
    chance = np.random.default_rng(1)
    if path:
        grey = cv2.resize(cv2.imread(path, cv2.IMREAD_GRAYSCALE), (size, size), interpolation=cv2.INTER_CUBIC)
    else:
        grey = cv2.resize(chance.uniform(20, 220, (9, 9)), (size, size), interpolation=cv2.INTER_CUBIC)
        grey = np.clip(grey + chance.normal(0, 3, grey.shape), 0, 255).astype(np.uint8)
    deep = np.clip(grey * 16.0 + chance.normal(8, 6, grey.shape), 0, 4095).astype(np.uint16)
    return grey, deep


def write_dicom(path, deep):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    image.is_little_endian, image.is_implicit_VR = True, False
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.Modality, image.PhotometricInterpretation, image.SamplesPerPixel = "CR", "MONOCHROME2", 1
    image.Rows, image.Columns = deep.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = deep.tobytes()
    image.save_as(path, write_like_original=False)


def write_lossless(source, path):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(LOSSLESS))
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    assert reader.Read()
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def make(folder, size, path=None):
    grey, deep = picture(size, path)
    colour = cv2.applyColorMap(grey, cv2.COLORMAP_BONE)
    assert cv2.imwrite(str(folder / "grey.jpg"), grey, JPEG)
    assert cv2.imwrite(str(folder / "colour.jpg"), colour, JPEG)
    assert cv2.imwrite(str(folder / "progressive.jpg"), grey, PROGRESSIVE)
    assert cv2.imwrite(str(folder / "grey.png"), grey)
    assert cv2.imwrite(str(folder / "colour.png"), colour)
    assert cv2.imwrite(str(folder / "deep.png"), deep * 16)
    write_dicom(folder / "plain.dcm", deep)
    write_lossless(folder / "plain.dcm", folder / "lossless.dcm")


def by_opencv(path):
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imread(path, flags)


def by_pydicom(path):
    return pydicom.dcmread(path).pixel_array


def by_gdcm(path):
    """Decoded in C++: what Python is given goes through a text, which takes longer than the decoding."""
    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(reader.GetImage())
    assert change.Change()
    return change.GetOutput()


def measure(folder, name, count):
    read = {"plain.dcm": by_pydicom, "lossless.dcm": by_gdcm}.get(name, by_opencv)
    path, seconds = str(folder / name), []
    for _ in range(count + 1):
        start = time.perf_counter()
        read(path)
        seconds.append(time.perf_counter() - start)
    print(sorted(seconds[1:])[count // 2])


if sys.argv[1] == "make":
    make(Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:5])
elif sys.argv[1] == "versions":
    print(f"OpenCV {cv2.__version__}, pydicom {pydicom.__version__}, gdcm {gdcm.Version.GetVersion()}")
else:
    measure(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
