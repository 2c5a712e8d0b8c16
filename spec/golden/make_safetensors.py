"""Files as safetensors' reference implementation writes and judges them (PyPI: safetensors, numpy, ml_dtypes; and
Debian's python3-torch for the network). Run in this folder: python3 make_safetensors.py

dtypes.safetensors      numbers of every type that can be held, and under NAME/expected what they are in float32, int32, uint8
foreign.safetensors     metadata of another program, and a network with batch normalisation: its state_dict after three steps
                        of training, an input x, and what it gives for it in evaluation
judged.json             files as hexadecimal digits, and whether the reference implementation reads them
"""
import json
import struct

import ml_dtypes
import numpy as np
import torch
from safetensors import TensorSpec, deserialize, serialize_file
from safetensors.torch import save_file

rng = np.random.default_rng(7)


def numbers():
    """Bytes of numbers by type, and the numbers."""
    wide = [-2**31, 2**31 - 1, -1, 0, 1, 70000, -123456789]
    found = {"bool": ("BOOL", np.array([0, 1, 1, 0, 1], np.bool_), np.uint8)}
    for name, dtype in (("int8", "I8"), ("uint8", "U8"), ("int16", "I16"), ("uint16", "U16"), ("int32", "I32"),
                        ("uint32", "U32"), ("int64", "I64"), ("uint64", "U64")):
        info = np.iinfo(name)
        values = [v for v in wide + [info.min, info.max, 7, 255, 32767, 65535, -128] if info.min <= v <= info.max
                  and -2**31 <= v < 2**31]
        found[name] = (dtype, np.array(values, name), np.uint8 if name == "uint8" else np.int32)
    found["float32"] = ("F32", np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38], np.float32), np.float32)
    found["float64"] = ("F64", np.array([0.1, 1 / 3, -0.0, np.inf, -np.inf, np.nan, 1e-46, 1e-40, 3.4028234e38, -1e-300]),
                        np.float32)
    codes = np.concatenate([np.arange(0, 65536, 131), [0x7c00, 0xfc00, 0x7e00, 1, 0x8001, 0x3ff, 0x7bff, 0x7f80, 0xff80,
                                                       0x7fc0, 0x7f, 0x7f7f]]).astype(np.uint16)
    found["float16"] = ("F16", codes.view(np.float16), np.float32)
    found["bfloat16"] = ("BF16", codes.view(ml_dtypes.bfloat16), np.float32)
    for name, dtype in (("float8_e5m2", "F8_E5M2"), ("float8_e4m3fn", "F8_E4M3"), ("float8_e5m2fnuz", "F8_E5M2FNUZ"),
                        ("float8_e4m3fnuz", "F8_E4M3FNUZ"), ("float8_e8m0fnu", "F8_E8M0")):
        found[name] = (dtype, np.arange(256, dtype=np.uint8).view(getattr(ml_dtypes, name)), np.float32)
    return found


# what serialize_file calls the types
CALLED = {"BOOL": "bool", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
          "I64": "int64", "U64": "uint64", "F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16",
          "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E5M2FNUZ": "float8_e5m2fnuz",
          "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E8M0": "float8_e8m0fnu"}


def write_numbers():
    tensors = {}
    for name, (dtype, values, becomes) in numbers().items():
        with np.errstate(all="ignore"):
            expected = values.astype(becomes)
        tensors[dtype], tensors[dtype + "/expected"] = (CALLED[dtype], values), (np.dtype(becomes).name, expected)
    tensors["scalar"] = ("int64", np.array(41))
    tensors["matrix"] = ("float16", np.arange(6, dtype=np.float16).reshape(2, 3))
    tensors["empty"] = ("float64", np.zeros((0, 3)))
    serialize_file({name: TensorSpec(dtype=dtype, shape=values.shape, data_ptr=values.ctypes.data, data_len=values.nbytes)
                    for name, (dtype, values) in tensors.items()}, "dtypes.safetensors", None)


def write_network():
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Flatten(),
                              torch.nn.Linear(75, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(4, 1, 7, 7)).square().mean().backward()
        optimizer.step()
    net.eval()
    x = torch.randn(2, 1, 7, 7)
    tensors = {"net." + name: value for name, value in net.state_dict().items()}
    tensors["x"], tensors["y"] = x, net(x).detach()
    save_file(tensors, "foreign.safetensors", {"version": "1.10", "nothing": "null", "text": "  ü \"q\" {\n", "list": "[1, 2]"})


def entry(name, start, stop, shape="[1]", dtype='"F32"'):
    return '"%s":{"dtype":%s,"shape":%s,"data_offsets":[%d,%d]}' % (name, dtype, shape, start, stop)


def judged():
    a, b = entry("a", 0, 4), lambda start, stop: entry("b", start, stop)
    plain = "{" + a + "}"
    cases = {
        "plain": (plain, 4), "two": ("{" + a + "," + b(4, 8) + "}", 8), "backwards in the header": ("{" + b(4, 8) + "," + a + "}", 8),
        "nothing": ("{}", 0), "nothing with a byte": ("{}", 1),
        "leading space": (" " + plain, 4), "leading lines": ("\n\r\t " + plain, 4), "byte order mark": ("\ufeff" + plain, 4),
        "form feed": ("\f" + plain, 4), "padded": (plain + " \n\t ", 4), "padded with 0": (plain + "\0", 4),
        "followed by a word": (plain + " x", 4), "followed by another": (plain + "{}", 4),
        "trailing byte": (plain, 5), "cut off": (plain, 3), "no bytes": (plain, 0),
        "overlap": ("{" + a + "," + b(2, 6) + "}", 6), "same range": ("{" + a + "," + b(0, 4) + "}", 4),
        "hole": ("{" + a + "," + b(8, 12) + "}", 12), "hole in front": ("{" + b(4, 8) + "}", 8),
        "hole behind": ("{" + a + "}", 8), "inside another": ("{" + entry("a", 0, 8, "[2]") + "," + b(4, 8) + "}", 8),
        "backwards": ("{" + entry("a", 4, 0) + "}", 4), "negative": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', 4),
        "empty in the midst": ("{" + a + "," + entry("z", 4, 4, "[0]") + "," + b(4, 8) + "}", 8),
        "empty in another": ("{" + a + "," + entry("z", 2, 2, "[0]") + "," + b(4, 8) + "}", 8),
        "empty behind the end": ("{" + a + "," + entry("z", 8, 8, "[0]") + "}", 4),
        "metadata": ('{"__metadata__":{"k":"v"},' + a + "}", 4), "metadata null": ('{"__metadata__":null,' + a + "}", 4),
        "metadata list": ('{"__metadata__":[],' + a + "}", 4), "metadata number": ('{"__metadata__":{"k":1},' + a + "}", 4),
        "metadata nested": ('{"__metadata__":{"k":{}},' + a + "}", 4), "metadata text": ('{"__metadata__":"k",' + a + "}", 4),
        "repeated metadata": ('{"__metadata__":{},"__metadata__":{},' + a + "}", 4),
        "repeated dtype": ('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
        "repeated name": ("{" + a + "," + a + "}", 4), "repeated name, other bytes": ("{" + a + "," + entry("a", 4, 8) + "}", 8),
        "repeated name, escaped": ("{" + a + "," + entry("\\u0061", 0, 4) + "}", 4),
        "repeated key of metadata": ('{"__metadata__":{"k":"1","k":"2"},' + a + "}", 4),
        "further field": ('{"a":{"dtype":"F32","more":[{}],"shape":[1],"data_offsets":[0,4]}}', 4),
        "three offsets": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', 4),
        "one offset": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', 4),
        "offset with fraction": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}}', 4),
        "offset with exponent": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4e0]}}', 4),
        "offset of -0": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', 4),
        "offset as text": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,"4"]}}', 4),
        "offset null": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[null,4]}}', 4),
        "shape with fraction": ("{" + entry("a", 0, 4, "[1.0]") + "}", 4), "shape 01": ("{" + entry("a", 0, 4, "[01]") + "}", 4),
        "shape -1": ("{" + entry("a", 0, 4, "[-1]") + "}", 4), "shape object": ("{" + entry("a", 0, 4, "{}") + "}", 4),
        "shape of others": ("{" + entry("a", 0, 4, "[2]") + "}", 4), "scalar": ("{" + entry("a", 0, 4, "[]") + "}", 4),
        "shape that overflows": ("{" + entry("a", 0, 0, "[9223372036854775807,9,0]") + "}", 0),
        "shape that wraps": ("{" + entry("a", 0, 0, "[4611686018427387904,4]") + "}", 0),
        "shape of 2^64": ("{" + entry("a", 0, 0, "[18446744073709551616]") + "}", 0),
        "list": ("[]", 0), "text": ('"a"', 0), "null": ("null", 0), "no JSON": ("{", 0), "comma": ("{" + a + ",}", 4),
        "tensor null": ('{"a":null}', 0), "tensor number": ('{"a":1}', 0), "tensor empty": ('{"a":{}}', 0),
        "no shape": ('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), "no offsets": ('{"a":{"dtype":"F32","shape":[1]}}', 4),
        "no dtype": ('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), "dtype number": ("{" + entry("a", 0, 4, dtype="32") + "}", 4),
        "small dtype": ("{" + entry("a", 0, 4, dtype='"f32"') + "}", 4), "no such dtype": ("{" + entry("a", 0, 4, dtype='"F33"') + "}", 4),
        "half a surrogate pair": ("{" + entry("\\ud800", 0, 4) + "}", 4), "surrogate pair": ("{" + entry("\\ud83d\\ude00", 0, 4) + "}", 4),
        "control character": ("{" + entry("\n", 0, 4) + "}", 4), "no UTF-8": (b"{" + entry("\u00ff", 0, 4).encode("latin-1") + b"}", 4),
        "empty name": ("{" + entry("", 0, 4) + "}", 4),
        "deep": ('{"a":{"more":' + "[" * 100 + "]" * 100 + ',"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
        "deeper": ('{"a":{"more":' + "[" * 130 + "]" * 130 + ',"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
    }
    files = {"header of 0 bytes": struct.pack("<Q", 0) + b"{}", "seven bytes": b"\2\0\0\0\0\0\0",
             "header longer than the file": struct.pack("<Q", 100) + b"{}", "header of 2^63": struct.pack("<Q", 2**63) + b"{}",
             "empty file": b""}
    for name, (header, count) in cases.items():
        header = header if isinstance(header, bytes) else header.encode()
        files[name] = struct.pack("<Q", len(header)) + header + bytes(count)
    for name, raw in files.items():
        try:
            deserialize(raw)
            reads = True
        except Exception:
            reads = False
        yield {"name": name, "bytes": raw.hex(), "reads": reads}


write_numbers()
write_network()
with open("judged.json", "w") as out:
    out.write("[\n" + ",\n".join(json.dumps(case) for case in judged()) + "\n]\n")
