"""A workload in PyTorch: bench/workloads/<name>.py holds its arithmetic.

Variants: eager, channels_last, compile, compile_channels_last, and f64 for the reference. In bf16
inference has the whole model in that type, training is by autocast."""

import importlib.util
import inspect
import json
import os
import struct
import sys

import numpy
import torch

import common


class Peer:
    """What a workload is made with."""

    def __init__(self, options):
        self.options = options
        self.mode, self.batch, self.model = options.mode, options.batch, options.model
        self.training = options.mode == "train"
        self.reference = options.variant == "f64"
        self.dtype = torch.float64 if self.reference else torch.float32
        self.bf16 = options.precision == "bf16" and not self.reference
        self.channels_last = "channels_last" in options.variant
        self.compiles = "compile" in options.variant

    def array(self, name):
        """An array that nacre worked on too."""
        t = torch.from_numpy(numpy.load(os.path.join(self.options.values, name + ".npy")))
        if t.is_floating_point():
            t = t.to(self.dtype)
        if self.channels_last and t.dim() == 4:
            t = t.contiguous(memory_format=torch.channels_last)
        return t

    def load(self, net):
        """Gives a module nacre's parameters, type and mode."""
        path = os.path.join(self.options.values, "model.safetensors")
        data = numpy.memmap(path, mode="r")
        size = struct.unpack("<Q", data[:8].tobytes())[0]
        state = {}
        for name, entry in json.loads(data[8:8 + size].tobytes()).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}"
                values = numpy.frombuffer(data[8 + size + begin:8 + size + end], numpy.float32)
                state[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
        missing, unexpected = net.load_state_dict(state, strict=False)
        missing = [m for m in missing if not m.endswith("num_batches_tracked")]
        assert not missing and not unexpected, f"weights missing {missing}, unexpected {unexpected}"
        net = net.to(self.dtype).train(self.training)
        return net.to(memory_format=torch.channels_last) if self.channels_last else net

    def compiled(self, function):
        return torch.compile(function) if self.compiles else function

    def optimizer(self, kind, parameters, **settings):
        """With the fused form, the fastest that PyTorch has; old ones have it for GPUs alone."""
        if not self.reference:
            fused = "fused" in inspect.signature(torch.optim.SGD).parameters
            settings["fused" if fused else "foreach"] = True
        return kind(parameters, **settings)

    def training_step(self, net, loss):
        optimizer = self.optimizer(torch.optim.SGD, net.parameters(), lr=1e-3, momentum=0.9)
        if self.bf16:
            loss = torch.autocast("cpu", torch.bfloat16)(loss)
        loss = self.compiled(loss)

        def run():
            optimizer.zero_grad(set_to_none=True)
            value = loss()
            value.backward()
            optimizer.step()
            return value.detach()

        return run

    def inference(self, net, x):
        if self.bf16:
            net, x = net.bfloat16(), x.bfloat16()
        net = self.compiled(net.eval())

        def run():
            with torch.inference_mode():
                return net(x)

        return run


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("workload", help="name of a file of bench/workloads")
    parser.add_argument("--model", default="", help="of the zoo")
    parser.add_argument("--mode", default="infer", choices=["infer", "train"])
    parser.add_argument("--variant", default="eager")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "workloads", options.workload + ".py")
    spec = importlib.util.spec_from_file_location("workload", path)
    workload = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(workload)
    peer = Peer(options)
    common.measure(workload.make(peer), options, peer.reference)


if __name__ == "__main__":
    sys.exit(main())
