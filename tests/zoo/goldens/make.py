#!/usr/bin/env python3
"""Golden outputs of public reference models, for tests/zoo/golden_test.cpp.

Needs torch, torchvision and timm. No weights are downloaded: every parameter and buffer, and the
input, is filled by a formula of its name and index that the test repeats (see `values`). The model
then runs in evaluation mode and in double precision. Writes goldens.tsv beside this file:

    make.py                 all references
    make.py resnet18 ...    these ones; the others' lines stay
    make.py --names NAME    prints the names and shapes of the reference's variables

Columns: name in the zoo, options, input shape, parameters, multiply-accumulates at the shape in the
next column, that shape, FNV-1a hash of the names and shapes of all floating variables (integer
buffers follow from the configuration), output shape, largest absolute output, mean of the outputs
times random signs, and 16 outputs spread evenly.
"""
import pathlib
import sys

import numpy as np
import torch

import references

FILE = pathlib.Path(__file__).with_name("goldens.tsv")
MASK = (1 << 64) - 1


def fnv1a(text, h=0xCBF29CE484222325):
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def uniform(name, count):
    """Multiples of 2^-24 in [0, 1): the finaliser of SplitMix64 on the name's hash plus a counter."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(fnv1a(name))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def values(name, shape):
    """Scales that keep activations near 1: variances and weights of normalisations in 0.5..1.5,
    means and biases within 0.1, matrices and kernels within 2 / sqrt(fan_in)."""
    count = int(np.prod(shape, dtype=np.int64))
    u = uniform(name, count)
    if name.endswith("running_var") or (len(shape) <= 1 and name.endswith("weight")):
        v = 0.5 + u
    elif len(shape) <= 1:
        v = 0.2 * u - 0.1
    else:
        v = (2 * u - 1) * (2 / np.sqrt(count / shape[0]))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def variables(model):
    return {k: v for k, v in model.state_dict().items() if v.is_floating_point()}


def listing(model):
    return "".join(
        f"{k} {'x'.join(map(str, v.shape))}\n" for k, v in sorted(variables(model).items())
    )


def macs(make, shape):
    from torch.utils.flop_counter import FlopCounterMode

    def run(device):
        with torch.device(device), FlopCounterMode(display=False) as counter, torch.no_grad():
            make().eval()(torch.empty([1, *shape]))
        return counter

    try:
        counter = run("meta")
    except NotImplementedError:  # some compute their widths with torch
        counter = run("cpu")
    return counter.get_total_flops() // 2


def text(shape):
    return "x".join(map(str, shape))


def golden(ref):
    model = ref.make().eval()
    hashed = fnv1a(listing(model))
    parameters = sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        for name, v in variables(model).items():
            v.copy_(values(name, list(v.shape)))
        model.double()
        x = values("input", [2, *ref.input]).double() * np.sqrt(np.prod(ref.input)) / 2
        y = model(x.float().double())
    y = y.numpy()
    flat = y.reshape(-1)
    signs = 2.0 * (uniform("signs", flat.size) < 0.5) - 1
    picks = flat[np.arange(16) * (flat.size - 1) // 15]
    cells = [ref.name, ref.options, text(ref.input), parameters, macs(ref.make, ref.full)]
    cells += [text(ref.full), f"{hashed:016x}", text(y.shape)]
    cells += [f"{np.abs(flat).max():.9g}", f"{(flat * signs).mean():.9g}"]
    cells += [f"{p:.9g}" for p in picks]
    return "\t".join(map(str, cells))


def main(arguments):
    if arguments[:1] == ["--names"]:
        print(listing(references.find(arguments[1]).make()), end="")
        return
    wanted = references.all_of(arguments)
    lines = {}
    if FILE.exists():
        for line in FILE.read_text().splitlines():
            lines[tuple(line.split("\t")[:2])] = line
    for ref in wanted:
        line = golden(ref)
        lines[ref.name, ref.options] = line
        print("\t".join(line.split("\t")[:10]), flush=True)
        FILE.write_text("".join(lines[k] + "\n" for k in sorted(lines)))


if __name__ == "__main__":
    main(sys.argv[1:])
