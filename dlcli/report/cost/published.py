"""The image networks of recipes: errors published in their papers, and their costs as built here.

This needs no TensorFlow: the costs are counted by ``docs/make_networks.py`` and stored next to this file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

COSTS = "network_costs.json"


@dataclass(frozen=True)
class Network:
    """A network at the size of its publication.

    Attributes:
        name: unique.
        model: the recipe's ``model`` section.
        side: side of its square images.
        top1, top5: error in percent of a single model on a single crop of ImageNet's validation images, unless the
            source says otherwise; None if it is not published.
        source: source of these errors.
        channels, num_classes: channels and classes of the data for which the network was published.
        weights: source of pretrained weights; None if there are none.
    """

    name: str
    model: Mapping[str, Any]
    side: int
    top1: float | None
    top5: float | None
    source: str
    channels: int = 3
    num_classes: int = 1000
    weights: str | None = None

    @property
    def family(self) -> str:
        """The recipe's ``model.kind``."""
        return str(self.model["kind"])


VGG_PAPER = "Simonyan and Zisserman 2014, table 3 (best single scale)"
RESNET_PAPER = "He et al. 2015, table 3 (10 crops)"
RESNEXT_PAPER = "Xie et al. 2017"
SENET_RELEASE = "released models, github.com/hujie-frank/SENet"
DPN_PAPER = "Chen et al. 2017, table 2"
AMOEBANET_PAPER = "Real et al. 2019, table 2"
SLIM = "the released weights of tensorflow/models, research/slim"
KERAS = "keras.io/api/applications"


def _resnet(depth: int, version: int, top1: float | None, top5: float | None, source: str) -> Network:
    suffix = "_v2" if version == 2 else ""
    model = {"kind": "resnet", "depth": depth, "version": version}
    return Network(f"resnet{depth}{suffix}", model, 224, top1, top5, source)


def _for_cifar(depth: int, error: float) -> Network:
    source = f"CIFAR-10: {error}%, He et al. 2015, table 6"
    return Network(f"resnet{depth}", {"kind": "resnet", "depth": depth}, 32, None, None, source, num_classes=10)


def _application(name: str, side: int, accuracy: float, accuracy5: float | None, source: str = KERAS) -> Network:
    return Network(
        f"keras:{name}",
        {"kind": "application", "network": name},
        side,
        round(100 - accuracy, 1),
        None if accuracy5 is None else round(100 - accuracy5, 1),
        source,
        weights="keras",
    )


def _cells(
    genotype: str,
    repeats: int,
    filters: int,
    side: int,
    top1: float | None = None,
    top5: float | None = None,
    source: str = "not published",
    **keys: Any,
) -> Network:
    """A network of searched cells for ImageNet (N, F), or for CIFAR-10 if its images have 32x32 pixels."""
    is_for_cifar = side == 32
    name = f"{genotype}_{'cifar_' if is_for_cifar else ''}{repeats}_{filters}"
    stem = {} if is_for_cifar else {"stem": "imagenet"}
    model = {"kind": "cells", "genotype": genotype, "repeats": repeats, "filters": filters, **stem, **keys}
    return Network(name, model, side, top1, top5, source, num_classes=10 if is_for_cifar else 1000)


NETWORKS = (
    Network("lenet5", {"kind": "lenet5"}, 32, None, None, "MNIST: 0.95%, LeCun et al. 1998", 1, 10),
    Network("vgg11", {"kind": "vgg", "depth": 11}, 224, 29.6, 10.4, VGG_PAPER),
    Network("vgg13", {"kind": "vgg", "depth": 13}, 224, 28.7, 9.9, VGG_PAPER),
    Network("vgg16", {"kind": "vgg", "depth": 16}, 224, 25.6, 8.1, VGG_PAPER),
    Network("vgg19", {"kind": "vgg", "depth": 19}, 224, 25.5, 8.0, VGG_PAPER),
    _resnet(18, 1, 27.88, None, "He et al. 2015, table 2 (10 crops)"),
    _resnet(34, 1, 24.52, 7.46, f"{RESNET_PAPER}, option B"),
    _resnet(50, 1, 22.85, 6.71, RESNET_PAPER),
    _resnet(101, 1, 21.75, 6.05, RESNET_PAPER),
    _resnet(152, 1, 21.43, 5.71, RESNET_PAPER),
    _resnet(18, 2, None, None, "not published"),
    _resnet(34, 2, None, None, "not published"),
    _resnet(50, 2, None, None, "not published"),
    _resnet(101, 2, None, None, "not published"),
    _resnet(152, 2, 21.1, 5.5, "He et al. 2016, table 5 (320x320)"),
    _for_cifar(20, 8.75),
    _for_cifar(32, 7.51),
    _for_cifar(44, 7.17),
    _for_cifar(56, 6.97),
    _for_cifar(110, 6.43),
    Network(
        "resnext50_32x4d", {"kind": "resnext", "variant": "50_32x4d"}, 224, 22.2, None, f"{RESNEXT_PAPER}, table 3"
    ),
    Network("resnext101_32x8d", {"kind": "resnext", "variant": "101_32x8d"}, 224, None, None, "not published"),
    Network(
        "resnext101_64x4d", {"kind": "resnext", "variant": "101_64x4d"}, 224, 20.4, 5.3, f"{RESNEXT_PAPER}, table 5"
    ),
    Network("se_resnet50", {"kind": "senet", "variant": "se_resnet50"}, 224, 22.37, 6.36, SENET_RELEASE),
    Network("se_resnext50_32x4d", {"kind": "senet", "variant": "se_resnext50_32x4d"}, 224, 20.97, 5.54, SENET_RELEASE),
    Network(
        "se_resnext101_32x4d", {"kind": "senet", "variant": "se_resnext101_32x4d"}, 224, 19.81, 4.96, SENET_RELEASE
    ),
    Network("senet154", {"kind": "senet", "variant": "senet154"}, 224, 18.68, 4.47, "Hu et al. 2018, table 8"),
    Network("dpn68", {"kind": "dpn", "depth": 68}, 224, 23.57, 6.93, "released model, github.com/cypw/DPNs"),
    Network("dpn92", {"kind": "dpn", "depth": 92}, 224, 20.7, 5.4, DPN_PAPER),
    Network("dpn98", {"kind": "dpn", "depth": 98}, 224, 20.2, 5.2, DPN_PAPER),
    Network("dpn131", {"kind": "dpn", "depth": 131}, 224, 19.93, 5.12, DPN_PAPER),
    Network("polynet", {"kind": "polynet"}, 331, 18.71, 4.25, "Zhang et al. 2017, table 3"),
    _cells(
        *("nasnet_a", 6, 168, 331, 17.3, 3.8, "Zoph et al. 2018, table 2"),
        stem_filters=96,
        skip_reduction_input=True,
    ),
    _cells("nasnet_a", 4, 44, 224, 26.0, 8.4, SLIM),
    _cells("nasnet_a", 6, 32, 32),
    _cells("pnasnet_5", 4, 216, 331, 17.1, 3.8, AMOEBANET_PAPER, stem_filters=96),
    _cells("pnasnet_5", 3, 54, 224, 25.8, 8.1, SLIM),
    _cells("pnasnet_5", 3, 48, 32),
    _cells("amoebanet_a", 6, 190, 331, 17.2, 3.9, AMOEBANET_PAPER),
    _cells("amoebanet_a", 6, 204, 331),
    _cells("amoebanet_a", 6, 448, 299, 16.1, 3.4, AMOEBANET_PAPER),
    _cells("amoebanet_a", 4, 50, 224),
    _cells("amoebanet_a", 6, 36, 32),
    _cells("amoebanet_b", 6, 190, 331),
    _cells("amoebanet_b", 6, 196, 331),
    _cells("amoebanet_b", 3, 62, 224),
    _cells("amoebanet_b", 6, 36, 32),
    _cells("amoebanet_b", 6, 128, 32),
    _cells("amoebanet_c", 6, 168, 331),
    _cells("amoebanet_c", 6, 228, 331),
    _cells("amoebanet_c", 4, 50, 224),
    _cells("amoebanet_d", 4, 256, 299),
    _cells("amoebanet_d", 6, 416, 224),
    _application("convnexttiny", 224, 81.3, None),
    _application("convnextsmall", 224, 82.3, None),
    _application("convnextbase", 224, 85.3, None),
    _application("convnextlarge", 224, 86.3, None),
    _application("convnextxlarge", 224, 86.7, None),
    _application("densenet121", 224, 75.0, 92.3),
    _application("densenet169", 224, 76.2, 93.2),
    _application("densenet201", 224, 77.3, 93.6),
    _application("efficientnetb0", 224, 77.1, 93.3),
    _application("efficientnetb1", 240, 79.1, 94.4),
    _application("efficientnetb2", 260, 80.1, 94.9),
    _application("efficientnetb3", 300, 81.6, 95.7),
    _application("efficientnetb4", 380, 82.9, 96.4),
    _application("efficientnetb5", 456, 83.6, 96.7),
    _application("efficientnetb6", 528, 84.0, 96.8),
    _application("efficientnetb7", 600, 84.3, 97.0),
    _application("efficientnetv2b0", 224, 78.7, 94.3),
    _application("efficientnetv2b1", 240, 79.8, 95.0),
    _application("efficientnetv2b2", 260, 80.5, 95.1),
    _application("efficientnetv2b3", 300, 82.0, 95.8),
    _application("efficientnetv2s", 384, 83.9, 96.7),
    _application("efficientnetv2m", 480, 85.3, 97.4),
    _application("efficientnetv2l", 480, 85.7, 97.5),
    _application("inceptionv3", 299, 77.9, 93.7),
    _application("inceptionresnetv2", 299, 80.3, 95.3),
    _application("mobilenet", 224, 70.4, 89.5),
    _application("mobilenetv2", 224, 71.3, 90.1),
    _application("mobilenetv3small", 224, 68.1, None, "docstring of keras.applications.MobileNetV3Small"),
    _application("mobilenetv3large", 224, 75.6, None, "docstring of keras.applications.MobileNetV3Large"),
    _application("nasnetmobile", 224, 74.4, 91.9),
    _application("nasnetlarge", 331, 82.5, 96.0),
    _application("resnet50", 224, 74.9, 92.1),
    _application("resnet101", 224, 76.4, 92.8),
    _application("resnet152", 224, 76.6, 93.1),
    _application("resnet50v2", 224, 76.0, 93.0),
    _application("resnet101v2", 224, 77.2, 93.8),
    _application("resnet152v2", 224, 78.0, 94.2),
    _application("vgg16", 224, 71.3, 90.1),
    _application("vgg19", 224, 71.3, 90.0),
    _application("xception", 299, 79.0, 94.5),
)


@dataclass(frozen=True)
class Quoted:
    """Published costs of a network, as quoted in papers and lectures.

    Attributes:
        label: name of the network in the source.
        network: name of the network here; None for a network that cannot be built.
        side: side of the images for which the numbers are quoted; None for a network that cannot be built.
        parameters, multiply_adds, activations: as quoted; None if the source has no such number.
        source: source of the numbers.
        note: why the numbers differ from those counted here, or why there are none; None if nothing needs to be said.
    """

    label: str
    network: str | None
    side: int | None
    parameters: float | None
    multiply_adds: float | None
    activations: float | None
    source: str
    note: str | None = None


NASNET_PAPER = "Zoph et al. 2018, table 2"
FIRST_VERSION = "Real et al. 2018, first version, table 2"
NOT_PRINTED = "Not built: its paper prints the structure that was found only as a drawing."
AS_WIDE = (
    "The quoted figures are those of amoebanet_b_6_196: F = 196, not 190, has 84.1 M parameters (84.0 M trainable) and "
    "22.3 G multiply-adds."
)
AS_LARGE = "The parameters agree. The multiply-adds of F = 190 times (204 / 190)^2 are 26.6 G too, not 26.2."
QUOTED = (
    Quoted("VGG-16", "vgg16", 224, 138e6, 15.3e9, 24e6, "He et al. 2015, section 3.3; cs231n.github.io (activations)"),
    Quoted("ResNet-50", "resnet50", 224, 25.6e6, 3.8e9, None, "He et al. 2015, table 1; Hu et al. 2018, table 10"),
    Quoted("Inception V3", "keras:inceptionv3", 299, 23.8e6, 5.72e9, None, NASNET_PAPER),
    Quoted("Xception", "keras:xception", 299, 22.8e6, 8.38e9, None, NASNET_PAPER),
    Quoted("Inception-ResNet V2", "keras:inceptionresnetv2", 299, 55.8e6, 13.2e9, None, NASNET_PAPER),
    Quoted("ResNeXt-101 64x4d", "resnext101_64x4d", 320, 83.6e6, 31.5e9, None, NASNET_PAPER),
    Quoted("PolyNet", "polynet", 331, 92e6, 34.7e9, None, NASNET_PAPER),
    Quoted("DPN-131", "dpn131", 320, 79.5e6, 32.0e9, None, NASNET_PAPER),
    Quoted("SENet", "senet154", 320, 145.8e6, 42.3e9, None, NASNET_PAPER),
    Quoted("NASNet-A (6 @ 4032)", "nasnet_a_6_168", 331, 88.9e6, 23.8e9, None, NASNET_PAPER),
    Quoted("GeNet-2", None, None, 156e6, None, None, AMOEBANET_PAPER, NOT_PRINTED),
    Quoted("Block-QNN-B", None, None, None, None, None, AMOEBANET_PAPER, NOT_PRINTED),
    Quoted("Hierarchical (2, 64)", None, None, 64e6, None, None, AMOEBANET_PAPER, NOT_PRINTED),
    Quoted("PNASNet-5 (4, 216)", "pnasnet_5_4_216", 331, 86.1e6, 25.0e9, None, AMOEBANET_PAPER),
    Quoted("AmoebaNet-A (6, 190)", "amoebanet_a_6_190", 331, 86.7e6, 23.1e9, None, AMOEBANET_PAPER),
    Quoted("AmoebaNet-A (6, 204)", "amoebanet_a_6_204", 331, 99.6e6, 26.2e9, None, FIRST_VERSION, AS_LARGE),
    Quoted("AmoebaNet-A (6, 448)", "amoebanet_a_6_448", 299, 469e6, 104e9, None, AMOEBANET_PAPER),
    Quoted("AmoebaNet-B (6, 190)", "amoebanet_b_6_190", 331, 84.0e6, 22.3e9, None, FIRST_VERSION, AS_WIDE),
    Quoted("AmoebaNet-C (6, 168)", "amoebanet_c_6_168", 331, 85.5e6, 22.5e9, None, FIRST_VERSION),
    Quoted("AmoebaNet-D (6, 416)", "amoebanet_d_6_416", 224, 318e6, None, None, "Huang et al. 2019, GPipe, table 1"),
)


@dataclass(frozen=True)
class Cost:
    """The cost of a network of this program for one image; the activations include the image."""

    parameters: int
    multiply_adds: int
    activations: int


def read_costs() -> dict[tuple[str, int], Cost]:
    """The costs, by name of the network and side of the images."""
    rows = json.loads(files("dlcli.report.cost").joinpath(COSTS).read_text(encoding="utf-8"))
    return {
        (row["network"], row["side"]): Cost(row["parameters"], row["multiply_adds"], row["activations"]) for row in rows
    }


def sizes() -> list[tuple[Network, int]]:
    """All networks with the image sizes for which costs are needed: their own, and those of the quoted numbers."""
    by_name = {network.name: network for network in NETWORKS}
    own = [(network, network.side) for network in NETWORKS]
    built = [(by_name[row.network], row.side) for row in QUOTED if row.network and row.side]
    quoted = [(network, side) for network, side in built if side != network.side]
    return own + quoted
