#!/usr/bin/python3
"""Writes golden.safetensors: what PyTorch computes for the cases of spec/cases.lua, by the same names.

Run it again after changing it (Debian's python3-torch is enough):

    /usr/bin/python3 spec/golden/make.py

The layers of sequences want PyTorch 2, and are from 2.15; the others are from 1.13, with which 2.15 agrees but for the
gradient of clamp at its ends (edge/clamp).

PyTorch computes in double precision. For a case NAME the file has NAME/in/ARGUMENT, NAME/out/1, 2 ... for the
results and NAME/grad/ARGUMENT for their gradients, where backward starts from `output_gradient` for each result.

To stay small the file keeps some tensors in another form. Inputs are multiples of 1/64, mostly below 2, so a byte or
two hold them exactly (I8, I16). Long results are I16 too, with an error of at most 1.6e-5 of the largest magnitude,
well below the tolerance of the comparison. Of very long results every n-th element is kept, where n divides no size,
so that each row, column and channel has its share; the total of all elements times `output_gradient` number 0 vouches
for the others. __metadata__ has the form by name, [step] or [step, n, shape, total]: value = integer * step. Without
an entry the step is 1/64 for I8.

Every case draws from its own generator, seeded by its name, so that adding one leaves the others as they are.
"""
import json
import math
import os
import struct
import zlib

import numpy as np
import torch
import torch.nn.functional as F

MOST = 500  # elements of a result

tensors, forms, names = {}, {}, []

# ---- inputs: each is a function of the random generator -------------------------------------------------------------


def values(*shape):
    """Multiples of 1/64 between -2 and 2, never 0."""
    def draw(rng):
        codes = rng.randint(1, 128, shape) * rng.choice([-1, 1], shape)
        return torch.from_numpy(np.asarray(codes / 64.0))
    return draw


def positive(*shape):
    """Multiples of 1/64 from 1/8 to 2."""
    return lambda rng: torch.from_numpy(np.asarray(rng.randint(8, 129, shape) / 64.0))


def distinct(*shape):
    """Values that differ by at least 1/32 (so no ties), never 0 and never near a whole or half number."""
    def draw(rng):
        count = int(np.prod(shape))
        return torch.from_numpy(((rng.permutation(count) - count // 2) / 32.0 + 1 / 64.0).reshape(shape))
    return draw


def coarse(*shape):
    """Multiples of 1/8 between -2 and 2: sums of products of these are multiples of 1/64."""
    return lambda rng: torch.from_numpy(rng.randint(-16, 17, shape) / 8.0)


def off_the_grid(draw):
    """Moved by 1/128, so that what a multiple of 1/64 is added to is neither 0 nor a whole number, where functions bend."""
    return lambda rng: draw(rng) + 1 / 128


def exactly(numbers, dtype=torch.float64):
    return lambda rng: torch.tensor(numbers, dtype=dtype)


def indices(low, high, *shape):
    """int32 from low to high, both included."""
    return lambda rng: torch.from_numpy(rng.randint(low, high + 1, shape).astype(np.int32))


def bits(*shape):
    return lambda rng: torch.from_numpy(rng.randint(0, 2, shape).astype(np.uint8))


def labels(*shape):
    """0.0 or 1.0"""
    return lambda rng: torch.from_numpy(rng.randint(0, 2, shape).astype(np.float64))


def with_missing(draw, share=0.3):
    """Some elements NaN."""
    def drawn(rng):
        t = draw(rng).clone()
        t[torch.from_numpy(rng.rand(*t.shape) < share)] = float("nan")
        return t
    return drawn


# ---- storing --------------------------------------------------------------------------------------------------------


def output_gradient(number, shape):
    """What backward starts from at result `number`; the same formula is in spec/support/golden.lua."""
    i = np.arange(int(np.prod(shape)))
    return torch.from_numpy((3 * i * i + 41 * i + 17 * number) % 127 - 63).reshape(shape) / 64.0


def sample_step(shape):
    count = int(np.prod(shape))
    if count <= MOST:
        return 1
    return next(n for n in range(-(-count // MOST), count) if all(math.gcd(n, size) == 1 for size in shape))


def store_input(name, a):
    """Exact."""
    codes = a * 64
    exact = a.dtype == np.float64 and a.size > 8 and np.isfinite(a).all() and (codes == np.round(codes)).all()
    if exact and np.abs(codes).max() < 128:
        tensors[name] = codes.astype(np.int8)
    elif exact and np.abs(codes).max() < 32768:
        tensors[name], forms[name] = codes.astype(np.int16), [1 / 64]
    else:
        tensors[name] = a.astype(np.float32) if a.dtype == np.float64 else a


def store_result(name, a):
    if a.dtype == np.int64:
        a = a.astype(np.int32)
    if a.dtype != np.float64:
        tensors[name] = a.astype(np.uint8) if a.dtype == np.bool_ else a
        return
    largest = np.abs(a).max()
    if a.size > 64 and 0 < largest < np.inf:
        every, step = sample_step(a.shape), float("%.6g" % (largest / 32766))
        kept = a.reshape(-1)[::every] if every > 1 else a
        tensors[name], forms[name] = np.round(kept / step).astype(np.int16), [step]
        if every > 1:
            forms[name] += [every, a.shape, float((a * output_gradient(0, a.shape).numpy()).sum())]
    else:
        tensors[name] = a.astype(np.float32)


def case(name, function, fixed=None, **inputs):
    """`inputs` get gradients where they are floating-point, `fixed` ones do not."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    names.append(name)
    arguments, leaves = {}, {}
    for key, draw in {**inputs, **(fixed or {})}.items():
        arguments[key] = draw(rng)
        store_input(f"{name}/in/{key}", arguments[key].numpy())
    for key in inputs:
        if arguments[key].dtype == torch.float64:
            leaves[key] = arguments[key] = arguments[key].clone().requires_grad_(True)
    results = function(**arguments)
    results = results if isinstance(results, (tuple, list)) else (results,)
    differentiable, grads = [], []
    for number, result in enumerate(results, 1):
        store_result(f"{name}/out/{number}", result.detach().numpy())
        if result.requires_grad:
            differentiable.append(result)
            grads.append(output_gradient(number, result.shape))
    assert bool(leaves) == bool(differentiable), name
    if leaves:
        torch.autograd.backward(differentiable, grads)
        for key, leaf in leaves.items():
            assert leaf.grad is not None, (name, key)
            store_result(f"{name}/grad/{key}", leaf.grad.numpy())


def write(path):
    kinds = {"float32": "F32", "uint8": "U8", "int32": "I32", "int8": "I8", "int16": "I16"}
    header, chunks, offset = {}, [], 0
    header["__metadata__"] = {name: json.dumps(form, separators=(",", ":")) for name, form in forms.items()}
    for name in sorted(tensors):
        a = tensors[name]
        data = np.ascontiguousarray(a).tobytes()
        header[name] = {"dtype": kinds[a.dtype.name], "shape": list(a.shape),
                        "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    print(f"{len(names)} cases, {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def one_based(result):
    """Indices as Luxel counts them."""
    return result[0], result[1] + 1


# ---- elementwise ----------------------------------------------------------------------------------------------------

UNARY = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor, "ceil": torch.ceil,
    "round": torch.round, "square": torch.square, "exp": torch.exp, "expm1": torch.expm1, "sin": torch.sin,
    "cos": torch.cos, "tanh": torch.tanh, "erf": torch.erf, "sigmoid": torch.sigmoid, "relu": torch.relu,
}
for name, f in UNARY.items():
    case(f"unary/{name}", lambda x, f=f: f(x), x=distinct(3, 5, 7))
# Functions that bend or end far from 0, of images: the layout of convolutions is tested as well.
for name in ("relu6", "hardsigmoid", "hardswish", "silu"):
    case(f"unary/{name}", lambda x, f=getattr(F, name): f(x), x=lambda rng: 3 * distinct(2, 5, 3, 7)(rng))
case("unary/leaky", lambda x: F.leaky_relu(x, 0.1), x=distinct(2, 19, 3, 2))
for name in ("sqrt", "rsqrt", "reciprocal", "log", "log1p"):
    case(f"unary/{name}", lambda x, f=getattr(torch, name): f(x), x=positive(3, 5, 7))
case("unary/images", lambda x: torch.exp(x).sqrt(), x=values(2, 19, 3, 5))
case("unary/round_halves", torch.round, fixed={"input": exactly([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e10, -1e10])})
case("unary/far", lambda x: (torch.sigmoid(x), torch.tanh(x), torch.erf(x), torch.expm1(x / 10), torch.exp(x)),
     fixed={"x": exactly([-200.0, -80.0, -20.0, -9.0, -1e-6, 0.0, 1e-6, 9.0, 20.0, 80.0])})
case("unary/small", lambda x: tuple(1e6 * f(x) for f in (torch.expm1, torch.log1p, torch.erf, torch.tanh,
                                                                    torch.sin)),
     fixed={"x": exactly([-1e-5, -3e-6, -1e-6, -1e-8, 0.0, 1e-8, 1e-6, 2e-6, 1e-5])})
case("unary/isnan", torch.isnan, fixed={"input": with_missing(values(5, 7))})
case("unary/nan", lambda x: (-x, x.abs(), x.sqrt(), x.exp(), torch.tanh(x), x.clamp(-1, 1), torch.floor(x)),
     fixed={"x": exactly([float("nan"), 0.25, float("inf")])})
case("unary/in_place", lambda x: (x.exp(), -x, x.square()), fixed={"x": values(5, 7)})

BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow,
          "maximum": torch.maximum, "minimum": torch.minimum}
BROADCAST = {"same": ((3, 5, 7), (3, 5, 7)), "row": ((3, 5, 7), (7,)), "column": ((5, 7), (5, 1)),
             "channel": ((2, 19, 3, 5), (1, 19, 1, 1)), "both": ((3, 1, 7), (5, 1)), "left": ((7,), (3, 5, 7)),
             "zero_dim": ((5, 7), ())}
for op, f in BINARY.items():
    for kind, (a, b) in BROADCAST.items():
        if op in ("maximum", "minimum"):  # multiples of 1/64 on one side, halfway between on the other: no ties
            case(f"binary/{op}_{kind}", lambda a, b, f=f: f(a, b), a=values(*a),
                 b=lambda rng, b=b: values(*b)(rng) + 1 / 128)
        else:
            draw_a = positive(*a) if op == "pow" else values(*a)
            draw_b = positive(*b) if op == "div" else values(*b)
            case(f"binary/{op}_{kind}", lambda a, b, f=f: f(a, b), a=draw_a, b=draw_b)
for op, f in BINARY.items():
    draw = positive if op in ("pow", "div") else values
    wrap = lambda v: torch.tensor(v, dtype=torch.float64)
    case(f"binary/{op}_number_right", lambda a, f=f: f(a, wrap(1.3)), a=draw(5, 7))
    case(f"binary/{op}_number_left", lambda a, f=f: f(wrap(1.3), a), a=draw(5, 7))
case("binary/pow_whole", lambda a: (a ** 2, a ** 3, a ** -1, a ** 0), a=values(5, 7))
case("binary/pow_zero_base", lambda a, b: a ** b, a=exactly([0.0, 0.0, 0.5]), b=exactly([2.0, 3.0, 2.0]))
case("binary/twice_the_same", lambda a: a * a + a / a - a, a=values(5, 7))
case("binary/integers", lambda a, b: (a + b, a * b, a.double() / b),
     fixed={"a": indices(-9, 9, 5, 7), "b": indices(1, 9, 7)})
case("binary/in_place", lambda x, y: (x + y, x - y, x * y, x / y, x + 0.5 * y, x.clamp(-1, 0.5), x + 2, x * 3),
     fixed={"x": values(5, 7), "y": positive(7)})
case("binary/nan", lambda a, b: (torch.maximum(a, b), torch.minimum(a, b), a + b, a * b),
     fixed={"a": exactly([float("nan"), 1.0, 2.0]), "b": exactly([1.0, float("nan"), 3.0])})

for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(f"compare/{name}", lambda a, b, i, f=getattr(torch, name): (f(a, b), f(a, 0.5), f(i, 2)),
         fixed={"a": lambda rng: indices(-2, 2, 3, 5, 7)(rng) / 2.0, "b": lambda rng: indices(-2, 2, 5, 1)(rng) / 2.0,
                "i": indices(1, 3, 7)})
case("compare/nan", lambda a: (a == a, a != a, a < 1, a >= 1), fixed={"a": with_missing(values(11))})
case("select/where", lambda a, b, c: torch.where(c.bool(), a, b), a=values(3, 5, 7), b=values(3, 5, 7),
     fixed={"c": bits(3, 5, 7)})
case("select/where_broadcast", lambda a, b, c: torch.where(c.bool(), a, b), a=values(3, 1, 7), b=values(1),
     fixed={"c": bits(5, 1)})
case("select/where_number", lambda a, c: torch.where(c.bool(), a, torch.tensor(2.5, dtype=torch.float64)),
     a=values(5, 7), fixed={"c": bits(7)})
case("select/masked_fill", lambda x, m: x.masked_fill(m.bool(), -3.5), x=values(3, 5, 7), fixed={"m": bits(5, 7)})
case("select/clamp", lambda x: x.clamp(-0.75, 1.25), x=lambda rng: values(5, 7)(rng) + 1 / 128)
case("select/clamp_low", lambda x: x.clamp(min=-0.5), x=lambda rng: values(5, 7)(rng) + 1 / 128)
case("select/clamp_high", lambda x: x.clamp(max=0.5), x=lambda rng: values(5, 7)(rng) + 1 / 128)
case("cast/all", lambda x, i, b: (x.to(torch.int32), i.double(), b.double(), i.to(torch.uint8), b.to(torch.int32)),
     fixed={"x": lambda rng: distinct(5, 7)(rng) * 5, "i": indices(0, 255, 11), "b": indices(0, 255, 13)})

# ---- reductions -----------------------------------------------------------------------------------------------------

DIMS = {"whole": None, "first": [0], "last": [-1], "middle": [1], "channels": [0, 2, 3], "pair": [1, 3],
        "keep": [2, 3]}
for kind, dims in DIMS.items():
    keep = kind == "keep"
    every = dims if dims is not None else [0, 1, 2, 3]
    case(f"reduce/sum_{kind}", lambda x: x.sum(every, keep), x=values(3, 17, 2, 3))
    case(f"reduce/mean_{kind}", lambda x: x.mean(every, keep), x=values(3, 17, 2, 3))
    case(f"reduce/var_{kind}", lambda x: x.var(every, unbiased=True, keepdim=keep), x=values(3, 5, 2, 3))
    case(f"reduce/std_{kind}", lambda x: x.std(every, unbiased=False, keepdim=keep), x=values(3, 5, 2, 3))
    case(f"reduce/norm_{kind}", lambda x: x.square().sum(every, keep).sqrt(), x=values(3, 5, 2, 3))
    case(f"reduce/max_{kind}", lambda x: torch.amax(x, every, keep), x=distinct(3, 5, 2, 3))
    case(f"reduce/min_{kind}", lambda x: torch.amin(x, every, keep), x=distinct(3, 5, 2, 3))
for kind, dims in {"whole": None, "first": 0, "last": -1}.items():
    small = lambda rng: 1 + values(3, 7, 5)(rng) / 8
    case(f"reduce/prod_{kind}", (lambda x: x.prod()) if dims is None else (lambda x: x.prod(dims)), x=small)
case("reduce/prod_zero", lambda x: x.prod(1), x=exactly([[2.0, 0, 3], [0, 1.5, 0], [1.5, -2, 2.5]]))
case("reduce/norm_1", lambda x: x.abs().sum(1), x=values(5, 7))
case("reduce/norm_3", lambda x: x.abs().pow(3).sum(1).pow(1 / 3), x=values(5, 7))
case("reduce/norm_inf", lambda x: x.abs().amax(1), x=distinct(5, 7))
case("reduce/long", lambda x: (x.sum(1), x.mean(0), x.sum()), x=values(3, 1001))
case("reduce/zero_dim", lambda x: (x.sum(), x.mean(), x.amax()), x=values())
for name in ("max", "min"):
    for dim in (0, 1, 2):
        case(f"reduce/{name}_with_indices_{dim + 1}", lambda x, f=getattr(torch, name): one_based(f(x, dim)),
             x=distinct(3, 5, 7))
    case(f"reduce/{name}_with_indices_keep", lambda x, f=getattr(torch, name): one_based(f(x, 1, keepdim=True)),
         x=distinct(3, 5, 7))
case("reduce/arg", lambda x: (x.argmax() + 1, x.argmax(0) + 1, x.argmax(-1, keepdim=True) + 1, x.argmin() + 1,
                              x.argmin(1) + 1), fixed={"x": distinct(3, 5, 7)})
case("reduce/arg_first_of_ties", lambda x: (x.argmax(1) + 1, x.argmin(1) + 1),
     fixed={"x": exactly([[1.0, 3, 3, 0, 0], [2, 2, 2, 2, 2]])})
case("reduce/any_all", lambda x: (x.any().byte(), x.all().byte(), x.any(0).byte(), x.all(1).byte(),
                                  x.any(1, keepdim=True).byte()),
     fixed={"x": exactly([[0, 0, 1], [0, 2, 3], [0, 255, 1]], torch.uint8)})
case("reduce/integers", lambda i, b: (i.double().sum(0), i.double().sum(), b.double().mean(), i.amax(0).double()),
     fixed={"i": indices(-99, 99, 5, 7), "b": bits(5, 7)})
case("reduce/nan", lambda x: (x.sum(1), x.mean(1), x.amax(1), x.amin(1), x.amax()),
     fixed={"x": exactly([[1.0, 2, 3], [float("nan"), 1, 2], [5, float("nan"), 1], [1, 2, float("nan")]])})
for dim in (0, 1, 2):
    case(f"scan/cumsum_{dim + 1}", lambda x: x.cumsum(dim), x=values(3, 5, 7))
    case(f"scan/sort_{dim + 1}", lambda x: one_based(x.sort(dim)), x=distinct(3, 5, 7))
case("scan/cumsum_last", lambda x: x.cumsum(-1), x=values(3, 263))
case("scan/sort_descending", lambda x: one_based(x.sort(1, descending=True)), x=distinct(5, 33))
case("scan/sort_stable", lambda x: one_based(x.sort(stable=True, dim=1, descending=False))
     + one_based(x.sort(stable=True, dim=1, descending=True)),
     fixed={"x": lambda rng: indices(1, 4, 3, 17)(rng).double()})
case("scan/topk", lambda x: one_based(x.topk(3, 1)), x=distinct(5, 11))
case("scan/topk_smallest", lambda x: one_based(x.topk(2, 0, largest=False)), x=distinct(5, 11))

# ---- shape and picking ----------------------------------------------------------------------------------------------

for dim in (0, 1, 2):
    sizes = [[2, 3, 5] for _ in range(3)]
    sizes[1][dim], sizes[2][dim] = 1, 7
    case(f"join/cat_{dim + 1}", lambda a, b, c: torch.cat([a, b, c], dim), a=values(*sizes[0]), b=values(*sizes[1]),
         c=values(*sizes[2]))
case("join/cat_channels", lambda a, b: torch.cat([a, b], 1), a=values(2, 5, 3, 7), b=values(2, 17, 3, 7))
case("join/cat_twice_the_same", lambda a: torch.cat([a, a], -1), a=values(5, 7))
case("join/cat_integers", lambda a, b: torch.cat([a, b]), fixed={"a": indices(1, 9, 3), "b": indices(1, 9, 2)})
for dim in (0, 2):
    case(f"join/stack_{dim + 1}", lambda a, b: torch.stack([a, b], dim), a=values(5, 7), b=values(5, 7))
case("join/chunk", lambda x: x.chunk(3, 1), x=values(3, 7))
case("view/narrow", lambda x: x.narrow(1, 2, 4), x=values(3, 7, 5))
case("view/select", lambda x: x.select(1, 4) * x.select(-2, 1), x=values(3, 7, 5))
case("view/permute", lambda x: x.permute(2, 0, 3, 1), x=values(2, 3, 5, 7))
case("view/transpose", lambda x: x.transpose(0, 2), x=values(3, 5, 7))
case("view/t", lambda x: x.t(), x=values(5, 7))
case("view/expand", lambda x: x.expand(5, 3, 7), x=values(3, 1))
case("view/expand_then_product", lambda x, y: x.expand(5, 7) * y, x=values(1, 7), y=values(5, 7))
case("view/reshape", lambda x: x.reshape(7, -1), x=values(2, 3, 7))
case("view/reshape_of_transposed", lambda x: x.transpose(0, 1).reshape(-1, 3), x=values(6, 5))
case("view/view", lambda x: x.contiguous().view(3, -1), x=values(2, 3, 7))
case("view/squeeze", lambda x: x.squeeze(1) * x.squeeze().unsqueeze(-1), x=values(5, 1, 1))
case("view/unsqueeze", lambda x: x.unsqueeze(0).unsqueeze(-1).unsqueeze(2), x=values(5, 7))
case("view/flatten", lambda x: x.flatten(1, 2), x=values(2, 3, 5, 7))
case("view/flatten_whole", lambda x: x.flatten(), x=values(2, 17, 3, 5))
case("view/contiguous", lambda x: x.transpose(0, 1).contiguous(), x=values(5, 7))
case("view/clone", lambda x: x.clone() * x, x=values(5, 7))
case("view/to_device", lambda x: x * 2, x=values(2, 5, 7))
case("view/index", lambda x: x[1, 1:4, :, 2:3].squeeze(-1), x=values(3, 5, 7, 4))
case("view/index_end", lambda x: x[-1] + x[:, -2:].sum(0)[0], x=values(3, 5, 7))
case("view/assign", lambda x, y, m: (torch.cat([x[:1], y.expand(1, 7), x[2:]]),
                                     torch.cat([x[:, :3], torch.full((5, 2), 2.5).double(), x[:, 5:]], 1),
                                     x.masked_fill(m.bool(), 9)),
     fixed={"x": values(5, 7), "y": values(7), "m": bits(5, 7)})
case("view/copy", lambda x, y: (y.expand(5, 7).clone(), x.t().clone()), fixed={"x": values(5, 7), "y": values(7)})
for dim in (0, 1, 2):
    size = (4, 5, 6)
    case(f"pick/index_select_{dim + 1}", lambda x, i: x.index_select(dim, i - 1), x=values(*size),
         fixed={"i": indices(1, size[dim], 9)})
    shape = list(size)
    shape[dim] = 8
    case(f"pick/gather_{dim + 1}", lambda x, i: x.gather(dim, i.long() - 1), x=values(*size),
         fixed={"i": indices(1, size[dim], *shape)})
case("pick/index_by_tensor", lambda x, i: x[i.long() - 1], x=values(6, 7), fixed={"i": indices(1, 6, 11)})

# ---- changes in place -----------------------------------------------------------------------------------------------


def in_place(name, function, fixed=None, **inputs):
    """`function` changes what it makes itself: leaves cannot be changed in place."""
    case(f"in_place/{name}", function, fixed, **inputs)


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.float64)


def taken_in(x):
    z = zeros(7)
    z.add_(x * 2)
    return z + x, z


def chain(x, y):
    z = x * 1
    return z.mul_(y).sub_(x).add_(y, alpha=0.5).div_(3).tanh_() + z.square()


def views_of_views(x, y):
    z = zeros(5, 7)
    part = z[1:4]
    column = part.t()[2]
    column.add_(x[:3, 0])
    assert part.grad_fn  # PyTorch 1.13 takes it for a leaf until somebody asks
    part.mul_(y).add_(x[1:4])
    z[0] = y
    z.t()[6].sub_(x[:, 1])
    return z * z, part.exp(), column


def base_after_view(x, y):
    z = x * 2
    turned, row = z.t(), z[3]
    flat = z.view(-1)
    z.mul_(y)
    z[2].sub_(x[1])
    return turned * 3, row.sin(), flat


def overwritten(x, y):
    z = x * y
    w = z * 1
    z[1].zero_()
    z[:, 2].fill_(3)
    z[3].copy_(y)
    w.copy_(y)
    return z * z, w * 2, x * 1


def masked(x, y, m):
    z = x.sin()
    z.copy_(torch.where(m.bool(), y, z))
    z.copy_(torch.where(z > 0.5, torch.tensor(0.5, dtype=torch.float64), z))
    return z * y


def expanded_view(x, y):
    z = zeros(1, 7)
    many = z.expand(5, 7)
    columns = z.expand(5, 7)[:, 2:5].t()
    z.add_(x)
    return many * y, columns


def through_detached(x):
    z = x * 3
    apart = z.detach()
    apart.add_(x)
    return z * 1, apart


def with_itself(x):
    z = x * 1
    z.mul_(z.clone())
    z[0].add_(z[1])
    z[1:4].sub_(z[0:3].clone())
    return z


def limits(x, y):
    z = x * 1
    z[:2].clamp_(-0.5, 0.75)
    z[2:] = torch.maximum(z[2:].clone(), y)
    return z.square_().exp_()


in_place("taken_in", taken_in, x=values(7))
in_place("chain", chain, x=values(5, 7), y=positive(7))
in_place("views_of_views", views_of_views, x=values(5, 7), y=values(7))
in_place("base_after_view", base_after_view, x=values(5, 7), y=values(7))
in_place("overwritten", overwritten, x=values(5, 7), y=values(7))
in_place("masked", masked, x=values(5, 7), y=lambda rng: values(7)(rng) + 1 / 128, fixed={"m": bits(5, 7)})
in_place("expanded_view", expanded_view, x=values(7), y=values(5, 7))
in_place("through_detached", through_detached, x=values(7))
in_place("with_itself", with_itself, x=values(5, 7))
in_place("limits", limits, x=lambda rng: values(5, 7)(rng) + 1 / 128, y=values(7))

# ---- where functions bend or end ------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
case("edge/pow_number", lambda a: (a ** 0, a ** 1, a ** 2), a=exactly([0.0, 0.5, -1.0, 0.0]))
case("edge/pow_tensors", lambda a, b: a ** b, a=exactly([0.0, 0.0, 0.0, 2.0, 0.5]), b=exactly([0.0, 1.0, 2.0, 0.0, -1.0]))
case("edge/pow_zero_base", lambda b: torch.zeros((), dtype=torch.float64) ** b, b=exactly([0.0, 1.0, 2.5]))
case("edge/norm", lambda x: tuple(torch.linalg.vector_norm(x, p, 1) for p in (0, 1, 1.5, 2, 3, INF, -INF)),
     x=exactly([[0.0, 0, 0], [3, -4, 0], [2, 2, -2]]))
case("edge/norm_half", lambda x: torch.linalg.vector_norm(x, 0.5, 1), x=exactly([[3.0, -4, 0], [2, 2, -2]]))
case("edge/std", lambda x: (x.std(1), x.std(1, unbiased=False), x.std()), x=exactly([[2.0, 2, 2], [1, 2, 4]]))
case("edge/std_all_equal", lambda x: x.std(), x=exactly([2.0, 2, 2]))
case("edge/one_element", lambda x: (x.var(1), x.std(1), x.var(1, unbiased=False)), x=exactly([[2.0], [3.0]]))
case("edge/clamp", lambda x: (x.clamp(-0.5, 0.5), x.clamp(max=0.5), x.clamp(5, 2)), x=exactly([-1.0, -0.5, 0, 0.5, 1]))
case("edge/clamp_crossed", lambda x: x.clamp(5, 2), fixed={"x": exactly([1.0, 2, 3, 5, 7, NAN])})
case("edge/abs", lambda x: (x.abs(), torch.sign(x), torch.relu(x)), x=exactly([-1.0, 0, 1]))
case("edge/ties", lambda a, b: (torch.maximum(a, b), torch.minimum(a, b)), a=exactly([1.0, 2, 3]), b=exactly([1.0, 3, 2]))
case("edge/ties_nan", lambda a, b: (torch.maximum(a, b), torch.minimum(a, b)), a=exactly([1.0, NAN]), b=exactly([NAN, 2.0]))
case("edge/extreme_ties", lambda x: (x.amax(1), x.amin(), x.max(), x.max(1)[0]), x=exactly([[1.0, 3, 3], [3, 1, 2]]))
case("edge/median_ties", lambda x: x.median(), x=exactly([2.0, 1, 2, 3, 2]))
case("edge/domain", lambda x: (x.sqrt(), x.log(), x.rsqrt(), x.reciprocal()), x=exactly([0.0, 4.0]))
case("edge/div", lambda a, b: a / b, a=exactly([1e-30, 0.0, 2.0]), b=exactly([1e-30, 4.0, 1e25]))
case("edge/prod", lambda x: x.prod(1), x=exactly([[0.0, 0, 3], [0, 2, 3], [1, 2, 3]]))

apart = lambda *shape: lambda rng: positive(*shape)(rng) + 0.5
for kind, (a, b) in {"same": ((5, 7), (5, 7)), "row": ((5, 7), (7,)), "left": ((7,), (3, 5, 7))}.items():
    case(f"binary/remainder_{kind}", lambda a, b: torch.remainder(a, b), a=lambda rng, a=a: 3 * values(*a)(rng) + 1 / 256, b=apart(*b))
case("binary/remainder_number_right", lambda a: torch.remainder(a, 1.25), a=lambda rng: 3 * values(5, 7)(rng) + 1 / 256)
case("binary/remainder_number_left", lambda a: torch.remainder(torch.tensor(5.5, dtype=torch.float64), a),
     a=lambda rng: -1 / 256 - apart(5, 7)(rng))
case("binary/floored", lambda a, b: (torch.remainder(a, b), torch.floor_divide(a, b)),
     fixed={"a": exactly([7.0, -7, 7, -7, 5.5, 6, -6, 0, 1]), "b": exactly([3.0, 3, -3, -3, -2, 3, 3, 5, 0])})
case("binary/floor_divide", lambda a, b: (torch.floor_divide(a, b), torch.floor_divide(a, 1.25)),
     fixed={"a": values(5, 7), "b": values(7)})

# ---- picking by masks and positions, putting elements elsewhere -----------------------------------------------------

case("pick/nonzero", lambda x: torch.nonzero(x) + 1, fixed={"x": lambda rng: indices(-1, 1, 3, 5, 4)(rng).double()})
case("pick/masked_select", lambda x, m: x.masked_select(m.bool()), x=values(3, 5, 7), fixed={"m": bits(3, 5, 7)})
case("pick/masked_select_broadcast", lambda x, m: x.masked_select(m.bool()), x=values(5, 1), fixed={"m": bits(3, 1, 7)})
case("pick/index_by_mask", lambda x, m: x[m.bool()] * 2, x=values(5, 7), fixed={"m": bits(5, 7)})
case("pick/index_by_mask_of_rows", lambda x, m: x[m.bool()], x=values(9, 2, 3), fixed={"m": bits(9)})
case("pick/index_by_mask_of_two", lambda x, m: x[m.bool()], x=values(4, 5, 3), fixed={"m": bits(4, 5)})
case("pick/index_steps", lambda x: x[0::2, 1:6:3], x=values(5, 7))


def assigned(x, key, value):
    x = x.clone()
    x[key] = value
    return x


case("pick/assign", lambda x, m, r, v, i, rows, w: (
    assigned(x, m.bool(), v[:int(m.sum())]), assigned(x, r.bool(), w), assigned(x, i.long() - 1, rows),
    assigned(x, (slice(0, 5, 2), slice(1, 7, 3)), 7)),
    fixed={"x": values(5, 7), "m": bits(5, 7), "r": bits(5), "v": values(35), "i": exactly([4, 1, 3], torch.int32),
           "rows": values(3, 7), "w": values(7)})
for dim in (0, 1, 2):
    shape = [3, 4, 5]
    unique = lambda rng, dim=dim: torch.from_numpy((np.argsort(rng.rand(3, 4, 5), axis=dim) + 1).astype(np.int32))
    case(f"pick/scatter_{dim + 1}", lambda x, i, source: x.scatter(dim, i.long() - 1, source), x=values(*shape),
         source=values(*shape), fixed={"i": unique})
    case(f"pick/scatter_add_{dim + 1}", lambda x, i, source: x.scatter_add(dim, i.long() - 1, source), x=values(*shape),
         source=values(*shape), fixed={"i": indices(1, shape[dim], *shape)})
case("pick/scatter_number", lambda x, i: x.scatter(1, i.long() - 1, 2.5), x=values(3, 7), fixed={"i": indices(1, 7, 3, 2)})
case("pick/one_hot", lambda i, j: (F.one_hot(i.long() - 1, 7).byte(), F.one_hot(j.long() - 1).byte()),
     fixed={"i": indices(1, 7, 3, 5), "j": exactly([2, 5, 1], torch.int32)})
case("move/flip", lambda x: (x.flip(1), x.flip(0, 2)), x=values(3, 5, 7))
case("move/roll", lambda x: (x.roll(2, 1), x.roll((-3, 9), (0, 2)), x.roll(4)), x=values(3, 5, 7))
case("move/split", lambda x: (*x.split(2, 1), *x.split((1, 4, 2), 2)), x=values(3, 5, 7))
case("move/tile", lambda x: (x.repeat(2, 3), x.repeat(2, 1, 2)), x=values(3, 5))
case("move/repeat_interleave", lambda x: (x.repeat_interleave(3, 1), x.repeat_interleave(2)), x=values(3, 5))
case("move/triangles", lambda x: (x.tril(), x.tril(-1), x.triu(), x.triu(2)), x=values(2, 5, 7))
case("move/outer", lambda a, b: torch.outer(a, b), a=values(5), b=values(7))

# ---- order statistics, distances, sums of products ------------------------------------------------------------------

for dim in (0, 1, 2):
    case(f"order/median_{dim + 1}", lambda x: one_based(x.median(dim)), x=distinct(4, 5, 6))
case("order/median_keep", lambda x: one_based(x.median(1, keepdim=True)), x=distinct(4, 5, 6))
case("order/median_whole", lambda x: x.median(), x=distinct(4, 5, 7))
case("order/median_nan", lambda x: (*one_based(x.median(1)), x.median()),
     fixed={"x": exactly([[1.0, NAN, 3, NAN], [4, 3, 2, 1], [NAN, 1, 2, 3]])})
Q = torch.tensor([0.0, 0.1, 0.5, 0.77, 1.0], dtype=torch.float64)
case("order/quantile", lambda x: (torch.quantile(x, 0.3, 1), torch.quantile(x, Q, 2), torch.quantile(x, 0.85),
                                  torch.quantile(x, Q, 0, keepdim=True)), x=distinct(4, 5, 7))
for how in ("lower", "higher", "nearest", "midpoint"):
    case(f"order/quantile_{how}", lambda x: torch.quantile(x, Q, 1, interpolation=how), x=distinct(3, 6))
case("order/quantile_nan", lambda x: torch.quantile(x, 0.5, 1), fixed={"x": exactly([[1.0, NAN, 3], [3, 2, 1]])})
case("order/unique", lambda x, i: (torch.unique(x), torch.unique(i)),
     fixed={"x": lambda rng: indices(-3, 3, 5, 7)(rng).double() / 2, "i": indices(1, 5, 11)})
case("product/cdist", lambda a, b: (torch.cdist(a, b), torch.cdist(a, b, 1), torch.cdist(a, b, 3)), a=values(2, 4, 3),
     b=values(2, 5, 3))
case("product/cdist_zero", lambda a, b: torch.cdist(a, b), a=exactly([[1.0, 2], [0, 0]]), b=exactly([[1.0, 2], [3, 4]]))
EINSUMS = {"ij,jk->ik": ((3, 5), (5, 7)), "bij,bjk->bik": ((2, 3, 5), (2, 5, 4)), "ij,kj": ((3, 5), (4, 5)),
           "ij->ji": ((3, 5),), "ijk->j": ((3, 5, 2),), "i,j->ij": ((3,), (5,)), "ij,ij->": ((3, 5), (3, 5)),
           "bhqd,bhkd->bhqk": ((2, 3, 4, 5), (2, 3, 6, 5)), "ij,jk,kl->il": ((2, 3), (3, 4), (4, 5)),
           "ijk,k->ij": ((2, 3, 5), (5,)), "ijm,j->i": ((2, 3, 4), (3,)), "bi,bi->b": ((3, 5), (3, 5))}
for equation, shapes in EINSUMS.items():
    case(f"einsum/{equation}", lambda equation=equation, **i: torch.einsum(equation, *i.values()),
         **{"abc"[n]: values(*shape) for n, shape in enumerate(shapes)})

# ---- products -------------------------------------------------------------------------------------------------------

MATMUL = {"square": ((7, 7), (7, 7)), "odd": ((5, 11), (11, 3)), "wide": ((3, 9), (9, 65)),
          "blocks": ((33, 47), (47, 35)), "inner_1": ((5, 1), (1, 7)), "row": ((1, 17), (17, 19)),
          "batched": ((3, 5, 7), (3, 7, 9)), "batch_left": ((3, 5, 7), (7, 9)), "batch_right": ((5, 7), (3, 7, 9)),
          "batch_broadcast": ((2, 1, 5, 7), (3, 7, 4)), "vectors": ((17,), (17,)), "matrix_vector": ((5, 7), (7,)),
          "vector_matrix": ((5,), (5, 7)), "batch_vector": ((3, 5, 7), (7,)), "vector_batch": ((5,), (3, 5, 7))}
for kind, (a, b) in MATMUL.items():
    case(f"matmul/{kind}", lambda a, b: a @ b, a=values(*a), b=values(*b))
case("matmul/transposed", lambda a, b: a.t() @ b.t(), a=values(11, 5), b=values(3, 11))
case("matmul/with_itself", lambda a: a @ a.t(), a=values(5, 7))
case("matmul/mm_bmm", lambda a, b, c, d: (a @ b, c @ d), a=values(3, 5), b=values(5, 7), c=values(2, 3, 5),
     d=values(2, 5, 4))
case("linear/plain", F.linear, input=values(7, 33), weight=values(17, 33), bias=values(17))
case("linear/no_bias", F.linear, input=values(5, 7), weight=values(3, 7))
case("linear/one_output", F.linear, input=values(9, 19), weight=values(1, 19), bias=values(1))
case("linear/three_dims", F.linear, input=values(2, 5, 7), weight=values(3, 7), bias=values(3))
case("linear/vector", F.linear, input=values(7), weight=values(3, 7), bias=values(3))

# ---- convolution ----------------------------------------------------------------------------------------------------


def conv(name, batch, channels, size, outputs, kernel, bias=True, groups=1, function=F.conv2d, weight=None, **options):
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    weight = weight or (outputs, channels // groups, *kernel)
    inputs = {"input": values(batch, channels, *size), "weight": values(*weight)}
    if bias:
        inputs["bias"] = values(outputs)
    case(name, lambda **i: function(**i, groups=groups, **options), **inputs)


conv("conv2d/3x3_pad1", 2, 7, (9, 11), 5, 3, padding=1)
conv("conv2d/3x3_valid", 2, 3, (7, 9), 17, 3)
conv("conv2d/1x1", 2, 33, (5, 7), 17, 1)
conv("conv2d/1x1_one_to_one", 2, 1, (5, 7), 1, 1)
conv("conv2d/1x1_stride2", 2, 17, (7, 9), 11, 1, stride=2)
conv("conv2d/1x1_pad1", 1, 5, (4, 3), 3, 1, padding=1)
conv("conv2d/5x5", 2, 3, (9, 8), 7, 5, padding=2)
conv("conv2d/7x7_stride2_pad3", 2, 3, (15, 17), 9, 7, stride=2, padding=3)
conv("conv2d/7x7_one_channel", 1, 1, (17, 15), 33, 7, stride=2, padding=3)
conv("conv2d/stride2", 2, 5, (9, 11), 7, 3, stride=2, padding=1)
conv("conv2d/stride2_even_size", 2, 5, (8, 10), 7, 3, stride=2, padding=1)
conv("conv2d/stride3_leaves_rest", 1, 3, (11, 12), 5, 2, stride=3)
conv("conv2d/stride_above_kernel", 1, 3, (9, 10), 5, 2, stride=4)
conv("conv2d/dilation2", 2, 7, (11, 9), 5, 3, padding=2, dilation=2)
conv("conv2d/dilation2_stride2", 2, 3, (13, 11), 18, 3, stride=2, padding=3, dilation=2)
conv("conv2d/asymmetric", 2, 3, (9, 13), 5, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 2))
conv("conv2d/kernel_1x7", 1, 5, (5, 13), 7, (1, 7), padding=(0, 3))
conv("conv2d/kernel_7x1", 1, 5, (13, 5), 7, (7, 1), padding=(3, 0))
conv("conv2d/groups2", 2, 6, (7, 9), 10, 3, padding=1, groups=2)
conv("conv2d/groups3_odd", 2, 15, (7, 5), 9, 3, padding=1, groups=3)
conv("conv2d/groups2_above_block", 1, 38, (5, 6), 34, (3, 1), padding=(1, 0), groups=2)
conv("conv2d/groups_16_wide", 1, 32, (5, 6), 32, (1, 3), padding=(0, 1), groups=2)
conv("conv2d/groups_stride2", 2, 12, (7, 9), 8, 3, stride=2, padding=1, groups=4)
conv("conv2d/depthwise", 2, 19, (7, 9), 19, 3, padding=1, groups=19)
conv("conv2d/depthwise_stride2", 2, 17, (7, 8), 17, 5, stride=2, padding=2, groups=17)
conv("conv2d/depthwise_dilation2", 1, 3, (9, 7), 3, 3, padding=2, dilation=2, groups=3)
conv("conv2d/depthwise_times_2", 1, 5, (7, 6), 10, 3, padding=1, groups=5)
conv("conv2d/batch1", 1, 11, (9, 7), 13, 3, padding=1)
conv("conv2d/batch5", 5, 2, (4, 5), 3, 3, padding=1)
conv("conv2d/one_channel", 2, 1, (9, 11), 17, 3, padding=1)
conv("conv2d/one_output", 2, 17, (5, 7), 1, 3, padding=1)
conv("conv2d/three_channels", 1, 3, (11, 13), 32, 3, padding=1)
conv("conv2d/no_bias", 2, 5, (7, 6), 7, 3, bias=False, padding=1)
conv("conv2d/even_2x2", 2, 5, (7, 9), 6, 2)
conv("conv2d/even_4x4_stride2", 2, 3, (9, 8), 17, 4, stride=2, padding=1)
conv("conv2d/smaller_than_kernel", 2, 3, (2, 3), 5, 5, padding=2)
conv("conv2d/one_pixel", 2, 5, (1, 1), 7, 3, padding=1)
conv("conv2d/whole_input", 3, 5, (4, 5), 7, (4, 5))
conv("conv2d/padding_above_kernel", 1, 2, (3, 4), 3, 2, padding=3)
conv("conv2d/wide_row", 1, 4, (2, 71), 5, 3, padding=1)
conv("conv2d/narrow_column", 1, 4, (37, 2), 5, 3, padding=1)
conv("conv2d/two_blocks", 2, 33, (7, 9), 18, 3, padding=1)
conv("conv2d/three_blocks_out", 1, 17, (6, 5), 49, (1, 3), padding=(0, 1))
conv("conv2d/large_map", 1, 5, (33, 35), 18, 3, padding=1)
case("conv2d/relu", lambda input, weight, bias: F.conv2d(input, weight, bias, padding=1).relu(),
     input=values(2, 5, 7, 9), weight=values(18, 5, 3, 3), bias=values(18))
case("conv2d/relu_groups", lambda input, weight, bias: F.conv2d(input, weight, bias, padding=1, groups=5).relu(),
     input=values(2, 5, 7, 6), weight=values(5, 1, 3, 3), bias=values(5))
case("conv2d/relu6", lambda input, weight, bias: F.relu6(F.conv2d(input, weight, bias, padding=1)),
     input=values(1, 5, 9, 7), weight=values(18, 5, 3, 3), bias=values(18))
case("conv2d/relu6_groups", lambda input, weight, bias: F.relu6(F.conv2d(input, weight, bias, padding=1, groups=5)),
     input=values(2, 5, 7, 6), weight=values(5, 1, 3, 3), bias=values(5))
case("conv2d/leaky", lambda input, weight, bias: F.leaky_relu(F.conv2d(input, weight, bias, padding=1), 0.1),
     input=values(1, 5, 9, 7), weight=values(18, 5, 3, 3), bias=values(18))
case("conv2d/relu6_max_pool",
     lambda input, weight, bias: F.max_pool2d(F.relu6(F.conv2d(input, weight, bias, padding=1)), 2),
     input=values(2, 3, 7, 9), weight=values(18, 3, 3, 3), bias=values(18))
case("conv2d/relu_max_pool", lambda input, weight, bias: F.max_pool2d(F.conv2d(input, weight, bias, padding=1).relu(), 2),
     input=values(2, 3, 7, 9), weight=values(18, 3, 3, 3), bias=values(18))
case("conv2d/relu_max_pool_overlapping",
     lambda input, weight: F.max_pool2d(F.conv2d(input, weight, stride=2).relu(), 3, 2, 1),
     input=values(2, 17, 11, 13), weight=values(5, 17, 3, 3))
case("conv2d/same_weight_twice", lambda input, weight: F.conv2d(F.conv2d(input, weight, padding=1), weight, padding=1),
     input=values(1, 5, 6, 7), weight=values(5, 5, 3, 3))


def conv_transpose(name, batch, channels, size, outputs, kernel, groups=1, **options):
    conv(name, batch, channels, size, outputs, kernel, groups=groups, function=F.conv_transpose2d,
         weight=(channels, outputs // groups, *((kernel, kernel) if isinstance(kernel, int) else kernel)), **options)


conv_transpose("conv_transpose2d/stride1", 2, 5, (5, 7), 3, 3)
conv_transpose("conv_transpose2d/stride2", 2, 7, (5, 4), 5, 2, stride=2)
conv_transpose("conv_transpose2d/stride2_output_padding", 2, 5, (4, 5), 18, 3, stride=2, padding=1, output_padding=1)
conv_transpose("conv_transpose2d/asymmetric", 1, 3, (4, 5), 4, (3, 2), stride=(1, 3), padding=(1, 0),
               output_padding=(0, 1))
conv_transpose("conv_transpose2d/groups", 2, 6, (5, 4), 4, 3, stride=2, padding=1, groups=2)
conv_transpose("conv_transpose2d/depthwise", 2, 17, (5, 4), 17, 3, stride=2, padding=1, groups=17)
conv_transpose("conv_transpose2d/dilation", 2, 3, (5, 6), 5, 3, dilation=2, padding=1)
conv_transpose("conv_transpose2d/no_bias", 2, 19, (3, 5), 3, 4, stride=2, padding=1, bias=False)

# ---- pooling and resizing -------------------------------------------------------------------------------------------

case("max_pool2d/2x2", lambda x: F.max_pool2d(x, 2), x=distinct(2, 3, 6, 8))
case("max_pool2d/2x2_odd", lambda x: F.max_pool2d(x, 2), x=distinct(2, 19, 5, 7))
case("max_pool2d/3x3_stride2_pad1", lambda x: F.max_pool2d(x, 3, 2, 1), x=distinct(2, 17, 7, 9))
case("max_pool2d/3x3_stride1", lambda x: F.max_pool2d(x, 3, 1), x=distinct(2, 3, 5, 7))
case("max_pool2d/asymmetric", lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 0)), x=distinct(1, 5, 7, 8))
case("max_pool2d/stride_above_kernel", lambda x: F.max_pool2d(x, 2, 3), x=distinct(1, 3, 8, 10))
case("max_pool2d/negative_with_padding", lambda x: F.max_pool2d(x - 100, 3, 2, 1), x=distinct(1, 2, 5, 5))
case("avg_pool2d/2x2", lambda x: F.avg_pool2d(x, 2), x=values(2, 3, 6, 8))
case("avg_pool2d/2x2_odd", lambda x: F.avg_pool2d(x, 2), x=values(2, 19, 5, 7))
case("avg_pool2d/3x3_stride2_pad1", lambda x: F.avg_pool2d(x, 3, 2, 1), x=values(2, 17, 7, 9))
case("avg_pool2d/without_padding_counted", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
     x=values(2, 5, 7, 9))
case("avg_pool2d/asymmetric", lambda x: F.avg_pool2d(x, (3, 2), (1, 2), (1, 0)), x=values(1, 5, 7, 8))
case("avg_pool2d/stride_above_kernel", lambda x: F.avg_pool2d(x, 2, 3), x=values(1, 3, 8, 10))
case("adaptive_avg_pool2d/one", lambda x: F.adaptive_avg_pool2d(x, 1), x=values(2, 19, 5, 7))
case("adaptive_avg_pool2d/uneven", lambda x: F.adaptive_avg_pool2d(x, (3, 5)), x=values(2, 17, 7, 8))
case("adaptive_avg_pool2d/same_size", lambda x: F.adaptive_avg_pool2d(x, (4, 5)), x=values(1, 3, 4, 5))
case("adaptive_avg_pool2d/larger", lambda x: F.adaptive_avg_pool2d(x, (5, 7)), x=values(1, 3, 3, 4))
case("pooling/global", lambda x: (x.mean([2, 3]), x.amax([2, 3])), x=distinct(2, 19, 5, 7))
case("interpolate/nearest_scale2", lambda x: F.interpolate(x, scale_factor=2), x=values(2, 19, 3, 5))
case("interpolate/nearest_size", lambda x: F.interpolate(x, size=(7, 4)), x=values(2, 3, 5, 6))
case("interpolate/nearest_down", lambda x: F.interpolate(x, size=(2, 3)), x=values(2, 3, 5, 7))
for corners in (False, True):
    bilinear = lambda x, **size: F.interpolate(x, mode="bilinear", align_corners=corners, **size)
    suffix = "_align_corners" if corners else ""
    case(f"interpolate/bilinear_scale2{suffix}", lambda x: bilinear(x, scale_factor=2), x=values(2, 19, 3, 5))
    case(f"interpolate/bilinear_size{suffix}", lambda x: bilinear(x, size=(7, 4)), x=values(2, 3, 5, 6))
    case(f"interpolate/bilinear_to_one{suffix}", lambda x: bilinear(x, size=(1, 1)), x=values(2, 3, 5, 6))
    case(f"interpolate/bilinear_from_one{suffix}", lambda x: bilinear(x, size=(3, 4)), x=values(2, 3, 1, 1))

# ---- padding --------------------------------------------------------------------------------------------------------

for mode in ("reflect", "replicate", "circular"):
    case(f"pad/{mode}", lambda x, mode=mode: (F.pad(x, (3, 1, 0, 2), mode), F.pad(x, (0, 0, 2, 2), mode)),
         x=values(2, 17, 3, 5))
    case(f"pad/{mode}_signals", lambda x, mode=mode: F.pad(x, (2, 3), mode), x=values(2, 3, 4))
case("pad/constant", lambda x: (F.pad(x, (3, 1, 0, 2)), F.pad(x, (1, 2, 3, 4, 5, 6), value=2.5), F.pad(x, (0, 0))),
     x=values(2, 17, 3, 5))
case("pad/negative", lambda x: (F.pad(x, (-1, -2)), F.pad(x, (1, -3, -2, 4), value=-1.5)), x=values(3, 5, 7))
case("pad/beyond_the_size", lambda x: F.pad(x, (5, 6, 4, 3), "replicate"), x=values(1, 2, 2, 3))

# ---- convolution in one dimension -----------------------------------------------------------------------------------

case("conv1d/plain", lambda x, w, b: F.conv1d(x, w, b), x=values(2, 3, 11), w=values(17, 3, 5), b=values(17))
case("conv1d/options", lambda x, w: F.conv1d(x, w, None, 3, 2, 2), x=values(2, 19, 13), w=values(5, 19, 3))
case("conv1d/groups", lambda x, w, b: F.conv1d(x, w, b, 1, 1, 1, 6), x=values(1, 6, 7), w=values(12, 1, 3), b=values(12))
case("pool1d/max", lambda x: F.max_pool1d(x, 3, 2, 1), x=distinct(2, 19, 8))
case("pool1d/avg", lambda x: (F.avg_pool1d(x, 3), F.avg_pool1d(x, 3, 2, 1), F.avg_pool1d(x, 3, 1, 1, False, False)),
     x=values(2, 19, 8))
case("pool1d/adaptive", lambda x: (F.adaptive_avg_pool1d(x, 3), F.adaptive_avg_pool1d(x, 1)), x=values(2, 19, 8))

# ---- normalisation --------------------------------------------------------------------------------------------------


def batch_norm(x, mean, var, weight=None, bias=None, **options):
    mean, var = mean.clone(), var.clone()
    return F.batch_norm(x, mean, var, weight, bias, **options), mean, var


STATS = lambda c: {"mean": values(c), "var": positive(c)}
for channels in (3, 19):
    case(f"batch_norm/training_{channels}", lambda **i: batch_norm(**i, training=True), x=values(3, channels, 3, 4),
         weight=values(channels), bias=values(channels), fixed=STATS(channels))
    case(f"batch_norm/evaluation_{channels}", lambda **i: batch_norm(**i), x=values(3, channels, 3, 4),
         weight=values(channels), bias=values(channels), fixed=STATS(channels))
case("batch_norm/options", lambda **i: batch_norm(**i, training=True, momentum=0.35, eps=0.01), x=values(2, 5, 3, 7),
     weight=values(5), bias=values(5), fixed=STATS(5))
case("batch_norm/plain", lambda **i: batch_norm(**i, training=True), x=values(2, 17, 3, 5), fixed=STATS(17))
case("batch_norm/plain_evaluation", lambda **i: batch_norm(**i), x=values(2, 17, 3, 5), fixed=STATS(17))
case("batch_norm/vectors", lambda **i: batch_norm(**i, training=True), x=values(9, 7), weight=values(7), bias=values(7),
     fixed=STATS(7))
case("batch_norm/no_running", lambda x: F.batch_norm(x, None, None, training=True), x=values(2, 3, 4, 5))
case("batch_norm/far_from_zero", lambda x: F.batch_norm(x + 300, None, None, training=True), x=values(2, 3, 4, 5))
case("group_norm/affine", lambda x, weight, bias: F.group_norm(x, 3, weight, bias), x=values(2, 9, 3, 5),
     weight=values(9), bias=values(9))
case("group_norm/one_group", lambda x, weight, bias: F.group_norm(x, 1, weight, bias), x=values(2, 17, 3, 4),
     weight=values(17), bias=values(17))
case("group_norm/plain", lambda x: F.group_norm(x, 19, eps=0.01), x=values(2, 19, 3, 4))
case("group_norm/three_dims", lambda x, weight, bias: F.group_norm(x, 2, weight, bias), x=values(2, 6, 7),
     weight=values(6), bias=values(6))
for size in (1, 2, 5, 12):
    case(f"local_response_norm/size_{size}", lambda x, size=size: F.local_response_norm(x, size, alpha=0.7, beta=0.75, k=1.0),
         x=values(2, 7, 3, 5))
case("local_response_norm/options", lambda x: (F.local_response_norm(x, 3, alpha=2.0, beta=0.5, k=0.25),
                                               F.local_response_norm(x, 4, k=2.0)), x=values(2, 19, 3, 5))
case("local_response_norm/signals", lambda x: F.local_response_norm(x, 3, alpha=1.0), x=values(3, 5, 11))
case("layer_norm/last", lambda x, weight, bias: F.layer_norm(x, (17,), weight, bias), x=values(3, 5, 17),
     weight=values(17), bias=values(17))
case("layer_norm/two_dims", lambda x, weight, bias: F.layer_norm(x, (5, 7), weight, bias, eps=0.01),
     x=values(3, 5, 7), weight=values(5, 7), bias=values(5, 7))
case("layer_norm/plain", lambda x: F.layer_norm(x, (7,)), x=values(5, 7))
case("batch_norm/signals", lambda **i: batch_norm(**i, training=True), x=values(3, 7, 5), weight=values(7),
     bias=values(7), fixed=STATS(7))
case("batch_norm/signals_evaluation", lambda **i: batch_norm(**i), x=values(3, 7, 5), weight=values(7),
     bias=values(7), fixed=STATS(7))


def instance_norm(x, mean=None, var=None, weight=None, bias=None, **options):
    running = [None if t is None else t.clone() for t in (mean, var)]
    y = F.instance_norm(x, *running, weight, bias, **options)
    return y if mean is None else (y, *running)


case("instance_norm/plain", instance_norm, x=values(2, 19, 3, 5))
case("instance_norm/affine", lambda **i: instance_norm(**i, eps=0.01), x=values(3, 5, 3, 4), weight=values(5),
     bias=values(5))
case("instance_norm/running", lambda **i: instance_norm(**i, momentum=0.3), x=values(3, 5, 3, 4), weight=values(5),
     bias=values(5), fixed=STATS(5))
case("instance_norm/evaluation", lambda **i: instance_norm(**i, use_input_stats=False), x=values(3, 5, 3, 4),
     weight=values(5), bias=values(5), fixed=STATS(5))

# ---- activations ----------------------------------------------------------------------------------------------------

ACTIVATIONS = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
for name, f in ACTIVATIONS.items():
    case(f"activation/{name}", lambda x, f=f: f(x), x=distinct(2, 19, 3, 2))
case("activation/leaky_relu", lambda x: F.leaky_relu(x), x=distinct(5, 7))
case("activation/leaky_relu_slope", lambda x: F.leaky_relu(x, 0.2), x=distinct(2, 19, 3, 2))
for dim in (0, 1, 2, 3):
    case(f"softmax/dim{dim + 1}", lambda x: F.softmax(x, dim), x=values(2, 5, 3, 7))
    case(f"softmax/log_dim{dim + 1}", lambda x: F.log_softmax(x, dim), x=values(2, 5, 3, 7))
case("softmax/long", lambda x: (F.softmax(x, -1), F.log_softmax(x, -1)), x=values(3, 131))
case("softmax/far", lambda x: (F.softmax(x * 60, 1), F.log_softmax(x * 60, 1)), x=values(5, 7))
case("dropout/identity", lambda x: x * 1, x=values(5, 7))
case("dropout/mask_and_scale", lambda x: x * 1, x=values(5, 33))
case("dropout/mask_and_scale_2d", lambda x: x * 1, x=values(3, 19, 2, 3))
case("embedding/vector", lambda w, i: F.embedding(i - 1, w), w=values(9, 17), fixed={"i": indices(1, 9, 13)})
case("embedding/matrix", lambda w, i: F.embedding(i - 1, w), w=values(5, 7), fixed={"i": indices(1, 5, 3, 4)})

# ---- losses ---------------------------------------------------------------------------------------------------------

BCE = F.binary_cross_entropy_with_logits
for reduction in ("mean", "sum", "none"):
    case(f"bce/{reduction}", lambda x, t: BCE(x, t, reduction=reduction), x=values(5, 7), fixed={"t": labels(5, 7)})
case("bce/vector", lambda x, t: BCE(x, t), x=values(19), fixed={"t": labels(19)})
case("bce/soft_targets", lambda x, t: BCE(x, t), x=values(5, 7), fixed={"t": lambda rng: positive(5, 7)(rng) / 2})
case("bce/far", lambda x, t: BCE(x * 60, t), x=values(5, 7), fixed={"t": labels(5, 7)})
case("bce/pos_weight_number", lambda x, t: BCE(x, t, pos_weight=torch.tensor(2.5).double()), x=values(5, 7),
     fixed={"t": labels(5, 7)})
case("bce/pos_weight", lambda x, t, p: BCE(x, t, pos_weight=p), x=values(5, 7),
     fixed={"t": labels(5, 7), "p": positive(7)})


def masked_mean(loss, target):
    return loss[~torch.isnan(target)].mean()


def present(t):
    return torch.where(torch.isnan(t), torch.zeros_like(t), t)


case("bce/missing", lambda x, t: masked_mean(BCE(x, present(t), reduction="none"), t), x=values(5, 7),
     fixed={"t": with_missing(labels(5, 7))})
case("bce/missing_pos_weight_none",
     lambda x, t, p: BCE(x, present(t), pos_weight=p, reduction="none") * (~torch.isnan(t)), x=values(5, 7),
     fixed={"t": with_missing(labels(5, 7)), "p": positive(7)})
case("bce/all_missing", lambda x, t: x.sum() * 0, x=values(3, 2), fixed={"t": exactly([[float("nan")] * 2] * 3)})

CE = lambda x, t, **o: F.cross_entropy(x, t.long() - 1, **o)
for reduction in ("mean", "sum", "none"):
    case(f"cross_entropy/{reduction}", lambda x, t: CE(x, t, reduction=reduction), x=values(7, 5),
         fixed={"t": indices(1, 5, 7)})
case("cross_entropy/images", lambda x, t: CE(x, t), x=values(2, 3, 5, 4), fixed={"t": indices(1, 3, 2, 5, 4)})
case("cross_entropy/far", lambda x, t: CE(x * 60, t), x=values(7, 5), fixed={"t": indices(1, 5, 7)})
case("cross_entropy/weight", lambda x, t, w: CE(x, t, weight=w), x=values(7, 5),
     fixed={"t": indices(1, 5, 7), "w": positive(5)})
case("cross_entropy/weight_none", lambda x, t, w: CE(x, t, weight=w, reduction="none"), x=values(2, 3, 5, 4),
     fixed={"t": indices(1, 3, 2, 5, 4), "w": positive(3)})
case("cross_entropy/smoothing", lambda x, t: CE(x, t, label_smoothing=0.1), x=values(7, 5),
     fixed={"t": indices(1, 5, 7)})
case("cross_entropy/smoothing_weight", lambda x, t, w: CE(x, t, label_smoothing=0.2, weight=w), x=values(7, 5),
     fixed={"t": indices(1, 5, 7), "w": positive(5)})
IGNORED = lambda rng: torch.tensor([1, -100, 5, 2, -100, 3, 4], dtype=torch.int32)
ignoring = lambda x, t, **o: F.cross_entropy(x, torch.where(t == -100, t, t - 1).long(), ignore_index=-100, **o)
case("cross_entropy/ignore_index", ignoring, x=values(7, 5), fixed={"t": IGNORED})
case("cross_entropy/ignore_index_all_options",
     lambda x, t, w: ignoring(x, t, weight=w, label_smoothing=0.2), x=values(7, 5),
     fixed={"t": IGNORED, "w": positive(5)})
case("cross_entropy/missing", lambda x, t: ignoring(x, torch.where(torch.isnan(t), -100 * torch.ones(7).double(), t)),
     x=values(7, 5), fixed={"t": exactly([2.0, float("nan"), 5, 1, 1, float("nan"), 4])})

between = lambda *shape: lambda rng: values(*shape)(rng) + 1 / 128  # never equal to a multiple of 1/64
LOSSES = {"mse": F.mse_loss, "l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss,
          "smooth_l1_beta": lambda x, t, **o: F.smooth_l1_loss(x, t, beta=0.5, **o)}
for name, f in LOSSES.items():
    for reduction in ("mean", "sum", "none"):
        case(f"{name}/{reduction}", lambda x, t, f=f: f(x, t, reduction=reduction), x=values(5, 7),
             fixed={"t": between(5, 7)})
    case(f"{name}/missing", lambda x, t, f=f: masked_mean(f(x, present(t), reduction="none"), t), x=values(5, 7),
         fixed={"t": with_missing(between(5, 7))})


for reduction in ("mean", "sum", "none"):
    case(f"huber/{reduction}", lambda x, t, r=reduction: F.huber_loss(x, t, reduction=r, delta=0.7), x=values(5, 7),
         fixed={"t": between(5, 7)})
case("huber/default", lambda x, t: F.huber_loss(x, t), x=values(2, 3, 5), fixed={"t": between(2, 3, 5)})
case("huber/missing", lambda x, t: masked_mean(F.huber_loss(x, present(t), reduction="none"), t), x=values(5, 7),
     fixed={"t": with_missing(between(5, 7))})

NLL = lambda x, t, **o: F.nll_loss(F.log_softmax(x, 1), t.long() - 1, **o)
for reduction in ("mean", "sum", "none"):
    case(f"nll/{reduction}", lambda x, t, r=reduction: NLL(x, t, reduction=r), x=values(7, 5),
         fixed={"t": indices(1, 5, 7)})
case("nll/not_normalised", lambda x, t: F.nll_loss(x, t.long() - 1), x=values(7, 5), fixed={"t": indices(1, 5, 7)})
case("nll/images_weight", lambda x, t, w: NLL(x, t, weight=w), x=values(2, 3, 5, 4),
     fixed={"t": indices(1, 3, 2, 5, 4), "w": positive(3)})
case("nll/ignore_index", lambda x, t: F.nll_loss(x, torch.where(t == -100, t, t - 1).long(), ignore_index=-100),
     x=values(7, 5), fixed={"t": IGNORED})

chances = lambda rng: torch.from_numpy(rng.randint(0, 65, (5, 7)) / 64.0)  # some of them 0
for reduction in ("mean", "sum", "none", "batchmean"):
    case(f"kl_div/{reduction}", lambda x, t, r=reduction: F.kl_div(F.log_softmax(x, 1), t, reduction=r),
         x=values(5, 7), fixed={"t": chances})
case("kl_div/log_target", lambda x, t: F.kl_div(x, t, reduction="batchmean", log_target=True), x=values(5, 7),
     t=values(5, 7))
case("kl_div/target_gradient", lambda x, t: F.kl_div(x, t, reduction="sum"), x=values(5, 7), t=positive(5, 7))
case("kl_div/missing", lambda x, t: masked_mean(F.kl_div(x, present(t), reduction="none"), t), x=values(5, 7),
     fixed={"t": with_missing(chances)})


def overlap(x, t, of):
    """`of(p, t)` of the labelled pixels of each image and channel, and whether there are any."""
    rows = []
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            known = ~torch.isnan(t[n, c])
            rows.append(of(torch.sigmoid(x[n, c])[known], t[n, c][known]) * float(known.any()))
    return torch.stack(rows).reshape(x.shape[:2])


def dice(p, t, smooth=1):
    return 1 - (2 * (p * t).sum() + smooth) / ((p ** 2).sum() + (t ** 2).sum() + smooth)


def tversky(p, t, alpha=0.3, beta=0.7, smooth=1):
    hit, false_alarm, missed = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    return 1 - (hit + smooth) / (hit + alpha * false_alarm + beta * missed + smooth)


MASKS = {"dice": dice, "tversky": tversky}
for name, of in MASKS.items():
    case(f"{name}/mean", lambda x, t, of=of: overlap(x, t, of).mean(), x=values(2, 3, 5, 7),
         fixed={"t": labels(2, 3, 5, 7)})
    case(f"{name}/sum", lambda x, t, of=of: overlap(x, t, of).sum(), x=values(2, 3, 11), fixed={"t": labels(2, 3, 11)})
    case(f"{name}/missing", lambda x, t, of=of: overlap(x, t, of).mean(), x=values(2, 3, 35),
         fixed={"t": with_missing(labels(2, 3, 35))})
    case(f"{name}/missing_channel", lambda x, t, of=of: overlap(x, t, of).sum() / 2, x=values(1, 3, 4),
         fixed={"t": exactly([[[1.0, 0, 0, 1], [float("nan")] * 4, [0.0, 0, 0, float("nan")]]])})
case("dice/plain_none", lambda x, t: overlap(x, t, lambda p, t: 1 - 2 * (p * t).sum() / (p.sum() + t.sum())),
     x=values(2, 3, 5, 7), fixed={"t": labels(2, 3, 5, 7)})
case("tversky/options_none", lambda x, t: overlap(x, t, lambda p, t: tversky(p, t, 0.8, 0.4, 0.5)),
     x=values(2, 3, 5, 7), fixed={"t": labels(2, 3, 5, 7)})


def focal(x, t, alpha=0.25, gamma=2):
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    loss = -torch.log(p_t) * (1 - p_t) ** gamma
    return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss


case("focal/mean", lambda x, t: focal(x, t).mean(), x=values(5, 7), fixed={"t": labels(5, 7)})
case("focal/sum_options", lambda x, t: focal(x, t, 0.6, 1.5).sum(), x=values(5, 7), fixed={"t": labels(5, 7)})
case("focal/none_unbalanced", lambda x, t: focal(x, t, -1, 1), x=values(5, 7), fixed={"t": labels(5, 7)})
case("focal/gamma_0", lambda x, t: focal(x, t, 0.25, 0).mean(), x=values(5, 7), fixed={"t": labels(5, 7)})
case("focal/missing", lambda x, t: masked_mean(focal(x, present(t)), t), x=values(5, 7),
     fixed={"t": with_missing(labels(5, 7))})

# ---- networks: what one operation hands to the next -----------------------------------------------------------------


def small_network(x, w1, b1, w2, b2, w3, b3):
    y = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=1)), 2)
    y = F.relu(F.conv2d(y, w2, b2, padding=1))
    return F.linear(F.adaptive_avg_pool2d(y, 1).flatten(1), w3, b3)


case("chain/conv_relu_pool_conv_linear", small_network, x=values(2, 1, 13, 15), w1=values(18, 1, 3, 3), b1=values(18),
     w2=values(17, 18, 3, 3), b2=values(17), w3=values(2, 17), b3=values(2))
case("chain/linear_relu", lambda x, w, b: F.relu(F.linear(x, w, b)), x=coarse(5, 7), w=coarse(19, 7),
     b=off_the_grid(coarse(19)))
case("chain/linear_leaky", lambda x, w, b: F.leaky_relu(F.linear(x, w, b), 0.1), x=coarse(5, 7), w=coarse(19, 7),
     b=off_the_grid(coarse(19)))
case("chain/linear_relu6", lambda x, w, b: F.relu6(F.linear(x, w, b)), x=coarse(5, 7), w=coarse(19, 7),
     b=off_the_grid(coarse(19)))
case("chain/residual", lambda x, w1, w2, g, b: F.relu(F.batch_norm(F.conv2d(x, w1, padding=1), None, None, g, b, True)
                                                     + F.conv2d(x, w2)),
     x=values(2, 5, 6, 7), w1=values(18, 5, 3, 3), w2=values(18, 5, 1, 1), g=values(18), b=values(18))
case("chain/dense", lambda x, w1, w2: F.conv2d(torch.cat([x, F.conv2d(x, w1, padding=1)], 1), w2),
     x=values(2, 5, 5, 6), w1=values(12, 5, 3, 3), w2=values(3, 17, 1, 1))
case("chain/separable", lambda x, w1, w2: F.conv2d(F.relu(F.conv2d(x, w1, padding=1, groups=19)), w2),
     x=values(2, 19, 5, 6), w1=values(19, 1, 3, 3), w2=values(5, 19, 1, 1))
case("chain/squeeze_and_excite",
     lambda x, w, v: (lambda y: y * torch.sigmoid(F.conv2d(y.mean([2, 3], True), v)))(F.conv2d(x, w, padding=1)),
     x=values(2, 3, 5, 6), w=values(19, 3, 3, 3), v=values(19, 19, 1, 1))
case("chain/encoder_decoder", lambda x, w1, w2, w3: F.conv2d(torch.cat([
    F.interpolate(F.relu(F.conv2d(F.avg_pool2d(x, 2), w1, padding=1)), scale_factor=2, mode="bilinear"),
    F.conv_transpose2d(F.avg_pool2d(x, 2), w2, stride=2)], 1), w3),
    x=values(1, 3, 6, 8), w1=values(17, 3, 3, 3), w2=values(3, 7, 2, 2), w3=values(2, 24, 1, 1))
case("chain/views_of_images", lambda x, w: (lambda y: (y[:, 2:9] * y[:, 9:16], y.permute(0, 2, 3, 1), y[:, :, 1:4, 2],
                                                       y.transpose(2, 3).reshape(2, -1)))(F.conv2d(x, w)),
     x=values(2, 3, 5, 4), w=values(18, 3, 1, 1))

# ---- layers ---------------------------------------------------------------------------------------------------------

case("layer/Conv2d", lambda x, weight, bias: F.conv2d(x, weight, bias, (2, 1), (1, 2), (1, 2), 3),
     x=values(2, 6, 7, 9), weight=values(9, 2, 3, 3), bias=values(9))
case("layer/Conv2d_same", lambda x, weight: F.conv2d(x, weight, None, padding=(2, 4), dilation=2),
     x=values(1, 3, 6, 7), weight=values(4, 3, 3, 5))
case("layer/ConvTranspose2d", lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1, 1, 2),
     x=values(2, 4, 5, 3), weight=values(4, 3, 3, 3), bias=values(6))
case("layer/Linear", F.linear, input=values(5, 7), weight=values(3, 7), bias=values(3))
case("layer/Embedding", lambda weight, i: F.embedding(i - 1, weight), weight=values(5, 7),
     fixed={"i": indices(1, 5, 3, 4)})


def batch_norm_layer(x, weight, bias):
    layer = torch.nn.BatchNorm2d(5, momentum=0.2).double()
    mean = [layer.running_mean, layer.running_var]
    y = F.batch_norm(x, *mean, weight, bias, training=True, momentum=0.2)
    y = F.batch_norm(y * 2 + 1, *mean, weight, bias, training=True, momentum=0.2)
    return F.batch_norm(y, *mean, weight, bias), *mean


case("layer/BatchNorm2d", batch_norm_layer, x=values(3, 5, 4, 3), weight=values(5), bias=values(5))


def norm_layer(kind, x, weight=None, bias=None, **options):
    layer = kind(x.shape[1], **options).double()
    running = [] if layer.running_mean is None else [layer.running_mean, layer.running_var]
    for parameter, value in ((layer.weight, weight), (layer.bias, bias)):
        if parameter is not None:
            parameter.data = value.detach()
    layer(x.detach())
    layer.eval()
    return (layer(x), *[r.clone() for r in running])


case("layer/BatchNorm1d", lambda x, weight, bias: norm_layer(torch.nn.BatchNorm1d, x, weight, bias), x=values(5, 7),
     fixed={"weight": values(7), "bias": values(7)})
case("layer/BatchNorm1d_signals", lambda x: norm_layer(torch.nn.BatchNorm1d, x, affine=False, momentum=0.3),
     x=values(3, 7, 5))
case("layer/InstanceNorm2d", lambda x, weight, bias: norm_layer(
    torch.nn.InstanceNorm2d, x, weight, bias, affine=True, track_running_stats=True), x=values(2, 5, 3, 4),
    fixed={"weight": values(5), "bias": values(5)})
case("layer/InstanceNorm2d_plain", lambda x: norm_layer(torch.nn.InstanceNorm2d, x), x=values(2, 5, 3, 4))
case("layer/Conv1d", lambda x, weight, bias: F.conv1d(x, weight, bias, 2, 3, 2, 3), x=values(2, 6, 13),
     weight=values(9, 2, 3), bias=values(9))
case("layer/Conv1d_same", lambda x, weight: F.conv1d(x, weight, None, padding="same"), x=values(1, 3, 7),
     weight=values(4, 3, 5))
case("layer/pooling_1d", lambda x: (F.max_pool1d(x, 3, 2, 1), F.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
                                    F.avg_pool1d(x, 2), F.adaptive_avg_pool1d(x, 4)), x=distinct(2, 19, 7))
case("layer/padding", lambda x: (F.pad(x, (2, 1, 0, 3)), F.pad(x, (2, 1, 0, 3), "reflect"),
                                 F.pad(x, (2, 1, 0, 3), "replicate"), F.pad(x, (-1, 2, 1, -2))),
     x=values(2, 3, 5, 7))
case("layer/GroupNorm", lambda x, weight, bias: F.group_norm(x, 2, weight, bias, 1e-3), x=values(2, 6, 3, 4),
     weight=values(6), bias=values(6))
case("layer/LayerNorm", lambda x, weight, bias: F.layer_norm(x, (3, 5), weight, bias), x=values(4, 3, 5),
     weight=values(3, 5), bias=values(3, 5))
case("layer/pooling", lambda x: (F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
                                 F.adaptive_avg_pool2d(x, (2, 3)), x.mean([2, 3]), x.amax([2, 3])),
     x=distinct(2, 3, 5, 7))
case("layer/activations", lambda x: (F.relu(x), F.leaky_relu(x, 0.1), F.silu(x), F.gelu(x), torch.sigmoid(x),
                                     torch.tanh(x), F.softmax(x, 1)), x=distinct(2, 3, 5))
case("layer/Upsample", lambda x: (F.interpolate(x, scale_factor=2),
                                  F.interpolate(x, size=(5, 4), mode="bilinear", align_corners=True)),
     x=values(2, 3, 3, 5))
case("layer/Sequential", lambda x, w, b, v: F.linear(F.relu(F.conv2d(x, w, b)).flatten(1), v) * 2, x=values(3, 2, 4, 5),
     w=values(3, 2, 3, 3), b=values(3), v=values(4, 18))
case("layer/losses", lambda x, t, c: (BCE(x, t, reduction="sum"), CE(x, c, label_smoothing=0.1), F.mse_loss(x, t),
                                      F.l1_loss(x, t), F.smooth_l1_loss(x, t, beta=2.0), focal(x, t, gamma=3).mean(),
                                      F.huber_loss(x, t, delta=2.0), F.nll_loss(x, c.long() - 1, reduction="sum"),
                                      F.kl_div(x, t, reduction="batchmean"),
                                      overlap(x[None], t[None], dice).mean(),
                                      overlap(x[None], t[None], lambda p, t: tversky(p, t, 0.5, 0.5)).sum()),
     x=values(7, 5), fixed={"t": labels(7, 5), "c": indices(1, 5, 7)})

# ---- optimisers and schedules ---------------------------------------------------------------------------------------


def optimiser(name, kind, groups=None, **options):
    """Five steps; the gradient of each is given."""
    def run(p, q, grad_p, grad_q):
        p, q = p.clone(), q.clone()
        chosen = [{"params": [p], **(groups or [{}, {}])[0]}, {"params": [q], **(groups or [{}, {}])[1]}]
        rule, results = getattr(torch.optim, kind)(chosen, **options), []
        for step in range(5):
            p.grad, q.grad = grad_p[step].clone(), grad_q[step].clone()
            rule.step()
            results += [p.clone(), q.clone()]
        return results
    case(f"optimiser/{name}", run, fixed={"p": values(19), "q": values(3, 5), "grad_p": values(5, 19),
                                          "grad_q": values(5, 3, 5)})


optimiser("sgd", "SGD", lr=0.1)
optimiser("sgd_momentum", "SGD", lr=0.1, momentum=0.9)
optimiser("sgd_nesterov", "SGD", lr=0.1, momentum=0.9, nesterov=True)
optimiser("sgd_weight_decay", "SGD", lr=0.1, weight_decay=0.2)
optimiser("sgd_everything", "SGD", lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1)
optimiser("sgd_dampening", "SGD", lr=0.1, momentum=0.8, dampening=0.3)
optimiser("sgd_groups", "SGD", [{}, {"lr": 0.01, "weight_decay": 0.3}], lr=0.1, momentum=0.9)
optimiser("adam", "Adam", lr=0.01)
optimiser("adam_options", "Adam", lr=0.01, betas=(0.7, 0.95), eps=1e-3, weight_decay=0.1)
optimiser("adamw", "AdamW", lr=0.01)
optimiser("adamw_options", "AdamW", lr=0.01, betas=(0.7, 0.95), eps=1e-3, weight_decay=0.3)
optimiser("rmsprop", "RMSprop", lr=0.01)
optimiser("rmsprop_options", "RMSprop", lr=0.01, alpha=0.8, eps=1e-3, weight_decay=0.1, momentum=0.9)


def clipped(limit):
    def run(grad_p, grad_q):
        p, q = torch.zeros_like(grad_p), torch.zeros_like(grad_q)
        p.grad, q.grad = grad_p.clone(), grad_q.clone()
        norm = torch.nn.utils.clip_grad_norm_([p, q], limit)
        return norm, p.grad, q.grad
    return run


case("clip/norm", clipped(1.5), fixed={"grad_p": values(19), "grad_q": values(3, 5)})
case("clip/norm_within", clipped(1000), fixed={"grad_p": values(19), "grad_q": values(3, 5)})
case("clip/value", lambda grad_p: grad_p.clamp(-0.5, 0.5), fixed={"grad_p": values(19)})


# ---- layers of sequences ------------------------------------------------------------------------------------------


def small(*shape):
    """Multiples of 1/64 between -1/2 and 1/2: weights with which gates and softmax do not saturate."""
    return lambda rng: torch.from_numpy(rng.randint(-32, 33, shape) / 64.0)


def recurrent(kind, name, inputs, hidden, layers=1, directions=1, bias=True, lengths=None, first=False, states=False):
    """torch.gru or torch.lstm over 5 steps of 3 sequences, of these lengths where they are given."""
    gates = {"gru": 3, "lstm": 4}[kind]
    given = {"x": values(3, 5, inputs) if first else values(5, 3, inputs)}
    if states:
        for state in ("h", "c")[:gates - 2]:
            given[state] = values(layers * directions, 3, hidden)
    weights = []
    for layer in range(layers):
        for direction in range(directions):
            end = f"_l{layer}" + "_reverse" * direction
            size = inputs if layer == 0 else hidden * directions
            given["weight_ih" + end], given["weight_hh" + end] = small(gates * hidden, size), small(gates * hidden, hidden)
            weights += ["weight_ih" + end, "weight_hh" + end]
            if bias:
                given["bias_ih" + end], given["bias_hh" + end] = small(gates * hidden), small(gates * hidden)
                weights += ["bias_ih" + end, "bias_hh" + end]

    def run(x, h=None, c=None, **rest):
        function, flat = getattr(torch, kind), [rest[name] for name in weights]
        zero = torch.zeros(layers * directions, 3, hidden).double()
        start = [zero if s is None else s for s in (h, c)][:gates - 2]
        more = (bias, layers, 0.0, False, directions == 2)
        if lengths is None:
            return function(x, start[0] if kind == "gru" else start, flat, *more, first)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), first, enforce_sorted=False)
        start = [s.index_select(1, packed.sorted_indices) for s in start]
        y, *last = function(packed.data, packed.batch_sizes, start[0] if kind == "gru" else start, flat, *more)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed._replace(data=y), first, total_length=5)
        return [y] + [s.index_select(1, packed.unsorted_indices) for s in last]
    case(f"layer/{name}", run, **given)


recurrent("gru", "GRU", 7, 5)
recurrent("gru", "GRU_deep", 3, 5, 2, 2, first=True, states=True)
recurrent("gru", "GRU_lengths", 4, 3, 1, 2, lengths=[5, 2, 4])
recurrent("gru", "GRU_plain", 3, 17, bias=False, lengths=[1, 3, 2])
recurrent("lstm", "LSTM", 7, 5)
recurrent("lstm", "LSTM_deep", 3, 5, 2, 2, first=True, states=True)
recurrent("lstm", "LSTM_lengths", 4, 3, 1, 2, lengths=[5, 2, 4])
recurrent("lstm", "LSTM_plain", 3, 17, bias=False, lengths=[1, 3, 2])


def attention(query, key, value, in_proj_weight, out_weight, in_proj_bias=None, out_bias=None, padding=None, mask=None,
              heads=1, first=False):
    if first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    y, weights = F.multi_head_attention_forward(
        query, key, value, query.shape[2], heads, in_proj_weight, in_proj_bias, None, None, False, 0.0, out_weight,
        out_bias, False, padding if padding is None or padding.dtype == torch.float64 else padding.bool(), True,
        mask if mask is None or mask.dtype == torch.float64 else mask.bool())
    return y.transpose(0, 1) if first else y, weights


def projections(size):
    return {"in_proj_weight": small(3 * size, size), "in_proj_bias": small(3 * size), "out_weight": small(size, size),
            "out_bias": small(size)}


case("layer/MultiheadAttention", lambda **given: attention(heads=3, **given), query=values(5, 2, 6),
     key=values(7, 2, 6), value=values(7, 2, 6), **projections(6))
case("layer/MultiheadAttention_self", lambda x, **given: attention(x, x, x, heads=2, first=True, **given),
     fixed={"padding": exactly([[0, 0, 0, 0, 1], [0] * 5, [0, 0, 1, 1, 1]], torch.uint8),
            "mask": exactly([[int(j > i) for j in range(5)] for i in range(5)], torch.uint8)},
     x=values(3, 5, 8), **projections(8))
case("layer/MultiheadAttention_added", lambda query, key, **given: attention(query, key, key, heads=2, **given),
     fixed={"padding": values(2, 7), "mask": values(4, 3, 7)}, query=values(3, 2, 4), key=values(7, 2, 4),
     in_proj_weight=small(12, 4), out_weight=small(4, 4))


def encoder(name, size, heads, inner, layers=1, fixed=None, **options):
    """TransformerEncoderLayer, or an encoder of several, without dropout."""
    net = torch.nn.TransformerEncoderLayer(size, heads, inner, 0.0, **options).double()
    if layers > 1:
        net = torch.nn.TransformerEncoder(net, layers, torch.nn.LayerNorm(size).double(), enable_nested_tensor=False)
    given = {key.replace(".", "__"): small(*tensor.shape) for key, tensor in net.state_dict().items()}

    def run(x, padding=None, mask=None, **weights):
        masks = {"src_key_padding_mask": None if padding is None else padding.bool(),
                 "mask" if layers > 1 else "src_mask": None if mask is None else mask.bool()}
        return torch.func.functional_call(net, {key.replace("__", "."): w for key, w in weights.items()}, (x,), masks)
    case(f"layer/{name}", run, fixed=fixed, x=values(3, 4, size), **given)


encoder("TransformerEncoderLayer", 6, 2, 7)
encoder("TransformerEncoderLayer_norm_first", 4, 2, 9, norm_first=True, activation="gelu", batch_first=True,
        fixed={"padding": exactly([[0, 0, 0, 1], [0] * 4, [0, 1, 1, 1]], torch.uint8)})
encoder("TransformerEncoder", 4, 1, 5, 2, batch_first=True, activation="gelu",
        fixed={"mask": exactly([[int(j > i) for j in range(4)] for i in range(4)], torch.uint8)})


def schedule(name, make, steps, metrics=None, lr=0.5):
    def run(**_):
        rule = torch.optim.SGD([torch.zeros(1)], lr=lr)
        plan, rates = make(rule), []
        for step in range(steps):
            rates.append(rule.param_groups[0]["lr"])
            rule.step()
            if step + 1 < steps:
                plan.step(*([metrics[step]] if metrics else []))
        return torch.tensor(rates).double()
    given = {"metrics": exactly(metrics)} if metrics else {"steps": exactly([steps], torch.int32)}
    case(f"schedule/{name}", run, fixed=given)


S = torch.optim.lr_scheduler


def cosine(warmup, total, low):
    """The formula: a linear rise to the base rate in `warmup` steps, then half a cosine to `low` at `total`."""
    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        part = min(1.0, (step - warmup) / (total - warmup))
        return (low + (0.5 - low) * (1 + math.cos(math.pi * part)) / 2) / 0.5
    return lambda rule: S.LambdaLR(rule, factor)


METRICS = [1.0, 0.9, 0.95, 0.93, 0.92, 0.91, 0.9, 0.899999, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
schedule("step", lambda rule: S.StepLR(rule, 3, 0.3), 11)
schedule("cosine_warmup", cosine(4, 15, 0.01), 18)
schedule("cosine", cosine(0, 10, 0.0), 11)
schedule("one_cycle", lambda rule: S.OneCycleLR(rule, 0.8, total_steps=20, cycle_momentum=False), 20)
schedule("one_cycle_options", lambda rule: S.OneCycleLR(rule, 0.8, total_steps=17, pct_start=0.4, div_factor=10,
                                                        final_div_factor=50, cycle_momentum=False), 17)
schedule("plateau", lambda rule: S.ReduceLROnPlateau(rule, factor=0.5, patience=2), 19, METRICS)
schedule("plateau_max", lambda rule: S.ReduceLROnPlateau(rule, "max", factor=0.2, patience=1, threshold=0.01,
                                                         cooldown=2, min_lr=0.005), 19, [1 - m for m in METRICS])

# ---- convolution, ReLU and pooling in one ----------------------------------------------------------------------------


def pooled(name, channels, size, outputs, padding, groups=1):
    case(f"conv2d/relu_max_pool_{name}",
         lambda input, weight, bias: F.max_pool2d(F.conv2d(input, weight, bias, padding=padding, groups=groups).relu(), 2),
         input=values(2, channels, *size), weight=values(outputs, channels // groups, 3, 3), bias=values(outputs))


pooled("plain", 1, (9, 13), 5, 1)
pooled("plain_even", 1, (8, 6), 33, 1)
pooled("plain_3_channels", 3, (11, 10), 20, 0)
pooled("many_channels", 20, (13, 11), 33, 1)
pooled("many_channels_even", 17, (8, 12), 16, 1)
pooled("many_channels_no_padding", 16, (7, 15), 19, 0)
pooled("many_channels_padding2", 18, (6, 9), 17, 2)
pooled("groups", 8, (7, 9), 12, 1, 4)

if __name__ == "__main__":
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.safetensors"))
