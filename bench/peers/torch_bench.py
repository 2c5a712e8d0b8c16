"""PyTorch's side of the timings: the same cases as ../luxel.lua, in the same form.

Usage: torch_bench.py THREADS {step|layers}. Run it through ./tuned and with OpenBLAS (libopenblas0-pthread), or PyTorch is about half as fast.
"""
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

threads, what = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.manual_seed(1)
BATCH, SIZE = 32, 224
LAST = torch.channels_last


def timed(f, count, warm=2):
    for _ in range(warm):
        f()
    values = []
    for _ in range(count):
        start = time.perf_counter()
        f()
        values.append(time.perf_counter() - start)
    return statistics.median(values)


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024


def cnn():
    layers, channels = [], [1, 32, 64, 128, 128]
    for a, b in zip(channels, channels[1:]):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    side = SIZE // 16
    layers += [nn.Flatten(), nn.Linear(128 * side * side, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1)]
    return nn.Sequential(*layers)


def step_cases(results):
    net = cnn().to(memory_format=LAST)
    x = torch.randn(BATCH, 1, SIZE, SIZE).to(memory_format=LAST)
    y = torch.randint(0, 2, (BATCH, 1)).float()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    results["train step, batch 32"] = {"seconds": timed(step, 7), "images": BATCH}
    results["peak_mb"] = peak_mb()
    net.eval()
    with torch.no_grad():
        results["inference, batch 32"] = {"seconds": timed(lambda: net(x), 5), "images": BATCH}
        one = x[:1].contiguous(memory_format=LAST)
        results["inference, batch 1"] = {"seconds": timed(lambda: net(one), 20), "images": 1}


LAYERS = [(1, 32, 3, 224, 1), (32, 32, 3, 112, 1), (32, 64, 3, 112, 1), (64, 64, 3, 56, 1), (64, 128, 3, 56, 1),
          (128, 128, 3, 28, 1), (128, 256, 1, 28, 1), (128, 128, 3, 56, 128)]


def layer_cases(results):
    for cin, cout, k, side, groups in LAYERS:
        name = f"{cin}→{cout} {k}×{k} at {side}" + (f", groups {groups}" if groups > 1 else "")
        x = torch.randn(BATCH, cin, side, side).to(memory_format=LAST)
        w = torch.randn(cout, cin // groups, k, k).to(memory_format=LAST)
        gflop = 2e-9 * BATCH * cout * (cin // groups) * k * k * side * side
        dy = F.conv2d(x, w, None, padding=k // 2, groups=groups)

        def backward(mask):
            p = k // 2
            return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [p, p], [1, 1], False, [0, 0],
                                                               groups, mask)

        with torch.no_grad():
            forward = timed(lambda: F.conv2d(x, w, None, padding=k // 2, groups=groups), 7)
            results[name + " forward"] = {"gflop": gflop, "seconds": forward}
            if cin > 1:
                results[name + " backward data"] = {"gflop": gflop, "seconds": timed(backward([True, False, False]), 7)}
            results[name + " backward weight"] = {"gflop": gflop, "seconds": timed(backward([False, True, False]), 7)}
    results["peak_mb"] = peak_mb()


def check_blas():
    """Debian's PyTorch takes whatever BLAS there is, and the reference one makes Linear layers 50 times slower."""
    a = torch.randn(512, 512)
    gflops = 2e-9 * 512 ** 3 / timed(lambda: a @ a, 3)
    if gflops < 20:
        sys.exit(f"PyTorch's BLAS reaches only {gflops:.1f} GFLOP/s, no fair peer: install libopenblas0-pthread")


results = {}
check_blas()
step_cases(results) if what == "step" else layer_cases(results)
print(json.dumps(results))
