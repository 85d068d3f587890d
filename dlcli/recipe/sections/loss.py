"""The ``train.loss`` key: the losses that training minimizes, each with its weight."""

from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from dlcli.recipe.language.fields import NonNegativeNumber, PositiveNumber, PositiveProportion, Section


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


class Overlap(Loss):
    """The keys of the losses of overlapping regions."""

    over: Literal["batch", "image"] = "batch"
    """The pixels over which overlaps are summed: of the whole batch, in which a rare class is more likely to occur; or
    of each image, weighted by its number of pixels that are not ignored.

    With batch and `gradient_accumulation`, each part is computed twice, because its gradient depends on the sums of all
    parts. Of the validation split, batch means the whole split, whatever `batch_size` is."""


class Dice(Overlap):
    """1 minus the Dice coefficient of predicted probabilities and true regions, the mean over the classes that occur
    (Milletari et al. 2016), with plain instead of squared sums."""

    kind: Literal["dice"]
    """What is minimized."""


class Tversky(Overlap):
    """Tversky loss: as Dice, with weights of false positives and false negatives (Salehi et al. 2017)."""

    kind: Literal["tversky"]
    """What is minimized."""
    alpha: NonNegativeNumber = 0.3
    """Weight of false positives; 0.5 for both is Dice."""
    beta: PositiveNumber = 0.7
    """Weight of false negatives; above alpha, rare classes are missed less often."""


PixelLoss = Annotated[CrossEntropy | Focal | Dice | Tversky, Field(discriminator="kind")]
PixelLosses = CrossEntropy | Focal | Dice | Tversky | Annotated[tuple[PixelLoss, ...], MinLen(1)]
"""A loss of pixels or regions, or several that are added up."""


class LabelFocal(Loss):
    """Focal loss of each label by itself: cross-entropy times alpha_t * (1 - p_t)^gamma, where p_t is the probability
    of what is true (Lin et al. 2017, equation 5)."""

    kind: Literal["focal"]
    """What is minimized."""
    gamma: NonNegativeNumber = 2.0
    """How much less a sample counts that is classified well; 0 is cross-entropy with weights alpha and 1 - alpha."""
    alpha: PositiveProportion = 0.25
    """Weight of samples to which a label applies; those to which it does not have 1 - alpha."""


LabelLoss = Annotated[CrossEntropy | LabelFocal, Field(discriminator="kind")]
LabelLosses = CrossEntropy | LabelFocal | Annotated[tuple[LabelLoss, ...], MinLen(1)]
"""A loss of labels that apply or do not, or several that are added up."""
