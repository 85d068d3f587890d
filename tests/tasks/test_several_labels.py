"""What tasks with any number of labels share: labels that say nothing, thresholds and their file, the mean loss."""

from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.recipe.sections.target_train import LabelTrain
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.tasks import several_labels

NAMES = ("a", "b", "c")
APPLIES = np.array([[1, 0, 1], [1, np.nan, 0], [1, 0, 0.0]])
QUIET = Console(quiet=True)


def test_labels_that_say_nothing_are_named() -> None:
    assert several_labels.constant_labels(APPLIES, NAMES) == (("b",), ("a",))
    lines = several_labels.constant_lines(APPLIES, NAMES, "train")
    assert [text for text, _ in lines.values()] == [
        "train: 1 label of 3 never applies: b",
        "train: 1 label of 3 always applies: a",
    ]
    assert several_labels.nothing_to_learn(APPLIES, NAMES, samples="texts") is None
    reason = several_labels.nothing_to_learn(APPLIES[:, :2], NAMES[:2], samples="texts")
    assert reason == "no label applies to some texts of train and not to others: there is nothing to learn"
    found = list(several_labels.label_findings({"train": APPLIES[:, :2]}, NAMES[:2], samples="texts"))
    assert [finding.is_problem for finding in found] == [True, False, False]
    assert several_labels.frequencies_of(APPLIES) == pytest.approx([1, 0, 1 / 3])


def test_thresholds_are_chosen_on_validation_and_read_back(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.1], [0.7, 0.3, 0.2]], np.float32)
    chosen = several_labels.choose_thresholds(run, NAMES, APPLIES, scores, QUIET)
    assert chosen == pytest.approx([0.35, 0.5, 0.25])
    assert several_labels.choose_thresholds(run, NAMES, None, None, QUIET) == [0.5] * 3
    replace_json(run.info, {"status": "completed"})
    assert several_labels.read_thresholds(run, NAMES) == [0.5] * 3
    replace_json(run.thresholds, {"thresholds": {"a": 0.5, "b": 2.0, "c": 0.5}})
    with pytest.raises(InputError, match=r"must have a threshold in \[0, 1\] for each label"):
        several_labels.read_thresholds(run, NAMES)
    np.testing.assert_array_equal(several_labels.usable_thresholds(None, 2, QUIET), [0.5, 0.5])
    with pytest.raises(InputError, match=r"data\.frequencies must be a number in"):
        several_labels.check_frequencies(run, [0.5], 2)


def test_the_mean_loss_counts_known_labels_alone() -> None:
    logits = np.log(np.full((3, 3), 0.25 / 0.75, np.float32))
    objective = several_labels.label_objective(LabelTrain(), NAMES)
    expected = -(4 * np.log(0.25) + 4 * np.log(0.75)) / 8
    assert several_labels.mean_loss(objective, logits, APPLIES) == pytest.approx(expected, rel=1e-5)
