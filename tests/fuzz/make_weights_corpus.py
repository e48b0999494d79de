"""Makes the corpus of the readers of weights: small good files, and attacks on each reader."""
import io
import os
import struct
import tarfile
import zipfile

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus"))


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


# ---- PyTorch: pickles are put together from their instructions
def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(v):
    return b"J" + struct.pack("<i", v) if -(2**31) <= v < 2**31 else b"\x8a\x08" + struct.pack("<q", v)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def call(name, *args):
    module, function = name.rsplit(".", 1)
    return f"c{module}\n{function}\n".encode() + tuple_of(*args) + b"R"


def storage(key="0", count=6, kind="FloatStorage", *view):
    return tuple_of(text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), integer(count), *view) + b"Q"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, place=None):
    return call("torch._utils._rebuild_tensor_v2", place or storage(), integer(offset),
                tuple_of(*map(integer, shape)), tuple_of(*map(integer, strides)), b"\x89",
                call("collections.OrderedDict"))


def dict_of(**items):
    return b"}(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def done(body):
    return b"\x80\x02" + body + b"."


def archive(body, data=None, names=None, method=zipfile.ZIP_STORED, more=()):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as z:
        z.writestr(zipfile.ZipInfo("a/data.pkl"), done(body), method)
        for key, content in ({"0": struct.pack("<6f", *range(6))} if data is None else data).items():
            z.writestr(zipfile.ZipInfo("a/data/" + key), content, method)
        for name, content in more:
            z.writestr(zipfile.ZipInfo(name), content, method)
    return f.getvalue()


def plain(body, keys=(b"0",), storages=struct.pack("<Q6f", 6, *range(6)), version=1001):
    magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
    system = dict_of(little_endian=b"\x88")
    names = b"](" + b"".join(text(k.decode()) for k in keys) + b"e"
    return done(magic) + done(integer(version)) + done(system) + done(body) + done(names) + storages


def tarred(tensors, storages, body=None, order=("storages", "tensors", "pickle")):
    f = io.BytesIO()
    files = {"storages": storages, "tensors": tensors, "pickle": done(body or dict_of(w=text("1") + b"Q"))}
    with tarfile.open(fileobj=f, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in order:
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            tar.addfile(info, io.BytesIO(files[name]))
    return f.getvalue()[: 512 * 9]


def tar_tensor(rank=1, sizes=(6,), strides=(1,), offset=0):
    about = done(tuple_of(integer(1), integer(2), b"ctorch\nFloatTensor\n"))
    return done(integer(1)) + about.replace(b"ctorch\nFloatTensor\n", text("x")) + struct.pack(
        f"<ii{len(sizes)}q{len(strides)}qq", rank, 0, *sizes, *strides, offset)


def tar_storage(count=6, view=b"]"):
    return (done(integer(1)) + done(tuple_of(integer(2), text("cpu"), b"ctorch\nFloatStorage\n"))
            + struct.pack("<Q6f", count, *range(6)) + done(view))


one = dict_of(w=tensor())
laughs = b"}q\x00" + text("a") + integer(1) + b"s0"
for i in range(60):
    laughs += b"}" + bytes([113, i + 1]) + b"(" + b"".join(text(c) + b"h" + bytes([i]) for c in "abcdefgh") + b"u0"
for name, data in {
    "good": archive(one),
    "good_nested": archive(dict_of(epoch=integer(3), state_dict=dict_of(**{"module.w": tensor()}))),
    "good_strides": archive(dict_of(a=tensor((3, 2), (1, 3)), b=tensor((2,), (0,), 5))),
    "good_deflated": archive(one, method=zipfile.ZIP_DEFLATED),
    "good_nothing": archive(b"}"),
    "good_plain": plain(one),
    "good_plain_view": plain(dict_of(w=tensor((2,), (1,), 0, storage("0", 6, "FloatStorage", tuple_of(
        text("v"), integer(3), integer(2)))))),
    "good_tar": tarred(tar_tensor(), tar_storage()),
    "bad_system": archive(dict_of(w=call("os.system", text("true")))),
    "bad_object": archive(dict_of(w=b"cbuiltins\neval\n" + text("1") + b"\x85R")),
    "bad_class": archive(dict_of(w=b"csubprocess\nPopen\n)\x81}b")),
    "bad_instance": archive(dict_of(w=b"(ibuiltins\nexec\n")),
    "bad_stack_global": archive(dict_of(w=text("os") + text("system") + b"\x93" + text("true") + b"\x85R")),
    "bad_module": archive(tuple_of(text("module"), b"cos\nsystem\n", text("f"), text("s")) + b"Q"),
    "bad_extension": archive(b"\x82\x01"),
    "bad_shape": archive(dict_of(w=tensor((3, 3), (3, 1)))),
    "bad_offset": archive(dict_of(w=tensor((2, 3), (3, 1), 1))),
    "bad_offset_huge": archive(dict_of(w=tensor((1,), (1,), 2**63 - 1))),
    "bad_offset_negative": archive(dict_of(w=tensor((1,), (1,), -1))),
    "bad_stride_negative": archive(dict_of(w=tensor((2, 3), (3, -1), 5))),
    "bad_stride_overflow": archive(dict_of(w=tensor((3, 3), (2**62, 2**62)))),
    "bad_size_negative": archive(dict_of(w=tensor((-2, -3), (3, 1)))),
    "bad_size_overflow": archive(dict_of(w=tensor((2**32, 2**32), (0, 0)))),
    "bad_expanded": archive(dict_of(w=tensor((2**20, 2**20), (0, 0)))),
    "bad_strides_missing": archive(dict_of(w=tensor((2, 3), (1,)))),
    "bad_rank": archive(dict_of(w=tensor((1,) * 40, (1,) * 40))),
    "bad_count": archive(dict_of(w=tensor(place=storage(count=2**40)))),
    "bad_count_negative": archive(dict_of(w=tensor(place=storage(count=-6)))),
    "bad_view": plain(dict_of(w=tensor((2,), (1,), 0, storage("0", 6, "FloatStorage", tuple_of(
        text("v"), integer(5), integer(2)))))),
    "bad_missing": archive(one, {}),
    "bad_missing_key": archive(dict_of(w=tensor(place=storage("../../etc/passwd")))),
    "bad_type": archive(dict_of(w=tensor(place=storage(kind="ComplexFloatStorage")))),
    "bad_up": archive(one, more=[("a/../../x", b"1")]),
    "bad_absolute": archive(one, more=[("/etc/x", b"1")]),
    "bad_twice": archive(b"}(" + text("w") + tensor() + text("w") + tensor() + b"u"),
    "bad_bomb": archive(dict_of(w=tensor((1,), (1,), 0, storage(count=40 << 20))), {"0": bytes(160 << 20)},
                        method=zipfile.ZIP_DEFLATED),
    "bad_circle": archive(b"}q\x00" + text("a") + b"h\x00s"),
    "bad_laughs": archive(laughs + b"h\x3c"),
    "bad_lists": archive(b"]q\x00" + b"(" + b"h\x00" * 2000 + b"e" + b"(" + b"h\x00" * 2000 + b"e"),
    "bad_deep": archive(b"](" * 300 + b"e" * 300),
    "bad_memo": archive(b"Nr\xff\xff\xff\xff"),
    "bad_memo_missing": archive(b"h\x05"),
    "bad_text": archive(b"X\xff\xff\xff\xffabc"),
    "bad_long": archive(b"\x8b\xff\xff\xff\x7f"),
    "bad_pop": archive(b"0"),
    "bad_mark": archive(b"u"),
    "bad_odd_items": archive(b"}(" + text("a") + b"u"),
    "bad_setitem": archive(b"N" + text("a") + b"Ns"),
    "bad_append": archive(b"NNa"),
    "bad_empty_shared": archive(b")Na"),
    "bad_persistent": archive(b"NQ"),
    "bad_persistent_chain": archive(text("1") + b"Q" * 400),
    "bad_protocol": archive(b"\x80\x09N"),
    "bad_end": archive(one)[:200] + b"PK\5\6" + bytes(18),
    "bad_no_pickle": archive(one).replace(b"data.pkl", b"data.pkx"),
    "bad_plain_count": plain(one, storages=struct.pack("<Q6f", 2**61, *range(6))),
    "bad_plain_cut": plain(one)[:-1],
    "bad_plain_more": plain(one) + b"1",
    "bad_plain_key": plain(one, keys=(b"1",)),
    "bad_plain_twice": plain(one, keys=(b"0", b"0"), storages=struct.pack("<Q6f", 6, *range(6)) * 2),
    "bad_plain_version": plain(one, version=7),
    "bad_tar_rank": tarred(tar_tensor(rank=2**31 - 1), tar_storage()),
    "bad_tar_size": tarred(tar_tensor(sizes=(7,)), tar_storage()),
    "bad_tar_count": tarred(tar_tensor(), tar_storage(count=2**60)),
    "bad_tar_view": tarred(tar_tensor(), tar_storage(view=b"](" + tuple_of(
        integer(3), integer(2), integer(4), integer(2**62)) + b"e")),
    "bad_tar_missing": tarred(tar_tensor(), tar_storage(), dict_of(w=text("9") + b"Q")),
    "bad_tar_code": tarred(tar_tensor(), tar_storage(), dict_of(w=call("os.system", text("true")))),
    "bad_tar_no_pickle": tarred(tar_tensor(), tar_storage(), order=("storages", "tensors")),
    "bad_nothing": b"",
}.items():
    put("torch/" + name, data)

# ---- GGUF
def gtext(s):
    return struct.pack("<Q", len(s)) + s.encode()


def info(name="w", sizes=(4,), kind=0, offset=0, rank=None):
    return gtext(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes) if rank is None else rank, *sizes, kind, offset)


def gguf(infos=(), data=b"", values=(), version=3, counts=None, align=32):
    tensors, kv = counts or (len(infos), len(values))
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, kv) + b"".join(values) + b"".join(infos)
    return head + bytes(-len(head) % align) + data


def value(key, kind, body):
    return gtext(key) + struct.pack("<I", kind) + body


four = struct.pack("<4f", 1, 2, 3, 4)
alignment = value("general.alignment", 4, struct.pack("<I", 64))
for name, data in {
    "good": gguf([info()], four),
    "good_two": gguf([info(), info("q", (32, 2), 2, 32)], four + bytes(16 + 36)),
    "good_values": gguf([info()], four, [value("a", 8, gtext("b")), value("l", 9, struct.pack("<IQ3i", 5, 3, 1, 2, 3)),
                                         value("s", 9, struct.pack("<IQ", 8, 1) + gtext("x")), alignment], align=64),
    "good_nothing": gguf(),
    "good_version2": gguf([info()], four, version=2),
    "bad_version": gguf([info()], four, version=1),
    "bad_big_endian": gguf([info()], four, version=3 << 24),
    "bad_counts": gguf(counts=(2**60, 0)),
    "bad_values": gguf(counts=(0, 2**60)),
    "bad_count_more": gguf([info()], four, counts=(2, 0)),
    "bad_rank": gguf([info(rank=2**31)], four),
    "bad_overflow": gguf([info(sizes=(2**32, 2**32))], four),
    "bad_overflow_max": gguf([info(sizes=(2**63 - 1, 2**63 - 1))], four),
    "bad_negative": gguf([info(sizes=(2**64 - 1,))], four),
    "bad_huge": gguf([info(sizes=(2**40,))], four),
    "bad_offset": gguf([info(offset=32)], four),
    "bad_offset_huge": gguf([info(offset=2**64 - 32)], four),
    "bad_offset_odd": gguf([info(offset=4, sizes=(1,))], four),
    "bad_overlap": gguf([info(sizes=(16,)), info("b", (8,), 0, 32)], bytes(64)),
    "bad_same": gguf([info(), info("b")], four),
    "bad_twice": gguf([info(), info(offset=32)], four + bytes(32)),
    "bad_block": gguf([info(sizes=(16, 2), kind=2)], bytes(64)),
    "bad_scalar_block": gguf([info(sizes=(), kind=2)], bytes(64)),
    "bad_type": gguf([info(kind=99)], four),
    "bad_k_quant": gguf([info(sizes=(256,), kind=12)], bytes(144)),
    "bad_alignment": gguf([info()], four, [value("general.alignment", 4, struct.pack("<I", 0))]),
    "bad_alignment_odd": gguf([info()], four, [value("general.alignment", 4, struct.pack("<I", 48))]),
    "bad_alignment_huge": gguf([info()], four, [value("general.alignment", 4, struct.pack("<I", 2**31))]),
    "bad_value_type": gguf([], b"", [value("a", 13, b"")]),
    "bad_list_huge": gguf([], b"", [value("a", 9, struct.pack("<IQ", 0, 2**63))]),
    "bad_list_wrap": gguf([], b"", [value("a", 9, struct.pack("<IQ", 10, 2**61))]),
    "bad_list_nested": gguf([], b"", [value("a", 9, struct.pack("<IQ", 9, 1))]),
    "bad_text": gguf([], b"", [value("a", 8, struct.pack("<Q", 2**63) + b"x")]),
    "bad_key_twice": gguf([], b"", [value("a", 0, b"1"), value("a", 0, b"2")]),
    "bad_cut": gguf([info()], four)[:-1],
    "bad_magic": b"GGML" + gguf([info()], four)[4:],
    "bad_nothing": b"",
}.items():
    put("gguf/" + name, data)

# ---- Caffe: the network, a zero byte, the .caffemodel
def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(*shape, count=None):
    n = 1
    for d in shape:
        n *= d
    n = n if count is None else count
    return field(7, field(7, field(1, b"".join(varint(d) for d in shape))) + field(5, struct.pack(f"<{n}f", *range(n))))


def caffe(layers, model=b"", head="input: 'x' input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4\n"):
    return head.encode() + layers.encode() + b"\0" + model


def model(name="c", *blobs):
    return field(100, field(1, name.encode()) + b"".join(blobs))


conv = "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'y' convolution_param { num_output: 2 kernel_size: 2 } }"
fc = "layer { name: 'c' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param { num_output: 2 } }"
for name, data in {
    "good_conv": caffe(conv, model("c", blob(2, 2, 2, 2), blob(2))),
    "good_fc": caffe(fc, model("c", blob(2, 32), blob(2))),
    "good_old": caffe("layers { name: 'r' type: RELU bottom: 'x' top: 'x' } layers { name: 'p' type: POOLING bottom: 'x' "
                      "top: 'p' pooling_param { kernel_size: 2 } }"),
    "good_parts": caffe("layer { name: 's' type: 'Slice' bottom: 'x' top: 'a' top: 'b' slice_param { slice_point: 1 } }\n"
                        "layer { name: 'e' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'e' eltwise_param { coeff: 1 coeff: 2 } }\n"
                        "layer { name: 'n' type: 'LRN' bottom: 'e' top: 'n' lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 } }"),
    "good_norm": caffe("layer { name: 'b' type: 'BatchNorm' bottom: 'x' top: 'x' } layer { name: 'c' type: 'Scale' bottom: 'x' "
                       "top: 'x' scale_param { bias_term: true } }",
                       model("b", blob(2), blob(2), blob(1)) + model("c", blob(2), blob(2))),
    "bad_no_weights": caffe(conv),
    "bad_few_weights": caffe(conv, model("c", blob(3, 3), blob(2))),
    "bad_bias": caffe(conv, model("c", blob(2, 2, 2, 2), blob(3))),
    "bad_blob_count": caffe(conv, model("c", blob(2, 2, 2, 2, count=3), blob(2))),
    "bad_blob_overflow": caffe(conv, model("c", blob(2**32, 2**32, 4, count=0), blob(2))),
    "bad_blob_rank": caffe(conv, model("c", blob(*[1] * 100), blob(2))),
    "bad_blob_packed": caffe(conv, model("c", field(7, field(5, b"123")))),
    "bad_length": caffe(conv, b"\xa2\x06\xff\xff\xff\xff\x0f"),
    "bad_twice": caffe(conv, model("c", blob(2)) * 2),
    "bad_outputs": caffe(conv.replace("num_output: 2", "num_output: 9223372036854775807"), model("c", blob(2), blob(2))),
    "bad_group": caffe(conv.replace("kernel_size", "group: 3 kernel_size"), model("c", blob(2, 2, 2, 2), blob(2))),
    "bad_kernel": caffe(conv.replace("kernel_size: 2", "kernel_size: 0"), model("c", blob(2, 2, 2, 2), blob(2))),
    "bad_kernel_huge": caffe(conv.replace("kernel_size: 2", "kernel_size: 4611686018427387904"), model("c", blob(2), blob(2))),
    "bad_number": caffe(fc.replace("2", "two")),
    "bad_type": caffe("layer { name: 'c' type: 'Python' bottom: 'x' top: 'y' python_param { module: 'os' layer: 'system' } }"),
    "bad_dangling": caffe("layer { name: 'c' type: 'ReLU' bottom: 'z' top: 'y' }"),
    "bad_circle": caffe("layer { name: 'a' type: 'ReLU' bottom: 'b' top: 'a' } layer { name: 'b' type: 'ReLU' bottom: 'a' top: 'b' }"),
    "bad_no_top": caffe("layer { name: 'c' type: 'ReLU' bottom: 'x' }"),
    "bad_input_twice": caffe("", head="input: 'x' input: 'x'"),
    "bad_slices": caffe("layer { name: 's' type: 'Slice' bottom: 'x' top: 'a' slice_param { slice_point: 1 } }"),
    "bad_open": caffe("layer { name: 'c'"),
    "bad_close": caffe("}"),
    "bad_list": caffe("a: [1, 2"),
    "bad_text": caffe("a: 'x"),
    "bad_deep": caffe("a{" * 5000),
}.items():
    put("caffe/" + name, data)


# ---- ncnn: the .param file, a zero byte, the .bin file
def ncnn(*layers, data=b"", counts=None, magic="7767517"):
    layers = ("Input in 0 1 x 0=4 1=4 2=2",) + layers
    head = f"{magic}\n{counts or f'{len(layers)} {len(layers)}'}\n"
    return (head + "\n".join(layers) + "\n").encode() + b"\0" + data


def weights(n, mark=0):
    return struct.pack(f"<I{n}f", mark, *range(n))


conv = "Convolution c 1 1 x y 0=2 1=2 5=1 6=16"
for name, data in {
    "good_conv": ncnn(conv, data=weights(16) + weights(2)[4:]),
    "good_half": ncnn("InnerProduct c 1 1 x y 0=1 2=3 9=3 -23310=2,0.0,6.0", data=struct.pack("<I4e", 0x01306B47, 1, 2, 3, 0)),
    "good_split": ncnn("Split s 1 2 x a b", "BinaryOp m 2 1 a b y 0=2"),
    "good_slice": ncnn("Slice s 1 2 x a b -23300=2,1,-233", "Interp r 1 1 a y 0=2 3=8 4=8", "Permute p 1 1 b z 0=3"),
    "good_data": ncnn("MemoryData d 0 1 d 0=4 1=4 2=2", "BinaryOp m 2 1 x d y", data=struct.pack("<32f", *range(32))),
    "good_norms": ncnn("LayerNorm l 1 1 x y 0=4", "GroupNorm g 1 1 y z 0=2 1=2", "Reduction r 1 1 z m 0=3 1=0 -23303=2,1,2 4=1",
                       data=struct.pack("<12f", *range(12))),
    "good_product": ncnn("Split s 1 2 x a b", "MatMul m 2 1 a b y 0=1", "Erf e 1 1 y z"),
    "good_stored": ncnn("MemoryData d 0 1 d 0=4 1=4 2=1", "Concat c 2 1 x d y 0=0", data=struct.pack("<16f", *range(16))),
    "good_orders": ncnn("Reshape r 1 1 x y 0=4 1=2 11=2 2=2", "Permute p 1 1 y z 0=17"),
    "bad_groups": ncnn("GroupNorm g 1 1 x y 0=2147483647 1=2147483647", data=struct.pack("<2f", 1, 2)),
    "bad_norm": ncnn("LayerNorm l 1 1 x y 0=-4"),
    "bad_axes": ncnn("Reduction r 1 1 x y 0=3 1=0 -23303=1,1e300"),
    "bad_product": ncnn("MatMul m 1 1 x y"),
    "bad_magic": ncnn(magic="7767518"),
    "bad_counts": ncnn(counts="1000000000 1"),
    "bad_counts_more": ncnn(counts="5 5"),
    "bad_no_weights": ncnn(conv),
    "bad_few_weights": ncnn(conv, data=weights(15)),
    "bad_more_weights": ncnn(conv, data=weights(16) + weights(9)),
    "bad_quantised": ncnn(conv, data=weights(16, 0x000D4B38)),
    "bad_int8": ncnn(conv + " 8=1", data=weights(16) + weights(2)),
    "bad_size": ncnn(conv.replace("6=16", "6=15"), data=weights(16) + weights(2)),
    "bad_size_huge": ncnn(conv.replace("6=16", "6=2147483640"), data=weights(16)),
    "bad_negative": ncnn(conv.replace("0=2", "0=-2"), data=weights(16)),
    "bad_fraction": ncnn(conv.replace("0=2", "0=2.5"), data=weights(16)),
    "bad_group": ncnn(conv + " 7=3", data=weights(16) + weights(2)),
    "bad_pad": ncnn(conv + " 4=-9", data=weights(16) + weights(2)),
    "bad_data_huge": ncnn("MemoryData d 0 1 d 0=2000000000 1=2000000000 2=2000000000"),
    "bad_list_count": ncnn("Slice s 1 1 x y -23300=900,1"),
    "bad_list_id": ncnn("Slice s 1 1 x y -33300=1,1"),
    "bad_value": ncnn("ReLU r 1 1 x y 0=a"),
    "bad_nan": ncnn("ReLU r 1 1 x y 0=nan"),
    "bad_twice": ncnn("ReLU r 1 1 x y 0=1 0=2"),
    "bad_dangling": ncnn("ReLU r 1 1 z y"),
    "bad_circle": ncnn("ReLU r 1 1 z y", "ReLU r 1 1 y z"),
    "bad_blob_twice": ncnn("ReLU r 1 1 x x"),
    "bad_tops": ncnn("ReLU r 1 900 x y"),
    "bad_no_top": ncnn("ReLU r 1 0 x"),
    "bad_no_bottom": ncnn("ReLU r 0 1 y"),
    "bad_type": ncnn("DetectionOutput r 1 1 x y"),
    "bad_nothing": b"",
}.items():
    put("ncnn/" + name, data)


# ---- MXNet
def nd(shape=(2,), kind=0, data=None, magic=0xF993FAC9, rank=None, sparse=0):
    n = len(shape) if rank is None else rank
    head = struct.pack("<Ii", magic, sparse) if magic > 0xF993FAC8 else struct.pack("<I", magic)
    data = struct.pack("<2f", 1, 2) if data is None else data
    return head + struct.pack(f"<I{len(shape)}qiii", n, *shape, 1, 0, kind) + data


def mxnet(arrays, names, count=None, more=b""):
    body = b"".join(struct.pack("<Q", len(n)) + n.encode() for n in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count) + b"".join(arrays) + struct.pack(
        "<Q", len(names)) + body + more


for name, data in {
    "good": mxnet([nd()], ["arg:w"]),
    "good_names": mxnet([nd(), nd((1, 2))], []),
    "good_narrow": mxnet([nd(kind=8, data=b"1234")], ["aux:m"]),
    "good_version3": mxnet([nd((), magic=0xF993FACA, data=b"1234")], ["s"]),
    "good_old": mxnet([struct.pack("<IIiii2f", 1, 2, 1, 0, 0, 1, 2)], ["w"]),
    "bad_count": mxnet([nd()], ["w"], count=2**60),
    "bad_count_more": mxnet([nd()], ["w"], count=2),
    "bad_names": mxnet([nd(), nd()], ["w"]),
    "bad_twice": mxnet([nd(), nd()], ["arg:w", "aux:w"]),
    "bad_rank": mxnet([nd(rank=2**32 - 1)], ["w"]),
    "bad_negative": mxnet([nd((-1, -2))], ["w"]),
    "bad_overflow": mxnet([nd((2**32, 2**32))], ["w"]),
    "bad_huge": mxnet([nd((2**40,))], ["w"]),
    "bad_type": mxnet([nd(kind=13)], ["w"]),
    "bad_type_negative": mxnet([nd(kind=-1)], ["w"]),
    "bad_sparse": mxnet([nd(sparse=1)], ["w"]),
    "bad_version": mxnet([nd(magic=0xF993FACB)], ["w"]),
    "bad_u64": mxnet([nd((1,), 11, b"\xff" * 8)], ["w"]),
    "bad_more": mxnet([nd()], ["w"], more=b"1"),
    "bad_cut": mxnet([nd()], ["w"])[:-1],
    "bad_nothing": b"",
}.items():
    put("mxnet/" + name, data)
