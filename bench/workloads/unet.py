import torch
import torch.nn.functional as F
from torch import nn


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def pair(i, o):
    return nn.Sequential(conv(i, o), conv(o, o))


class UNet(nn.Module):
    def __init__(self, width=32, levels=4):
        super().__init__()
        sizes = [width << i for i in range(levels + 1)]
        self.down = nn.ModuleList(pair(i, o) for i, o in zip([3] + sizes, sizes))
        back = list(zip(sizes[:0:-1], sizes[-2::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in back)
        self.join = nn.ModuleList(pair(i, o) for i, o in back)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        kept = []
        for i, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return self.head(x)


def make(peer):
    # Places in lists have the numbers of nacre's levels, which count down on the way back.
    net = UNet()
    net.up = nn.ModuleDict({str(3 - i): m for i, m in enumerate(net.up)})
    net.join = nn.ModuleDict({str(3 - i): m for i, m in enumerate(net.join)})
    net = peer.load(net)
    net.up, net.join = nn.ModuleList(net.up.values()), nn.ModuleList(net.join.values())
    x, y = peer.array("input"), peer.array("labels")
    if not peer.training:
        return peer.inference(net, x)
    return peer.training_step(net, lambda: F.cross_entropy(net(x), y))
