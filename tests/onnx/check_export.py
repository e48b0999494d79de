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


def calmed(program, name, folder):
    """A model file whose normalisations are a tenth: values double in each of a hundred blocks otherwise."""
    weights, model = folder + "/w.npz", folder + "/m.safetensors"
    subprocess.run([program, "-q", "convert", folder + "/m.onnx", weights], check=True, capture_output=True)
    arrays = dict(np.load(weights))
    for key, value in arrays.items():
        if value.ndim == 1 and key.endswith("weight"):
            arrays[key] = value / 10
    np.savez(weights, **arrays)
    subprocess.run([program, "-q", "convert", weights, model, "--model", name, "--partial"], check=True,
                   capture_output=True)  # the file also has constants, which are no weights
    return model


def check(program, name, opset, folder, model=None):
    """The largest difference, or the sentence with which nacre refuses to export."""
    model = model or name
    path = folder + "/m.onnx"
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
        if not np.isfinite(want).all():
            assert model == name, "values overflow"
            return check(program, name, opset, folder, calmed(program, name, folder))
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
