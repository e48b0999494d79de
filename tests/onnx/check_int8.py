#!/usr/bin/env python3
"""Trains small models on the digits that ship, writes them in integers of 8 bits, and compares with ONNX Runtime.

    python3 tests/onnx/check_int8.py build/nacre [MODEL...]   # needs numpy, onnx, onnxruntime

Every file has to pass ONNX's checker. ONNX Runtime has to give the labels that nacre gives for 99.5 % of the digits, and
scores that differ by at most 5 % of the largest: where sums lie beside a half, one of the two rounds up. Printed are
also how many labels are those of the floats, and how many products ONNX Runtime computes as integers.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

DIGITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "digits")


def pictures():
    """All digits as the models take them: 32x32, one channel."""
    table = np.loadtxt(os.path.join(DIGITS, "digits.csv"), delimiter=",", skiprows=1, dtype=np.float32)
    small = table[:, :64].reshape(-1, 1, 8, 8) / 16
    return ((small.repeat(4, 2).repeat(4, 3) - 0.3) / 0.35).astype(np.float32)


def run(program, *arguments):
    done = subprocess.run([program, "-q", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"nacre {' '.join(arguments)}: {done.stdout}{done.stderr}")


def nacre_scores(program, model, folder):
    run(program, "run", model, "--input", f"input={folder}/x.npy", "--output", folder)
    return np.load(folder + "/output.npy")


def products_of_integers(path, optimised):
    """How many of the file's convolutions and products ONNX Runtime turns into such of integers."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = optimised
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = [n.op_type for n in onnx.load(optimised).graph.node]
    return session, sum(k in ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat") for k in kinds)


def check(program, name, x, folder):
    model, path = folder + "/run/model.safetensors", folder + "/int8.onnx"
    run(program, "train", name, "--data", DIGITS, "--epochs", "4", "--out", folder + "/run", "--transform",
        "to_channels(1)|resize(32)|normalize(mean=0.3,std=0.35)")
    run(program, "convert", model, path, "--int8", "--data", DIGITS)
    onnx.checker.check_model(path, full_check=True)
    net = onnx.load(path).graph
    products = sum(n.op_type in ("Conv", "Gemm", "MatMul") for n in net.node)
    np.save(folder + "/x.npy", x)
    floats, ours = nacre_scores(program, model, folder), nacre_scores(program, path, folder)
    session, integers = products_of_integers(path, folder + "/optimised.onnx")
    theirs = session.run(None, {"input": x})[0]
    difference = np.abs(ours - theirs).max()
    same = ours.argmax(1) == theirs.argmax(1)
    print(f"{name}: {same.sum()} of {len(x)} labels are ONNX Runtime's, scores differ by {difference:.2g} "
          f"(the largest is {np.abs(theirs).max():.3g}); {(ours.argmax(1) == floats.argmax(1)).sum()} are those of "
          f"the floats; ONNX Runtime has {integers} of {products} products in integers", flush=True)
    return same.mean() > 0.995 and difference < 0.05 * np.abs(theirs).max()


def main():
    x, fits = pictures(), True
    for name in sys.argv[2:] or ["lenet5", "resnet20", "mlp"]:
        with tempfile.TemporaryDirectory() as folder:
            fits = check(os.path.abspath(sys.argv[1]), name, x, folder) and fits
    return int(not fits)


if __name__ == "__main__":
    sys.exit(main())
