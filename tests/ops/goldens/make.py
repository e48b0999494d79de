#!/usr/bin/env python3
"""Computes the goldens of the op samples with PyTorch, in double precision. From the root:

    NACRE_MILL_DUMP=/tmp/samples.json build/test_ops --gtest_filter='MillGoldens.*'
    python3 tests/ops/goldens/make.py /tmp/samples.json tests/ops/goldens/goldens.json.gz

The first command writes inputs and expressions of all samples (its test fails until the second has
been run). Needs torch; version 2.15 made the file that stands here.
"""
import gzip
import json
import math
import re
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
TYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16,
         "f16": torch.float16, "i8": torch.int8, "u8": torch.uint8, "i32": torch.int32,
         "i64": torch.int64, "bool": torch.bool}


def number(v):
    if isinstance(v, str):
        return float(v.replace("Infinity", "inf"))
    return v


def text(v):
    if math.isnan(v):
        return "NaN"
    if math.isinf(v):
        return "Infinity" if v > 0 else "-Infinity"
    return int(v) if v == int(v) and abs(v) < 2**53 and not (v == 0 and math.copysign(1, v) < 0) else v


def packed(t):
    t = t.detach()
    return {"shape": list(t.shape), "values": [text(v) for v in t.double().flatten().tolist()]}


def evaluate(sample):
    inputs = []
    for i in sample["inputs"]:
        dtype = TYPES[i["dtype"]]
        values = [number(v) for v in i["values"]]
        if not dtype.is_floating_point:
            values = [int(v) for v in values]
        x = torch.tensor(values, dtype=dtype).reshape(i["shape"])
        if dtype.is_floating_point and i["differentiable"] and sample["check_grad"]:
            x.requires_grad_(True)
        inputs.append(x)
    code = re.sub(r"\{(\d+)\}", r"x[\1]", sample["torch"])
    out = eval(code, {"torch": torch, "F": F, "math": math, "x": inputs})  # our own expressions
    out = list(out) if isinstance(out, (tuple, list)) else [out]
    out = [o if isinstance(o, torch.Tensor) else torch.tensor(o) for o in out]
    leaves = [x for x in inputs if x.requires_grad]
    loss = 0
    for o, w in zip(out, sample["weights"]):
        if w is not None and o.requires_grad:
            weights = torch.tensor([number(v) for v in w]).reshape(o.shape)
            loss = loss + (o.double() * weights).sum()
    gradients = []
    if leaves and isinstance(loss, torch.Tensor):
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found)]
    return {"checksum": sample["checksum"], "outputs": [packed(o) for o in out],
            "gradients": [packed(g) for g in gradients]}


def main():
    with open(sys.argv[1]) as f:
        samples = json.load(f)
    goldens, failed = {}, 0
    for key, sample in samples.items():
        try:
            torch.manual_seed(0)
            goldens[key] = evaluate(sample)
        except Exception as e:
            failed += 1
            print(f"{key}: {sample['torch']}: {type(e).__name__}: {e}", file=sys.stderr)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in goldens.items())
    with open(sys.argv[2], "wb") as f:
        f.write(gzip.compress(("{" + lines + "}\n").encode(), 9, mtime=0))
    print(f"{len(goldens)} goldens, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
