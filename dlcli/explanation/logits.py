"""A classifier opened for explanation: the logit of a class is explained.

Explanations start from the logits: the gradient of a probability vanishes where the softmax is saturated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dlcli.explanation.network import Call, Network, NotExplainable, Tensor, needed, open_model

IDLE = (keras.layers.Identity, keras.layers.Dropout, keras.layers.ActivityRegularization)
"""Layers that change nothing in inference mode."""


@dataclass(frozen=True)
class Classifier(Network):
    """A network with logits; its targets are the number of a class for each image.

    Attributes:
        has_one_unit: a single unit with a sigmoid: the logits are 0 for the first class and its own for the second.
        is_multilabel: several units with sigmoids, so that the classes do not exclude each other.
    """

    has_one_unit: bool = False
    is_multilabel: bool = False

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return 2 if self.has_one_unit else int(self.ends[0].shape[-1])

    def __call__(self, pixels: Tensor) -> Tensor:
        """The logits float32 ``[b, classes]`` of pixels ``[b, height, width, channels]`` in [0, 255]."""
        (values,) = self.end_values(pixels)
        logits = tf.cast(values, tf.float32)
        return _of_two(logits) if self.has_one_unit else logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """The probabilities of the classes: the softmax of logits ``[b, classes]``, or a sigmoid for each of labels."""
        return tf.sigmoid(logits) if self.is_multilabel else tf.nn.softmax(logits)


def open_network(model: keras.Model, *, output: str | None = None) -> Classifier:
    """Open a classifier: its nested models become calls of their layers, and its last softmax or sigmoid is left out.

    Args:
        model: takes images of a fixed size, computes in float32, and ends in a softmax, a sigmoid or a dense layer.
        output: the layer that gives the logits or probabilities of a model with several outputs.

    Raises:
        NotExplainable: it does not; the message is written to follow "FILE: ".
    """
    opened = open_model(model)
    if output is None and len(opened.outputs) != 1:
        raise NotExplainable("must be a functional or sequential model with one input and one output to be explained.")
    end = opened.outputs[0] if output is None else opened.tensor(output)
    calls, logits, is_sigmoid = _without_last_activation(list(opened.calls), end)
    if len(logits.shape) != 2:
        raise NotExplainable(f"must have an output vector for each image. Its outputs have shape {list(logits.shape)}.")
    is_alone = is_sigmoid and logits.shape[-1] == 1
    return Classifier(
        opened.inputs,
        needed(calls, [logits]),
        (logits,),
        _of_two_classes if is_alone else of_vector,
        has_one_unit=is_alone,
        is_multilabel=is_sigmoid and not is_alone,
    )


def of_vector(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The score that is an element of a vector ``[b, n]`` for each image, by its number."""
    return chosen(ends[0], targets)


def chosen(logits: Tensor, classes: Tensor) -> Tensor:
    """The logits ``[b]`` of a class for each image."""
    return tf.gather(logits, classes, batch_dims=1)


def _of_two_classes(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
    return chosen(_of_two(ends[0]), targets)


def _of_two(logits: Tensor) -> Tensor:
    """The logits ``[b, 2]`` of two classes from those of the second, ``[b, 1]``."""
    return tf.concat([tf.zeros_like(logits), logits], axis=1)


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
