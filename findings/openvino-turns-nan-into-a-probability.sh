#!/bin/sh
# OpenVINO 2025.3.0 on the processor (x86-64) loses NaN: its ReLU and its Clip (ReLU6) give 0 for NaN, its Exp infinity, its
# HardSigmoid 1. A network of convolutions and ReLUs that is given a film of nothing but NaN (a division by the deviation
# of an empty film, a missing value) answers with an ordinary probability, where ONNX Runtime 1.23.2 answers NaN with the
# same file, as the reference evaluator of ONNX does. Sigmoid hands NaN on, so that a look at the last layer alone shows
# nothing. The documentation of the operations gives ReLU as max(0, x) and says nothing of NaN. A check of the answer, which
# is how most programs notice broken input, no longer works after a change of the runtime: check the input.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 onnx==1.19.1 onnxruntime==1.23.2 openvino==2025.3.0

cat >"$folder/expected" <<'END'
Relu of NaN: ONNX Runtime nan, OpenVINO 0.0
Clip of NaN: ONNX Runtime nan, OpenVINO 0.0
Exp of NaN: ONNX Runtime nan, OpenVINO inf
HardSigmoid of NaN: ONNX Runtime nan, OpenVINO 1.0
Sigmoid of NaN: ONNX Runtime nan, OpenVINO nan
network with Relu, film of NaN: ONNX Runtime nan, OpenVINO 0.731
network with Clip, film of NaN: ONNX Runtime nan, OpenVINO 0.731
network with Relu, film of 1: ONNX Runtime 0.881, OpenVINO 0.881
END
"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

LIMITS = {"low": np.float32(0), "high": np.float32(6)}


def answers(nodes, film, values):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, film.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor(name, TensorProto.FLOAT, np.shape(v), np.ravel(v)) for name, v in values.items()])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    first = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": film})[0]
    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    second = core.compile_model(core.read_model(file), "CPU", hints)([film])[0]
    return f"ONNX Runtime {first.ravel()[0]:.3}, OpenVINO {second.ravel()[0]:.3}"


def activation(kind, name, out):
    limits = ["low", "high"] if kind == "Clip" else []
    return helper.make_node(kind, [name, *limits], [out]), LIMITS if limits else {}


row = np.array([[np.nan] * 16], np.float32)
for kind in "Relu", "Clip", "Exp", "HardSigmoid", "Sigmoid":
    node, values = activation(kind, "x", "y")
    print(f"{kind} of NaN: {answers([node], row, values)}")

WEIGHTS = {"kernel": np.full((4, 1, 3, 3), 1 / 36, np.float32), "row": np.ones((4, 1), np.float32),
           "bias": np.ones(1, np.float32)}
for kind, level in ("Relu", np.nan), ("Clip", np.nan), ("Relu", 1.0):
    node, values = activation(kind, "a", "b")
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["a"]), node, helper.make_node("GlobalAveragePool", ["b"], ["c"]),
             helper.make_node("Flatten", ["c"], ["d"]), helper.make_node("Gemm", ["d", "row", "bias"], ["e"]),
             helper.make_node("Sigmoid", ["e"], ["y"])]
    film = np.full((1, 1, 9, 9), level, np.float32)
    name = "NaN" if level != level else "1"
    print(f"network with {kind}, film of {name}: {answers(nodes, film, WEIGHTS | values)}")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
