"""Cells that Keras lacks: the leaky unit, and recurrence from the output (Jordan 1986).

With ``x`` the input of the step and ``h`` the state, a leaky unit (Mozer 1992; Jaeger et al. 2007; Goodfellow et al.
2016, section 10.9.2) is a simple one whose state changes slowly,

    h' = a * h + (1 - a) * tanh(W x + U h + b)

with a decay ``a`` in (0, 1) for each unit. The gradient with respect to the state of the step before has the part
``a``, which does not pass through U and tanh: near one it fades slowly, by ``a^k`` over k steps, whatever the weights.
A state remembers for about ``1 / (1 - a)`` steps.

In a Jordan network the output of the step before is fed back instead of the hidden units (Goodfellow et al. 2016,
section 10.2, figure 10.4). Its hidden units ``h`` and outputs ``y`` are

    h' = tanh(W x + U y + b)        y' = tanh(V h' + c)

Here the outputs are a layer of the network, as wide as the hidden one, which the task's output layer reads. Where every
step has a class to predict, the outputs can be those of the task, ``y' = softmax(V h' + c)``, and in training the true
class of the step before is fed back in their place: teacher forcing (Jordan 1986; Williams and Zipser 1989; Goodfellow
et al. 2016, section 10.2.1). Where the outputs are tokens of a text, language models and decoders do the same: the
previous token is their input.
"""

import math
from typing import Any

import keras

Tensor = Any  # a keras tensor
PACKAGE = "dlcli"
OWN_OUTPUT = -1  # in place of a class that is fed back


@keras.saving.register_keras_serializable(package=PACKAGE)
class LeakyCell(keras.layers.SimpleRNNCell):  # type: ignore[misc]
    """A layer of leaky units.

    Args:
        units: number of units.
        decay: initial value of ``a``, in (0, 1).
        learn_decay: whether each unit learns its own ``a``, as the logistic sigmoid of a variable.
    """

    def __init__(self, units: int, *, decay: float, learn_decay: bool, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.decay, self.learn_decay = decay, learn_decay

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.learn_decay:
            first = keras.initializers.Constant(math.log(self.decay / (1.0 - self.decay)))
            self.decay_logit = self.add_weight(shape=(self.units,), initializer=first, name="decay_logit")

    def call(self, sequence: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        (before,) = states
        new, _ = super().call(sequence, states, training=training)
        decay = keras.ops.sigmoid(self.decay_logit) if self.learn_decay else self.decay
        state = decay * before + (1.0 - decay) * new
        return state, [state]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "learn_decay": self.learn_decay}


@keras.saving.register_keras_serializable(package=PACKAGE)
class JordanCell(keras.layers.SimpleRNNCell):  # type: ignore[misc]
    """A layer of hidden units, and one of outputs, which are the state. Both have ``units`` units."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shape = (self.units, self.units)
        self.output_kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="output_kernel")
        self.output_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="output_bias")

    def call(self, sequence: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        hidden, _ = super().call(sequence, states, training=training)
        outputs = keras.ops.tanh(keras.ops.matmul(hidden, self.output_kernel) + self.output_bias)
        return outputs, [outputs]


@keras.saving.register_keras_serializable(package=PACKAGE)
class ClassFeedbackCell(keras.layers.Layer):  # type: ignore[misc]
    """A layer of hidden units, and one with the logits of a step's classes, whose probabilities are the state.

    The inputs are the features of the step and, as a last column, the class of the step before that is fed back as a
    one-hot vector, or `OWN_OUTPUT` for the probabilities that the cell has computed there: 0 before the first step.

    Args:
        units: number of hidden units.
        num_classes: number of classes.
        recurrent_initializer: initializer of U.
    """

    def __init__(self, units: int, *, num_classes: int, recurrent_initializer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.num_classes, self.recurrent_initializer = units, num_classes, recurrent_initializer
        self.state_size = self.output_size = num_classes

    def build(self, input_shape: Any) -> None:
        def weight(name: str, shape: tuple[int, ...], initializer: str) -> Any:
            return self.add_weight(shape=shape, initializer=initializer, name=name)

        self.kernel = weight("kernel", (input_shape[-1] - 1, self.units), "glorot_uniform")
        self.recurrent_kernel = weight("recurrent_kernel", (self.num_classes, self.units), self.recurrent_initializer)
        self.bias = weight("bias", (self.units,), "zeros")
        self.output_kernel = weight("output_kernel", (self.units, self.num_classes), "glorot_uniform")
        self.output_bias = weight("output_bias", (self.num_classes,), "zeros")

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        ops = keras.ops
        x, given = inputs[:, :-1], inputs[:, -1]
        classes = ops.arange(self.num_classes, dtype=given.dtype)
        true = ops.cast(ops.equal(given[:, None], classes), x.dtype)
        fed = ops.where(given[:, None] > OWN_OUTPUT, true, states[0])
        hidden = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(fed, self.recurrent_kernel) + self.bias)
        logits = ops.matmul(hidden, self.output_kernel) + self.output_bias
        return logits, [ops.softmax(logits)]

    def get_config(self) -> dict[str, Any]:
        names = ("units", "num_classes", "recurrent_initializer")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
