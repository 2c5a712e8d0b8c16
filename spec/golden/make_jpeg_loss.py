#!/usr/bin/python3
"""Writes jpeg_loss.safetensors: an image, and what libjpeg makes of it at several qualities, by way of Pillow.

    /usr/bin/python3 spec/golden/make_jpeg_loss.py        # Debian's python3-pil and python3-numpy are enough
"""
import io
import json
import os
import struct

import numpy as np
from PIL import Image

QUALITIES = (10, 30, 50, 75, 95, 100)

y, x = np.mgrid[0:29, 0:43]
rng = np.random.RandomState(5)
image = 120 + 70 * np.sin(x / 6) * np.cos(y / 9) + rng.normal(0, 6, x.shape)
image[8:17, 20:31] += 90
image = np.clip(np.round(image), 0, 255).astype(np.uint8)

tensors = {"image": image}
for quality in QUALITIES:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    tensors[f"quality_{quality}"] = np.asarray(Image.open(file))

header, chunks, offset = {}, [], 0
for name in sorted(tensors):
    data = np.ascontiguousarray(tensors[name]).tobytes()
    header[name] = {"dtype": "U8", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + len(data)]}
    chunks.append(data)
    offset += len(data)
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(os.path.dirname(__file__), "jpeg_loss.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
