"""Published networks: parameter counts of every variant, committed and quoted costs, Keras's documented counts."""

import math
import typing

import keras
import pytest
from layer_tables import table_of  # type: ignore[import-not-found]
from pydantic import TypeAdapter

from dlcli.models.images import keras_application
from dlcli.recipe.sections.image_model import Application, Dpn, ImageClassifier, Resnet, Resnext, Senet, Vgg
from dlcli.report.cost.published import NETWORKS, QUOTED, Network, read_costs, sizes
from dlcli.tasks.images.network import build_classifier

OWN = [network for network in NETWORKS if network.family not in ("application", "lenet5")]
TORCHVISION = "torchvision 0.24, docs of torchvision.models (num_params)"
CADENE = "pretrained-models.pytorch 0.7.4 (Cadene), whose weights are the authors'"
DPN_RELEASE = "pytorch-dpn-pretrained (Wightman), whose weights are the authors'"
AKAMASTER = "pytorch_resnet_cifar10 (Idelbayev), README, table of parameters with option A; He et al. 2015, table 6"
COUNTED = "by hand below"
PROTOTYPE = "a separate implementation of the released code"
ODD = f"{PROTOTYPE}, which differs where a half of F is odd: see test_odd_halves"


def vgg_with_batch_norm(without: int, filters: int) -> int:
    """Scale and shift of each map instead of the convolution's bias."""
    return without + filters


def resnet_v2(depth: int) -> int:
    """Counted from He et al. 2015, table 1, and 2016, figure 1(b): kernels, and normalizations before convolutions."""
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    is_basic = depth < 50
    total = 49 * 3 * 64 + 2 * 64  # conv1 and its normalization, which is also the first unit's
    channels = 64
    for stage, repeats in enumerate(blocks):
        width = 64 * 2**stage
        outputs = width if is_basic else 4 * width
        for number in range(repeats):
            total += 0 if stage == number == 0 else 2 * channels
            if is_basic:
                total += 9 * channels * width + 2 * width + 9 * width * width
            else:
                total += channels * width + 2 * width + 9 * width * width + 2 * width + width * outputs
            total += channels * outputs if channels != outputs or (number == 0 and stage > 0) else 0  # the shortcut
            channels = outputs
    return total + 2 * channels + channels * 1000 + 1000  # the last normalization; the classifier


def amoebanet_d(repeats: int, filters: int) -> int:
    """Counted from the cells of the released code: kernels, and scale and shift of each normalization."""

    def convolution(inputs: int, outputs: int, size: int = 1) -> int:
        return inputs * outputs * size + 2 * outputs

    def bottleneck(inputs: int, width: int, *sizes: int) -> int:
        quarter = width // 4
        between = sum(convolution(quarter, quarter, size) for size in sizes)
        return convolution(inputs, quarter) + between + convolution(quarter, width)

    def normal(width: int) -> int:
        return 3 * convolution(width, width) + 2 * bottleneck(width, width, 7, 7)

    def reduction(width: int, s1: int) -> int:
        own = bottleneck(s1, width, 9) + bottleneck(width, width, 7, 7) + convolution(width, width)
        return own + (convolution(s1, width) if s1 != width else 0)  # max2(s1)

    total = convolution(3, 32, 9)
    total += convolution(32, filters // 4) + reduction(filters // 4, 32)  # s1 is the stem's output as it is
    s1, s0 = 32, 3 * filters // 4
    total += convolution(s0, filters // 2) + convolution(s1, filters // 2) + reduction(filters // 2, filters // 2)
    s1, s0 = s0, 3 * filters // 2
    for width in (filters, 2 * filters, 4 * filters):
        if width > filters:
            total += convolution(s0, width) + convolution(s1, width) + reduction(width, width)
            s1, s0 = s0, 3 * width
        for _ in range(repeats):
            total += convolution(s0, width) + convolution(s1, width) + normal(width)
            s1, s0 = s0, 4 * width
    return total + s0 * 1000 + 1000


TRAINABLE = {  # parameters that training changes, and where the number stands
    "vgg11": (132_863_336, TORCHVISION),
    "vgg13": (133_047_848, TORCHVISION),
    "vgg16": (138_357_544, TORCHVISION),
    "vgg19": (143_667_240, TORCHVISION),
    "resnet18": (11_689_512, TORCHVISION),
    "resnet34": (21_797_672, TORCHVISION),
    "resnet50": (25_557_032, TORCHVISION),
    "resnet101": (44_549_160, TORCHVISION),
    "resnet152": (60_192_808, TORCHVISION),
    "resnet18_v2": (resnet_v2(18), COUNTED),
    "resnet34_v2": (resnet_v2(34), COUNTED),
    "resnet50_v2": (25_549_352, "timm 1.0, resnetv2_50"),
    "resnet101_v2": (resnet_v2(101), COUNTED),
    "resnet152_v2": (resnet_v2(152), COUNTED),
    "resnet20": (269_722, AKAMASTER),
    "resnet32": (464_154, AKAMASTER),
    "resnet44": (658_586, AKAMASTER),
    "resnet56": (853_018, AKAMASTER),
    "resnet110": (1_727_962, AKAMASTER),
    "resnext50_32x4d": (25_028_904, TORCHVISION),
    "resnext101_32x8d": (88_791_336, TORCHVISION),
    "resnext101_64x4d": (83_455_272, TORCHVISION),
    "se_resnet50": (28_088_024, CADENE),
    "se_resnext50_32x4d": (27_559_896, CADENE),
    "se_resnext101_32x4d": (48_955_416, CADENE),
    "senet154": (115_088_984, CADENE),
    "dpn68": (12_611_602, DPN_RELEASE),
    "dpn92": (37_668_392, DPN_RELEASE),
    "dpn98": (61_570_728, DPN_RELEASE),
    "dpn131": (79_254_504, DPN_RELEASE),
    "polynet": (95_366_600, CADENE),
    "nasnet_a_6_168": (88_753_150, f"{CADENE}; timm 1.0, nasnetalarge"),
    "nasnet_a_4_44": (5_289_978, CADENE),
    "nasnet_a_cifar_6_32": (3_346_538, PROTOTYPE),
    "pnasnet_5_4_216": (86_057_668, f"{CADENE}; timm 1.0, pnasnet5large"),
    "pnasnet_5_3_54": (5_064_487, ODD),
    "pnasnet_5_cifar_3_48": (3_189_082, PROTOTYPE),
    "amoebanet_a_6_190": (86_718_797, PROTOTYPE),
    "amoebanet_a_6_204": (99_625_282, PROTOTYPE),
    "amoebanet_a_6_448": (468_151_184, PROTOTYPE),
    "amoebanet_a_4_50": (5_086_930, ODD),
    "amoebanet_a_cifar_6_36": (3_218_266, PROTOTYPE),
    "amoebanet_b_6_190": (79_008_676, PROTOTYPE),
    "amoebanet_b_6_196": (83_960_973, PROTOTYPE),
    "amoebanet_b_3_62": (5_258_700, ODD),
    "amoebanet_b_cifar_6_36": (2_839_186, PROTOTYPE),
    "amoebanet_b_cifar_6_128": (34_874_506, PROTOTYPE),
    "amoebanet_c_6_168": (85_510_142, PROTOTYPE),
    "amoebanet_c_6_228": (155_272_667, ODD),
    "amoebanet_c_4_50": (6_353_815, ODD),
    "amoebanet_d_4_256": (amoebanet_d(4, 256), COUNTED),
    "amoebanet_d_6_416": (amoebanet_d(6, 416), COUNTED),
}
MULTIPLY_ADDS = {  # to the digit, from the same sources
    "nasnet_a_6_168": 23_783_414_658,
    "nasnet_a_4_44": 563_638_816,
    "nasnet_a_cifar_6_32": 544_333_312,
    "pnasnet_5_4_216": 24_937_395_792,
    "pnasnet_5_cifar_3_48": 574_891_392,
    "amoebanet_a_6_190": 23_133_663_507,
    "amoebanet_a_6_204": 26_623_181_694,
    "amoebanet_a_6_448": 103_887_693_968,
    "amoebanet_a_cifar_6_36": 509_668_992,
    "amoebanet_b_6_190": 20_934_489_887,
    "amoebanet_b_6_196": 22_272_815_179,
    "amoebanet_b_cifar_6_36": 454_925_952,
    "amoebanet_b_cifar_6_128": 5_580_279_808,
    "amoebanet_c_6_168": 22_497_360_270,
}


KERAS_MILLIONS = {  # all parameters, as keras.io/api/applications has them; of MobileNetV3, its docstring
    "convnexttiny": 28.6, "convnextsmall": 50.2, "convnextbase": 88.5, "convnextlarge": 197.7, "convnextxlarge": 350.1,
    "densenet121": 8.1, "densenet169": 14.3, "densenet201": 20.2,
    "efficientnetb0": 5.3, "efficientnetb1": 7.9, "efficientnetb2": 9.2, "efficientnetb3": 12.3,
    "efficientnetb4": 19.5, "efficientnetb5": 30.6, "efficientnetb6": 43.3, "efficientnetb7": 66.7,
    "efficientnetv2b0": 7.2, "efficientnetv2b1": 8.2, "efficientnetv2b2": 10.2, "efficientnetv2b3": 14.5,
    "efficientnetv2s": 21.6, "efficientnetv2m": 54.4, "efficientnetv2l": 119.0,
    "inceptionv3": 23.9, "inceptionresnetv2": 55.9, "mobilenet": 4.3, "mobilenetv2": 3.5,
    "nasnetmobile": 5.3, "nasnetlarge": 88.9,
    "resnet50": 25.6, "resnet101": 44.7, "resnet152": 60.4,
    "resnet50v2": 25.6, "resnet101v2": 44.7, "resnet152v2": 60.4,
    "vgg16": 138.4, "vgg19": 143.7, "xception": 22.9,
}  # fmt: skip


def section_of(network: Network, **changes: object) -> ImageClassifier:
    section: ImageClassifier = TypeAdapter(ImageClassifier).validate_python({**network.model, **changes})
    return section


def variants_of_the_recipe() -> list[dict[str, object]]:
    """Every network that a recipe can name: each depth, version, variant and name of keras.applications."""

    def values(section: type, key: str) -> tuple[object, ...]:
        return typing.get_args(section.model_fields[key].annotation)  # type: ignore[attr-defined]

    depths = values(Resnet, "depth")
    for_cifar = (20, 32, 44, 56, 110)
    return [
        *({"kind": "vgg", "depth": depth} for depth in values(Vgg, "depth")),
        *(
            {"kind": "resnet", "depth": depth, "version": v}
            for depth in depths
            if depth not in for_cifar
            for v in (1, 2)
        ),
        *({"kind": "resnet", "depth": depth} for depth in depths if depth in for_cifar),
        *({"kind": "resnext", "variant": variant} for variant in values(Resnext, "variant")),
        *({"kind": "senet", "variant": variant} for variant in values(Senet, "variant")),
        *({"kind": "dpn", "depth": depth} for depth in values(Dpn, "depth")),
        {"kind": "polynet"},
        *(network.model for network in NETWORKS if network.family == "cells"),  # which recipes give any size
        *({"kind": "application", "network": name} for name in values(Application, "network")),
        {"kind": "lenet5"},
    ]


def test_every_network_has_a_row() -> None:
    rows = [dict(network.model) for network in NETWORKS]
    wanted = variants_of_the_recipe()
    assert all(variant in rows for variant in wanted), [variant for variant in wanted if variant not in rows]
    assert len(rows) == len(wanted)
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)
    assert set(TRAINABLE) == {network.name for network in OWN}
    assert set(keras_application.NETWORKS) == set(typing.get_args(Application.model_fields["network"].annotation))
    with_docstrings_alone = {"mobilenetv3small", "mobilenetv3large"}
    assert set(keras_application.NETWORKS) == set(KERAS_MILLIONS) | with_docstrings_alone
    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {net.function for net in keras_application.NETWORKS.values()} == functions
    assert all(net.function.lower() == name for name, net in keras_application.NETWORKS.items())


# of each family a small one, and one of Keras's own, which change with Keras alone; the others with the slow tests
QUICK = (
    "lenet5",
    "vgg16",
    "resnet20",
    "resnet50",
    "resnet18_v2",
    "resnext50_32x4d",
    "se_resnet50",
    "dpn68",
    "pnasnet_5_cifar_3_48",
    "keras:mobilenetv2",
)


def rows_of_costs() -> list[typing.Any]:
    return [
        pytest.param(
            *(network, side),
            id=f"{network.name}-{side}",
            marks=[] if network.name in QUICK else [pytest.mark.slow],
        )
        for network, side in sizes()
    ]


@pytest.mark.parametrize(("network", "side"), rows_of_costs())
def test_the_committed_costs_are_those_of_the_networks(network: Network, side: int) -> None:
    """And those are the published ones."""
    table = table_of(section_of(network), (side, side, network.channels), network.num_classes)
    cost = read_costs()[network.name, side]
    assert (cost.parameters, cost.multiply_adds, cost.activations) == (
        table.parameters,
        table.operations.multiply_adds,
        table.activations,
    ), "run: make networks"
    assert table.not_counted == ()
    if network.name in TRAINABLE:
        assert table.trainable == TRAINABLE[network.name][0], TRAINABLE[network.name][1]
        assert table.operations.multiply_adds == MULTIPLY_ADDS.get(network.name, table.operations.multiply_adds)
    elif network.family == "application":
        assert side == keras_application.NETWORKS[str(network.model["network"])].side


@pytest.mark.parametrize(("name", "millions"), KERAS_MILLIONS.items())
def test_keras_documents_these_counts(name: str, millions: float) -> None:
    cost = read_costs()[f"keras:{name}", keras_application.NETWORKS[name].side]
    assert abs(cost.parameters / 1e6 - millions) < 0.11


@pytest.mark.parametrize(
    ("name", "side", "giga"),
    [  # multiply-adds as papers give them
        ("resnet18", 224, 1.8), ("resnet34", 224, 3.6), ("resnet50", 224, 3.8),  # He et al. 2015, table 1
        ("resnet101", 224, 7.6), ("resnet152", 224, 11.3),
        ("resnext50_32x4d", 224, 4.2),  # Xie et al. 2017, table 1
        ("se_resnet50", 224, 3.87), ("se_resnext50_32x4d", 224, 4.25),  # Hu et al. 2018, table 2
        ("dpn92", 224, 6.5), ("dpn98", 224, 11.7), ("dpn131", 224, 16.0),  # Chen et al. 2017, table 2
        ("resnet20", 32, 0.0408),  # Idelbayev
        ("keras:mobilenet", 224, 0.569), ("keras:mobilenetv2", 224, 0.300),  # Howard 2017, Sandler 2018
        *((row.network, row.side, row.multiply_adds / 1e9) for row in QUOTED if row.multiply_adds and not row.note),
        ("amoebanet_b_6_196", 331, 22.3), ("amoebanet_c_6_228", 331, 41.1),  # Real et al. 2018, first version
    ],
)  # fmt: skip
def test_multiply_adds_are_those_of_the_papers(name: str, side: int, giga: float) -> None:
    assert read_costs()[name, side].multiply_adds / 1e9 == pytest.approx(giga, rel=0.023)


def test_vgg_with_batch_norm_has_a_scale_and_a_shift_for_each_bias() -> None:
    filters = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    table = table_of(Vgg(kind="vgg", depth=16, batch_norm=True), (224, 224, 3), 1000)
    assert table.trainable == vgg_with_batch_norm(TRAINABLE["vgg16"][0], filters)
    assert table.trainable + filters == 138_365_992  # torchvision's vgg16_bn, which keeps the biases
    assert table.non_trainable == 2 * filters


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenetv3small", head=head)
    return build_classifier(section, shape=shape, num_classes=3)


def test_activations_of_vgg16_are_not_24_million() -> None:
    """Convolution outputs, pooling outputs, dense outputs with their dropout, and the input."""
    outputs = [(224, 64)] * 2 + [(112, 128)] * 2 + [(56, 256)] * 3 + [(28, 512)] * 3 + [(14, 512)] * 3
    pools = [(112, 64), (56, 128), (28, 256), (14, 512), (7, 512)]
    total = sum(side * side * maps for side, maps in outputs + pools) + 224 * 224 * 3 + 2 * (4096 + 4096) + 1000
    assert read_costs()["vgg16", 224].activations == total == 15_245_800
    assert math.isclose(total / 1e6, 15.2, abs_tol=0.05)
