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


def function(name, arguments, results, *nodes):
    """Nodes are those of graph(); results are (name, output)."""
    signature = message(1, message(1, name), *(message(2, message(1, a)) for a in arguments), *(message(3, message(1, r)) for r, _ in results))
    body = [b"\x1a" + n[1:] for n in nodes]  # field 3 instead of 1
    return message(2, message(1, signature, *body, *(message(4, message(1, r), message(2, v)) for r, v in results)))


def call(name, f, *inputs):
    return node(name, "PartitionedCall", *inputs, f=message(10, message(1, f)))


double = function("twice", ["a"], [("y", "s:z:0")], node("s", "Add", "a", "a"))
graph("good_call", x2, call("y", "twice", "x"), node("z", "Relu", "y"), double)
graph("bad_call_inputs", x2, call("y", "twice", "x", "x"), double)
graph("bad_call_unknown", x2, call("y", "thrice", "x"), double)
graph("bad_call_result", x2, call("y", "twice", "x"), function("twice", ["a"], [("y", "s")], node("s", "Add", "a", "a")))
graph("bad_call_argument", x2, call("y", "twice", "x"), function("twice", ["a"], [("y", "s:z:0")], node("s", "Add", "a", "b")))
graph("bad_call_endless", x2, call("y", "f", "x"), function("f", ["a"], [("y", "s:z:0")], call("s", "f", "a")))
graph("bad_call_bomb", x2, call("y", "f0", "x"),
      *(function(f"f{k}", ["a"], [("y", "s:z:0")], call("s", f"f{k + 1}", "a"), call("t", f"f{k + 1}", "s:z:0")) for k in range(30)),
      function("f30", ["a"], [("y", "s:z:0")], node("s", "Relu", "a")))
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


# ---- TFLite: FlatBuffers put together from their end, fields numbered as in schema.fbs
class Buffer:
    """Tables are written after what refers to them; offsets are filled in once their place is known."""

    def __init__(self):
        self.out = bytearray(struct.pack("<I", 0) + b"TFL3")
        self.todo = []

    def place(self, at, value):
        struct.pack_into("<I", self.out, at, len(self.out) - at)
        value(self)

    def run(self, root):
        self.pad()
        self.place(0, root)
        while self.todo:
            at, value = self.todo.pop(0)
            self.pad()
            self.place(at, value)
        return bytes(self.out)

    def pad(self):
        while len(self.out) % 8:
            self.out.append(0)


def table(**fields):
    """f0=("b", 1) is a number of that format of struct; f1=part is what a function writes elsewhere."""
    entries = sorted((int(k[1:]), v) for k, v in fields.items() if v is not None)

    def write(b):
        count = entries[-1][0] + 1 if entries else 0
        where, size, offsets = [], 4, [0] * count
        for field, v in entries:
            width = struct.calcsize("<" + v[0]) if isinstance(v, tuple) else 4
            size += -size % width
            offsets[field] = size
            where.append((size, v))
            size += width
        at = len(b.out)
        b.out += bytes(size)
        for offset, v in where:
            if isinstance(v, tuple):
                struct.pack_into("<" + v[0], b.out, at + offset, v[1])
            else:
                b.todo.append((at + offset, v))
        struct.pack_into("<i", b.out, at, at - len(b.out))
        b.out += struct.pack(f"<HH{count}H", 4 + 2 * count, size, *offsets)

    return write


def numbers(fmt, *values):
    return lambda b: b.out.extend(struct.pack(f"<I{len(values)}{fmt}", len(values), *values))


def word(text):
    return lambda b: b.out.extend(struct.pack("<I", len(text)) + text.encode() + b"\0")


def parts(*items):
    def write(b):
        b.out += struct.pack("<I", len(items))
        for item in items:
            b.todo.append((len(b.out), item))
            b.out += bytes(4)

    return write


F32, I32, I8 = 0, 2, 9


def edge(name, sizes, kind=F32, buffer=0, scales=None, zeros=None, axis=0):
    q = table(f2=numbers("f", *scales), f3=numbers("q", *(zeros or [0] * len(scales))), f6=("i", axis)) if scales else None
    return table(f0=numbers("i", *sizes), f1=("b", kind), f2=("I", buffer), f3=word(name), f4=q)


def step(code, inputs, outputs, options=None):
    return table(f0=("I", code), f1=numbers("i", *inputs), f2=numbers("i", *outputs), f4=options)


def lite(name, codes, tensors, steps, data=(), inputs=(0,), outputs=(-1,)):
    outputs = [o % len(tensors) for o in outputs]
    kinds = [table(f0=("b", min(c, 127)), f3=("i", c)) for c in codes]
    graph = table(f0=parts(*tensors), f1=numbers("i", *inputs), f2=numbers("i", *outputs), f3=parts(*steps))
    stored = [table()] + [table(f0=numbers("B", *d)) for d in data]
    put("tflite/" + name, Buffer().run(table(f0=("I", 3), f1=parts(*kinds), f2=parts(graph), f4=parts(*stored))))


def floats(*v):
    return struct.pack(f"<{len(v)}f", *v)


def words(*v):
    return struct.pack(f"<{len(v)}i", *v)


picture = edge("x", (1, 4, 4, 1))
window = table(f1=("i", 1), f2=("i", 1))
conv_of = lambda options=window, kernel=edge("k", (1, 2, 2, 1), F32, 1), data=floats(1, 2, 3, 4), **more: dict(
    codes=[3], tensors=[picture, kernel, edge("y", (1, 4, 4, 1))], steps=[step(0, (0, 1), (2,), options)], data=[data], **more)
lite("good_conv", **conv_of())
lite("good_relu", [19], [picture, edge("y", (1, 4, 4, 1))], [step(0, (0,), (1,))])
lite("good_reshape", [22], [picture, edge("s", (2,), I32, 1), edge("y", (4, 4))], [step(0, (0, 1), (2,))], [words(4, 4)])
x8 = edge("x", (1, 2), I8, 0, [0.5], [3])
full = [x8, edge("w", (2, 2), I8, 1, [0.1, 0.2]), edge("b", (2,), I32, 2, [0.05, 0.1]), edge("y", (1, 2), I8, 0, [0.25], [-4])]
lite("good_int8", [9], full, [step(0, (0, 1, 2), (3,), table(f0=("b", 1)))], [bytes([1, 2, 255, 4]), words(5, -6)])
lite("good_hard_swish", [117], [picture, edge("y", (1, 4, 4, 1))], [step(0, (0,), (1,))])
put("tflite/bad_empty", b"")
put("tflite/bad_magic", b"\x1c\0\0\0ABCD" + bytes(40))
put("tflite/bad_root", b"\xff\xff\xff\xffTFL3" + bytes(40))
put("tflite/bad_vtable", b"\x10\0\0\0TFL3" + bytes(8) + b"\0\0\0\x80" + bytes(20))
lite("bad_operator", [119, 16], [picture, edge("y", (1,)), edge("z", (1,))], [step(0, (0,), (1,)), step(1, (1,), (2,))])
lite("bad_code", [19], [picture, edge("y", (1,))], [step(7, (0,), (1,))])
lite("bad_tensor", [19], [picture, edge("y", (1,))], [step(0, (9,), (1,))])
lite("bad_missing", [0], [picture, edge("y", (1,))], [step(0, (0, -1), (1,))])
lite("bad_unmade", [0], [picture, edge("z", (1,)), edge("y", (1,))], [step(0, (0, 1), (2,))])
lite("bad_twice", [19], [picture, edge("y", (1,))], [step(0, (0,), (1,)), step(0, (0,), (1,))])
lite("bad_circle", [0], [picture, edge("y", (1,))], [step(0, (0, 1), (1,))])
lite("bad_nothing", [19], [picture, edge("y", (1,))], [step(0, (0,), ())])
lite("bad_output", [19], [picture, edge("y", (1,)), edge("z", (1,))], [step(0, (0,), (1,))])
lite("bad_short", **conv_of(data=floats(1, 2)))
lite("bad_huge", **conv_of(kernel=edge("k", (2**30, 2**30, 2**30, 2**30), F32, 1)))
lite("bad_negative", **conv_of(kernel=edge("k", (1, -5, 2, 1), F32, 1)))
lite("bad_buffer", **conv_of(kernel=edge("k", (1, 2, 2, 1), F32, 77)))
lite("bad_strides", **conv_of(options=table(f1=("i", 0), f2=("i", 1))))
lite("bad_padding", **conv_of(options=table(f0=("b", 5), f1=("i", 1), f2=("i", 1))))
lite("bad_activation", **conv_of(options=table(f1=("i", 1), f2=("i", 1), f3=("b", 9))))
lite("bad_scale", [6], [edge("x", (2,), I8, 0, [-1.0]), edge("y", (2,))], [step(0, (0,), (1,))])
lite("bad_zero", [6], [edge("x", (2,), I8, 0, [1.0], [259]), edge("y", (2,))], [step(0, (0,), (1,))])
lite("bad_scales", [6], [edge("x", (2,), I8, 0, [1.0, 2.0, 3.0]), edge("y", (2,))], [step(0, (0,), (1,))])
lite("bad_channels", [6], [edge("x", (2,), I8, 0, [1.0, 2.0]), edge("y", (2,))], [step(0, (0,), (1,))])
lite("bad_type", [19], [edge("x", (2,), 5), edge("y", (2,), 5)], [step(0, (0,), (1,))])
lite("bad_depthwise", [4], [picture, edge("k", (1, 2, 2, 1), F32, 1), edge("y", (1, 4, 4, 1))],
     [step(0, (0, 1), (2,), table(f1=("i", 1), f2=("i", 1), f3=("i", 0)))], [floats(1, 2, 3, 4)])
