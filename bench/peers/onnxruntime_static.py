"""Writes static.onnx, float.onnx in 8-bit integers as ONNX Runtime's own tools make it: QDQ form, u8
activations, weights of i8 with a scale for each channel, ranges from input.npy. Needs onnx too."""

import os
import sys

import numpy
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process


class Input(quantization.CalibrationDataReader):
    def __init__(self, x):
        self.left = [{"input": x}]

    def get_next(self):
        return self.left.pop() if self.left else None


def main():
    at = {k: os.path.join(sys.argv[1], k) for k in ("float.onnx", "folded.onnx", "static.onnx")}
    quant_pre_process(at["float.onnx"], at["folded.onnx"], skip_symbolic_shape=True)
    quantization.quantize_static(
        at["folded.onnx"], at["static.onnx"],
        Input(numpy.load(os.path.join(sys.argv[1], "input.npy"))),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)


main()
