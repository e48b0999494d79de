#!/usr/bin/env python3
"""Exports models of the zoo and compares what ONNX Runtime and nacre compute from the files.

    python3 tests/onnx/check_export.py build/nacre [MODEL...]     # needs numpy, onnx, onnxruntime

Every file has to pass ONNX's checker, and the largest difference, for batches of 1 and 3, has to be
below 1e-5 of the largest output. Without names all models of the zoo are taken.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort


def main():
    nacre, names = sys.argv[1], sys.argv[2:]
    if not names:
        listing = subprocess.run([nacre, "zoo", "list", "--json"], capture_output=True, check=True)
        names = [m["name"] for m in json.loads(listing.stdout)]
    worst = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/m.onnx"
            done = subprocess.run([nacre, "-q", "convert", name, path], capture_output=True, text=True)
            if done.returncode:
                print("%-22s %s" % (name, done.stderr.strip()))
                worst = worst if "what shape" in done.stderr else np.inf
                continue
            onnx.checker.check_model(path, full_check=True)
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            shape = session.get_inputs()[0].shape[1:]
            for batch in (1, 3):
                x = np.random.default_rng(0).standard_normal([batch] + shape).astype(np.float32)
                np.save(folder + "/x.npy", x)
                subprocess.run([nacre, "-q", "run", path, "--input", "input=" + folder + "/x.npy",
                                "--output", folder], check=True, capture_output=True)
                got = np.load(folder + "/output.npy")
                want = session.run(None, {"input": x})[0]
                difference = np.abs(got - want).max() / np.abs(want).max()
                worst = max(worst, difference)
                print("%-22s batch %d: %.1e   (%d KiB)" % (name, batch, difference,
                                                         os.path.getsize(path) // 1024))
    print("largest difference: %.1e" % worst)
    return int(worst > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
