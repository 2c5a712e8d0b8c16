#!/usr/bin/python3
"""Writes dicom.safetensors: small DICOM files of every kind that is read, and what is in them.

    /usr/bin/python3 spec/golden/make_dicom.py
    /usr/bin/python3 spec/golden/make_dicom.py ../shared/data/dicom /tmp/dicom.safetensors
    DICOM_GOLDEN=/tmp/dicom.safetensors busted spec/dicom_spec.lua

The second writes what pydicom reads of the files in a folder, for spec/dicom_spec.lua. It is not for committing.

Debian's python3-pydicom and python3-pil (for JPEG and JPEG 2000) are enough; with python3-gdcm, GDCM reads the lossless JPEG
as well, and has to agree. NAME/file has the bytes of a file, NAME/raw the
values that were stored, and NAME/shown (where there is one) the levels 0..255 that pydicom's windows make of them.
"""
import io
import os
import struct
import sys

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixel_data_handlers import gdcm_handler
from pydicom.pixel_data_handlers.rle_handler import rle_encode_frame
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.sequence import Sequence

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_vision import drawn, write # noqa: E402

HEIGHT, WIDTH = 23, 31
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
RLE, JPEG, JPEG2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
LOSSLESS, LOSSLESS_LEFT = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"


def dataset(values, syntax, stored, photometric="MONOCHROME2", planar=0):
    """values: [H,W], [frames,H,W] with frames > 1, or [H,W,3]."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.is_little_endian, d.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    d.SOPClassUID, d.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    d.Modality, d.ViewPosition, d.PatientName, d.PatientID = "DX", "PA", "Somebody^Else", "4711"
    d.PatientSex, d.PatientAge, d.StudyDate = "F", "042Y", "20200229"
    # sequences before the pixels, one in the other, have to be passed over
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.Rows = "T-D3000", 9999
    outer.ConceptNameCodeSequence = Sequence([inner])
    d.AnatomicRegionSequence = Sequence([outer, outer])
    d.AnatomicRegionSequence.is_undefined_length = True
    colour = photometric not in ("MONOCHROME1", "MONOCHROME2")
    frames = 1 if colour or values.ndim == 2 else values.shape[0]
    d.Rows, d.Columns = values.shape[:2] if colour else values.shape[-2:]
    d.SamplesPerPixel, d.PhotometricInterpretation = 3 if colour else 1, photometric
    if colour:
        d.PlanarConfiguration = planar
    if frames > 1:
        d.NumberOfFrames = frames
    d.BitsAllocated = 8 if stored <= 8 else 16
    d.BitsStored, d.HighBit, d.PixelRepresentation = stored, stored - 1, int(values.min() < 0)
    d.PixelSpacing = [0.143, "1.5e-1"]
    kind = ("<" if d.is_little_endian else ">") + ("i" if values.min() < 0 else "u") + str(d.BitsAllocated // 8)
    d.plain = (values.transpose(2, 0, 1) if colour and planar else values).astype(kind)
    return d


def finish(d, pixels=None):
    d.PixelData = d.plain.tobytes() if pixels is None else pixels
    if len(d.PixelData) % 2:
        d.PixelData += b"\0"
    d["PixelData"].VR = "OB" if pixels is not None or d.BitsAllocated == 8 else "OW"
    d["PixelData"].is_undefined_length = pixels is not None
    out = io.BytesIO()
    pydicom.dcmwrite(out, d, write_like_original=False)
    return np.frombuffer(out.getvalue(), np.uint8)


def pil_bytes(values, kind, **options):
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind, **options)
    return out.getvalue()


def lossless_jpeg(values, precision, predictor=1, restart_rows=0, shift=0):
    """[H,W] or [H,W,3] by ITU-T T.81, annex H, with one Huffman table for everything. `shift` lower bits are lost."""
    planes = (values[:, :, None] if values.ndim == 2 else values).astype(np.int64) >> shift
    height, width, count = planes.shape
    lengths = [2, 3, 3, 3, 3, 3] + list(range(4, 15)) # of the codes of the categories 0 to 16
    codes, code = [], 0
    for before, length in zip([lengths[0]] + lengths, lengths):
        code <<= length - before
        codes.append(format(code, f"0{length}b"))
        code += 1

    def segment(marker, body):
        return bytes([0xff, marker]) + struct.pack(">H", len(body) + 2) + body

    def predict(x, y, i, first):
        left, above, corner = (planes[y - b, x - a, i] if x >= a and y >= b else 0 for a, b in ((1, 0), (0, 1), (1, 1)))
        if first:
            return left if x > 0 else 1 << (precision - shift - 1)
        if x == 0:
            return above
        return [left, above, corner, left + above - corner, left + ((above - corner) >> 1), above + ((left - corner) >> 1),
                (left + above) >> 1][predictor - 1]

    def pack(bits):
        bits += "1" * (-len(bits) % 8)
        return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")

    scan, bits = b"", ""
    for y in range(height):
        first = y % (restart_rows or height) == 0
        if first and y > 0:
            scan, bits = scan + pack(bits) + bytes([0xff, 0xd0 + (y // restart_rows - 1) % 8]), ""
        for x in range(width):
            for i in range(count):
                difference = (int(planes[y, x, i] - predict(x, y, i, first)) + 32767) % 65536 - 32767
                category = abs(difference).bit_length()
                bits += codes[category]
                if 0 < category < 16:
                    bits += format(difference if difference > 0 else difference + (1 << category) - 1, f"0{category}b")
    counts = bytes(lengths.count(length) for length in range(1, 17))
    ids = range(1, count + 1)
    return (b"\xff\xd8" + segment(0xc3, struct.pack(">BHHB", precision, height, width, count)
                                  + b"".join(bytes([i, 0x11, 0]) for i in ids))
            + segment(0xc4, b"\x01" + counts + bytes(range(17)))
            + (segment(0xdd, struct.pack(">H", restart_rows * width)) if restart_rows else b"")
            + segment(0xda, bytes([count]) + b"".join(bytes([i, 0x10]) for i in ids) + bytes([predictor, 0, shift]))
            + scan + pack(bits) + b"\xff\xd9")


def read_by_gdcm(file):
    d = pydicom.dcmread(io.BytesIO(file.tobytes()))
    return gdcm_handler.get_pixeldata(d).reshape(d.Rows, d.Columns, -1).squeeze()


def shown(d, values, invert=False):
    """Levels by pydicom's own windows; where there is none, from the smallest value to the largest."""
    units = apply_modality_lut(values, d).astype(np.float64)
    if "WindowCenter" in d or "VOILUTSequence" in d:
        levels = apply_voi_lut(units if "WindowCenter" in d else values, d).astype(np.float64)
        top = (1 << d.VOILUTSequence[0].LUTDescriptor[2]) - 1 if "VOILUTSequence" in d else None
        if top:
            levels = levels / top * 255
        else: # pydicom's windows end at what can be stored
            ends = apply_modality_lut(np.array([-(1 << (d.BitsStored - 1)), (1 << (d.BitsStored - 1)) - 1] if d.PixelRepresentation
                                               else [0, (1 << d.BitsStored) - 1]), d).astype(np.float64)
            low, high = ends.min(), ends.max()
            levels = (levels - low) / (high - low) * 255
    else:
        levels = (units - units.min()) / (units.max() - units.min()) * 255
    return (255 - levels if invert else levels).astype(np.float32)


def files():
    out = {}

    def add(name, d, values, pixels=None, see=True, invert=False):
        out[name + "/file"] = finish(d, pixels)
        planes = values.transpose(2, 0, 1) if values.ndim == 3 and values.shape[2] == 3 else values
        out[name + "/raw"] = planes.astype(np.float32)
        if see:
            out[name + "/shown"] = shown(d, values, invert)

    grey8, grey12 = drawn(HEIGHT, WIDTH, 1).astype(np.uint8), drawn(HEIGHT, WIDTH, 2, 4095).astype(np.uint16)
    grey16 = drawn(HEIGHT, WIDTH, 3, 65535).astype(np.uint16)
    signed = (drawn(HEIGHT, WIDTH, 4, 3000) - 1000).astype(np.int16)
    rgb = np.stack([drawn(HEIGHT, WIDTH, seed) for seed in (5, 6, 7)], 2).astype(np.uint8)
    for name, syntax in (("implicit", IMPLICIT), ("explicit", EXPLICIT), ("big", BIG)):
        add(f"{name}/8", dataset(grey8, syntax, 8), grey8, see=False)
        add(f"{name}/12", dataset(grey12, syntax, 12), grey12)
        add(f"{name}/16", dataset(grey16, syntax, 16), grey16)
        add(f"{name}/signed", dataset(signed, syntax, 13), signed)
    add("mono1/8", dataset(grey8, EXPLICIT, 8, "MONOCHROME1"), grey8, see=False)
    add("mono1/12", dataset(grey12, EXPLICIT, 12, "MONOCHROME1"), grey12, invert=True)
    for name, function in (("linear", None), ("exact", "LINEAR_EXACT"), ("sigmoid", "SIGMOID")):
        d = dataset(grey12, EXPLICIT, 12)
        d.WindowCenter, d.WindowWidth = ["1800", "40"], ["1500.5", "400"]
        d.ImagerPixelSpacing = [0.2, 0.2]
        if function:
            d.VOILUTFunction = function
        add("window/" + name, d, grey12)
    d = dataset(signed, EXPLICIT, 13, "MONOCHROME1")
    d.RescaleSlope, d.RescaleIntercept, d.WindowCenter, d.WindowWidth = "0.5", "-100", "150", "700"
    add("rescaled", d, signed, invert=True)
    d, table = dataset(grey12, EXPLICIT, 12), Dataset()
    table.add_new(0x00283002, "US", [3000, 500, 10])
    table.add_new(0x00283006, "US", [int(1023 * (i / 2999) ** 0.7) for i in range(3000)])
    other = Dataset() # only the first table counts
    other.add_new(0x00283002, "US", [4, 7, 8])
    other.add_new(0x00283006, "US", [9, 8, 7, 6])
    d.VOILUTSequence = Sequence([table, other])
    add("table", d, grey12)
    d = dataset(grey12, EXPLICIT, 12) # in the upper bits of its words
    d.HighBit, d.plain = 15, (grey12 << 4).astype("<u2")
    add("upper/12", d, grey12, see=False)
    d = dataset(grey12, EXPLICIT, 12) # with something else in the upper bits
    d.plain = (grey12 | 0xa000).astype("<u2")
    add("overlaid/12", d, grey12, see=False)
    d = dataset(grey12, EXPLICIT, 12)
    d.PresentationLUTShape, d.ImagerPixelSpacing = "INVERSE", [0.2, 0.25]
    del d.PixelSpacing
    add("inverse/12", d, grey12, see=False)
    add("rgb/ybr", dataset(rgb, EXPLICIT, 8, "YBR_FULL"), rgb, see=False)
    out["rgb/ybr/colours"] = convert_color_space(rgb, "YBR_FULL", "RGB").transpose(2, 0, 1).astype(np.float32)
    rle8, rle16 = dataset(grey8, RLE, 8), dataset(grey16, RLE, 16)
    add("rle/8", rle8, grey8, encapsulate([bytes(rle_encode_frame(grey8))]), see=False)
    add("rle/16", rle16, grey16, encapsulate([bytes(rle_encode_frame(grey16))]))
    add("rle/rgb", dataset(rgb, RLE, 8, "RGB"), rgb, encapsulate([bytes(rle_encode_frame(rgb))]), see=False)
    add("rgb/0", dataset(rgb, EXPLICIT, 8, "RGB"), rgb, see=False)
    add("rgb/1", dataset(rgb, EXPLICIT, 8, "RGB", 1), rgb, see=False)
    jpeg = pil_bytes(grey8, "JPEG", quality=95)
    decoded = np.asarray(Image.open(io.BytesIO(jpeg)))
    add("jpeg/8", dataset(grey8, JPEG, 8), decoded, encapsulate([jpeg]), see=False)
    cut = [jpeg[:100], jpeg[100:200], jpeg[200:]]
    add("jpeg/pieces", dataset(grey8, JPEG, 8), decoded, encapsulate(cut, fragments_per_frame=1, has_bot=False), see=False)
    for name, values, stored, options in (
            ("left", grey12, 12, {}), ("16", grey16, 16, {"predictor": 4}), ("8", grey8, 8, {"predictor": 7}),
            ("restart", grey12, 12, {"predictor": 5, "restart_rows": 3}), ("shift", grey12, 12, {"predictor": 6, "shift": 2}),
            ("above", grey16, 16, {"predictor": 2}), ("corner", grey16, 16, {"predictor": 3}), ("rgb", rgb, 8, {"predictor": 4})):
        syntax = LOSSLESS if options else LOSSLESS_LEFT
        stream = lossless_jpeg(values, stored, **options)
        kept = values >> options.get("shift", 0) << options.get("shift", 0)
        d = dataset(values, syntax, stored, "RGB" if values.ndim == 3 else "MONOCHROME2")
        add("lossless/" + name, d, kept, encapsulate([stream]), see=False)
        if gdcm_handler.is_available() and not np.array_equal(read_by_gdcm(out[f"lossless/{name}/file"]), kept):
            sys.exit(f"GDCM does not agree on lossless/{name}")
    j2k = pil_bytes(grey16, "JPEG2000", irreversible=False, no_jp2=True)
    add("jpeg2000/16", dataset(grey16, JPEG2000, 16), grey16, encapsulate([j2k]))
    add("jpeg2000/boxes", dataset(grey16, JPEG2000, 16), grey16, encapsulate([pil_bytes(grey16, "JPEG2000", irreversible=False)]))
    tiles = pil_bytes(grey8, "JPEG2000", irreversible=False, no_jp2=True, tile_size=(16, 16))
    add("jpeg2000/tiles", dataset(grey8, JPEG2000, 8), grey8, encapsulate([tiles]), see=False)
    colours = pil_bytes(rgb, "JPEG2000", irreversible=False, no_jp2=True, mct=1)
    add("jpeg2000/rgb", dataset(rgb, JPEG2000, 8, "YBR_RCT"), rgb, encapsulate([colours]), see=False)
    frames = np.stack([grey12, grey12[::-1], grey12 // 2])
    add("frames/plain", dataset(frames, EXPLICIT, 12), frames, see=False)
    add("frames/rle", dataset(frames, RLE, 12), frames, encapsulate([bytes(rle_encode_frame(f)) for f in frames]), see=False)
    return out


def real(folder):
    """By the names of the files, so that they may be anywhere."""
    out = {}
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(".dcm"):
                out[name] = pydicom.dcmread(os.path.join(root, name)).pixel_array.astype(np.float32)
    return out


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(sys.argv[2], real(sys.argv[1]))
    else:
        write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dicom.safetensors"), files())
