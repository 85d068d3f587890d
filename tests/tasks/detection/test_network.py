"""Detectors by the recipe's sections."""

from typing import Any

import keras
import pytest
from pydantic import TypeAdapter

from dlcli.errors import InputError
from dlcli.models.heads.anchors import centers
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import DetectionModel
from dlcli.runtime.startup import without_weights
from dlcli.tasks.detection.network import detection_outputs, maps_of
from dlcli.tasks.images.network import ImageNetwork, with_head

MODEL: TypeAdapter[Any] = TypeAdapter(DetectionModel)
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
        assert shapes == [(None, num, 4), (None, num, 4), (None, num, 1)][: 3 if kind == "fcos" else 2]
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
