"""The comparison of a network with a baseline on the same samples, in numbers and in words."""

import numpy as np
import pytest

from dlcli.runtime.console import Console
from dlcli.tasks.sequences.baselines import against_baseline


def compared(
    is_correct: list[int], of_baseline: list[int], capsys: pytest.CaptureFixture[str], groups: list[int] | None = None
) -> tuple[dict[str, float], str]:
    found = against_baseline(
        np.array(is_correct, bool),
        np.array(of_baseline, bool),
        None if groups is None else np.array(groups),
        name="a rule",
        console=Console(quiet=False),
    )
    return found, capsys.readouterr().err


def test_a_clear_advantage_is_called_better(capsys: pytest.CaptureFixture[str]) -> None:
    found, text = compared([1] * 80 + [0] * 20, [1] * 40 + [0] * 60, capsys)
    assert found["baseline_accuracy"] == 0.4
    assert found["over_baseline"] == pytest.approx(0.4)
    error = np.sqrt(0.4 * 0.6 / 100)  # of the difference: 40 of 100 pairs differ, all in one direction
    assert found["over_baseline_low"] == pytest.approx(0.4 - 1.96 * error, abs=0.02)
    assert found["over_baseline_high"] == pytest.approx(0.4 + 1.96 * error, abs=0.02)
    assert text.startswith("accuracy: better than the baseline, a rule (baseline_accuracy): +0.4000, 95% interval +0.3")


def test_a_small_advantage_is_no_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = compared([1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 0, 0], capsys)
    assert text.startswith("accuracy: no evidence of being better than the baseline, a rule (baseline_accuracy): +0.16")


def test_an_equal_accuracy_is_no_better(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = compared([1, 0], [0, 1], capsys)
    assert text.startswith("accuracy: no better than the baseline, a rule (baseline_accuracy): +0.0000")


def test_words_of_a_sentence_are_drawn_together(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = [1] * 50 + [0] * 10, [1] * 40 + [0] * 20
    alone, _ = compared(right, wrong, capsys)
    together, _ = compared(right, wrong, capsys, groups=[i // 10 for i in range(60)])
    width = {name: of["over_baseline_high"] - of["over_baseline_low"] for name, of in (("a", alone), ("t", together))}
    assert width["t"] > 2 * width["a"]
