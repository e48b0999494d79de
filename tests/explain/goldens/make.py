"""Writes captum.npz: what Captum 0.9 (https://captum.ai) attributes on a small network.

  python tests/explain/goldens/make.py

Needs torch and captum. The network is `net` below; tests/explain/captum_test.cpp builds the same one
with the weights that the file holds. Everything is in double, stored as float.
"""

import os

import numpy as np
import torch
from captum.attr import (GuidedBackprop, IntegratedGradients, LayerGradCam, LRP, Occlusion,
                         Saliency, ShapleyValues)
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from torch import nn

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.relu1, self.pool1 = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.relu2, self.pool2 = nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)
        self.fc1, self.relu3, self.fc2 = nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 3)

    def forward(self, x):
        x = self.pool2(self.relu2(self.conv2(self.pool1(self.relu1(self.conv1(x))))))
        return self.fc2(self.relu3(self.fc1(torch.flatten(x, 1))))


def make():
    return Net().eval()


net = make()
with torch.no_grad():
    for p in net.parameters():
        p.copy_(p.float().double())
x = torch.rand(2, 2, 8, 8).float().double()
classes = [2, 0]
target = torch.tensor(classes)
out = {name: p.detach().numpy() for name, p in net.named_parameters()}
out["x"] = x.numpy()
out["scores"] = net(x).detach().numpy()


def fresh(rule):
    """The same network with a rule of relevance at each layer that has weights."""
    copy = make()
    copy.load_state_dict(net.state_dict())
    for layer in copy.children():
        if hasattr(layer, "weight"):
            layer.rule = rule()
        elif "Pool" in type(layer).__name__:
            layer.rule = EpsilonRule(epsilon=1e-9)
    return copy


def keep(name, value):
    out["out." + name] = value.detach().numpy()


keep("saliency", Saliency(net).attribute(x, target=target))
keep("guided_backprop", GuidedBackprop(net).attribute(x, target=target))
keep("grad_cam", LayerGradCam(net, net.conv2).attribute(x, target=target, relu_attributions=True))
keep("integrated_gradients",
     IntegratedGradients(net).attribute(x, target=target, n_steps=20, method="riemann_middle"))
base = torch.rand(1, 2, 8, 8).float().double()
out["baseline"] = base.numpy()
keep("integrated_gradients_baseline",
     IntegratedGradients(net).attribute(x, base.expand_as(x), target=target, n_steps=20,
                                        method="riemann_middle"))
noise = (0.2 * torch.randn(5, *x.shape)).float().double()
out["noise"] = noise.numpy()
keep("smooth_grad",
     torch.stack([Saliency(net).attribute(x + n, target=target, abs=False) for n in noise]).mean(0))
keep("occlusion",
     Occlusion(net).attribute(x, (2, 3, 3), strides=(2, 2, 2), target=target, baselines=0.5))
for name, rule in {"lrp_epsilon": lambda: EpsilonRule(epsilon=1e-9),
                   "lrp_epsilon_large": lambda: EpsilonRule(epsilon=0.05),
                   "lrp_gamma": lambda: GammaRule(gamma=0.25, set_bias_to_zero=True),
                   "lrp_zplus": lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True)}.items():
    keep(name, torch.cat([LRP(fresh(rule)).attribute(x[i:i + 1], target=classes[i])
                          for i in range(2)]))
cells = torch.arange(8) // 4
mask = (cells[:, None] * 2 + cells[None, :])[None, None].expand(1, 2, 8, 8)
keep("shap", ShapleyValues(net).attribute(x[:1], target=classes[0], baselines=0.25,
                                          feature_mask=mask.contiguous()))
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "captum.npz")
np.savez_compressed(path, **{k: v.astype(np.float32) for k, v in out.items()})
print(path, os.path.getsize(path))
