import os

import torch
import torchvision
from torchvision.transforms import v2


def make(peer):
    steps = v2.Compose([
        v2.PILToTensor(), v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    data = torchvision.datasets.ImageFolder(os.environ["BENCH_PICTURES"], steps)
    loader = torch.utils.data.DataLoader(data, 32, shuffle=True, num_workers=2,
                                         persistent_workers=True)

    def run():
        return torch.tensor(float(sum(len(x) for x, _ in loader)))

    return run
