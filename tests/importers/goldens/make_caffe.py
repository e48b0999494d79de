"""Makes Caffe networks: text and a .caffemodel written field by field after caffe.proto (Caffe itself is no longer
packaged), and what OpenCV's reader of Caffe networks computes with them: <name>.prototxt, <name>.caffemodel, and the
inputs and outputs in <name>_caffe.npz. Needs opencv-python-headless 4.
"""
import os
import struct

import cv2
import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))
rng = np.random.default_rng(8)


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(values, old=False):
    values = np.asarray(values, np.float32)
    if old:  # num, channels, height, width
        dims = (1,) * (4 - values.ndim) + values.shape
        head = b"".join(varint(i + 1 << 3) + varint(d) for i, d in enumerate(dims))
    else:
        head = field(7, field(1, b"".join(varint(d) for d in values.shape)))
    return head + field(5, values.tobytes())


def normal(*shape, scale=0.3):
    return rng.normal(size=shape).astype(np.float32) * scale


def save(name, layers, old=()):
    with open(name + ".caffemodel", "wb") as f:
        f.write(field(1, name.encode()))
        for layer, blobs in layers.items():
            if layer in old:
                f.write(field(2, field(4, layer.encode()) + b"".join(field(6, blob(b, True)) for b in blobs)))
            else:
                f.write(field(100, field(1, layer.encode()) + b"".join(field(7, blob(b)) for b in blobs)))


def run(name, x):
    net = cv2.dnn.readNetFromCaffe(name + ".prototxt", name + ".caffemodel")
    net.setInput(x)
    np.savez(name + "_caffe.npz", x=x, y=net.forward())


save("tiny", {
    "conv1": [normal(8, 3, 3, 3), normal(8)],
    "bn1": [normal(8), rng.uniform(1, 2, 8), [2.0]],
    "scale1": [normal(8), normal(8)],
    "group": [normal(6, 4, 3, 3), normal(6)],
    "up": [normal(6, 1, 5, 5)],
    "prelu": [rng.uniform(0, 0.5, 6)],
    "fc1": [normal(5, 36), normal(5)],
    "fc2": [normal(4, 5), normal(4)],
})
run("tiny", normal(2, 3, 13, 11, scale=1))
save("old", {"conv": [normal(4, 1, 5, 5), normal(4)], "ip": [normal(3, 36), normal(3)]}, old=("conv", "ip"))
run("old", normal(1, 1, 10, 10, scale=1))
