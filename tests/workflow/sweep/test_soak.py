"""500 trials in one process: none is lost, and memory stays."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.recipe.load import load
from dlcli.runtime.console import Console
from dlcli.workflow.sweep import trials
from dlcli.workflow.sweep.sweep import SweepWork
from dlcli.workflow.trials.pool import TASKS_PER_WORKER
from dlcli.workflow.trials.records import TrialLog
from dlcli.workflow.trials.work import start

NUM_TRIALS = 500
RECIPE = """\
task: classification
data: {kind: digits, limit: 60}
model: {kind: mlp, units: [8]}
train: {epochs: 1, batch_size: 20}
sweep:
  space: {train.optimizer.learning_rate: {log: [1e-4, 1e-1]}}
  budget: {trials: %d}
  baseline: false
"""


def resident(process: int) -> float:
    """The resident memory of a process in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def children() -> list[int]:
    return [int(number) for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_and_no_trial_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE % NUM_TRIALS)
    own: list[float] = []
    workers: list[float] = []
    write_table = trials.write_table

    def measured(*arguments: Any, **options: Any) -> None:
        write_table(*arguments, **options)
        own.append(resident(os.getpid()))
        workers.append(max(map(resident, children()), default=0.0))

    monkeypatch.setattr(trials, "write_table", measured)
    how: Any = {"device": "cpu", "ray": None, "command": [], "console": Console(quiet=True)}
    result = start(SweepWork(load(tmp_path / "recipe.yaml")), name="soak", runs=tmp_path, **how)
    assert (result["trials"], result["failed"]) == (NUM_TRIALS, 0)
    records = TrialLog(tmp_path / "soak" / "trials.jsonl").read()
    assert [record.trial for record in records] == list(range(NUM_TRIALS))
    assert own[NUM_TRIALS - 1] < 1.1 * own[TASKS_PER_WORKER - 1]
    largest = [max(workers[start : start + TASKS_PER_WORKER]) for start in range(0, NUM_TRIALS, TASKS_PER_WORKER)]
    assert np.mean(largest[-2:]) < 1.1 * np.mean(largest[:2])  # each has a new process
