"""From the recipe's ``model`` section to a Keras model: preprocessing, the family's features, and the task's head."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import keras

from dlcli.models import convnet, heads, lenet5, mlp, preprocessing
from dlcli.recipe.model import Convnet, ImageClassifier, Lenet5, Mlp


@dataclass(frozen=True)
class Classifier:
    """A classifier and its parts, which share their layers.

    Attributes:
        model: raw values float32 ``[b, *shape]`` (pixels in [0, 255]) -> probabilities float32 ``[b, classes]``.
        logits: the same up to the logits: what training and attacks differentiate.
        head: names of the layers after the features.
    """

    model: keras.Model
    logits: keras.Model
    head: frozenset[str]


def build_classifier(section: ImageClassifier, *, shape: tuple[int, ...], num_classes: int) -> Classifier:
    """Builds the network under the current dtype policy and seed.

    Raises:
        InputError: the samples' shape does not suit the network.
    """
    inputs = keras.Input(shape=shape, dtype="float32", name="pixels")
    is_image = len(shape) == 3  # height, width, channels; signals and volumes have values of any range
    x = preprocessing.pixels(inputs, preprocessing=section.preprocessing or ("unit" if is_image else "none"))
    features = _features(section, x)
    probabilities = heads.classification(features, num_classes=num_classes)
    model = keras.Model(inputs, probabilities, name=section.kind)
    logits = keras.Model(inputs, model.get_layer("logits").output, name=f"{section.kind}_logits")
    before = {layer.name for layer in keras.Model(inputs, features).layers}
    return Classifier(model, logits, frozenset(layer.name for layer in model.layers if layer.name not in before))


def _features(section: ImageClassifier, x: Any) -> Any:
    match section:
        case Convnet():
            return convnet.features(
                x,
                rank=cast(Literal[1, 2, 3], section.rank),
                blocks=[convnet.Block(**block.model_dump()) for block in section.blocks],
                pooling=section.pooling,
                dense=section.dense,
                activation=section.activation,
                dropout=section.dropout,
            )
        case Lenet5():
            return lenet5.features(x, activation=section.activation, pool=section.pool)
        case Mlp():
            return mlp.features(
                x,
                units=section.units,
                activation=section.activation,
                batch_norm=section.batch_norm,
                dropout=section.dropout,
            )


def set_trainable(classifier: Classifier, trainable: str | int) -> None:
    """Makes the layers from some depth on trainable and freezes those before it.

    Args:
        trainable: ``all``; ``head``, the layers after the features; the name of a stage, for it and all that follows;
            or the number of deepest layers, counting those that have weights.

    Raises:
        ValueError: there is no such stage, or nothing would be trained; the text says what there is.
    """
    layers = classifier.model.layers
    with_weights = [layer for layer in layers if layer.weights]
    names = [layer.name for layer in layers]
    if isinstance(trainable, int):
        if trainable > len(with_weights):
            raise ValueError(f"the network has {len(with_weights)} layers with weights. Received {trainable}.")
        chosen = {layer.name for layer in with_weights[-trainable:]}
    elif trainable == "all":
        chosen = set(names)
    elif trainable == "head":
        chosen = set(classifier.head)
    else:
        chosen = set(names[_first_of_stage(trainable, names) :])
    for layer in layers:
        layer.trainable = layer.name in chosen
    if not classifier.model.trainable_variables:
        raise ValueError(f"nothing would be trained with '{trainable}'")


def _first_of_stage(stage: str, names: list[str]) -> int:
    # a stage's name is that of its last layer: the stage begins after the one before it
    stages = [name for name in names if name.removeprefix("stage").isdigit() and name.startswith("stage")]
    if stage not in stages:
        raise ValueError(f"expected all, head, a number of layers or one of {', '.join(stages)}. Received '{stage}'.")
    position = stages.index(stage)
    return 0 if position == 0 else names.index(stages[position - 1]) + 1
