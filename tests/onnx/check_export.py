#!/usr/bin/env python3
"""Exports models of the zoo and compares what nacre computes with what ONNX Runtime does.

    python3 tests/onnx/check_export.py build/nacre [MODEL...] [--opset N]   # needs numpy, onnx, onnxruntime

Every file has to pass ONNX's checker and to leave its batch open, and the largest difference of the outputs, for
batches of 1 and 3, has to be below 1e-5 of the largest one. nacre computes from its own model and from the file. Of
three kinds of weights the first is taken with which the network does not amplify rounding, in ONNX Runtime's eyes.
Without names all models of the zoo are taken, the smallest first.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort


def session_options():
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("NACRE_THREADS", "0"))
    return options


def nacre_output(program, model, folder):
    subprocess.run([program, "-q", "run", model, "--input", "input=" + folder + "/x.npy", "--output", folder],
                   check=True, capture_output=True)
    return np.load(folder + "/output.npy")


def calibrated(path, arrays):
    """The arrays with the statistics that each batch norm sees when the network is given random inputs.

    The last norms of residual branches are made small, as training starts with them (Goyal et al. 2017, section 5.1):
    hundreds of layers would else amplify every rounding.
    """
    net = onnx.load(path)
    makers = {o: n for n in net.graph.node for o in n.output}

    def norm(name):
        n = makers.get(name)
        if n and n.op_type == "Mul":  # by a gate
            return norm(n.input[0]) or norm(n.input[1])
        return n if n and n.op_type == "BatchNormalization" else None

    for n in net.graph.node:
        ends = [norm(i) for i in n.input] if n.op_type == "Add" else []
        if ends.count(None) == 1:  # of two the other one is on the way around the branch
            last = next(e for e in ends if e)
            arrays[last.input[1]] = arrays[last.input[1]] * np.float32(0.25)
    for i in net.graph.initializer:
        if i.name in arrays:
            i.CopyFrom(onnx.numpy_helper.from_array(arrays[i.name], i.name))
    nodes, seen = [], []
    make = onnx.helper.make_node
    for n in net.graph.node:
        if n.op_type == "BatchNormalization":
            of, mean, var = n.input[0], n.input[3], n.input[4]
            rows, centred, square, m, v = (part + " of " + mean for part in ("rows", "centred", "square", "m", "v"))
            nodes += [make("Reshape", [of, "rows"], [rows]),
                      make("ReduceMean", [rows], [m + " kept"], axes=[0, 2]),
                      make("Sub", [rows, m + " kept"], [centred]), make("Mul", [centred, centred], [square]),
                      make("Reshape", [m + " kept", "flat"], [m]),
                      make("ReduceMean", [square], [v], axes=[0, 2], keepdims=0)]
            n.input[3], n.input[4] = m, v
            seen += [(mean, m), (var, v)]
        nodes.append(n)
    if not seen:
        return arrays
    del net.graph.node[:]
    net.graph.node.extend(nodes)
    net.graph.initializer.extend([onnx.numpy_helper.from_array(np.array(s, np.int64), name)
                                  for s, name in (((0, 0, -1), "rows"), ((-1,), "flat"))])
    net.graph.output.extend(onnx.helper.make_tensor_value_info(m, onnx.TensorProto.FLOAT, None) for _, m in seen)
    session = ort.InferenceSession(net.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    shape = [4] + session.get_inputs()[0].shape[1:]
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    return {**arrays, **dict(zip((k for k, _ in seen), session.run([m for _, m in seen], {"input": x})))}


def filled(program, name, folder, kind):
    """A model file with weights: `drawn` at random of sizes that keep values near 1, the same `calibrated`, or `fresh`."""
    if kind == "fresh":
        return name
    whole, weights, model = folder + "/m.onnx", folder + "/w.npz", folder + "/m.safetensors"
    if subprocess.run([program, "-q", "convert", name, whole], capture_output=True).returncode:
        return name  # whose sentence is told below
    subprocess.run([program, "-q", "convert", whole, weights], check=True, capture_output=True)
    rng, arrays = np.random.default_rng(1), dict(np.load(weights))
    for key, value in arrays.items():
        if "." not in key or value.dtype != np.float32:
            continue  # what a fitted model holds, or a constant
        u = rng.random(value.shape, dtype=np.float32)
        if value.ndim > 1:
            arrays[key] = (2 * u - 1) * (2 / np.sqrt(value.size / value.shape[0])).astype(np.float32)
        else:
            arrays[key] = u + np.float32(0.5) if key.endswith(("weight", "_var")) else 0.2 * u - np.float32(0.1)
    np.savez(weights, **(calibrated(whole, arrays) if kind == "calibrated" else arrays))
    done = subprocess.run([program, "-q", "convert", weights, model, "--model", name, "--partial"], capture_output=True)
    return name if done.returncode else model  # partial: the file also has constants, which are no weights


def exported(program, name, opset, folder, kind):
    """The model's file, its session, two batches and their outputs."""
    path, model = folder + "/m.onnx", filled(program, name, folder, kind)
    command = [program, "-q", "convert", model, path] + (["--opset", str(opset)] if opset else [])
    subprocess.run(command, capture_output=True, text=True, check=True)
    session = ort.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"])
    batch, *shape = session.get_inputs()[0].shape
    assert isinstance(batch, str), "the batch is not open"
    batches = [np.random.default_rng(0).standard_normal([n] + shape).astype(np.float32) for n in (1, 3)]
    return path, model, session, batches, [session.run(None, {"input": x})[0] for x in batches]


def largest_difference(got, want):
    return np.abs(got - want).max() / np.abs(want).max() if (got != want).any() else 0


def well_conditioned(session, x, want):
    """Whether rounding says anything: an input that is rounded otherwise must not change the output more than that."""
    if not np.abs(want).max() < 1e6 or (len(x) > 1 and np.ptp(want, 0).max() < 1e-3 * np.abs(want).max()):
        return False  # values that explode, or the same for all inputs
    signs = np.sign(np.random.default_rng(5).standard_normal(x.shape)).astype(np.float32)
    moved = session.run(None, {"input": x * (1 + np.float32(1.2e-7) * signs)})[0]
    return largest_difference(moved, want) < 3e-6


def check(program, name, opset, folder):
    """The largest difference and with which weights, or the sentence with which nacre refuses to export."""
    for kind in ("drawn", "calibrated", "fresh"):
        try:
            path, model, session, batches, wanted = exported(program, name, opset, folder, kind)
        except subprocess.CalledProcessError as e:
            return e.stderr.strip(), kind
        if well_conditioned(session, batches[1], wanted[1]):
            break
    else:
        print(name, "is sensitive with all weights", flush=True)
    onnx.checker.check_model(path, full_check=True)
    if opset:
        assert onnx.load(path, load_external_data=False).opset_import[0].version == opset
    worst = 0
    for x, want in zip(batches, wanted):
        np.save(folder + "/x.npy", x)
        for source in (model, path):
            got = nacre_output(program, source, folder)
            assert got.shape == want.shape
            worst = max(worst, largest_difference(got, want))
    return worst, kind


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--opset", type=int, default=0)
    a = parser.parse_args()
    listing = subprocess.run([a.program, "zoo", "list", "--json"], capture_output=True, check=True)
    listed = sorted(json.loads(listing.stdout), key=lambda m: (m["macs"], m["parameters"]))
    worst = 0
    for name in a.models or [m["name"] for m in listed]:
        with tempfile.TemporaryDirectory() as folder:
            found, kind = check(a.program, name, a.opset, folder)
        print(name, found if isinstance(found, str) else "%.1e" % found, kind, flush=True)
        worst = max(worst, 0 if isinstance(found, str) and "what shape" in found else
                    np.inf if isinstance(found, str) else found)
    print("largest difference: %.1e" % worst)
    return int(worst > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
