#!/usr/bin/env python3
"""Makes newer.bin: what ONNX's own test data of 1.12 (make.py) do not have.

    python3 tests/onnx/goldens/newer.py     # needs numpy, onnx 1.23, onnxruntime, libonnx-testdata

Two kinds: the node cases of the onnx package that libonnx-testdata lacks, those of up to LARGEST
bytes (their "expanded" forms, which name no operator of their own, are left out), and models of
com.microsoft with the values of ONNX Runtime. The format is that of cases.bin.
"""
import os
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import make

LARGEST = 8000
warnings.filterwarnings("ignore")


def encoded(value, info):
    if isinstance(value, TensorProto):
        return value.SerializeToString()
    if info.type.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name).SerializeToString()
    if info.type.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name).SerializeToString()
    return numpy_helper.from_array(np.asarray(value), info.name).SerializeToString()


def node_cases():
    known = set(os.listdir(make.DATA))
    for case in collect_testcases(None):
        if case.name in known or case.name.endswith("_expanded") or "ai_onnx_ml" in case.name:
            continue
        inputs, outputs = case.data_sets[0]
        graph = case.model.graph
        yield (case.name, case.model,
               [encoded(v, i) for v, i in zip(inputs, graph.input)],
               [encoded(v, i) for v, i in zip(outputs, graph.output)])


def microsoft_cases():
    rng = np.random.default_rng(3)
    f32 = lambda *shape: make.f32(shape, rng)
    ms = {"domain": "com.microsoft"}
    hidden, weight, bias = f32(2, 5, 8), f32(8, 24), f32(24)
    past = f32(2, 2, 2, 3, 4)
    cases = {
        "FusedMatMul batch of A": ("FusedMatMul", [f32(4, 2, 3), f32(2, 3, 5)], 1,
                                   {"transBatchA": 1}),
        "FusedMatMul batch of B": ("FusedMatMul", [f32(2, 4, 3), f32(3, 2, 5)], 1,
                                   {"transBatchB": 1, "alpha": 0.5}),
        "FusedMatMul batches, A": ("FusedMatMul", [f32(3, 2, 4), f32(3, 2, 5)], 1,
                                   {"transBatchA": 1, "transBatchB": 1, "transA": 1}),
        "FusedMatMul batches, B": ("FusedMatMul", [f32(4, 2, 3), f32(5, 2, 3)], 1,
                                   {"transBatchA": 1, "transBatchB": 1, "transB": 1}),
        "Attention wide values": ("Attention", [hidden, f32(8, 28), f32(28)], 1,
                                  {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 12]}),
        "Attention past": ("Attention", [hidden, weight, bias, None, past], 2, {"num_heads": 2}),
        "Attention no rotation": ("Attention", [hidden, weight, bias], 1,
                                  {"num_heads": 2, "do_rotary": 0}),
        "MultiHeadAttention filter": ("MultiHeadAttention",
                                      [hidden, f32(2, 7, 8), f32(2, 7, 8)], 1,
                                      {"num_heads": 2, "mask_filter_value": -5.0}),
    }
    for name, (op, inputs, outputs, attributes) in cases.items():
        nodes, given, outs, opset = make.one(op, inputs, outputs, **ms, **attributes)
        model = make.build(nodes, given, outs, opset)
        values = make.expected(model, given)
        if values is None:
            print("nobody's values for", name)
            continue
        raw = lambda a: numpy_helper.from_array(np.asarray(a)).SerializeToString()
        yield name, model, [raw(a) for a in given.values()], [raw(a) for a in values]


def main():
    out, count = b"", 0
    for source, largest in ((node_cases(), LARGEST), (microsoft_cases(), 1 << 20)):
        for name, model, inputs, outputs in source:
            case = make.field(1, name.encode()) + make.field(2, model.SerializeToString())
            case += b"".join(make.field(3, a) for a in inputs)
            case += b"".join(make.field(4, a) for a in outputs)
            if len(case) > largest:
                continue
            out += make.field(1, case)
            count += 1
    with open(make.HERE + "/newer.bin", "wb") as f:
        f.write(out)
    print(count, "cases,", len(out), "bytes, onnx", onnx.__version__)


if __name__ == "__main__":
    sys.exit(main())
