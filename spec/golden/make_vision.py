#!/usr/bin/python3
"""Writes vision.safetensors: what OpenCV, Pillow and scikit-image make of drawn pictures, by the names of spec/vision_spec.lua.

Run it again after changing it (Debian's python3-opencv, python3-pil and python3-skimage are enough):

    /usr/bin/python3 spec/golden/make_vision.py

With image files as arguments it does the same with those, into the file that --out names, so that real radiographs, which
are not in this repository, can be compared as well:

    /usr/bin/python3 spec/golden/make_vision.py --out /tmp/real.safetensors chest_xray/NORMAL/*0[1-5].jpeg
    VISION_GOLDEN=/tmp/real.safetensors busted spec/vision_spec.lua

The file has IMAGE/in for each picture, and IMAGE/OPERATION for each result.
"""
import argparse
import json
import os
import struct

import cv2
import numpy as np
import skimage.exposure
import skimage.filters
import skimage.measure
from PIL import Image


def drawn(height, width, seed, white=255):
    """Soft blobs, a ramp, a bright edge, noise: something of everything, whatever the size."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rng = np.random.RandomState(seed)
    picture = 0.35 * x / width + 0.15 * np.sin(y / 5.0)
    for _ in range(6):
        cx, cy, r = rng.rand() * width, rng.rand() * height, 3 + rng.rand() * 15
        picture += (rng.rand() - 0.3) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r * r))
    picture += 0.4 * ((x - 0.6 * width) + 0.5 * (y - 0.5 * height) > 0)
    picture += 0.03 * rng.randn(height, width)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.rint(picture * white)


def pictures():
    out = {
        "odd": drawn(47, 61, 1).astype(np.uint8),
        "even": drawn(40, 56, 2).astype(np.uint8),
        "flat": np.full((19, 17), 77, np.uint8),
        "deep": drawn(23, 31, 3, 65535).astype(np.uint16),
        "tall": drawn(41, 7, 4).astype(np.uint8),
    }
    return out


RESIZES = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA,
           "lanczos": cv2.INTER_LANCZOS4}
WIDE = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
SHAPES = {"rectangle": cv2.MORPH_RECT, "cross": cv2.MORPH_CROSS, "ellipse": cv2.MORPH_ELLIPSE}
BORDERS = {"constant": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT,
           "reflect101": cv2.BORDER_REFLECT_101, "wrap": cv2.BORDER_WRAP}
AFFINE = [0.9, -0.25, 8.5, 0.2, 1.05, -4.25]
PERSPECTIVE = [0.95, 0.08, 2.5, -0.05, 1.02, 1.5, 0.0008, -0.0005, 1.0]


def centred(matrix):
    """A matrix of points, whose pixel centres are at halves, as one of pixel numbers, as OpenCV has it."""
    m = np.eye(3)
    m.flat[:len(matrix)] = matrix
    to, back = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]), np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return back @ m @ to


def sampled(picture, matrix, size, border, fill):
    """A warp with bilinear weights in double precision: OpenCV's has steps of 1/32 pixel."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    inverse = np.linalg.inv(centred(matrix))
    u, v, w = (inverse[i, 0] * x + inverse[i, 1] * y + inverse[i, 2] for i in range(3))
    u, v = u / w, v / w
    pad = 400
    wide = cv2.copyMakeBorder(picture.astype(np.float64), pad, pad, pad, pad, BORDERS[border], value=fill)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    fu, fv = u - left, v - top
    rows = np.clip(top + pad, 0, wide.shape[0] - 2)
    columns = np.clip(left + pad, 0, wide.shape[1] - 2)
    upper = wide[rows, columns] * (1 - fu) + wide[rows, columns + 1] * fu
    lower = wide[rows + 1, columns] * (1 - fu) + wide[rows + 1, columns + 1] * fu
    return upper * (1 - fv) + lower * fv


def clahe_of_deep(picture, clip, tiles):
    """Zuiderveld's equalisation with the tiles of OpenCV, counted in 256 bins and read between them by straight lines. OpenCV
    itself counts 16 bits in 65,536 bins, where the limit does nothing (findings/opencv-clahe-of-16-bit-ignores-its-limit.sh)."""
    height, width = picture.shape
    more = int(height % tiles > 0 or width % tiles > 0)
    tall, wide = height // tiles + more, width // tiles + more
    levels = picture / 257.0
    whole = np.pad(levels, ((0, tall * tiles - height), (0, wide * tiles - width)), "reflect")
    curves = np.empty((tiles, tiles, 256))
    for row in range(tiles):
        for column in range(tiles):
            part = whole[row * tall:(row + 1) * tall, column * wide:(column + 1) * wide]
            counts = np.bincount(np.floor(part + 0.5).astype(int).ravel(), minlength=256)
            limit = max(int(clip * part.size / 256), 1)
            over = np.maximum(counts - limit, 0).sum()
            counts = np.minimum(counts, limit) + over // 256
            rest = over % 256
            if rest:
                counts[np.arange(0, 256, max(256 // rest, 1))[:rest]] += 1
            curves[row, column] = np.minimum(np.cumsum(counts) * 65535 / part.size, 65535)
    out = np.zeros(picture.shape)
    for y in range(height):
        for x in range(width):
            v, u = (y / tall - 0.5), (x / wide - 0.5)
            top, left = int(np.floor(v)), int(np.floor(u))
            for row, down in ((top, 1 - v + top), (top + 1, v - top)):
                for column, across in ((left, 1 - u + left), (left + 1, u - left)):
                    curve = curves[min(max(row, 0), tiles - 1), min(max(column, 0), tiles - 1)]
                    out[y, x] += down * across * np.interp(levels[y, x], range(256), curve)
    return out


def results(picture):
    out = {}
    deep = picture.dtype == np.uint16
    white = 65535 if deep else 255
    height, width = picture.shape
    for name, how in RESIZES.items():
        for h, w in ((11, 17), (19, 29), (53, 67)):
            if name == "area" and (h > height) != (w > width):
                continue # OpenCV leaves out pixels of the side that shrinks
            out[f"resize/{name}/{h}x{w}"] = cv2.resize(picture, (w, h), interpolation=how)
    for name, how in WIDE.items():
        for h, w in ((11, 17), (19, 29), (53, 67)):
            image = Image.fromarray(picture.astype(np.float32)) # of bytes it cuts off between rows and columns
            out[f"resize/{name}/{h}x{w}/antialias"] = np.clip(np.asarray(image.resize((w, h), how)), 0, white).astype(np.float64)
    for border in BORDERS:
        out[f"affine/{border}"] = sampled(picture, AFFINE, (height, width), border, 30)
    out["perspective"] = sampled(picture, PERSPECTIVE, (35, 44), "constant", 30)
    out["gaussian/1.3"] = cv2.GaussianBlur(picture, (0, 0), 1.3)
    out["gaussian/4"] = cv2.GaussianBlur(picture, (0, 0), 4)
    out["box/5"] = cv2.blur(picture, (5, 5))
    out["box/31"] = cv2.blur(picture, (31, 31))
    out["median/3"] = cv2.medianBlur(picture, 3)
    out["median/5"] = cv2.medianBlur(picture, 5)
    for clip, tiles in ((2, 8), (4, 3)):
        out[f"clahe/{clip}/{tiles}"] = (clahe_of_deep(picture, clip, tiles) if deep
                                        else cv2.createCLAHE(clip, (tiles, tiles)).apply(picture))
    for name, shape in SHAPES.items():
        for size in (3, 7):
            kernel = cv2.getStructuringElement(shape, (size, size))
            out[f"erode/{name}/{size}"] = cv2.erode(picture, kernel)
            out[f"dilate/{name}/{size}"] = cv2.dilate(picture, kernel)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for name, how in (("opening", cv2.MORPH_OPEN), ("closing", cv2.MORPH_CLOSE), ("top_hat", cv2.MORPH_TOPHAT),
                      ("black_hat", cv2.MORPH_BLACKHAT), ("morphological_gradient", cv2.MORPH_GRADIENT)):
        out[f"{name}/ellipse/5"] = cv2.morphologyEx(picture, how, kernel)
    for dx, dy in ((1, 0), (0, 1), (1, 1), (2, 0)):
        out[f"sobel/{dx}{dy}"] = cv2.Sobel(picture, cv2.CV_32F, dx, dy, ksize=3)
    out["sobel_magnitude"] = cv2.magnitude(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1))
    out["laplacian"] = cv2.Laplacian(picture, cv2.CV_32F, ksize=1)
    out["percentiles"] = np.percentile(picture, [0, 1, 12.3, 50, 98.7, 100]).astype(np.float32)
    low, high = np.percentile(picture, [2, 97])
    if low < high:
        out["normalize_percentile"] = skimage.exposure.rescale_intensity(picture.astype(np.float64), (low, high), (0, white))
    for gamma in (0.4, 2.2):
        out[f"gamma/{gamma}"] = skimage.exposure.adjust_gamma(picture.astype(np.float64) / white, gamma) * white
    if picture.min() < picture.max():
        out["otsu"] = np.array([skimage.filters.threshold_otsu(picture)], np.float32)
    for border, how in BORDERS.items():
        out[f"pad/{border}"] = cv2.copyMakeBorder(picture, 3, 4, 1, 2, how, value=30)
    if not deep:
        out["equalize"] = cv2.equalizeHist(picture)
        out["median/11"] = cv2.medianBlur(picture, 11)
        out["median/21"] = cv2.medianBlur(picture, 21)
        out["bilateral/4"] = cv2.bilateralFilter(picture.astype(np.float32), 9, 30, 2)
        out["bilateral/7"] = cv2.bilateralFilter(picture.astype(np.float32), 15, 30, 2)
        out["canny/50/120"] = cv2.Canny(picture, 50, 120)
        out["canny/200/300"] = cv2.Canny(picture, 200, 300)
        out["median/31"] = cv2.medianBlur(picture, 31)
        level, _ = cv2.threshold(picture, 0, 255, cv2.THRESH_OTSU)
        out["otsu/opencv"] = np.array([level], np.float32)
        out["unsharp/1/1"] = np.clip(2 * picture.astype(np.float64) - skimage.filters.gaussian(
            picture.astype(np.float64), 1, mode="mirror", truncate=3), 0, 255)
        bright = (picture > level).astype(np.uint8)
        out["components/8"] = skimage.measure.label(bright, connectivity=2).astype(np.int32)
        out["components/4"] = skimage.measure.label(bright, connectivity=1).astype(np.int32)
    return out


def write(path, tensors):
    header, body = {}, b""
    for name, array in tensors.items():
        if array.dtype == np.float64 and not name.startswith("deep"):
            array = np.rint(np.clip(array, 0, 255)).astype(np.uint8)
        array = np.ascontiguousarray(array)
        if array.dtype == np.uint16 or array.dtype == np.float64:
            array = array.astype(np.float32)
        kind = {"uint8": "U8", "float32": "F32", "int32": "I32"}[str(array.dtype)]
        data = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="*")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "vision.safetensors"))
    args = parser.parse_args()
    inputs = {str(i): cv2.imread(path, cv2.IMREAD_GRAYSCALE) for i, path in enumerate(args.images)} or pictures()
    tensors = {}
    for name, picture in inputs.items():
        tensors[name + "/in"] = picture
        for operation, result in results(picture).items():
            tensors[name + "/" + operation] = result
    write(args.out, tensors)
