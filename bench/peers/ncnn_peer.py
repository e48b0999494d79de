"""Inference of model.ncnn.param by ncnn. It takes one sample at a time."""

import os

import ncnn
import numpy

import common


def main():
    options = common.arguments(__doc__).parse_args()
    x = numpy.load(os.path.join(options.values, "input.npy"))
    net = ncnn.Net()
    net.opt.num_threads = options.threads
    net.opt.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
        if hasattr(net.opt, "use_" + name):
            setattr(net.opt, "use_" + name, name.startswith(options.precision))
    base = os.path.join(options.values, "model.ncnn")
    if net.load_param(base + ".param") or net.load_model(base + ".bin"):
        raise SystemExit("ncnn does not load " + base)
    samples = [numpy.ascontiguousarray(sample) for sample in x]

    def run():
        results = []
        for sample in samples:
            with net.create_extractor() as extractor:
                extractor.input("in0", ncnn.Mat(sample))
                code, y = extractor.extract("out0")
                if code:
                    raise SystemExit(f"ncnn fails with code {code}")
                results.append(numpy.array(y))
        return numpy.stack(results)

    common.measure(run, options)


main()
