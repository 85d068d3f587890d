"""The parts of a batch of a run that is continued."""

from pathlib import Path

import pytest
from run_outcome import TINY  # type: ignore[import-not-found]

from dlcli.recipe.load import load_text
from dlcli.runtime.console import Console
from dlcli.tasks import job


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 2), (4, 4)])
def test_a_run_keeps_its_parts(before: int, now: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{TINY}  gradient_accumulation: 2\n"
    kept = job.with_parts(load_text(text.encode(), Path("tiny.yaml")), before, Console(quiet=False))
    assert kept.recipe.train.gradient_accumulation == now
    assert job.num_parts(kept.recipe.train) == now
    assert capsys.readouterr().err == ""


def test_more_devices_than_parts_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "num_devices", lambda: 3)
    changed = job.with_parts(load_text(TINY.encode(), Path("tiny.yaml")), 2, Console(quiet=False))
    assert job.num_parts(changed.recipe.train) == 3
    assert "now computed in 3 parts, one for each device, and was computed in 2" in capsys.readouterr().err
