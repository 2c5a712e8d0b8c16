#!/usr/bin/python3
"""OpenCV's side of bench/vision.lua: vision.py IMAGE CASE COUNT prints the median of the seconds that each of COUNT calls
took, on one thread."""
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)

ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
RECTANGLE = cv2.getStructuringElement(cv2.MORPH_RECT, (15, 15))
TURN = cv2.getRotationMatrix2D((500, 500), 10, 1.1)


def sobel_magnitude(image):
    return cv2.magnitude(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1))


def unsharp_mask(image):
    return cv2.addWeighted(image, 2, cv2.GaussianBlur(image, (0, 0), 1), -1, 0)


def table(image, levels):
    return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


CLAHE = cv2.createCLAHE(2, (8, 8))
LEVELS = np.arange(256)

CASES = {
    "equalize": cv2.equalizeHist,
    "clahe": CLAHE.apply,
    "histogram": lambda i: cv2.calcHist([i], [0], None, [256], [0, 256]),
    "adjust_gamma": lambda i: table(i, 255 * (LEVELS / 255) ** 0.7),
    "window": lambda i: table(i, (LEVELS - 40) * 255 / 160),
    "gaussian_blur, sigma 1": lambda i: cv2.GaussianBlur(i, (0, 0), 1),
    "gaussian_blur, sigma 4": lambda i: cv2.GaussianBlur(i, (0, 0), 4),
    "box_blur 5": lambda i: cv2.blur(i, (5, 5)),
    "box_blur 31": lambda i: cv2.blur(i, (31, 31)),
    "median_blur 3": lambda i: cv2.medianBlur(i, 3),
    "median_blur 5": lambda i: cv2.medianBlur(i, 5),
    "median_blur 9": lambda i: cv2.medianBlur(i, 9),
    "median_blur 31": lambda i: cv2.medianBlur(i, 31),
    "bilateral_filter, radius 4": lambda i: cv2.bilateralFilter(i, 9, 30, 3),
    "unsharp_mask": unsharp_mask,
    "sobel": lambda i: cv2.Sobel(i, cv2.CV_32F, 1, 0),
    "sobel_magnitude": sobel_magnitude,
    "laplacian": lambda i: cv2.Laplacian(i, cv2.CV_32F),
    "canny": lambda i: cv2.Canny(i, 50, 120),
    "erode, rectangle 15": lambda i: cv2.erode(i, RECTANGLE),
    "erode, ellipse 15": lambda i: cv2.erode(i, ELLIPSE),
    "top_hat, ellipse 15": lambda i: cv2.morphologyEx(i, cv2.MORPH_TOPHAT, ELLIPSE),
    "otsu": lambda i: cv2.threshold(i, 0, 255, cv2.THRESH_OTSU),
    "threshold": lambda i: cv2.threshold(i, 120, 255, cv2.THRESH_BINARY),
    "connected_components": lambda i: cv2.connectedComponentsWithStats(cv2.threshold(i, 120, 255, cv2.THRESH_BINARY)[1]),
    "clahe, 16 bits": CLAHE.apply,
    "median_blur 3, 16 bits": lambda i: cv2.medianBlur(i, 3),
    "median_blur 5, 16 bits": lambda i: cv2.medianBlur(i, 5),
    "gaussian_blur, sigma 1, 16 bits": lambda i: cv2.GaussianBlur(i, (0, 0), 1),
    "erode, ellipse 15, 16 bits": lambda i: cv2.erode(i, ELLIPSE),
    "resize to 224, bilinear": lambda i: cv2.resize(i, (224, 224)),
    "resize to 224, area": lambda i: cv2.resize(i, (224, 224), interpolation=cv2.INTER_AREA),
    "resize to 1500, bicubic": lambda i: cv2.resize(i, (1500, 1500), interpolation=cv2.INTER_CUBIC),
    "warp_affine": lambda i: cv2.warpAffine(i, TURN, i.shape[::-1]),
}

path, case, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
if case.endswith("16 bits"):
    picture = picture.astype(np.uint16) * 257
seconds = []
for turn in range(count + 1):
    start = time.perf_counter()
    CASES[case](picture)
    seconds.append(time.perf_counter() - start)
print(sorted(seconds[1:])[count // 2])
