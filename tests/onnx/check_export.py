#!/usr/bin/env python3
"""Exports models of the zoo with random weights and compares what nacre computes with what ONNX Runtime does.

    python3 tests/onnx/check_export.py build/nacre [MODEL...] [--opset N]   # needs numpy, onnx, onnxruntime

Every file has to pass ONNX's checker and to leave its batch open, and the largest difference of the outputs, for
batches of 1 and 3, has to be below 1e-5 of the largest one. nacre computes from its own model and from the file.
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


def nacre_output(program, model, folder):
    subprocess.run([program, "-q", "run", model, "--input", "input=" + folder + "/x.npy", "--output", folder],
                   check=True, capture_output=True)
    return np.load(folder + "/output.npy")


def filled(program, name, folder, factor):
    """A model file with random weights of sizes that keep values near 1, those of normalisations times the factor."""
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
        elif key.endswith("running_var"):
            arrays[key] = u + 0.5
        elif key.endswith("weight"):
            arrays[key] = (u + 0.5) * np.float32(factor)
        else:
            arrays[key] = 0.2 * u - 0.1
    np.savez(weights, **arrays)
    done = subprocess.run([program, "-q", "convert", weights, model, "--model", name, "--partial"], capture_output=True)
    return name if done.returncode else model  # partial: the file also has constants, which are no weights


def check(program, name, opset, folder, factor=1):
    """The largest difference, or the sentence with which nacre refuses to export."""
    path, model = folder + "/m.onnx", filled(program, name, folder, factor)
    command = [program, "-q", "convert", model, path] + (["--opset", str(opset)] if opset else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    onnx.checker.check_model(path, full_check=True)
    if opset:
        assert onnx.load(path, load_external_data=False).opset_import[0].version == opset
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("NACRE_THREADS", "0"))
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batch, *shape = session.get_inputs()[0].shape
    assert isinstance(batch, str), "the batch is not open"
    worst = 0
    for n in (1, 3):
        x = np.random.default_rng(0).standard_normal([n] + shape).astype(np.float32)
        np.save(folder + "/x.npy", x)
        want = session.run(None, {"input": x})[0]
        if not np.abs(want).max() < 1e6:  # hundreds of blocks, each of which doubles what it is given
            assert factor == 1, "values overflow"
            return check(program, name, opset, folder, 0.1)
        if n > 1 and np.ptp(want, 0).max() < 1e-3 * np.abs(want).max():
            print(name, "gives the same for all inputs", flush=True)  # so it says little
        for source in (model, path):
            got = nacre_output(program, source, folder)
            assert got.shape == want.shape
            if (got != want).any():
                worst = max(worst, np.abs(got - want).max() / np.abs(want).max())
    return worst


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
            found = check(a.program, name, a.opset, folder)
        print(name, found if isinstance(found, str) else "%.1e" % found, flush=True)
        worst = max(worst, 0 if isinstance(found, str) and "what shape" in found else
                    np.inf if isinstance(found, str) else found)
    print("largest difference: %.1e" % worst)
    return int(worst > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
