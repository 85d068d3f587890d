"""Methods of attribution equal captum's, which make_captum.py has stored, to 1e-5 of the largest value."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation import baselines
from dlcli.explanation.deconvnet import deconvnet
from dlcli.explanation.gradcam import gradcam
from dlcli.explanation.gradients import gradient, guided_backpropagation
from dlcli.explanation.integrated import integrated_gradients
from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.occlusion import occlusion

Arrays = dict[str, np.ndarray]

METHODS: dict[str, Any] = {
    "gradient": gradient,
    "guided": guided_backpropagation,
    "gradcam": lambda network: gradcam(network, layer="relu2"),
    "integrated": lambda network: integrated_gradients(network, baseline=baselines.black, steps=64),
    "occlusion": lambda network: occlusion(network, baseline=baselines.black, window=4, step=2),
}


@pytest.fixture(scope="module")
def stored() -> Arrays:
    with np.load(Path(__file__).with_name("captum.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def network(stored: Arrays) -> Classifier:
    layers = keras.layers
    inputs = x = keras.Input(stored["images"].shape[1:])
    for number, filters in ((1, 6), (2, 8)):
        x = layers.MaxPooling2D(name="pool")(x) if number == 2 else x
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    model = keras.Model(inputs, layers.Dense(len(stored["bias3"]), name="logits")(layers.Flatten()(x)))
    model.set_weights([stored[f"{kind}{number}"] for number in (1, 2, 3) for kind in ("kernel", "bias")])
    np.testing.assert_allclose(model(stored["images"]), stored["logits"], atol=1e-5 * np.abs(stored["logits"]).max())
    return open_network(model)


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", METHODS)
def test_maps_are_captums(stored: Arrays, network: Classifier, name: str) -> None:
    found = METHODS[name](network)(stored["images"], stored["classes"])
    assert_equal(found.maps, stored[name])


def test_projections_of_the_deconvnet_are_captums(stored: Arrays, network: Classifier) -> None:
    project = deconvnet(network, "relu2")
    found = project(stored["images"], stored["filters"], stored["positions"])
    assert np.abs(stored["deconvnet"]).reshape(3, -1).max(1).min() > 0
    assert_equal(found, stored["deconvnet"])
