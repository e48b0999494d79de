#!/usr/bin/env python3
"""Makes cases.bin: ONNX models with inputs and the outputs that others compute for them.

    python3 tests/onnx/goldens/make.py        # needs numpy, onnx, onnxruntime, libonnx-testdata

Two kinds: the cases of ONNX's own test data with other names, other sizes and other numbers (one for
each operator), and small models written here, for what those cases leave out. Expected values are
those of ONNX Runtime where it runs the model, else of onnx.reference. A changed case of which both
have an opinion is kept only if they agree.

The file is a list of messages in protobuf's wire format, field 1 each: 1 name, 2 model, 3 inputs,
4 outputs (TensorProto).
"""
import glob
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
import onnxruntime as ort

DATA = "/usr/share/libonnx-testdata/data/node"
HERE = os.path.dirname(os.path.abspath(__file__))
ort.set_default_logger_severity(4)


def expected(model, inputs, must_agree=False, largest=3000, both=False):
    """Outputs, or None where neither runs the model."""
    results = []
    inputs = {name: np.asarray(a) for name, a in inputs.items()}
    try:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(model.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
        results.append(session.run(None, inputs))
    except Exception as e:  # an operator, type or version that it does not have
        if os.environ.get("SHOW"):
            print("   ort:", str(e)[:200])
    try:
        results.append(ReferenceEvaluator(model).run(None, inputs))
    except Exception as e:
        if os.environ.get("SHOW"):
            print("   ref:", str(e)[:200])
    if len(results) < 1 + both:
        return None
    if model.graph.node[0].op_type in ("DFT", "STFT"):
        results.reverse()  # ONNX Runtime's have errors of 5e-6 where the values are 0
    for outputs in results:
        for o in outputs:
            if not isinstance(o, np.ndarray) or o.dtype == object or o.size > largest:
                return None
    if len(results) == 2 and must_agree:
        for a, b in zip(*results):
            if a.shape != b.shape or a.dtype != b.dtype:
                return None
            if not np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True):
                return None
    return results[0]


# ---- the cases of ONNX, changed

SIZES = {2: 3, 3: 4, 4: 2, 5: 6, 6: 5, 7: 9, 32: 12}


def resized(info, sizes):
    shape = info.type.tensor_type.shape
    for d in shape.dim:
        if d.HasField("dim_value"):
            d.dim_value = sizes.get(d.dim_value, d.dim_value)


def renamed(model):
    names = {}

    def new(name):
        return names.setdefault(name, "v%d_%s" % (len(names), name[::-1])) if name else name

    graph = model.graph
    for v in list(graph.input) + list(graph.output):
        v.name = new(v.name)
    for n in graph.node:
        n.input[:] = [new(i) for i in n.input]
        n.output[:] = [new(o) for o in n.output]
        n.name = "node_of_" + n.op_type
    del graph.value_info[:]


def fresh(array, shape, rng):
    """Numbers of the same kind and range in another shape."""
    if array.dtype == bool:
        return rng.random(shape) < 0.5
    if array.size == 0:
        return np.zeros(shape, array.dtype)
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if finite.size == 0:
        return np.zeros(shape, array.dtype)
    low, high = np.clip([finite.min(), finite.max()], -1e6, 1e6)
    if array.dtype.kind in "iu":
        return rng.integers(int(low), int(high) + 1, shape).astype(array.dtype)
    return rng.uniform(low, high if high > low else low + 1, shape).astype(array.dtype)


def perturbed(folder, rng, sizes):
    model = onnx.load(folder + "/model.onnx")
    graph = model.graph
    if any(a.type == onnx.AttributeProto.GRAPH for n in graph.node for a in n.attribute):
        return None
    arrays = []
    for k in range(len(graph.input)):
        path = "%s/test_data_set_0/input_%d.pb" % (folder, k)
        if not os.path.exists(path) or not graph.input[k].type.HasField("tensor_type"):
            return None
        t = TensorProto()
        t.ParseFromString(open(path, "rb").read())
        a = numpy_helper.to_array(t)
        if a.dtype == object or a.size > 20000:
            return None
        arrays.append(a)
    inputs = {}
    renamed(model)
    for v, a in zip(graph.input, arrays):
        # Whole numbers of rank 0 and 1 are mostly axes, shapes and counts: they stay.
        if a.dtype.kind in "iu" and a.ndim <= 1 and len(arrays) > 1:
            inputs[v.name] = a
            continue
        resized(v, sizes)
        shape = tuple(sizes.get(d, d) for d in a.shape)
        inputs[v.name] = fresh(a, shape, rng)
    for o in graph.output:
        o.type.tensor_type.ClearField("shape")
    outputs = expected(model, inputs, must_agree=True)
    return None if outputs is None else (model, inputs, outputs)


def perturbed_cases():
    rng = np.random.default_rng(20240607)
    by_op = {}
    for folder in sorted(glob.glob(DATA + "/*")):
        if folder.endswith("_expanded"):
            continue
        model = onnx.load(folder + "/model.onnx")
        if len(model.graph.node) == 1:
            by_op.setdefault(model.graph.node[0].op_type, []).append(folder)
    # Random; and one whose inputs' sizes belong together.
    skip = {"Bernoulli", "RandomUniform", "Dropout", "RoiAlign"}
    for op, folders in sorted(by_op.items()):
        if op in skip:
            continue
        done = 0
        for folder in folders[::-1]:
            for sizes in (SIZES, {}):
                case = perturbed(folder, rng, sizes)
                if case:
                    done += 1
                    yield "perturbed " + op + " " + str(done), case
                    break
            if done == (1 if op not in ("Resize", "GridSample", "LSTM", "MaxPool", "Slice") else 3):
                break
        if not done:
            print("no case for", op)


# ---- models written here

def f32(shape, rng, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def one(op, inputs, outputs=1, opset=17, domain="", **attributes):
    """A model of one node; inputs: arrays, or None for those that are left out."""
    names = ["in%d" % k if a is not None else "" for k, a in enumerate(inputs)]
    while names and not names[-1]:
        names.pop()
    outs = ["out%d" % k for k in range(outputs)]
    node = helper.make_node(op, names, outs, name="n", domain=domain, **attributes)
    given = {n: a for n, a in zip(names, inputs) if n}
    return [node], given, outs, opset


def build(nodes, given, outs, opset, initializers=()):
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
         for n, a in given.items()],
        [helper.make_empty_tensor_value_info(o) for o in outs],
        [numpy_helper.from_array(a, n) for n, a in initializers])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports)
    model.ir_version = 8
    return model


def written_cases():
    rng = np.random.default_rng(7)
    cases = {}
    T, B, I, H = 5, 3, 4, 6
    x = f32((T, B, I), rng)
    lengths = np.array([5, 2, 3], np.int32)
    for direction, D in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
            w, r = f32((D, gates * H, I), rng), f32((D, gates * H, H), rng)
            b, h0 = f32((D, 2 * gates * H), rng), f32((D, B, H), rng)
            ins = [x, w, r, b, lengths, h0]
            extra = {}
            if op == "LSTM":
                ins += [f32((D, B, H), rng), f32((D, 3 * H), rng)]
            if op == "GRU":
                extra["linear_before_reset"] = 1 if direction == "forward" else 0
            if direction == "reverse" and op != "GRU":
                extra["clip"] = 0.7
            cases[op + " " + direction] = one(op, ins, 3 if op == "LSTM" else 2, hidden_size=H,
                                              direction=direction, **extra)
        # Those that are one op of nacre's.
        for op, gates, more in (("RNN", 1, {}), ("GRU", 3, {"linear_before_reset": 1}), ("LSTM", 4, {})):
            for short in (True, False):
                ins = [x, f32((D, gates * H, I), rng), f32((D, gates * H, H), rng),
                       f32((D, 2 * gates * H), rng) if short else None, lengths if short else None]
                ins += [f32((D, B, H), rng) for _ in range(2 if op == "LSTM" else 1)]
                cases["plain %s %s %d" % (op, direction, short)] = one(
                    op, ins, 3 if op == "LSTM" else 2, hidden_size=H, direction=direction, **more)
    cases["GRU activations"] = one(
        "GRU", [x, f32((1, 3 * H, I), rng), f32((1, 3 * H, H), rng)], 2, hidden_size=H,
        activations=["HardSigmoid", "ScaledTanh"], activation_alpha=[0.3, 0.8],
        activation_beta=[0.4, 0.6])
    img = f32((2, 3, 7, 9), rng)
    for opset in (11, 13, 19):
        for mode in ("nearest", "linear", "cubic"):
            for ct in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
                sizes = np.array([2, 3, 5 + opset % 3, 14], np.int64)
                extra = {"antialias": 1} if opset == 19 and mode != "nearest" and ct == "half_pixel" else {}
                cases["Resize %d %s %s" % (opset, mode, ct)] = one(
                    "Resize", [img, None, None, sizes], opset=opset, mode=mode,
                    coordinate_transformation_mode=ct, **extra)
    cases["Resize axes not_larger"] = one(
        "Resize", [img, None, None, np.array([5, 5], np.int64)], opset=19, mode="linear",
        axes=[2, 3], keep_aspect_ratio_policy="not_larger")
    cases["Upsample 7"] = one("Upsample", [img], opset=7, mode="linear", scales=[1., 1., 2., 1.5])
    for pads in ([1, 0, 2, 1], [0, 0, 0, 0]):
        cases["Conv %s" % pads[0]] = one(
            "Conv", [img, f32((6, 1, 3, 2), rng), f32((6,), rng)], group=3, pads=pads,
            strides=[2, 1], dilations=[1, 2])
    cases["Conv 3d same"] = one("Conv", [f32((1, 2, 5, 6, 4), rng), f32((3, 2, 2, 3, 3), rng)],
                                auto_pad="SAME_LOWER", strides=[2, 2, 1])
    cases["ConvTranspose groups"] = one(
        "ConvTranspose", [f32((2, 4, 3, 4), rng), f32((4, 3, 3, 3), rng), f32((6,), rng)], group=2,
        strides=[2, 3], output_padding=[1, 2], pads=[1, 0, 0, 1], dilations=[1, 2])
    for op in ("MaxPool", "AveragePool", "LpPool"):
        cases[op + " ceil"] = one(op, [img], opset=19, kernel_shape=[3, 2], strides=[2, 2],
                                  pads=[1, 0, 1, 1], ceil_mode=1)
    cases["MaxPool indices"] = one("MaxPool", [img], 2, kernel_shape=[2, 3], strides=[1, 2],
                                   storage_order=1)
    cases["Gemm"] = one("Gemm", [f32((4, 3), rng), f32((5, 4), rng), f32((5,), rng)], alpha=0.5,
                        beta=2.0, transA=1, transB=1)
    cases["Gemm 6"] = one("Gemm", [f32((3, 4), rng), f32((4, 5), rng), f32((5,), rng)], opset=6,
                          broadcast=1)
    cases["Softmax 11"] = one("Softmax", [img], opset=11, axis=2)
    cases["Softmax 13"] = one("Softmax", [img], opset=13, axis=2)
    cases["Clip 6"] = one("Clip", [img], opset=6, min=-0.3, max=0.5)
    cases["Slice 9"] = one("Slice", [img], opset=9, starts=[1, -3], ends=[100, -1], axes=[2, 3])
    cases["Slice steps"] = one("Slice", [img, np.array([-1, 6]), np.array([-100, 0]),
                                         np.array([3, 2]), np.array([-2, -3])], opset=13)
    cases["Squeeze 11"] = one("Squeeze", [f32((1, 3, 1, 2), rng)], opset=11, axes=[0, -2])
    cases["Split 18"] = one("Split", [f32((7, 2), rng)], 3, opset=18, num_outputs=3)
    cases["Pad 18 axes"] = one("Pad", [img, np.array([1, 2, 0, 3]), np.float32(0.5),
                                       np.array([-1, 1])], opset=18)
    cases["Pad wrap"] = one("Pad", [img, np.array([0, 0, 2, 1, 0, 0, 1, 3])], opset=19, mode="wrap")
    cases["ReduceMax 20 bool"] = one("ReduceMax", [rng.random((3, 4)) < 0.4, np.array([1])], opset=20)
    cases["ReduceMean 18"] = one("ReduceMean", [img, np.array([-1, 1])], opset=18, keepdims=0)
    cases["ReduceL2 18 noop"] = one("ReduceL2", [img], opset=18, noop_with_empty_axes=0)
    for red in ("add", "mul", "max", "min"):
        cases["ScatterElements " + red] = one(
            "ScatterElements", [f32((4, 3), rng), rng.integers(-4, 4, (5, 3)), f32((5, 3), rng)],
            opset=18, axis=0, reduction=red)
        cases["ScatterND " + red] = one(
            "ScatterND", [f32((4, 3, 2), rng), rng.integers(0, 3, (6, 2)), f32((6, 2), rng)],
            opset=18, reduction=red)
    cases["GatherND batch"] = one("GatherND", [f32((3, 4, 5), rng), rng.integers(-4, 4, (3, 2, 1))],
                                  batch_dims=1)
    cases["TopK smallest"] = one("TopK", [img, np.array([3])], 2, largest=0, axis=2)
    cases["CumSum"] = one("CumSum", [img, np.int64(-2)], exclusive=1, reverse=1)
    cases["LayerNormalization"] = one("LayerNormalization", [img, f32((7, 9), rng), f32((7, 9), rng)],
                                      axis=2, epsilon=1e-3)
    cases["GroupNormalization 18"] = one("GroupNormalization",
                                         [f32((2, 6, 4), rng), f32((3,), rng), f32((3,), rng)],
                                         opset=18, num_groups=3)
    cases["GroupNormalization 21"] = one("GroupNormalization",
                                         [f32((2, 6, 4), rng), f32((6,), rng), f32((6,), rng)],
                                         opset=21, num_groups=3)
    cases["LRN"] = one("LRN", [f32((2, 7, 3, 3), rng)], size=5, alpha=0.3, bias=1.5)
    cases["LpNormalization"] = one("LpNormalization", [img], axis=1, p=1)
    cases["Gelu tanh"] = one("Gelu", [img], opset=20, approximate="tanh")
    cases["AffineGrid"] = one("AffineGrid", [f32((2, 2, 3), rng), np.array([2, 1, 4, 5])], opset=20)
    cases["AffineGrid 3d"] = one("AffineGrid", [f32((1, 3, 4), rng), np.array([1, 1, 2, 3, 4])],
                                 opset=20, align_corners=1)
    grid = rng.uniform(-1.3, 1.3, (2, 4, 5, 2)).astype(np.float32)
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            cases["GridSample %s %s" % (mode, padding)] = one(
                "GridSample", [img, grid], opset=20, mode=mode, padding_mode=padding,
                align_corners=1 if padding == "border" else 0)
    cases["GridSample 3d"] = one("GridSample", [f32((1, 2, 3, 4, 5), rng),
                                                rng.uniform(-1, 1, (1, 2, 2, 3, 3)).astype(np.float32)],
                                 opset=20)
    rois = np.array([[0, 0, 5, 4], [1.5, 2, 8, 6.5], [-1, -2, 3, 3]], np.float32)
    for mode in ("avg", "max"):
        for ratio in (0, 2):
            cases["RoiAlign %s %d" % (mode, ratio)] = one(
                "RoiAlign", [img, rois, np.array([0, 1, 1])], opset=16, mode=mode, output_height=2,
                output_width=3, sampling_ratio=ratio, spatial_scale=0.9)
    cases["RoiAlign 10"] = one("RoiAlign", [img, rois, np.array([0, 1, 1])], opset=10,
                               output_height=2, output_width=2, sampling_ratio=2)
    cases["MaxRoiPool"] = one("MaxRoiPool",
                              [img, np.array([[0, 0, 0, 5, 4], [1, 2, 1, 8, 6]], np.float32)],
                              pooled_shape=[2, 3], spatial_scale=0.8)
    for groups in (1, 2):
        cases["DeformConv %d" % groups] = one(
            "DeformConv", [f32((2, 4, 6, 5), rng), f32((6, 4 // groups, 3, 2), rng),
                           f32((2, groups * 12, 6, 2), rng, .7), f32((6,), rng),
                           rng.random((2, groups * 6, 6, 2)).astype(np.float32)],
            opset=19, group=groups, offset_group=groups, pads=[1, 0, 1, 0], strides=[1, 2],
            dilations=[1, 2], kernel_shape=[3, 2])
    boxes = np.sort(rng.uniform(0, 1, (2, 12, 2, 2)), axis=2).astype(np.float32).reshape(2, 12, 4)
    cases["NonMaxSuppression"] = one("NonMaxSuppression",
                                     [boxes, rng.random((2, 3, 12)).astype(np.float32), np.int64(4),
                                      np.float32(0.3), np.float32(0.2)])
    cases["Col2Im"] = one("Col2Im", [f32((1, 12, 12), rng), np.array([4, 5]), np.array([2, 2])],
                          opset=18, strides=[1, 1], pads=[0, 0, 0, 0])
    cases["CenterCropPad"] = one("CenterCropPad", [img, np.array([4, 12])], opset=18, axes=[2, 3])
    # ---- quantised
    u8 = rng.integers(0, 256, (2, 3, 5, 5), dtype=np.uint8)
    i8 = rng.integers(-128, 128, (4, 3, 3, 3), dtype=np.int8)
    cases["QuantizeLinear axis"] = one(
        "QuantizeLinear", [img * 20, np.array([.5, .3, 2], np.float32), np.array([3, -5, 0], np.int8)],
        axis=1)
    cases["DequantizeLinear axis"] = one(
        "DequantizeLinear", [u8, np.array([.5, .3, 2], np.float32), np.array([3, 50, 0], np.uint8)],
        axis=1)
    cases["DequantizeLinear block"] = one(
        "DequantizeLinear", [rng.integers(-128, 128, (4, 6), dtype=np.int8), f32((4, 2), rng)],
        opset=21, axis=1, block_size=3)
    cases["QuantizeLinear block"] = one(
        "QuantizeLinear", [f32((4, 6), rng, 9), np.abs(f32((2, 6), rng)) + .1,
                           rng.integers(0, 9, (2, 6), dtype=np.uint8)], opset=21, axis=0,
        block_size=2)
    cases["QLinearConv"] = one(
        "QLinearConv", [u8, np.float32(.02), np.uint8(120), i8, np.array([.1, .2, .05, .3], np.float32),
                        np.zeros(4, np.int8), np.float32(1.5), np.uint8(100),
                        rng.integers(-500, 500, (4,), dtype=np.int32)], pads=[1, 1, 1, 1])
    cases["ConvInteger"] = one("ConvInteger", [u8, i8.view(np.uint8), np.uint8(7), np.uint8(130)],
                               strides=[2, 1])
    a8, b8 = rng.integers(0, 256, (3, 4), dtype=np.uint8), rng.integers(-99, 99, (4, 5), dtype=np.int8)
    cases["MatMulInteger"] = one("MatMulInteger", [a8, b8, np.uint8(9), rng.integers(-5, 5, (5,), dtype=np.int8)])
    cases["QLinearMatMul"] = one("QLinearMatMul", [a8, np.float32(.1), np.uint8(5), b8, np.float32(.2),
                                                   np.int8(3), np.float32(3), np.uint8(120)])
    cases["DynamicQuantizeLinear"] = one("DynamicQuantizeLinear", [img * 3 + 1], 3)
    # ---- signals
    cases["DFT"] = one("DFT", [f32((2, 9, 1), rng), np.int64(12)], onesided=1)
    cases["DFT inverse"] = one("DFT", [f32((2, 3, 8, 2), rng)], axis=2, inverse=1)
    cases["STFT"] = one("STFT", [f32((2, 40, 1), rng), np.int64(6), f32((12,), rng)], onesided=1)
    # ---- newer operators
    q, k = f32((2, 3, 5, 4), rng), f32((2, 3, 7, 4), rng)
    v, mask = f32((2, 3, 7, 6), rng), rng.random((5, 7)) < .7
    mask[:, 0] = True
    cases["Attention mask"] = one("Attention", [q, k, v, mask], opset=23, softcap=2.0)
    cases["Attention causal"] = one("Attention", [q, k, v], opset=23, is_causal=1)
    cases["Attention groups"] = one("Attention", [f32((2, 5, 24), rng), f32((2, 7, 12), rng),
                                                  f32((2, 7, 12), rng)], opset=23, q_num_heads=6,
                                    kv_num_heads=3)
    cases["Attention past"] = one("Attention", [q, f32((2, 3, 2, 4), rng), f32((2, 3, 2, 4), rng),
                                                f32((5, 6), rng), f32((2, 3, 4, 4), rng),
                                                f32((2, 3, 4, 4), rng)], 3, opset=23)
    table = f32((10, 4), rng)
    pos = rng.integers(0, 10, (2, 5))
    for inter in (0, 1):
        cases["RotaryEmbedding %d" % inter] = one("RotaryEmbedding", [f32((2, 3, 5, 8), rng), table,
                                                                      f32((10, 4), rng), pos],
                                                  opset=23, interleaved=inter)
    cases["RMSNormalization"] = one("RMSNormalization", [img, f32((9,), rng)], opset=23)
    cases["Swish"] = one("Swish", [img], opset=24, alpha=0.7)
    # ---- com.microsoft
    ms = "com.microsoft"
    hid = f32((2, 5, 8), rng)
    cases["ms FusedConv"] = one("FusedConv", [img, f32((4, 3, 3, 3), rng), f32((4,), rng)], domain=ms,
                                activation="LeakyRelu", activation_params=[0.2])
    cases["ms FusedMatMul"] = one("FusedMatMul", [f32((2, 4, 3), rng), f32((2, 5, 4), rng)], domain=ms,
                                  transA=1, transB=1, alpha=0.5)
    cases["ms Gelu"] = one("Gelu", [img], domain=ms)
    cases["ms BiasGelu"] = one("BiasGelu", [hid, f32((8,), rng)], domain=ms)
    cases["ms FastGelu"] = one("FastGelu", [hid, f32((8,), rng)], domain=ms)
    cases["ms QuickGelu"] = one("QuickGelu", [hid], domain=ms, alpha=1.5)
    gamma, beta = f32((8,), rng), f32((8,), rng)
    cases["ms SkipLayerNormalization"] = one("SkipLayerNormalization",
                                             [hid, f32((2, 5, 8), rng), gamma, beta, f32((8,), rng)],
                                             domain=ms, epsilon=1e-5)
    cases["ms SkipSimplified"] = one("SkipSimplifiedLayerNormalization",
                                     [hid, f32((2, 5, 8), rng), gamma], domain=ms, epsilon=1e-5)
    cases["ms Simplified"] = one("SimplifiedLayerNormalization", [hid, gamma], epsilon=1e-5)
    ids, seg = rng.integers(0, 11, (2, 5), dtype=np.int32), rng.integers(0, 2, (2, 5), dtype=np.int32)
    cases["ms EmbedLayerNormalization"] = one(
        "EmbedLayerNormalization", [ids, seg, f32((11, 8), rng), f32((6, 8), rng), f32((2, 8), rng),
                                    gamma, beta, np.ones((2, 5), np.int32)], 2, domain=ms,
        epsilon=1e-5)
    w3, b3 = f32((8, 24), rng), f32((24,), rng)
    for name, m, uni in (("none", None, 0), ("causal", None, 1),
                         ("lengths", np.array([3, 5], np.int32), 0),
                         ("raw", np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32), 0)):
        cases["ms Attention " + name] = one("Attention", [hid, w3, b3, m], domain=ms, num_heads=2,
                                            unidirectional=uni)
    cases["ms MultiHeadAttention"] = one("MultiHeadAttention", [hid, f32((2, 7, 8), rng),
                                                                f32((2, 7, 8), rng), f32((24,), rng)],
                                         domain=ms, num_heads=4)
    for zero in (False, True):
        cases["ms MatMulNBits %d" % zero] = one(
            "MatMulNBits", [f32((3, 40), rng), rng.integers(0, 256, (6, 3, 8), dtype=np.uint8),
                            f32((18,), rng), rng.integers(0, 256, (12,), dtype=np.uint8) if zero else None],
            domain=ms, K=40, N=6, bits=4, block_size=16)
    cases["ms QLinearAdd"] = one("QLinearAdd", [a8, np.float32(.1), np.uint8(5), a8[::-1].copy(),
                                                np.float32(.2), np.uint8(100), np.float32(.3),
                                                np.uint8(9)], domain=ms)
    cases["ms QLinearSigmoid"] = one("QLinearSigmoid", [a8, np.float32(.05), np.uint8(128),
                                                        np.float32(1 / 256), np.uint8(0)], domain=ms)
    q = [u8, np.float32(.02), np.uint8(120), np.float32(.015), np.uint8(99)]
    cases["ms QLinearAveragePool"] = one("QLinearAveragePool", q, domain=ms, kernel_shape=[2, 3],
                                         strides=[2, 1])
    cases["ms QLinearGlobalAveragePool"] = one("QLinearGlobalAveragePool", q, domain=ms)
    cases["ms QLinearConcat"] = one("QLinearConcat", [np.float32(.03), np.uint8(90), u8, np.float32(.02),
                                                      np.uint8(120), u8[:, :2].copy(), np.float32(.04),
                                                      np.uint8(100)], domain=ms, axis=1)
    cases["ms QLinearLeakyRelu"] = one("QLinearLeakyRelu", q, domain=ms, alpha=.2)
    cases["ms QLinearMul"] = one("QLinearMul", [a8, np.float32(.1), np.uint8(5), a8[::-1].copy(),
                                                np.float32(.2), np.uint8(100), np.float32(3),
                                                np.uint8(120)], domain=ms)
    bias = rng.integers(-900, 900, (5,), dtype=np.int32)
    for name, tail in (("", [np.float32(3), np.uint8(120)]), (" float", [None, None])):
        cases["ms QGemm" + name] = one(
            "QGemm", [a8, np.float32(.1), np.uint8(5), b8.T.copy(), np.array([.2, .1, .3, .2, .4], np.float32),
                      np.zeros(5, np.int8), bias] + tail, domain=ms, transB=1)
    cases["ms MatMulIntegerToFloat"] = one(
        "MatMulIntegerToFloat", [a8, b8, np.float32(.1), np.float32(.3), np.uint8(7), np.int8(2),
                                 f32((5,), rng)], domain=ms)
    cases["ms DynamicQuantizeMatMul"] = one(
        "DynamicQuantizeMatMul", [f32((3, 4), rng), b8, np.float32(.2), np.int8(2), f32((5,), rng)],
        domain=ms)
    for name, (nodes, given, outs, opset) in cases.items():
        model = build(nodes, given, outs, opset)
        model.ir_version = 11 if opset > 21 else 10 if opset > 20 else 8
        outputs = expected(model, given)
        if outputs is None:
            print("nobody's values for", name)
            continue
        yield name, (model, given, outputs)
    yield from control_cases(rng)


def control_cases(rng):
    def value(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    F, I, Bo = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    # A loop that stops by its condition, and stacks what it saw; the body uses a value around it.
    body = helper.make_graph(
        [helper.make_node("Mul", ["state", "factor"], ["grown"]),
         helper.make_node("ReduceSum", ["grown"], ["size"], keepdims=0),
         helper.make_node("Less", ["size", "limit"], ["go"]),
         helper.make_node("Identity", ["grown"], ["seen"])],
        "body", [value("k", I, []), value("before", Bo, []), value("state", F, [2])],
        [value("go", Bo, []), value("grown", F, [2]), value("seen", F, [2])])
    loop = helper.make_node("Loop", ["trips", "", "x"], ["last", "all"], body=body)
    given = {"trips": np.array(9), "x": np.array([1, 2], np.float32), "factor": np.float32(2),
             "limit": np.float32(40)}
    yield from finish("Loop that stops", [loop], given, ["last", "all"], 17)
    # A scan that runs backwards over columns.
    step = helper.make_graph(
        [helper.make_node("Add", ["sum", "x"], ["next"]), helper.make_node("Mul", ["next", "x"], ["y"])],
        "step", [value("sum", F, [3]), value("x", F, [3])],
        [value("next", F, [3]), value("y", F, [3])])
    scan = helper.make_node("Scan", ["start", "xs"], ["total", "ys"], body=step, num_scan_inputs=1,
                            scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[1],
                            scan_output_directions=[1])
    yield from finish("Scan backwards", [scan],
                      {"start": np.zeros(3, np.float32), "xs": f32((3, 5), rng)}, ["total", "ys"], 17)
    # Shapes that are computed from shapes.
    nodes = [helper.make_node("Shape", ["x"], ["s"]),
             helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
             helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
             helper.make_node("Concat", ["n1", "rest"], ["to"], axis=0),
             helper.make_node("Reshape", ["x", "to"], ["r"]),
             helper.make_node("Transpose", ["r"], ["y"])]
    yield from finish("Shapes", nodes, {"x": f32((4, 2, 3), rng), "first": np.int64(0),
                                        "axes": np.array([0]), "rest": np.array([-1])}, ["y"], 17)


def finish(name, nodes, given, outs, opset):
    model = build(nodes, given, outs, opset)
    outputs = expected(model, given)
    if outputs is None:
        print("nobody's values for", name)
    else:
        yield name, (model, given, outputs)


# ---- the file

def varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def main():
    out, count = b"", 0
    for source in (perturbed_cases(), written_cases()):
        for name, (model, inputs, outputs) in source:
            case = field(1, name.encode()) + field(2, model.SerializeToString())
            for a in inputs.values():
                case += field(3, numpy_helper.from_array(np.asarray(a)).SerializeToString())
            for a in outputs:
                case += field(4, numpy_helper.from_array(np.asarray(a)).SerializeToString())
            out += field(1, case)
            count += 1
    with open(HERE + "/cases.bin", "wb") as f:
        f.write(out)
    print(count, "cases,", len(out), "bytes")


if __name__ == "__main__":
    sys.exit(main())
