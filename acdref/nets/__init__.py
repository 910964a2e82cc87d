"""Networks: a table of configuration, `forward`, `backward`, and the fast `predict_proba`."""

from acdref.nets.acdnet import ACDNET_2024, ACDNet, ACDNetConfig, Block
from acdref.nets.conv1d_net import Conv1D, Conv1DConfig
from acdref.nets.mobilenet import MobileNetConfig, MobileNetV2
from acdref.nets.registry import NETWORKS, build
from acdref.nets.resnet import ResNet50, ResNetConfig
from acdref.nets.vgg import VGGConfig, VGGGap

__all__ = [
    "ACDNET_2024",
    "NETWORKS",
    "ACDNet",
    "ACDNetConfig",
    "Block",
    "Conv1D",
    "Conv1DConfig",
    "MobileNetConfig",
    "MobileNetV2",
    "ResNet50",
    "ResNetConfig",
    "VGGConfig",
    "VGGGap",
    "build",
]
