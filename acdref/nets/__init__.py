"""Networks: a table of configuration, `forward`, `backward`, and the fast `predict_proba`."""

from acdref.nets.acdnet import ACDNET_2024, ACDNet, ACDNetConfig, Block

__all__ = ["ACDNET_2024", "ACDNet", "ACDNetConfig", "Block"]
