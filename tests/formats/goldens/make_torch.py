"""Makes the PyTorch checkpoints of this folder with torch. The tar form, which torch reads but no
longer writes, is written here after torch's own reader and checked with it.

Arrays hold value i * 3 - 7 at row-major place i (booleans: i % 3 == 0), so that tests know them.
"""
import collections
import io
import os
import pickle
import struct
import tarfile
import warnings
import zipfile

import torch
from torch import nn

os.chdir(os.path.dirname(os.path.abspath(__file__)))
warnings.simplefilter("ignore")


def values(shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    v = torch.arange(n) % 3 == 0 if dtype == torch.bool else torch.arange(n) * 3 - 7
    return v.reshape(shape).to(dtype)


state = collections.OrderedDict()
state["conv.weight"] = nn.Parameter(values((2, 3, 2)))
state["conv.bias"] = values((3,), torch.float64)
for name, dtype in [("half", torch.float16), ("brain", torch.bfloat16), ("i8", torch.int8), ("i16", torch.int16),
                    ("i32", torch.int32), ("i64", torch.int64), ("mask", torch.bool)]:
    state[name] = values((5,), dtype)
state["u8"] = torch.arange(4, dtype=torch.uint8) * 3
state["scalar"] = torch.tensor(-7)
state["empty"] = torch.zeros(0, 3)
state["transposed"] = values((4, 3)).t().contiguous().t()  # columns lie together
base = torch.arange(-4, 20) * 3 - 7
state["part"] = base.to(torch.float32)[4:10].reshape(2, 3)  # starts inside its storage
state["tied"] = state["part"]
state["expanded"] = torch.tensor([[-7.0], [-4.0]]).expand(2, 3)  # the same element three times
torch.save(state, "state.pth")
torch.save(state, "plain.pth", _use_new_zipfile_serialization=False)
odd = {"u16": values((3,), torch.int32).add(7).to(torch.uint16), "f8": values((5,)).to(torch.float8_e4m3fn),
       "f8b": torch.tensor([1.5, -0.25, 2.0**-16]).to(torch.float8_e5m2)}
torch.save(odd, "new_types.pth")
torch.save({"c": torch.zeros(2, dtype=torch.complex64), "ok": torch.zeros(1)}, "complex.pth")

# A training checkpoint: weights under DataParallel's prefix beside an optimiser's moments.
net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
optimizer = torch.optim.Adam(net.parameters())
net(torch.randn(4, 2, generator=torch.Generator().manual_seed(1))).sum().backward()
optimizer.step()
with torch.no_grad():
    for t in net.state_dict().values():
        t.copy_(values(t.shape, t.dtype))
wrapped = {"module." + k: v for k, v in net.state_dict().items()}
torch.save({"epoch": 3, "best": 0.5, "arch": "tiny", "state_dict": wrapped, "optimizer": optimizer.state_dict(),
            "lr_steps": collections.Counter({30: 1})}, "training.pth")
torch.save({"generator": {"w": values((2,))}, "discriminator": {"w": values((3,))}}, "two.pth")
torch.save(values((2, 2)), "tensor.pth")
torch.jit.script(net[0]).save("script.pt")
torch.save(nn.Linear(1, 1), "module.pth")


class Evil:
    def __reduce__(self):
        return (os.system, ("echo harm",))


torch.save({"w": values((2,)), "x": Evil()}, "evil.pth")

# Written on a machine of the other byte order.
with zipfile.ZipFile("two.pth") as old, zipfile.ZipFile("big.pth", "w") as new:
    for e in old.infolist():
        data = old.read(e)
        if e.filename.endswith("byteorder"):
            data = b"big"
        if "/data/" in e.filename:
            data = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
        new.writestr(e.filename, data)
assert torch.equal(torch.load("big.pth")["generator"]["w"], values((2,)))


# ---- the tar form: files of pickles, each storage followed by its length and bytes
class Outside:
    def __init__(self, key):
        self.key = key


class Pickler(pickle._Pickler):
    def persistent_id(self, obj):
        return str(obj.key) if isinstance(obj, Outside) else None


def pickled(obj):
    f = io.BytesIO()
    Pickler(f, protocol=2).dump(obj)
    return f.getvalue()


storage = values((3, 2)).flatten().tolist()
tensors = [  # key, storage, sizes, strides, offset
    (101, 11, (3, 2), (2, 1), 0),
    (102, 12, (2, 2), (2, 1), 0),
    (103, 11, (2, 3), (1, 2), 0),
]
files = {
    "sys_info": pickled({"protocol_version": 1000, "little_endian": True}),
    "storages": pickled(1) + pickled((11, "cpu", torch.FloatStorage)) + struct.pack("<q6f", 6, *storage)
    + pickled([(12, 11, 2, 4)]),
    "tensors": pickled(len(tensors))
    + b"".join(
        pickled((key, place, torch.FloatTensor)) + struct.pack(f"<ii{len(s)}q{len(s)}qq", len(s), 0, *s, *st, o)
        for key, place, s, st, o in tensors
    ),
    "pickle": pickled(collections.OrderedDict(a=Outside(101), view=Outside(102), turned=Outside(103))),
}
with tarfile.open("tar.pth", "w", format=tarfile.USTAR_FORMAT) as tar:
    for name, data in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
read = torch.load("tar.pth", weights_only=False)
assert torch.equal(read["a"], values((3, 2))) and read["view"].tolist() == [[-1, 2], [5, 8]]
assert read["turned"].tolist() == [[-7, -1, 5], [-4, 2, 8]]

# A whole model: weights, and what torch computes with them.
torch.manual_seed(4)


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


net = Perceptron()
torch.save(net.state_dict(), "mlp.pth")
x = torch.arange(-4, 5, dtype=torch.float32).reshape(3, 3) / 4
torch.save({"x": x, "y": net.layers(x).detach()}, "mlp_run.pth")
