"""The sections of segmentation networks: defaults, and what is refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dlcli.recipe.language.fields import BROKEN_RULES
from dlcli.recipe.sections.backbone import without_classifier
from dlcli.recipe.sections.image_model import Application, Vgg
from dlcli.recipe.sections.segmentation_model import Deeplabv3plus, Fcn, SegmentationModel, Unet

MODEL: TypeAdapter[Any] = TypeAdapter(SegmentationModel)
RESNET = {"kind": "resnet", "depth": 18}
MOBILENET = {"kind": "application", "network": "mobilenetv2", "alpha": 0.35, "weights": "imagenet"}
VGG = {"kind": "vgg"}


def read(**values: Any) -> Any:
    return MODEL.validate_python(values)


def broken(**values: Any) -> tuple[tuple[str, str], ...]:
    """The keys and messages of the rules that are broken."""
    with pytest.raises(ValidationError) as error:
        read(**values)
    (only,) = error.value.errors()
    assert only["type"] == BROKEN_RULES
    return only["ctx"]["broken"]  # type: ignore[no-any-return]


def test_defaults_depend_on_the_backbone() -> None:
    scratch, on_resnet = read(kind="unet"), read(kind="unet", backbone=RESNET)
    assert isinstance(scratch, Unet)
    assert (scratch.depth, scratch.filters, scratch.upsampling) == (4, 64, "transposed")
    assert (on_resnet.depth, on_resnet.filters, on_resnet.upsampling) == (None, 16, "bilinear")
    for backbone, dense, dropout in ((VGG, (4096, 4096), 0.5), (RESNET, (), 0.0)):
        model = read(kind="fcn", backbone=backbone)
        assert isinstance(model, Fcn)
        assert (model.stride, model.dense, model.dropout) == (8, dense, dropout)
    keras_vgg = read(kind="fcn", backbone={"kind": "application", "network": "vgg16"}, dense=(8,))
    assert (keras_vgg.is_on_vgg, keras_vgg.dense, keras_vgg.dropout) == (True, (8,), 0.5)
    assert not read(kind="fcn", backbone=MOBILENET).is_on_vgg


def test_null_means_the_default() -> None:
    nulls = dict.fromkeys(("backbone", "depth", "filters", "upsampling", "preprocessing"))
    assert read(kind="unet", **nulls) == read(kind="unet")
    assert read(kind="fcn", backbone=VGG, dense=None, dropout=None) == read(kind="fcn", backbone=VGG)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "unet"},
        *({"kind": k, "backbone": b} for k in ("unet", "fcn", "deeplabv3plus") for b in (MOBILENET, VGG)),
    ],
)
def test_a_complete_section_reads_as_itself(values: dict[str, Any]) -> None:
    """config.yaml holds all defaults, also those of the backbone's classifier."""
    model = read(**values)
    assert read(**model.model_dump()) == model


def test_strides_that_are_needed() -> None:
    assert read(kind="unet", backbone=RESNET).needed_strides() == ()
    assert [read(kind="fcn", backbone=VGG, stride=stride).needed_strides() for stride in (32, 16, 8)] == [
        *((32,), (16, 32), (8, 16, 32)),
    ]
    model = read(kind="deeplabv3plus", backbone=RESNET, output_stride=8)
    assert isinstance(model, Deeplabv3plus)
    assert model.needed_strides() == (4, 8)


def test_the_backbone_is_built_without_its_classifier() -> None:
    model = read(kind="unet", backbone={"kind": "application", "network": "efficientnetb0"})
    assert isinstance(model.backbone, Application)
    assert (model.backbone.head, model.backbone.dropout) == ("paper", 0.2)
    backbone = without_classifier(model.backbone)
    assert (backbone.head, backbone.dropout, backbone.network) == ("average", 0.0, "efficientnetb0")
    vgg = without_classifier(read(kind="unet", backbone=VGG | {"width": 0.5}).backbone)
    assert isinstance(vgg, Vgg)
    assert (vgg.head, vgg.dense, vgg.width) == ("average", (), 0.5)
    convnet = read(kind="unet", backbone={"kind": "convnet", "blocks": ({"filters": 4},)}).backbone
    assert without_classifier(convnet) is convnet


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"kind": "unet", "backbone": RESNET, "depth": 3}, "depth", "the backbone has its own depth"),
        (
            {"kind": "unet", "backbone": RESNET, "preprocessing": "unit"},
            "preprocessing",
            "set model.backbone.preprocessing",
        ),
        ({"kind": "fcn", "backbone": VGG | {"dense": (8,)}}, "backbone.dense", "is for classifiers"),
        ({"kind": "fcn", "backbone": VGG | {"dropout": 0.1}}, "backbone.dropout", "is for classifiers"),
        ({"kind": "deeplabv3plus", "backbone": RESNET | {"head": "max"}}, "backbone.head", "is for classifiers"),
        ({"kind": "deeplabv3plus", "backbone": RESNET | {"l2": 0.1}}, "backbone.l2", "is for classifiers"),
        (
            {"kind": "unet", "backbone": {"kind": "convnet", "rank": 1, "blocks": ({"filters": 4},)}},
            "backbone.rank",
            "must be 2 for images",
        ),
        (
            {"kind": "unet", "backbone": {"kind": "convnet", "pooling": "max", "blocks": ({"filters": 4},)}},
            "backbone.pooling",
            "is for classifiers",
        ),
    ],
)
def test_keys_without_effect_are_refused(values: dict[str, Any], key: str, message: str) -> None:
    ((found, text),) = broken(**values)
    assert found == key
    assert message in text


@pytest.mark.parametrize("kind", ["lenet5", "mlp", "unet"])
def test_networks_without_feature_maps_at_all_sizes_are_no_backbones(kind: str) -> None:
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        read(kind="unet", backbone={"kind": kind})
