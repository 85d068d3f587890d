"""A network opened for explanation: raw pixels in, one float32 number per image out, with the output of every layer on
request.

What is explained is always one scalar function of an image, such as the logit of a class or the left side of a box. Its
targets say which one; they are chosen before, from the image as it is, and stay the same for every image that a method
makes of it.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dlcli.errors import InputError

Tensor = Any  # a tf.Tensor, or a symbolic keras.KerasTensor where a comment says so

CLASSES = tf.TensorSpec([None], tf.int32)
"""Targets that are the number of an output for each image."""


class NotExplainable(InputError):
    """Why a network cannot be explained; the message is written to follow "FILE: "."""


@dataclass(frozen=True)
class Call:
    """One call of a layer or of another operation; a layer that is reused has several.

    Attributes:
        name: of the layer; ``MODEL/LAYER`` where layers of two nested models have the same name, and ``LAYER#2`` for
            the second call of a layer.
        operation: the keras.Operation.
        arguments: its positional and keyword arguments, in which inputs are symbolic tensors.
        outputs: its symbolic outputs.
        is_linear: leave out the activation that is part of the layer, such as the softmax of the last one.
    """

    name: str
    operation: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    outputs: tuple[Tensor, ...]
    is_linear: bool = False

    @property
    def inputs(self) -> list[Tensor]:
        """Its symbolic inputs."""
        return [leaf for leaf in keras.tree.flatten(self.arguments) if isinstance(leaf, keras.KerasTensor)]


Substitute = Callable[[Call], Callable[..., Any]]
"""What is computed for a call: a function of its arguments that returns its outputs."""


def own_function(call: Call) -> Callable[..., Any]:
    """What the network itself computes for a call."""
    return with_activation(call.operation, keras.activations.linear) if call.is_linear else call.operation


def with_activation(layer: keras.Layer, activation: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """The function of a layer with another activation in place of its own; the layer itself is unchanged afterward."""

    def function(*args: Any, **kwargs: Any) -> Any:
        own = layer.activation
        layer.activation = activation
        try:
            return layer(*args, **kwargs)
        finally:
            layer.activation = own

    return function


Score = Callable[[Sequence[Tensor], Tensor], Tensor]
"""(values of a network's ends, targets ``[b, ...]``) -> the number of each image that is explained, ``[b]``."""


@dataclass(frozen=True)
class Given:
    """A tensor of a network that is not computed from the pixels, but taken from the targets.

    Attributes:
        tensor: symbolic.
        values: (targets ``[b, ...]``) -> its values.
    """

    tensor: Tensor
    values: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Network:
    """A network as explanations see it: the calls of its layers in order, those of nested models among them.

    It shares its layers, and so its weights, with the model that it was opened from.

    Attributes:
        inputs: symbolic pixels ``[b, height, width, channels]``.
        calls: those that the ends depend on, each after those that it depends on.
        ends: the symbolic tensors that the score is computed from.
        score: what is explained of each image.
        targets: shape and type of what chooses it, ``[b, ...]``.
        given: a tensor that is fixed with the targets, such as the proposal of a detector; None for none.
    """

    inputs: Tensor
    calls: tuple[Call, ...]
    ends: tuple[Tensor, ...]
    score: Score
    targets: tf.TensorSpec = CLASSES
    given: Given | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.inputs.shape[1:]
        return height, width, channels

    def layer(self, name: str) -> Tensor:
        """The symbolic output of a call, by its name.

        Raises:
            NotExplainable: there is no such layer.
        """
        for call in self.calls:
            if call.name == name:
                return call.outputs[0]
        raise NotExplainable(
            f"has no layer '{name}' before what is explained. `dlcli summary` lists the layers of a run."
        )

    def outputs(
        self, pixels: Tensor, layers: Sequence[str], *, substitute: Substitute = own_function
    ) -> dict[str, Tensor]:
        """The outputs of layers by the names of their calls, for pixels ``[b, height, width, channels]`` in [0, 255].

        Args:
            substitute: what is computed for each call, such as a ReLU with another gradient.

        Raises:
            NotExplainable: there is no such layer.
        """
        symbolic = {name: self.layer(name) for name in layers}
        values = self._values(pixels, {}, substitute, needed(self.calls, list(symbolic.values())))
        return {name: values[id(tensor)] for name, tensor in symbolic.items()}

    def end_values(self, pixels: Tensor, *, substitute: Substitute = own_function) -> list[Tensor]:
        """The values of the ends for pixels ``[b, height, width, channels]`` in [0, 255]."""
        values = self._values(pixels, {}, substitute, self.calls)
        return [values[id(tensor)] for tensor in self.ends]

    def scores(
        self,
        pixels: Tensor,
        targets: Tensor,
        layers: Sequence[str] = (),
        *,
        substitute: Substitute = own_function,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The numbers that are explained, float32 ``[b]``, and the outputs of layers.

        The numbers are computed from the very tensors that are returned, so that a tf.GradientTape finds their
        gradients with respect to the layers.

        Args:
            pixels, layers, substitute: as for :meth:`outputs`.

        Raises:
            NotExplainable: there is no such layer.
        """
        symbolic = {name: self.layer(name) for name in layers}
        known = {} if self.given is None else {id(self.given.tensor): self.given.values(targets)}
        values = self._values(pixels, known, substitute, self.calls)
        ends = [tf.cast(values[id(tensor)], tf.float32) for tensor in self.ends]
        return self.score(ends, targets), {name: values[id(tensor)] for name, tensor in symbolic.items()}

    def _values(
        self, pixels: Tensor, known: dict[int, Tensor], substitute: Substitute, calls: Sequence[Call]
    ) -> dict[int, Tensor]:
        """The value of each symbolic tensor that some calls compute, by its id, ``known`` ones as they are."""
        values = {id(self.inputs): tf.cast(pixels, tf.float32), **known}

        def value_of(argument: Any) -> Any:
            return values[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

        for call in calls:
            args, kwargs = keras.tree.map_structure(value_of, call.arguments)
            results = keras.tree.flatten(substitute(call)(*args, **kwargs))
            values.update(zip(map(id, call.outputs), results, strict=True))
        return values


@dataclass(frozen=True)
class OpenedModel:
    """All the calls of a model, of which networks take those that they need.

    Attributes:
        inputs: symbolic pixels ``[b, height, width, channels]``.
        calls: in order.
        outputs: the model's symbolic outputs.
    """

    inputs: Tensor
    calls: tuple[Call, ...]
    outputs: tuple[Tensor, ...]

    def tensor(self, name: str) -> Tensor:
        """The symbolic output of a call, by its name.

        Raises:
            NotExplainable: there is no such layer.
        """
        for call in self.calls:
            if call.name == name:
                return call.outputs[0]
        raise NotExplainable(f"has no layer '{name}', which is needed to explain it.")

    def network(
        self,
        ends: Sequence[Tensor],
        score: Score,
        *,
        targets: tf.TensorSpec = CLASSES,
        given: Given | None = None,
    ) -> Network:
        """The network up to some tensors."""
        calls = needed(self.calls, ends, () if given is None else (given.tensor,))
        return Network(self.inputs, calls, tuple(ends), score, targets, given)


def open_model(model: keras.Model) -> OpenedModel:
    """Open a model: its nested models become calls of their layers.

    Args:
        model: takes images of a fixed size, and computes in float32.

    Raises:
        NotExplainable: it does not; the message is written to follow "FILE: ".
    """
    if not isinstance(model, (keras.Function, keras.Sequential)) or len(model.inputs) != 1:
        raise NotExplainable("must be a functional or sequential model with one input to be explained.")
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise NotExplainable(f"must take images of a fixed size to be explained. Its input has shape {list(shape)}.")
    inputs = keras.Input(shape, dtype=model.inputs[0].dtype, name="pixels")
    recorder = _Recorder()
    outputs = recorder.run(model, inputs)
    return OpenedModel(inputs, tuple(recorder.calls), tuple(keras.tree.flatten(outputs)))


class _Recorder:
    """Calls the layers of a model, and of its nested models, on symbolic inputs, and records each call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._names: dict[int, str] = {}  # by the id of an operation
        self._num_calls: dict[int, int] = {}

    def run(self, model: keras.Model, inputs: Tensor, prefix: str = "") -> Tensor:
        """The symbolic outputs of a model.

        Args:
            prefix: of the paths of its layers: the name of the model that it is nested in, and a slash.
        """
        if isinstance(model, keras.Sequential):
            (outputs,) = keras.tree.flatten(inputs)
            for layer in model.layers:
                outputs = self._function(layer, prefix)(outputs)
            return outputs
        # Keras's own way of running a model's graph on other tensors
        return model._run_through_graph(inputs, operation_fn=lambda operation: self._function(operation, prefix))

    def _function(self, operation: Any, prefix: str) -> Callable[..., Any]:
        path = f"{prefix}{operation.name}"
        if isinstance(operation, (keras.Function, keras.Sequential)):
            return lambda tensors, *_, **__: self.run(operation, tensors, f"{path}/")

        def record(*args: Any, **kwargs: Any) -> Any:
            if "training" in inspect.signature(operation.call).parameters:
                kwargs = kwargs | {"training": False}
            outputs = operation(*args, **kwargs)
            name = self._name(operation, path)
            self.calls.append(Call(name, operation, (args, kwargs), tuple(keras.tree.flatten(outputs))))
            return outputs

        return record

    def _name(self, operation: Any, path: str) -> str:
        if id(operation) not in self._names:
            is_taken = operation.name in self._names.values()
            self._names[id(operation)] = path if is_taken else operation.name
        number = self._num_calls[id(operation)] = self._num_calls.get(id(operation), 0) + 1
        return self._names[id(operation)] + (f"#{number}" if number > 1 else "")


def needed(calls: Sequence[Call], ends: Sequence[Tensor], given: Sequence[Tensor] = ()) -> tuple[Call, ...]:
    """The calls that tensors depend on, without those that only ``given`` tensors need."""
    known = {id(tensor) for tensor in given}
    wanted = {id(tensor) for tensor in ends} - known
    kept = []
    for call in reversed(calls):
        if any(id(tensor) in wanted for tensor in call.outputs):
            kept.append(call)
            wanted.update(id(tensor) for tensor in call.inputs if id(tensor) not in known)
    return tuple(kept[::-1])


def traced(network: Network, function: Callable[[Tensor, Tensor], Any]) -> Callable[[Any, Any], Any]:
    """Compile a function of pixels float32 ``[b, height, width, channels]`` and targets ``[b, ...]``, for any b."""
    signature = [tf.TensorSpec([None, *network.shape], tf.float32), network.targets]
    return tf.function(function, input_signature=signature, autograph=False)  # type: ignore[no-any-return]
