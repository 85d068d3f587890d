"""The log of trials: whole lines, and one line about one that is not."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.workflow.trials.records import Record, TrialLog


def record(trial: int = 0) -> Record:
    return Record(
        trial=trial,
        parent=None if trial == 0 else trial - 1,
        choices={"model.filters": [8, 16]},
        status="complete",
        metrics={"val_accuracy": 0.9},
        cost={"parameters": 1000},
        seconds=1.5,
        seed=trial,
        error=None,
    )


def test_records_are_read_back_without_an_incomplete_line(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    assert log.read() == []
    log.append(record(0))
    log.append(record(1))
    with log.path.open("ab") as file:
        file.write(b'{"trial": 2, "par')
    assert log.read() == [record(0), record(1)]
    log.append(record(2))
    assert log.read() == [record(0), record(1), record(2)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "the line is not valid JSON"),
        ("[" * 100_000, "the line is not valid JSON"),
        ("[1]", "the line must have the keys trial, parent, choices"),
        ('{"trial": 1}', "the line must have the keys trial, parent, choices"),
        (None, "trial 0 occurs twice"),
    ],
)
def test_a_corrupt_line_is_named(line: str | None, reason: str, tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    log.append(record())
    if line is None:
        log.append(record())
    else:
        with log.path.open("a") as file:
            file.write(line + "\n")
    with pytest.raises(InputError, match=rf"trials.jsonl:2: is corrupt: {reason}"):
        log.read()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"trial": 0', '"trial": "0"', "'trial' has the wrong type"),
        ('"trial": 0', '"trial": true', "'trial' has the wrong type"),
        ('"complete"', '"done"', "'status' must be complete, failed or refused"),
        ("0.9", '"high"', "metrics and costs must be finite numbers"),
        ("0.9", "Infinity", "metrics and costs must be finite numbers"),
        ("0.9", "NaN", "metrics and costs must be finite numbers"),
        ("1000", "null", "metrics and costs must be finite numbers"),
        ("1000", "1" * 400, "metrics and costs must be finite numbers"),
        ("1.5", "-1e300", "'trial' and 'seconds' must not be negative"),
        ('"trial": 0', '"trial": -1', "'trial' and 'seconds' must not be negative"),
        ('"parent": null', '"parent": 99', "trial 99, its parent, is not in an earlier line"),
        ("8, 16", "8, 32", "the filters are wrong"),
    ],
)
def test_a_corrupt_value_is_named(old: str, new: str, reason: str, tmp_path: Path) -> None:
    log = TrialLog(
        tmp_path / "trials.jsonl",
        lambda record: None if record.choices["model.filters"] == [8, 16] else "the filters are wrong",
    )
    log.append(record())
    assert log.read() == [record()]
    log.path.write_text(log.path.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"trials.jsonl:1: is corrupt: {reason}"):
        log.read()
