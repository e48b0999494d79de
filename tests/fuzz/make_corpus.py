"""Makes the corpus: small good files, and attacks on each reader. good* is read, bad* is refused."""
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus"))


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


# ---- safetensors
def st(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="U8", shape="[4]", offsets="[0,4]"):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


for name, data in {
    "good_empty": st("{}"),
    "good_two": st(f'{{"a":{entry()},"b":{entry("F32", "[1]", "[4,8]")},"__metadata__":{{"k":"v"}}}}  ', b"12345678"),
    "good_scalar": st(f'{{"a":{entry("I64", "[]", "[0,8]")}}}', b"12345678"),
    "bad_overlap": st(f'{{"a":{entry()},"b":{entry("U8", "[4]", "[2,6]")}}}', b"123456"),
    "bad_same": st(f'{{"a":{entry()},"b":{entry()}}}', b"1234"),
    "bad_gap": st(f'{{"a":{entry()},"b":{entry("U8", "[4]", "[5,9]")}}}', b"123456789"),
    "bad_gap_at_start": st(f'{{"a":{entry("U8", "[4]", "[1,5]")}}}', b"12345"),
    "bad_trailing": st(f'{{"a":{entry()}}}', b"12345"),
    "bad_past_end": st(f'{{"a":{entry()}}}', b"123"),
    "bad_backwards": st(f'{{"a":{entry("U8", "[4]", "[4,0]")}}}', b"1234"),
    "bad_negative": st(f'{{"a":{entry("U8", "[4]", "[-4,0]")}}}', b"1234"),
    "bad_length": st(f'{{"a":{entry("F32", "[2]", "[0,4]")}}}', b"1234"),
    "bad_negative_dim": st(f'{{"a":{entry("U8", "[-1,-4]", "[0,4]")}}}', b"1234"),
    "bad_overflow": st(f'{{"a":{entry("U8", "[4294967296,4294967296,4]", "[0,0]")}}}'),
    "bad_overflow_zero": st(f'{{"a":{entry("F64", "[4294967296,0,4294967296]", "[0,0]")}}}'),
    "bad_overflow_wrap": st(f'{{"a":{entry("U8", "[9223372036854775807,9223372036854775807]", "[0,1]")}}}', b"1"),
    "bad_rank": st(f'{{"a":{entry("U8", "[" + ",".join(["1"] * 100) + "]", "[0,1]")}}}', b"1"),
    "bad_float_dim": st(f'{{"a":{entry("U8", "[4.5]", "[0,4]")}}}', b"1234"),
    "bad_huge_offset": st(f'{{"a":{entry("U8", "[4]", "[0,18446744073709551615]")}}}', b"1234"),
    "bad_twice": st(f'{{"a":{entry()},"a":{entry()}}}', b"1234"),
    "bad_three_offsets": st(f'{{"a":{entry("U8", "[4]", "[0,4,4]")}}}', b"1234"),
    "bad_metadata": st('{"__metadata__":{"k":1}}'),
    "bad_array": st("[]"),
    "bad_space_first": st(" {}"),
    "bad_header_huge": st("{}", length=2**63),
    "bad_header_past_end": st("{}", length=3),
    "bad_header_zero": st("", length=0),
    "bad_header_cap": st("{}", length=100_000_001),
    "bad_dtype": st(f'{{"a":{entry("F128")}}}', b"1234"),
    "bad_deep": st('{"a":' * 3000),
    "bad_short": b"\x02\x00\x00",
    "bad_nothing": b"",
}.items():
    put("safetensors/" + name, data)


# ---- npy
def npy(header, data=b"", version=1, length=None):
    h = header.encode()
    n = len(h) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", n) + h + data


def dict_of(descr="'<f4'", order="False", shape="(1,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


for name, data in {
    "good": npy(dict_of(), b"1234"),
    "good_version3": npy(dict_of("'|b1'", "True", "(2, 2)"), b"\0\2\1\xff", 3),
    "good_python2": npy(dict_of(shape="(1L,)"), b"1234"),
    "bad_overflow": npy(dict_of(shape="(4294967296, 4294967296, 4)")),
    "bad_overflow_zero": npy(dict_of(shape="(4611686018427387904, 0, 4611686018427387904)")),
    "bad_huge": npy(dict_of(shape="(1000000000000,)"), b"1234"),
    "bad_negative": npy(dict_of(shape="(-1, -1)"), b"1234"),
    "bad_object": npy(dict_of("'|O'"), b"\x80\x04\x95"),
    "bad_records": npy(dict_of("[('a', '<f4')]"), b"1234"),
    "bad_descr": npy(dict_of("''"), b"1234"),
    "bad_header": npy(dict_of(), b"1234", length=60000),
    "bad_header_huge": npy(dict_of(), b"1234", 2, 2**32 - 1),
    "bad_zero_bytes": npy("\0" * 20, b"1234"),
    "bad_version": npy(dict_of(), b"1234", 9),
    "bad_rank": npy(dict_of(shape="(" + "1," * 200 + ")"), b"1234"),
    "bad_long": npy(dict_of(), b"12345"),
    "bad_short": npy(dict_of(), b"123"),
    "bad_nothing": b"",
}.items():
    put("npy/" + name, data)


# ---- npz
def npz(entries, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as z:
        for name, data in entries:
            z.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


array = npy(dict_of(), b"1234")
stored, deflated = npz([("a.npy", array)]), npz([("a.npy", array)], zipfile.ZIP_DEFLATED)
end = stored.rindex(b"PK\5\6")
central = stored.index(b"PK\1\2")


def patched(data, at, fmt, value):
    return data[:at] + struct.pack(fmt, value) + data[at + struct.calcsize(fmt) :]


bomb = npz([("a.npy", npy(dict_of("'|u1'", shape=f"({100 << 20},)"), bytes(100 << 20)))], zipfile.ZIP_DEFLATED)
zip64 = io.BytesIO()
np.savez(zip64, a=np.arange(3.0))
for name, data in {
    "good": stored,
    "good_deflated": deflated,
    "good_numpy": zip64.getvalue(),
    "good_none": npz([]),
    "bad_bomb": bomb,
    "bad_size": patched(deflated, deflated.index(b"PK\1\2") + 24, "<I", 2**32 - 2),
    "bad_count": patched(stored, end + 10, "<H", 60000),
    "bad_directory_size": patched(stored, end + 12, "<I", 2**31),
    "bad_directory_start": patched(stored, end + 16, "<I", 2**31),
    "bad_no_zip64": patched(stored, end + 16, "<I", 2**32 - 1),
    "bad_entry_start": patched(stored, central + 42, "<I", 2**31),
    "bad_packed_size": patched(patched(stored, central + 20, "<I", 2**30), central + 24, "<I", 2**30),
    "bad_encrypted": patched(stored, central + 8, "<H", 1),
    "bad_method": patched(stored, central + 10, "<H", 12),
    "bad_crc": patched(stored, central + 16, "<I", 1),
    "bad_not_array": npz([("readme.txt", b"hello")]),
    "bad_twice": npz([("a.npy", array), ("a.npy", array)]),
    "bad_magic": b"PK" + bytes(40),
    "bad_nothing": b"",
}.items():
    put("npz/" + name, data)

# ---- json
for name, data in {
    "good": '{"a": [1, -2.5e3, true, null, "x\\u00e9\\ud83d\\ude00"], "b": {"c": {}}}',
    "good_big": "[9223372036854775807, -9223372036854775808, 18446744073709551616, 5e-324]",
    "good_depth": "[" * 64 + "]" * 64,
    "bad_depth": "[" * 65 + "]" * 65,
    "bad_deeper": "[" * 500000,
    "bad_objects": '{"":' * 50000,
    "bad_twice": '{"a":1,"a":2}',
    "bad_number": "1e999",
    "bad_utf8": b'"\xc3\x28"',
    "bad_surrogate": '"\\ud800x"',
    "bad_zero": b"[1,\0]",
    "bad_trailing": "{} {}",
    "bad_nothing": "",
}.items():
    put("json/" + name, data)

# ---- yaml
laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
for i in range(1, 10):
    b, a = chr(97 + i), chr(96 + i)
    laughs += f"{b}: &{b} [" + ",".join([f"*{a}"] * 10) + "]\n"
for name, data in {
    "good": "lr: 0.1\nsizes: [1, 2]\nname: 'x'\nnested: {a: {b: [~, .inf, .nan, 0x1f]}}\n",
    "good_anchor": "a: &a {x: 1}\nb: [*a, *a]\n",
    "good_block": "a: |\n  text\n  more\nb: >-\n  folded\n  text\n- odd: 1\n".replace("- odd", "odd"),
    "good_nothing": "",
    "bad_laughs": laughs,
    "bad_self": "&a [*a]",
    "bad_alias": "a: *nothing",
    "bad_depth": "[" * 40 + "]" * 40,
    "bad_deeper": "[" * 100000,
    "bad_maps": "{a: " * 50000,
    "bad_dashes": "- " * 50000,
    "bad_questions": "? " * 50000,
    "bad_indent": "".join(" " * i + "a:\n" for i in range(300)),
    "bad_tag": "!!python/object/apply:os.system ['true']",
    "bad_key": "? {a: 1}\n: 2",
    "bad_twice": "a: 1\na: 2",
    "bad_documents": "a: 1\n---\nb: 2",
    "bad_zero": b"a: \0",
    "bad_latin1": b"a: caf\xe9",
    "bad_utf16": "a: 1".encode("utf-16"),
    "good_bom": b"\xef\xbb\xbfa: 1",
    "bad_tab": "a:\n\t- b",
    "bad_quote": "a: 'x",
}.items():
    put("yaml/" + name, data)

# ---- events (messages too: the target frames its input itself)
for name, data in {
    "good_nothing": b"",
    "good_message": b"\x09" + struct.pack("<d", 1.5) + b"\x10\x07\x2a\x0a\x0a\x08\x0a\x01a\x15\0\0\x80?",
    "bad_length_huge": struct.pack("<Q", 2**63) + bytes(8),
    "bad_field_past_end": b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "bad_varint": b"\x10" + b"\xff" * 11,
    "bad_group": b"\x0b\x0c",
    "bad_histogram": b"\x2a\x0e\x0a\x0c\x2a\x0a\x32\x08" + bytes(8),
}.items():
    put("events/" + name, data)

# ---- tar
PICTURE = b"P5 2 1 255\n\x10\x20"


def tar(entries, form=tarfile.USTAR_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as t:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return buffer.getvalue().rstrip(b"\0") + bytes(512)


def header_with(data, at, field):
    head = bytearray(data[:512])
    head[at : at + len(field)] = field
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data[512:]


one = tar([("a/1.pgm", PICTURE)])
one = one[:512] + one[512:].ljust(512, b"\0")
for name, data in {
    "good": one,
    "good_long": tar([("a/" + "x" * 150 + ".pgm", PICTURE)], tarfile.GNU_FORMAT),
    "good_pax": tar([("a/" + "x" * 150 + ".pgm", PICTURE)], tarfile.PAX_FORMAT),
    "good_nested": tar([("n01.tar", tar([("1.pgm", PICTURE)]))]),
    "good_base256": header_with(one, 124, b"\x80" + bytes(10) + bytes([len(PICTURE)])),
    "bad_huge": header_with(one, 124, b"\x80\0\0\0" + b"\xff" * 8),
    "bad_octal": header_with(one, 124, b"777777777777"),
    "bad_size": header_with(one, 124, b"9"),
    "bad_checksum": one[:3] + b"z" + one[4:],
    "bad_no_class": tar([("1.pgm", PICTURE)]),
    "bad_no_picture": tar([("a/readme", b"x")]),
    "bad_nothing": b"",
}.items():
    put("tar/" + name, data)

# ---- gzip
packed = gzip.compress(b"nacre" * 20, mtime=0)
for name, data in {
    "good": packed,
    "good_two": packed + packed,
    "good_zlib": zlib.compress(b"nacre"),
    "bad_bomb": gzip.compress(bytes(2 << 20), mtime=0),
    "bad_crc": packed[:-8] + b"\0\0\0\1" + packed[-4:],
    "bad_cut": packed[:-9],
    "bad_nothing": b"",
}.items():
    put("gzip/" + name, data)

# ---- transforms
for name, data in {
    "good": "resize(8)|hflip|normalize(mean=[0.5,0.4,0.3],std=0.2)",
    "good_words": "pad(2,border=reflect)|hflip",
    "good_nothing": "",
    "bad_step": "explode(3)",
    "bad_number": "resize(1e99)",
    "bad_nan": "normalize(mean=nan,std=1)",
    "bad_twice": "resize(8,size=8)",
    "bad_open": "resize(",
}.items():
    put("transform/" + name, data)

# ---- schemas of tables
columns = [{"name": "age"}, {"name": "colour", "categories": ["blue", "red"]}]
for name, data in {
    "good": json.dumps({"columns": columns, "target": 1, "regression": False}),
    "good_no_target": json.dumps({"columns": columns, "target": -1, "regression": True}),
    "good_none": json.dumps({"columns": [], "target": -1, "regression": False}),
    "bad_target": json.dumps({"columns": columns, "target": 2, "regression": False}),
    "bad_huge": json.dumps({"columns": columns, "target": 2**32, "regression": False}),
    "bad_column": json.dumps({"columns": [1], "target": -1, "regression": False}),
    "bad_list": "[]",
}.items():
    put("schema/" + name, data)


# ---- graphs (the target has the constants c0, c1, c2)
def graph(nodes, outputs, inputs=((2, 3),)):
    inputs = [{"dtype": "f32", "shape": list(s)} for s in inputs]
    return json.dumps({"inputs": inputs, "nodes": nodes, "outputs": outputs}, separators=(",", ":"))


def node(op, *inputs, **attrs):
    n = {"op": op, "in": [list(i) for i in inputs]}
    return {**n, "attrs": attrs} if attrs else n


x, c = [0, 0], {"constant": "c0"}
body = json.loads(graph([node("tanh", x)], [[1, 0]], [(3,)]))
scan = {"carries": 1, "xs": 0, "length": 3}
nested = body
for _ in range(20):
    nested = {"inputs": [], "nodes": [node("scan", body=nested)], "outputs": []}
for name, data in {
    "good": graph([c, node("add", x, [1, 0]), node("tanh", [2, 0])], [[3, 0]]),
    "good_scan": graph([node("scan", x, body=body, **scan)], [[1, 0]], [(3,)]),
    "good_nothing": graph([], []),
    "bad_no_body": graph([node("scan", x, **scan)], [[1, 0]], [(3,)]),
    "bad_no_branch": graph([{"constant": "c2"}, node("cond", [1, 0])], []),
    "bad_few_inputs": graph([node("add", x)], [[1, 0]]),
    "bad_no_inputs": graph([node("tanh")], [[1, 0]]),
    "bad_later": graph([node("tanh", [1, 0])], [[1, 0]]),
    "bad_output": graph([], [[0, 1]]),
    "bad_op": graph([node("explode", x)], [[1, 0]]),
    "bad_constant": graph([{"constant": "c9"}], [[1, 0]]),
    "bad_shape": graph([], [x], [(-1, 3)]),
    "bad_overflow": graph([], [x], [(1 << 40, 1 << 40)]),
    "bad_rank": graph([], [x], [(1,) * 5000]),
    "bad_attribute": graph([node("transpose", x, dims=[0, 7])], [[1, 0]]),
    "bad_type": graph([node("leaky_relu", x, slope="steep")], [[1, 0]]),
    "bad_outputs": graph([node("checkpoint", x, outputs=1 << 60, inputs=1)], [[1, 0]]),
    "bad_negative_outputs": graph([node("checkpoint", x, outputs=-1, inputs=1)], [[1, 0]]),
    "bad_nested": graph([node("scan", body=nested)], []),
    "bad_nothing": "",
}.items():
    put("graph/" + name, data)

# ---- the metadata of models
meta = {"format": "nacre-model-1", "model": "logistic_regression", "options": "in=3 classes=2",
        "transform": "", "classes": '["a","b"]', "input": "[3]"}
for name, changes in {
    "good": {},
    "good_extra": {"accuracy": "0.9"},
    "bad_format": {"format": "nacre-model-2"},
    "bad_model": {"model": "logistic_regresion"},
    "bad_options": {"options": "in=4 classes=2"},
    "bad_huge": {"options": "in=9223372036854775807 classes=9223372036854775807"},
    "bad_negative": {"options": "in=-3 classes=-2"},
    "bad_zero": {"options": "in=0 classes=0"},
    "bad_classes": {"classes": "{}"},
    "bad_input": {"input": "[3.5]"},
    "bad_depth": {"model": "mlp", "options": "hidden=" + "-".join(["9"] * 500)},
}.items():
    put("model/" + name, json.dumps({**meta, **changes}))

# ---- what of a training checkpoint is another than that of the run
for name, changes in {
    "good": {},
    "good_later": {"position": {"epoch": 3, "batch": 1, "steps": 12, "optimizer_steps": 6, "seen": ["17", "18446744073709551615"],
                                "history": [[0, 1, 0.5, "NaN", "NaN", 0.001, 2], [1, 2, 0.4, 0.3, 1, 0.001, 2]]}},
    "good_rate": {"position": {"schedule": [0.01, "Infinity", 2], "best_loss": 0.25, "parts": 0}},
    "bad_format": {"metadata": {"format": "nacre-checkpoint-2"}},
    "bad_no_position": {"metadata": {"position": None}},
    "bad_position": {"metadata": {"position": "[]"}},
    "bad_model": {"metadata": {"model": "mlp"}},
    "bad_fingerprint": {"position": {"fingerprint": "1"}},
    "bad_negative": {"position": {"epoch": -1}},
    "bad_huge": {"position": {"steps": 2**62}},
    "bad_parts": {"position": {"parts": 2}},
    "bad_values": {"position": {"optimizer_values": 3}},
    "bad_seen": {"position": {"seen": ["-1"]}},
    "bad_history": {"position": {"history": [[0, 1]]}},
    "bad_schedule": {"position": {"schedule": [1]}},
    "bad_schedule_count": {"position": {"schedule": [0.1, 1, 1e300]}},
    "bad_schedule_rate": {"position": {"schedule": ["NaN", 1, 0]}},
    "bad_no_weight": {"tensors": {"model/fc.weight": None}},
    "bad_stranger": {"tensors": {"optimizer/exp_avg.w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}},
    "bad_text": {"metadata": {"options": 1}},
    "bad_nothing": None,
}.items():
    put("checkpoint/" + name, "" if changes is None else json.dumps(changes, separators=(",", ":")))


# ---- wav
def chunk(name, data, size=None):
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def wav(*chunks):
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(code=1, channels=1, rate=8000, bits=16, block=None, extra=b""):
    block = channels * bits // 8 if block is None else block
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate % 2**32, 0, block, bits) + extra)


pcm = struct.pack("<4h", 0, 1000, -1000, 32767)
extension = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + bytes(14)
for name, data in {
    "good": wav(fmt(), chunk(b"data", pcm)),
    "good_8": wav(fmt(bits=8), chunk(b"data", b"\0\x80\xff")),
    "good_24": wav(fmt(channels=2, bits=24), chunk(b"data", bytes(range(12)))),
    "good_float": wav(fmt(3, bits=32), chunk(b"data", struct.pack("<2f", 0.5, -2))),
    "good_extensible": wav(fmt(0xFFFE, extra=extension), chunk(b"data", pcm)),
    "good_chunks": wav(chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", b"1234"), chunk(b"data", pcm), chunk(b"id3 ", b"x")),
    "good_stream": wav(fmt(), chunk(b"data", pcm + b"x", 2**32 - 1)),
    "good_rate": wav(fmt(rate=1), chunk(b"data", pcm)),
    "bad_truncated": wav(fmt(), chunk(b"data", pcm, 100)),
    "bad_huge": wav(fmt(), chunk(b"data", pcm, 2**32 - 2)),
    "bad_half": wav(fmt(), chunk(b"data", pcm + b"x")),
    "bad_empty": wav(fmt(), chunk(b"data", b"")),
    "bad_no_data": wav(fmt()),
    "bad_no_format": wav(chunk(b"data", pcm)),
    "bad_format_short": wav(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", pcm)),
    "bad_format_huge": wav(chunk(b"fmt ", b"\1\0\1\0", 2**31), chunk(b"data", pcm)),
    "bad_channels": wav(fmt(channels=0), chunk(b"data", pcm)),
    "bad_channels_many": wav(fmt(channels=4000), chunk(b"data", pcm)),
    "bad_rate": wav(fmt(rate=0), chunk(b"data", pcm)),
    "bad_rate_huge": wav(fmt(rate=2**32 - 1), chunk(b"data", pcm)),
    "bad_block": wav(fmt(block=0), chunk(b"data", pcm)),
    "bad_block_wrap": wav(fmt(channels=64, bits=32, block=1), chunk(b"data", pcm)),
    "bad_bits": wav(fmt(bits=0), chunk(b"data", pcm)),
    "bad_bits_odd": wav(fmt(bits=12), chunk(b"data", pcm)),
    "bad_mu_law": wav(fmt(7, bits=8), chunk(b"data", pcm)),
    "bad_mp3": wav(fmt(0x55, bits=0), chunk(b"data", pcm)),
    "bad_nan": wav(fmt(3, bits=32), chunk(b"data", struct.pack("<2f", 0.5, float("nan")))),
    "bad_infinite": wav(fmt(3, bits=64), chunk(b"data", struct.pack("<d", 1e300))),
    "bad_chunk_huge": wav(chunk(b"LIST", b"abcd", 2**32 - 1), fmt(), chunk(b"data", pcm)),
    "bad_no_chunks": wav(),
    "bad_big_endian": b"RIFX" + wav(fmt(), chunk(b"data", pcm))[4:],
    "bad_avi": wav(fmt(), chunk(b"data", pcm)).replace(b"WAVE", b"AVI "),
    "bad_nothing": b"",
}.items():
    put("wav/" + name, data)
