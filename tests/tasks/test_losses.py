"""The arguments of objectives follow ``train.loss``."""

from typing import Any

import pytest

from dlcli.recipe.sections.target_train import DenseTrain, LabelTrain
from dlcli.recipe.sections.train import ClassTrain
from dlcli.tasks.losses import label_loss_arguments, loss_arguments, pixel_loss_arguments
from dlcli.training.objectives.class_losses import CrossEntropy, Focal
from dlcli.training.objectives.multilabel import LabelCrossEntropy, LabelFocal, multilabel
from dlcli.training.objectives.overlap_losses import Tversky, dice
from dlcli.training.objectives.segmentation import segmentation


def test_each_section_is_a_term_with_its_weight() -> None:
    found = pixel_loss_arguments(
        DenseTrain(
            label_smoothing=0.1,
            loss=(
                {"kind": "dice", "weight": 0.5, "over": "image"},
                {"kind": "focal", "gamma": 1.0},
                {"kind": "tversky", "alpha": 0.2, "weight": 3.0},
            ),
        )
    )
    assert found == {
        "terms": (Focal(1.0, 0.25),),
        "overlaps": (dice(over="image", weight=0.5), Tversky(0.2, 0.7, weight=3.0)),
        "label_smoothing": 0.1,
    }
    segmentation(num_classes=2, class_weights=None, **found)
    found = label_loss_arguments(LabelTrain(loss=({"kind": "cross_entropy", "weight": 2.0}, {"kind": "focal"})))
    assert found == {"terms": (LabelCrossEntropy(2.0), LabelFocal(2.0, 0.25))}
    multilabel(num_labels=2, positive_weights=None, **found)


@pytest.mark.parametrize(
    ("arguments", "train", "expected"),
    [
        (loss_arguments, ClassTrain, {"terms": (CrossEntropy(),), "label_smoothing": 0.0}),
        (pixel_loss_arguments, DenseTrain, {"terms": (CrossEntropy(),), "overlaps": (), "label_smoothing": 0.0}),
        (label_loss_arguments, LabelTrain, {"terms": (LabelCrossEntropy(),)}),
    ],
)
def test_an_exact_loss_is_cross_entropy_as_is_the_default(arguments: Any, train: Any, expected: Any) -> None:
    assert arguments(train()) == expected
    assert arguments(train(loss={"kind": "focal"}), exact=True) == expected
