"""The public references of the zoo's models, for make.py."""
import dataclasses
from collections.abc import Callable

import timm
import torchvision

import modules


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


def own(name, make, input, full=None, options=""):
    """Where no library has it: modules.py, written from the paper with the names of known code."""
    ALL.append(Reference(name, make, input, full or input, options))


torchvision_models("resnet18 resnet34 resnet50 resnet101 resnet152")
torchvision_models("resnext50_32x4d resnext101_32x8d resnext101_64x4d")
torchvision_models("wide_resnet50_2 wide_resnet101_2")
timm_models("seresnet18 seresnet34 seresnet50 seresnet101 seresnet152 seresnext50_32x4d")
timm_models("senet154=legacy_senet154")
timm_models("resnet18_v2=resnetv2_18 resnet50_v2=resnetv2_50 resnet101_v2=resnetv2_101")
timm_models("resnet152_v2=resnetv2_152")
torchvision_models("densenet121 densenet161 densenet169 densenet201")
timm_models("dpn68 dpn92 dpn98 dpn131")
torchvision_models("googlenet", aux_logits=False, init_weights=False)
torchvision_models("inception_v3", (3, 96, 96), (3, 299, 299), init_weights=False)
torchvision_models("squeezenet1_0 squeezenet1_1 alexnet")
timm_models("mobilenet_v1=mobilenetv1_100")
torchvision_models("mobilenet_v2 mobilenet_v3_large mobilenet_v3_small")
torchvision_models("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3")
torchvision_models("shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0")
for k, side in enumerate([224, 240, 288, 300, 380, 456, 528, 600]):
    torchvision_models(f"efficientnet_b{k}", full=(3, side, side))
torchvision_models("efficientnet_v2_s", full=(3, 384, 384))
torchvision_models("regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf")
torchvision_models("regnet_y_16gf regnet_y_32gf")
torchvision_models("regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf")
torchvision_models("regnet_x_16gf regnet_x_32gf")
torchvision_models("convnext_tiny convnext_small convnext_base convnext_large")
torchvision_models("swin_t swin_s swin_b", (3, 72, 100))  # windows that do not fit
torchvision_models("vit_b_16 vit_b_32 vit_l_16 vit_l_32", (3, 224, 224))
timm_models("mixer_s32=mixer_s32_224 mixer_s16=mixer_s16_224 mixer_b32=mixer_b32_224", (3, 224, 224))
timm_models("mixer_b16=mixer_b16_224 mixer_l16=mixer_l16_224", (3, 224, 224))
for name, blocks in {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}.items():
    own(name, lambda blocks=blocks: modules.CifarResNet(blocks), (3, 32, 32))
own("plain20", lambda: modules.CifarResNet(3, plain=True), (3, 32, 32))
# With all of their blocks these amplify roundings so much that torch's own float and double differ.
for size in "ml":
    own(
        f"efficientnet_v2_{size}", lambda size=size: modules.shallow_efficientnet_v2(size),
        (3, 64, 64), (3, 480, 480), "layers=2-2-2-2-2-2-2",
    )
for name, blocks in {"resnet164_v2": 18, "resnet1001": 111}.items():
    own(name, lambda blocks=blocks: modules.small_resnet_v2(blocks), (3, 32, 32))
own("complex_resnet", lambda: modules.ComplexResNet(4), (3, 32, 32), options="blocks=4")
own("densenet_bc_100", modules.small_densenet, (3, 32, 32))
own("shufflenet_v1", modules.ShuffleNetV1, (3, 64, 64), (3, 224, 224))
own("caffenet", modules.CaffeNet, (3, 227, 227))
own("capsnet", modules.CapsNet, (1, 28, 28))
torchvision_models("vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn")


def all_of(names):
    unknown = set(names) - {r.name for r in ALL}
    if unknown:
        raise SystemExit(f"no reference for {', '.join(sorted(unknown))}")
    return [r for r in ALL if not names or r.name in names]


def find(name):
    return all_of([name])[0]
