"""Makes the corpus of the readers of networks that are younger than make_weights_corpus.py: small good files, and attacks."""
import json
import os
import struct

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus"))


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


# ---- MXNet: the symbol, a zero byte, the .params file
def mxnet(*nodes, arrays={}, heads=None):
    names = [("null", "data", {}, [])] + [("null", n, {}, []) for n in arrays] + list(nodes)
    listed = [{"op": op, "name": n, "attrs": attrs, "inputs": [[i, 0, 0] if isinstance(i, int) else i for i in inputs]}
              for op, n, attrs, inputs in names]
    symbol = json.dumps({"nodes": listed, "heads": heads or [[len(listed) - 1, 0, 0]]})
    body = b""
    for shape in arrays.values():
        n = 1
        for d in shape:
            n *= d
        body += struct.pack("<IiI", 0xF993FAC9, 0, len(shape)) + struct.pack(f"<{len(shape)}qiii", *shape, 1, 0, 0)
        body += struct.pack(f"<{n}f", *range(n)) if n < 10000 else b""
    keys = b"".join(struct.pack("<Q", len(n) + 4) + b"arg:" + n.encode() for n in arrays)
    return symbol.encode() + b"\0" + struct.pack("<QQQ", 0x112, 0, len(arrays)) + body + struct.pack("<Q", len(arrays)) + keys


conv = ("Convolution", "c", {"kernel": "(2, 2)", "num_filter": "2", "no_bias": "True"}, [0, 1])
lstm = ("RNN", "r", {"mode": "lstm", "state_size": "1", "num_layers": "1"}, [0, 1])
for name, data in {
    "good_conv": mxnet(conv, arrays={"w": (2, 1, 2, 2)}),
    "good_lstm": mxnet(lstm, arrays={"p": (20,)}),
    "good_reshape": mxnet(("Reshape", "r", {"shape": "(0, -4, 2, -1, -3)"}, [0]), ("Flatten", "f", {}, [1])),
    "good_split": mxnet(("SliceChannel", "s", {"num_outputs": "2"}, [0]), ("Concat", "c", {"dim": "1"}, [[1, 1, 0], [1, 0, 0]])),
    "good_pool": mxnet(("Pooling", "p", {"kernel": "(3, 3)", "pooling_convention": "full"}, [0]), ("LRN", "l", {"nsize": "3"}, [1])),
    "bad_no_weights": mxnet(("FullyConnected", "f", {"num_hidden": "2"}, [0, 0])),
    "bad_weight": mxnet(conv, arrays={"w": (3, 1, 2, 2)}),
    "bad_rank": mxnet(conv, arrays={"w": (2, 1)}),
    "bad_group": mxnet(("Convolution", "c", {**conv[2], "num_group": "0"}, [0, 1]), arrays={"w": (2, 1, 2, 2)}),
    "bad_kernel": mxnet(("Convolution", "c", {**conv[2], "kernel": "(99999999999, 2)"}, [0, 1]), arrays={"w": (2, 1, 2, 2)}),
    "bad_lstm": mxnet(lstm, arrays={"p": (19,)}),
    "bad_lstm_huge": mxnet(("RNN", "r", {**lstm[2], "state_size": "60000", "num_layers": "900"}, [0, 1]), arrays={"p": (20,)}),
    "bad_split": mxnet(("SliceChannel", "s", {"num_outputs": "1000000000"}, [0])),
    "bad_codes": mxnet(("Reshape", "r", {"shape": "(0, -4, 2)"}, [0])),
    "bad_list": mxnet(("Reshape", "r", {"shape": "(0, one)"}, [0])),
    "bad_axis": mxnet(("Flatten", "f", {}, [0]), ("mean", "m", {"axis": "7"}, [1])),
    "bad_pairs": mxnet(("Pad", "p", {"pad_width": "(1, 2, 3)"}, [0])),
    "bad_node": mxnet(("relu", "r", {}, [5])),
    "bad_self": mxnet(("relu", "r", {}, [1])),
    "bad_output": mxnet(("relu", "r", {}, [[0, 3, 0]])),
    "bad_head": mxnet(("relu", "r", {}, [0]), heads=[[9, 0, 0]]),
    "bad_heads": mxnet(heads=[[0]]),
    "bad_op": mxnet(("Custom", "c", {"op_type": "os.system"}, [0])),
    "bad_json": b"{",
    "bad_nothing": b"",
}.items():
    put("mxnet_symbol/" + name, data)


# ---- PaddlePaddle: the length of the program in four bytes, the program, the arrays
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


def desc(dims, kind=5):
    return field(1, kind) + b"".join(field(2, d) for d in dims)


def variable(name, dims, stored=False, kind=5):
    return field(3, field(1, name) + field(2, field(1, 7) + field(3, field(1, desc(dims, kind)))) + field(3, int(stored)))


def attribute(name, value):
    if isinstance(value, list):
        return field(4, field(1, name) + b"".join(field(6, v) for v in value))
    return field(4, field(1, name) + (field(5, value) if isinstance(value, str) else field(3, value)))


def operator(kind, ins, outs, **attributes):
    names = lambda n, all: b"".join(field(n, field(1, p) + b"".join(field(2, v) for v in vs.split())) for p, vs in all.items())
    return field(4, field(3, kind) + names(1, ins) + names(2, outs) + b"".join(attribute(*a) for a in attributes.items()))


def tensor(dims, kind=5, data=None, version=0, levels=b"\0" * 8):
    n = 1
    for d in dims:
        n *= d
    head = desc(dims, kind)
    data = struct.pack(f"<{n}f", *range(n)) if data is None else data
    return struct.pack("<I", version) + levels + struct.pack("<Ii", 0, len(head)) + head + data


def paddle(*parts, arrays=b"", x=(-1, 2, 4, 4)):
    program = field(1, variable("x", x) + operator("feed", {"X": "feed"}, {"Out": "x"}) + b"".join(parts) +
                    operator("fetch", {"X": "y"}, {"Out": "fetch"}))
    return struct.pack("<I", len(program)) + program + arrays


w = variable("w", (2, 2, 3, 3), True)
conv = operator("conv2d", {"Input": "x", "Filter": "w"}, {"Output": "y"}, strides=[1, 1], paddings=[1, 1], groups=1)
pool = {"pooling_type": "max", "ksize": [2, 2], "strides": [2, 2], "paddings": [0, 0, 1, 1]}
for name, data in {
    "good_conv": paddle(w, conv, arrays=tensor((2, 2, 3, 3))),
    "good_pool": paddle(operator("pool2d", {"X": "x"}, {"Out": "y"}, **pool)),
    "good_split": paddle(operator("split", {"X": "x"}, {"Out": "a b"}, axis=1, num=2),
                         operator("concat", {"X": "b a"}, {"Out": "y"}, axis=1)),
    "good_flatten": paddle(operator("flatten_contiguous_range", {"X": "x"}, {"Out": "y"}, start_axis=1, stop_axis=2)),
    "good_fill": paddle(operator("fill_constant", {}, {"Out": "y"}, shape=[2, 3], dtype=5)),
    "bad_arrays_short": paddle(w, conv, arrays=tensor((2, 2, 3, 3))[:-1]),
    "bad_arrays_more": paddle(w, conv, arrays=tensor((2, 2, 3, 3)) + b"1"),
    "bad_arrays_huge": paddle(w, conv, arrays=tensor((2**40, 2**40), data=b"")),
    "bad_arrays_negative": paddle(w, conv, arrays=tensor((-1, 2), data=b"12345678")),
    "bad_arrays_type": paddle(w, conv, arrays=tensor((2,), kind=9, data=b"12345678")),
    "bad_arrays_version": paddle(w, conv, arrays=tensor((2, 2, 3, 3), version=1)),
    "bad_arrays_levels": paddle(w, conv, arrays=tensor((2, 2, 3, 3), levels=b"\xff" * 8)),
    "bad_filter": paddle(variable("w", (2,), True), conv, arrays=tensor((2,))),
    "bad_padding": paddle(w, conv.replace(b"paddings\x30\x01", b"paddings\x30\x7f\x30"), arrays=tensor((2, 2, 3, 3))),
    "bad_pool": paddle(operator("pool2d", {"X": "x"}, {"Out": "y"}, **{**pool, "ksize": [2]})),
    "bad_pool_zero": paddle(operator("pool2d", {"X": "x"}, {"Out": "y"}, **{**pool, "ksize": [0, -1]})),
    "bad_flatten": paddle(operator("flatten_contiguous_range", {"X": "x"}, {"Out": "y"}, start_axis=-9, stop_axis=2)),
    "bad_fill": paddle(operator("fill_constant", {}, {"Out": "y"}, shape=[2**40, 2**40], dtype=5)),
    "bad_slice": paddle(operator("slice", {"Input": "x"}, {"Out": "y"}, axes=[1], starts=[0, 1], ends=[2])),
    "bad_norm": paddle(operator("layer_norm", {"X": "x"}, {"Y": "y"}, begin_norm_axis=7)),
    "bad_no_input": paddle(operator("relu", {}, {"Out": "y"})),
    "bad_no_output": paddle(operator("relu", {"X": "x"}, {})),
    "bad_dangling": paddle(operator("relu", {"X": "z"}, {"Out": "y"})),
    "bad_self": paddle(operator("relu", {"X": "y"}, {"Out": "y"})),
    "bad_op": paddle(operator("py_func", {"X": "x"}, {"Out": "y"})),
    "bad_variable": paddle(variable("../../etc/passwd", (1,), True), conv),
    "bad_rank": paddle(operator("relu", {"X": "x"}, {"Out": "y"}), x=[1] * 100),
    "bad_length": struct.pack("<I", 4) + b"\x0a\xff\xff\x7f",
    "bad_nothing": b"",
}.items():
    put("paddle/" + name, data)


# ---- Caffe2: the length of the net that predicts in four bytes, it, and the first net
def caffe2_argument(name, v):
    if isinstance(v, float):
        return field(5, field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", v))
    if isinstance(v, (int, str)):
        return field(5, field(1, name) + field(3 if isinstance(v, int) else 4, v))
    if v and isinstance(v[0], float):
        return field(5, field(1, name) + field(5, struct.pack(f"<{len(v)}f", *v)))
    return field(5, field(1, name) + b"".join(field(6, i) for i in v))


def caffe2_operator(kind, ins, outs, **arguments):
    body = b"".join(field(1, i) for i in ins.split()) + b"".join(field(2, o) for o in outs.split())
    return field(2, body + field(4, kind) + b"".join(caffe2_argument(*a) for a in arguments.items()))


def fill(name, shape, values=None):
    n = 1
    for d in shape:
        n *= d
    return caffe2_operator("GivenTensorFill", "", name, shape=list(shape), values=values or [float(i) for i in range(n)])


def caffe2(*ops, init=b"", inputs="data", output="y"):
    net = b"".join(ops) + b"".join(field(7, i) for i in inputs.split()) + field(8, output)
    return struct.pack("<I", len(net)) + net + init


conv = caffe2_operator("Conv", "data w", "y", kernel=2)
for name, data in {
    "good_conv": caffe2(conv, init=fill("w", (2, 1, 2, 2)), inputs="data w"),
    "good_fc": caffe2(caffe2_operator("FC", "data w b", "y"), init=fill("w", (2, 3)) + fill("b", (2,)), inputs="data w b"),
    "good_pool": caffe2(caffe2_operator("MaxPool", "data", "p", kernel=3, stride=2, legacy_pad=3), caffe2_operator("Relu", "p", "y")),
    "good_split": caffe2(caffe2_operator("Split", "data", "a b", axis=1), caffe2_operator("Concat", "b a", "y s", axis=1)),
    "good_constant": caffe2(caffe2_operator("Mul", "data f", "y", broadcast=1, axis=1), inputs="data f",
                            init=fill("f", (2,)) + caffe2_operator("ConstantFill", "", "data", shape=[1, 2, 4, 4], value=0.5)),
    "bad_no_weights": caffe2(conv),
    "bad_few_values": caffe2(conv, init=fill("w", (2, 1, 2, 2), [1.0]), inputs="data w"),
    "bad_shape": caffe2(conv, init=fill("w", (2**40, 2**40), [1.0]), inputs="data w"),
    "bad_negative": caffe2(conv, init=fill("w", (-2, 2), [1.0]), inputs="data w"),
    "bad_kernel": caffe2(conv, init=fill("w", (2, 1, 3, 3)), inputs="data w"),
    "bad_group": caffe2(caffe2_operator("Conv", "data w", "y", kernel=2, group=0), init=fill("w", (2, 1, 2, 2)), inputs="data w"),
    "bad_pads": caffe2(caffe2_operator("MaxPool", "data", "y", kernel=2, pads=[1, 2, 3])),
    "bad_pad": caffe2(caffe2_operator("MaxPool", "data", "y", kernel=2, pad=-7)),
    "bad_window": caffe2(caffe2_operator("MaxPool", "data", "y", kernel=2**40)),
    "bad_groups": caffe2(caffe2_operator("ChannelShuffle", "data", "y", group=2**31)),
    "bad_reshape": caffe2(caffe2_operator("Reshape", "data", "y o")),
    "bad_order": caffe2(caffe2_operator("MaxPool", "data", "y", kernel=2, order="NHWC")),
    "bad_fill": caffe2(conv, init=caffe2_operator("XavierFill", "", "w", shape=[2, 1, 2, 2]), inputs="data w"),
    "bad_dangling": caffe2(caffe2_operator("Relu", "z", "y")),
    "bad_no_input": caffe2(caffe2_operator("Relu", "", "y")),
    "bad_no_output": caffe2(caffe2_operator("Relu", "data", "")),
    "bad_result": caffe2(caffe2_operator("Relu", "data", "a")),
    "bad_op": caffe2(caffe2_operator("Python", "data", "y")),
    "bad_length": struct.pack("<I", 4) + b"\x12\xff\xff\x7f",
    "bad_nothing": b"",
}.items():
    put("caffe2/" + name, data)


# ---- Caffe solver files
for name, text in {
    "good_sgd": "net: \"a.prototxt\"\nbase_lr: 0.01 momentum: 0.9 lr_policy: 'step' stepsize: 10 gamma: .1 max_iter: 4500 # end\n",
    "good_adam": "train_net: 'a' 'b' type: 'Adam' base_lr: 1e-3 weight_decay: 5e-4 clip_gradients: 35 snapshot_prefix: ''",
    "good_old": "solver_type: ADAGRAD lr_policy: \"poly\" power: 1 test_iter: [1, 2]",
    "good_nothing": "",
    "bad_number": "base_lr: fast",
    "bad_integer": "max_iter: 1.5",
    "bad_huge": "max_iter: 99999999999999999999999",
    "bad_step": "lr_policy: 'step' stepsize: ten gamma: .1",
    "bad_message": "base_lr { a: 1 }",
    "bad_text": "net: 'a",
    "bad_open": "test_state { stage: 'a'",
    "bad_close": "base_lr: 1 }",
    "bad_deep": "a {" * 100,
    "bad_list": "test_iter: [1, 2",
}.items():
    put("solver/" + name, text.encode())


# ---- Program files (src/embed/format.h); the checksum is made to fit by the target
class Program:
    def __init__(self, batched=1):
        self.values, self.constants, self.data, self.steps = [], b"", b"", b""
        self.batched, self.steps_count, self.constants_count = batched, 0, 0

    def value(self, *shape):
        self.values.append(shape)
        return len(self.values) - 1

    def constant(self, *shape, place=None):
        v, n = self.value(*shape), 1
        for d in shape:
            n *= d
        self.constants += struct.pack("<IQ", v, len(self.data) if place is None else place)
        self.constants_count += 1
        self.data += struct.pack(f"<{n}f", *(k % 7 - 3 for k in range(n))) if n < 1000 else b""
        return v

    def step(self, op, values, shape, *numbers, out=None):
        y = self.value(*shape) if out is None else out
        self.steps += struct.pack(f"<BB{len(values)}IIB{len(numbers)}q", op, len(values), *values, y, len(numbers), *numbers)
        self.steps_count += 1
        return y

    def bytes(self, inputs, outputs, types=(0, 0), classes=()):
        text = lambda s: struct.pack("<I", len(s)) + s
        out = text(b"net") + text(b"") + bytes([1, self.batched]) + struct.pack("<I", len(classes)) + b"".join(map(text, classes))
        out += struct.pack("<I", len(self.values)) + b"".join(struct.pack(f"<B{len(v)}q", len(v), *v) for v in self.values)
        for values, kind in ((inputs, types[0]), (outputs, types[1])):
            out += struct.pack("<I", len(values)) + b"".join(text(b"p%d" % v) + struct.pack("<BI", kind, v) for v in values)
        out += struct.pack("<I", self.constants_count) + self.constants + struct.pack("<I", self.steps_count) + self.steps
        out = b"NACREPRG" + struct.pack("<II", 1, 0) + out
        return out + bytes(-len(out) % 64) + self.data


RESHAPE, COPY, UNARY, BINARY, SELECT, CONV, MAX_POOL, AVG_POOL, MATMUL, REDUCE, SOFTMAX, CONCAT, PAD, TAKE, GATHER, ORDER = range(16)


def network():
    """Two classes of a picture of 1x5x5."""
    p = Program()
    x = p.value(1, 1, 5, 5)
    y = p.step(CONV, [x, p.constant(2, 1, 2, 2), p.constant(2)], (1, 2, 4, 4), 1, 1, 1, 1, 1, 0, 0, 0, 0, 1)
    y = p.step(MAX_POOL, [y], (1, 2, 2, 2), 2, 2, 2, 2, 1, 1, 0, 0, 0, 0)
    y = p.step(MATMUL, [p.step(RESHAPE, [y], (1, 8)), p.constant(8, 2)], (1, 2), 0)
    return p.bytes([x], [p.step(SOFTMAX, [y], (1, 2), 1)], classes=(b"cat", b"dog"))


def program(op, inputs, shape, *numbers, constants=(), types=(0, 0), batched=1):
    """One step on inputs, and then constants, of these shapes."""
    p = Program(batched)
    x = [p.value(*s) for s in inputs]
    return p.bytes(x, [p.step(op, x + [p.constant(*s) for s in constants], shape, *numbers)], types)


def ports(inputs, outputs, types=(0, 0)):
    p = Program()
    y = p.step(UNARY, [p.value(1, 2)], (1, 2), 2)
    return p.bytes(inputs, outputs if outputs is not None else [y], types)


def places(at):
    p = Program()
    x = p.value(1, 2)
    return p.bytes([x], [p.step(BINARY, [x, p.constant(2, place=at)], (1, 2), 0)])


def circle():
    p = Program()
    x = p.value(1, 2)
    return p.bytes([x], [p.step(UNARY, [2], (1, 2), 2), p.step(UNARY, [1], (1, 2), 2)])


def twice():
    p = Program()
    x = p.value(1, 2)
    y = p.step(UNARY, [x], (1, 2), 2)
    return p.bytes([x], [p.step(UNARY, [x], (1, 2), 3, out=y)])


whole = network()
for name, data in {
    "good_network": whole,
    "good_behind": b"\x7fELF".ljust(64, b"\0") + whole + struct.pack("<Q", len(whole)) + b"NACREEND",
    "good_copy": program(COPY, [(1, 2, 3)], (1, 3, 2), 5, 0, -1, -3),
    "good_average": program(AVG_POOL, [(1, 1, 3, 3)], (1, 1, 2, 2), 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0),
    "good_select": program(SELECT, [(1, 3), (1, 1)], (1, 3), constants=[(3,)]),
    "good_take": program(TAKE, [(1, 4), (1, 3)], (1, 3), 1, types=(6, 0), batched=0),
    "good_gather": program(GATHER, [(1, 4), (1, 3)], (1, 3), 1, types=(7, 4), batched=0),
    "good_order": program(ORDER, [(1, 4)], (1, 2), 1, 1, types=(5, 7)),
    "good_concat": program(CONCAT, [(1, 2), (1, 1)], (1, 3), 1),
    "good_pad": program(PAD, [(1, 2)], (1, 5), 0, 2, constants=[(1,)]),
    "good_reduce": program(REDUCE, [(1, 2, 3)], (1, 1), 1, 1, 2),
    "good_power": program(BINARY, [(1, 2), (1, 1)], (1, 2), 6, types=(0, 8)),
    "bad_nothing": b"",
    "bad_magic": b"NACREPRO" + whole[8:],
    "bad_version": whole[:8] + struct.pack("<I", 2) + whole[12:],
    "bad_cut": whole[:-4],
    "bad_name": whole[:16] + struct.pack("<I", 2**32 - 1) + whole[20:],
    "bad_size_zero": program(UNARY, [(1, 0)], (1, 0), 2),
    "bad_size_negative": program(UNARY, [(1, -5)], (1, -5), 2),
    "bad_size_huge": program(UNARY, [(1, 2**40)], (1, 2**40), 2),
    "bad_size_product": program(UNARY, [(1, 2**20, 2**20)], (1, 2**20, 2**20), 2),
    "bad_rank": program(UNARY, [(1,) * 13], (1,) * 13, 2),
    "bad_work": program(SELECT, [(1, 2**33)] * 3, (1, 2**33)),
    "bad_port_type": program(UNARY, [(1, 2)], (1, 2), 2, types=(200, 0)),
    "bad_port_value": ports([9], None),
    "bad_no_outputs": ports([0], []),
    "bad_input_twice": ports([0, 0], None),
    "bad_unmade": ports([], None),
    "bad_sample": program(UNARY, [(3, 2)], (3, 2), 2),
    "bad_circle": circle(),
    "bad_twice": twice(),
    "bad_step": program(16, [(1, 2)], (1, 2)),
    "bad_function": program(UNARY, [(1, 2)], (1, 2), 99),
    "bad_function_negative": program(BINARY, [(1, 2), (1, 2)], (1, 2), -1),
    "bad_numbers": program(SOFTMAX, [(1, 2)], (1, 2)),
    "bad_dimension": program(SOFTMAX, [(1, 2)], (1, 2), -1),
    "bad_copy_offset": program(COPY, [(1, 2)], (1, 2), 1, 0, 1),
    "bad_copy_stride": program(COPY, [(1, 2)], (1, 2), 0, 0, 2**62),
    "bad_copy_back": program(COPY, [(1, 2)], (1, 2), 0, 0, -1),
    "bad_stride": program(MAX_POOL, [(1, 1, 4, 4)], (1, 1, 2, 2), 2, 2, 0, 0, 1, 1, 0, 0, 0, 0),
    "bad_window": program(MAX_POOL, [(1, 1, 4, 4)], (1, 1, 9, 9), 2, 2, 1, 1, 1, 1, 0, 0, 0, 0),
    "bad_groups": program(CONV, [(1, 2, 4, 4)], (1, 2, 4, 4), 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, constants=[(2, 1, 1, 1)]),
    "bad_matmul": program(MATMUL, [(1, 4)], (1, 2), 0, constants=[(3, 2)]),
    "bad_order": program(ORDER, [(1, 4)], (1, 9), 1, 1),
    "bad_gather": program(GATHER, [(1, 4), (1, 3)], (1, 4), 1),
    "bad_pad": program(PAD, [(1, 2)], (1, 5), 0, 4, constants=[(1,)]),
    "bad_concat": program(CONCAT, [(1, 2), (1, 1)], (1, 4), 1),
    "bad_constant_end": places(64),
    "bad_constant_odd": places(2),
    "bad_constant_overflow": places(2**64 - 4),
}.items():
    put("program/" + name, data)
