"""Freezes layers: which ones a stage trains, at which learning rates, and where the frozen ones end."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from dlcli.models.images import preprocessing
from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.recipe.sections.train import CommonStage, Stage
from dlcli.recipe.tasks.localization import LocalizationStage
from dlcli.tasks.images.network import ImageNetwork


def set_trainable(
    network: ImageNetwork, trainable: str | int, *, freeze_batch_norm: bool = False, losses: str = "all"
) -> None:
    """Make the layers from a given depth on trainable, and freeze those before it.

    Args:
        trainable: ``all``; ``head``, the layers after the features; the name of a stage, or ``last_stage``, for that
            stage and all layers after it; or the number of layers to train, counted from the output and counting only
            layers with weights.
        freeze_batch_norm: freeze all batch normalization before the head.
        losses: for a network with a box head; ``class`` or ``box`` freezes the layers that only the other head needs.

    Raises:
        ValueError: there is no such stage, or nothing would be trained; the text names the available stages.
    """
    # whitening is fitted, not trained
    layers = [layer for layer in network.model.layers if layer.name != preprocessing.WHITENING]
    needed = layers
    if losses != "all":
        output = network.trained.outputs[0 if losses == "class" else 1]
        names = {layer.name for layer in keras.Model(network.trained.inputs[0], output).layers}
        needed = [layer for layer in layers if layer.name in names]
    chosen = {layer.name for layer in needed[_first_trained(network, trainable, needed) :]}
    if trainable == "head":
        chosen &= network.head
    for layer in layers:
        layer.trainable = layer.name in chosen
        for norm in _batch_norms(layer) if freeze_batch_norm and layer.name not in network.head else ():
            norm.trainable = False
    if not network.model.trainable_variables:
        raise ValueError(f"at least one layer must be trained. Received {trainable}.")


def _batch_norms(layer: Any) -> list[Any]:
    """The batch normalization layers that a layer is or, if it is a nested model, contains."""
    if isinstance(layer, keras.Model):
        return [norm for inner in layer.layers for norm in _batch_norms(inner)]
    return [layer] if isinstance(layer, keras.layers.BatchNormalization) else []


def _first_trained(network: ImageNetwork, trainable: str | int, layers: Sequence[Any]) -> int:
    """The position of the first trainable layer."""
    if isinstance(trainable, int):
        with_weights = [position for position, layer in enumerate(layers) if layer.weights]
        if trainable > len(with_weights):
            raise ValueError(
                f"the network has {len(with_weights)} layers with weights, including the head. Received {trainable}."
            )
        return with_weights[-trainable]
    if trainable in ("all", "head"):
        return 0
    stages = network_stages(network)
    if trainable == "last_stage":
        trainable = list(stages)[-1]
    if trainable not in stages:
        known = ", ".join(stages)
        raise ValueError(
            f"this network has no such stage: expected all, head, a number of layers, or one of {known}. "
            f"Received {trainable}."
        )
    return next(position for position, layer in enumerate(layers) if layer.name == stages[trainable])


def network_stages(network: ImageNetwork) -> dict[str, str]:
    """The names of the network's stages, each with the name of its first layer.

    dlcli's own networks define their stages: ``stage2`` is the name of a stage's last layer. In any other network
    ``stage3`` consists of the layers at an eighth of the image's resolution, that is, with a stride of 2**3 pixels. A
    network with a single resolution has one stage.
    """
    names = [layer.name for layer in network.model.layers]
    ends = [name for name in names if name.startswith("stage") and name.removeprefix("stage").isdigit()]
    if ends:
        starts = [names[0], *(names[names.index(end) + 1] for end in ends[:-1])]
        return dict(zip(ends, starts, strict=True))
    strides = _output_strides(network.model)
    stages: dict[str, str] = {}
    first_of_stage = names[0]
    deepest = 0
    for layer in network.model.layers:
        if layer.name in network.head:
            break
        power = strides[layer.name].bit_length() - 1
        if power > deepest:
            first_of_stage, deepest = layer.name, power
        if layer.weights and deepest > 0:  # pooling alone is not a stage: it has nothing to train
            stages.setdefault(f"stage{deepest}", first_of_stage)
    return stages or {"stage1": names[0]}


def _output_strides(model: keras.Model) -> dict[str, int]:
    """The stride of each layer's output in pixels of the input: the product of all strides up to it."""
    strides = {id(tensor): 1 for tensor in model.inputs}
    by_name: dict[str, int] = {}
    for operation in model.operations:
        if not isinstance(operation, keras.layers.InputLayer):
            before = max((strides.get(id(tensor), 1) for tensor in _tensors(operation.input)), default=1)
            strides |= {id(tensor): before * _stride(operation) for tensor in _tensors(operation.output)}
        by_name[operation.name] = max(strides[id(tensor)] for tensor in _tensors(operation.output))
    return by_name


def _stride(operation: Any) -> int:
    if isinstance(operation, keras.Model):
        return math.prod(map(_stride, operation.layers))
    strides = getattr(operation, "strides", 1)
    return int(strides if isinstance(strides, int) else strides[0])


def _tensors(structure: Any) -> list[Any]:
    return [tensor for tensor in keras.tree.flatten(structure) if isinstance(tensor, keras.KerasTensor)]


# Frozen layers --------------------------------------------------------------------------------------------------------


def split_front(network: ImageNetwork) -> tuple[keras.Model, keras.Model] | None:
    """Split the network in two: the front, before all trainable layers, and the rest, up to its trained outputs.

    The cut is where a single tensor connects the two. Random layers of the head belong to the rest; the front is meant
    to be called in inference mode, in which its random layers, such as dropout, do nothing. The front takes the
    samples; the rest takes the front's output and, if the trained network has further inputs, these after it.

    Returns:
        The front and the rest; None if the front would have no weights.
    """
    model = network.trained
    operations = list(model.operations)
    first = next(
        position
        for position, operation in enumerate(operations)
        if getattr(operation, "trainable_variables", ()) or (operation.name in network.head and _is_random(operation))
    )
    cut = _last_cut(model, operations, first)
    if cut is None:
        return None
    front = keras.Model(model.inputs[0], cut, name="front")
    if not front.weights:
        return None
    inputs = [cut, *model.inputs[1:]] if len(model.inputs) > 1 else cut
    return front, keras.Model(inputs, model.outputs if len(model.outputs) > 1 else model.outputs[0], name="rest")


def _is_random(operation: Any) -> bool:
    """Whether a layer has a random generator, whose state is a variable but not a weight."""
    return len(getattr(operation, "variables", ())) > len(getattr(operation, "weights", ()))


def _last_cut(model: keras.Model, operations: Sequence[Any], first: int) -> Any:
    """The last tensor before a position that all paths from the samples pass through; None if there is none."""
    last_use = {id(tensor): position for position, op in enumerate(operations) for tensor in _tensors(op.input)}
    last_use |= {id(tensor): len(operations) for tensor in model.outputs}
    further = {id(tensor) for tensor in model.inputs[1:]}
    open_tensors: dict[int, Any] = {}
    cut = None
    for position, operation in enumerate(operations[:first]):
        open_tensors |= {id(tensor): tensor for tensor in _tensors(operation.output) if id(tensor) not in further}
        open_tensors = {key: tensor for key, tensor in open_tensors.items() if last_use.get(key, -1) > position}
        if len(open_tensors) == 1:
            cut = next(iter(open_tensors.values()))
    return cut


def rate_factors(network: ImageNetwork, decay: float) -> Callable[[Any], float]:
    """The learning-rate factor of each variable: 1 in the head; in each stage, ``decay`` times that of the next one.

    Discriminative fine-tuning: Howard and Ruder 2018, section 3.2, with a rate for each stage instead of each layer.
    """
    names = [layer.name for layer in network.model.layers]
    starts = sorted(names.index(first) for first in network_stages(network).values())
    factors: dict[int, float] = {}
    for position, layer in enumerate(network.model.layers):
        depth = 0 if layer.name in network.head else 1 + sum(start > position for start in starts)
        factors |= {id(variable): decay**depth for variable in layer.variables}
    return lambda variable: factors[id(variable)]


def as_image_stage(section: CommonStage) -> Stage:
    """A stage with the keys of image networks, which have their defaults if the recipe has no stages."""
    return section if isinstance(section, Stage) else Stage(**section.model_dump())


def set_depth(base: ImageClassifier | None, network: ImageNetwork, section: CommonStage) -> None:
    """Freeze and unfreeze the layers of a network for a stage.

    Args:
        base: the section of the network that pretrained weights are for; None if there is none.

    Raises:
        ValueError: as for :func:`set_trainable`.
    """
    stage = as_image_stage(section)
    is_pretrained = base is not None and base.origin != "none"
    freezes = is_pretrained if stage.batch_norm is None else stage.batch_norm == "freeze"
    set_trainable(network, stage.trainable, freeze_batch_norm=freezes, losses=losses_of(section))


def losses_of(section: CommonStage) -> str:
    """The losses that a stage minimizes: all, class or box."""
    return section.losses if isinstance(section, LocalizationStage) else "all"
