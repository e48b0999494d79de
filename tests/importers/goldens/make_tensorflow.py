"""Small networks as frozen GraphDefs and TFLite files, with what TensorFlow and TFLite compute.

  pip install tensorflow-cpu==2.21.0 && python make_tensorflow.py

A .npz holds the inputs by name (x, or ids) and the outputs as y0, y1, ... in the order of the file.
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

os.chdir(os.path.dirname(os.path.abspath(__file__)))
L = tf.keras.layers
rng = np.random.default_rng(3)
tf.keras.utils.set_random_seed(3)


def vary(model):
    """Statistics and scales that are not those of a fresh model."""
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            n = layer.moving_mean.shape[0]
            layer.set_weights([rng.uniform(0.5, 1.5, n), rng.normal(0, 0.2, n), rng.normal(0, 0.2, n), rng.uniform(0.5, 2, n)])
    return model


def vision():
    """Depthwise convolutions, normalisation, a residual, squeeze and excitation, pools, unequal padding."""
    x = i = L.Input((20, 17, 3), name="x")
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    x = r = L.ReLU(6.0)(x)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = L.Activation("swish")(x)
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(4, 1, activation="relu")(s)
    s = L.Conv2D(16, 1, activation="sigmoid")(s)
    x = L.Multiply()([x, s])
    x = L.Conv2D(8, 1)(x)
    x = L.Add()([x, r])
    x = L.Concatenate()([L.MaxPooling2D(3, 2, padding="same")(x), L.AveragePooling2D(3, 2, padding="same")(x)])
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = L.Conv2D(12, 3, strides=2, activation="elu", groups=2)(x)
    x = L.Flatten()(x)
    return vary(tf.keras.Model(i, L.Dense(5, activation="softmax")(x))), (2, 20, 17, 3)


def mlp():
    x = i = L.Input((7,), name="x")
    x = L.Dense(40, activation="tanh")(x)
    x = L.LayerNormalization()(x)
    x = L.Dense(32, activation="gelu")(x)
    x = L.Dense(8, activation="selu")(x)
    x = L.LeakyReLU()(x)
    return tf.keras.Model(i, L.Dense(3)(x)), (3, 7)


def text():
    """An embedding, positions, attention of two heads, a mean over words."""
    i = L.Input((6,), dtype="int32", name="ids")
    x = L.Embedding(20, 8)(i)
    x = x + L.Embedding(6, 8)(tf.range(6))
    a = L.MultiHeadAttention(2, 4)(x, x)
    x = L.LayerNormalization()(x + a)
    x = x + L.Dense(8)(L.Dense(16, activation="relu")(x))
    x = L.GlobalAveragePooling1D()(x)
    return tf.keras.Model(i, L.Dense(4, activation="softmax")(x)), (2, 6)


def unet():
    """Down, up again by transposed convolutions and by resizing, one score for each pixel."""
    x = i = L.Input((16, 12, 2), name="x")
    x = a = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = L.MaxPooling2D()(x)
    x = b = L.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")(x)
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Conv2DTranspose(6, 3, strides=2, padding="same")(x)
    x = L.Concatenate()([x, b])
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.Concatenate()([x, a])
    x = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = L.Conv2DTranspose(3, 2, strides=2, padding="valid")(L.UpSampling2D(1)(x))
    x = L.Cropping2D(((1, 0), (2, 3)))(x)
    return tf.keras.Model(i, L.Softmax()(x)), (1, 16, 12, 2)


def freeze(model, dtype):
    spec = tf.TensorSpec((None, *model.input.shape[1:]), dtype, name=model.input.name)
    f = convert_variables_to_constants_v2(tf.function(lambda x: model(x, training=False)).get_concrete_function(spec))
    return f


def as_inputs(shape, name):
    if name == "ids":
        return rng.integers(0, 20, shape).astype(np.int32)
    return rng.normal(0, 1, shape).astype(np.float32)


class Ops(tf.Module):
    """Operators that layers do not make."""

    def __init__(self):
        self.w = tf.constant(rng.normal(0, 0.3, (3, 3, 3, 4)).astype(np.float32))

    def pictures(self, x):
        n = tf.shape(x)[0]
        y = tf.nn.conv2d(tf.transpose(x, [0, 1, 2, 3]), self.w, 2, "SAME")
        back = tf.nn.conv2d_transpose(y, tf.constant(rng.normal(0, 0.3, (3, 3, 2, 4)).astype(np.float32)),
                                      tf.stack([n, tf.shape(x)[1], tf.shape(x)[2], 2]), 2, "SAME")
        atrous = tf.batch_to_space(
            tf.nn.conv2d(tf.space_to_batch(x, [2, 3], [[2, 3], [1, 3]]), self.w, 1, "VALID"), [2, 3], [[0, 1], [1, 0]])
        small = tf.compat.v1.image.resize_bilinear(x, (4, 5), align_corners=True)
        raw = tf.compat.v1.image.resize_bilinear(x, (9, 7))
        near = tf.compat.v1.image.resize_nearest_neighbor(x, (5, 13), align_corners=True)
        half = tf.image.resize(x, tf.shape(x)[1:3] * 2, "nearest")
        lrn = tf.nn.lrn(x, 1, 1.5, 0.3, 0.6)
        deep = tf.nn.space_to_depth(x[:, :8, 1:9], 2)
        flat = tf.nn.depth_to_space(tf.concat([deep, deep[..., :4]], -1), 4)
        mirror = tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], "REFLECT")
        filled = tf.pad(x, [[0, 0], [2, 1], [0, 3], [1, 0]], constant_values=1.5)
        y = y + tf.nn.conv2d(y, tf.constant(rng.normal(0, 0.3, (3, 3, 2, 4)).astype(np.float32)), 1, "SAME")
        best = tf.argmax(y, -1, output_type=tf.int32)
        mean, var = tf.nn.moments(y, [1, 2])
        stats = tf.concat([mean, var, tf.reduce_max(y, [1, 2]), tf.reduce_prod(y, [1, 2])], 1)
        grey = tf.reduce_sum(y, -1, keepdims=True) * y + tf.reduce_min(y, [0, 3], keepdims=True)
        first = tf.transpose(tf.nn.relu(y), [0, 3, 1, 2])
        return back, atrous, small, raw, near, half, lrn, deep, flat, mirror, filled, best, stats, grey, first

    def vectors(self, x, lite=False):
        n = tf.shape(x)[0]
        a, b, c = tf.split(x, [2, 3, 1], 1)
        rows = tf.unstack(b, axis=1)
        picked = tf.gather(x, tf.constant([2, 0]), axis=1)
        hot = tf.one_hot(tf.cast(tf.abs(x[:, 0]) * 3 - 1, tf.int32), 4, on_value=2.0, off_value=-1.0)
        slices = tf.concat([x[::-1, 4:1:-2], x[:, -1:], x[:, tf.newaxis, 2], tf.slice(x, [0, 1], [-1, 2])], 1)
        dynamic = x[:, : tf.shape(x)[1] - 2]
        masked = tf.where(x > 0.5, x, tf.math.squared_difference(x, 0.25)) + tf.where(tf.logical_and(x > 0, x <= 1), 1.0, 0.0)
        table = tf.tile(tf.range(3.0)[tf.newaxis], [n, 2]) + tf.fill([n, 6], 0.5)
        maths = (tf.math.rsqrt(tf.square(x) + 1) + tf.math.log(tf.exp(-x) + 1) + (tf.nn.gelu(x) if lite else tf.math.erf(x)) + tf.math.floormod(x, 0.7)
                 + tf.math.maximum(x, 0.1) ** 1.5 + tf.math.softplus(x) - tf.math.sqrt(tf.abs(x)) / 3 + tf.math.minimum(x, 0))
        product = tf.linalg.matmul(tf.stack([x, x * 2], 1), tf.stack([x, -x], 1), transpose_b=True)
        ein = tf.einsum("bi,bj->bij", a, b)
        whole = tf.cast(tf.reduce_all(x > -3, 1), tf.float32)
        odd = tf.cast(tf.cast(x * 10, tf.int32) // 3 % 4, tf.float32)
        top, at = tf.math.top_k(x, 2)
        summed = tf.cumsum(x, 1) + tf.nn.log_softmax(x)
        places = tf.where(tf.reduce_any(x > 1, 1))
        found = tf.gather_nd(x, tf.constant([[0, 1], [2, 3]]))
        return (c, rows[1], picked, hot, slices, dynamic, masked, table, maths, product, ein, whole, odd, top, at, summed,
                places, found, tf.squeeze(tf.expand_dims(x, 1), [1]), tf.broadcast_to(c, [n, 3]))


def interpret(path, x):
    run = tf.lite.Interpreter(path, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    i = run.get_input_details()[0]
    run.resize_tensor_input(i["index"], x.shape)
    run.allocate_tensors()
    if i["dtype"] == np.int8:
        scale, zero = i["quantization"]
        x = np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)
    run.set_tensor(i["index"], x)
    run.invoke()
    outs = {"out:" + d["name"]: run.get_tensor(d["index"]) for d in run.get_output_details()}
    np.savez(path.replace(".tflite", "_tflite.npz"), **{i["name"]: x}, **outs)


def write_lite(name, function, samples, kinds=("float", "int8")):
    """As TFLite: of floats, with weights of 8 bits, all of 8 bits."""
    for kind in kinds:
        c = tf.lite.TFLiteConverter.from_concrete_functions([function])
        if kind != "float":
            c.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "int8":
            c.representative_dataset = lambda: ([s] for s in samples)
            c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            if samples[0].dtype == np.float32:
                c.inference_input_type = tf.int8
            c.inference_output_type = tf.int8
        path = f"{name}_{kind}.tflite"
        with open(path, "wb") as f:
            f.write(c.convert())
        interpret(path, samples[0])


def write_graph(name, f, inputs):
    tf.io.write_graph(f.graph, ".", name + ".pb", as_text=False)
    outs = [np.asarray(o) for o in f(**{k: tf.constant(v) for k, v in inputs.items()})]
    # Outputs by the names of the nodes that make them.
    names = [t.name.split(":")[0] for t in f.outputs]
    np.savez(name + "_pb.npz", **inputs, **{"out:" + n: o for n, o in zip(names, outs)})
    return outs


def main():
    models = {"tf_vision": vision(), "tf_mlp": mlp(), "tf_text": text(), "tf_unet": unet()}
    for name, (model, shape) in models.items():
        key = model.input.name
        x = as_inputs(shape, key)
        f = freeze(model, model.input.dtype)
        write_graph(name, f, {f.inputs[0].name.split(":")[0]: x})
        samples = [x] + [as_inputs(shape, key) for _ in range(20)]
        write_lite(name, f, samples, ("float", "weights", "int8") if name == "tf_mlp" else ("float", "int8"))
    ops = Ops()
    for name, function, shape in (("tf_pictures", ops.pictures, (2, 9, 11, 3)), ("tf_vectors", ops.vectors, (4, 6))):
        spec = tf.TensorSpec((None, *shape[1:]), tf.float32, name="x")
        f = convert_variables_to_constants_v2(tf.function(function).get_concrete_function(spec))
        x = as_inputs(shape, "x")
        write_graph(name, f, {"x": x})
        if name == "tf_vectors":  # TFLite has no Erf
            f = convert_variables_to_constants_v2(tf.function(lambda x: ops.vectors(x, True)).get_concrete_function(spec))
        write_lite(name, f, [x] + [as_inputs(shape, "x") for _ in range(5)], ("float",))


if __name__ == "__main__":
    main()
