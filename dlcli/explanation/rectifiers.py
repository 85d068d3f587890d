"""ReLUs with another gradient, whatever form they have in a network.

A ReLU may be a layer, the activation of a layer, an operation of keras.ops, or any of these in a layer that is called
several times; ReLU6 and other ReLUs with a threshold or a largest value count too. Leaky ReLUs do not.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dlcli.explanation.logits import IDLE
from dlcli.explanation.network import Call, Network, Substitute, Tensor, own_function, with_activation

Rule = Callable[[Tensor, Tensor], Tensor]
"""(whether the ReLU passes its input on: 1.0 or 0.0, the gradient from above) -> the gradient that is passed down;
all of one shape."""

FUNCTIONS = (keras.activations.relu, keras.activations.relu6, keras.ops.relu, keras.ops.relu6)
OPERATIONS = ("Relu", "Relu6", "ReLU")
"""The classes of keras.ops.relu, keras.ops.relu6, and keras.activations.relu or keras.layers.ReLU in a network."""


def guided(is_open: Tensor, gradient: Tensor) -> Tensor:
    """Guided backpropagation: only positive gradients through open ReLUs (Springenberg et al. 2015, section 3.4)."""
    return is_open * tf.nn.relu(gradient)


def rectifiers(network: Network) -> list[str]:
    """The names of the calls that are, or end in, a ReLU."""
    return [call.name for call in network.calls if is_rectified(call)]


def with_rule(rule: Rule) -> Substitute:
    """The substitute for `Network.outputs` in which every ReLU has the gradient of a rule; the outputs are the same."""

    def substitute(call: Call) -> Callable[..., Any]:
        if not is_rectified(call):
            return own_function(call)
        if is_relu(call.operation):
            return _with_gradient(call.operation, rule)
        return with_activation(call.operation, _with_gradient(call.operation.activation, rule))

    return substitute


def before_activation(network: Network, layer: str) -> Substitute:
    """The substitute for `Network.outputs` that leaves out the ReLU which a layer is, ends in, or takes the maximum of.

    Its values are in the order of the activations, but neither zero where a ReLU is closed nor 6 where a ReLU6 ends.
    """
    made_by = {id(tensor): call for call in network.calls for tensor in call.outputs}
    call = made_by[id(network.layer(layer))]
    while isinstance(call.operation, (keras.layers.MaxPooling2D, *IDLE)) and id(call.inputs[0]) in made_by:
        call = made_by[id(call.inputs[0])]
    if not is_rectified(call):
        return own_function

    def substitute(other: Call) -> Callable[..., Any]:
        if other is not call:
            return own_function(other)
        if is_relu(call.operation):
            return lambda x, **_: x
        return with_activation(call.operation, keras.activations.linear)

    return substitute


def _with_gradient(relu: Callable[[Tensor], Tensor], rule: Rule) -> Callable[[Tensor], Tensor]:
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rectified(x: Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = relu(x)
        is_open = tape.gradient(y, x)
        return y, lambda gradient: rule(is_open, gradient)

    return lambda x, **_: rectified(x)


def is_rectified(call: Call) -> bool:
    return is_relu(call.operation) or (not call.is_linear and is_relu(getattr(call.operation, "activation", None)))


def is_relu(function: Any) -> bool:
    if function in FUNCTIONS:
        return True
    return type(function).__name__ in OPERATIONS and getattr(function, "negative_slope", 0.0) == 0.0
