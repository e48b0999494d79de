"""Makes inference programs of PaddlePaddle and what it computes with them itself: <name>.pdmodel, <name>.pdiparams, a folder with
__model__ and a file for each variable, and inputs and outputs in <name>_paddle.npz. Needs paddlepaddle (3.3.1), which writes
programs of this kind with FLAGS_enable_pir_api=0.
"""
import os
import shutil

os.environ["FLAGS_enable_pir_api"] = "0"
import numpy as np
import paddle
from paddle import nn, static
from paddle.base.proto import framework_pb2
from paddle.nn import functional as F

os.chdir(os.path.dirname(os.path.abspath(__file__)))
paddle.enable_static()
rng = np.random.RandomState(8)


def bare(path):
    """Takes away where in Python each operator was made."""
    program = framework_pb2.ProgramDesc()
    with open(path, "rb") as f:
        program.ParseFromString(f.read())
    for op in program.blocks[0].ops:
        kept = [a for a in op.attrs if a.name != "op_callstack"]
        del op.attrs[:]
        op.attrs.extend(kept)
    with open(path, "wb") as f:
        f.write(program.SerializeToString())


def legacy(kind, inputs, attrs, more=(), dtype="float32"):
    """An operator that only older programs have."""
    block = static.default_main_program().global_block()
    out = block.create_var(dtype=dtype)
    others = {name: [block.create_var(dtype="uint8")] for name in more}
    block.append_op(type=kind, inputs=inputs, outputs={"Out": [out], **others}, attrs=attrs)
    return out


def of(kind, x):
    """What this version gives no form for in programs of the old kind."""
    return legacy(kind, {"X": [x]}, {})


def pictures(x):
    y = F.relu(nn.BatchNorm2D(8)(nn.Conv2D(3, 8, 3, stride=2, padding=1)(x)))
    y = F.hardswish(nn.Conv2D(8, 8, 3, padding=1, groups=8, bias_attr=False)(y))
    s = F.hardsigmoid(nn.Conv2D(8, 8, 1)(F.relu6(F.adaptive_avg_pool2d(y, 1))))
    y = F.swish(y * s)
    p = F.max_pool2d(y, 3, 2, 0, ceil_mode=True)
    a = F.avg_pool2d(y, 3, 2, 1, exclusive=True)
    y = paddle.concat([p, F.leaky_relu(a, 0.1)], 1)
    u = F.interpolate(y, scale_factor=2, mode="nearest") + nn.Conv2DTranspose(16, 16, 4, 2, 1, groups=2)(y)
    b = F.interpolate(y, size=[8, 6], mode="bilinear") - F.interpolate(y, size=[8, 6], mode="bilinear", align_corners=True)
    c = F.interpolate(y, size=[8, 6], mode="bilinear", align_mode=1)
    y = F.pad(u, [1, 0, 0, 1], value=0.5)[:, :, :8, :6] + b * c
    h, w = paddle.split(nn.PReLU(16)(y), 2, 1)
    y = legacy("gelu", {"X": [h]}, {"approximate": False}) * of("tanh", w) + of("sigmoid", F.elu(w)) * 2.0 - 1
    y = nn.Conv2D(8, 6, (3, 1), padding=[1, 1, 0, 0])(F.pad(y, [1, 1, 1, 1], mode="reflect"))
    y = paddle.squeeze(F.max_pool2d(F.adaptive_avg_pool2d(y, [2, 2]), 2), [2, 3])
    y = legacy("dropout", {"X": [y]}, {"dropout_prob": 0.25, "is_test": True}, ["Mask"])
    y = legacy("mul", {"X": [y], "Y": [static.create_parameter([6, 5], "float32")]}, {"x_num_col_dims": 1, "y_num_col_dims": 1})
    y = legacy("elementwise_add", {"X": [y], "Y": [static.create_parameter([5], "float32")]}, {"axis": 1})
    return [F.softmax(y), legacy("arg_max", {"X": [y]}, {"axis": 1, "keepdims": False, "flatten": False, "dtype": 3}, dtype="int64")]


def texts(ids):
    y = nn.Embedding(11, 8, padding_idx=3)(ids)
    y = nn.LayerNorm(8)(y + nn.Embedding(6, 8)(paddle.unsqueeze(paddle.cast(ids > 4, "int64"), [0])[0]))
    q = paddle.transpose(paddle.reshape(nn.Linear(8, 24)(y), [0, 0, 3, 2, 4]), [2, 0, 3, 1, 4])
    a = F.softmax(legacy("matmul_v2", {"X": [q[0]], "Y": [q[1]]}, {"trans_x": False, "trans_y": True}) * 0.5, axis=-1)
    y = y + paddle.reshape(paddle.transpose(legacy("matmul", {"X": [a], "Y": [q[2]]}, {"alpha": 1.5}), [0, 2, 1, 3]), [0, 0, 8])
    y = paddle.stack([y, paddle.clip(of("exp", -of("abs", y)), 0.1, 0.9)], 1)
    y = paddle.flatten(y, 1, 2)
    n = paddle.cast(paddle.shape(ids)[1], "float32")
    m = paddle.mean(y, 1) + paddle.max(y, [1]) / n
    return [legacy("reduce_sum", {"X": [m * m]}, {"dim": [-1], "keep_dim": True}) + paddle.full([1], 2.0), of("sqrt", of("square", m) + 1.0)]


for name, net, spec, x in [
    ("paddle_pictures", pictures, [-1, 3, 15, 11], rng.randn(2, 3, 15, 11).astype("f4")),
    ("paddle_texts", texts, [-1, 6], rng.randint(0, 11, (2, 6)).astype("i8")),
]:
    main, start = static.Program(), static.Program()
    with static.program_guard(main, start):
        data = static.data("x", spec, str(x.dtype))
        outs = net(data)
    for op in main.global_block().ops:
        if op.has_attr("is_test"):
            op._set_attr("is_test", True)
    exe = static.Executor(paddle.CPUPlace())
    scope = static.Scope()
    with static.scope_guard(scope):
        exe.run(start)
        for p in main.global_block().all_parameters():
            v = rng.rand(*p.shape) + 0.5 if p.name.endswith(".w_2") else rng.randn(*p.shape) * 0.4  # w_2: a variance
            scope.find_var(p.name).get_tensor().set(v.astype("f4"), paddle.CPUPlace())
        y = exe.run(main.clone(for_test=True), feed={"x": x}, fetch_list=outs)
        static.save_inference_model(name, [data], outs, exe, program=main)
        bare(name + ".pdmodel")
        if name == "paddle_texts":  # the form of the first versions
            shutil.rmtree("paddle_folder", ignore_errors=True)
            program, _, _ = static.load_inference_model(name, exe)
            os.makedirs("paddle_folder")
            static.io.save_vars(exe, "paddle_folder", program, predicate=lambda v: v.persistable and v.name not in ("feed", "fetch"))
            shutil.copy(name + ".pdmodel", "paddle_folder/__model__")
    print(name, [(v.shape, np.abs(v).max()) for v in y], sorted({op.type for op in main.global_block().ops}))
    np.savez(name + ".npz", x=x, **{f"y{k or ''}": v for k, v in enumerate(y)})
