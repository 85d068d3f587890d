"""Receptive fields of the layers of opened networks, and the stages of networks without layers of that name."""

import keras
import pytest

from dlcli.explanation.logits import Classifier, open_network
from dlcli.tasks.images.features import _jitter, _layers, windows_of


@pytest.fixture(scope="module")
def network() -> Classifier:
    """A network with another one inside, in the form of MobileNet's: zero padding, then a convolution with strides."""
    inner = keras.Input((20, 20, 3))
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(inner)
    x = keras.layers.ReLU(name="first")(keras.layers.Conv2D(4, 3, strides=2)(x))
    y = keras.layers.Conv2D(4, 3, padding="same", name="branch")(x)
    x = keras.layers.Add(name="sum")([x, y])
    x = keras.layers.ReLU(name="second")(keras.layers.Conv2D(4, 3, strides=2, padding="same")(x))
    base = keras.Model(inner, x, name="base")
    inputs = keras.Input((20, 20, 3))
    x = base(keras.layers.Rescaling(1 / 255)(inputs))
    return open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))))


def test_receptive_fields_of_nested_layers(network: Classifier) -> None:
    windows = windows_of(network)
    spans = {name: windows[name][0].span(0) for name in ("first", "branch", "sum", "second")}  # type: ignore[index]
    assert spans == {"first": (0, 3), "branch": (-2, 5), "sum": (-2, 5), "second": (-2, 9)}
    assert windows["second"][1].span(2) == (6, 17)  # type: ignore[index]


def test_stages_of_a_network_without_layers_of_that_name(network: Classifier) -> None:
    assert _layers(network, "all") == {"stage1": "sum", "stage2": "second"}
    assert _layers(network, "stage1") == {"stage1": "sum"}
    assert _layers(network, "branch") == {"branch": "branch"}


def test_jitter_is_less_than_the_receptive_field(network: Classifier) -> None:
    windows = windows_of(network)
    assert _jitter(network, windows["first"]) == 0
    assert _jitter(network, windows["second"]) == 1
    assert _jitter(network, None) == 1
