"""Makes the pictures of this folder and expected.txt, with Pillow, NumPy and OpenCV.

expected.txt has a line a case: name width height channels values (0..255, rows from the top).
"""
import os
import struct

import cv2
import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
lines = []


def expect(name, array):
    array = np.asarray(array, dtype=np.float64)
    if array.ndim == 2:
        array = array[:, :, None]
    values = " ".join(f"{v:.6g}" for v in array.ravel())
    lines.append(f"{name} {array.shape[1]} {array.shape[0]} {array.shape[2]} {values}")


def path(name):
    return os.path.join(here, name)


rng = np.random.default_rng(7)
yy, xx = np.mgrid[0:9, 0:13]
smooth = np.stack([20 * yy + 3 * xx, 255 - 17 * xx - 2 * yy, 9 * xx + 11 * yy], -1).clip(0, 255)
rgb = smooth.astype(np.uint8)
noise = rng.integers(0, 256, (9, 13, 4), dtype=np.uint8)
grey = rgb[:, :, 0]

pictures = {
    "grey.png": Image.fromarray(grey),
    "grey_alpha.png": Image.fromarray(noise[:, :, :2], "LA"),
    "rgb.png": Image.fromarray(noise[:, :, :3]),
    "rgba.png": Image.fromarray(noise),
    "bit.png": Image.fromarray(grey).convert("1"),
    "rgb.bmp": Image.fromarray(noise[:, :, :3]),
    "grey.bmp": Image.fromarray(grey),
    "bit.bmp": Image.fromarray(grey).convert("1"),
    "binary.ppm": Image.fromarray(noise[:, :, :3]),
    "binary.pgm": Image.fromarray(grey),
}
for name, picture in pictures.items():
    picture.save(path(name))
    if name == "bit.png" or name == "grey.png":
        expect(name, picture.convert("L"))
    elif name.endswith(".bmp"):
        expect(name, picture.convert("RGB"))
    else:
        expect(name, picture)

palette = Image.fromarray(rgb).quantize(11)
palette.save(path("palette.png"))
expect("palette.png", palette.convert("RGB"))
palette.save(path("palette.bmp"))
expect("palette.bmp", palette.convert("RGB"))
palette.save(path("palette_clear.png"), transparency=3)
with Image.open(path("palette_clear.png")) as p:
    expect("palette_clear.png", p.convert("RGBA"))
deep = rng.integers(0, 65536, (9, 13), dtype=np.uint16)
Image.fromarray(deep).save(path("deep.png"))
expect("deep.png", deep / 257.0)
deep_rgb = rng.integers(0, 65536, (5, 6, 3), dtype=np.uint16)
cv2.imwrite(path("deep_rgb.png"), deep_rgb[:, :, ::-1])
expect("deep_rgb.png", deep_rgb / 257.0)


def interlaced(name, array):
    """Adam7 by hand: Pillow cannot write it."""
    import zlib

    raw = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                           (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = array[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(
            ">I", zlib.crc32(kind + body))

    h, w = array.shape[:2]
    with open(path(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 1))
                + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


interlaced("interlaced.png", np.ascontiguousarray(noise[:, :, :3]))
with Image.open(path("interlaced.png")) as p:
    expect("interlaced.png", p)

Image.fromarray(rgb).save(path("rgb.jpg"), quality=90)
Image.fromarray(rgb).save(path("progressive.jpg"), quality=90, progressive=True)
Image.fromarray(grey).save(path("grey.jpg"), quality=90)
Image.fromarray(rgb).convert("CMYK").save(path("cmyk.jpg"), quality=95)
for name in ["rgb.jpg", "progressive.jpg", "grey.jpg"]:
    with Image.open(path(name)) as p:
        expect(name, p)
with Image.open(path("cmyk.jpg")) as p:
    ink = 255 - np.asarray(p, dtype=np.float64)
    expect("cmyk.jpg", ink[:, :, :3] * ink[:, :, 3:] / 255)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    name = f"turned{orientation}.jpg"
    Image.fromarray(rgb).save(path(name), quality=90, exif=exif)
    from PIL import ImageOps
    with Image.open(path(name)) as p:
        expect(name, ImageOps.exif_transpose(p))

Image.fromarray(noise[:, :, :3]).save(path("lossless.webp"), lossless=True)
Image.fromarray(noise).save(path("alpha.webp"), lossless=True, exact=True)
Image.fromarray(rgb).save(path("lossy.webp"), quality=80)
for name in ["lossless.webp", "alpha.webp", "lossy.webp"]:
    with Image.open(path(name)) as p:
        expect(name, p)

bottom_up = noise[:4, :5]
fields = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + 108) + struct.pack(
    "<IiiHHIIiiII", 108, 5, -4, 1, 32, 3, 0, 0, 0, 0, 0) + struct.pack(
        "<IIII", 0xff, 0xff00, 0xff0000, 0xff000000) + bytes(52)
with open(path("fields.bmp"), "wb") as f:
    f.write(fields + np.ascontiguousarray(bottom_up).tobytes())
expect("fields.bmp", bottom_up)
with open(path("text.ppm"), "w") as f:
    f.write("P3 # text\n3 2\n# largest\n15\n" + " ".join(map(str, range(0, 15))) + " 15 7 3")
expect("text.ppm", np.array(list(range(0, 15)) + [15, 7, 3]).reshape(2, 3, 3) * 17)
with open(path("text.pgm"), "w") as f:
    f.write("P2\n4 1\n1000\n0 500 1000 250\n")
expect("text.pgm", np.array([[0, 500, 1000, 250]]) * 0.255)
with open(path("deep.ppm"), "wb") as f:
    f.write(b"P6\n6 5\n65535\n" + deep_rgb.astype(">u2").tobytes())
expect("deep.ppm", deep_rgb / 257.0)

# Resizing of rgb.png: Pillow is antialiased; OpenCV is not, and its area filter is exact.
source = Image.fromarray(noise[:, :, :3])
for w, h in [(5, 4), (20, 15), (13, 3), (1, 1), (30, 2)]:
    expect(f"nearest_{w}x{h}", source.resize((w, h), Image.NEAREST))
    for name, method in [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)]:
        parts = [Image.fromarray(noise[:, :, c].astype(np.float32)).resize((w, h), method)
                 for c in range(3)]
        expect(f"{name}_{w}x{h}", np.stack([np.asarray(p) for p in parts], -1).clip(0, 255))
    plain = cv2.resize(noise[:, :, :3].astype(np.float64), (w, h), interpolation=cv2.INTER_LINEAR)
    expect(f"plain_{w}x{h}", plain)
for w, h in [(5, 4), (13, 3), (4, 9), (1, 1)]:
    expect(f"area_{w}x{h}",
           cv2.resize(noise[:, :, :3].astype(np.float64), (w, h), interpolation=cv2.INTER_AREA))

# Turning by Pillow: counter-clockwise about the centre, bilinear, black outside.
big = np.kron(rng.integers(0, 256, (6, 5), dtype=np.uint8), np.ones((6, 6), dtype=np.uint8))
big = cv2.GaussianBlur(big, (0, 0), 2)
Image.fromarray(big).save(path("turn.png"))
expect("turn.png", big)
for degrees in [10, -37, 123]:
    expect(f"turn_{degrees}", Image.fromarray(big).rotate(degrees, Image.BILINEAR))
expect("blur_1.5", cv2.GaussianBlur(big.astype(np.float64), (11, 11), 1.5,
                                    borderType=cv2.BORDER_REPLICATE))

with open(path("expected.txt"), "w") as f:
    f.write("\n".join(lines) + "\n")
