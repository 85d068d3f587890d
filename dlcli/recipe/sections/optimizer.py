"""The optimizers of ``train.optimizer``."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import NonNegativeNumber, PositiveNumber, Proportion, Section


class Optimizer(Section):
    """The keys that every optimizer has."""

    learning_rate: PositiveNumber = 1e-3
    """The rate that the schedule starts from."""
    weight_decay: NonNegativeNumber = 0.0
    """Decoupled: a step takes learning_rate * weight_decay * weight off each weight but biases and normalization's."""


class Sgd(Optimizer):
    """Stochastic gradient descent."""

    kind: Literal["sgd"]
    """Algorithm."""
    learning_rate: PositiveNumber = 1e-2
    """The rate that the schedule starts from."""
    momentum: Proportion = 0.0
    """Proportion of the last step that is carried into the next."""
    nesterov: bool = False
    """Nesterov's momentum: the gradient is taken one step ahead."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.nesterov and self.momentum == 0:
            yield "nesterov", "Nesterov's momentum needs momentum > 0, such as 0.9"


class Rmsprop(Optimizer):
    """RMSprop (Hinton 2012)."""

    kind: Literal["rmsprop"]
    """Algorithm."""
    rho: Proportion = 0.9
    """Decay of the mean of squared gradients."""
    momentum: Proportion = 0.0
    """Proportion of the last step that is carried into the next."""
    epsilon: PositiveNumber = 1e-7
    """Added to the denominator, against division by 0."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"]
    """Algorithm."""
    beta_1: Proportion = 0.9
    """Decay of the mean of gradients."""
    beta_2: Proportion = 0.999
    """Decay of the mean of squared gradients."""
    epsilon: PositiveNumber = 1e-7
    """Added to the denominator, against division by 0."""


class Adamw(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"]  # type: ignore[assignment]
    """Algorithm."""
    weight_decay: NonNegativeNumber = 0.004
    """Decoupled: a step takes learning_rate * weight_decay * weight off each weight but biases and normalization's."""


AnyOptimizer = Annotated[Sgd | Rmsprop | Adam | Adamw, Field(discriminator="kind")]
