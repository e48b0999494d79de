"""The public references of the zoo's models, for make.py."""
import dataclasses
from collections.abc import Callable

import timm
import torchvision


@dataclasses.dataclass
class Reference:
    name: str  # in the zoo
    make: Callable  # gives the torch module
    input: tuple  # shape of the golden's input, without the batch of 2
    full: tuple = (3, 224, 224)  # input for which multiply-accumulates are published
    options: str = ""  # of the zoo's model, besides the entry's own


ALL = []


def torchvision_models(names, input=(3, 64, 64), full=(3, 224, 224), **arguments):
    for name in names.split():
        make = lambda name=name: torchvision.models.get_model(name, weights=None, **arguments)
        ALL.append(Reference(name, make, input, full))


def timm_models(pairs, input=(3, 64, 64), full=(3, 224, 224), **arguments):
    """pairs: names, or zoo name=timm name."""
    for pair in pairs.split():
        name, _, theirs = pair.partition("=")
        make = lambda theirs=theirs or name: timm.create_model(theirs, **arguments)
        ALL.append(Reference(name, make, input, full))


torchvision_models("resnet18 resnet34 resnet50 resnet101 resnet152")
torchvision_models("resnext50_32x4d resnext101_32x8d resnext101_64x4d")
torchvision_models("wide_resnet50_2 wide_resnet101_2")
timm_models("seresnet18 seresnet34 seresnet50 seresnet101 seresnet152 seresnext50_32x4d")
torchvision_models("vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn")
torchvision_models("mobilenet_v2")
torchvision_models("efficientnet_b0")
torchvision_models("densenet121 densenet161 densenet169 densenet201")


def all_of(names):
    unknown = set(names) - {r.name for r in ALL}
    if unknown:
        raise SystemExit(f"no reference for {', '.join(sorted(unknown))}")
    return [r for r in ALL if not names or r.name in names]


def find(name):
    return all_of([name])[0]
