"""The ``train.loss`` key: the losses that training minimizes, each with its weight."""

from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from dlcli.recipe.language.fields import NonNegativeNumber, PositiveNumber, Section


class Loss(Section):
    """The key of every loss."""

    weight: PositiveNumber = 1.0
    """Weight of this loss in the sum."""


class CrossEntropy(Loss):
    """Cross-entropy of the predicted probabilities and the label."""

    kind: Literal["cross_entropy"]
    """What is minimized."""


class Focal(Loss):
    """Focal loss: cross-entropy times alpha * (1 - p)^gamma, so that samples that are classified well count less (Lin
    et al. 2017)."""

    kind: Literal["focal"]
    """What is minimized."""
    gamma: NonNegativeNumber = 2.0
    """How much less a sample counts that is classified well; 0 is cross-entropy."""
    alpha: PositiveNumber = 0.25
    """Factor of the loss. For factors of single classes see `class_weights`."""


ClassLoss = Annotated[CrossEntropy | Focal, Field(discriminator="kind")]
ClassLosses = CrossEntropy | Focal | Annotated[tuple[ClassLoss, ...], MinLen(1)]
"""A loss of classes, or several that are added up."""
