"""The sections of detectors and of their detections: defaults, and what is refused."""

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from dlcli.recipe.language.fields import BROKEN_RULES
from dlcli.recipe.sections.backbone import base_key, base_of, with_base
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import FasterRcnn, Fcos, MaskRcnn, Retinanet
from dlcli.recipe.sections.image_model import Resnet

MODEL: TypeAdapter[Any] = TypeAdapter(Annotated[Fcos | Retinanet | FasterRcnn | MaskRcnn, Field(discriminator="kind")])
RESNET = {"kind": "resnet", "depth": 18}


def read(**values: Any) -> Any:
    return MODEL.validate_python({"backbone": RESNET, **values})


def broken(function: Any, **values: Any) -> tuple[tuple[str, str], ...]:
    """The keys and messages of the rules that are broken."""
    with pytest.raises(ValidationError) as error:
        function(**values)
    (only,) = error.value.errors()
    assert only["type"] == BROKEN_RULES
    return only["ctx"]["broken"]  # type: ignore[no-any-return]


def test_kinds() -> None:
    assert isinstance(read(kind="fcos"), Fcos)
    assert isinstance(read(kind="retinanet"), Retinanet)
    assert isinstance(read(kind="faster_rcnn"), FasterRcnn)
    for kind in ("fcos", "retinanet", "faster_rcnn", "mask_rcnn"):
        model = read(kind=kind)
        assert list(model.model_dump())[:2] == ["kind", "backbone"]
        assert read(**model.model_dump()) == model


def test_the_network_that_weights_are_for() -> None:
    model = read(kind="fcos")
    base = base_of(model)
    assert isinstance(base, Resnet)
    assert base_key(model) == "model.backbone"
    other = base.model_copy(update={"depth": 34})
    assert with_base(model, other).backbone.depth == 34
    assert (base_of(base), base_key(base), with_base(base, other)) == (base, "model", other)


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"levels": (3, 5)}, "levels", r"must be consecutive, from the finest on. Received [3, 5]"),
        ({"levels": (4, 3)}, "levels", "must be consecutive"),
        ({"levels": (6, 7)}, "levels", "must start at 5 or less"),
        ({"channels": 20}, "channels", "must be a multiple of 8 with group normalization. Received 20"),
        ({"backbone": RESNET | {"l2": 0.1}}, "backbone.l2", "is for classifiers"),
        (
            {"kind": "retinanet", "positive_iou": 0.3},
            "negative_iou",
            "must not be above positive_iou: 0.3. Received 0.4",
        ),
        ({"kind": "faster_rcnn", "levels": (3, 5)}, "levels", "must be consecutive"),
        (
            {"kind": "faster_rcnn", "pyramid": False, "levels": (3, 4)},
            "levels",
            "must be one level without a pyramid. Received [3, 4]",
        ),
        (
            {"kind": "faster_rcnn", "anchor_negative_iou": 0.8},
            "anchor_negative_iou",
            "must not be above anchor_positive_iou: 0.7. Received 0.8",
        ),
        (
            {"kind": "faster_rcnn", "num_proposals": 400},
            "proposal_candidates",
            "must be at least num_proposals: 400. Received 300",
        ),
    ],
)
def test_what_is_refused(values: dict[str, Any], key: str, message: str) -> None:
    ((found, text),) = broken(read, **{"kind": "fcos", **values})
    assert found == key
    assert message in text


def test_there_must_be_enough_candidates() -> None:
    assert Detect(max_boxes=300).candidates == 300
    assert broken(Detect, max_boxes=301) == (("candidates", "must be at least max_boxes: 301. Received 300"),)


def test_faster_rcnn_without_a_pyramid() -> None:
    model = read(kind="faster_rcnn", pyramid=False)
    assert (model.levels, model.anchor_sizes, model.box_levels) == ((4,), (3.0, 6.0, 12.0), (4,))
    assert read(kind="faster_rcnn").box_levels == (3, 4, 5)  # the coarsest is for proposals alone
