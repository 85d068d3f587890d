"""The ``train`` sections of image tasks that predict something other than one class: pixels, labels, numbers."""

from collections.abc import Iterator
from typing import Generic, Literal

from dlcli.recipe.language.fields import NonNegativeNumber
from dlcli.recipe.sections.loss import CrossEntropy, LabelLosses, PixelLosses
from dlcli.recipe.sections.schedule import MetricT
from dlcli.recipe.sections.train import CommonTrain, SmoothTrain, Stage, rules_of_rate_decay


class DenseTrain(SmoothTrain[MetricT], Generic[MetricT]):
    """How a network is trained that predicts the class of each pixel."""

    loss: PixelLosses = CrossEntropy(kind="cross_entropy")
    """The loss that is minimized: a section, or a list of sections whose losses are added up by their weights."""
    class_weights: Literal["balanced"] | dict[str, NonNegativeNumber] | None = None
    """Weight of each class in cross_entropy and focal: balanced (pixels / (classes * pixels of the class)), or a weight
    for every class. The loss of a batch is the sum of the weighted losses divided by its number of pixels that are not
    ignored. In dice and tversky every class counts the same."""
    stages: tuple[Stage, ...] = ()
    """Stages of training in sequence, each with its own epochs and learning rate. Default: one stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_rate_decay(self.stages, ema=self.ema)


class LabelTrain(CommonTrain[MetricT], Generic[MetricT]):
    """How a network is trained that predicts which of several labels apply."""

    loss: LabelLosses = CrossEntropy(kind="cross_entropy")
    """The loss of each label that is minimized: a section, or a list of sections whose losses are added up by their
    weights."""
    positive_weights: Literal["balanced"] | dict[str, NonNegativeNumber] | None = None
    """Factor of the loss of samples to which a label applies: balanced (samples to which it does not apply / samples to
    which it applies), or a factor for every label. The loss of a batch is the sum of the weighted losses divided by its
    number of known labels."""


class StagedLabelTrain(LabelTrain[MetricT], Generic[MetricT]):
    """How a network is trained in stages that predicts which of several labels apply."""

    stages: tuple[Stage, ...] = ()
    """Stages of training in sequence, each with its own epochs and learning rate. Default: one stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_rate_decay(self.stages, ema=self.ema)


class StagedTrain(CommonTrain[MetricT], Generic[MetricT]):
    """How a network is trained whose loss has no keys here."""

    stages: tuple[Stage, ...] = ()
    """Stages of training in sequence, each with its own epochs and learning rate. Default: one stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_rate_decay(self.stages, ema=self.ema)
