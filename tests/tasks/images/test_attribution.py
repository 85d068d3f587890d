"""Which methods and layers a request gets."""

from typing import Any

import keras
import pytest

from dlcli.errors import InputError
from dlcli.explanation.logits import Classifier, open_network
from dlcli.tasks.images.attribution import layer_of, methods_of, stages_of
from dlcli.tasks.task import ExplanationRequest


def network(side: int, *, named: bool = False) -> Classifier:
    """Two stages of convolutions, a third of a single position."""
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="a1")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="a2")(x)
    x = keras.layers.MaxPooling2D(2, name="stage1" if named else "p1")(x)
    x = keras.layers.Conv2D(4, 3, padding="same", name="b1")(x)
    x = keras.layers.ReLU(name="b2")(x)
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    return open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))


def test_auto_depends_on_the_size_of_the_images() -> None:
    assert methods_of(ExplanationRequest(), network(64)) == ("integrated", "occlusion")
    assert methods_of(ExplanationRequest(), network(66)) == ("gradcam", "occlusion")
    asked = ExplanationRequest(methods=("guided", "auto", "occlusion"))
    assert methods_of(asked, network(64)) == ("guided", "integrated", "occlusion")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layer": "a1"},
            "--layer is for --method gradcam and --method gradcam",
        ),
        ({"steps": 5, "methods": ("guided",)}, "--steps is for --method integrated."),
        ({"baseline": "mean", "methods": ("guided",)}, "--baseline is for --method integrated and --method occlusion."),
    ],
)
def test_options_of_other_methods_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        methods_of(ExplanationRequest(**options), network(64))


def test_the_last_layer_with_more_than_one_position_is_the_default() -> None:
    assert layer_of(network(8), None) == "b2"


def test_a_stage_is_its_last_layer_unless_a_layer_has_the_name() -> None:
    assert stages_of(network(8), "b2") == {"stage1": "a2", "stage2": "b2"}
    assert layer_of(network(8), "stage1") == "a2"
    assert layer_of(network(8, named=True), "stage1") == "stage1"


def test_unknown_layers_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="--layer stage9: the network has no such layer; did you mean"):
        layer_of(network(8), "stage9")
    with pytest.raises(InputError, match="Layers with feature maps: a1, a2, p1, b1, b2"):
        layer_of(network(8), "nothing like it at all")


def test_networks_without_maps_are_refused() -> None:
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)  # maps, but not of features
    x = keras.layers.Normalization(mean=[1.0], variance=[2.0])(x)
    flat = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    with pytest.raises(InputError, match="has no feature maps, which Grad-CAM weights"):
        layer_of(flat, None)
