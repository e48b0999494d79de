"""Makes the GGUF files of this folder with the package gguf of llama.cpp, which also unpacks the quantised tensors:
weights.gguf, and what they hold as f32 in weights_gguf.npz.

Plain arrays hold value i * 3 - 7 at row-major place i.
"""
import os

import gguf
import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def values(shape, dtype):
    return (np.arange(int(np.prod(shape))) * 3 - 7).reshape(shape).astype(dtype)


w = gguf.GGUFWriter("weights.gguf", "llama")
w.add_name("tiny \u00e9")
w.add_context_length(128)
w.add_float32("llama.rope.freq_base", 10000.0)
w.add_bool("tokenizer.ggml.add_bos_token", True)
w.add_array("tokenizer.ggml.tokens", ["<s>", 'a "quote"', "\u00e9"])
w.add_array("tokenizer.ggml.scores", [0.5, -1.0])
for name, dtype in [("f32", "f4"), ("f16", "f2"), ("i8", "i1"), ("i16", "i2"), ("i32", "i4"), ("i64", "i8"), ("f64", "f8")]:
    w.add_tensor("plain." + name, values((2, 3), dtype))
w.add_tensor("plain.bf16", gguf.quantize(values((2, 3), "f4"), gguf.GGMLQuantizationType.BF16),
             raw_dtype=gguf.GGMLQuantizationType.BF16)
x = np.random.default_rng(3).normal(size=(3, 64)).astype(np.float32)
unpacked = {}
for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]:
    kind = gguf.GGMLQuantizationType[name]
    packed = gguf.quantize(x, kind)
    w.add_tensor("blk.0." + name.lower(), packed, raw_dtype=kind)
    unpacked["blk.0." + name.lower()] = gguf.dequantize(packed, kind)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
np.savez_compressed("weights_gguf.npz", **unpacked)
