"""What is explained of a detector: against the scores of the boxes that its model keeps."""

import functools
from typing import Annotated, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import Field, TypeAdapter

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.explanation import baselines
from dlcli.explanation.gradcam import gradcam
from dlcli.explanation.gradients import gradient
from dlcli.explanation.integrated import integrated_gradients
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import FasterRcnn, Fcos, MaskRcnn, Retinanet
from dlcli.tasks.detection.explanation import explainable_objects
from dlcli.tasks.detection.network import detection_outputs, maps_of
from dlcli.tasks.images.aspects import Chosen
from dlcli.tasks.images.attribution import layer_of
from dlcli.tasks.images.network import with_head
from dlcli.tasks.task import ExplanationRequest

MODEL: TypeAdapter[Any] = TypeAdapter(Annotated[Fcos | Retinanet | FasterRcnn | MaskRcnn, Field(discriminator="kind")])
SHAPE = (32, 48, 3)
CLASSES = ("car", "dog")
BLOCKS = ({"filters": 4},) * 5
PIXELS = np.random.default_rng(1).uniform(0, 255, (3, *SHAPE)).astype(np.float32)
ROWS = np.arange(3)
TWO_STAGE: dict[str, Any] = {"dense": (8,), "proposal_candidates": 20, "num_proposals": 6, "sampled_anchors": 8}
KINDS: dict[str, dict[str, Any]] = {
    "fcos": {"kind": "fcos", "levels": (3, 4), "num_convs": 1},
    "retinanet": {"kind": "retinanet", "levels": (3, 4), "num_convs": 1},
    "one level": {"kind": "retinanet", "levels": (4,), "num_convs": 1},
    "faster_rcnn": {"kind": "faster_rcnn", "levels": (3, 4), **TWO_STAGE},
    "mask_rcnn": {"kind": "mask_rcnn", "levels": (3, 4), "mask_convs": 1, **TWO_STAGE},
    "c4_rcnn": {"kind": "faster_rcnn", "levels": (4,), "pyramid": False, **TWO_STAGE},
}


@functools.cache
def detector(kind: str) -> keras.Model:
    """With random weights, larger than initial ones, so that scores differ."""
    keras.utils.set_random_seed(0)
    backbone = {"kind": "convnet", "blocks": BLOCKS}
    section = MODEL.validate_python({"backbone": backbone, "channels": 8, **KINDS[kind]})
    base = maps_of(section, shape=SHAPE)
    detect = Detect(score=0.01, max_boxes=5, candidates=30)
    model = with_head(base, detection_outputs(base, section, detect=detect, num_classes=2)).model
    generator = np.random.default_rng(5)
    for layer in model.layers:
        for weight in layer.weights:
            if layer.name in ("class_outputs_conv", "class_logits", "objectness_conv", "centerness_outputs_conv"):
                weight.assign(generator.normal(0, 2 if weight.ndim > 1 else 0.5, weight.shape))
            elif layer.name.endswith("_conv") and weight.name == "kernel" and "class" in layer.name:
                weight.assign(generator.normal(0, 1, weight.shape))
    return model


def samples() -> Samples:
    policy = ImagePolicy(SHAPE[:2], "rgb", "stretch", "bilinear", antialias=True)
    sizes = tuple(np.zeros((*SHAPE[:2], 3), np.uint8) for _ in ROWS)
    names = ("a", "b", "c")
    labels = np.full(3, -1, np.int32)
    return Samples(names=names, labels=labels, digests=names, groups=None, policy=policy, unsized=np.stack(sizes))


@functools.cache
def chosen_of(kind: str, **request: Any) -> tuple[Any, Chosen]:
    return chosen_in(detector(kind), **request)


def chosen_in(model: keras.Model, **request: Any) -> tuple[Any, Chosen]:
    (aspect,) = explainable_objects(model, ExplanationRequest(**request), CLASSES).aspects
    return aspect, aspect.choose(PIXELS, samples(), ROWS)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("faster_rcnn", 1),
        pytest.param("fcos", 1, marks=slow),
        *(pytest.param(kind, 2, marks=slow) for kind in ("retinanet", "one level", "mask_rcnn", "c4_rcnn")),
    ],
)
def test_what_is_explained_is_where_the_score_of_the_kept_box_comes_from(kind: str, number: int) -> None:
    """Its sigmoid, or its share among the classes of the proposal, is the score that the model reports."""
    model = detector(kind)
    outputs = {name: np.asarray(values) for name, values in model(PIXELS, training=False).items()}
    aspect, chosen = chosen_of(kind) if number == 1 else chosen_of(kind, object_number=number)
    assert chosen.exists is not None
    np.testing.assert_array_equal(chosen.exists, outputs["count"] >= number)
    assert chosen.exists.any()
    height, width = SHAPE[:2]
    for row in np.flatnonzero(chosen.exists):
        columns = chosen.columns[row]
        score, label = outputs["scores"][row, number - 1], outputs["classes"][row, number - 1]
        assert (columns["class"], columns["object"]) == (CLASSES[label], number)
        assert columns["score"] == pytest.approx(score)
        box = outputs["boxes"][row, number - 1] * [width, height, width, height]
        np.testing.assert_allclose([columns[name] for name in ("xmin", "ymin", "xmax", "ymax")], box, atol=0.01)
        targets = chosen.targets[row : row + 1]
        if "rcnn" in kind:
            every = np.repeat(targets, 3, axis=0)
            every[:, 4] = [0, 1, 2]
            logits = np.asarray(aspect.network.scores(np.stack([PIXELS[row]] * 3), every)[0])
            found = tf.nn.softmax(logits).numpy()[label]
            assert logits[label] == pytest.approx(columns["value"], abs=1e-5)
        else:
            found = tf.sigmoid(columns["value"]).numpy()
        if kind == "fcos":
            found = np.sqrt(found * centerness(model, PIXELS[row : row + 1])[int(targets[0]) // 2])
        assert found == pytest.approx(score, rel=1e-4)


def centerness(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """The probabilities of all positions, level by level."""
    outputs = [model.get_layer(f"centerness_outputs{level}").output for level in (3, 4)]
    found = keras.Model(model.inputs[0], outputs)(pixels, training=False)
    return np.asarray(tf.sigmoid(tf.concat(found, axis=1)))[0, :, 0]


@slow
@pytest.mark.parametrize("kind", ["retinanet", "faster_rcnn"])
def test_saturated_scores_have_an_origin_too(kind: str) -> None:
    model = keras.models.clone_model(detector(kind))
    model.set_weights(detector(kind).get_weights())
    layer = model.get_layer("class_outputs_conv" if kind == "retinanet" else "class_logits")
    layer.bias.assign(np.where(np.arange(layer.bias.shape[0]) == 1, 90.0, layer.bias))
    aspect, chosen = chosen_in(model)
    assert {row["class"] for row in chosen.columns} == {"dog"}
    assert [row["score"] for row in chosen.columns] == pytest.approx([1.0] * len(chosen.columns))
    assert all(row["value"] > 50 for row in chosen.columns)
    assert np.asarray(aspect.network.scores(PIXELS, chosen.targets)[0]).min() > 50


@slow
@pytest.mark.parametrize("kind", ["fcos", "mask_rcnn"])
def test_integrated_gradients_of_a_box_that_is_fixed_are_complete(kind: str) -> None:
    aspect, chosen = chosen_of(kind)
    kept = np.flatnonzero(chosen.exists)
    found = integrated_gradients(aspect.network, baseline=baselines.mean)(PIXELS[kept], chosen.targets[kept])
    scores = [
        np.asarray(aspect.network.scores(pixels, chosen.targets[kept])[0])
        for pixels in (PIXELS[kept], baselines.mean(PIXELS[kept]))
    ]
    errors = np.abs(found.maps.sum((1, 2)) - (scores[0] - scores[1])) / np.abs(scores[0] - scores[1])
    np.testing.assert_allclose(found.facts["difference"], scores[0] - scores[1], rtol=1e-3, atol=1e-5)
    assert (errors <= 0.011).all()


def test_a_proposal_stays_where_it_is_when_the_image_changes() -> None:
    """Only pixels that the box's features depend on count; the proposals of the changed image do not."""
    aspect, chosen = chosen_of("faster_rcnn")
    assert aspect.network.given is not None
    assert not any("objectness" in call.name for call in aspect.network.calls)
    shifted = chosen.targets.copy()
    shifted[:, :4] = shifted[:, :4] * 0.5
    one, two = (np.asarray(aspect.network.scores(PIXELS, targets)[0]) for targets in (chosen.targets, shifted))
    assert np.abs(one - two).max() > 1e-4


@slow
@pytest.mark.parametrize("kind", ["fcos", "faster_rcnn"])
def test_gradcam_weights_the_backbones_last_maps(kind: str) -> None:
    aspect, chosen = chosen_of(kind)
    assert aspect.layer == "stage3_activation1"  # 8x12, before its pooling
    assert layer_of(aspect.network, None, last=aspect.layer) == aspect.layer
    maps = gradcam(aspect.network, layer=aspect.layer)(PIXELS, chosen.targets).maps
    assert maps.shape == (3, *SHAPE[:2])
    assert gradient(aspect.network)(PIXELS, chosen.targets).maps.any()


@slow
def test_only_objects_of_a_class_that_is_asked_for_count() -> None:
    _, chosen = chosen_of("retinanet", target="dog")
    _, every = chosen_of("retinanet")
    assert {row["class"] for row, exists in zip(chosen.columns, chosen.exists, strict=True) if exists} == {"dog"}
    assert [row["class"] for row in every.columns] != ["dog"] * 3
    with pytest.raises(InputError, match="--class cat: not a class of the network; did you mean 'car'"):
        chosen_of("retinanet", target="cat")
    with pytest.raises(InputError, match="--class label: each object has a label of its own"):
        chosen_of("retinanet", target="label")
    _, far = chosen_of("retinanet", object_number=200)
    assert not far.exists.any()


def test_outlines_are_the_boxes() -> None:
    _, chosen = chosen_of("faster_rcnn")
    assert chosen.outlines is not None
    for outline, row in zip(chosen.outlines, chosen.columns, strict=True):
        rows, columns = np.nonzero(outline)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, [row[name] for name in ("xmin", "ymin", "xmax", "ymax")], atol=1.01)
