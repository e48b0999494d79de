"""Inference of model.onnx by OpenVINO."""

import os

import numpy
import openvino

import common


def main():
    options = common.arguments(__doc__).parse_args()
    x = numpy.load(os.path.join(options.values, "input.npy"))
    core = openvino.Core()
    model = core.read_model(os.path.join(options.values, "model.onnx"))
    model.reshape(list(x.shape))
    request = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "f32" if options.precision == "int8" else options.precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1}).create_infer_request()
    common.measure(lambda: request.infer([x], share_inputs=True)[0], options)


main()
