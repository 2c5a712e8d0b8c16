"""PyTorch's side of the timings: the same cases as ../time.lua, in the same form.

Usage: torch_bench.py {cpu|cpu-bf16|cpu-compile|cuda|cuda-tf32} THREADS WHAT, where WHAT is step, resnet18, cnn, resnet_layers or
one of STEPS below, whose networks are those of torchvision and timm, or yolov2_tiny or yolov2 (detectors). On the cpu run it through ./tuned and with OpenBLAS
(libopenblas0-pthread), or PyTorch is about half as fast. On CUDA each case is timed in both memory formats with
cudnn.benchmark, and the faster one counts.
"""
import json
import os
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

device, threads, what = sys.argv[1].split("-")[0], int(sys.argv[2]), sys.argv[3]
tf32, bf16, compiled = (sys.argv[1].endswith(flag) for flag in ("-tf32", "-bf16", "-compile"))
torch.set_num_threads(threads)
torch.manual_seed(1)
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
BATCH, SIZE = 32, 224  # of the single layers
FORMATS = [torch.channels_last] if device == "cpu" else [torch.channels_last, torch.contiguous_format]


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def timed(f, count, warm=2):
    for _ in range(warm if device == "cpu" else warm + 3):
        f()
    wait()
    values = []
    for _ in range(count):
        start = time.perf_counter()
        f()
        wait()
        values.append(time.perf_counter() - start)
    return statistics.median(values)


def peak_mb():
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 2**20
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024


def keep(results, name, case):
    """The faster of the memory formats."""
    if name not in results or case["seconds"] < results[name]["seconds"]:
        results[name] = case


def cnn():
    layers, channels = [], [1, 32, 64, 128, 128]
    for a, b in zip(channels, channels[1:]):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    side = SIZE // 16
    layers += [nn.Flatten(), nn.Linear(128 * side * side, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1)]
    return nn.Sequential(*layers)


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + self.downsample(x), inplace=True)


def resnet18():
    layers = [nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, width in enumerate([64, 128, 256, 512]):
        layers += [Block(channels, width, 2 if stage else 1), Block(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1))


def network_cases(results, layout, make, batch):
    net = make().to(device, memory_format=layout)
    x = torch.randn(batch, 1, SIZE, SIZE).to(device, memory_format=layout)
    y = torch.randint(0, 2, (batch, 1)).float().to(device)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    keep(results, f"train step, batch {batch}", {"seconds": timed(step, 7), "images": batch})
    results["peak_mb"] = peak_mb()
    net.eval()
    with torch.no_grad():
        for images in (batch, 1):
            some = x[:images].contiguous(memory_format=layout)
            keep(results, f"inference, batch {images}",
                 {"seconds": timed(lambda: net(some).sum().item(), 5 if images > 1 else 20), "images": images})


def double(inputs, outputs):
    layers = []
    for a in (inputs, outputs):
        layers += [nn.Conv2d(a, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015, as wide as bench/cases/networks.lua says."""

    def __init__(self, width=32, depth=4):
        super().__init__()
        widths = [width << i for i in range(depth + 1)]
        self.down = nn.ModuleList(double(a, b) for a, b in zip([1] + widths, widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(double(2 * w, w) for w in reversed(widths[:-1]))
        self.output = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        maps = []
        for i, layers in enumerate(self.down):
            x = layers(F.max_pool2d(x, 2) if i else x)
            maps.append(x)
        maps.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([maps.pop(), up(x)], 1))
        return self.output(x)


def of_torchvision(name):
    import torchvision
    net = getattr(torchvision.models, name)(num_classes=1)
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    first.weight = nn.Parameter(first.weight.sum(1, keepdim=True))
    first.in_channels = 1
    return net


def of_timm(name):
    import timm
    return timm.create_model(name, in_chans=1, num_classes=1)


# {name: (network, images, their side)}
STEPS = {
    "resnet18_step": (resnet18, 8, SIZE),
    "resnet50": (lambda: of_torchvision("resnet50"), 4, SIZE),
    "densenet121": (lambda: of_torchvision("densenet121"), 4, SIZE),
    "mobilenet_v2": (lambda: of_torchvision("mobilenet_v2"), 16, SIZE),
    "efficientnet_lite0": (lambda: of_timm("efficientnet_lite0"), 16, SIZE),
    "unet": (UNet, 2, 256),
}


def step_case(results, layout, make, batch, size):
    net = make().to(device, memory_format=layout)
    shape = (batch, 1, size, size)
    x = torch.randn(shape).to(device, memory_format=layout)
    y = torch.randint(0, 2, shape if make is UNet else (batch, 1)).float().to(device)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
    call = torch.compile(net) if compiled else net

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = F.binary_cross_entropy_with_logits(call(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    keep(results, f"train step, batch {batch}", {"seconds": timed(step, 5, warm=3), "images": batch})
    results["peak_mb"] = peak_mb()


def measured(f, images, count, warm):
    """Times, and times of the processors, which others that want these change less."""
    seconds, processor = [], []
    for turn in range(warm + count):
        start, cpu = time.perf_counter(), time.process_time()
        f()
        wait()
        if turn >= warm:
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - cpu)
    return {"seconds": statistics.median(seconds), "processor": statistics.median(processor), "images": images}


def detector_case(results, layout):
    """The loss of the step is a plain sum of squares: less work than the region loss of Luxel's side."""
    import darknet_net
    net, image, wanted = darknet_net.read(what)
    net = net.to(device, memory_format=layout).eval()
    image = image.to(device, memory_format=layout)
    with torch.no_grad():
        darknet_net.check(net(image).cpu(), wanted)
        if what == "yolov2_tiny":
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, image)))
            keep(results, "inference, batch 1", measured(lambda: net(image).sum().item(), 1, 9, 4))
            return
    x = torch.rand(darknet_net.BATCH, *image.shape[1:]).to(device, memory_format=layout)
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-9, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = net(x).square().sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    keep(results, f"train step, batch {len(x)}", measured(step, len(x), 2, 1))
    results["peak_mb"] = peak_mb()


def layer_case(results, layout, cin, cout, k, side, stride, groups):
    name = f"{cin}→{cout} {k}×{k} at {side}" + (f", stride {stride}" if stride > 1 else "") + (
        f", groups {groups}" if groups > 1 else "")
    x = torch.randn(BATCH, cin, side, side).to(device, memory_format=layout)
    w = torch.randn(cout, cin // groups, k, k).to(device, memory_format=layout)
    options = {"padding": k // 2, "stride": stride, "groups": groups}
    dy = F.conv2d(x, w, None, **options)
    gflop = 2e-9 * BATCH * cout * (cin // groups) * k * k * dy.shape[2] * dy.shape[3]

    def backward(mask):
        return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, [stride, stride], [k // 2, k // 2], [1, 1],
                                                           False, [0, 0], groups, mask)

    with torch.no_grad():
        cases = {"forward": lambda: F.conv2d(x, w, None, **options), "backward weight": backward([False, True, False])}
        if cin > 3:
            cases["backward data"] = backward([True, False, False])
        for direction, f in cases.items():
            keep(results, f"{name} {direction}", {"gflop": gflop, "seconds": timed(f, 7)})


def check_blas():
    """Debian's PyTorch takes whatever BLAS there is, and the reference one makes Linear layers 50 times slower."""
    a = torch.randn(512, 512)
    a @ a
    before = time.process_time()  # others may want the processors as well
    for _ in range(8):
        a @ a
    gflops = 8 * 2e-9 * 512 ** 3 / (time.process_time() - before)
    if gflops < 10:
        sys.exit(f"PyTorch's BLAS reaches only {gflops:.1f} GFLOP/s on a processor, no fair peer: install "
                 "libopenblas0-pthread")


def main():
    results = {}
    if device == "cpu":
        check_blas()
    layers = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "layers.json")))
    for layout in FORMATS:
        if what == "step":
            network_cases(results, layout, cnn, 32)
        elif what == "resnet18":
            network_cases(results, layout, resnet18, 8)
        elif what in ("yolov2_tiny", "yolov2"):
            detector_case(results, layout)
        elif what in STEPS:
            step_case(results, layout, *STEPS[what])
        else:
            for layer in layers[what]:
                layer_case(results, layout, *layer)
            results["peak_mb"] = peak_mb()
    print(json.dumps(results))


main()
