"""What is explained of boxes and numbers: against closed forms of linear networks; and what is refused."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.explanation import baselines
from dlcli.explanation.gradients import gradient
from dlcli.explanation.integrated import integrated_gradients
from dlcli.tasks.images.aspects import Explainable, boxes_outlined
from dlcli.tasks.images.box_aspects import NAMES, explainable_boxes
from dlcli.tasks.images.number_aspects import explainable_numbers
from dlcli.tasks.task import ExplanationRequest

RNG = np.random.default_rng(3)
PIXELS = RNG.uniform(0, 255, (3, 4, 5, 1)).astype(np.float32)
FLAT = PIXELS.reshape(3, 20)
ROWS, LABELS = np.arange(3), np.array([1, 0, 1], np.int32)
SAMPLES = Samples(names=tuple("abc"), labels=LABELS, digests=tuple("abc"), groups=None, policy=None, pixels=PIXELS)
CLASSES = ("cat", "dog")


def localizer(*, per_class: bool) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Linear logits and boxes, and the weights of both; boxes ``[20, 4]`` or ``[20, 2, 4]``."""
    inputs = keras.Input((4, 5, 1))
    x = keras.layers.Flatten()(inputs)
    logits, sides = keras.layers.Dense(2, name="logits"), keras.layers.Dense(8 if per_class else 4)
    classes = keras.layers.Softmax(name="probabilities")(logits(x))
    boxes = keras.layers.Reshape((2, 4) if per_class else (4,), name="boxes")(sides(x))
    weights = RNG.normal(size=(20, 2)) / 100, RNG.normal(size=(20, 8 if per_class else 4)) / 1000
    logits.set_weights([weights[0], np.zeros(2)])
    sides.set_weights([weights[1], np.array([0.2, 0.3, 0.6, 0.9] * (2 if per_class else 1))])
    return keras.Model(inputs, {"probabilities": classes, "box": boxes}), *weights


@pytest.mark.parametrize("per_class", [False, True])
def test_each_side_of_a_box_is_explained_in_pixels(per_class: bool) -> None:
    model, of_logits, of_boxes = localizer(per_class=per_class)
    found = explainable_boxes(model, ExplanationRequest(target="label"), CLASSES)
    assert [aspect.name for aspect in found.aspects] == list(NAMES)
    chosen = found.aspects[0].choose(PIXELS, SAMPLES, ROWS)
    assert [row["class"] for row in chosen.columns] == ["dog", "cat", "dog"]
    expected = (of_logits.T[LABELS]).reshape(3, 4, 5)
    np.testing.assert_allclose(gradient(found.aspects[0].network)(PIXELS, chosen.targets).maps, expected, rtol=1e-4)
    sizes = (5, 4, 5, 4)
    for side, aspect in enumerate(found.aspects[1:]):
        chosen = aspect.choose(PIXELS, SAMPLES, ROWS)
        column = LABELS * 4 + side if per_class else np.full(3, side)
        maps = gradient(aspect.network)(PIXELS, chosen.targets).maps
        np.testing.assert_allclose(maps, sizes[side] * of_boxes.T[column].reshape(3, 4, 5), rtol=1e-4, atol=1e-8)
        start = np.array([0.2, 0.3, 0.6, 0.9])[side]
        values = sizes[side] * (np.einsum("bp,bp->b", FLAT, of_boxes.T[column]) + start)
        np.testing.assert_allclose([row["value"] for row in chosen.columns], values, rtol=1e-4)
        assert {row["target"] for row in chosen.columns} == {aspect.name}
        shares = integrated_gradients(aspect.network, baseline=baselines.black)(PIXELS, chosen.targets)
        np.testing.assert_allclose(shares.maps.sum((1, 2)), values - sizes[side] * start, rtol=1e-3, atol=1e-5)


def test_each_number_is_explained_in_its_unit() -> None:
    inputs = keras.Input((4, 5, 1))
    layer = keras.layers.Dense(2)
    scaled = keras.layers.Rescaling([10.0, 2.0], offset=[5.0, 1.0], name="value")
    model = keras.Model(inputs, scaled(layer(keras.layers.Flatten()(inputs))))
    weights = RNG.normal(size=(20, 2)) / 100
    layer.set_weights([weights, np.zeros(2)])
    found = explainable_numbers(model, ExplanationRequest(), ("age", "weight"))
    assert [aspect.name for aspect in found.aspects] == ["age", "weight"]
    for index, (aspect, unit, start) in enumerate(zip(found.aspects, (10.0, 2.0), (5.0, 1.0), strict=True)):
        chosen = aspect.choose(PIXELS, SAMPLES, ROWS)
        maps = gradient(aspect.network)(PIXELS, chosen.targets).maps
        np.testing.assert_allclose(maps, np.stack([unit * weights[:, index].reshape(4, 5)] * 3), rtol=1e-4)
        values = unit * (FLAT @ weights[:, index]) + start
        np.testing.assert_allclose([row["value"] for row in chosen.columns], values, rtol=1e-4)
    assert asked(model, "weight") == ["weight"]
    with pytest.raises(InputError, match="--target wieght: not an output of the network; did you mean 'weight'"):
        asked(model, "wieght")
    with pytest.raises(InputError, match="--target x: not an output of the network; it has age, weight"):
        asked(model, "x")


def asked(model: keras.Model, *targets: str) -> list[str]:
    found: Explainable = explainable_numbers(model, ExplanationRequest(outputs=targets), ("age", "weight"))
    return [aspect.name for aspect in found.aspects]


def test_a_box_is_marked_by_its_pixels_but_never_by_none() -> None:
    boxes = np.array([[0.0, 0.25, 0.4, 1.0], [0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 1.4, 1.2], [1.0, 1.0, 1.0, 1.0]])
    found: Any = boxes_outlined(boxes, (4, 5, 1))
    assert found[0].sum() == 3 * 2
    assert found[0, 1:, :2].all()
    assert found.sum((1, 2)).tolist() == [6, 1, 1, 1]
