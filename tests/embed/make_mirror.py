"""Makes mirror.onnx: a network that hands its input through, with a transform for pictures and clips."""
import os

import onnx
from onnx import TensorProto, helper

steps = (
    "audio_rate(8000)|audio_length(3000)|log_mel(mels=20,window=256,hop=100,pictures=pass)|"
    "to_channels(1)|resize(16)|normalize(mean=0.4,std=0.3)"
)
graph = helper.make_graph(
    [helper.make_node("Flatten", ["x"], ["y"])],
    "mirror",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 16, 16])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 256])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
model.ir_version = 8
helper.set_model_props(model, {"nacre.model": "mirror", "nacre.transform": steps})
onnx.save(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "mirror.onnx"))
