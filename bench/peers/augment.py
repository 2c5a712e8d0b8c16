#!/usr/bin/python3
"""OpenCV's side of bench/augment.lua: augment.py IMAGE CHAIN COUNT prints the seconds for one image, with all movement in
one warp, and with a call for each step."""
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)
rng = np.random.default_rng(1)
path, chain, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
height, width = picture.shape
clahe = cv2.createCLAHE(2, (8, 8))


def warp(image, matrix):
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def move(image, once):
    turn, zoom, shift = rng.uniform(-10, 10), rng.uniform(0.9, 1.1), rng.uniform(-0.08, 0.08, 2) * (width, height)
    middle = (width / 2, height / 2)
    if rng.random() < 0.5:
        image = cv2.flip(image, 1)
    if once:
        matrix = cv2.getRotationMatrix2D(middle, turn, zoom)
        matrix[:, 2] += shift
        return warp(image, matrix)
    image = warp(image, cv2.getRotationMatrix2D(middle, turn, 1))
    image = warp(image, np.float64([[1, 0, shift[0]], [0, 1, shift[1]]]))
    return warp(image, cv2.getRotationMatrix2D(middle, 0, zoom))


def augment(image, once):
    if "CLAHE" in chain:
        image = clahe.apply(image)
    image = move(image, once)
    if "brightness" in chain:
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.8, 1.2))
        factor = rng.uniform(0.8, 1.2)
        image = cv2.convertScaleAbs(image, alpha=factor, beta=(1 - factor) * image.mean())
    if "noise" in chain:
        noise = np.empty(image.shape, np.float32)
        cv2.randn(noise, 0, 5)
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    return image


seconds = []
for once in (True, False):
    augment(picture, once)
    start = time.perf_counter()
    for _ in range(count):
        augment(picture, once)
    seconds.append((time.perf_counter() - start) / count)
print(*seconds)
