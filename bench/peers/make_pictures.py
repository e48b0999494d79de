"""Writes 128 JPEG files of 500x375 in two class folders: smooth noise of a fixed seed."""

import os
import sys

import numpy
from PIL import Image

random = numpy.random.default_rng(0)
for i in range(128):
    folder = os.path.join(sys.argv[1], "ab"[i % 2])
    os.makedirs(folder, exist_ok=True)
    small = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=numpy.uint8))
    small.resize((500, 375), Image.BICUBIC).save(os.path.join(folder, f"{i}.jpg"), quality=90)
