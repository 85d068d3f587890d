"""From the recipe's ``model`` section to a Keras model: preprocessing, the family's features, and the task's head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import keras
from numpy.typing import NDArray

from dlcli.models import (
    application,
    convnet,
    dpn,
    heads,
    lenet5,
    mlp,
    polynet,
    preprocessing,
    resnet,
    resnext,
    senet,
    vgg,
)
from dlcli.recipe.augment import Augment
from dlcli.recipe.model import (
    Application,
    Backbone,
    Convnet,
    Dpn,
    ImageClassifier,
    Lenet5,
    Mlp,
    Polynet,
    Preprocessing,
    Resnet,
    Resnext,
    Senet,
    Vgg,
)
from dlcli.workflow.load import check_weights_file


@dataclass(frozen=True)
class Classifier:
    """A classifier and its parts, which share their layers.

    Attributes:
        model: raw values float32 ``[b, *shape]`` (pixels in [0, 255]) -> probabilities float32 ``[b, classes]``.
        logits: the same up to the logits: what training and attacks differentiate.
        head: names of the layers after the features.
        ends: the scaled values, and what of the network weights trained elsewhere belong to.
    """

    model: keras.Model
    logits: keras.Model
    head: frozenset[str]
    ends: tuple[Any, Any]

    @property
    def features(self) -> keras.Model:
        """From scaled values to what weights trained elsewhere belong to; built anew, which few networks need."""
        return keras.Model(*self.ends)


@dataclass(frozen=True)
class Standardization:
    """What was fitted on the training split for the network's input; None for what is not wanted.

    Attributes:
        mean, std: of each channel ``[channels]``.
        whitening: ``[d, d]`` for samples of d values.
    """

    mean: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    whitening: NDArray[Any] | None = None


def build_classifier(
    section: ImageClassifier,
    *,
    shape: tuple[int, ...],
    num_classes: int,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> Classifier:
    """Builds the network under the current dtype policy and seed.

    Args:
        augment: for those of its keys that make the network's input.
        standardization: what was fitted for them.

    Raises:
        InputError: the samples' shape does not suit the network.
    """
    inputs = keras.Input(shape=shape, dtype="float32", name="pixels")
    x = scale_input(inputs, section, augment)
    fitted = standardization or Standardization()
    if fitted.mean is not None:
        x = preprocessing.featurewise(x, mean=fitted.mean, std=fitted.std)
    if fitted.whitening is not None:
        x = preprocessing.whitened(x, matrix=fitted.whitening)
    features, vector = _features(section, x)
    probabilities = heads.classification(vector, num_classes=num_classes)
    model = keras.Model(inputs, probabilities, name=section.kind)
    logits = keras.Model(inputs, model.get_layer("logits").output, name=f"{section.kind}_logits")
    before = {layer.name for layer in keras.Model(inputs, features).layers}
    return Classifier(
        model,
        logits,
        frozenset(layer.name for layer in model.layers if layer.name not in before),
        ends=(x, vector if _is_papers_own(section) else features),
    )


def scale_input(inputs: Any, section: ImageClassifier, augment: Augment | None) -> Any:
    """The part of the preprocessing that nothing has to be fitted for: the scale, and each sample's own mean."""
    x = preprocessing.pixels(
        inputs,
        preprocessing=section.preprocessing or _default_preprocessing(section, tuple(inputs.shape)),
        rescale=None if augment is None else augment.rescale,
    )
    if augment is not None and (augment.samplewise_center or augment.samplewise_std_normalization):
        x = preprocessing.samplewise(x, std_normalization=augment.samplewise_std_normalization)
    return x


def _default_preprocessing(section: ImageClassifier, shape: tuple[int | None, ...]) -> Preprocessing:
    if len(shape) != 4:  # not [b, height, width, channels]: signals and volumes have values of any range
        return "none"
    if not isinstance(section, Application):
        return "unit"
    wanted = application.NETWORKS[section.network].preprocessing
    if wanted == "inside":
        return "none"
    return "unit" if wanted in ("caffe", "torch") and shape[-1] != 3 else wanted  # those two are for colours


def _features(section: ImageClassifier, x: Any) -> tuple[Any, Any]:
    """The features, and the vector that the head makes of them; the same for networks that have no feature maps."""
    if isinstance(section, Backbone):
        return _maps_and_vector(section, x)
    match section:
        case Convnet():
            features = convnet.features(
                x,
                rank=cast(Literal[1, 2, 3], section.rank),
                blocks=[convnet.Block(**block.model_dump()) for block in section.blocks],
                pooling=section.pooling,
                dense=section.dense,
                activation=section.activation,
                dropout=section.dropout,
            )
        case Lenet5():
            features = lenet5.features(x, activation=section.activation, pool=section.pool)
        case Mlp():
            features = mlp.features(
                x,
                units=section.units,
                activation=section.activation,
                batch_norm=section.batch_norm,
                dropout=section.dropout,
            )
    return features, features


def _maps_and_vector(section: Backbone, x: Any) -> tuple[Any, Any]:
    pooling: Literal["average", "max"] = "max" if section.head == "max" else "average"
    dropout = section.dropout
    match section:
        case Vgg():
            maps = vgg.features(x, depth=section.depth, batch_norm=section.batch_norm, width=section.width)
            return maps, heads.vector(
                maps,
                pooling="flatten" if section.head == "paper" else pooling,
                dense=section.dense,
                dropout=0.5 if dropout is None else dropout,  # section 3.1
            )
        case Application():
            parts = application.features(x, network=section.network, with_top=_is_papers_own(section))
            if parts.vector is not None:
                return parts.maps, application.with_dropout(parts, dropout)
            return parts.maps, heads.vector(parts.maps, pooling=pooling, dense=(), dropout=dropout or 0.0)
        case Resnet():
            maps = resnet.features(
                x, depth=section.depth, version=section.version, stem=section.stem, width=section.width
            )
        case Resnext():
            maps = resnext.features(x, variant=section.variant, width=section.width)
        case Senet():
            maps = senet.features(x, variant=section.variant, width=section.width)
            dropout = 0.2 if dropout is None and section.variant == "senet154" else dropout
        case Dpn():
            maps = dpn.features(x, depth=section.depth, width=section.width)
        case Polynet():
            maps = polynet.features(x, width=section.width, num_modules=polynet.NUM_MODULES)
            dropout = 0.2 if dropout is None else dropout
        case _:
            raise AssertionError(f"a backbone without a builder: {section}")
    return maps, heads.vector(maps, pooling=pooling, dense=(), dropout=dropout or 0.0)


def _is_papers_own(section: ImageClassifier) -> bool:
    """Whether Keras builds the layers between maps and classifier too."""
    return isinstance(section, Application) and section.head == "paper"


def load_weights(section: ImageClassifier, classifier: Classifier) -> None:
    """Gives the network the first weights that its recipe names; nothing where it names none.

    Raises:
        InputError: they cannot be had or do not fit.
    """
    if not isinstance(section, Application) or section.weights == "none":
        return
    file = None if section.weights == "imagenet" else section.weights
    if file is not None:
        check_weights_file(Path(file))
    application.load_weights(classifier.features, network=section.network, with_top=_is_papers_own(section), file=file)


def set_trainable(classifier: Classifier, trainable: str | int) -> None:
    """Makes the layers from some depth on trainable and freezes those before it.

    Args:
        trainable: ``all``; ``head``, the layers after the features; the name of a stage, for it and all that follows;
            or the number of deepest layers, counting those that have weights.

    Raises:
        ValueError: there is no such stage, or nothing would be trained; the text says what there is.
    """
    layers = [layer for layer in classifier.model.layers if layer.name != preprocessing.WHITENING]  # it is fitted
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
