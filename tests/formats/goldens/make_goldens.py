"""Makes the files of this folder with NumPy, safetensors and TensorBoard (through torch).

Arrays hold value i * 3 - 7 at row-major place i (booleans: i % 3 == 0), so that tests know them.
"""
import glob
import io
import os
import shutil
import struct
import tempfile
import zlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def values(shape, dtype):
    n = int(np.prod(shape))
    a = np.arange(n)
    a = a % 3 == 0 if np.dtype(dtype) == np.bool_ else a * 3 - 7
    return a.reshape(shape).astype(dtype)


# name, dtype, shape, row-major
for name, dtype, shape, c_order in [
    ("f4", "<f4", (2, 3, 4), True),
    ("f8_big", ">f8", (3, 5), True),
    ("f2_fortran", "<f2", (2, 3, 4), False),
    ("i4_big_fortran", ">i4", (4, 3), False),
    ("i2", "<i2", (7,), True),
    ("u2_big", ">u2", (5,), True),
    ("u4", "<u4", (2, 2), True),
    ("u8", "<u8", (3,), True),
    ("i8_scalar", "<i8", (), True),
    ("b1", "?", (3, 3), True),
    ("u1_empty", "u1", (0, 4), True),
]:
    a = values(shape, dtype)
    if np.dtype(dtype).kind == "u" and a.size:
        a = (np.arange(a.size) * 3).reshape(shape).astype(dtype)
    np.save(f"{name}.npy", a if c_order else np.asfortranarray(a))
np.save("objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
np.save("complex.npy", np.zeros(2, np.complex64))
np.save("u8_large.npy", np.array([1, 2**63], np.uint64))
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, values((2, 2), "<f4"), version=(2, 0))
np.savez("stored.npz", w=values((2, 3), "<f4"), b=values((4,), "<i8"))
np.savez_compressed("deflated.npz", w=values((20, 30), "<f4"), b=values((4,), "<i8"))

save_file(
    {
        "layer.weight": torch.from_numpy(values((2, 3), "<f4")),
        "layer.bias": torch.from_numpy(values((3,), "<f4")).to(torch.bfloat16),
        "steps": torch.tensor(-7, dtype=torch.int64),
        "mask": torch.from_numpy(values((5,), "?")),
        "half": torch.from_numpy(values((2, 2), "<f2")),
        "empty": torch.zeros(0, 3),
    },
    "torch.safetensors",
    metadata={"format": "pt", "note": 'a "quoted" é'},
)

every = torch.arange(256, dtype=torch.uint8)
e4m3, e5m2 = every.view(torch.float8_e4m3fn), every.view(torch.float8_e5m2)
rising = torch.arange(3) * 3
save_file(
    {
        "i16": torch.from_numpy(values((2, 3), "<i2")),
        "u16": rising.to(torch.uint16),
        "u32": rising.to(torch.uint32),
        "u64": rising.to(torch.uint64),
        "f8_e4m3": torch.from_numpy(values((5,), "<f4")).to(torch.float8_e4m3fn),
        "all_e4m3": e4m3.clone(),
        "all_e5m2": e5m2.clone(),
        "f32_e4m3": e4m3.float(),
        "f32_e5m2": e5m2.float(),
    },
    "narrow.safetensors",
)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


folder = tempfile.mkdtemp()
w = SummaryWriter(folder)
w.add_scalar("loss/train", 0.5, 0, walltime=1000.25)
w.add_scalar("loss/train", 0.25, 1, walltime=1001.5)
w.add_scalar("loss/train", float("nan"), 2**40, walltime=1002)
w.add_histogram("weights", np.array([-1.0, 0.0, 0.5, 0.5, 2.0]), 1, bins="tensorflow", walltime=1003)
w.add_image("picture", np.zeros((3, 4, 6), np.float32), 2, walltime=1004)
w.add_text("config", "lr: 0.1", 3, walltime=1005)
w.close()
shutil.copy(glob.glob(folder + "/events*")[0], "torch.tfevents")
shutil.rmtree(folder)
