"""Makes the corpus of the readers of TensorFlow's graphs: small good files, and attacks."""
import os
import struct

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus"))


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


# ---- GraphDef, field by field after graph.proto, attr_value.proto and tensor.proto
def varint(v):
    v &= 2**64 - 1
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def integer(field, v):
    return varint(field << 3) + varint(v)


def message(field, *parts):
    body = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    return varint(field << 3 | 2) + varint(len(body)) + body


def real(field, v):
    return varint(field << 3 | 5) + struct.pack("<f", v)


def shape(*sizes):
    return b"".join(message(2, integer(1, s)) for s in sizes)


def tensor(dtype, sizes, *values):
    return message(8, integer(1, dtype), message(2, shape(*sizes)), *values)


def content(*floats):
    return message(4, struct.pack(f"<{len(floats)}f", *floats))


def ints(*v):
    return message(7, *map(varint, v))


def list_of(*v):
    return message(1, message(3, *map(varint, v)))


def node(name, op, *inputs, **attributes):
    entries = [message(5, message(1, k), message(2, v)) for k, v in attributes.items()]
    return message(1, message(1, name), message(2, op), *(message(3, i) for i in inputs), *entries)


def number(v):
    return integer(3, v)


def text(v):
    return message(2, v)


FLOAT, INT = 1, 3
DTYPE = {"dtype": integer(6, FLOAT)}


def const(name, dtype, sizes, *values):
    return node(name, "Const", dtype=integer(6, dtype), value=tensor(dtype, sizes, *values))


x4 = node("x", "Placeholder", shape=message(7, shape(-1, 4, 4, 1)), **DTYPE)
x2 = node("x", "Placeholder", shape=message(7, shape(2, 3)), **DTYPE)
kernel = const("k", FLOAT, (2, 2, 1, 1), content(1, 2, 3, 4))


def conv(**more):
    options = {"strides": list_of(1, 1, 1, 1), "padding": text("SAME"), **more}
    return node("y", "Conv2D", "x", "k", **options)


def graph(name, *nodes):
    put("graphdef/" + name, b"".join(nodes))


graph("good_conv", x4, kernel, conv(), node("z", "Relu", "y"))
graph("good_reshape", x2, const("s", INT, (2,), ints(3, 2)), node("y", "Reshape", "x", "s"))
graph("good_slice", x2, *(const(n, INT, (2,), ints(*v)) for n, v in (("b", (0, 0)), ("e", (1, 3)), ("t", (1, 2)))),
      node("y", "StridedSlice", "x", "b", "e", "t", begin_mask=number(3), shrink_axis_mask=number(1)))
graph("good_repeat", x2, const("c", FLOAT, (3,), real(5, 1.5)), node("y", "Add", "x", "c"), node("n", "NoOp", "^y"))
graph("good_blocks", x4, const("b", INT, (2,), ints(2, 2)), const("p", INT, (2, 2), ints(0, 0, 0, 0)),
      node("y", "SpaceToBatchND", "x", "b", "p"), kernel,
      node("w", "Conv2D", "y", "k", strides=list_of(1, 1, 1, 1), padding=text("SAME")),
      node("z", "BatchToSpaceND", "w", "b", "p"))
graph("good_split", x2, const("a", INT, (), ints(1)), node("s", "Split", "a", "x", num_split=number(3)),
      node("y", "ConcatV2", "s:2", "s", "s:1", "a"))
graph("bad_empty")
graph("bad_magic", b"\x89PNG\r\n\x1a\n")
graph("bad_saved_model", integer(1, 1), message(2, message(2, x2)))
graph("bad_variable", x2, node("v", "VarHandleOp"), node("r", "ReadVariableOp", "v"), node("y", "Add", "x", "r"))
graph("bad_unknown", x4, kernel, node("a", "Bucketize", "x"), node("b", "Bucketize", "a"),
      conv(data_format=text("NCHW_VECT_C")))
graph("bad_name", node("", "Relu"))
graph("bad_twice", x2, x2)
graph("bad_dangling", x2, node("y", "Relu", "w"))
graph("bad_port", x2, node("y", "Relu", "x:7"))
graph("bad_port_number", x2, node("y", "Relu", "x:99999999999999999999"))
graph("bad_circle", node("a", "Relu", "b"), node("b", "Relu", "a"), node("y", "Relu", "a"))
graph("bad_self", node("a", "Add", "a", "a"), node("y", "Relu", "a"))
graph("bad_inputs", x2, node("y", "Add", "x"))
graph("bad_huge_const", x2, const("c", FLOAT, (2**40,), real(5, 1.5)), node("y", "Add", "x", "c"))
graph("bad_overflow_const", x2, const("c", FLOAT, (2**40, 2**40), real(5, 1.5)), node("y", "Add", "x", "c"))
graph("bad_negative_const", x2, const("c", FLOAT, (-3,), real(5, 1.5)), node("y", "Add", "x", "c"))
graph("bad_short_const", x2, const("c", FLOAT, (4,), content(1, 2)), node("y", "Add", "x", "c"))
graph("bad_long_const", x2, const("c", FLOAT, (1,), content(1, 2)), node("y", "Add", "x", "c"))
graph("bad_type", x2, const("c", 8, (1,), real(5, 1)), node("y", "Add", "x", "c"))
graph("bad_kernel", x4, const("k", FLOAT, (2, 2), content(1, 2, 3, 4)), conv())
graph("bad_strides", x4, kernel, conv(strides=list_of(1, 0, 1, 1)))
graph("bad_few_strides", x4, kernel, conv(strides=list_of(1)))
graph("bad_batch_strides", x4, kernel, conv(strides=list_of(2, 1, 1, 1)))
graph("bad_padding", x4, kernel, conv(padding=text("FULL")))
graph("bad_format", x4, kernel, conv(data_format=text("NCHW_VECT_C")))
graph("bad_axis", x2, const("a", INT, (), ints(1)), node("s", "Split", "a", "x", num_split=number(2**40)))
graph("bad_blocks", x4, const("b", INT, (2,), ints(2**30, 2**30)), const("p", INT, (2, 2), ints(0, 0, 0, 0)),
      node("y", "SpaceToBatchND", "x", "b", "p"))
graph("bad_stride_zero", x2, *(const(n, INT, (1,), ints(0)) for n in "bet"), node("y", "StridedSlice", "x", "b", "e", "t"))
graph("bad_rank", node("x", "Placeholder", shape=message(7, shape(*[1] * 1000)), **DTYPE), node("y", "Relu", "x"))
graph("bad_cut", (x4 + kernel + conv())[:-9])
