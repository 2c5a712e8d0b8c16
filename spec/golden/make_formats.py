#!/usr/bin/env python3
"""Image files of kinds that readers get wrong, and the pixels that are right: spec/golden/formats.safetensors.

Needs Debian's python3-pydicom, python3-pil, python3-numpy, python3-tifffile, dcmtk and libjpeg-turbo-progs; no file is of a person.
usage: make_formats.py [OUT]

For each NAME: NAME/file, the bytes of the file, and one of
  NAME/levels   what `load` with bits = 8 gives [C,H,W] (uint8)
  NAME/stored   what `load` gives without options [C,H,W]
and NAME/within, by how much values may differ (one number).
"""
import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import tifffile
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian,
                         JPEG2000Lossless, JPEGBaseline8Bit)

from images import (add, bmp, chunk, converted, dataset, decoded, jpeg, levels_of, pad, planes, saved, tensors, work, write)

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "formats.safetensors")
H, W = 21, 30
y, x = np.mgrid[0:H, 0:W]
grey = ((x * 7 + y * 3) % 256).astype(np.uint8)
deep = (np.hypot(x - 15, y - 10) * 180).astype(np.uint16)  # 12 bits
colour = np.stack([(x * 8) % 256, (y * 11) % 256, (255 - x * 4) % 256], -1).astype(np.uint8)


twelve = levels_of(deep.astype(float), 0, 4095)

# ---- DICOM -----------------------------------------------------------------------------------------------------------

item = Dataset()
item.SamplesPerPixel, item.PhotometricInterpretation, item.Rows, item.Columns = 1, "MONOCHROME2", H, W
item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 8, 8, 7, 0
item.PixelData = encapsulate([jpeg(grey, format="JPEG")])
item["PixelData"].VR = "OB"
item["PixelData"].is_undefined_length = item.is_undefined_length_sequence_item = True
d = dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes(), IconImageSequence=Sequence([item]))
d["IconImageSequence"].is_undefined_length = True
add("dicom: icon", saved(d), stored=deep)

padded = deep.copy()
padded[:, :6] = 4095
inside = padded[padded != 4095].astype(float)
for name, photometric, inverted in (("padding", "MONOCHROME2", False), ("padding, inverted", "MONOCHROME1", True)):
    right = levels_of(padded.astype(float), inside.min(), inside.max())
    right = 255 - right if inverted else right
    right[padded == 4095] = 0
    add("dicom: " + name, saved(dataset(ExplicitVRLittleEndian, photometric, 12, 1, padded.tobytes(), PixelPaddingValue=4095)),
        1, levels=right)
ranged = padded.copy()
ranged[:, :3] = 4000
right = levels_of(padded.astype(float), inside[inside < 4000].min(), inside[inside < 4000].max())
right[:, :6] = 0
d = dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, ranged.tobytes(), PixelPaddingValue=4095)
d.add_new(0x00280121, "US", 4000)
add("dicom: range of padding", saved(d), 1, levels=right)

ybr = np.asarray(Image.fromarray(colour).convert("YCbCr"))
add("dicom: YBR_FULL in JPEG 2000", saved(dataset(JPEG2000Lossless, "YBR_FULL", 8, 3,
    encapsulate([jpeg(ybr, format="JPEG2000", no_jp2=True, mct=0)]))), 3, stored=colour)
plain = saved(dataset(ExplicitVRLittleEndian, "YBR_FULL", 8, 3, pad(ybr.tobytes())))
add("dicom: YBR_FULL", plain, 3, stored=colour)
one, two = os.path.join(work, "plain.dcm"), os.path.join(work, "packed.dcm")
with open(one, "wb") as file:
    file.write(plain)
subprocess.run(["dcmcjpeg", "+tl", "+e1", "+cn", one, two], check=True)
add("dicom: YBR_FULL in lossless JPEG", open(two, "rb").read(), 3, stored=colour)


def bare(components):
    """A JPEG of RGB planes with components of these numbers, without a marker that says so."""
    ppm = os.path.join(work, "c.ppm")
    Image.fromarray(colour).save(ppm)
    data = subprocess.run(["cjpeg", "-rgb", "-quality", "100", ppm], stdout=subprocess.PIPE, check=True).stdout
    kept, at = bytearray(data[:2]), 2
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        segment = bytearray(data[at:at + 2 + length])
        for i in range(3):
            if marker == 0xC0:
                segment[10 + 3 * i] = components[i]
            if marker == 0xDA:
                segment[5 + 2 * i] = components[i]
        if not 0xE0 <= marker <= 0xEF:
            kept += segment
        at += 2 + length
        if marker == 0xDA:
            return bytes(kept + data[at:])


for components in ((0, 1, 2), (82, 71, 66)):
    add("dicom: RGB JPEG, components %d %d %d" % components,
        saved(dataset(JPEGBaseline8Bit, "RGB", 8, 3, encapsulate([bare(components)]))), 4, stored=colour)
as_ycc = jpeg(colour, format="JPEG", quality=100, subsampling=0)
add("dicom: YCbCr JPEG that is called RGB", saved(dataset(JPEGBaseline8Bit, "RGB", 8, 3, encapsulate([as_ycc]))), 6,
    stored=colour)

def with_window(centre, width):
    """The window as text that pydicom would not write."""
    d = dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes())
    d.add_new(0x00281050, "LO", centre)
    d.add_new(0x00281051, "LO", width)
    data = saved(d)
    return data.replace(b"\x28\x00\x50\x10LO", b"\x28\x00\x50\x10DS").replace(b"\x28\x00\x51\x10LO", b"\x28\x00\x51\x10DS")


units = deep.astype(float)
right = levels_of(units, 1200.5 - 0.5 - 799.75 / 2, 1200.5 - 0.5 + 799.75 / 2)
add("dicom: window with decimal commas", with_window("1200,5", "800,75"), 1, levels=right)

implicit = dataset(ImplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes())
data = saved(implicit)
add("dicom: implicit data set that is called explicit",
    data.replace(b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0"[:20]).replace(
        b"UI\x12\x001.2.840.10008.1.2.1\0", b"UI\x14\x001.2.840.10008.1.2.1\0"), stored=deep)
data = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes()))
add("dicom: explicit data set that is called implicit", data.replace(
    b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x14\x001.2.840.10008.1.2\0\0\0"), stored=deep)

odd = grey[:, :29]  # an odd number of bytes, in words of the other order
words = np.frombuffer(pad(odd.tobytes()), np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
d = dataset(ExplicitVRBigEndian, "MONOCHROME2", 8, 1, words)
d.Columns = 29
add("dicom: odd number of bytes in big-endian words", saved(d), stored=odd)

table = Dataset()
curve = (255 - np.sqrt(np.arange(4096) / 4095) * 255).astype(np.uint16)
table.LUTDescriptor, table.LUTData = [4096, 0, 8], curve.tolist()
table["LUTDescriptor"].VR = "US"
table["LUTData"].VR = "US"
d = dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes(), WindowCenter=2000, WindowWidth=1000,
            VOILUTSequence=Sequence([table]))
add("dicom: table of levels beside a window", saved(d), levels=curve[deep].astype(np.uint8))

wide = np.stack([deep * 16, deep * 8, 65535 - deep * 16], -1).astype(np.uint16)
d = dataset(ExplicitVRLittleEndian, "RGB", 16, 3, wide.tobytes())
add("dicom: RGB of 16 bits", saved(d), stored=wide)
d = dataset(ExplicitVRLittleEndian, "RGB", 16, 3, wide.tobytes())
add("dicom: RGB of 16 bits as bytes", saved(d), 1, levels=levels_of(wide.astype(float), 0, 65535))

modality = Dataset()
modality.LUTDescriptor, modality.LUTData, modality.ModalityLUTType = [4096, 0, 16], (curve * 100).tolist(), "US"
modality["LUTDescriptor"].VR = "US"
modality["LUTData"].VR = "US"
d = dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes(), PixelIntensityRelationship="LOG",
            ModalityLUTSequence=Sequence([modality]))
d.Modality = "XA"
add("dicom: angiography with a table for measuring", saved(d), 1, levels=levels_of(units, units.min(), units.max()))

for shape, name in (((H, W), "deflated"), ((800, 900), "deflated, large")):
    big = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 2 % 4096).astype(np.uint16)
    d = dataset(DeflatedExplicitVRLittleEndian, "MONOCHROME2", 12, 1, big.tobytes())
    d.Rows, d.Columns = shape
    if shape == (H, W):
        add("dicom: " + name, saved(d), stored=big)
    else:  # its pixels are told by their places
        tensors["computed/dicom: " + name] = np.frombuffer(saved(d), np.uint8)


twelve_bits = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, deep.tobytes()))
eight_bits = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 8, 1, grey.tobytes()))
signed = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, (deep.astype(np.int16) - 2000).tobytes(), PixelRepresentation=1))
in_colour = saved(dataset(ExplicitVRLittleEndian, "RGB", 8, 3, pad(colour.tobytes())))
for name, source, right in (("12 bits", twelve_bits, deep), ("8 bits", eight_bits, grey), ("colours", in_colour, colour),
                            ("signed", signed, deep.astype(np.int16) - 2000)):
    add("dicom: JPEG-LS, " + name, converted(source, "dcmcjpls", "+el"), stored=right)
near = converted(twelve_bits, "dcmcjpls", "+en", "+md", "4")
add("dicom: JPEG-LS, nearly", near, stored=decoded(near, "dcmdjpls"))
smooth12 = (2048 + 1500 * np.sin(x / 5) * np.cos(y / 4)).astype(np.uint16)
smooth_bits = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 12, 1, smooth12.tobytes()))
for quality in (60, 95, 100):
    packed = converted(smooth_bits, "dcmcjpeg", "+ee", "+q", str(quality), "+un")
    add("dicom: JPEG of 12 bits, quality %d" % quality, packed, 3, stored=decoded(packed, "dcmdjpeg"))
ten = saved(dataset(ExplicitVRLittleEndian, "MONOCHROME2", 10, 1, (smooth12 // 4).tobytes()))
packed = converted(ten, "dcmcjpeg", "+ee", "+q", "95", "+un")
add("dicom: JPEG of 12 bits for 10", packed, 3, stored=decoded(packed, "dcmdjpeg"))
tensors["refused/dicom: progressive JPEG of 12 bits"] = np.frombuffer(converted(smooth_bits, "dcmcjpeg", "+ep", "+un"), np.uint8)

# the headers alone of one of three components, whose scan header is too short for them
tables = b"\xff\xdb\0\x43\0" + bytes([1] * 64)
for kind in (0x00, 0x10):
    tables += b"\xff\xc4\0\x14" + bytes([kind, 1] + [0] * 15 + [0])
frame = b"\xff\xc1\0\x11\x0c" + struct.pack(">HH", H, W) + b"\x03" + b"".join(bytes((i, 0x11, 0)) for i in (1, 2, 3))
short = b"\xff\xd8" + tables + frame + b"\xff\xda\0\x08\x03\x01\x00\x02\x00\x03" + b"\0" * 64 + b"\xff\xd9"
d = dataset(ExplicitVRLittleEndian, "RGB", 12, 3, b"", allocated=16)
d.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.51"
d.PixelData = encapsulate([short])
d["PixelData"].VR = "OB"
d["PixelData"].is_undefined_length = True
tensors["refused/dicom: scan header too short for its components"] = np.frombuffer(saved(d), np.uint8)

# ---- TIFF --------------------------------------------------------------------------------------------------------------

sixteen = deep * 16


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, software=None, **options)
    return buffer.getvalue()


add("tiff: 8 bits", tiff(grey), stored=grey)
add("tiff: 16 bits", tiff(sixteen), stored=sixteen)
add("tiff: 16 bits, big endian", tiff(sixteen, byteorder=">"), stored=sixteen)
add("tiff: BigTIFF", tiff(sixteen, bigtiff=True), stored=sixteen)
add("tiff: short strips", tiff(sixteen, rowsperstrip=4), stored=sixteen)
add("tiff: tiles over the edge", tiff(sixteen, tile=(16, 16)), stored=sixteen)
add("tiff: 12 bits at the lower end of 16", tiff(deep), 1, levels=twelve)
add("tiff: white is the smallest, 8 bits", tiff(grey, photometric="miniswhite"), stored=255 - grey)
add("tiff: white is the smallest, 16 bits", tiff(sixteen | 15, photometric="miniswhite"), stored=65535 - (sixteen | 15))
add("tiff: white is the smallest, 12 of 16 bits", tiff(deep, photometric="miniswhite"), 1, levels=255 - twelve)
add("tiff: signed", tiff((deep.astype(np.int16) - 2000)), stored=deep.astype(np.int16) - 2000)
add("tiff: 32 bits", tiff(deep.astype(np.uint32) * 1000), stored=deep.astype(np.float32) * 1000)
real = (deep / 7 - 100).astype(np.float32)
add("tiff: real numbers", tiff(real), stored=real)
add("tiff: real numbers as levels", tiff(real), 1, levels=levels_of(real, real.min(), real.max()))
add("tiff: RGB", tiff(colour, photometric="rgb"), stored=colour)
add("tiff: RGB in planes", tiff(planes(colour), photometric="rgb", planarconfig="separate"), stored=colour)
add("tiff: RGB of 16 bits", tiff(colour.astype(np.uint16) * 257, photometric="rgb"), stored=colour.astype(np.uint16) * 257)
add("tiff: first of two pages", tiff(np.stack([grey, 255 - grey]), photometric="minisblack"), stored=grey)


def pillow_tiff(array, mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, format="TIFF", **options)
    return buffer.getvalue()


for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
    add("tiff: " + compression, pillow_tiff(grey, compression=compression), stored=grey)
add("tiff: differences of 16 bits", pillow_tiff(sixteen, compression="tiff_lzw", tiffinfo={317: 2}), stored=sixteen)
add("tiff: palette", pillow_tiff(colour, "P", compression="tiff_lzw"),
    stored=np.asarray(Image.open(io.BytesIO(pillow_tiff(colour, "P", compression="tiff_lzw"))).convert("RGB")))
# ---- PNG ---------------------------------------------------------------------------------------------------------------

def png(array, depth, kind, extra=b"", raw=None):
    height, width = array.shape[:2]
    rows = raw or b"".join(b"\0" + (row.astype(">u2") if depth == 16 else row.astype(np.uint8)).tobytes() for row in array)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) + extra
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


add("png: 12 bits at the lower end of 16", png(deep, 16, 0), 1, levels=twelve)
add("png: 12 bits at the lower end of 16, sBIT", png(deep, 16, 0, chunk(b"sBIT", bytes([12]))), 1, levels=twelve)
scaled = deep * 16 + deep // 256
add("png: 12 bits spread over 16, sBIT", png(scaled, 16, 0, chunk(b"sBIT", bytes([12]))), 1, levels=twelve)
add("png: 16 bits", png(deep * 16, 16, 0), 1, levels=(deep * 16 >> 8).astype(np.uint8))
opaque = np.stack([deep, np.full_like(deep, 65535)], -1)
add("png: 12 bits beside alpha of 16", png(opaque, 16, 4), 1, levels=twelve)
colours = [v for i in range(16) for v in (i * 16, 255 - i * 9, i * 5)]
few = grey % 16
right = np.array(colours, np.uint8).reshape(16, 3)[few]
add("png: palette", png(few, 8, 3, chunk(b"PLTE", bytes(colours))), stored=right)
packed = b"".join(b"\0" + bytes((row[i] << 4 | (row[i + 1] if i + 1 < W else 0)) for i in range(0, W, 2)) for row in few.tolist())
add("png: palette of 4 bits", png(few, 4, 3, chunk(b"PLTE", bytes(colours)), packed), stored=right)
for depth in (1, 2, 4):
    values = grey % (1 << depth)
    per = 8 // depth
    raw = b"".join(b"\0" + bytes(sum((int(row[i + k]) if i + k < W else 0) << (8 - depth * (k + 1)) for k in range(per))
                                 for i in range(0, W, per)) for row in values)
    add("png: grey of %d bits" % depth, png(values, depth, 0, b"", raw), stored=(values * (255 // ((1 << depth) - 1))).astype(np.uint8))
tensors["refused/png: index beyond the palette"] = np.frombuffer(png(grey, 8, 3, chunk(b"PLTE", bytes(colours))), np.uint8)

# ---- JPEG ---------------------------------------------------------------------------------------------------------------

turns = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.T, 6: lambda a: np.rot90(a, 1),
         7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}
for orientation, turn in turns.items():
    exif = Image.Exif()
    exif[274] = orientation
    data = jpeg(np.ascontiguousarray(turn(grey // 2)), format="JPEG", quality=100, exif=exif)
    add("jpeg: orientation %d" % orientation, data, 3, stored=grey // 2)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turn(grey))).save(buffer, format="PNG", exif=exif)
    add("png: orientation %d" % orientation, buffer.getvalue(), stored=grey)
    add("tiff: orientation %d" % orientation, pillow_tiff(np.ascontiguousarray(turn(grey)), tiffinfo={274: orientation}), stored=grey)


def segments(data):
    """The markers up to the first scan, with their segments, and the rest."""
    found, at = [], 2
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        found.append((marker, data[at:at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return found, data[at:]


smooth = (128 + 60 * np.sin(x / 5) + 50 * np.cos(y / 4)).astype(np.uint8)
data = jpeg(smooth, format="JPEG", quality=95)
right = np.asarray(Image.open(io.BytesIO(data)))
found, rest = segments(data)
late = b"\xff\xd8" + b"".join(s[:5] + b"\0\0" + s[7:] if m == 0xC0 else s for m, s in found)
late += rest[:-2] + b"\xff\xdc\0\4" + struct.pack(">H", H) + rest[-2:]
add("jpeg: height behind the scan", late, 1, stored=right)
add("jpeg: without Huffman tables", b"\xff\xd8" + b"".join(s for m, s in found if m != 0xC4) + rest, 1, stored=right)
add("jpeg: bytes between markers", b"\xff\xd8" + b"".join(s + (b"\1\2\3" if m == 0xDB else b"") for m, s in found) + rest, 1,
    stored=right)
add("jpeg: progressive", jpeg(smooth, format="JPEG", quality=95, progressive=True), 1,
    stored=np.asarray(Image.open(io.BytesIO(jpeg(smooth, format="JPEG", quality=95, progressive=True)))))
inks = np.stack([255 - colour[..., 0], 255 - colour[..., 1], 255 - colour[..., 2], np.full((H, W), 20, np.uint8)], -1)
buffer = io.BytesIO()
Image.fromarray(inks, "CMYK").save(buffer, format="JPEG", quality=100, subsampling=0)
add("jpeg: inks", buffer.getvalue(), 4, stored=np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")))
found, rest = segments(buffer.getvalue())
plain = b"\xff\xd8" + b"".join(s for m, s in found if m != 0xEE) + rest
add("jpeg: inks without a marker", plain, 4, stored=np.asarray(Image.open(io.BytesIO(plain)).convert("RGB")))

# ---- BMP ---------------------------------------------------------------------------------------------------------------

def info_header(depth, compression=0, colours=0, height=H, size=40):
    return struct.pack("<IiiHHIIiiII", size, W, height, 1, depth, compression, 0, 0, 0, colours, 0)


def rows_of(array, depth):
    lines = []
    for row in array[::-1]:
        if depth >= 8:
            line = row.tobytes()
        else:
            bits = "".join(format(int(v), "0%db" % depth) for v in row)
            bits += "0" * (-len(bits) % 8)
            line = int(bits, 2).to_bytes(len(bits) // 8, "big")
        lines.append(line + b"\0" * (-len(line) % 4))
    return b"".join(lines)


bgrx = b"".join(bytes((colours[3 * i + 2], colours[3 * i + 1], colours[3 * i], 0)) for i in range(16))
bgr = b"".join(bytes((colours[3 * i + 2], colours[3 * i + 1], colours[3 * i])) for i in range(16))
right = np.array(colours, np.uint8).reshape(16, 3)[few]
for depth in (4, 8):
    add("bmp: palette of %d bits" % depth, bmp(info_header(depth, 0, 16), bgrx, rows_of(few, depth)), stored=right)
add("bmp: OS/2 header", bmp(struct.pack("<IHHHH", 12, W, H, 1, 4), bgr, rows_of(few, 4)), stored=right)
add("bmp: OS/2 header, 24 bits", bmp(struct.pack("<IHHHH", 12, W, H, 1, 24), b"", rows_of(colour[..., ::-1].reshape(H, -1), 8)), stored=colour)
add("bmp: OS/2 header of version 2, cut short", bmp(struct.pack("<IIIHH", 16, W, H, 1, 24), b"", rows_of(colour[..., ::-1].reshape(H, -1), 8)), stored=colour)
add("bmp: 24 bits from the top", bmp(info_header(24, height=-H), b"", rows_of(colour[::-1, :, ::-1].reshape(H, -1), 8)), stored=colour)
mono = grey % 2
add("bmp: 1 bit", bmp(info_header(1, 0, 2), b"\0\0\0\0\xff\xff\xff\0", rows_of(mono, 1)), stored=np.repeat((mono * 255).astype(np.uint8)[..., None], 3, -1))
five = (colour[..., 0].astype(np.uint16) >> 3) << 10 | (colour[..., 1].astype(np.uint16) >> 3) << 5 | colour[..., 2] >> 3
right5 = np.rint((colour >> 3) * (255 / 31)).astype(np.uint8)
add("bmp: 16 bits", bmp(info_header(16), b"", rows_of(five, 16)), 1, stored=right5)
six = (colour[..., 0].astype(np.uint16) >> 3) << 11 | (colour[..., 1].astype(np.uint16) >> 2) << 5 | colour[..., 2] >> 3
right6 = right5.copy()
right6[..., 1] = np.rint((colour[..., 1] >> 2) * (255 / 63))
add("bmp: bit fields of 16 bits", bmp(info_header(16, 3) + struct.pack("<III", 0xf800, 0x07e0, 0x001f), b"", rows_of(six, 16)), 1, stored=right6)
four = np.stack([colour[..., 0], colour[..., 1], colour[..., 2], np.full((H, W), 255, np.uint8)], -1)
add("bmp: bit fields of 32 bits", bmp(info_header(32, 3) + struct.pack("<III", 0xff, 0xff00, 0xff0000), b"", rows_of(four.reshape(H, -1), 8)), stored=colour)


def rle8(array):
    data = b""
    for row in array[::-1].tolist():
        i = 0
        while i < W:
            n = 1
            while i + n < W and n < 5 and row[i + n] == row[i]:
                n += 1
            if n == 1 and i + 3 <= W:
                data += bytes((0, 3, *row[i:i + 3], 0))
                i += 3
            else:
                data += bytes((n, row[i]))
                i += n
        data += b"\0\0"
    return data + b"\0\1"


runs = (few // 4 * 4)
right_runs = np.array(colours, np.uint8).reshape(16, 3)[runs]
add("bmp: run lengths of 8 bits", bmp(info_header(8, 1, 16), bgrx, rle8(runs)), stored=right_runs)
pairs = b"".join(b"".join(bytes((2, row[i] << 4 | row[i + 1])) for i in range(0, W, 2)) + b"\0\0" for row in few[::-1].tolist()) + b"\0\1"
add("bmp: run lengths of 4 bits", bmp(info_header(4, 2, 16), bgrx, pairs), stored=right)
apart = b"".join(b"".join(bytes((0, 10, *(row[i + k] << 4 | row[i + k + 1] for k in range(0, 10, 2)), 0)) for i in range(0, W, 10))
                 + b"\0\0" for row in few[::-1].tolist()) + b"\0\1"
add("bmp: pixels apart among run lengths of 4 bits", bmp(info_header(4, 2, 16), bgrx, apart), stored=right)
skipped = right.copy()
skipped[:] = np.array(colours[:3], np.uint8)
skipped[H - 1, 2] = skipped[H - 2, 5] = np.array(colours[9:12], np.uint8)
add("bmp: steps in run lengths", bmp(info_header(8, 1, 16), bgrx, b"\0\2\2\0\1\3\0\2\2\1\1\3\0\1"), stored=skipped)
tensors["refused/bmp: index beyond the palette"] = np.frombuffer(bmp(info_header(8, 0, 16), bgrx, rows_of(grey, 8)), np.uint8)

# ---- PNM ---------------------------------------------------------------------------------------------------------------

text = "P2\n# a comment\n%d %d\n255\n" % (W, H) + "\n".join(" ".join(map(str, row)) for row in grey.tolist())
add("pnm: P2", text.encode(), stored=grey)
text = "P3 %d %d 255 " % (W, H) + " ".join(map(str, colour.reshape(-1).tolist())) + "\n"
add("pnm: P3", text.encode(), stored=colour)
text = "P1\n%d %d\n" % (W, H) + "\n".join("".join(map(str, row)) for row in mono.tolist())
add("pnm: P1", text.encode(), stored=(255 - mono * 255).astype(np.uint8))
bits = b"".join(int("".join(map(str, row)) + "00", 2).to_bytes(4, "big") for row in mono.tolist())
add("pnm: P4", b"P4 %d %d\n" % (W, H) + bits, stored=(255 - mono * 255).astype(np.uint8))
add("pnm: P5 of 12 bits", b"P5 %d %d 4095\n" % (W, H) + deep.astype(">u2").tobytes(), 1, levels=twelve)
add("pnm: P6", b"P6 %d %d 255\n" % (W, H) + colour.tobytes(), stored=colour)

write(out)
