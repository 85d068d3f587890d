"""How torchvision and timm, libraries for PyTorch, name the layers of networks that dlcli builds, too."""

import re
from dataclasses import dataclass
from typing import Literal

RESIDUAL = re.compile(r"stage(?P<stage>\d+)_block(?P<block>\d+)_(?P<part>\d+|shortcut|se)_(?P<kind>\w+)")
VGG = re.compile(r"stage(?P<stage>\d+)_(?P<kind>conv|norm)(?P<number>\d+)")
PATHS = re.compile(r"stage(?P<stage>\d+)_(?P<kind>paths_norm|residual_conv|dense_conv)")
DUAL = re.compile(r"stage(?P<stage>\d+)_block(?P<block>\d+)_(?P<part>[123])_(?P<kind>\w+)")
DUAL_PARTS = {"1": "c1x1_a", "2": "c3x3_b", "3": "c1x1_c"}


@dataclass(frozen=True)
class Place:
    """Where the weights of a layer are in a file.

    Attributes:
        name: of the layer there.
        half: of the filters of a convolution that is two here: those up to the number of this layer's, or the rest.
        alone: the name of the layer in files in which it is one by itself.
    """

    name: str
    half: Literal["first", "rest"] | None = None
    alone: str | None = None


def residual_place(layer: str) -> Place | None:
    """The place of a layer of ResNet, ResNeXt and SENet; None for another layer."""
    if layer in ("stem_conv", "stem_norm"):
        return Place({"stem_conv": "conv1", "stem_norm": "bn1"}[layer])
    match = RESIDUAL.fullmatch(layer)
    if match is None:
        return None
    block = f"layer{match['stage']}.{int(match['block']) - 1}"
    if match["part"] == "shortcut":
        return Place(f"{block}.downsample.{'0' if match['kind'] == 'conv' else '1'}")
    if match["part"] == "se":
        return Place(f"{block}.se.{'fc1' if match['kind'] == 'reduce' else 'fc2'}")
    return Place(f"{block}.{'conv' if match['kind'] == 'conv' else 'bn'}{match['part']}")


def vgg_places(layers: list[str]) -> dict[str, Place]:
    """The places of the layers of VGG in PyTorch, which counts all layers in their order: ``features.7``."""
    found: dict[str, Place] = {}
    has_norm = any("_norm" in layer for layer in layers)
    position, stage = 0, "1"
    for layer in layers:
        match = VGG.fullmatch(layer)
        if match is None:
            continue
        if match["stage"] != stage:
            position, stage = position + 1, match["stage"]  # the pooling between the stages
        if match["kind"] == "conv":
            found[layer] = Place(f"features.{position}")
            position += 3 if has_norm else 2  # with normalization and ReLU
        else:
            found[layer] = Place(f"features.{position - 2}")
    return found


def dual_path_place(layer: str) -> Place | None:
    """The place of a layer of a dual path network of timm; None for another layer.

    A convolution there gives both paths, the residual one first. In DPN-68b, the last one of a block is two as here.
    """
    fixed = {"stem_conv": "conv1_1.conv", "stem_norm": "conv1_1.bn", "last_norm": "conv5_bn_ac.bn"}
    if layer in fixed:
        return Place(f"features.{fixed[layer]}")
    if match := PATHS.fullmatch(layer):
        stage = int(match["stage"])
        paths = f"features.conv{stage + 1}_1.c1x1_w_s{1 if stage == 1 else 2}"
        if match["kind"] == "paths_norm":
            return Place(f"{paths}.bn")
        return Place(f"{paths}.conv", "first" if match["kind"] == "residual_conv" else "rest")
    match = DUAL.fullmatch(layer)
    if match is None:
        return None
    part = f"features.conv{int(match['stage']) + 1}_{match['block']}.{DUAL_PARTS[match['part']]}"
    match match["kind"]:
        case "norm":
            return Place(f"{part}.bn")
        case "residual_conv":
            return Place(f"{part}.conv", "first", alone=f"{part}1")
        case "dense_conv":
            return Place(f"{part}.conv", "rest", alone=f"{part}2")
    return Place(f"{part}.conv")
