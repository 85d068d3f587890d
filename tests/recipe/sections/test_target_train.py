"""The ``train`` sections of pixels, labels and numbers: their losses, weights and stages."""

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from dlcli.recipe.sections import loss
from dlcli.recipe.sections.target_train import DenseTrain, StagedLabelTrain, StagedTrain
from dlcli.recipe.sections.train import Stage

Metric = Literal["val_loss", "val_mean_iou"]
SECTIONS: list[Any] = [DenseTrain[Metric], StagedLabelTrain[Metric], StagedTrain[Metric]]


def test_losses_of_pixels_have_the_papers_defaults() -> None:
    train = DenseTrain[Metric](
        loss=({"kind": "cross_entropy"}, {"kind": "dice", "weight": 0.5}, {"kind": "tversky", "over": "image"})
    )
    assert train.loss == (
        loss.CrossEntropy(kind="cross_entropy"),
        loss.Dice(kind="dice", weight=0.5, over="batch"),
        loss.Tversky(kind="tversky", alpha=0.3, beta=0.7, over="image"),
    )
    assert DenseTrain[Metric](loss={"kind": "focal"}).loss == loss.Focal(kind="focal", gamma=2.0, alpha=0.25)
    assert DenseTrain[Metric]().loss == loss.CrossEntropy(kind="cross_entropy")


def test_losses_of_labels_are_their_own() -> None:
    assert StagedLabelTrain[Metric](loss={"kind": "focal"}).loss == loss.LabelFocal(kind="focal", gamma=2.0, alpha=0.25)
    assert StagedLabelTrain[Metric]().loss == loss.CrossEntropy(kind="cross_entropy")
    assert StagedLabelTrain[Metric](positive_weights={"cat": 2}).positive_weights == {"cat": 2.0}


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        (DenseTrain[Metric], {"loss": ()}),
        (DenseTrain[Metric], {"loss": {"kind": "tversky", "beta": 0}}),
        (DenseTrain[Metric], {"loss": {"kind": "dice", "over": "class"}}),
        (DenseTrain[Metric], {"best_metric": "val_accuracy"}),
        (StagedLabelTrain[Metric], {"loss": {"kind": "dice"}}),
        (StagedLabelTrain[Metric], {"loss": {"kind": "focal", "alpha": 1.0}}),
        (StagedLabelTrain[Metric], {"label_smoothing": 0.1}),
        (StagedTrain[Metric], {"class_weights": "balanced"}),
    ],
)
def test_what_does_not_fit_is_refused(section: Any, keys: dict[str, Any]) -> None:
    section()
    with pytest.raises(ValidationError):
        section(**keys)


@pytest.mark.parametrize("section", SECTIONS)
def test_stages_have_the_rules_of_training(section: Any) -> None:
    stages = (Stage(name="all", epochs=1, rate_decay=0.5),)
    assert section(stages=stages).stages[0].rate_decay == 0.5
    for keys, message in (({"ema": 0.9}, "rate_decay: cannot be combined with ema"), ({"epochs": 3}, "epochs: cannot")):
        with pytest.raises(ValidationError, match=message):
            section(stages=stages, **keys)
