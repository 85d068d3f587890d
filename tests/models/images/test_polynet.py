"""PolyNet: a small one gets gradients and learns."""

import keras
import pytest
from learning import assert_gradients, assert_learns  # type: ignore[import-not-found]

from dlcli.models.heads import vector as heads
from dlcli.models.images import polynet


def small_polynet() -> keras.Model:
    inputs = keras.Input((75, 75, 3))
    maps = polynet.features(inputs, width=0.1, num_modules=(1, 2, 2))
    return keras.Model(inputs, heads.classification(keras.layers.GlobalAveragePooling2D()(maps), num_classes=3))


@pytest.mark.slow  # test_published_networks.py has the gradients of quicker families
def test_a_small_polynet_gets_gradients() -> None:
    assert_gradients(small_polynet())


@pytest.mark.slow
def test_a_small_polynet_learns() -> None:
    assert_learns(small_polynet())
