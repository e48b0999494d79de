"""References that neither torchvision nor timm has, written from the papers."""
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class CifarBlock(nn.Module):
    def __init__(self, inner, outer, plain):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, 1 if inner == outer else 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.plain = plain

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if not self.plain:
            added = y.shape[1] - x.shape[1]
            if added:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added // 2, added - added // 2))
            y = y + x
        return F.relu(y)


class CifarResNet(nn.Module):
    """Section 4.2 of He et al. 2016, shortcuts of type A; names of akamaster/pytorch_resnet_cifar10."""

    def __init__(self, blocks, plain=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inner = 16
        for k, outer in enumerate([16, 32, 64]):
            stage = []
            for _ in range(blocks):
                stage.append(CifarBlock(inner, outer, plain))
                inner = outer
            setattr(self, f"layer{k + 1}", nn.Sequential(*stage))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def small_resnet_v2(blocks):
    """He et al. 2016, Identity mappings, appendix: timm's blocks behind a 3x3 stem, three stages."""
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models.resnetv2 import ResNetV2

    net = ResNetV2(
        [blocks] * 3, channels=(64, 128, 256), stem_chs=16, num_classes=10,
        conv_layer=create_conv2d, norm_layer=BatchNormAct2d,
    )
    net.stem = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 16, 3, 1, 1, bias=False)))
    return net


def shallow_efficientnet_v2(size):
    """torchvision's, with two blocks in each stage."""
    from functools import partial

    from torchvision.models import efficientnet

    stages, last = efficientnet._efficientnet_conf(f"efficientnet_v2_{size}")
    for stage in stages:
        stage.num_layers = 2
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    return efficientnet.EfficientNet(stages, 0.3, norm_layer=norm, last_channel=last)


def small_densenet():
    """Huang et al. 2017, section 4: torchvision's blocks behind a 3x3 convolution alone."""
    import torchvision

    net = torchvision.models.DenseNet(12, (16, 16, 16), 24, num_classes=10)
    for name in ("norm0", "relu0", "pool0"):
        del net.features._modules[name]
    net.features.conv0 = nn.Conv2d(3, 24, 3, 1, 1, bias=False)
    return net


class CaffeNet(nn.Module):
    """Krizhevsky et al. 2012 with two groups, as the Caffe reference model: norm before pooling."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=2)
        self.fc6 = nn.Linear(9216, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, 1000)

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.local_response_norm(F.relu(conv(x)), 5), 3, 2)
        for conv in (self.conv3, self.conv4, self.conv5):
            x = F.relu(conv(x))
        x = F.max_pool2d(x, 3, 2).flatten(1)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x)))))


class ShuffleUnit(nn.Module):
    def __init__(self, inner, outer, groups, first, reduces):
        super().__init__()
        middle, result = outer // 4, outer - inner if reduces else outer
        self.groups, self.reduces = groups, reduces
        self.branch_main_1 = nn.Sequential(
            nn.Conv2d(inner, middle, 1, groups=1 if first else groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, 2 if reduces else 1, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
        )
        self.branch_main_2 = nn.Sequential(
            nn.Conv2d(middle, result, 1, groups=groups, bias=False), nn.BatchNorm2d(result)
        )

    def forward(self, x):
        y = self.branch_main_1(x)
        n, c, h, w = y.shape
        y = y.view(n, c // self.groups, self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.branch_main_2(y)
        if not self.reduces:
            return F.relu(x + y)
        return torch.cat([F.avg_pool2d(x, 3, 2, 1), F.relu(y)], 1)


class ShuffleNetV1(nn.Module):
    """Zhang et al. 2018, 1x with 3 groups; names and order of the shuffle of megvii-model's code."""

    def __init__(self):
        super().__init__()
        self.first_conv = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU()
        )
        units, inner = [], 24
        for outer, count in [(240, 4), (480, 8), (960, 4)]:
            for i in range(count):
                units.append(ShuffleUnit(inner, outer, 3, inner == 24, i == 0))
                inner = outer
        self.features = nn.Sequential(*units)
        self.classifier = nn.Sequential(nn.Linear(960, 1000))

    def forward(self, x):
        x = F.max_pool2d(self.first_conv(x), 3, 2, 1)
        return self.classifier(self.features(x).mean((2, 3)))


class Routing(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1152, 10, 8, 16))


class CapsNet(nn.Module):
    """Sabour et al. 2017; scores are logarithms of the squared lengths before squashing."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 256, 9)
        self.primary = nn.Conv2d(256, 256, 9, 2)
        self.digits = Routing()
        self.decoder = nn.Sequential(
            nn.Linear(160, 512), nn.ReLU(), nn.Linear(512, 1024), nn.ReLU(),
            nn.Linear(1024, 784), nn.Sigmoid(),
        )

    @staticmethod
    def squash(s):
        length2 = (s * s).sum(-1, keepdim=True)
        return length2 / (1 + length2) * s / length2.sqrt()

    def forward(self, x):
        x = self.primary(F.relu(self.conv1(x)))
        u = self.squash(x.view(len(x), 32, 8, 36).transpose(2, 3).reshape(len(x), 1152, 8))
        votes = (u[:, :, None, None, :] @ self.digits.weight).squeeze(3)
        logits = votes.new_zeros(len(x), 1152, 10)
        for _ in range(3):
            s = (logits.softmax(2)[..., None] * votes).sum(1)
            logits = logits + (votes * self.squash(s)[:, None]).sum(-1)
        return (s * s).sum(-1).log()


class ComplexNorm(nn.Module):
    """Whitens by an eigenvalue decomposition, in evaluation mode."""

    class Part(nn.Module):
        def __init__(self, channels, buffer):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(channels))
            self.register_buffer(buffer, torch.zeros(channels))

    def __init__(self, channels):
        super().__init__()
        self.rr = self.Part(channels, "running_var")
        self.ii = self.Part(channels, "running_var")
        self.ri = self.Part(channels, "running_cov")
        self.bias = nn.Parameter(torch.zeros(2 * channels))
        self.register_buffer("running_mean", torch.zeros(2 * channels))

    def forward(self, z):
        c = z.shape[1]
        mean = torch.complex(self.running_mean[:c], self.running_mean[c:])[:, None, None]
        bias = torch.complex(self.bias[:c], self.bias[c:])[:, None, None]
        z = z - mean
        cov, a, b = self.ri.running_cov, self.rr.running_var + 1e-4, self.ii.running_var + 1e-4
        v = torch.stack([torch.stack([a, cov], -1), torch.stack([cov, b], -1)], -2)
        values, vectors = torch.linalg.eigh(v)
        # Sums and not products of matrices, whose multiply-accumulates would be counted.
        product = lambda a, b: (a[:, :, :, None] * b[:, None]).sum(2)
        root = product(vectors * values[:, None] ** -0.5, vectors.transpose(1, 2))
        g = torch.stack(
            [
                torch.stack([self.rr.weight, self.ri.weight], -1),
                torch.stack([self.ri.weight, self.ii.weight], -1),
            ],
            -2,
        )
        w = product(g, root)[..., None, None]
        y = [w[:, i, 0] * z.real + w[:, i, 1] * z.imag for i in range(2)]
        return torch.complex(*y) + bias


class ComplexConv(nn.Module):
    def __init__(self, inner, outer, kernel, stride=1):
        super().__init__()
        self.weight_real = nn.Parameter(torch.zeros(outer, inner, kernel, kernel))
        self.weight_imag = nn.Parameter(torch.zeros(outer, inner, kernel, kernel))
        self.stride, self.padding = stride, kernel // 2

    def forward(self, z):
        conv = lambda x, weight: F.conv2d(x, weight, None, self.stride, self.padding)
        real = conv(z.real, self.weight_real) - conv(z.imag, self.weight_imag)
        return torch.complex(real, conv(z.real, self.weight_imag) + conv(z.imag, self.weight_real))


def complex_relu(z):
    return torch.complex(F.relu(z.real), F.relu(z.imag))


class ComplexBlock(nn.Module):
    def __init__(self, width, halves):
        super().__init__()
        self.norm1, self.norm2 = ComplexNorm(width), ComplexNorm(width)
        self.conv1 = ComplexConv(width, width, 3, 2 if halves else 1)
        self.conv2 = ComplexConv(width, width, 3)
        if halves:
            self.projection = ComplexConv(width, width, 1, 2)

    def forward(self, z):
        y = self.conv2(complex_relu(self.norm2(self.conv1(complex_relu(self.norm1(z))))))
        return torch.cat([self.projection(z), y], 1) if hasattr(self, "projection") else z + y


class ComplexResNet(nn.Module):
    """Trabelsi et al. 2018, section 4.1, by torch's own complex numbers."""

    def __init__(self, blocks=16, width=12):
        super().__init__()
        self.imaginary = nn.Sequential(
            nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False),
            nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False),
        )
        self.stem = nn.Module()
        self.stem.conv, self.stem.norm = ComplexConv(3, width, 3), ComplexNorm(width)
        for k in range(3):
            stage = [ComplexBlock(width << (k - 1), True)] if k else []
            stage += [ComplexBlock(width << k, False) for _ in range(blocks - len(stage))]
            setattr(self, f"layer{k + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(8 * width, 10)

    def forward(self, x):
        z = torch.complex(x, self.imaginary(x))
        z = complex_relu(self.stem.norm(self.stem.conv(z)))
        z = self.layer3(self.layer2(self.layer1(z))).mean((2, 3))
        return self.fc(torch.cat([z.real, z.imag], 1))
