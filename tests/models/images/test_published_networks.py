"""The networks of papers: exact counts, shapes, gradients, small inputs, what they share with Keras's own."""

import json
import math
import os
import typing
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from dlcli.errors import InputError
from dlcli.models.heads import vector as heads
from dlcli.models.images import keras_application, polynet, preprocessing
from dlcli.recipe.sections.image_model import (
    Application,
    ApplicationName,
    Dpn,
    ImageClassifier,
    Polynet,
    Resnet,
    Resnext,
    Senet,
    Vgg,
)
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.published import NETWORKS, QUOTED, Network, read_costs, sizes
from dlcli.runtime.model_files import check_weights_file
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.network import build_classifier
from dlcli.tasks.images.standardization import scale_input
from dlcli.training.grouped_convolution import speed_up_kernel_gradients

OWN = [network for network in NETWORKS if network.family not in ("application", "lenet5")]

TORCHVISION = "torchvision 0.24, docs of torchvision.models (num_params)"
CADENE = "pretrained-models.pytorch 0.7.4 (Cadene), whose weights are the authors'"
DPN_RELEASE = "pytorch-dpn-pretrained (Wightman), whose weights are the authors'"
AKAMASTER = "pytorch_resnet_cifar10 (Idelbayev), README, table of parameters with option A; He et al. 2015, table 6"
COUNTED = "by hand below"


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


def table_of(section: ImageClassifier, shape: tuple[int, ...], num_classes: int) -> LayerTable:
    """The layer table of a network of which no weight is made."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            return layer_table(build_classifier(section, shape=shape, num_classes=num_classes).model)
    finally:
        keras.backend.clear_session()


# Counts ---------------------------------------------------------------------------------------------------------------


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
        *({"kind": "application", "network": name} for name in values(Application, "network")),
        {"kind": "lenet5"},
    ]


def test_no_network_lacks_its_row() -> None:
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


# Keras's own networks change with Keras alone: of each family the smallest, the others with the slow tests
OF_KERAS = (
    "vgg16",
    "resnet50",
    "inceptionv3",
    "xception",
    "mobilenetv2",
    "densenet121",
    "efficientnetb0",
    "convnexttiny",
)


def rows_of_costs() -> list[typing.Any]:
    return [
        pytest.param(
            *(network, side),
            id=f"{network.name}-{side}",
            marks=[pytest.mark.slow] if network.model.get("network", OF_KERAS[0]) not in OF_KERAS else [],
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
        *((row.network, row.side, row.multiply_adds / 1e9) for row in QUOTED if row.multiply_adds),
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


# Shapes ---------------------------------------------------------------------------------------------------------------

STAGES = {  # the sides of each stage for inputs of 224x224, and of 160x97
    "vgg": [(112, 56, 28, 14, 7), ((80, 48), (40, 24), (20, 12), (10, 6), (5, 3))],
    "imagenet": [(56, 28, 14, 7), ((40, 25), (20, 13), (10, 7), (5, 4))],
    "small": [(224, 112, 56, 28), ((160, 97), (80, 49), (40, 25), (20, 13))],
    "cifar": [(224, 112, 56), ((160, 97), (80, 49), (40, 25))],
    "polynet": [(25, 12, 5), ((17, 9), (8, 4), (3, 1))],
}


@pytest.mark.parametrize(
    ("section", "stages", "channels"),
    [
        *((Vgg(kind="vgg", depth=depth), "vgg", (64, 128, 256, 512, 512)) for depth in (11, 13, 16, 19)),
        *((Resnet(kind="resnet", depth=depth), "imagenet", (64, 128, 256, 512)) for depth in (18, 34)),
        *((Resnet(kind="resnet", depth=depth), "imagenet", (256, 512, 1024, 2048)) for depth in (50, 101)),
        (Resnet(kind="resnet", depth=34, version=2), "imagenet", (64, 128, 256, 512)),
        (Resnet(kind="resnet", depth=18, stem="small"), "small", (64, 128, 256, 512)),
        *((Resnet(kind="resnet", depth=depth), "cifar", (16, 32, 64)) for depth in (20, 56)),
        (Resnet(kind="resnet", depth=20, version=2), "cifar", (16, 32, 64)),
        *((Resnext(kind="resnext", variant=v), "imagenet", (256, 512, 1024, 2048)) for v in ("50_32x4d", "101_64x4d")),
        *((Senet(kind="senet", variant=v), "imagenet", (256, 512, 1024, 2048)) for v in ("se_resnet50", "senet154")),
        (Dpn(kind="dpn", depth=68), "imagenet", (144, 320, 704, 832)),
        (Dpn(kind="dpn", depth=92), "imagenet", (336, 704, 1552, 2688)),
        (Polynet(kind="polynet"), "polynet", (384, 1152, 2048)),
        (Resnet(kind="resnet", depth=18, width=0.5), "imagenet", (32, 64, 128, 256)),
    ],
)  # fmt: skip
def test_stages_at_two_sizes(section, stages: str, channels: tuple[int, ...]) -> None:
    for size, sides in zip(((224, 224), (160, 97)), STAGES[stages], strict=True):
        rows = {row.name: row for row in table_of(section, (*size, 3), 7).rows}
        found = [rows[f"stage{i}"].output_shapes[0] for i in range(1, len(sides) + 1)]
        pairs = [(side, side) if isinstance(side, int) else side for side in sides]
        assert found == [(*pair, count) for pair, count in zip(pairs, channels, strict=True)]
        assert f"stage{len(sides) + 1}" not in rows
        assert rows["logits"].output_shapes == ((7,),)


@pytest.mark.parametrize("head", ["paper", "average", "max"])
@pytest.mark.parametrize(
    "section",
    [
        Vgg(kind="vgg", dense=(5,)),
        Resnet(kind="resnet", depth=18),
        Application(kind="application", network="mobilenet"),
    ],
)
def test_heads_and_dropout(section, head: str) -> None:
    kinds = {
        row.name: row.kind
        for row in table_of(section.model_copy(update={"head": head, "dropout": 0.3}), (64, 64, 3), 4).rows
    }
    pooling = {"max": "GlobalMaxPooling2D", "average": "GlobalAveragePooling2D"}
    wanted = "Flatten" if head == "paper" and section.kind == "vgg" else pooling.get(head, pooling["average"])
    assert wanted in kinds.values()
    assert list(kinds.values()).count("Dropout") == 1
    without = table_of(section.model_copy(update={"head": head, "dropout": 0.0}), (64, 64, 3), 4)
    if section.kind != "application" or head != "paper":  # Keras's own layer then has the proportion 0
        assert all(row.kind != "Dropout" for row in without.rows)


def test_the_papers_dropout_is_the_default(build_classifier) -> None:
    def rates(section: ImageClassifier, side: int = 75) -> list[float]:
        layers = build_classifier(section, (side, side, 3), 3).layers
        return [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)]

    assert rates(Vgg(kind="vgg", depth=11, width=0.02, dense=(4, 4))) == [0.5, 0.5]
    assert rates(Resnet(kind="resnet", depth=20)) == []
    assert rates(Application(kind="application", network="mobilenetv3small")) == [0.2]
    assert rates(Application(kind="application", network="mobilenetv3small", dropout=0.6)) == [0.6]
    assert rates(Application(kind="application", network="mobilenetv3small", dropout=0.0)) == [0.0]
    assert rates(Application(kind="application", network="mobilenetv3small", head="max")) == []
    scope = keras.StatelessScope(initialize_variables=False)
    with scope:
        assert rates(Senet(kind="senet", variant="senet154")) == [0.2]
        assert rates(Polynet(kind="polynet")) == [0.2]
        assert rates(Polynet(kind="polynet", dropout=0.0)) == []


# Inputs that are too small --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "smallest"),
    [
        (Vgg(kind="vgg", depth=11, dense=()), 32),
        (Polynet(kind="polynet", width=0.05), 75),
        (Application(kind="application", network="inceptionv3"), 75),
        (Application(kind="application", network="xception"), 71),
        (Application(kind="application", network="mobilenetv3small"), 32),
        (Application(kind="application", network="nasnetmobile"), 32),
    ],
)
def test_the_smallest_side_is_named_and_is_the_smallest(section, smallest: int) -> None:
    assert table_of(section, (smallest, smallest + 1, 3), 3).rows[-1].output_shapes == ((3,),)
    with pytest.raises(InputError) as error:
        table_of(section, (smallest, smallest - 1, 3), 3)
    message = str(error.value)
    assert f"at least {smallest}x{smallest}: set data.image_size. Received {smallest}x{smallest - 1}." in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "section",
    [
        Resnet(kind="resnet", depth=18),
        Resnet(kind="resnet", depth=50, version=2),
        Resnet(kind="resnet", depth=20),
        Resnext(kind="resnext"),
        Senet(kind="senet"),
        Dpn(kind="dpn", depth=68),
    ],
)
def test_what_is_convolutional_to_the_end_takes_a_single_pixel(section) -> None:
    assert table_of(section, (1, 1, 3), 3).rows[-1].output_shapes == ((3,),)


# Gradients and learning -----------------------------------------------------------------------------------------------

SMALL = {
    "vgg": (Vgg(kind="vgg", depth=11, width=0.125, dense=(16,), dropout=0.0), (32, 32, 3)),
    "vgg with batch norm": (Vgg(kind="vgg", depth=13, width=0.125, dense=(), batch_norm=True), (32, 32, 3)),
    "resnet 18": (Resnet(kind="resnet", depth=18, width=0.125, stem="small"), (16, 16, 3)),
    "resnet 50 version 2": (Resnet(kind="resnet", depth=50, version=2, width=0.125), (32, 32, 3)),
    "resnet 20": (Resnet(kind="resnet", depth=20, width=0.5), (16, 16, 1)),
    "resnet 20 version 2": (Resnet(kind="resnet", depth=20, version=2, width=0.5), (16, 16, 1)),
    "resnext": (Resnext(kind="resnext", width=0.125), (32, 32, 3)),
    "senet": (Senet(kind="senet", width=0.25), (32, 32, 3)),
    "dpn": (Dpn(kind="dpn", depth=68, width=0.25), (32, 32, 3)),
    "application": (Application(kind="application", network="mobilenetv3small", dropout=0.0), (32, 32, 3)),
}


@pytest.fixture(params=sorted(SMALL))
def small(request: pytest.FixtureRequest, build_classifier: Callable[..., keras.Model]) -> keras.Model:
    section, shape = SMALL[request.param]
    return build_classifier(section, shape, 3)


def batch_for(model: keras.Model, num: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(0, 255, (num, *model.input_shape[1:])).astype("float32")
    return x, np.arange(num) % 3


def test_every_trainable_variable_gets_a_gradient(small: keras.Model) -> None:
    assert_gradients(small)


@pytest.mark.parametrize(
    "name",
    [
        *("vgg", "vgg with batch norm", "resnet 18", "resnet 20"),
        *(
            pytest.param(name, marks=pytest.mark.slow)  # their steps take long to trace
            for name in ("resnet 50 version 2", "resnet 20 version 2", "resnext", "senet", "dpn", "application")
        ),
    ],
)
def test_a_batch_is_learned(name: str, build_classifier) -> None:
    section, shape = SMALL[name]
    assert_learns(build_classifier(section, shape, 3))


def small_polynet() -> keras.Model:
    inputs = keras.Input((75, 75, 3))
    maps = polynet.features(inputs, width=0.1, num_modules=(1, 2, 2))
    return keras.Model(inputs, heads.classification(keras.layers.GlobalAveragePooling2D()(maps), num_classes=3))


def test_a_small_polynet_gets_gradients() -> None:
    assert_gradients(small_polynet())


@pytest.mark.slow
def test_a_small_polynet_learns() -> None:
    assert_learns(small_polynet())


def loss_of(model: keras.Model, x: np.ndarray, y: np.ndarray) -> tf.Tensor:
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))


def assert_gradients(model: keras.Model) -> None:
    speed_up_kernel_gradients(model)
    with tf.GradientTape() as tape:
        loss = loss_of(model, *batch_for(model))
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def assert_learns(model: keras.Model) -> None:
    speed_up_kernel_gradients(model)
    x, y = batch_for(model)
    optimizer = keras.optimizers.Adam(2e-3)
    values = [variable.value for variable in model.trainable_variables]

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(model, x, y)
        optimizer.apply_gradients(zip(tape.gradient(loss, values), model.trainable_variables, strict=True))
        return loss

    losses = [float(step())]
    while losses[-1] > 0.05 and len(losses) < 60:
        losses.append(float(step()))
    assert losses[-1] < 0.1 < losses[0], losses


# Against Keras's own --------------------------------------------------------------------------------------------------


def test_vgg_is_keras_vgg() -> None:
    """With the same weights, the same maps."""
    own = build_classifier(Vgg(kind="vgg", preprocessing="none", dense=()), shape=(64, 80, 3), num_classes=2)
    theirs = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 80, 3))
    own.features.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 64, 80, 3)).astype("float32")
    np.testing.assert_allclose(own.features(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_resnet_is_keras_resnet() -> None:
    """With the same weights, the same maps: strides, margins, order. Keras's convolutions have biases, too."""
    own = build_classifier(Resnet(kind="resnet", preprocessing="none"), shape=(64, 96, 3), num_classes=2).features
    theirs = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 96, 3))
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            scale, shift, mean, variance = layer.get_weights()
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in (scale, shift, mean, variance)])
    for layer in own.layers:
        if not layer.weights:
            continue
        stage, _, rest = layer.name.removeprefix("stage").partition("_")
        block, _, part = rest.partition("_")
        number = "0" if part.startswith("shortcut") else part.split("_")[0]
        end = "conv" if part.endswith("conv") else "bn"
        prefix = "conv1" if layer.name.startswith("stem") else f"conv{int(stage) + 1}_{block}_{number}"
        name = f"{prefix}_{'conv' if layer.name.endswith('conv') else end if stage != 'stem' else 'bn'}"
        source = theirs.get_layer(name).get_weights()
        layer.set_weights(source[:1] if isinstance(layer, keras.layers.Conv2D) else source)
    x = rng.normal(size=(2, 64, 96, 3)).astype("float32")
    np.testing.assert_allclose(own(x), theirs(x), rtol=2e-3, atol=2e-3 * float(np.abs(theirs(x)).max()))


@pytest.mark.parametrize("name", ["mobilenet", "mobilenetv3small", "vgg16", "efficientnetb0", "convnexttiny"])
def test_an_application_is_keras_own_with_another_classifier(name: str, build_classifier) -> None:
    net = keras_application.NETWORKS[name]
    model = build_classifier(Application(kind="application", network=name), (64, 64, 3), 7)
    function = getattr(keras.applications, net.function)
    theirs = function(weights=None, classes=7, classifier_activation=None, input_shape=(64, 64, 3))
    assert [tuple(w.shape) for w in model.weights[:-2]] == [tuple(w.shape) for w in theirs.weights[:-2]]
    theirs.set_weights([*model.get_weights()[:-2], *(w.reshape(t.shape) for w, t in
                        zip(model.get_weights()[-2:], theirs.weights[-2:], strict=True))])  # fmt: skip
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    scaled = keras.Model(model.input, scale_input(model.input, Application(kind="application", network=name), None))
    logits = keras.Model(model.input, model.get_layer("logits").output)
    np.testing.assert_allclose(logits(x), theirs(scaled(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "mode"), [("caffe", "caffe"), ("torch", "torch"), ("symmetric", "tf")])
def test_pixels_are_scaled_as_keras_does(kind, mode: str) -> None:
    inputs = keras.Input((5, 4, 3))
    x = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype("float32")
    ours = keras.Model(inputs, preprocessing.pixels(inputs, preprocessing=kind))(x)
    theirs = keras.applications.imagenet_utils.preprocess_input(x.copy(), mode=mode)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("kind", ["caffe", "torch"])
def test_gray_images_have_no_colors_to_scale(kind) -> None:
    with pytest.raises(InputError, match=rf"'{kind}' is for images in color: .* Received 1 channels\."):
        preprocessing.pixels(keras.Input((8, 8, 1)), preprocessing=kind)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenet", "efficientnetb0"])
def test_gray_images_are_scaled_in_a_plainer_way(name: str) -> None:
    rows = table_of(Application(kind="application", network=name), (32, 32, 1), 3).rows
    assert rows[1].kind == "Rescaling"
    assert rows[1].output_shapes == ((32, 32, 1),)


# Weights --------------------------------------------------------------------------------------------------------------


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenetv3small", head=head)
    return build_classifier(section, shape=shape, num_classes=3)


def trained(*, include_top: bool) -> keras.Model:
    """Keras's network with weights that are none of the first ones."""
    model = keras.applications.MobileNetV3Small(weights=None, include_top=include_top)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def load_weights(target, file: Path | None, *, with_top: bool = False) -> None:
    found = keras_application.trained_model(
        "mobilenetv3small", with_top=with_top, file=None if file is None else str(file)
    )
    keras_application.give_weights(target.features, found, with_top=with_top)


@pytest.mark.parametrize("head", ["average", "paper"])
@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_come_from_a_file(tmp_path: Path, head: str, include_top: bool, suffix: str) -> None:
    source = trained(include_top=include_top)
    file = tmp_path / f"x{suffix}"
    source.save_weights(file) if suffix == ".weights.h5" else source.save(file)
    target = mobilenet(head=head)
    if head == "paper" and not include_top:
        with pytest.raises(InputError, match=r"do not fit mobilenetv3small with its classifier of 1,000"):
            load_weights(target, file, with_top=True)
        return
    load_weights(target, file, with_top=head == "paper")
    expected = source.get_weights()[: len(target.features.weights)]
    for weight, other in zip(target.features.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert len(expected) == len(target.features.weights)


def test_weights_of_another_network_and_of_colors_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.weights.h5"
    keras.applications.MobileNet(weights=None, include_top=False, alpha=0.25).save_weights(file)
    with pytest.raises(InputError, match=r"x\.weights\.h5: its weights do not fit mobilenetv3small"):
        load_weights(mobilenet(), file)
    colors = tmp_path / "colors.weights.h5"
    trained(include_top=False).save_weights(colors)
    with pytest.raises(InputError, match=r"are for images in color\. Set data\.color_mode: rgb"):
        load_weights(mobilenet(shape=(64, 64, 1)), colors)


def test_a_weight_that_is_not_finite_is_named(tmp_path: Path) -> None:
    source = trained(include_top=False)
    kernel = source.get_layer("conv").weights[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    source.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(InputError, match=r"conv/kernel holds values that are not finite"):
        load_weights(mobilenet(), tmp_path / "x.weights.h5")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such weights file"),
        (Path.mkdir, "is a folder, not a weights file"),
        (lambda path: path.write_bytes(b"random" * 100), "is not a weights file (.weights.h5 or .h5), or is corrupt"),
    ],
)
def test_what_is_no_file_of_weights(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "x.h5")
    with pytest.raises(InputError) as error:
        check_weights_file(tmp_path / "x.h5")
    assert message in str(error.value)


def test_weights_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["weights"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(InputError, match="contain a link at"):
        check_weights_file(tmp_path / "x.h5")


def test_without_a_network_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise Exception("URL fetch failure on https://example.org/x.h5: None -- [Errno -3] no name\\nmore")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)
    with pytest.raises(InputError) as error:
        load_weights(mobilenet(), None)
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    assert str(error.value) == (
        f"the ImageNet weights of mobilenetv3small are not in {home / 'models'}, and https://example.org/x.h5 cannot "
        "be reached. Fetch that file where there is a network and put it there, name another with model.weights "
        "(--weights PATH), or train from random weights with none."
    )


# Grouped convolutions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {"strides": 2}, {"padding": "same"}, {"dilation_rate": 2}, {"use_bias": False}])
def test_the_faster_gradient_of_a_grouped_kernel_is_the_gradient(keys: dict[str, object]) -> None:
    inputs = keras.Input((9, 8, 6))
    model = keras.Model(inputs, keras.layers.Conv2D(12, 3, groups=3, **keys)(inputs))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 8, 6)), tf.float32)

    def gradients() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(model(x) ** 2)
        return [np.asarray(g) for g in tape.gradient(loss, [x, *(v.value for v in model.trainable_variables)])]

    before, config = gradients(), json.dumps(model.get_config())
    speed_up_kernel_gradients(model)
    for fast, slow in zip(gradients(), before, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-4)
    assert json.dumps(model.get_config()) == config  # it is saved as Keras's own
    assert type(model.layers[1]) is keras.layers.Conv2D


# Receptive fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "field"),
    [  # Araujo, Norris and Sim 2019, table of receptive fields
        (Vgg(kind="vgg"), 212),
        (Resnet(kind="resnet", depth=50), 483),
        (Resnet(kind="resnet", depth=101), 1027),
        (Resnet(kind="resnet", depth=152), 1507),
        (Resnet(kind="resnet", depth=50, version=2), 483),
        (Application(kind="application", network="inceptionv3"), 1311),
        (Application(kind="application", network="inceptionresnetv2"), 3039),
        (Application(kind="application", network="mobilenet"), 315),
        (Resnet(kind="resnet", depth=20), 81),  # 3 + 6 * 2 = 15; + (1 + 5 * 2) * 2 = 37; + (1 + 5 * 2) * 4 = 81
    ],
)
def test_receptive_fields(section, field: int) -> None:
    rows = table_of(section, (224, 224, 3), 3).rows
    assert [row.receptive_field for row in rows if isinstance(row.receptive_field, tuple)][-1] == (field, field)
    assert all(row.receptive_field is not None for row in rows)
    assert rows[-1].receptive_field == "all"


def test_squeeze_and_excitation_sees_everything() -> None:
    rows = {row.name: row for row in table_of(Senet(kind="senet"), (64, 64, 3), 3).rows}
    assert rows["stage1_block1_3_norm"].receptive_field == (19, 19)
    assert rows["stage1_block1_se_scale"].receptive_field == "all"
    assert rows["stage4"].receptive_field == "all"


def test_activations_of_vgg16_are_not_24_million() -> None:
    """Convolution outputs, pooling outputs, dense outputs with their dropout, and the input."""
    outputs = [(224, 64)] * 2 + [(112, 128)] * 2 + [(56, 256)] * 3 + [(28, 512)] * 3 + [(14, 512)] * 3
    pools = [(112, 64), (56, 128), (28, 256), (14, 512), (7, 512)]
    total = sum(side * side * maps for side, maps in outputs + pools) + 224 * 224 * 3 + 2 * (4096 + 4096) + 1000
    assert read_costs()["vgg16", 224].activations == total == 15_245_800
    assert math.isclose(total / 1e6, 15.2, abs_tol=0.05)


@pytest.mark.parametrize("network", ["mobilenetv3small", "inceptionv3", "resnet50"])
def test_moving_averages_keep_up_with_few_steps(network: ApplicationName) -> None:
    """Keras's networks have momenta of up to 0.999, of which training from scratch on a small set sees nothing."""
    section = Application(kind="application", network=network)
    with without_weights():
        layers = build_classifier(section, shape=(96, 96, 3), num_classes=3).model.layers
        momenta = {layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {0.9}
