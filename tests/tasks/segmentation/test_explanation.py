"""What is explained of segmentation: against closed forms of linear networks."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.explanation import baselines
from dlcli.explanation.gradients import gradient
from dlcli.explanation.integrated import integrated_gradients
from dlcli.models.heads.unet import contracting_path, unet
from dlcli.tasks.images.aspects import Chosen
from dlcli.tasks.images.explained_tiles import load_views
from dlcli.tasks.segmentation.explanation import explainable_masks
from dlcli.tasks.task import ExplanationRequest

RNG = np.random.default_rng(3)
PIXELS = RNG.uniform(0, 255, (4, 6, 9, 2)).astype(np.float32)
CLASSES = ("background", "cat", "dog")
ROWS = np.arange(4)
NAMES = ("a", "b", "c", "d")
SAMPLES = Samples(names=NAMES, labels=np.full(4, -1), digests=NAMES, groups=None, policy=None, pixels=PIXELS)


def linear() -> tuple[keras.Model, np.ndarray]:
    """A 1x1 convolution, and its weights ``[channels, classes]``."""
    inputs = keras.Input((6, 9, 2))
    logits = keras.layers.Conv2D(3, 1, name="logits")
    outputs = {"probabilities": keras.layers.Activation("softmax", name="probabilities")(logits(inputs))}
    model = keras.Model(inputs, outputs | {"classes": keras.ops.argmax(logits.output, axis=-1)})
    weights = np.array([[1.0, -2.0, 0.0], [-1.0, 2.0, 1.0]])
    logits.set_weights([weights[None, None], np.array([60.0, 0.0, 20.0])])
    return model, weights


def explained(**request: Any) -> tuple[Any, Chosen]:
    found = explainable_masks(linear()[0], ExplanationRequest(**request), CLASSES)
    return found.aspects[0], found.aspects[0].choose(PIXELS, SAMPLES, ROWS)


def test_the_sum_of_a_class_over_its_mask_is_explained() -> None:
    aspect, chosen = explained()
    _, weights = linear()
    logits = PIXELS @ weights + [60.0, 0.0, 20.0]
    predicted = logits.argmax(-1)
    maps = gradient(aspect.network)(PIXELS, chosen.targets).maps
    for row, columns in enumerate(chosen.columns):
        pixels = np.bincount(predicted[row].ravel(), minlength=3)
        label = 1 + int(pixels[1:].argmax())  # the background is more frequent
        assert pixels[0] > 0
        mask = predicted[row] == label
        assert columns["class"] == CLASSES[label]
        assert columns["pixels"] == mask.sum()
        assert columns["share"] == pytest.approx(mask.mean())
        assert columns["value"] == pytest.approx(logits[row, mask, label].sum(), rel=1e-5)
        np.testing.assert_allclose(maps[row], mask * weights[:, label].sum(), atol=1e-5)
        np.testing.assert_array_equal(chosen.outlines[row], mask)  # type: ignore[index]
    found = integrated_gradients(aspect.network, baseline=baselines.mean)(PIXELS, chosen.targets)
    assert found.facts["completeness_error"].max() < 1e-3
    scores = np.asarray(aspect.network.scores(PIXELS, chosen.targets)[0])
    np.testing.assert_allclose(scores, [row["value"] for row in chosen.columns], rtol=1e-4)


def test_a_class_that_is_not_predicted_is_left_out() -> None:
    _, chosen = explained(target="cat")
    assert chosen.exists is not None
    assert chosen.exists.all()
    dark = np.zeros_like(PIXELS)
    aspect, _ = explained(target="cat")
    assert not aspect.choose(dark, SAMPLES, ROWS).exists.any()
    background = explained()[0].choose(dark, SAMPLES, ROWS)  # there is nothing else
    assert {row["class"] for row in background.columns} == {"background"}
    with pytest.raises(InputError, match="--class label: each pixel has a label of its own"):
        explained(target="label")


def test_gradcam_weights_the_bottleneck_by_default() -> None:
    inputs = keras.Input((16, 24, 3))
    path = contracting_path(inputs, depth=2, filters=2, batch_norm=True)
    keys: dict[str, Any] = {"size": (16, 24), "filters": 2, "batch_norm": True, "upsampling": "bilinear"}
    logits = unet(path, dropout=0.0, num_classes=3, **keys)
    model = keras.Model(inputs, {"probabilities": keras.layers.Softmax()(logits)})
    assert explainable_masks(model, ExplanationRequest(), CLASSES).aspects[0].layer == "stage3"


def bright() -> keras.Model:
    """Class 1 where a gray pixel is above 100."""
    inputs = keras.Input((32, 32, 1))
    logits = keras.layers.Conv2D(2, 1, name="logits")
    model = keras.Model(inputs, logits(inputs))
    logits.set_weights([np.array([[[[0.0, 1.0]]]]), np.array([100.0, 0.0])])
    return model


def test_of_large_images_the_tile_with_the_largest_mask_is_explained() -> None:
    images = np.zeros((2, 70, 64, 1), np.uint8)
    images[0, 40:60, 36:50] = 255
    images[0, 3:6, 3:6] = 255
    policy = ImagePolicy((32, 32), "grayscale", "stretch", "bilinear", True, overlap=0)
    samples = replace(SAMPLES, names=NAMES[:2], labels=np.full(2, -1), pixels=None, unsized=images, policy=policy)
    (aspect,) = explainable_masks(bright(), ExplanationRequest(), CLASSES[:2]).aspects
    views = load_views(aspect, samples, np.array([1, 0]))
    assert list(views.places) == [(0, 0), (32, 32)]  # the other image has nothing but background
    np.testing.assert_array_equal(views.pixels[1], images[0, 32:64, 32:64])
    assert views.columns(1) == {"tile_top": 32, "tile_left": 32}
    (aspect,) = explainable_masks(bright(), ExplanationRequest(target="background"), CLASSES[:2]).aspects
    assert load_views(aspect, samples, np.array([0])).places[0] == (0, 32)
