"""Builds a Keras model from the recipe's ``model`` section: preprocessing, the family's features, the task's head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import keras

from dlcli.errors import InputError
from dlcli.models.heads import vector as heads
from dlcli.models.heads.boxes import last_maps
from dlcli.models.images import (
    block_qnn,
    convnet,
    dpn,
    genetic_cnn,
    hierarchical,
    keras_application,
    lenet5,
    mlp,
    polynet,
    preprocessing,
    resnet,
    resnext,
    saved_network,
    senet,
    vgg,
)
from dlcli.models.images.cells import auxiliary, cells
from dlcli.models.images.cells.published import GENOTYPES
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_model import (
    Application,
    Backbone,
    BlockQnn,
    BuiltModel,
    Cells,
    Convnet,
    Dpn,
    GeneticCnn,
    Hierarchical,
    ImageClassifier,
    Lenet5,
    Mlp,
    Polynet,
    PythonNetwork,
    Resnet,
    Resnext,
    Saved,
    Senet,
    Vgg,
)
from dlcli.recipe.sections.segmentation_model import Unet
from dlcli.runtime.model_files import load_architecture
from dlcli.tasks.images import user_network
from dlcli.tasks.images.standardization import Standardization, scale_input

InputShape = tuple[int | None, ...]
"""Of one sample; None for a side of any length."""


@dataclass(frozen=True)
class Features:
    """An image network up to the task's head, as symbolic tensors.

    Attributes:
        kind: of the ``model`` section; it names the models.
        inputs: raw values float32 ``[b, *shape]`` (pixels in [0, 255]).
        base: the output of the family's own layers: feature maps, or a vector; the head comes after it.
        vector: what a head on whole samples takes, ``[b, units]``.
        ends: the tensors between which pretrained weights are loaded: the scaled input, and the features.
        l2: factor of the L2 penalty on the head's kernel.
        is_dense: the network is a multilayer perceptron, which has no feature maps.
    """

    kind: str
    inputs: Any
    base: Any
    vector: Any
    ends: tuple[Any, Any]
    l2: float
    is_dense: bool

    @property
    def maps(self) -> Any:
        """The last feature maps ``[b, height, width, channels]``; the vector of a network without any."""
        return self.vector if self.is_dense else last_maps(self.base)


@dataclass(frozen=True)
class HeadOutputs:
    """What a task's head adds to the features of a network.

    Attributes:
        final: the outputs of the saved model: a tensor, or a dictionary of tensors by name.
        trained: the outputs that the loss is taken from: a tensor, such as logits, or a list of tensors.
        further_inputs: of the trained outputs alone: those that the objective names besides the samples.
    """

    final: Any
    trained: Any
    further_inputs: Sequence[Any] = ()


@dataclass(frozen=True)
class ImageNetwork:
    """An image network as several models that share their layers.

    Attributes:
        model: raw values float32 ``[b, *shape]`` (pixels in [0, 255]) -> the final predictions, such as probabilities
            float32 ``[b, classes]``.
        trained: the same network up to what the loss is taken from, such as logits, which training differentiates. It
            may take further inputs after the samples.
        head: names of the layers after the features.
        ends: the tensors between which pretrained weights are loaded: the scaled input, and the features.
    """

    model: keras.Model
    trained: keras.Model
    head: frozenset[str]
    ends: tuple[Any, Any]

    @property
    def features(self) -> keras.Model:
        """The part that pretrained weights are loaded into: from scaled input to features. Built on each access."""
        return keras.Model(*self.ends)


def features(
    section: ImageClassifier,
    *,
    shape: InputShape,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> Features:
    """Build the layers before the task's head, under the current dtype policy and seed.

    Args:
        shape: of one sample; None for a side of any length.
        augment: the section whose standardization keys become layers at the network's input.
        standardization: the statistics fitted for these keys.

    Raises:
        InputError: the network cannot take samples of this shape.
    """
    if isinstance(section, Saved):
        inputs, base = _saved_features(section, shape)
        x = inputs
        vector = heads.dense_layers(base, dense=section.dense, dropout=section.dropout, name="new_head")
    else:
        inputs, x = scaled_input(section, shape=shape, augment=augment, standardization=standardization)
        base, vector = _features(section, x)
    ends = (x, vector if has_paper_head(section) else base)
    return Features(section.kind, inputs, base, vector, ends, section.l2, isinstance(section, Mlp))


def scaled_input(
    section: BuiltModel | Unet,
    *,
    shape: InputShape,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> tuple[Any, Any]:
    """The input of a network that is built, ``pixels``, and the tensor that its first layer takes.

    Args:
        augment, standardization: as for :func:`features`.
    """
    inputs = keras.Input(shape=shape, dtype="float32", name="pixels")
    x = scale_input(inputs, section, augment)
    fitted = standardization or Standardization()
    if fitted.mean is not None:
        x = preprocessing.featurewise(x, mean=fitted.mean, std=fitted.std)
    if fitted.whitening is not None:
        x = preprocessing.whitened(x, matrix=fitted.whitening)
    return inputs, x


def class_outputs(base: Features, *, num_classes: int, least: int = 2) -> HeadOutputs:
    """The logits of a class for each sample, which the loss is taken from, and their probabilities.

    Args:
        least: smallest number of classes, which may be 1 beside another head.
    """
    probabilities = heads.classification(base.vector, num_classes=num_classes, l2=base.l2, least=least)
    logits = keras.Model(base.inputs, probabilities, name=base.kind).get_layer("logits").output
    return HeadOutputs(final=probabilities, trained=logits)


def with_auxiliary(base: Features, outputs: HeadOutputs, *, num_classes: int, width: float) -> HeadOutputs:
    """The same outputs with the logits of an auxiliary classifier, which only the loss is taken from.

    Args:
        width: factor on its numbers of filters.

    Raises:
        InputError: the images are too small for it.
    """
    maps = keras.Model(base.inputs, base.base).get_layer("stage2").output
    features = auxiliary.vector(maps, width=width)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="auxiliary_logits")(features)
    return HeadOutputs(final=outputs.final, trained=[outputs.trained, logits])


def with_head(base: Features, outputs: HeadOutputs) -> ImageNetwork:
    """The models of a network with a task's head."""
    model = keras.Model(base.inputs, outputs.final, name=base.kind)
    before = {layer.name for layer in keras.Model(base.inputs, base.base).layers}
    inputs = [base.inputs, *outputs.further_inputs] if outputs.further_inputs else base.inputs
    return ImageNetwork(
        model,
        keras.Model(inputs, outputs.trained, name=f"{base.kind}_trained"),
        frozenset(layer.name for layer in model.layers if layer.name not in before),
        base.ends,
    )


def build_classifier(
    section: ImageClassifier,
    *,
    shape: tuple[int, ...],
    num_classes: int,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> ImageNetwork:
    """Build a classifier under the current dtype policy and seed.

    Args:
        augment, standardization: as for :func:`features`.

    Raises:
        InputError: the network cannot take samples of this shape.
    """
    base = features(section, shape=shape, augment=augment, standardization=standardization)
    return with_head(base, class_outputs(base, num_classes=num_classes))


def shape_of_saved(path: Path) -> tuple[int, ...]:
    """The shape of the images that a saved classifier takes: height, width, channels; None for a side of any size.

    Raises:
        InputError: it is not an image classifier.
    """
    return tuple(_saved_ends(path)[0].shape[1:])


def _saved_ends(path: Path, input_range: tuple[float, float] | None = None) -> tuple[Any, Any]:
    try:
        return saved_network.features(load_architecture(path), input_range=input_range)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _saved_features(section: Saved, shape: InputShape) -> tuple[Any, Any]:
    inputs, features = _saved_ends(Path(section.file), section.input_range)
    expected = tuple(inputs.shape[1:])
    if any(side not in (None, given) for side, given in zip(expected, shape, strict=True)):
        color = "grayscale" if expected[-1] == 1 else "rgb"
        if None in shape and None not in expected:
            raise InputError(
                f"{section.file}: takes images of {expected[0]}x{expected[1]} alone. Remove data.resize: none, and set "
                f"data.image_size: [{expected[0]}, {expected[1]}]."
            )
        raise InputError(
            f"{section.file}: takes images of shape {expected[0]}x{expected[1]}x{expected[2]}. Set data.image_size: "
            f"[{expected[0]}, {expected[1]}] and data.color_mode: {color}. Received {'x'.join(map(str, shape))}."
        )
    return inputs, features


def _features(section: BuiltModel, x: Any) -> tuple[Any, Any]:
    """The features and the vector that the head computes from them; for networks without feature maps, one tensor."""
    if isinstance(section, PythonNetwork):
        return user_network.features(section, x)
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
        case _:
            raise AssertionError(f"a network without a builder: {section}")
    return features, features


def _maps_and_vector(section: Backbone, x: Any) -> tuple[Any, Any]:
    pooling: Literal["average", "max"] = "max" if section.head == "max" else "average"
    match section:
        case Vgg():
            maps = vgg.features(x, depth=section.depth, batch_norm=section.batch_norm, width=section.width)
            return maps, heads.vector(
                maps,
                pooling="flatten" if section.head == "paper" else pooling,
                dense=section.dense,
                dropout=section.dropout,
            )
        case Application():
            parts = keras_application.features(
                x, network=section.network, with_top=has_paper_head(section), options=section.options
            )
            maps = parts.maps
            if parts.vector is not None:
                return maps, keras_application.with_dropout(parts, section.dropout)
        case Resnet():
            maps = resnet.features(
                x,
                depth=section.depth,
                version=section.version,
                stem=section.stem,
                width=section.width,
                downsample=section.downsample,
            )
        case Resnext():
            maps = resnext.features(x, variant=section.variant, width=section.width)
        case Senet():
            maps = senet.features(x, variant=section.variant, width=section.width, downsample=section.downsample)
        case Dpn():
            maps = dpn.features(x, depth=section.depth, width=section.width)
        case Polynet():
            maps = polynet.features(x, width=section.width, num_modules=polynet.NUM_MODULES)
        case Cells():
            maps = cells.features(
                x,
                genotype=_genotype(section),
                repeats=section.repeats,
                filters=section.filters,
                stem=section.stem,
                stem_filters=section.stem_filters,
                skip_reduction_input=section.skip_reduction_input,
                drop_path=section.drop_path,
            )
        case GeneticCnn():
            maps = genetic_cnn.features(x, bits=section.bits, filters=section.filters)
        case BlockQnn():
            maps = block_qnn.features(x, code=section.code, repeats=section.repeats, filters=section.filters)
        case Hierarchical():
            maps = hierarchical.features(
                x, motifs=section.motifs, cell=section.cell, repeats=section.repeats, filters=section.filters
            )
        case _:
            raise AssertionError(f"a backbone without a builder: {section}")
    return maps, heads.vector(maps, pooling=pooling, dense=section.dense, dropout=section.dropout)


def _genotype(section: Cells) -> Any:
    """The cells of a network as plain values."""
    if isinstance(section.genotype, str):
        return GENOTYPES[section.genotype]
    return section.genotype.model_dump(exclude_none=True)


def has_paper_head(section: ImageClassifier) -> bool:
    """Whether Keras builds the layers between feature maps and classifier as well."""
    return isinstance(section, Application) and section.head == "paper"
