"""DeepLabv3+: counts by formula on published backbones, atrous rates."""

import keras
import pytest
from segmenters import deeplab_on_resnet  # type: ignore[import-not-found]

from dlcli.models.heads.deeplabv3plus import deeplabv3plus
from dlcli.models.images import keras_application
from dlcli.models.images.dilation import dilated
from dlcli.models.images.taps import taps
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights


def head_parameters(
    deepest: int, low_level: int, num_classes: int, *, filters: int = 256, separable: bool = False
) -> int:
    """The trainable parameters of figure 2 but for the backbone; each convolution has scale and shift."""

    def conv(before: int, after: int, side: int) -> int:
        kernel = 9 * before + before * after if separable and side == 3 else side**2 * before * after
        return kernel + 2 * after

    pyramid = 2 * conv(deepest, filters, 1) + 3 * conv(deepest, filters, 3) + conv(5 * filters, filters, 1)
    decoder = conv(low_level, 48, 1) + conv(filters + 48, filters, 3) + conv(filters, filters, 3)
    return pyramid + decoder + filters * num_classes + num_classes


@pytest.mark.slow
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize(
    ("network", "deepest", "low_level"), [("resnet50", 2048, 256), ("mobilenetv2", 1280, 144), ("xception", 2048, 128)]
)
def test_parameters_on_networks_of_keras(network: str, deepest: int, low_level: int, separable: bool) -> None:
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        maps = keras_application.features(inputs, network=network, with_top=False).maps
        maps = dilated(inputs, maps, output_stride=16)
        logits = deeplabv3plus(
            taps(inputs, maps), size=(96, 97), filters=256, separable=separable, dropout=0, num_classes=21
        )
        backbone = layer_table(keras.Model(inputs, maps)).trainable
        trainable = layer_table(keras.Model(inputs, logits)).trainable
    assert trainable - backbone == head_parameters(deepest, low_level, 21, separable=separable)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize(("output_stride", "sides"), [(16, (4, 7)), (8, (8, 13))])
def test_rates_and_sides(output_stride: int, sides: tuple[int, int], separable: bool) -> None:
    """Chen et al. 2017: rates of 6, 12 and 18 at a stride of 16, doubled at 8."""
    with without_weights():
        model = deeplab_on_resnet((64, 97, 3), 5, output_stride=output_stride, separable=separable)
        layers = {layer.name: layer for layer in model.layers}
        rates = [layers[f"aspp_{i}_conv"].dilation_rate[0] for i in (2, 3, 4)]
        shapes = {name: layer.output.shape[1:] for name, layer in layers.items()}
        trainable = layer_table(model).trainable
        backbone = sum(row.trainable for row in layer_table(model).rows if row.name.startswith("stage"))
        stem = sum(row.trainable for row in layer_table(model).rows if row.name.startswith("stem"))
    assert rates == [rate * 16 // output_stride for rate in (6, 12, 18)]
    assert shapes["aspp_join"] == (*sides, 5 * 6)
    assert shapes["decoder_join"] == (16, 25, 6 + 48)
    assert shapes["scores"] == (16, 25, 5)
    assert trainable - backbone - stem == head_parameters(32, 4, 5, filters=6, separable=separable)
