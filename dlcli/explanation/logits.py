"""A classifier opened for explanation: raw pixels in, float32 logits out, with the output of every layer on request.

Explanations start from the logits: the gradient of a probability vanishes where the softmax is saturated.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dlcli.errors import InputError

Tensor = Any  # a tf.Tensor, or a symbolic keras.KerasTensor where a comment says so

IDLE = (keras.layers.Identity, keras.layers.Dropout, keras.layers.ActivityRegularization)
"""Layers that change nothing in inference mode."""


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


@dataclass(frozen=True)
class Network:
    """A classifier as explanations see it: the calls of its layers in order, those of nested models among them.

    It shares its layers, and so its weights, with the model that it was opened from.

    Attributes:
        inputs: symbolic pixels ``[b, height, width, channels]``.
        calls: those that the logits depend on, each after those that it depends on.
        logits: symbolic logits ``[b, classes]``, or ``[b, 1]`` with ``has_one_unit``.
        has_one_unit: a single unit with a sigmoid: the logits are 0 for the first class and its own for the second.
        is_multilabel: several units with sigmoids, so that the classes do not exclude each other.
    """

    inputs: Tensor
    calls: tuple[Call, ...]
    logits: Tensor
    has_one_unit: bool = False
    is_multilabel: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.inputs.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return 2 if self.has_one_unit else int(self.logits.shape[-1])

    def layer(self, name: str) -> Tensor:
        """The symbolic output of a call, by its name.

        Raises:
            NotExplainable: there is no such layer.
        """
        for call in self.calls:
            if call.name == name:
                return call.outputs[0]
        raise NotExplainable(f"has no layer '{name}' before its logits. `dlcli summary` lists the layers of a run.")

    def __call__(self, pixels: Tensor) -> Tensor:
        """The logits float32 ``[b, classes]`` of pixels ``[b, height, width, channels]`` in [0, 255]."""
        return self.outputs(pixels)["logits"]

    def probabilities(self, logits: Tensor) -> Tensor:
        """The probabilities of the classes: the softmax of logits ``[b, classes]``, or a sigmoid for each of labels."""
        return tf.sigmoid(logits) if self.is_multilabel else tf.nn.softmax(logits)

    def outputs(
        self, pixels: Tensor, layers: Sequence[str] = (), *, substitute: Substitute = own_function
    ) -> dict[str, Tensor]:
        """The logits under ``logits``, and the outputs of layers by the names of their calls.

        The logits are computed from the very tensors that are returned, so that a tf.GradientTape finds their
        gradients with respect to the layers.

        Args:
            substitute: what is computed for each call, such as a ReLU with another gradient.

        Raises:
            NotExplainable: there is no such layer.
        """
        symbolic = {name: self.layer(name) for name in layers}
        values = {id(self.inputs): tf.cast(pixels, tf.float32)}

        def value_of(argument: Any) -> Any:
            return values[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

        for call in self.calls:
            args, kwargs = keras.tree.map_structure(value_of, call.arguments)
            results = keras.tree.flatten(substitute(call)(*args, **kwargs))
            values.update(zip(map(id, call.outputs), results, strict=True))
        logits = tf.cast(values[id(self.logits)], tf.float32)
        if self.has_one_unit:
            logits = tf.concat([tf.zeros_like(logits), logits], axis=1)
        return {name: values[id(tensor)] for name, tensor in symbolic.items()} | {"logits": logits}


def open_network(model: keras.Model) -> Network:
    """Open a classifier: its nested models become calls of their layers, and its last softmax or sigmoid is left out.

    Args:
        model: takes images of a fixed size, computes in float32, and ends in a softmax, a sigmoid or a dense layer.

    Raises:
        NotExplainable: it does not; the message is written to follow "FILE: ".
    """
    if not isinstance(model, (keras.Function, keras.Sequential)) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise NotExplainable("must be a functional or sequential model with one input and one output to be explained.")
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise NotExplainable(f"must take images of a fixed size to be explained. Its input has shape {list(shape)}.")
    inputs = keras.Input(shape, dtype=model.inputs[0].dtype, name="pixels")
    recorder = _Recorder()
    outputs = recorder.run(model, inputs)
    calls, logits, is_sigmoid = _without_last_activation(recorder.calls, outputs)
    if len(logits.shape) != 2:
        raise NotExplainable(f"must have an output vector for each image. Its outputs have shape {list(logits.shape)}.")
    is_alone = logits.shape[-1] == 1
    return Network(inputs, tuple(_needed(calls, logits)), logits, is_sigmoid and is_alone, is_sigmoid and not is_alone)


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


def _without_last_activation(calls: list[Call], outputs: Tensor) -> tuple[list[Call], Tensor, bool]:
    """The calls and the tensor that give logits, and whether the activation was a sigmoid.

    Raises:
        NotExplainable: the outputs are neither probabilities nor those of a dense layer.
    """
    made_by = {id(tensor): position for position, call in enumerate(calls) for tensor in call.outputs}
    tensor = outputs
    while id(tensor) in made_by:
        position = made_by[id(tensor)]
        call = calls[position]
        activation = _activation(call.operation)
        if isinstance(call.operation, IDLE) or (activation == "linear" and not hasattr(call.operation, "kernel")):
            tensor = call.inputs[0]
        elif activation in ("softmax", "sigmoid"):
            if not hasattr(call.operation, "kernel"):
                return calls, call.inputs[0], activation == "sigmoid"
            linear = Call(call.name, call.operation, call.arguments, call.outputs, is_linear=True)
            return [*calls[:position], linear, *calls[position + 1 :]], tensor, activation == "sigmoid"
        elif activation == "linear":
            return calls, tensor, False
        else:
            break
    raise NotExplainable("must end in a softmax, a sigmoid or a dense layer without activation to be explained.")


def _activation(operation: Any) -> str:
    """The name of the activation that an operation is, or ends in."""
    if type(operation).__name__ in ("Softmax", "Sigmoid"):  # keras.layers.Softmax, and keras.ops.softmax and sigmoid
        return type(operation).__name__.lower()
    return getattr(getattr(operation, "activation", None), "__name__", "")


def _needed(calls: list[Call], logits: Tensor) -> list[Call]:
    """The calls that the logits depend on."""
    needed = {id(logits)}
    kept = []
    for call in reversed(calls):
        if any(id(tensor) in needed for tensor in call.outputs):
            kept.append(call)
            needed.update(id(tensor) for tensor in call.inputs)
    return kept[::-1]


def traced(network: Network, function: Callable[[Tensor, Tensor], Any]) -> Callable[[Any, Any], Any]:
    """Compile a function of pixels float32 ``[b, height, width, channels]`` and classes int32 ``[b]``, for any b."""
    signature = [tf.TensorSpec([None, *network.shape], tf.float32), tf.TensorSpec([None], tf.int32)]
    return tf.function(function, input_signature=signature, autograph=False)  # type: ignore[no-any-return]


def chosen(logits: Tensor, classes: Tensor) -> Tensor:
    """The logits ``[b]`` of a class for each image."""
    return tf.gather(logits, classes, batch_dims=1)
