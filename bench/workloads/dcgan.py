import torch
import torch.nn.functional as F
from torch import nn


class Generator(nn.Module):
    def __init__(self, width=64, noise=100):
        super().__init__()
        sizes = [noise, 8 * width, 4 * width, 2 * width, width, 3]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, 2 if k else 1, 1 if k else 0, bias=False)
            for k, (i, o) in enumerate(zip(sizes, sizes[1:])))
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for o in sizes[1:-1])

    def forward(self, x):
        for up, norm in zip(self.up, self.norm):
            x = F.relu(norm(up(x)))
        return torch.tanh(self.up[-1](x))


class Discriminator(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        sizes = [3, width, 2 * width, 4 * width, 8 * width, 1]
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2 if k < 4 else 1, 1 if k < 4 else 0, bias=False)
            for k, (i, o) in enumerate(zip(sizes, sizes[1:])))
        self.norm = nn.ModuleDict({str(k): nn.BatchNorm2d(sizes[k + 1]) for k in (1, 2, 3)})

    def forward(self, x):
        x = F.leaky_relu(self.down[0](x), 0.2)
        for k in (1, 2, 3):
            x = F.leaky_relu(self.norm[str(k)](self.down[k](x)), 0.2)
        return torch.flatten(self.down[4](x), 1)


class Dcgan(nn.Module):
    def __init__(self):
        super().__init__()
        self.g, self.d = Generator(), Discriminator()


def make(peer):
    peer.training = True
    net = peer.load(Dcgan())
    noise, pictures = peer.array("noise"), peer.array("pictures")
    of_g = peer.optimizer(torch.optim.Adam, net.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    of_d = peer.optimizer(torch.optim.Adam, net.d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    yes = torch.ones(len(noise), 1, dtype=peer.dtype)
    no = torch.zeros(len(noise), 1, dtype=peer.dtype)
    loss_of = F.binary_cross_entropy_with_logits
    generate = peer.compiled(net.g)
    judge = peer.compiled(lambda a, b: loss_of(net.d(a), yes) + loss_of(net.d(b), no))
    deceive = peer.compiled(lambda made: loss_of(net.d(made), yes))
    of_discriminator = list(net.d.parameters())

    def run():
        made = generate(noise)
        loss_d = judge(pictures, made.detach())
        of_d.zero_grad(set_to_none=True)
        loss_d.backward()
        of_d.step()
        for p in of_discriminator:  # its gradients are of no use here
            p.requires_grad_(False)
        loss_g = deceive(made)
        of_g.zero_grad(set_to_none=True)
        loss_g.backward()
        of_g.step()
        for p in of_discriminator:
            p.requires_grad_(True)
        return (loss_d + loss_g).detach()

    return run
