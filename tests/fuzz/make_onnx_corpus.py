"""Makes the corpus of the ONNX reader: small good models, and attacks on it. Needs numpy and onnx."""
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper

os.makedirs(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "onnx"), exist_ok=True)
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "onnx"))
F = TensorProto.FLOAT


def value(name, shape=(2,), kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs=(), outputs=(), weights=(), functions=(), opset=17):
    graph = helper.make_graph(nodes, "g", list(inputs), list(outputs), list(weights))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def put(name, m):
    with open(name, "wb") as f:
        f.write(m if isinstance(m, bytes) else m.SerializeToString())


node = helper.make_node
w = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "w")
x, y = value("x", ("n", 3)), value("y", ("n", 2))
linear = model([node("MatMul", ["x", "w"], ["y"])], [x], [y], [w])
put("good_linear", linear)
types = []
for k, (kind, a) in enumerate([(TensorProto.INT8, np.int8), (TensorProto.UINT16, np.uint16),
                               (TensorProto.FLOAT16, np.float16), (TensorProto.BOOL, bool),
                               (TensorProto.DOUBLE, np.float64), (TensorProto.INT64, np.int64)]):
    types.append(helper.make_tensor("t%d" % k, kind, [2], np.array([0, 1], a)))
types.append(helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"bc"]))
types.append(helper.make_tensor("f8", TensorProto.FLOAT8E4M3FN, [2], [0.5, 2]))
types.append(helper.make_tensor("i4", TensorProto.INT4, [3], [-8, 7, 1]))
put("good_types", model([], [], [value("t0", (2,), TensorProto.INT8)], types))
body = helper.make_graph([node("Identity", ["c"], ["c2"]), node("Add", ["a", "a"], ["b"])], "body",
                         [value("k", (), TensorProto.INT64), value("c", (), TensorProto.BOOL), value("a")],
                         [value("c2", (), TensorProto.BOOL), value("b")])
put("good_loop", model([node("Loop", ["", "", "x"], ["y"], body=body)], [value("x")], [value("y")]))
twice = helper.make_function("local", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])],
                             [helper.make_opsetid("", 17)])
put("good_function", model([node("Twice", ["x"], ["y"], domain="local")], [value("x")], [value("y")],
                           functions=[twice]))
sparse = helper.make_sparse_tensor(numpy_helper.from_array(np.ones(1, np.float32), "sp"),
                                   numpy_helper.from_array(np.array([2])), [4])
m = model([node("Identity", ["sp"], ["y"])], [], [value("y", (4,))])
m.graph.sparse_initializer.append(sparse)
put("good_sparse", m)
m.graph.sparse_initializer[0].dims[0] = 1 << 40
put("bad_sparse_gigabytes", m)
put("bad_text", b"this is no model")
put("bad_cut", linear.SerializeToString()[:-9])
put("bad_cycle", model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], [value("x")],
                       [value("b")]))
put("bad_operator", model([node("Twist", ["x"], ["y"])], [value("x")], [value("y")]))
huge = TensorProto(name="w", data_type=F, dims=[1 << 40, 1 << 40], raw_data=b"1234")
put("bad_huge", model([], [], [value("w")], [huge]))
outside = TensorProto(name="w", data_type=F, dims=[2], data_location=TensorProto.EXTERNAL)
outside.external_data.add(key="location", value="/etc/passwd")
put("bad_external", model([], [], [value("w")], [outside]))
self_call = helper.make_function("local", "F", ["a"], ["b"], [node("F", ["a"], ["b"], domain="local")],
                                 [helper.make_opsetid("", 17)])
put("bad_recursion", model([node("F", ["x"], ["y"], domain="local")], [value("x")], [value("y")],
                           functions=[self_call]))


def field(number, payload):  # protobuf itself refuses to write it
    size = bytes([len(payload)]) if len(payload) < 128 else bytes([len(payload) & 127 | 128, len(payload) >> 7])
    return bytes([number << 3 | 2]) + size + payload


inner = b""
for _ in range(70):
    inner = field(1, field(5, field(1, b"g") + field(6, inner)))
put("bad_deep", field(7, inner))
