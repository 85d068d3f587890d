"""A network on padded batches, with constant weights or not: the outputs of the Keras model, sample by sample."""

import keras
import numpy as np
import pytest

from dlcli.tasks import frozen_network
from dlcli.tasks.predictor import PaddedNetwork

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A convolution with batch normalization, and two outputs."""
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3, use_bias=False)(image)
    normalization = keras.layers.BatchNormalization()
    x = keras.layers.ReLU(6.0)(normalization(x))
    normalization.set_weights([RNG.uniform(0.5, 2, 3) for _ in range(4)])
    return keras.Model(image, {"mean": keras.layers.GlobalAveragePooling2D()(x), "map": x})


@pytest.mark.parametrize("freezes", [False, True])
def test_outputs_do_not_depend_on_padding_nor_on_constant_weights(network: keras.Model, freezes: bool) -> None:
    padded = PaddedNetwork(network, largest=4, freezes=freezes)
    assert padded.sizes == (1, 2, 4)
    for number, side in ((1, 6), (3, 6), (4, 9)):
        x = RNG.uniform(0, 255, (number, side, side, 1)).astype(np.uint8)
        expected = network(x.astype(np.float32))
        found = padded(x)
        assert len(found) == 2
        for output, name in zip(found, sorted(expected), strict=True):  # as tf.nest flattens them
            np.testing.assert_allclose(output, expected[name], atol=1e-3)  # differences of pixels of up to 255


def test_large_networks_are_not_frozen(network: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert frozen_network.is_freezable(network)
    num_bytes = 4 * network.count_params()
    monkeypatch.setattr(frozen_network, "MAX_BYTES", num_bytes)
    assert frozen_network.is_freezable(network)
    monkeypatch.setattr(frozen_network, "MAX_BYTES", num_bytes - 1)
    assert not frozen_network.is_freezable(network)
