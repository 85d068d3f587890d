"""Records in the log of a sweep that the sweep cannot have written."""

from dataclasses import replace
from typing import Any

import pytest

from dlcli.recipe.sections.sweep import Asha, Sweep
from dlcli.search.keys.space import Interval, Options
from dlcli.workflow.sweep.proposer import mistake
from dlcli.workflow.trials.records import Record

SPACE = {
    "train.optimizer.learning_rate": Interval(1e-4, 1e-1, "log"),
    "model.units": Interval(4, 8, "whole"),
    "model.dropout": Options((0, 0.5)),
}
VALUES = {"train.optimizer.learning_rate": 0.01, "model.units": 4, "model.dropout": 0.5}
RECORD = Record(3, None, VALUES, "complete", {"val_loss": 0.5, "epoch": 2}, {}, 1.0, 0, None)


def found(record: Record, *, has_epochs: bool = False) -> str | None:
    asha = Asha(min_epochs=1, reduction=3, brackets=2) if has_epochs else None
    section = Sweep(space={"train.epochs": (1,)}, method="asha" if has_epochs else "random", asha=asha)
    return mistake(record, SPACE, "val_loss", section=section, epochs=9)


def test_records_of_the_sweep_are_accepted() -> None:
    assert found(RECORD) is None
    assert found(replace(RECORD, trial=0, choices={})) is None  # the recipe's own values
    assert found(replace(RECORD, status="failed", metrics={})) is None
    assert found(replace(RECORD, choices={**VALUES, "epochs": 3}), has_epochs=True) is None
    assert found(replace(RECORD, trial=0, choices={"epochs": 9}), has_epochs=True) is None


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, "the choices must have train.optimizer.learning_rate, model.units, model.dropout"),
        ({**VALUES, "epochs": 3}, "the choices must have train.optimizer.learning_rate"),
        ({**VALUES, "train.optimizer.learning_rate": 99}, "the value of train.optimizer.learning_rate is not in the"),
        ({**VALUES, "train.optimizer.learning_rate": "a"}, "the value of train.optimizer.learning_rate is not in the"),
        ({**VALUES, "model.units": 5.5}, "the value of model.units is not in the space of this sweep"),
        ({**VALUES, "model.units": True}, "the value of model.units is not in the space of this sweep"),
        ({**VALUES, "model.dropout": 0.3}, "the value of model.dropout is not in the space of this sweep"),
    ],
)
def test_other_values_are_mistakes(choices: dict[str, Any], expected: str) -> None:
    assert (found(replace(RECORD, choices=choices)) or "").startswith(expected)


def test_missing_metrics_and_epochs_are_mistakes() -> None:
    reason = "the metrics of a complete trial must have val_loss and epoch"
    assert found(replace(RECORD, metrics={"epoch": 2})) == reason
    assert found(replace(RECORD, metrics={"val_loss": 2.0})) == reason
    assert found(RECORD, has_epochs=True) == "the choices must have epochs, a whole number"


@pytest.mark.parametrize(
    ("changes", "epochs", "expected"),
    [
        ({}, 5, "epochs must be 1 or 3"),
        ({}, 9, "epochs must be 1 or 3"),
        ({"parent": 1}, 1, "epochs must be 3 or 9"),
        ({"parent": 0}, 3, "the trial with the recipe's own values is never continued"),
        ({"trial": 0, "choices": {}}, 3, "epochs must be 9"),
    ],
)
def test_epochs_and_parents_that_asha_cannot_have_are_mistakes(
    changes: dict[str, Any], epochs: int, expected: str
) -> None:
    record = replace(RECORD, **changes)
    assert found(replace(record, choices={**record.choices, "epochs": epochs}), has_epochs=True) == expected
    assert found(replace(RECORD, parent=1, choices={**VALUES, "epochs": 3}), has_epochs=True) is None
