"""Compares a run's predictor with the rows of ``dlcli predict --json``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.predictor import Predictor

NAMES = ("file",)  # of samples, which a predictor does not know


def predictor_of(run: Path) -> Predictor:
    return task_of(load(run / "config.yaml").recipe).predictor(RunDir(run), Console(quiet=True))


def assert_predicts(
    run: Path,
    samples: Sequence[Any],
    expected: Sequence[dict[str, Any]],
    *,
    names: Sequence[str] = NAMES,
    **options: Any,
) -> Predictor:
    """Asserts that samples get the rows of the command line, predicted together and, padded less, one by one.

    Args:
        samples: in memory.
        expected: the rows of the same samples, with their names.
        names: the keys of the rows that name a sample.
        options: of ``predict``.
    """
    predictor = predictor_of(run)
    rows = [{key: value for key, value in row.items() if key not in names} for row in expected]
    read = [predictor.read(sample) for sample in samples]
    together = predictor.predict(read, **options)
    assert together == close_to(rows)
    assert [predictor.predict([sample], **options)[0] for sample in read] == close_to(rows)
    assert predictor.predict([]) == []
    return predictor


def close_to(value: Any) -> Any:
    """Equal but for the rounding of float32, at any depth."""
    if isinstance(value, list):
        return [close_to(item) for item in value]
    if isinstance(value, dict):
        return {key: close_to(item) for key, item in value.items()}
    return pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value
