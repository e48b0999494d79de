"""Makes Caffe2 nets, <name>_init_net.pb and <name>_predict_net.pb, written field by field after caffe2.proto (Caffe2 is no longer
packaged), and what torch computes for the same layers: <name>_caffe2.npz. Needs torch.
"""
import os
import struct

import numpy as np
import torch
from torch.nn import functional as F

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(3)


def varint(v):
    v &= 2**64 - 1
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, data):
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def argument(name, v):
    """Argument: name 1, f 2, i 3, s 4, floats 5, ints 6. Lists are not packed, as in proto2."""
    out = field(1, name)
    if isinstance(v, float):
        out += varint(2 << 3 | 5) + struct.pack("<f", v)
    elif isinstance(v, int):
        out += field(3, v)
    elif isinstance(v, str):
        out += field(4, v)
    elif v and isinstance(v[0], float):
        out += b"".join(varint(5 << 3 | 5) + struct.pack("<f", f) for f in v)
    else:
        out += b"".join(field(6, i) for i in v)
    return field(5, out)


class Nets:
    def __init__(self):
        self.ops, self.fills, self.outside = b"", b"", ["data"]

    def op(self, kind, ins, outs, **arguments):
        """OperatorDef: input 1, output 2, name 3, type 4, arg 5."""
        body = b"".join(field(1, i) for i in ins.split()) + b"".join(field(2, o) for o in outs.split())
        self.ops += field(2, body + field(4, kind) + b"".join(argument(*a) for a in arguments.items()))

    def weight(self, name, *shape, positive=False):
        t = torch.rand(shape) + 0.5 if positive else torch.randn(shape) * 0.4
        body = field(2, name) + field(4, "GivenTensorFill") + argument("shape", list(shape))
        self.fills += field(2, body + argument("values", [float(v) for v in t.flatten()]))
        self.outside.append(name)
        return t

    def same(self, name, value, *shape):
        body = field(2, name) + field(4, "ConstantFill") + argument("shape", list(shape)) + argument("value", value)
        self.fills += field(2, body)
        if name != "data":
            self.outside.append(name)
        return torch.full(shape, value)

    def save(self, stem, out):
        """NetDef: name 1, op 2, external_input 7, external_output 8."""
        with open(stem + "_init_net.pb", "wb") as f:
            f.write(field(1, stem + "_init") + self.fills)
        with open(stem + "_predict_net.pb", "wb") as f:
            f.write(field(1, stem) + self.ops + b"".join(field(7, o) for o in self.outside) + field(8, out))


n = Nets()
x = torch.randn(2, 3, 13, 12)
n.same("data", 0.0, 1, 3, 13, 12)
w, b = n.weight("conv1_w", 8, 3, 3, 3), n.weight("conv1_b", 8)
n.op("Conv", "data conv1_w conv1_b", "conv1", kernel=3, stride=2, pad=1, order="NCHW")
y = F.conv2d(x, w, b, 2, 1)
s, o, m, v = n.weight("bn_s", 8), n.same("bn_b", 0.25, 8), n.weight("bn_rm", 8), n.weight("bn_riv", 8, positive=True)
n.op("SpatialBN", "conv1 bn_s bn_b bn_rm bn_riv", "bn", epsilon=1e-3, is_test=1)
y = F.batch_norm(y, m, v, s, o, eps=1e-3)
n.op("Relu", "bn", "bn")
y = F.relu(y)
n.op("MaxPool", "bn", "pool1", kernel=3, stride=2, legacy_pad=3)
y = F.max_pool2d(y, 3, 2, ceil_mode=True)
w = n.weight("conv2_w", 8, 2, 3, 1)
n.op("Conv", "pool1 conv2_w", "conv2", kernel_h=3, kernel_w=1, pad_t=1, pad_b=1, group=4)
z = F.conv2d(y, w, None, 1, (1, 0), groups=4)
n.op("LeakyRelu", "conv2", "conv2", alpha=0.1)
p = n.weight("slope", 8)
n.op("PRelu", "pool1 slope", "prelu")
n.op("Sum", "conv2 prelu", "sum")
y = F.leaky_relu(z, 0.1) + F.prelu(y, p)
n.op("LRN", "sum", "norm scale", size=3, alpha=0.2, beta=0.75, bias=1.0)
y = F.local_response_norm(y, 3, 0.2, 0.75, 1.0)
n.op("ChannelShuffle", "norm", "mixed", group=2, kernel=1)
y = F.channel_shuffle(y, 2)
n.op("Split", "mixed", "left right", axis=1)
n.op("Sigmoid", "right", "right")
n.op("Mul", "left right", "gated")
y = y[:, :4] * torch.sigmoid(y[:, 4:])
w, b = n.weight("up_w", 4, 6, 2, 2), n.weight("up_b", 6)
n.op("ConvTranspose", "gated up_w up_b", "up", kernels=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
n.op("ResizeNearest", "gated", "near", width_scale=2.0, height_scale=2.0)
n.op("Concat", "up near", "joined parts", axis=1, order="NCHW")
y = torch.cat([F.conv_transpose2d(y, w, b, 2), F.interpolate(y, scale_factor=2)], 1)
f = n.weight("factor", 10)
n.op("Mul", "joined factor", "scaled", broadcast=1, axis=1)
y = y * f[:, None, None]
n.op("AveragePool", "scaled", "pool2", kernel=3, stride=3, pad=1)
y = F.avg_pool2d(y, 3, 3, 1, count_include_pad=False)
n.op("Clip", "pool2", "pool2", min=-0.5, max=0.75)
n.op("Dropout", "pool2", "drop mask", ratio=0.5, is_test=1)
y = y.clamp(-0.5, 0.75)
w, b = n.weight("fc_w", 5, y[0].numel()), n.weight("fc_b", 5)
n.op("FC", "drop fc_w fc_b", "fc")
n.op("Softmax", "fc", "softmax")
y = F.softmax(F.linear(y.flatten(1), w, b), 1)
n.save("tiny", "softmax")
print(y.shape, y.max(), y.min())
np.savez("tiny_caffe2.npz", x=x.numpy(), y=y.numpy())
