"""U-Net: counts by the paper's table, levels on other networks."""

import itertools

import keras
import pytest
from segmenters import resnet18, unet_from_scratch, unet_on_resnet  # type: ignore[import-not-found]

from dlcli.models.heads.unet import unet
from dlcli.models.images import keras_application
from dlcli.models.images.taps import taps
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights


def of_figure_1(
    channels: int, num_classes: int, *, depth: int, filters: int, batch_norm: bool, transposed: bool
) -> int:
    """The trainable parameters of figure 1, level by level."""

    def two(before: int, after: int) -> int:
        each = 2 * after if batch_norm else after  # scale and shift, or bias
        return 9 * before * after + each + 9 * after * after + each

    counts = [filters * 2**level for level in range(depth + 1)]
    total = two(channels, counts[0]) + sum(two(a, b) for a, b in itertools.pairwise(counts))
    for finer, coarser in itertools.pairwise(counts):
        up = 4 * coarser * finer + finer if transposed else 0
        total += up + two(finer + (finer if transposed else coarser), finer)
    return total + filters * num_classes + num_classes


def test_the_papers_network_has_31_million_parameters() -> None:
    with without_weights():
        model = unet_from_scratch((572, 572, 1), 2, filters=64, batch_norm=False)
        # as counted for the padded network with two classes by implementations of it
        assert model.count_params() == 31_030_658
        assert of_figure_1(1, 2, depth=4, filters=64, batch_norm=False, transposed=True) == 31_030_658
        shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert [shapes[f"stage{i}"] for i in range(1, 6)] == [
        *((572, 572, 64), (286, 286, 128), (143, 143, 256), (72, 72, 512), (36, 36, 1024)),
    ]
    assert shapes["decoder1_join"] == (72, 72, 1024)
    assert shapes["decoder4_out"] == (572, 572, 64)


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_parameters_by_formula(upsampling, batch_norm: bool) -> None:
    with without_weights():
        model = unet_from_scratch((33, 40, 3), 5, depth=3, filters=6, batch_norm=batch_norm, upsampling=upsampling)
        trainable = layer_table(model).trainable
    transposed = upsampling == "transposed"
    assert trainable == of_figure_1(3, 5, depth=3, filters=6, batch_norm=batch_norm, transposed=transposed)


def decoder_parameters(skips: list[int], deepest: int, filters: list[int], num_classes: int) -> int:
    """Two 3x3 convolutions with batch normalization at each level, by the channels of the skip connections."""
    total, before = 0, deepest
    for skip, after in zip(skips, filters, strict=True):
        total += 9 * (before + skip) * after + 2 * after + 9 * after * after + 2 * after
        before = after
    return total + before * num_classes + num_classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "skips", "deepest"),
    [
        ("resnet50", [1024, 512, 256, 64, 0], 2048),
        ("mobilenetv2", [576, 192, 144, 96, 0], 1280),
        ("vgg16", [512, 512, 256, 128, 64], 512),
        ("convnexttiny", [384, 192, 96, 0, 0], 768),  # nothing at stride 2
    ],
)
def test_parameters_on_networks_of_keras(network: str, skips: list[int], deepest: int) -> None:
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        maps = keras_application.features(inputs, network=network, with_top=False).maps
        logits = unet(
            taps(inputs, maps),
            size=(96, 97),
            filters=16,
            batch_norm=True,
            dropout=0,
            upsampling="bilinear",
            num_classes=11,
        )
        backbone = layer_table(keras.Model(inputs, maps)).trainable
        trainable = layer_table(keras.Model(inputs, logits)).trainable
    assert trainable - backbone == decoder_parameters(skips, deepest, [256, 128, 64, 32, 16], 11)


def test_levels_on_a_backbone() -> None:
    with without_weights():
        model = unet_on_resnet((64, 97, 3), 4)
        shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
        kinds = {type(layer) for layer in model.layers}
        inputs = keras.Input((64, 97, 3))
        backbone = layer_table(keras.Model(inputs, resnet18(inputs))).trainable
        trainable = layer_table(model).trainable
    # strides 16, 8, 4, 2 with a skip connection each, and 1 without
    assert [shapes[f"decoder{i}_out"] for i in range(1, 6)] == [
        *((4, 7, 32), (8, 13, 16), (16, 25, 8), (32, 49, 4), (64, 97, 2)),
    ]
    assert "decoder5_join" not in shapes
    assert keras.layers.Conv2DTranspose not in kinds
    assert trainable - backbone == decoder_parameters([16, 8, 4, 4, 0], 32, [32, 16, 8, 4, 2], 4)


def test_transposed_convolutions_on_a_backbone() -> None:
    with without_weights():
        model = unet_on_resnet((64, 64, 3), 4, upsampling="transposed")
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
        assert [(layer.filters, layer.kernel_size, layer.strides) for layer in layers] == [
            (filters, (2, 2), (2, 2)) for filters in (32, 16, 8, 4, 2)
        ]
        assert not any(isinstance(layer, keras.layers.Resizing) for layer in model.layers)  # sides are divisible
