"""Makes ncnn networks with their own tool, pnnx, from small torch networks, and what ncnn itself computes with them:
<name>.param, <name>.bin, and the inputs and outputs in <name>.npz. Needs the packages torch, ncnn and pnnx.
"""
import os
import tempfile

import ncnn
import numpy as np
import pnnx
import torch
from torch import nn
from torch.nn import functional as F

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(6)


class Vision(nn.Module):
    """What networks for pictures are made of, all of it small."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.point = nn.Conv2d(8, 12, 1)
        self.prelu = nn.PReLU(12)
        self.squeeze = nn.Conv2d(12, 4, 1)
        self.excite = nn.Conv2d(4, 12, 1)
        self.up = nn.ConvTranspose2d(12, 6, 4, stride=2, padding=1)
        self.last = nn.Conv2d(12, 6, (3, 1), padding=(1, 0), dilation=1)
        self.fc1 = nn.Linear(6, 5)
        self.fc2 = nn.Linear(5, 4)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        x = self.prelu(self.point(F.hardswish(self.depth(x))))
        s = F.adaptive_avg_pool2d(x, 1)
        s = torch.sigmoid(self.excite(F.leaky_relu(self.squeeze(s), 0.1)))
        x = x * s
        p = F.max_pool2d(x, 2, ceil_mode=True)
        a = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        x = torch.cat([p[:, :6], a[:, 6:]], dim=1) + 0.5
        y = F.interpolate(self.up(x), scale_factor=2, mode="bilinear")
        z = F.interpolate(F.elu(self.last(x)), scale_factor=4, mode="nearest")
        y = F.pad(y + F.silu(z) - F.gelu(z) * 0.5, (1, 0, 0, 1))
        y = F.hardtanh(y, -1, 1) * torch.tanh(y)
        y = F.adaptive_avg_pool2d(y, 1).flatten(1)
        return F.softmax(self.fc2(F.relu6(self.fc1(y))), dim=1)


class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        x = x.reshape(1, 2, 2, 8, 3).transpose(1, 2).reshape(1, 4, 8, 3).permute(0, 2, 1, 3)
        x = F.pixel_shuffle(F.mish(x), 2)
        a, b = torch.split(x, [4, 4], dim=2)
        y = torch.exp(-torch.abs(b)).sqrt() + a
        return self.fc(y.reshape(-1, 12))


for name, net, shape in [("vision", Vision(), (1, 3, 15, 13)), ("shapes", Shapes(), (1, 4, 8, 3))]:
    net.eval()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_(-0.5, 0.5)
            m.running_var.uniform_(0.5, 1.5)
    x = torch.randn(shape)
    with tempfile.TemporaryDirectory() as folder:
        old = os.getcwd()
        os.chdir(folder)
        pnnx.export(net, name + ".pt", x, fp16=False)
        for end in ["param", "bin"]:
            with open(f"{name}.ncnn.{end}", "rb") as f, open(f"{old}/{name}.{end}", "wb") as g:
                g.write(f.read())
        os.chdir(old)
    run = ncnn.Net()
    run.opt.use_fp16_storage = run.opt.use_fp16_packed = run.opt.use_fp16_arithmetic = run.opt.use_bf16_storage = False
    run.load_param(name + ".param")
    run.load_model(name + ".bin")
    ex = run.create_extractor()
    ex.input("in0", ncnn.Mat(x[0].numpy()).clone())
    y = np.array(ex.extract("out0")[1])
    want = net(x).detach().numpy()
    print(name, y.shape, want.shape, np.abs(y.reshape(want.shape) - want).max())
    np.savez(name + ".npz", x=x.numpy(), y=y[None])
