#!/usr/bin/python3
"""Writes the files of torch/, which spec/torch_spec.lua reads: weights as torch.save writes them, and what is in them.

    python3 spec/golden/make_torch.py tensors    # needs torch 2.3 or later; those there were made by 2.15
    /usr/bin/python3 spec/golden/make_torch.py modules    # Debian's python3-torch is enough

legacy.pth and zip*.pth hold the same tensors in the format of before torch 1.6 and in the one since; NAME.json has what
torch.load gives. module*.pth are whole modules under the names of classes of torchvision and torchxrayvision, neither of
which is needed: a pickle knows a class by its name.
"""
import collections
import inspect
import io
import json
import os
import struct
import sys
import types
import warnings
import zipfile

import torch
import torch.nn as nn

warnings.simplefilter("ignore")
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch"))
torch.manual_seed(7)


def described(value):
    if value.is_quantized:
        value = value.dequantize()
    value = value.detach().resolve_conj().resolve_neg()
    out = {"dtype": str(value.dtype), "shape": list(value.shape)}
    if value.is_complex():
        out["values_re_im"] = torch.view_as_real(value).reshape(-1).tolist()
    else:
        numbers = value.to(torch.float64).reshape(-1).tolist()
        out["values"] = [x if x == x and abs(x) != float("inf") else str(x) for x in numbers]
    return out


def write_json(path, state):
    with open(path, "w") as file:
        tensors = {name: described(value) for name, value in state.items()}
        json.dump({"torch": torch.__version__, "tensors": tensors}, file, indent=1, ensure_ascii=False)


def plain_tensors():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    state = collections.OrderedDict()
    state["plain"] = base
    state["transposed"] = base.t()
    state["sliced"] = base[1:3, 2:5]
    state["step"] = base[::2, 1::2]
    state["tied_same_object"] = base
    state["tied_view"] = base.view(24)[3:7]
    state["expanded"] = torch.tensor([1.5]).expand(2, 3)
    state["channels_last"] = torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last)
    state["bf16"] = torch.tensor([1.0, -2.5, 3.140625, 1e-40, float("inf")]).bfloat16()
    state["f16"] = torch.tensor([1.0, -2.5, 6e-8, 65504.]).half()
    state["f64"] = torch.tensor([[0.1]], dtype=torch.float64)
    state["i64_scalar"] = torch.tensor(300)
    state["bool"] = torch.tensor([True, False, True])
    state["u8"] = torch.tensor([0, 255], dtype=torch.uint8)
    state["empty"] = torch.ones(0, 3)
    state["param"] = nn.Parameter(torch.tensor([0.25, -0.5]))
    state["param_with_attribute"] = nn.Parameter(torch.tensor([2.0]))
    state["param_with_attribute"].tag = "x"
    state["tensor_with_attribute"] = torch.tensor([4.0])
    state["tensor_with_attribute"].tag = 1
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("bn", {"version": 2})])
    return state


def tensors():
    state = plain_tensors()
    torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
    more = collections.OrderedDict(state)
    more["f8_e4m3"] = torch.tensor([1.0, -0.4375, 448., 0.001953125]).to(torch.float8_e4m3fn)
    more["u16"] = torch.tensor([1, 65535], dtype=torch.int32).to(torch.uint16)
    more["negated_view"] = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    more["conjugated"] = torch.tensor([1 + 2j, 3 - 4j]).conj()
    more["qint8_per_tensor"] = torch.quantize_per_tensor(torch.tensor([[-1., 0., .5]]), 0.05, 3, torch.qint8)
    more["qint8_per_channel"] = torch.quantize_per_channel(torch.tensor([[-1., 0.], [.5, .2]]), torch.tensor([.01, .02]),
                                                           torch.tensor([0, 0]), 0, torch.qint8)
    torch.save(more, "zip.pth")
    torch.save({"epoch": 3, "state_dict": state, "lr": 1e-3, "best": None, "big": 2 ** 40, "name": "größe"},
               "zip_protocol4.pth", pickle_protocol=4)
    write_json("legacy.json", torch.load("legacy.pth"))
    write_json("zip.json", torch.load("zip.pth"))
    variants()


def variants():
    """Archives of one state dict that torch reads: without checksums, of the other byte order, deflated, as of torch 1.6."""
    state = collections.OrderedDict(a=torch.tensor([1., 2.5]), b=torch.arange(6.).reshape(3, 2).t())
    torch.serialization.set_crc32_options(False)
    torch.save(state, "zip_crc_off.pth")
    torch.serialization.set_crc32_options(True)
    file = io.BytesIO()
    torch.save(state, file)
    archive = zipfile.ZipFile(file)

    def write(name, method, change=lambda name, value: value, names=None):
        with zipfile.ZipFile(name, "w", method) as out:
            for member in names or archive.namelist():
                out.writestr(member, change(member, archive.read(member)))

    def big(name, value):
        if name.endswith("byteorder"):
            return b"big"
        if "/data/" in name and not name.endswith("serialization_id"):
            return struct.pack(">%df" % (len(value) // 4), *struct.unpack("<%df" % (len(value) // 4), value))
        return value

    write("zip_big_endian.pth", zipfile.ZIP_STORED, big)
    write("zip_deflated.pth", zipfile.ZIP_DEFLATED)
    write("zip_minimal.pth", zipfile.ZIP_STORED,
          names=["archive/data.pkl", "archive/data/0", "archive/data/1", "archive/version"])
    with open("zip_variants.json", "w") as file:
        json.dump({"a": {"shape": [2], "values": [1, 2.5]}, "b": {"shape": [2, 3], "values": [0, 2, 4, 1, 3, 5]}}, file)


def class_of(module, name):
    """A class of modules that pickles know by the name of another library's."""
    for end in range(1, module.count(".") + 2):
        part = ".".join(module.split(".")[:end])
        sys.modules.setdefault(part, types.ModuleType(part))
    made = type(name, (nn.Module,), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


def modules():
    DenseNet, Layer = class_of("torchxrayvision.models", "DenseNet"), class_of("torchvision.models.densenet", "_DenseLayer")
    net = DenseNet()
    net.features = nn.Sequential(collections.OrderedDict([
        ("conv0", nn.Conv2d(1, 4, 3, bias=False)), ("norm0", nn.BatchNorm2d(4)), ("relu0", nn.ReLU(inplace=True))]))
    layer = Layer()
    layer.conv1, layer.drop_rate = nn.Conv2d(4, 2, (1, 3), padding=(0, 1)), 0.0
    net.features.add_module("denselayer1", layer)
    net.classifier = nn.Linear(2, 4)
    net.again = net.classifier
    net.pathologies, net.apply_sigmoid, net.n_iter, net.norm_layer = ["A", "B", "", "Größe"], False, None, nn.BatchNorm2d
    net.register_buffer("op_threshs", torch.tensor([0.2, 0.7, float("nan"), 0.5]))
    net.register_buffer("passing", torch.ones(2), persistent=False)
    with torch.no_grad():
        net.features.norm0(torch.randn(2, 4, 1, 1))
    net.train(False)
    torch.save(net, "module.pth")
    inspect.getsourcelines = lambda _: (["class is kept as text"], 1)  # of each class; torch's own take 20 kB
    torch.save(net, "module_legacy.pth", _use_new_zipfile_serialization=False)
    write_json("module.json", net.state_dict())


{"tensors": tensors, "modules": modules}[sys.argv[1]]()
