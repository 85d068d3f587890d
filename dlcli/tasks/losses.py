"""Turns ``train.loss`` and ``train.label_smoothing`` into the arguments of a classifier's objective."""

from typing import Any

from dlcli.recipe.sections import loss as sections
from dlcli.recipe.sections.train import ClassTrain
from dlcli.training.objectives.class_losses import CrossEntropy, Focal, Term


def loss_arguments(train: ClassTrain, *, exact: bool = False) -> dict[str, Any]:
    """The arguments ``terms`` and ``label_smoothing`` of the objectives of classes.

    Args:
        exact: cross-entropy without label smoothing, whatever the recipe says: a loss in nats that can reach 0.
    """
    if exact:
        return {"terms": (CrossEntropy(),), "label_smoothing": 0.0}
    losses = train.loss if isinstance(train.loss, tuple) else (train.loss,)
    return {"terms": tuple(_term(section) for section in losses), "label_smoothing": train.label_smoothing}


def _term(section: sections.ClassLoss) -> Term:
    match section:
        case sections.CrossEntropy():
            return CrossEntropy(weight=section.weight)
        case sections.Focal():
            return Focal(gamma=section.gamma, alpha=section.alpha, weight=section.weight)
