"""The Transformer of the workloads encoder and generation."""

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, HEADS, LAYERS, INNER = 512, 8, 6, 2048


def attention(q, k, v):
    """In one function; before PyTorch 2 there was none."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    return torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, INNER)
        self.fc2 = nn.Linear(INNER, WIDTH)

    def project(self, x):
        n, steps, _ = x.shape
        return [t.view(n, steps, HEADS, WIDTH // HEADS).transpose(1, 2)
                for t in self.qkv(self.norm1(x)).chunk(3, -1)]

    def finish(self, x, seen):
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def forward(self, x):
        return self.finish(x, attention(*self.project(x)))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)
