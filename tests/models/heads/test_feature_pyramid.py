"""The feature pyramid: sides at all sizes, parameters by formula, the way down from the coarsest maps."""

import keras
import numpy as np
import pytest

from dlcli.models.heads.anchors import sides_of
from dlcli.models.heads.feature_pyramid import backbone_strides, feature_pyramid
from dlcli.models.images import keras_application
from dlcli.models.images.taps import taps
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights

CHANNELS = {4: 6, 8: 10, 16: 12, 32: 20}


def pyramid_of(
    size: tuple[int, int], levels: tuple[int, ...], *, channels: int = 16, unpadded: bool = False, **keys: str
) -> keras.Model:
    """On inputs of their own for each tap."""
    inputs = {}
    for stride, depth in CHANNELS.items():
        sides = [side // stride if unpadded else -(-side // stride) for side in size]
        inputs[stride] = keras.Input((*sides, depth), name=f"tap{stride}")
    found = feature_pyramid(inputs, size=size, levels=levels, channels=channels, **keys)  # type: ignore[arg-type]
    assert list(found) == list(levels)
    return keras.Model(list(inputs.values()), list(found.values()))


@pytest.mark.parametrize("levels", [(3, 4, 5, 6, 7), (2, 3, 4, 5, 6), (3,), (4, 5), (5, 6)])
def test_sides_are_the_images_divided_by_the_stride(levels: tuple[int, ...]) -> None:
    for size, unpadded in (((64, 96), False), ((75, 130), False), ((75, 130), True)):
        with without_weights():
            model = pyramid_of(size, levels, unpadded=unpadded)
            found = [x.shape[1:] for x in model.outputs]
        assert found == [(*sides_of(size, level), 16) for level in levels]


@pytest.mark.parametrize("normalization", ["none", "group", "batch"])
def test_parameters_by_formula(normalization: str) -> None:
    with without_weights():
        trainable = layer_table(pyramid_of((64, 64), (3, 4, 5, 6, 7), normalization=normalization)).trainable
    each = 16 if normalization == "none" else 32
    laterals = sum(CHANNELS[stride] * 16 + each for stride in (8, 16, 32))
    assert trainable == laterals + 5 * (9 * 16 * 16 + each)


def test_every_level_has_the_coarsest_maps_in_it_and_only_finer_ones_the_finest() -> None:
    model = pyramid_of((64, 64), (3, 4, 5, 6))
    rng = np.random.default_rng(0)
    taps = [rng.normal(size=(1, *x.shape[1:])).astype("float32") for x in model.inputs]
    before = model(taps)

    def changed(position: int) -> list[int]:
        after = model([x + 1.0 if i == position else x for i, x in enumerate(taps)])
        pairs = zip((3, 4, 5, 6), after, before, strict=True)
        return [level for level, new, old in pairs if np.abs(new - old).max() > 1e-3]

    assert [changed(position) for position in range(4)] == [[], [3], [3, 4], [3, 4, 5, 6]]


def test_maps_come_down_by_the_nearest_value() -> None:
    size = (24, 40)  # 3x5, 2x3 and 1x2 positions: odd sides
    model = pyramid_of(size, (3, 4, 5), channels=4)
    for layer in model.layers:
        if layer.name.endswith("_lateral"):
            layer.set_weights([np.ones_like(layer.kernel), np.zeros(4)])
    inner = keras.Model(model.inputs, [model.get_layer(f"pyramid{level}_add").output for level in (4, 3)])
    values = [np.zeros((1, *x.shape[1:]), "float32") for x in model.inputs]
    values[-1][..., 0] = [[1, 2]]
    at16, at8 = (np.asarray(x)[0, ..., 0] for x in inner(values))
    assert at16.tolist() == [[1, 1, 2], [1, 1, 2]]
    assert at8.tolist() == [[1, 1, 1, 1, 2]] * 3


def test_backbones_are_needed_up_to_stride_32() -> None:
    assert backbone_strides((3, 4, 5, 6, 7)) == (8, 16, 32)
    assert backbone_strides((2,)) == (4, 8, 16, 32)
    assert backbone_strides((6, 7)) == (32,)


def test_a_network_of_keras() -> None:
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        maps = keras_application.features(inputs, network="mobilenetv2", with_top=False, options={"alpha": 0.35}).maps
        found = feature_pyramid(taps(inputs, maps), size=(96, 97), levels=(3, 4, 5), channels=8)
        assert [x.shape[1:] for x in found.values()] == [(12, 13, 8), (6, 7, 8), (3, 4, 8)]
