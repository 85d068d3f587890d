"""Rules for ``data.resize: none``: networks that take images of any size."""

from collections.abc import Iterator

from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_data import Images
from dlcli.recipe.sections.image_model import Application, Cells, Convnet, ImageClassifier, Lenet5, Mlp, Vgg

INSTEAD = "or set data.image_size and another data.resize"
ONE_SIZE = "which has dense layers for feature maps of one size"


def rules_of_own_sizes(data: object, model: ImageClassifier, augment: Augment | None) -> Iterator[tuple[str, str]]:
    """What must hold for images that are not resized.

    Args:
        data: the recipe's ``data`` section.
    """
    if not isinstance(data, Images) or data.resize != "none":
        return
    yield from _rules_of_network(model)
    if augment is not None:
        for key in ("mixup", "cutmix"):
            if getattr(augment, key) is not None:
                yield (
                    f"augment.{key}",
                    f"mixes the images of a batch, which data.resize: none may leave alone in it; remove it, {INSTEAD}",
                )
        if augment.zca_whitening:
            yield "augment.zca_whitening", f"needs images of one size; use featurewise_std_normalization, {INSTEAD}"


def _rules_of_network(model: ImageClassifier) -> Iterator[tuple[str, str]]:
    match model:
        case Convnet(pooling="flatten"):
            yield (
                "model.pooling",
                f"must be average or max with data.resize: none, because flattened feature maps have one size; set it, "
                f"{INSTEAD}. Received flatten.",
            )
        case Lenet5() | Mlp():
            yield (
                "model.kind",
                "must be a network that ends in global pooling, such as convnet with pooling: average, because of "
                f"data.resize: none; use one, {INSTEAD}. Received {model.kind}, {ONE_SIZE}.",
            )
        case Vgg(head="paper"):
            yield (
                "model.head",
                f"must be average or max with data.resize: none; set it, {INSTEAD}. Received paper, {ONE_SIZE}.",
            )
        case Cells(auxiliary=weight) if weight:
            yield "model.auxiliary", f"needs images of one size; remove it, {INSTEAD}"
        case Application(network="nasnetmobile" | "nasnetlarge"):
            yield (
                "model.network",
                f"must be another one with data.resize: none, {INSTEAD}. Received {model.network}, which Keras builds "
                "for one size.",
            )
        case Application(head="paper"):
            yield (
                "model.head",
                f"must be average or max with data.resize: none; set it, {INSTEAD}. Received paper, with which Keras "
                "builds networks for one size.",
            )
