#!/usr/bin/env python3
"""Image files in which every field of a header that changes pixels takes its legal values, and the pixels that are right:
spec/golden/headers.safetensors, laid out as formats.safetensors is (make_formats.py).

What is right comes from the values that were written, and has to be what pydicom, OpenCV or Pillow read of the same file,
wherever they read such files; where they do not, the standard alone says it. Needs Debian's python3-pydicom, -opencv,
-pil, -tifffile, dcmtk, libopenjp2-tools, libtiff-tools and libjpeg-turbo-progs; no file is of a person.
usage: make_headers.py [OUT]
"""
import io
import itertools
import os
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian,
                         JPEG2000Lossless, JPEGBaseline8Bit, RLELossless)

from images import bmp, chunk, converted, dataset, pad, saved, work, write
from images import add as add_file

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "headers.safetensors")
H, W = 7, 9
chance = np.random.default_rng(7)
y, x = np.mgrid[0:H, 0:W]
names = set()


def add(name, data, within=0, **right):
    assert name not in names, name
    names.add(name)
    add_file(name, data, within, **right)


def check(name, found, right, within=0):
    """What others read of a file has to be what is said to be right."""
    apart = np.abs(np.asarray(found, float) - np.asarray(right, float)).max()
    assert found.shape == right.shape and apart <= within, (name, found.shape, right.shape, apart)


# ---- DICOM: stored values ----------------------------------------------------------------------------------------------

PLAIN = {"implicit": ImplicitVRLittleEndian, "explicit": ExplicitVRLittleEndian, "big-endian": ExplicitVRBigEndian,
         "deflated": DeflatedExplicitVRLittleEndian, "RLE": RLELossless}
LAYOUTS = [(8, 8, 7), (8, 7, 6), (8, 5, 6), (8, 1, 0), (16, 16, 15), (16, 15, 14), (16, 14, 13), (16, 12, 11), (16, 12, 15),
           (16, 12, 13), (16, 10, 9), (16, 9, 8), (16, 8, 7), (16, 8, 15)]
RESCALING = [None, (1, -1024), (2.5, -7), (-0.5, 3)]


def values_of(stored, signed, shape=(H, W)):
    """Values of so many bits, the ends among them."""
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    values = chance.integers(low, high + 1, shape)
    values.flat[:2] = low, high
    return values


def words_of(values, allocated, stored, high, junk):
    """Values in their bits of a word, and other bits anything, as for overlays, or as their sign says."""
    shift, mask = high + 1 - stored, (1 << stored) - 1
    if junk:
        words = chance.integers(0, 1 << allocated, values.shape)
    else:
        words = np.where(values < 0, (1 << allocated) - 1, 0) if shift == 0 else np.zeros_like(values)
    words = words & ~(mask << shift) | (values & mask) << shift
    return words.astype(np.uint8 if allocated == 8 else np.uint16)


def stored_bytes(words, syntax):
    """Pixel data as a syntax has it; bytes in big-endian words change places."""
    if syntax == ExplicitVRBigEndian and words.dtype == np.uint16:
        return words.astype(">u2").tobytes()
    if syntax == ExplicitVRBigEndian:
        return np.frombuffer(pad(words.tobytes()), np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    return pad(words.tobytes())


def image(syntax, words, photometric="MONOCHROME2", allocated=None, stored=None, high=None, signed=0, **more):
    allocated = allocated or 8 * words.dtype.itemsize
    stored = stored or allocated
    d = dataset(ExplicitVRLittleEndian if syntax == RLELossless else syntax, photometric, stored, more.get("SamplesPerPixel", 1),
                stored_bytes(words, syntax), allocated, shape=more.pop("shape", (H, W)), PixelRepresentation=int(signed), **more)
    d.HighBit = stored - 1 if high is None else high
    return d


def file_of(d, syntax):
    return converted(saved(d), "dcmcrle", "+un") if syntax == RLELossless else saved(d)


def right_of(values, stored, signed, rescaling, photometric, lut=None):
    """Units: white at the large end."""
    slope, intercept = rescaling or (1, 0)
    ends = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    units = values * float(slope) + intercept
    if photometric == "MONOCHROME1":
        units = (ends[0] + ends[1]) * float(slope) + 2 * intercept - units
    return units.astype(np.uint8 if stored <= 8 and not signed and rescaling is None else np.float32)


turn = itertools.cycle(itertools.product(RESCALING, ("MONOCHROME2", "MONOCHROME1")))
for (allocated, stored, high), signed, (syntax, uid) in itertools.product(LAYOUTS, (False, True), PLAIN.items()):
    if signed and stored == 1:
        continue
    rescaling, photometric = next(turn)
    for junk in (False, True) if stored < allocated and syntax in ("explicit", "RLE") else (False,):
        values = values_of(stored, signed)
        words = words_of(values, allocated, stored, high, junk)
        more = dict(zip(("RescaleSlope", "RescaleIntercept"), rescaling)) if rescaling else {}
        d = image(uid, words, photometric, allocated, stored, high, signed, **more)
        name = "dicom: %s, bits %d %d %d, %s, rescaled by %s, %s%s" % (
            syntax, allocated, stored, high, "signed" if signed else "unsigned", rescaling, photometric, ", overlays" if junk else "")
        data = file_of(d, uid)
        if not junk and high + 1 == stored and stored > 1 and (uid != ExplicitVRBigEndian or allocated == 16):
            check(name, apply_modality_lut(pydicom.dcmread(io.BytesIO(data)).pixel_array, d), values * (rescaling or (1, 0))[0]
                  + (rescaling or (1, 0))[1])
        add(name, data, 1e-3, stored=right_of(values, stored, signed, rescaling, photometric))

# ---- DICOM: packed by dcmtk and OpenJPEG -----------------------------------------------------------------------------------

PACKERS = {"lossless JPEG, predictor %d" % n: ("dcmcjpeg", "+el", "+sv", str(n), "+un") for n in range(1, 8)}
PACKERS["lossless JPEG, first predictor"] = ("dcmcjpeg", "+e1", "+un")
PACKERS["JPEG-LS, lossless"] = ("dcmcjpls", "+el", "+un")
PACKERS["JPEG-LS, nearly lossless by 3"] = ("dcmcjpls", "+en", "+md", "3", "+un")
PACKERS["RLE by dcmtk"] = ("dcmcrle", "+un")
PACKERS["JPEG 2000"] = ("opj_compress",)
UNPACKERS = {"dcmcjpeg": ["dcmdjpeg"], "dcmcjpls": ["dcmdjpls"], "dcmcrle": ["dcmdrle"]}
soft = np.round(100 + 80 * np.sin(x / 3) * np.cos(y / 2))


def in_jpeg2000(d):
    """The file with its pixels coded by OpenJPEG."""
    planes = d.pixel_array.reshape(-1, d.Rows, d.Columns, d.SamplesPerPixel).transpose(0, 3, 1, 2)
    coded = []
    for frame in planes:
        raw, stream = os.path.join(work, "x.rawl"), os.path.join(work, "x.j2k")
        frame.tofile(raw)
        size = "%d,%d,%d,%d,%s" % (d.Columns, d.Rows, d.SamplesPerPixel, d.BitsStored, "s" if d.PixelRepresentation else "u")
        subprocess.run(["opj_compress", "-i", raw, "-o", stream, "-F", size, "-n", "1" if 1 in (d.Rows, d.Columns) else "2"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(stream, "rb") as file:
            coded.append(file.read())
    d.file_meta.TransferSyntaxUID = JPEG2000Lossless
    if d.SamplesPerPixel == 3:
        d.PhotometricInterpretation = "YBR_RCT"
    d.PixelData = encapsulate(coded)
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True
    return saved(d)


def packed(d, command):
    if command[0] != "opj_compress":
        return converted(saved(d), *command)
    return in_jpeg2000(pydicom.dcmread(io.BytesIO(saved(d))))


def repacked(d, command):
    """The file as a packer makes it, and the values that its own unpacker finds in it."""
    data = packed(d, command)
    if command[0] == "opj_compress":
        return data, d.pixel_array
    back = pydicom.dcmread(io.BytesIO(converted(data, *UNPACKERS[command[0]])))
    return data, back.pixel_array


for packer, command in PACKERS.items():
    for stored, signed in ((8, False), (10, False), (12, False), (12, True), (14, False), (16, False), (16, True)):
        if signed and "nearly" in packer:  # which dcmtk refuses
            continue
        values = np.round(soft * (1 << stored) / 256).astype(int) - (signed and 1 << stored - 1)
        d = image(ExplicitVRLittleEndian, words_of(values, 8 if stored == 8 else 16, stored, stored - 1, False), stored=stored,
                  signed=signed)
        data, right = repacked(d, command)
        check(packer, right, values, 3 if "nearly" in packer else 0)
        add("dicom: %s, %d bits, %s" % (packer, stored, "signed" if signed else "unsigned"), data,
            stored=right_of(right.astype(int), stored, signed, None, "MONOCHROME2"))

colours = np.stack([(x * 25) % 256, (y * 31) % 256, (255 - x * 14) % 256], -1).astype(np.uint8)
for planar, (syntax, uid) in itertools.product((0, 1), PLAIN.items()):
    stored = np.ascontiguousarray(colours.transpose(2, 0, 1)) if planar else colours
    d = image(uid, stored, "RGB", SamplesPerPixel=3, PlanarConfiguration=planar)
    data = file_of(d, uid)
    if uid != ExplicitVRBigEndian:
        check(syntax, pydicom.dcmread(io.BytesIO(data)).pixel_array, colours)
    add("dicom: RGB, %s, planar configuration %d" % (syntax, planar), data, stored=colours)
    ybr = convert_color_space(colours, "RGB", "YBR_FULL")
    stored = np.ascontiguousarray(ybr.transpose(2, 0, 1)) if planar else ybr
    d = image(uid, stored, "YBR_FULL", SamplesPerPixel=3, PlanarConfiguration=planar)
    add("dicom: YBR_FULL, %s, planar configuration %d" % (syntax, planar), file_of(d, uid), 1,
        stored=convert_color_space(ybr, "YBR_FULL", "RGB"))
for packer in ("lossless JPEG, first predictor", "JPEG-LS, lossless", "RLE by dcmtk", "JPEG 2000"):
    d = image(ExplicitVRLittleEndian, colours, "RGB", SamplesPerPixel=3)
    data = packed(d, PACKERS[packer] + (("+cn",) if "JPEG, first" in packer else ()))
    add("dicom: RGB, " + packer, data, stored=colours)
for mode in ("+il", "+is", "+in"):
    d = image(ExplicitVRLittleEndian, colours, "RGB", SamplesPerPixel=3)
    try:
        data = converted(saved(d), "dcmcjpls", "+el", mode, "+un")
    except subprocess.CalledProcessError:
        continue
    add("dicom: RGB, JPEG-LS, interleaved by %s" % mode, data, stored=colours)
for quality, sampling in itertools.product((50, 90), ("+s4", "+s2")):
    d = image(ExplicitVRLittleEndian, np.repeat(np.repeat(colours, 4, 0), 4, 1), "RGB", SamplesPerPixel=3, shape=(4 * H, 4 * W))
    data = converted(saved(d), "dcmcjpeg", "+eb", "+q", str(quality), sampling, "+un")
    right = pydicom.dcmread(io.BytesIO(converted(data, "dcmdjpeg", "+cn"))).pixel_array
    right = convert_color_space(right, "YBR_FULL", "RGB")
    add("dicom: RGB, JPEG of quality %d, sampling %s" % (quality, sampling), data, 90 if sampling != "+s4" else 4, stored=right)

for (syntax, uid), frame in itertools.product(PLAIN.items(), (1, 2, 3)):
    values = values_of(12, False, (3, H, W))
    d = image(uid, words_of(values, 16, 12, 11, False), stored=12, NumberOfFrames=3)
    add("dicom: %s, frame %d of 3" % (syntax, frame), file_of(d, uid), stored=values[frame - 1].astype(np.uint16),
        frame=np.array([[frame]]))
for packer in ("lossless JPEG, first predictor", "JPEG-LS, lossless", "JPEG 2000", "RLE by dcmtk"):
    values = np.stack([soft, soft[::-1], 255 - soft]).astype(int) * 16
    d = image(ExplicitVRLittleEndian, words_of(values, 16, 12, 11, False), stored=12, NumberOfFrames=3)
    add("dicom: %s, frame 2 of 3" % packer, packed(d, PACKERS[packer]), stored=values[1].astype(np.uint16),
        frame=np.array([[2]]))

# ---- DICOM: levels -----------------------------------------------------------------------------------------------------


def levels_through(d, values, low, high):
    """Levels by pydicom, which spreads windows over the range of the stored values, as bytes."""
    shown = apply_voi_lut(apply_modality_lut(values, d), d).astype(float)
    levels = np.clip((shown - low) / (high - low), 0, 1)
    inverted = d.get("PresentationLUTShape") == "INVERSE" if "PresentationLUTShape" in d else d.PhotometricInterpretation == "MONOCHROME1"
    return np.floor(255 * (1 - levels if inverted else levels) + 0.5).astype(np.uint8)


def range_of(d, signed):
    """As pydicom says where the levels of a window end."""
    slope, intercept = float(d.get("RescaleSlope", 1)), float(d.get("RescaleIntercept", 0))
    ends = (-(1 << d.BitsStored - 1), (1 << d.BitsStored - 1) - 1) if signed else (0, (1 << d.BitsStored) - 1)
    return ends[0] * slope + intercept, ends[1] * slope + intercept


turn = itertools.cycle(itertools.product(("MONOCHROME2", "MONOCHROME1"), (None, "IDENTITY", "INVERSE")))
for function, signed, rescaling in itertools.product((None, "LINEAR", "LINEAR_EXACT", "SIGMOID"), (False, True), RESCALING[:3]):
    for centre, width in ((2000, 1500), (300.5, 2.5), (1000, 1), ([900, 50], [700, 10])):
        if width == 1 and function in ("LINEAR_EXACT", "SIGMOID"):
            continue
        photometric, shape = next(turn)
        values = values_of(12, signed)
        centre_of = float(np.ravel(centre)[0]) * (rescaling or (1, 0))[0] + (rescaling or (1, 0))[1]
        values.flat[2:40] = np.clip(np.ravel(centre)[0] + np.arange(-19, 19) * np.ravel(width)[0] / 30, values.min(), values.max())
        more = dict(zip(("RescaleSlope", "RescaleIntercept"), rescaling)) if rescaling else {}
        if function:
            more["VOILUTFunction"] = function
        if shape:
            more["PresentationLUTShape"] = shape
        centres = [centre_of, 50] if isinstance(centre, list) else centre_of
        d = image(ExplicitVRLittleEndian, words_of(values, 16, 12, 11, False), photometric, stored=12, signed=signed,
                  WindowCenter=centres, WindowWidth=width, **more)
        add("dicom: window %s %s, %s, %s, rescaled by %s, %s, %s" % (
            centres, width, function, "signed" if signed else "unsigned", rescaling, photometric, shape), saved(d), 1,
            levels=levels_through(d, values, *range_of(d, signed)))


def table_of(bits, first, count, signed=False):
    """A table that rises and falls; its data as the file has it, and what it makes of values."""
    entries = np.round((0.5 + 0.5 * np.cos(np.arange(count) * 7 / count)) * ((1 << bits) - 1)).astype(int)
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [count % 65536, first, bits], entries.tolist()
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item["LUTData"].VR = "US"
    return item, lambda values: entries[np.clip(np.floor(values + 0.5).astype(int) - first, 0, count - 1)]


for bits, first, count, signed in itertools.product((8, 10, 12, 16), (0, 100, -500), (256, 4096, 65536), (False, True)):
    if first < 0 and not signed or count == 65536 and (bits != 16 or first != 0):
        continue
    values = values_of(12, signed)
    item, shown = table_of(bits, first, count)
    words = words_of(values, 16, 12, 11, False)
    text = "of %d bits from %d, %d entries, %s" % (bits, first, count, "signed" if signed else "unsigned")
    d = image(ExplicitVRLittleEndian, words, stored=12, signed=signed, VOILUTSequence=Sequence([item]))
    levels = np.floor(shown(values) * 255 / ((1 << bits) - 1) + 0.5).astype(np.uint8)
    add("dicom: table of levels " + text, saved(d), 1, levels=levels)
    if bits not in (8, 16):  # the only ones of a table of units
        continue
    d = image(ExplicitVRLittleEndian, words, stored=12, signed=signed, ModalityLUTSequence=Sequence([item]))
    item.ModalityLUTType = "US"
    if not (signed and first >= 0):  # pydicom takes the sign of the first value from elsewhere
        check(text, apply_modality_lut(values, d), shown(values))
    add("dicom: table of units " + text, saved(d), 1e-3, stored=shown(values).astype(np.float32))

for signed, (low, high), photometric in itertools.product(
        (False, True), ((None, None), (2047, None), (-2000, None), (2000, 2047), (2047, 2000)), ("MONOCHROME2", "MONOCHROME1")):
    if low is None or low < 0 and not signed:
        continue
    values = np.clip(values_of(12, signed), -1500, 1500)
    values[:, 0] = low
    values[2, 1] = high or low
    ends = sorted((low, high or low))
    inside = values[(values < ends[0]) | (values > ends[1])]
    levels = np.floor(np.clip((values - inside.min()) / (inside.max() - inside.min()), 0, 1) * 255 + 0.5)
    levels = 255 - levels if photometric == "MONOCHROME1" else levels
    levels[(values >= ends[0]) & (values <= ends[1])] = 0
    d = image(ExplicitVRLittleEndian, words_of(values, 16, 12, 11, False), photometric, stored=12, signed=signed)
    vr = "SS" if signed else "US"
    d.add_new(0x00280120, vr, low)
    if high:
        d.add_new(0x00280121, vr, high)
    add("dicom: padding %s to %s, %s, %s" % (low, high, "signed" if signed else "unsigned", photometric), saved(d), 1,
        levels=levels.astype(np.uint8))

# ---- PNG ---------------------------------------------------------------------------------------------------------------

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def packed_row(row, depth):
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = "".join(format(v, "0%db" % depth) for v in row.tolist())
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def predicted(kind, left, above, corner):
    if kind < 3:
        return (0, left, above)[kind]
    if kind == 3:
        return (left + above) // 2
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]


def filtered(rows, step, kind_of):
    """Rows of bytes with the filters of PNG; every row's is told by its place."""
    data, above = b"", bytes(len(rows[0])) if rows else b""
    for i, row in enumerate(rows):
        kind = kind_of(i)
        data += bytes([kind]) + bytes((row[j] - predicted(kind, row[j - step] if j >= step else 0, above[j],
                                                          above[j - step] if j >= step else 0)) % 256 for j in range(len(row)))
        above = row
    return data


def png(array, depth, kind, interlaced, kind_of, extra=b""):
    height, width = array.shape[:2]
    samples = array.reshape(height, width, -1)
    step = max(1, CHANNELS[kind] * depth // 8)
    data = b""
    for x0, y0, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        part = samples[y0::dy, x0::dx]
        if part.size:
            data += filtered([packed_row(row.reshape(-1), depth) for row in part], step, kind_of)
    head = np.array([width, height], ">u4").tobytes() + bytes((depth, kind, 0, 0, interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)]
FILTERS = {"filter %d" % n: (lambda n: lambda i: n)(n) for n in range(5)}
FILTERS["all filters"] = lambda i: (i + 1) % 5
for (kind, depth), interlaced, (filters, kind_of) in itertools.product(KINDS, (0, 1), FILTERS.items()):
    if filters not in ("filter 0", "all filters") and (interlaced or depth < 8):
        continue
    values = chance.integers(0, 1 << depth, (H, W, CHANNELS[kind]))
    values.flat[0] = (1 << depth) - 1
    extra = b""
    if kind == 3:
        palette = chance.integers(0, 256, (1 << depth, 3)).astype(np.uint8)
        extra = chunk(b"PLTE", palette.tobytes())
        right = palette[values[..., 0]]
    else:
        right = values[..., :3] if kind in (2, 6) else values[..., 0]
        right = right.astype(np.uint16) if depth == 16 else (right * (255 // ((1 << depth) - 1))).astype(np.uint8)
    for transparent in (b"", chunk(b"tRNS", {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\x80"}.get(kind, b""))) if kind < 4 else (b"",):
        if transparent and filters != "all filters":
            continue
        data = png(values, depth, kind, interlaced, kind_of, extra + transparent)
        name = "png: colour type %d of %d bits, %s, %s%s" % (
            kind, depth, "interlaced" if interlaced else "in order", filters, ", transparent" if transparent else "")
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_COLOR if right.ndim == 3 else 0))
        check(name, found[..., ::-1] if right.ndim == 3 else found, right)
        add(name, data, stored=right)
for depth, bits in itertools.product((16,), range(8, 17)):
    values = chance.integers(0, 1 << bits, (H, W))
    values.flat[0] = (1 << bits) - 1
    for upper in (False, True):
        stored = values << 16 - bits | values >> 2 * bits - 16 if upper else values
        data = png(stored, 16, 0, 0, FILTERS["filter 2"], chunk(b"sBIT", bytes([bits])))
        white = 65535 if upper else (1 << bits) - 1
        levels = stored >> 8 if upper else (stored * 255 + white // 2) // white
        add("png: sBIT %d, at the %s end" % (bits, "upper" if upper else "lower"), data, 1, levels=levels.astype(np.uint8))

# baseline JPEG of colours, called RGB, marked or not
def marked(mark, ids):
    """YCbCr with a mark of one's own in front, and components of these numbers."""
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(colours, 3, 0), 3, 1)).save(buffer, format="JPEG", quality=98, subsampling=0)
    data, kept, at = buffer.getvalue(), b"\xff\xd8" + mark, 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        segment = bytearray(data[at:at + 2 + length])
        for i in range(3):
            if marker == 0xC0:
                segment[10 + 3 * i] = ids[i]
            if marker == 0xDA:
                segment[5 + 2 * i] = ids[i]
        if not 0xE0 <= marker <= 0xEF:
            kept += segment
        at += 2 + length
        if marker == 0xDA:
            return kept + data[at:]


ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
for text, mark, ids in (("JFIF", JFIF, (0, 1, 2)), ("Adobe", ADOBE, (0, 1, 2)), ("Adobe", ADOBE, (1, 2, 3)), ("nobody", b"", (1, 2, 3))):
    data = marked(mark, ids)
    right = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    check(text, right, np.repeat(np.repeat(colours, 3, 0), 3, 1), 12)
    d = pydicom.dcmread(io.BytesIO(saved(image(ExplicitVRLittleEndian, right, "RGB", SamplesPerPixel=3, shape=right.shape[:2]))))
    d.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    d.PixelData = encapsulate([data])
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True
    add("dicom: YCbCr in JPEG, called RGB, marked by %s, components %d %d %d" % (text, *ids), saved(d), 2, stored=right)

# ---- JPEG ---------------------------------------------------------------------------------------------------------------

smooth = (128 + 60 * np.sin(np.arange(30) / 5) + 50 * np.cos(np.arange(21)[:, None] / 4)).astype(np.uint8)
rich = np.stack([smooth, np.roll(smooth, 7, 1), 255 - smooth], -1)


def cjpeg(array, *options):
    path = os.path.join(work, "x.ppm")
    Image.fromarray(array).save(path)
    return subprocess.run(["cjpeg", *options, path], stdout=subprocess.PIPE, check=True).stdout


for sampling, process, restart in itertools.product(
        ("1x1", "2x1", "1x2", "2x2", "4x1", "4x2", "2x2,1x2,1x1", "2x2,2x1,2x1", "1x1,2x1,2x1"), ([], ["-progressive"], ["-optimize"]),
        ([], ["-restart", "1B"], ["-restart", "1"])):
    data = cjpeg(rich, "-quality", "85", "-sample", sampling, *process, *restart)
    name = "jpeg: colours, sampling %s %s" % (sampling, " ".join(process + restart))
    right = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    check(name, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], right, 3)
    add(name, data, 1, stored=right)
for quality, process, restart in itertools.product((1, 30, 75, 100), ([], ["-progressive"], ["-baseline"]), ([], ["-restart", "2B"])):
    data = cjpeg(smooth, "-grayscale", "-quality", str(quality), *process, *restart)
    add("jpeg: grey, quality %d %s" % (quality, " ".join(process + restart)), data, 1, stored=np.asarray(Image.open(io.BytesIO(data))))
for name, array, options in (("components named R, G and B", rich, ["-rgb"]), ("grey in files of colours", np.stack([smooth] * 3, -1), [])):
    data = cjpeg(array, "-quality", "95", *options)
    add("jpeg: " + name, data, 1, stored=np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))

# ---- BMP ---------------------------------------------------------------------------------------------------------------

HEADERS = {"OS/2, 12 bytes": 12, "OS/2, 64 bytes": 64, "40 bytes": 40, "52 bytes": 52, "56 bytes": 56, "version 4": 108, "version 5": 124}


def bmp_rows(array, depth, top_down):
    lines = [packed_row(row.reshape(-1), depth) if depth <= 8 else row.tobytes() for row in (array if top_down else array[::-1])]
    return b"".join(line + b"\0" * (-len(line) % 4) for line in lines)


def bmp_header(size, depth, compression=0, used=0, height=H, masks=()):
    if size == 12:
        return np.array([12], "<u4").tobytes() + np.array([W, height, 1, depth], "<u2").tobytes()
    head = (np.array([size, W], "<u4").tobytes() + np.array([height], "<i4").tobytes() + np.array([1, depth], "<u2").tobytes()
            + np.array([compression, 0, 0, 0, used, 0], "<u4").tobytes())
    head += np.array(masks, "<u4").tobytes()
    return head + b"\0" * (size - len(head))


for (header, size), depth, top_down, few in itertools.product(HEADERS.items(), (1, 4, 8), (False, True), (False, True)):
    if size == 12 and (top_down or few) or depth == 1 and few:
        continue
    count = 1 << depth if not few else max(2, (1 << depth) // 2)
    palette = chance.integers(0, 256, (count, 3)).astype(np.uint8)
    values = chance.integers(0, count, (H, W))
    entries = b"".join(bytes(c[::-1]) + (b"" if size == 12 else b"\0") for c in palette)
    data = bmp(bmp_header(size, depth, 0, count if few else 0, -H if top_down else H), entries, bmp_rows(values, depth, top_down))
    name = "bmp: %s, palette of %d colours of %d bits, %s" % (header, count, depth, "from the top" if top_down else "from the bottom")
    if size not in (12, 52, 56, 64):
        check(name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), palette[values])
    add(name, data, stored=palette[values])
rgb = chance.integers(0, 256, (H, W, 3)).astype(np.uint8)
for (header, size), depth, top_down in itertools.product(HEADERS.items(), (24, 32), (False, True)):
    if size == 12 and (top_down or depth == 32):
        continue
    pixels = rgb[..., ::-1] if depth == 24 else np.concatenate([rgb[..., ::-1], np.full((H, W, 1), 255, np.uint8)], -1)
    data = bmp(bmp_header(size, depth, 0, 0, -H if top_down else H), b"", bmp_rows(np.ascontiguousarray(pixels), depth, top_down))
    name = "bmp: %s, %d bits, %s" % (header, depth, "from the top" if top_down else "from the bottom")
    if size not in (12, 52, 56, 64):
        check(name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), rgb)
    add(name, data, stored=rgb)
MASKS = {16: ((0x7c00, 0x3e0, 0x1f), (0xf800, 0x7e0, 0x1f), (0xf00, 0xf0, 0xf), (0x1f, 0x7e0, 0xf800)),
         32: ((0xff0000, 0xff00, 0xff), (0xff, 0xff00, 0xff0000), (0xff000000, 0xff0000, 0xff00), (0x3ff00000, 0xffc00, 0x3ff))}
for depth, size in itertools.product((16, 32), (40, 52, 56, 108, 124)):
    for masks in MASKS[depth]:
        fields, right = np.zeros((H, W), np.int64), np.zeros((H, W, 3))
        for c, mask in enumerate(masks):
            shift = (mask & -mask).bit_length() - 1
            most = mask >> shift
            values = np.round(rgb[..., c] / 255 * most).astype(np.int64)
            fields |= values << shift
            right[..., c] = np.floor(values / most * 255 + 0.5)
        pixels = fields.astype("<u2" if depth == 16 else "<u4")
        inside = size > 40
        head = bmp_header(size, depth, 3, 0, H, masks if inside else ())
        data = bmp(head, b"" if inside else np.array(masks, "<u4").tobytes(), bmp_rows(pixels, depth, False))
        add("bmp: header of %d bytes, %d bits in fields %x %x %x" % (size, depth, *masks), data, 1, stored=right.astype(np.uint8))

# ---- PNM ---------------------------------------------------------------------------------------------------------------

for kind, white in itertools.product((2, 3, 5, 6), (1, 7, 100, 255, 256, 1000, 4095, 65535)):
    values = chance.integers(0, white + 1, (H, W, 3) if kind in (3, 6) else (H, W))
    values.flat[0] = white
    head = "P%d\n# a line\n%d %d # of sizes\n%d\n" % (kind, W, H, white)
    body = (" ".join(map(str, values.reshape(-1).tolist())) + "\n").encode() if kind < 4 else values.astype(
        ">u2" if white > 255 else np.uint8).tobytes()
    if white > 255:
        right = values.astype(np.uint16)
    else:
        right = ((values * 255 + white // 2) // white).astype(np.uint8)
    add("pnm: P%d up to %d" % (kind, white), head.encode() + body, stored=right)
for kind, width in itertools.product((1, 4), (1, 7, 8, 9)):
    values = chance.integers(0, 2, (H, width))
    body = "\n".join("".join(map(str, row)) for row in values.tolist()).encode() if kind == 1 else b"".join(
        packed_row(row, 1) for row in values)
    data = ("P%d %d %d\n" % (kind, width, H)).encode() + body
    if kind == 4:
        check("pnm", np.asarray(Image.open(io.BytesIO(data)).convert("L")), 255 - 255 * values)
    add("pnm: P%d, %d wide" % (kind, width), data, stored=(255 - 255 * values).astype(np.uint8))

# ---- TIFF --------------------------------------------------------------------------------------------------------------


def tiff(samples, bits, photometric, sample_format=1, order="<", fill=1, planar=1, rows=None, extra=(), tags=()):
    """A file of one page without compression: every field of its directory is told. samples: [H,W,S]."""
    height, width, count = samples.shape
    rows = rows or height
    planes = [samples] if planar == 1 else [samples[..., c:c + 1] for c in range(count)]
    strips = []
    for plane in planes:
        for start in range(0, height, rows):
            data = b""
            for row in plane[start:start + rows].reshape(-1, width * plane.shape[2]):
                data += (row.astype(order + row.dtype.str[1:]).tobytes() if bits >= 8 and bits != 12
                         else packed_row(row, bits))
            if fill == 2:
                data = bytes(int(format(byte, "08b")[::-1], 2) for byte in data)
            strips.append(data)
    fields = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * count), (259, 3, [1]), (262, 3, [photometric]),
              (266, 3, [fill]), (273, 4, None), (277, 3, [count]), (278, 4, [rows]), (279, 4, [len(s) for s in strips]),
              (284, 3, [planar]), (339, 3, [sample_format] * count)]
    if extra:
        fields.append((338, 3, list(extra)))
    fields = sorted(fields + list(tags), key=lambda f: f[0])
    at = 8
    offsets = []
    for strip in strips:
        offsets.append(at)
        at += len(strip) + len(strip) % 2
    body = b"".join(pad(s) for s in strips)
    directory, more, after = b"", b"", at + 2 + 12 * len(fields) + 4
    for tag, kind, values in fields:
        values = offsets if values is None else values
        data = np.array(values, order + {3: "u2", 4: "u4"}[kind]).tobytes()
        if len(data) > 4:
            where = np.array([after + len(more)], order + "u4").tobytes()
            more += pad(data)
            data = where
        directory += (np.array([tag, kind], order + "u2").tobytes() + np.array([len(values)], order + "u4").tobytes()
                      + data.ljust(4, b"\0"))
    count_of = np.array([len(fields)], order + "u2").tobytes()
    head = (b"II*\0" if order == "<" else b"MM\0*") + np.array([at], order + "u4").tobytes()
    return head + body + count_of + directory + b"\0\0\0\0" + more


def tiffcp(data, *options):
    before, after = os.path.join(work, "before.tif"), os.path.join(work, "after.tif")
    with open(before, "wb") as file:
        file.write(data)
    subprocess.run(["tiffcp", *options, before, after], check=True, stderr=subprocess.DEVNULL)
    with open(after, "rb") as file:
        return file.read()


def right_tiff(samples, bits, white_is_small):
    white = (1 << bits) - 1
    samples = white - samples if white_is_small else samples
    if bits > 8:
        return samples.astype(np.float32)
    return ((samples * 255 + white // 2) // white).astype(np.uint8)


for bits, small, order, fill, rows in itertools.product((1, 2, 4, 8, 12, 16), (0, 1), "<>", (1, 2), (None, 3)):
    if fill == 2 and bits == 16:
        continue
    values = chance.integers(0, 1 << bits, (H, W, 1)).astype(np.uint16 if bits > 8 else np.uint8)
    values.flat[:2] = 0, (1 << bits) - 1
    add("tiff: %d bits, %s is small, %s-endian, fill order %d, %s rows to a strip" % (
        bits, "black" if small else "white", "little" if order == "<" else "big", fill, rows), tiff(
            values, bits, small, order=order, fill=fill, rows=rows), stored=right_tiff(values[..., 0].astype(int), bits, not small))
for kind, bits in itertools.product("uif", (8, 16, 32, 64)):
    if kind == "f" and bits < 32 or kind == "u" and bits < 32 or bits == 64 and kind != "f":
        continue
    dtype = np.dtype("%s%d" % (kind, bits // 8))
    values = (chance.normal(0, 50, (H, W, 1)) if kind == "f" else chance.integers(0 if kind == "u" else -100, 120, (H, W, 1)))
    values = values.astype(dtype)
    for order in "<>":
        data = tiff(values, bits, 1, {"u": 1, "i": 2, "f": 3}[kind], order)
        try:
            add("tiff: %s of %d bits, %s-endian" % ({"u": "unsigned", "i": "signed", "f": "real"}[kind], bits,
                "little" if order == "<" else "big"), data, 1e-4, stored=values[..., 0].astype(np.float32))
        except AssertionError:
            raise
for bits, planar, extra, order in itertools.product((8, 16), (1, 2), ((), (0,), (1,), (2,)), "<>"):
    values = chance.integers(0, 1 << bits, (H, W, 3 + len(extra))).astype(np.uint8 if bits == 8 else np.uint16)
    values.flat[0] = (1 << bits) - 1
    add("tiff: RGB of %d bits, planar configuration %d, extra samples %s, %s-endian" % (
        bits, planar, extra, "little" if order == "<" else "big"), tiff(values, bits, 2, order=order, planar=planar, extra=extra),
        stored=values[..., :3])
wide = np.kron(chance.integers(0, 256, (5, 5)), np.ones((4, 5), int)).astype(np.uint8)[..., None]
wide16 = (wide.astype(np.uint16) * 257)
for options in (["-c", "lzw"], ["-c", "lzw:2"], ["-c", "zip"], ["-c", "zip:2"], ["-c", "packbits"], ["-c", "none", "-t", "-w", "16", "-l", "16"],
                ["-c", "lzw:2", "-t", "-w", "16", "-l", "32"], ["-c", "zip", "-r", "3"], ["-c", "none", "-B"], ["-c", "lzw", "-8"]):
    for bits, array in ((8, wide), (16, wide16)):
        data = tiffcp(tiff(array, bits, 1), *options)
        if bits == 8 and "-8" not in options:
            check(str(options), np.asarray(Image.open(io.BytesIO(data))), array[..., 0])
        add("tiff: %d bits, tiffcp %s" % (bits, " ".join(options)), data, stored=array[..., 0])
real = (wide16 / 7).astype(np.float32)
for options in (["-c", "lzw:3"], ["-c", "zip:3"]):
    add("tiff: real numbers, tiffcp " + " ".join(options), tiffcp(tiff(real, 32, 1, 3), *options), 1e-2, stored=real[..., 0])
bilevel = chance.integers(0, 2, (H, 24, 1)).astype(np.uint8)
for small, options in itertools.product((0, 1), (["-c", "g3"], ["-c", "g3:2d"], ["-c", "g4"])):
    add("tiff: 1 bit, %s is small, tiffcp %s" % ("black" if small else "white", " ".join(options)),
        tiffcp(tiff(bilevel, 1, small), *options), stored=((bilevel if small else 1 - bilevel)[..., 0] * 255).astype(np.uint8))
for bits in (1, 2, 4, 8):
    palette = chance.integers(0, 256, (1 << bits, 3))
    values = chance.integers(0, 1 << bits, (H, W, 1)).astype(np.uint8)
    add("tiff: palette of %d bits" % bits, tiff(values, bits, 3, tags=[(320, 3, (palette.T * 257).reshape(-1).tolist())]),
        stored=palette[values[..., 0]].astype(np.uint8))

# ---- one pixel wide or high, or alone --------------------------------------------------------------------------------------

for shape in ((1, 1), (1, 9), (9, 1)):
    values = chance.integers(0, 256, shape).astype(np.uint8)
    size = "%d x %d" % shape
    deep = values.astype(np.uint16) * 16
    for syntax, uid in PLAIN.items():
        add("dicom: %s, %s" % (syntax, size), file_of(image(uid, deep, stored=12, shape=shape), uid), stored=deep)
    for packer in ("lossless JPEG, first predictor", "JPEG-LS, lossless", "JPEG 2000"):
        add("dicom: %s, %s" % (packer, size), packed(image(ExplicitVRLittleEndian, deep, stored=12, shape=shape), PACKERS[packer]),
            stored=deep)
    for interlaced in (0, 1):
        add("png: %s, %s" % (("in order", "interlaced")[interlaced], size), png(values, 8, 0, interlaced, FILTERS["all filters"]),
            stored=values)
    data = cjpeg(values, "-grayscale", "-quality", "95")
    add("jpeg: " + size, data, 1, stored=np.asarray(Image.open(io.BytesIO(data))))
    for how in ((), ("-progressive",)):
        data = cjpeg(np.stack([values, 255 - values, values], -1), "-quality", "95", *how)
        add("jpeg: colours %s, %s" % (" ".join(how), size), data, 1, stored=np.asarray(Image.open(io.BytesIO(data))))
    buffer = io.BytesIO()
    Image.fromarray(np.stack([values] * 3, -1)).save(buffer, format="BMP")
    add("bmp: " + size, buffer.getvalue(), stored=np.stack([values] * 3, -1))
    add("pnm: " + size, ("P5 %d %d 255\n" % shape[::-1]).encode() + values.tobytes(), stored=values)
    add("tiff: " + size, tiff(values[..., None], 8, 1), stored=values)
    add("tiff: tiles, " + size, tiffcp(tiff(values[..., None], 8, 1), "-c", "lzw", "-t", "-w", "16", "-l", "16"), stored=values)

# JPEG 2000 whose tiles and picture begin elsewhere
raw, stream = os.path.join(work, "x.rawl"), os.path.join(work, "x.j2k")
deep = (soft * 16).astype(np.uint16)
for offset, tiles in (((3, 2), (1, 1)), ((4, 5), (0, 3)), ((0, 0), (0, 0))):
    deep.tofile(raw)
    subprocess.run(["opj_compress", "-i", raw, "-o", stream, "-F", "%d,%d,1,12,u" % (W, H), "-n", "2", "-d", "%d,%d" % offset,
                    "-T", "%d,%d" % tiles, "-t", "5,4"], check=True, stdout=subprocess.DEVNULL)
    d = pydicom.dcmread(io.BytesIO(saved(image(ExplicitVRLittleEndian, deep, stored=12))))
    d.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with open(stream, "rb") as file:
        d.PixelData = encapsulate([file.read()])
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True
    add("dicom: JPEG 2000, picture at %d, %d, tiles from %d, %d" % (*offset, *tiles), saved(d), stored=deep)

write(out)
