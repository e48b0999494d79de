#!/usr/bin/env python3
"""Runs ONNX's own test cases with other names, other sizes and other numbers.

    python3 tests/onnx/check_perturbed.py build/nacre [FOLDER...]   # needs numpy, onnx, onnxruntime, libonnx-testdata

Every case is tried: all names are changed (in subgraphs too), sizes where the model can be computed with others,
numbers always. What should come out is computed by ONNX Runtime and by onnx.reference, which have to agree where both
run the model (with other sizes both have to), and is compared with the tolerances of ONNX's runner. Prints a line for
each case that differs, and counts.
"""
import collections
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/goldens")
import make

DATA = "/usr/share/libonnx-testdata/data"
RANDOM = {"Bernoulli", "RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial"}


class Impossible(Exception):
    pass


def rename(graph, names):
    def new(name):
        return names.setdefault(name, "v%d_%s" % (len(names), name[::-1])) if name else name

    for v in list(graph.input) + list(graph.output) + list(graph.initializer):
        v.name = new(v.name)
    for n in graph.node:
        n.input[:] = [new(i) for i in n.input]
        n.output[:] = [new(o) for o in n.output]
        n.name = new("node of " + n.op_type + " " + str(len(names)))
        for a in n.attribute:
            if a.type == onnx.AttributeProto.GRAPH:
                rename(a.g, names)
    del graph.value_info[:]


def arrays_of(folder, graph):
    held = {i.name for i in graph.initializer}
    inputs = [v for v in graph.input if v.name not in held]
    paths = glob.glob(folder + "/test_data_set_0/input_*.pb")
    paths.sort(key=lambda p: int(p.rsplit("_", 1)[1][:-3]))
    if len(paths) != len(inputs) and len(paths) == len(graph.input):
        inputs = list(graph.input)
    if len(paths) != len(inputs):
        raise Impossible("inputs that the files do not have")
    found = []
    for v, path in zip(inputs, paths):
        if not v.type.HasField("tensor_type"):
            raise Impossible("sequences or optionals as inputs")
        t = TensorProto()
        with open(path, "rb") as f:
            t.ParseFromString(f.read())
        a = numpy_helper.to_array(t)
        if a.dtype == object:
            raise Impossible("texts")
        if v.type.tensor_type.elem_type != onnx.helper.np_dtype_to_tensor_dtype(a.dtype):
            raise Impossible("a type that npy lacks")
        found.append((v, a))
    return found


def perturbed(folder, rng, sizes):
    model = onnx.load(folder + "/model.onnx")
    if any(n.op_type in RANDOM or (n.op_type == "Dropout" and len(n.input) > 2) for n in model.graph.node):
        raise Impossible("random by definition")
    given = arrays_of(folder, model.graph)
    rename(model.graph, {})
    inputs = {}
    for v, a in given:
        # Whole numbers of rank 0 and 1 are mostly axes, shapes and counts: they stay.
        if a.dtype.kind in "iu" and a.ndim <= 1 and len(given) > 1:
            inputs[v.name] = a
            continue
        make.resized(v, sizes)
        inputs[v.name] = make.fresh(a, tuple(sizes.get(d, d) for d in a.shape), rng)
    for o in model.graph.output:
        if o.type.HasField("tensor_type"):
            o.type.tensor_type.ClearField("shape")
    return model, inputs, make.expected(model, inputs, must_agree=True, largest=10**7,
                                      both=bool(sizes))


def difference(program, model, inputs, outputs):
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, folder + "/m.onnx")
        command = [program, "-q", "run", folder + "/m.onnx", "--output", folder]
        for k, (name, a) in enumerate(inputs.items()):
            np.save(folder + "/x%d.npy" % k, a)
            command += ["--input", "%s=%s/x%d.npy" % (name, folder, k)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip()
        for o, want in zip(model.graph.output, outputs):
            path = "%s/%s.npy" % (folder, o.name.replace("/", "_"))
            if not os.path.exists(path):
                return "no output " + o.name
            got = np.load(path)
            if got.shape != want.shape:
                return "shape %s instead of %s" % (got.shape, want.shape)
            if not np.allclose(got.astype(np.float64) if got.dtype.kind == "f" else got, want, rtol=1e-3, atol=1e-6,
                               equal_nan=True):
                return "values"
    return ""


def main():
    program, only = sys.argv[1], sys.argv[2:]
    rng, failed = np.random.default_rng(20240607), 0
    for part in only or ("node", "pytorch-converted", "pytorch-operator", "simple"):
        passed, wrong, resized, reasons = 0, 0, 0, collections.Counter()
        for folder in sorted(glob.glob(DATA + "/" + part + "/*")):
            try:
                case, changed = perturbed(folder, rng, make.SIZES), True
                if case[2] is None:
                    case, changed = perturbed(folder, rng, {}), False
            except Impossible as e:
                reasons[str(e)] += 1
                continue
            if case[2] is None:
                reasons["others do not compute it, or differ"] += 1
                continue
            found = difference(program, *case)
            passed, wrong, resized = passed + (not found), wrong + bool(found), resized + changed
            if found:
                print(part + "/" + os.path.basename(folder), found, flush=True)
        print("%s: %d passed, %d failed (%d of them with other sizes); left out: %s" % (
            part, passed, wrong, resized, dict(reasons)), flush=True)
        failed += wrong
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
