"""A network of darknet as PyTorch's layers, from the .cfg and .weights that bench/cases/detectors.lua writes, with the
image and the map that Luxel gives for it.
"""
import os
import sys

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE, BATCH = 416, 8


class Pool(nn.Module):
    """Of stride 1 it keeps the size: beside the right and bottom edges there is nothing."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")) if self.stride == 1 else x, 2, self.stride)


class Reorg(nn.Module):
    """Darknet's order, which reads the map as one of a quarter of the channels and four times the places."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c // 4, h, 2, w, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


class Darknet(nn.Module):
    def __init__(self, sections):
        super().__init__()
        self.layers, self.routes, channels = nn.ModuleList(), [], [3]
        for i, (name, options) in enumerate(sections):
            route, layer = None, nn.Identity()
            if name == "convolutional":
                size, normed = int(options["size"]), options.get("batch_normalize") == "1"
                parts = [nn.Conv2d(channels[-1], int(options["filters"]), size, int(options["stride"]),
                                   size // 2 if options.get("pad") == "1" else 0, bias=not normed)]
                if normed:
                    parts.append(nn.BatchNorm2d(parts[0].out_channels, eps=1e-6))
                if options["activation"] == "leaky":
                    parts.append(nn.LeakyReLU(0.1, inplace=True))
                layer = nn.Sequential(*parts)
                channels.append(parts[0].out_channels)
            elif name == "maxpool":
                layer = Pool(int(options["stride"]))
                channels.append(channels[-1])
            elif name == "route":
                route = [int(k) if int(k) >= 0 else i + int(k) for k in options["layers"].split(",")]
                channels.append(sum(channels[k + 1] for k in route))
            elif name == "reorg":
                layer = Reorg()
                channels.append(4 * channels[-1])
            elif name == "region":
                break
            else:
                sys.exit(f"there is no section [{name}] here")
            self.layers.append(layer)
            self.routes.append(route)
        self.kept = {k for route in self.routes if route for k in route}

    def forward(self, x):
        maps = {}
        for i, (layer, route) in enumerate(zip(self.layers, self.routes)):
            x = layer(x) if route is None else torch.cat([maps[k] for k in route], 1)
            if i in self.kept:
                maps[i] = x
        return x

    def load(self, path):
        major, minor = numpy.fromfile(path, "<i4", 2)
        numbers = torch.from_numpy(numpy.fromfile(path, "<f4", offset=20 if 10 * major + minor >= 2 else 16))
        at = 0
        for layer in self.layers:
            if isinstance(layer, nn.Sequential):
                conv, norm = layer[0], layer[1] if len(layer) > 1 else None
                tensors = [norm.bias, norm.weight, norm.running_mean, norm.running_var] if isinstance(
                    norm, nn.BatchNorm2d) else [conv.bias]
                for tensor in tensors + [conv.weight]:
                    tensor.data.copy_(numbers[at:at + tensor.numel()].view_as(tensor))
                    at += tensor.numel()
        if at != numbers.numel():
            sys.exit(f"{path} has {numbers.numel()} numbers, and the network takes {at}")


def read(name):
    """The network, the image, and the map that it has to give."""
    path = os.path.join(os.environ["BENCH_FILES"], name)
    sections = []
    for line in open(path + ".cfg"):
        line = line.strip()
        if line.startswith("["):
            sections.append((line[1:-1], {}))
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
    net = Darknet(sections[1:])
    net.load(path + ".weights")
    image = torch.from_numpy(numpy.fromfile(path + ".image", "<f4")).view(1, 3, SIZE, SIZE)
    return net, image, torch.from_numpy(numpy.fromfile(path + ".map", "<f4")).view(1, -1, SIZE // 32, SIZE // 32)


def check(found, wanted):
    worst = (torch.as_tensor(found) - wanted).abs().max().item() / wanted.abs().max().item()
    if not worst < 1e-3:
        sys.exit(f"the map differs from Luxel's by {worst:.2g} of the largest value: not the same network")
