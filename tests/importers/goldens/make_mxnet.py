"""Makes MXNet networks and what MXNet itself computes with them: <name>-symbol.json, <name>-0003.params, and the inputs and
outputs in <name>_mxnet.npz. Needs mxnet 1.9.1, which wants Python below 3.12 and numpy below 1.24.
"""
import os

import numpy as np

np.bool = bool  # the name that mxnet 1.9.1 asks for
import mxnet as mx
from mxnet import sym

os.chdir(os.path.dirname(os.path.abspath(__file__)))
rng = np.random.RandomState(4)


def pictures():
    """What networks for pictures are made of."""
    x = sym.var("data")
    y = sym.Convolution(x, num_filter=8, kernel=(3, 3), stride=(2, 2), pad=(1, 1), name="conv0")
    y = sym.BatchNorm(y, fix_gamma=False, eps=1e-3, name="bn0")
    y = sym.Activation(y, act_type="relu", name="relu0")
    y = sym.Pooling(y, kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full", name="pool0")
    z = sym.Convolution(y, num_filter=8, kernel=(3, 3), pad=(1, 1), num_group=4, no_bias=True, name="conv1")
    z = sym.BatchNorm(z, fix_gamma=True, name="bn1")
    z = sym.LeakyReLU(z, act_type="prelu", name="prelu1")
    y = y + z * 0.5
    a, b = sym.SliceChannel(y, num_outputs=2, axis=1, name="halves")
    a = sym.LeakyReLU(a, act_type="leaky", slope=0.1)
    b = sym.LeakyReLU(sym.LeakyReLU(b, act_type="elu", slope=0.7), act_type="gelu")
    y = sym.Concat(a, b, sym.LRN(a, nsize=3, alpha=0.3, knorm=1), dim=1, name="joined")
    s = sym.Pooling(y, global_pool=True, pool_type="avg", kernel=(1, 1), name="squeeze")
    s = sym.Activation(sym.Convolution(s, num_filter=12, kernel=(1, 1), name="excite"), act_type="sigmoid")
    y = sym.broadcast_mul(y, s)
    u = sym.UpSampling(y, scale=2, sample_type="nearest", name="up")
    d = sym.Deconvolution(y, num_filter=12, kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_group=2, no_bias=False, name="deconv")
    y = sym.InstanceNorm(u + d, name="instance")
    y = sym.L2Normalization(y, mode="channel", name="l2")
    y = sym.Pad(y, mode="edge", pad_width=(0, 0, 0, 0, 1, 0, 0, 2), name="pad")
    y = sym.Pooling(y, kernel=(3, 2), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=False, name="pool1")
    y = sym.Pooling(y, kernel=(2, 2), pool_type="sum", name="pool2")
    y = sym.contrib.BilinearResize2D(y, height=5, width=4, name="resize")
    y = sym.broadcast_sub(sym.clip(y, -0.6, 0.7), sym.slice_axis(sym.softmax(y, axis=1, temperature=0.5), axis=2, begin=0, end=1))
    y = sym.FullyConnected(sym.Dropout(sym.Flatten(y)), num_hidden=9, name="fc0")
    y = sym.FullyConnected(sym.Activation(y, act_type="softrelu"), num_hidden=5, no_bias=True, name="fc1")
    return sym.SoftmaxOutput(y, name="softmax")


def shapes():
    """Elements, shapes, products, normalisation and recurrent layers."""
    x = sym.var("data", shape=(0, 4, 6, 2))
    y = sym.Reshape(x, shape=(0, -4, 2, -1, -2))  # n 2 2 6 2
    y = sym.Reshape(y, shape=(0, -3, 0, -1))
    y = sym.Reshape(sym.transpose(y, axes=(0, 2, 1, 3)), shape=(0, 0, -3))  # n 6 8
    y = sym.SwapAxis(y, dim1=1, dim2=2)
    t = sym.batch_dot(y, y, transpose_b=True)
    y = sym.Concat(y, sym.log_softmax(t, axis=-1), dim=2)
    y = sym.LayerNorm(y, name="ln")
    y = sym.FullyConnected(y, num_hidden=6, flatten=False, name="rows")
    y = sym.broadcast_add(sym.square(y) - (1 - y) / (2 + sym.abs(y)), sym.mean(y, axis=(1, 2), keepdims=True))
    y = sym.transpose(y, axes=(1, 0, 2)) * 0.1
    for mode, directions in [("lstm", True), ("gru", False), ("rnn_tanh", False)]:
        y = sym.RNN(y, state_size=3 * directions + 2, num_layers=2, mode=mode, bidirectional=directions, name=mode)
    y = sym.stack(y, sym.maximum(sym.sin(y) * 2, sym.cos(y) - 0.9), axis=1)
    y = sym.expand_dims(sym.max(y, axis=1), axis=0)
    return sym.squeeze(sym.transpose(sym.slice(y, begin=(None, 1, None), end=(None, None, None)), axes=(2, 1, 3, 0)), axis=(3,))


def texts():
    """Words to scores."""
    y = sym.Embedding(sym.var("data", shape=(0, 7)), input_dim=11, output_dim=4, name="words")
    y = sym.FullyConnected(sym.sum(y, axis=1), num_hidden=3, name="fc")
    return sym.softmax(sym.dot(y, sym.var("matrix", shape=(3, 3)), name="dot"))


for name, net, x in [
    ("pictures", pictures(), rng.randn(2, 3, 15, 13)),
    ("shapes", shapes(), rng.randn(2, 4, 6, 2)),
    ("texts", texts(), rng.randint(0, 11, (2, 7))),
]:
    x = x.astype("f4")
    arg_shapes, _, aux_shapes = net.infer_shape(data=x.shape)
    args, aux = {}, {}
    for n, s in zip(net.list_arguments(), arg_shapes):
        if n not in ("data", "softmax_label") and not n.endswith("_state") and not n.endswith("_state_cell"):
            args[n] = mx.nd.array(rng.randn(*s) * (0.3 if len(s) > 1 or "parameters" in n else 1))
    for n, s in zip(net.list_auxiliary_states(), aux_shapes):
        aux[n] = mx.nd.array(rng.rand(*s) + 0.5 if "var" in n else rng.randn(*s) * 0.3)
    bound = {n: args[n] if n in args else mx.nd.zeros(s) for n, s in zip(net.list_arguments(), arg_shapes)}
    bound["data"] = mx.nd.array(x)
    y = net.bind(mx.cpu(), bound, aux_states=aux).forward(is_train=False)[0].asnumpy()
    net.save(name + "-symbol.json")
    with open(name + "-symbol.json") as f:
        text = f.read()
    with open(name + "-symbol.json", "w") as f:
        f.write("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    mx.nd.save(name + "-0003.params", {**{"arg:" + n: a for n, a in args.items()}, **{"aux:" + n: a for n, a in aux.items()}})
    print(name, y.shape, np.abs(y).max(), np.abs(y).mean())
    np.savez(name + "_mxnet.npz", x=x, y=y)
