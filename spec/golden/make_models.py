#!/usr/bin/python3
"""Writes models.safetensors: what torchvision's and timm's networks compute, for spec/models_spec.lua.

    apt-get install python3-torch python3-torchvision
    /usr/bin/python3 -m venv --system-site-packages /tmp/models
    /tmp/models/bin/pip install --no-deps timm==0.9.16 huggingface_hub==0.23.4 safetensors
    /tmp/models/bin/python spec/golden/make_models.py            # all, or the sizes and networks that are named

Weights and images are a pattern of 4093 numbers, repeated; each tensor of the state begins elsewhere in it (`filled`).
PyTorch computes in double precision, and for 224 pixels, where that takes too long, in single. For a network NAME the file has

    NAME/names            text, of the network for the largest images: for each tensor of the state, in order, how many parts of the name are those of the one
                          before, the others, and the shape
    NAME/SIZE/outputs     of images of that size, in evaluation: the rows below for each result
    NAME/SIZE/gradients   of all parameters in training with SiLU in the place of ReLU and ReLU6, and means in the place of
                          2x2 max-pooling, the rows below
    NAME/SIZE/statistics  running means and variances after three steps of gradient descent, likewise

The slope of ReLU jumps, and so does what max-pooling chooses. Of the millions of units of a large network some are within
rounding of where that is, so that PyTorch itself gives gradients in single precision that are a tenth away from those in
double; with SiLU it is less than 2e-4. What the activations compute is in the outputs, and their own gradients are tested elsewhere.

A row says of a tensor what its largest magnitude is, its norm, its sum weighted by the pattern, and SAMPLES of its
elements. __metadata__ has the options that build the network in Lua, and the versions of the libraries.

LeNet, U-Net and the autoencoder have no reference implementation; theirs are here, after the papers.
"""
import contextlib
import json
import os
import struct
import sys

import numpy as np
import timm
import torch
import torchvision
import torchvision.models as tv
from torch import nn
import torch.nn.functional as F

PERIOD, SAMPLES, OUTPUTS, STEPS, RATE = 4093, 4, 5, 3, 1e-3
BATCH = {64: 4, 224: 2}
DTYPE = {64: torch.float64, 224: torch.float32}


def make_pattern():
    """Numbers between -1 and 1, as from a generator of random ones; multiples of 1/1024."""
    numbers, state = [], 1
    for _ in range(PERIOD):
        state = (state * 1103515245 + 12345) % 2**31
        numbers.append((state // 65536 % 1024 - 511.5) / 512)
    return np.array(numbers)


PATTERN = make_pattern()


def repeated(count, first):
    return np.resize(np.roll(PATTERN, -(first % PERIOD)), count)


def filled(name, number, shape):
    """The contents of tensor `number` of the state."""
    values = repeated(int(np.prod(shape)), 61 * number).reshape(shape)
    if len(shape) > 1:
        values = values * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1 + 0.2 * values
    elif name.endswith("weight"):
        values = 0.7 + 0.1 * values
    else:
        values = 0.1 * values
    return torch.from_numpy(values.astype(np.float32).astype(np.float64))


def fill(net):
    number = 0
    for name, tensor in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(filled(name, number, tensor.shape))
            number += 1


def row(tensor):
    a = tensor.detach().double().numpy().reshape(-1)
    places = [(2 * m + 1) * a.size // (2 * SAMPLES) for m in range(SAMPLES)]
    return [np.abs(a).max(), np.sqrt((a * a).sum()), (a * repeated(a.size, 0)).sum(), *a[places]]


# ---- networks of papers ---------------------------------------------------------------------------------------------


class LeNet(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.c1, self.c3 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        side = ((size - 4) // 2 - 4) // 2
        self.c5, self.f6, self.output = nn.Linear(16 * side * side, 120), nn.Linear(120, 84), nn.Linear(84, OUTPUTS)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.c3(x)), 2).flatten(1)
        return self.output(torch.tanh(self.f6(torch.tanh(self.c5(x)))))


class CNN(nn.Sequential):
    def __init__(self, size):
        widths, layers = [3, 32, 64, 128, 128], []
        for i in range(4):
            layers += [nn.Conv2d(widths[i], widths[i + 1], 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(128 * (size // 16) ** 2, 512), nn.ReLU(), nn.Dropout(),
                         nn.Linear(512, OUTPUTS))


def double(inputs, outputs, padding=1, norm=False):
    layers = []
    for i in range(2):
        layers.append(nn.Conv2d(inputs if i == 0 else outputs, outputs, 3, padding=padding, bias=not norm))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, width=64, depth=4, padding=1, norm=False):
        super().__init__()
        self.padding = padding
        widths = [width << i for i in range(depth + 1)]
        self.down = nn.ModuleList(double(3 if i == 0 else widths[i - 1], w, padding, norm) for i, w in enumerate(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(double(2 * w, w, padding, norm) for w in reversed(widths[:-1]))
        self.output = nn.Conv2d(width, OUTPUTS, 1)

    def forward(self, x):
        maps = []
        for i, layers in enumerate(self.down):
            x = layers(x if i == 0 else F.max_pool2d(x, 2))
            maps.append(x)
        maps.pop()
        for up, merge in zip(self.up, self.merge):
            x, beside = up(x), maps.pop()
            top, left = (beside.shape[2] - x.shape[2]) // 2, (beside.shape[3] - x.shape[3]) // 2
            x = merge(torch.cat([beside[:, :, top:top + x.shape[2], left:left + x.shape[3]], x], 1))
        return self.output(x)


class Autoencoder(nn.Module):
    def __init__(self, widths=(32, 64, 128, 16)):
        super().__init__()
        down, up = [3, *widths], [*reversed(widths), widths[0]]
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(down, down[1:]))
        self.decoder = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(up, up[1:]))
        self.output = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, x):
        for conv in self.encoder:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        for conv in self.decoder:
            x = F.relu(conv(F.interpolate(x, scale_factor=2)))
        return self.output(x)


class EncodedUNet(nn.Module):
    """Over the maps of a network of torchvision, whose `maps` gives them from fine to coarse."""

    def __init__(self, encoder, maps, channels):
        super().__init__()
        self.encoder, self.maps = encoder, maps
        self.decoder = nn.ModuleList()
        inputs, beside = channels[-1], [*channels[-2::-1]]
        beside += [0] if len(beside) < 5 else []
        for extra, width in zip(beside, (256, 128, 64, 32, 16)):
            self.decoder.append(double(inputs + extra, width, norm=True))
            inputs = width
        self.output = nn.Conv2d(inputs, OUTPUTS, 1)

    def forward(self, x):
        maps = self.maps(self.encoder, x)
        x = maps.pop()
        for merge in self.decoder:
            x = F.interpolate(x, scale_factor=2)
            x = merge(torch.cat([x, maps.pop()], 1) if maps else x)
        return self.output(x)


def maps_of_resnet(net, x):
    maps = [net.relu(net.bn1(net.conv1(x)))]
    x = net.maxpool(maps[0])
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = layer(x)
        maps.append(x)
    return maps


def maps_of_densenet(net, x):
    f = net.features
    maps = [f.relu0(f.norm0(f.conv0(x)))]
    x = f.pool0(maps[0])
    for block, step in ((f.denseblock1, f.transition1), (f.denseblock2, f.transition2), (f.denseblock3, f.transition3)):
        maps.append(step.relu(step.norm(block(x))))
        x = step.pool(step.conv(maps[-1]))
    return maps + [F.relu(f.norm5(f.denseblock4(x)))]


def maps_of_places(*places):
    """The results of these children of `features`."""
    def maps(net, x):
        found = []
        for i, layer in enumerate(net.features):
            x = layer(x)
            if i in places:
                found.append(x)
        return found
    return maps


def encoded(make, head, maps, channels):
    def build(_):
        encoder = make(num_classes=OUTPUTS)
        delattr(encoder, head)
        for module in encoder.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        return EncodedUNet(encoder, maps, channels)
    return build


def one_channel_densenet(_):
    """The shapes of torchxrayvision's DenseNet."""
    net = tv.densenet121(num_classes=18)
    net.features.conv0 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return net


# ---- what is built: in Python by the size of the images, and the name and the options in Lua -----------------------

NETWORKS = {}
for arch in ("resnet18", "resnet34", "resnet50", "resnet101", "densenet121", "densenet169", "mobilenet_v2",
             "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_0", "squeezenet1_1",
             *(f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn"))):
    NETWORKS[arch] = (lambda size, arch=arch: getattr(tv, arch)(num_classes=OUTPUTS), arch, {})
NETWORKS |= {
    "densenet121_18": (one_channel_densenet, "densenet121", {"channels": 1, "outputs": 18}),
    "efficientnet_lite0": (lambda size: timm.create_model("efficientnet_lite0", num_classes=OUTPUTS),
                           "efficientnet_lite0", {}),
    "efficientnet_lite0_tf": (lambda size: timm.create_model("tf_efficientnet_lite0", num_classes=OUTPUTS),
                              "efficientnet_lite0", {"variant": "tf"}),
    "lenet": (LeNet, "lenet", {"size": 0}),
    "cnn": (CNN, "cnn", {"size": 0}),
    "unet": (lambda size: UNet(), "unet", {}),
    "unet_small_bn": (lambda size: UNet(8, 3, norm=True), "unet", {"width": 8, "depth": 3, "batch_norm": True}),
    "unet_valid": (lambda size: UNet(8, 2, padding=0), "unet", {"width": 8, "depth": 2, "padding": "valid"}),
    "unet_resnet34": (encoded(tv.resnet34, "fc", maps_of_resnet, (64, 64, 128, 256, 512)), "unet",
                      {"encoder": "resnet34"}),
    "unet_densenet121": (encoded(tv.densenet121, "classifier", maps_of_densenet, (64, 256, 512, 1024, 1024)), "unet",
                         {"encoder": "densenet121"}),
    "unet_mobilenet_v2": (encoded(tv.mobilenet_v2, "classifier", maps_of_places(1, 3, 6, 13, 18),
                                  (16, 24, 32, 96, 1280)), "unet", {"encoder": "mobilenet_v2"}),
    "unet_efficientnet_b0": (encoded(tv.efficientnet_b0, "classifier", maps_of_places(1, 2, 3, 5, 8),
                                     (16, 24, 40, 112, 1280)), "unet", {"encoder": "efficientnet_b0"}),
    "unet_vgg11_bn": (encoded(tv.vgg11_bn, "classifier", maps_of_places(2, 6, 13, 20, 27, 28),
                              (64, 128, 256, 512, 512, 512)), "unet", {"encoder": "vgg11_bn"}),
    "autoencoder": (lambda size: Autoencoder(), "autoencoder", {}),
}


# ---- what they compute ----------------------------------------------------------------------------------------------

tensors = {}


def listing(state):
    lines, before = [], []
    for name, tensor in state.items():
        parts = name.split(".")
        same = next((i for i, (a, b) in enumerate(zip(parts, before)) if a != b), min(len(parts), len(before)))
        lines.append(f"{same} {'.'.join(parts[same:])} {'x'.join(map(str, tensor.shape))}")
        before = parts
    return np.frombuffer("\n".join(lines).encode(), np.uint8)


def images(size, channels):
    """Waves, others in each image, and the pattern over them: normalisation over a batch wants images that differ."""
    n, c, h, w = np.ogrid[:BATCH[size], :channels, :size, :size]
    waves = np.sin(0.05 * (n + 1) * h + 0.9 * c) * np.cos(0.07 * (n + 2) * w)
    return torch.from_numpy(waves + 0.5 * repeated(waves.size, 0).reshape(waves.shape)).to(DTYPE[size])


def loss(y):
    return (y * torch.from_numpy(repeated(y.numel(), 7).reshape(y.shape).copy()).to(y.dtype)).mean()


def compute(name, build, options, size):
    net = build(size).to(DTYPE[size])
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    with torch.no_grad():
        fill(net)
        x = images(size, options.get("channels", 3))
        y = net.eval()(x)
    key = f"{name}/{size}/"
    if size == max(BATCH):
        tensors[f"{name}/names"] = listing(net.state_dict())
    tensors[key + "outputs"] = np.array([row(y)], np.float32)
    with smooth():
        train(key, net.train(), x)


@contextlib.contextmanager
def smooth():
    """SiLU for ReLU and ReLU6, and means for 2x2 max-pooling."""
    before = F.relu, F.hardtanh, F.max_pool2d

    def pool(x, kernel, *more, **named):
        return F.avg_pool2d(x, 2) if kernel == 2 else before[2](x, kernel, *more, **named)
    F.relu = F.hardtanh = lambda x, *_, **__: F.silu(x)
    F.max_pool2d = pool
    yield
    F.relu, F.hardtanh, F.max_pool2d = before


def train(key, net, x):
    statistics = [n for n in net.state_dict() if "running" in n]
    for step in range(STEPS if statistics else 1):
        net.zero_grad()
        loss(net(x)).backward()
        if step == 0:
            tensors[key + "gradients"] = np.array([row(p.grad) for p in net.parameters()], np.float32)
        with torch.no_grad():
            for p in net.parameters():
                p -= RATE * p.grad
    if statistics:
        state = net.state_dict()
        tensors[key + "statistics"] = np.array([row(state[n]) for n in statistics], np.float32)


def read(path):
    """The tensors of the file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__")
    for name, entry in header.items():
        dtype = {"U8": np.uint8, "F32": np.float32}[entry["dtype"]]
        first, last = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[first:last], dtype).reshape(entry["shape"])


def save(path, metadata):
    header, place = {"__metadata__": metadata}, 0
    for name, a in sorted(tensors.items()):
        header[name] = {"dtype": {"uint8": "U8", "float32": "F32"}[a.dtype.name], "shape": a.shape,
                        "data_offsets": [place, place + a.nbytes]}
        place += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, a in sorted(tensors.items()):
            file.write(a.tobytes())


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.safetensors")
    metadata = {name: json.dumps({"network": lua, **options}) for name, (_, lua, options) in NETWORKS.items()}
    metadata["versions"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}"
    sizes, wanted = [int(a) for a in sys.argv[1:] if a.isdigit()], [a for a in sys.argv[1:] if not a.isdigit()]
    if sys.argv[1:]:
        read(path)
    for size in sizes or BATCH:
        for name in wanted or NETWORKS:
            build, _, options = NETWORKS[name]
            compute(name, build, options, size)
            worst = np.abs(tensors[f"{name}/{size}/gradients"]).max()
            print(name, size, "output", tensors[f"{name}/{size}/outputs"][0][:2], "gradient", worst, flush=True)
            save(path, metadata)
