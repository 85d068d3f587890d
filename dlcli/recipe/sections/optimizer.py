"""The optimizers of ``train.optimizer``."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import NonNegativeNumber, PositiveNumber, Proportion, Section


class Optimizer(Section):
    """The keys that every optimizer has."""

    learning_rate: PositiveNumber = 1e-3
    """Learning rate at which the schedule starts."""
    weight_decay: NonNegativeNumber = 0.0
    """Decoupled weight decay: each step subtracts learning_rate * weight_decay * weight from every weight except biases
    and those of normalization."""


class Sgd(Optimizer):
    """Stochastic gradient descent."""

    kind: Literal["sgd"]
    """Optimization algorithm."""
    learning_rate: PositiveNumber = 1e-2
    """Learning rate at which the schedule starts."""
    momentum: Proportion = 0.0
    """Momentum."""
    nesterov: bool = False
    """Nesterov momentum."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.nesterov and self.momentum == 0:
            yield "nesterov", "Nesterov momentum needs momentum > 0, such as 0.9"


class Rmsprop(Optimizer):
    """RMSprop (Hinton 2012)."""

    kind: Literal["rmsprop"]
    """Optimization algorithm."""
    rho: Proportion = 0.9
    """Decay rate of the moving average of squared gradients."""
    momentum: Proportion = 0.0
    """Momentum."""
    epsilon: PositiveNumber = 1e-7
    """Added to the denominator for numerical stability."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"]
    """Optimization algorithm."""
    beta_1: Proportion = 0.9
    """Decay rate of the moving average of gradients."""
    beta_2: Proportion = 0.999
    """Decay rate of the moving average of squared gradients."""
    epsilon: PositiveNumber = 1e-7
    """Added to the denominator for numerical stability."""


class Adamw(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"]  # type: ignore[assignment]
    """Optimization algorithm."""
    weight_decay: NonNegativeNumber = 0.004
    """Decoupled weight decay: each step subtracts learning_rate * weight_decay * weight from every weight except biases
    and those of normalization."""


AnyOptimizer = Annotated[Sgd | Rmsprop | Adam | Adamw, Field(discriminator="kind")]
