#!/usr/bin/env python3
"""Reference values of tests/data/vision_test.cpp, made with OpenCV 5.0 and Pillow 13.

    pip install numpy opencv-python-headless pillow onnx
    tests/data/vision/make_goldens.py

Writes picture.png, net.onnx and expected.txt beside itself; a line of it is a name, sizes
(height, width, channels or n, channels, height, width) behind their count, and values."""
import pathlib

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(1)
H, W = 14, 18
smooth = cv2.resize(rng.random((4, 5, 3)).astype(np.float32), (W, H), interpolation=cv2.INTER_CUBIC)
picture = np.clip(smooth + 0.1 * rng.random((H, W, 3)), 0, 1)
picture8 = np.round(picture * 255).astype(np.uint8)  # RGB
Image.fromarray(picture8).save(here / "picture.png")
x = picture8.astype(np.float32) / 255
lines = []


def add(name, values):
    values = np.asarray(values, np.float32)
    lines.append(" ".join([name, str(values.ndim)] + [str(d) for d in values.shape] +
                          [f"{v:.7g}" for v in values.ravel()]))


def pillow_warp(inverse, size):
    """Of each channel; inverse is output to input, in Pillow's coordinates, which are nacre's."""
    channels = [Image.fromarray(np.ascontiguousarray(x[..., c])).transform(
        size, Image.Transform.PERSPECTIVE, inverse, Image.Resampling.BILINEAR) for c in range(3)]
    return np.stack([np.asarray(c) for c in channels], -1)


def normal(m):
    return (m / m[2, 2]).ravel()[:8]


affine = np.vstack([cv2.getAffineTransform(np.float32([[2, 1], [15, 3], [4, 12]]),
                                           np.float32([[1, 2], [12, 1], [6, 9]])), [0, 0, 1]])
add("affine", affine)
add("warp_affine", pillow_warp(normal(np.linalg.inv(affine)), (14, 11)))
project = cv2.getPerspectiveTransform(np.float32([[2, 1], [15, 3], [16, 12], [1, 10]]),
                                      np.float32([[0, 0], [12, 0], [12, 10], [0, 10]]))
add("projection", project)
add("warp_projection", pillow_warp(normal(np.linalg.inv(project)), (12, 10)))

add("gaussian", cv2.GaussianBlur(x, (9, 9), 1.3))
add("box", cv2.blur(x, (5, 5)))
add("median", cv2.medianBlur(x, 5))
kernel = np.float32([[1, -2, 0.5], [0, 3, -1], [0.25, 0, 2], [1, 1, -1], [0, 0.5, 0]])
add("convolve", cv2.filter2D(x, -1, kernel))
add("sobel_x", cv2.Sobel(x, cv2.CV_32F, 1, 0))
add("sobel_y", cv2.Sobel(x, cv2.CV_32F, 0, 1))

hsv = cv2.cvtColor(x, cv2.COLOR_RGB2HSV)
hsv[..., 0] /= 360
add("hsv", hsv)
yuv = cv2.cvtColor(x, cv2.COLOR_RGB2YCrCb)
add("ycbcr", yuv[..., [0, 2, 1]])
add("grey", cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None])
add("resize", cv2.resize(x, (11, 20), interpolation=cv2.INTER_LINEAR))


def drawn(draw):
    image = np.zeros((40, 50), np.uint8)
    draw(image)
    return (image > 0)[..., None]


add("line", drawn(lambda i: cv2.line(i, (3, 5), (44, 31), 255)))
add("thick_line", drawn(lambda i: cv2.line(i, (40, 4), (8, 35), 255, 4)))
add("rectangle", drawn(lambda i: cv2.rectangle(i, (6, 8), (30, 25), 255)))
add("filled_rectangle", drawn(lambda i: cv2.rectangle(i, (35, 20), (60, 45), 255, -1)))
add("circle", drawn(lambda i: cv2.circle(i, (24, 19), 14, 255)))
add("filled_circle", drawn(lambda i: cv2.circle(i, (40, 30), 15, 255, -1)))

mean = (0.485, 0.456, 0.406)
add("blob", cv2.dnn.blobFromImages([x, x[::-1].copy()], 4, (12, 12), mean, True, False))
add("blob_crop", cv2.dnn.blobFromImage(x, 1, (7, 7), 0, False, True))

w1 = (rng.standard_normal((6, 3, 3, 3)) * 0.3).astype(np.float32)
w2 = (rng.standard_normal((6 * 6 * 6, 4)) * 0.2).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w1", "b1"], ["c"], pads=[1, 1, 1, 1]),
     helper.make_node("Relu", ["c"], ["r"]),
     helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
     helper.make_node("Flatten", ["p"], ["f"]),
     helper.make_node("Gemm", ["f", "w2", "b2"], ["g"]),
     helper.make_node("Softmax", ["g"], ["y"], axis=1)], "net",
    [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 12, 12])],
    [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])],
    [numpy_helper.from_array(w1, "w1"), numpy_helper.from_array(w2, "w2"),
     numpy_helper.from_array(np.linspace(-0.2, 0.2, 6, dtype=np.float32), "b1"),
     numpy_helper.from_array(np.zeros(4, np.float32), "b2")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
          here / "net.onnx")
net = cv2.dnn.readNetFromONNX(str(here / "net.onnx"))
net.setInput(cv2.dnn.blobFromImage(x, 1, (12, 12), mean, False, False))
add("net", net.forward())
(here / "expected.txt").write_text("\n".join(lines) + "\n")
