"""Turns ``train.loss`` and ``train.label_smoothing`` into the arguments of an objective."""

from typing import Any, assert_never

from dlcli.recipe.sections import loss as sections
from dlcli.recipe.sections.target_train import DenseTrain, LabelTrain
from dlcli.recipe.sections.train import ClassTrain
from dlcli.training.objectives.class_losses import CrossEntropy, Focal, Term
from dlcli.training.objectives.multilabel import LabelCrossEntropy, LabelFocal, LabelTerm
from dlcli.training.objectives.overlap_losses import Tversky, dice


def loss_arguments(train: ClassTrain, *, exact: bool = False) -> dict[str, Any]:
    """The arguments ``terms`` and ``label_smoothing`` of the objectives of classes.

    Args:
        exact: cross-entropy without label smoothing, whatever the recipe says: a loss in nats that can reach 0.
    """
    if exact:
        return {"terms": (CrossEntropy(),), "label_smoothing": 0.0}
    losses = train.loss if isinstance(train.loss, tuple) else (train.loss,)
    return {"terms": tuple(_term(section) for section in losses), "label_smoothing": train.label_smoothing}


def pixel_loss_arguments(train: DenseTrain, *, exact: bool = False) -> dict[str, Any]:
    """The arguments ``terms``, ``overlaps`` and ``label_smoothing`` of the objective of segmentation.

    Args:
        exact: as in :func:`loss_arguments`.
    """
    if exact:
        return {"terms": (CrossEntropy(),), "overlaps": (), "label_smoothing": 0.0}
    terms: list[Term] = []
    overlaps: list[Tversky] = []
    for section in train.loss if isinstance(train.loss, tuple) else (train.loss,):
        match section:
            case sections.CrossEntropy() | sections.Focal():
                terms.append(_term(section))
            case sections.Dice():
                overlaps.append(dice(over=section.over, weight=section.weight))
            case sections.Tversky():
                overlaps.append(
                    Tversky(alpha=section.alpha, beta=section.beta, over=section.over, weight=section.weight)
                )
            case _:
                assert_never(section)
    return {"terms": tuple(terms), "overlaps": tuple(overlaps), "label_smoothing": train.label_smoothing}


def label_loss_arguments(train: LabelTrain, *, exact: bool = False) -> dict[str, Any]:
    """The argument ``terms`` of the objective of several labels.

    Args:
        exact: cross-entropy, whatever the recipe says: a loss in nats that can reach 0.
    """
    if exact:
        return {"terms": (LabelCrossEntropy(),)}
    losses = train.loss if isinstance(train.loss, tuple) else (train.loss,)
    return {"terms": tuple(_label_term(section) for section in losses)}


def _term(section: sections.ClassLoss) -> Term:
    match section:
        case sections.CrossEntropy():
            return CrossEntropy(weight=section.weight)
        case sections.Focal():
            return Focal(gamma=section.gamma, alpha=section.alpha, weight=section.weight)


def _label_term(section: sections.LabelLoss) -> LabelTerm:
    match section:
        case sections.CrossEntropy():
            return LabelCrossEntropy(weight=section.weight)
        case sections.LabelFocal():
            return LabelFocal(gamma=section.gamma, alpha=section.alpha, weight=section.weight)
