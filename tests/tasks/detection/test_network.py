"""Detectors by the recipe's sections."""

from typing import Annotated, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import Field, TypeAdapter

from dlcli.errors import InputError
from dlcli.models.heads.anchors import centers
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import FasterRcnn, Fcos, MaskRcnn, Retinanet
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights
from dlcli.tasks.detection.network import detection_outputs, maps_of
from dlcli.tasks.detection.two_stage import two_stage_objective
from dlcli.tasks.images.freezing import set_trainable, split_front
from dlcli.tasks.images.network import ImageNetwork, with_head

MODEL: TypeAdapter[Any] = TypeAdapter(Annotated[Fcos | Retinanet | FasterRcnn | MaskRcnn, Field(discriminator="kind")])
RESNET = {"kind": "resnet", "depth": 18, "stem": "imagenet", "width": 0.0625}
SHAPE = (64, 72, 3)


def build(**values: Any) -> ImageNetwork:
    section = MODEL.validate_python({"backbone": RESNET, "channels": 8, "num_convs": 1, **values})
    base = maps_of(section, shape=SHAPE)
    return with_head(base, detection_outputs(base, section, detect=Detect(), num_classes=4))


@pytest.mark.parametrize(("kind", "per_position"), [("fcos", 1), ("retinanet", 9)])
def test_outputs_of_each_kind(kind: str, per_position: int) -> None:
    with without_weights():
        network = build(kind=kind)
        num = len(centers(SHAPE[:2], (3, 4, 5, 6, 7))) * per_position
        shapes = [x.shape for x in network.trained.outputs]
        assert shapes == [(None, num, 4), (None, num, 4), (None, num, 1 if kind == "fcos" else 4)]
        assert {name: (x.shape, x.dtype) for name, x in network.model.output.items()} == {
            "boxes": ((None, 100, 4), "float32"),
            "scores": ((None, 100), "float32"),
            "classes": ((None, 100), "int32"),
            "count": ((None,), "int32"),
        }
        assert network.model.get_layer("candidate_boxes").output.shape == (None, min(300, num * 4), 4)
        assert network.head >= {"pyramid3_lateral", "class1_conv", "candidate_scores", "count"}
        assert "stage4" not in network.head


def test_layers_have_names_that_do_not_depend_on_what_was_built_before() -> None:
    with without_weights():
        names = [[layer.name for layer in build(kind="fcos").trained.layers if layer.weights] for _ in range(2)]
    assert names[0] == names[1]


def test_predictions_are_float32_under_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with without_weights():
            for kind in ("fcos", "retinanet"):
                network = build(kind=kind)
                assert {x.dtype for x in network.trained.outputs} == {"float32"}
                assert network.model.get_layer("class1_conv").compute_dtype == "bfloat16"
                assert network.model.output["boxes"].dtype == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_the_backbone_must_have_maps_at_the_strides() -> None:
    convnet = {"kind": "convnet", "blocks": ({"filters": 4}, {"filters": 4})}
    with without_weights(), pytest.raises(InputError, match=r"convnet has no feature maps at stride 8, 16, 32, which"):
        build(kind="fcos", backbone=convnet)


@pytest.mark.parametrize(("pyramid", "num_anchors"), [(True, 6 * (72 + 20 + 6 + 2)), (False, 9 * 20)])
def test_outputs_of_faster_rcnn(pyramid: bool, num_anchors: int) -> None:
    keys = {"sampled_anchors": 32, "sampled_boxes": 16, "num_proposals": 40, "proposal_candidates": 50, "dense": (6,)}
    with without_weights():
        section = {"kind": "faster_rcnn", "backbone": RESNET, "channels": 8, "pyramid": pyramid, **keys}
        base = maps_of(MODEL.validate_python(section), shape=SHAPE)
        outputs = detection_outputs(base, MODEL.validate_python(section), detect=Detect(), num_classes=4)
        network = with_head(base, outputs)
        assert [x.shape[1:] for x in network.trained.outputs] == [
            *((32,), (32,), (32, 4), (32, 4)),
            *((16, 5), (16,), (16, 4), (16, 4)),
        ]
        assert network.model.get_layer("objectness_logits").output.shape == (None, num_anchors, 1)
        assert network.model.output["boxes"].shape == (None, 100, 4)
        assert network.model.get_layer("candidate_scores").output.shape == (None, 160)
        weights = [{w.path for w in model.weights} for model in (network.model, network.trained)]
        assert weights[0] == weights[1]
        assert network.head >= {"proposal1_conv", "box_dense1", "class_logits", "box_deltas", "count"}
        assert layer_table(network.model).trainable > 0


def test_a_frozen_backbone_of_faster_rcnn_is_a_front() -> None:
    section = {"kind": "faster_rcnn", "backbone": RESNET, "channels": 8, "sampled_boxes": 8, "dense": (6,)}
    base = maps_of(MODEL.validate_python(section), shape=SHAPE)
    outputs = detection_outputs(base, MODEL.validate_python(section), detect=Detect(), num_classes=4)
    network = with_head(base, outputs)
    set_trainable(network, "head")
    cut = split_front(network)
    assert cut is not None
    front, rest = cut
    truth = [np.tile(np.float32([[[0.1, 0.2, 0.5, 0.6]]]), (2, 1, 1)), np.zeros((2, 1), "int32"), np.ones((2, 2), int)]
    x, *truth = (tf.constant(values) for values in (np.ones((2, *SHAPE), "float32"), *truth))
    for one, other in zip(rest([front(x), *truth]), network.trained([x, *truth]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_outputs_of_mask_rcnn() -> None:
    with without_weights():
        keys = {"sampled_boxes": 16, "num_proposals": 40, "proposal_candidates": 50, "dense": (6,)}
        section = MODEL.validate_python({"kind": "mask_rcnn", "backbone": RESNET, "channels": 8, **keys})
        base = maps_of(section, shape=SHAPE)
        outputs = detection_outputs(base, section, detect=Detect(max_boxes=7), num_classes=4)
        network = with_head(base, outputs)
        assert [(x.shape[1:], x.dtype) for x in network.trained.outputs[8:]] == [
            ((4, 28, 28), "float32"),
            ((4, 28, 28), "uint8"),
        ]
        assert network.trained.inputs[-1].shape == (None, None, 64, 72)
        assert network.model.output["masks"].shape == (None, 7, 28, 28)
        weights = [{w.path for w in model.weights} for model in (network.model, network.trained)]
        assert weights[0] == weights[1]
        assert network.head >= {"mask_conv2", "mask_up", "mask_logits", "masks"}


def test_objectives_of_two_stage_detectors_fit_their_outputs() -> None:
    truth = {"boxes": np.float32([[[0.1, 0.2, 0.5, 0.6]]]), "box_class": np.int32([[2]])}
    y = {**truth, "masks": np.ones((1, 1, 64, 72), "uint8")}
    batch = {"x": np.ones((1, *SHAPE), "float32"), "y": y, "draws": np.int64([[1, 2]])}
    batch = keras.tree.map_structure(tf.constant, batch)
    names = ["class_loss", "box_loss", "objectness_loss", "proposal_loss", "mask_loss"]
    keys = {"sampled_boxes": 8, "num_proposals": 40, "proposal_candidates": 50, "dense": (6,), "channels": 8}
    for kind, expected in (("faster_rcnn", names[:4]), ("mask_rcnn", names)):
        section = MODEL.validate_python({"kind": kind, "backbone": RESNET, "box_weight": 2.0, **keys})
        base = maps_of(section, shape=SHAPE)
        network = with_head(base, detection_outputs(base, section, detect=Detect(), num_classes=4))
        objective = two_stage_objective(section)
        outputs = network.trained(objective.inputs(batch["x"], batch))
        values = {name: float(metric(outputs, batch)[0]) for name, metric in objective.metrics.items()}
        assert list(values) == expected
        total = sum((2 if name in ("box_loss", "proposal_loss") else 1) * value for name, value in values.items())
        assert float(objective.loss(outputs, batch)[0]) == pytest.approx(total, rel=1e-5)
        assert all(value > 0 for value in values.values())
