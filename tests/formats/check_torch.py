#!/usr/bin/env python3
"""Reads checkpoints that torch has written, and compares the scores with torch's own.

    python3 tests/formats/check_torch.py build/nacre [MODEL...]     # needs torch, torchvision, numpy

The models are the classifiers of torchvision that the zoo has, all of them without names, with torchvision's random
weights and with random statistics. Each is saved as a .pth, made a model file by `nacre convert --model`, and run on
a random picture; the largest difference has to be below 1e-5 of the largest score.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision


def reference(name):
    arguments = {"googlenet": {"aux_logits": False, "init_weights": True}, "inception_v3": {"init_weights": True}}
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, **arguments.get(name, {})).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.02)  # the heads of vision transformers
    return model


def difference(program, name, shape, folder):
    model, path = reference(name), folder + "/m.pth"
    torch.save(model.state_dict(), path)
    x = torch.randn([1] + shape, generator=torch.Generator().manual_seed(0))
    np.save(folder + "/x.npy", x.numpy())
    with torch.no_grad():
        want = model(x).numpy()
    del model
    for command in (["convert", path, folder + "/m.safetensors", "--model", name],
                    ["run", folder + "/m.safetensors", "--input", f"input={folder}/x.npy", "--output", folder]):
        subprocess.run([program, "-q"] + command, check=True, stdout=subprocess.DEVNULL)
    return np.abs(np.load(folder + "/output.npy") - want).max() / np.abs(want).max()


def main():
    program, names = sys.argv[1], sys.argv[2:]
    torch.set_num_threads(int(os.environ.get("NACRE_THREADS", torch.get_num_threads())))
    listing = json.loads(subprocess.run([program, "zoo", "list", "--json"], capture_output=True, check=True).stdout)
    known = set(torchvision.models.list_models(module=torchvision.models))
    zoo = {m["name"]: m for m in listing if m["name"] in known}
    worst = 0
    for name in names or sorted(zoo, key=lambda n: zoo[n]["macs"]):
        with tempfile.TemporaryDirectory() as folder:
            found = difference(program, name, [int(d) for d in zoo[name]["input"].split("x")], folder)
        print(name, "%.1e" % found, flush=True)
        worst = max(worst, found)
    print("largest difference: %.1e" % worst)
    return int(not worst <= 1e-5)


if __name__ == "__main__":
    sys.exit(main())
