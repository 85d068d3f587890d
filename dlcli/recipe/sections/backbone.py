"""The ``backbone`` key of networks for dense prediction: the image network whose feature maps they use."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from dlcli.recipe.sections.image_model import (
    Application,
    Backbone,
    BlockQnn,
    Cells,
    Convnet,
    Dpn,
    GeneticCnn,
    Hierarchical,
    ImageClassifier,
    Polynet,
    Resnet,
    Resnext,
    Saved,
    Senet,
    Vgg,
)

DenseBackbone = Annotated[
    Convnet
    | Vgg
    | Resnet
    | Resnext
    | Senet
    | Dpn
    | Polynet
    | Cells
    | GeneticCnn
    | BlockQnn
    | Hierarchical
    | Application
    | Saved,
    Field(discriminator="kind"),
]
"""The image networks whose feature maps a head can use. LeNet-5 takes one size only, and a perceptron has no maps."""

CLASSIFIER_KEYS = ("head", "pooling", "dense", "dropout", "l2", "auxiliary")
"""The keys of image networks for layers after the feature maps, which networks for dense prediction do not have."""


def rules_of_backbone(backbone: DenseBackbone) -> Iterator[tuple[str, str]]:
    """Rules on the keys of a network of which only the feature maps are used."""
    keys = [key for key in CLASSIFIER_KEYS if key in type(backbone).model_fields]
    others = {key: value for key, value in backbone if key not in keys}
    defaults = type(backbone).model_validate(others)
    for key in keys:
        if getattr(backbone, key) != getattr(defaults, key):
            yield f"backbone.{key}", "is for classifiers, of which only the feature maps are used here; remove the key"
    if isinstance(backbone, Convnet) and backbone.rank != 2:
        yield "backbone.rank", "must be 2 for images"


def without_classifier(backbone: DenseBackbone) -> DenseBackbone:
    """The same network without layers after its feature maps, of which VGG's have more weights than all others."""
    if not isinstance(backbone, Backbone):
        return backbone
    return backbone.model_copy(update={"head": "average", "dense": (), "dropout": 0.0})


def base_of(model: Any) -> ImageClassifier | None:
    """The section of the image network that pretrained weights are for: of a ``model`` section with the key
    ``backbone`` that network, None if it has none; any other section itself."""
    base: ImageClassifier | None = model.backbone if _has_backbone(model) else model
    return base


def with_base(model: Any, base: ImageClassifier) -> Any:
    """A ``model`` section with another section as what :func:`base_of` returns."""
    return model.model_copy(update={"backbone": base}) if _has_backbone(model) else base


def base_key(model: Any) -> str:
    """The dotted key of what :func:`base_of` returns."""
    return "model.backbone" if _has_backbone(model) else "model"


def _has_backbone(model: Any) -> bool:
    return "backbone" in type(model).model_fields
