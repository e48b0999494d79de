"""Inference of model.onnx by ONNX Runtime, in f32 or in the integers that the file has."""

import os

import numpy
import onnxruntime

import common


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default="model.onnx", help="file of the folder")
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    x = numpy.load(os.path.join(options.values, "input.npy"))
    path = os.path.join(options.values, options.model)
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    common.measure(lambda: session.run(None, {name: x})[0], options)


main()
