"""OpenVINO's side of the timings of detectors, in float32: the same form as torch_bench.py.

Usage: openvino_bench.py THREADS yolov2_tiny
"""
import json
import statistics
import sys
import time

import openvino
import torch

import darknet_net

threads, what = int(sys.argv[1]), sys.argv[2]
net, image, wanted = darknet_net.read(what)
with torch.no_grad():
    model = openvino.convert_model(net.eval(), example_input=image, input=[list(image.shape)])
compiled = openvino.Core().compile_model(model, "CPU", {
    "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
request, x = compiled.create_infer_request(), image.numpy()
darknet_net.check(request.infer([x])[0], wanted)
seconds, processor = [], []
for turn in range(13):
    start, cpu = time.perf_counter(), time.process_time()
    request.infer([x], share_inputs=True)
    if turn >= 4:
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu)
print(json.dumps({"inference, batch 1": {
    "seconds": statistics.median(seconds), "processor": statistics.median(processor), "images": 1}}))
