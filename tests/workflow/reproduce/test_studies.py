"""A search or sweep that is trained again has the same trials and winner, and a planted change is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import search_worker  # type: ignore[import-not-found]
from click.testing import CliRunner, Result
from local_pool import LocalPool  # type: ignore[import-not-found]
from sweep_trainer import Trainer  # type: ignore[import-not-found]

from dlcli.cli import cli
from dlcli.errors import CheckFailed, Interrupted
from dlcli.workflow.search import phases
from dlcli.workflow.sweep import trials as trials_of_sweep
from dlcli.workflow.trials import work

SWEEP = """\
task: classification
data: {kind: digits, limit: 60}
model: {kind: mlp, units: [8], dropout: 0.1}
train: {epochs: 9}
sweep:
  space: {train.optimizer.learning_rate: {log: [1e-4, 1]}, model.dropout: [0, 0.3, 0.5]}
  method: asha
  budget: {trials: 6}
  workers: 2
  objective: val_accuracy
"""
SEARCH = """\
task: classification
data: {kind: digits, validation: 0.2, test: 0.2}
model: {kind: cells, genotype: nasnet_a, repeats: 1, filters: 8}
search:
  space: {kind: cells, operations: [identity, sep3, max3], combinations: 2}
  method: {kind: evolution, population: 4, sample: 2}
  budget: {trials: 8}
  workers: 3
  final: {top: 2, seeds: 2}
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs dlcli in a folder with s.yaml and w.yaml; the trials are done by a function."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SEARCH)
    Path("w.yaml").write_text(SWEEP)
    for module in (phases, trials_of_sweep):
        monkeypatch.setattr(module, "write_plots", lambda *arguments: None)

    def invoke(*arguments: str, trial: Callable[..., dict[str, Any]]) -> Result:
        monkeypatch.setattr(work, "open_workers", lambda workers, ray, device: LocalPool(workers, trial))
        return CliRunner().invoke(cli, [*arguments])

    return invoke


def log(name: str, file: str = "trials.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("runs", name, file).read_text().splitlines()]


def test_a_sweep_is_reproduced_and_a_planted_change_is_named(run: Run) -> None:
    assert run("sweep", "w.yaml", trial=Trainer()).exit_code == 0
    done = run("reproduce", "w", trial=Trainer())
    num_trials = len(log("w"))
    assert f"runs/w-reproduced: equals runs/w bit for bit: trials.jsonl ({num_trials} trials) and result" in done.stdout
    assert "environment: equal" in done.stdout
    info = json.loads(Path("runs/w-reproduced/sweep.json").read_text())
    assert info["reproduces"] == {"run": "w", "verdict": "exact"}
    number = next(one["trial"] for one in log("w") if one["choices"].get("model.dropout") == 0)
    changed = run("reproduce", "w", trial=Trainer(fails=lambda changes: changes.get("model.dropout") == 0))
    assert isinstance(changed.exception, CheckFailed)
    expected = f"trials.jsonl, trial {number}, column status: was complete and is failed"
    assert f"runs/w: not reproduced: first difference: {expected}" in str(changed.exception)
    assert run("reproduce", "w", "--with", "w-reproduced", trial=Trainer()).exit_code == 0
    other = run("reproduce", "w", "--with", "w-reproduced-2", "--json", trial=Trainer())
    assert json.loads(other.stdout)["first"] == expected


def test_what_differs_before_training_is_named_and_nothing_is_trained(run: Run) -> None:
    run("sweep", "w.yaml", trial=Trainer())
    path = Path("runs/w/sweep.json")
    text = path.read_text()
    data = run("reproduce", "w", trial=Trainer(fingerprint="b"))
    assert str(data.exception) == (
        "runs/w: not reproduced: the data differ from those of the sweep: their fingerprints differ, with the same "
        "numbers of samples"
    )
    info = json.loads(text)
    info["written"]["train"]["epochs"] = 8
    path.write_text(json.dumps(info))
    changed = run("reproduce", "w", trial=Trainer())
    assert "'written' in runs/w/sweep.json differs from 'config': train.epochs was 9 and is 8" in str(changed.exception)
    log_file = Path("runs/w/trials.jsonl")
    path.write_text(text)
    lines = log_file.read_text()
    for damaged, expected in (
        ("{\n" + lines, "trials.jsonl:1: is corrupt: the line is not valid JSON"),
        (None, "runs/w/trials.jsonl: is missing, with the trials that were recorded in it."),
    ):
        log_file.unlink() if damaged is None else log_file.write_text(damaged)
        assert expected in str(run("reproduce", "w", trial=Trainer()).exception)
    log_file.write_text(lines)
    path.write_text(json.dumps({**json.loads(text), "status": "interrupted"}))
    stopped = run("reproduce", "w", trial=Trainer())
    assert str(stopped.exception) == "runs/w: is not complete. Resume it with: dlcli sweep --resume runs/w"
    assert [entry.name for entry in Path("runs").iterdir()] == ["w"]
    path.write_text(text)
    log_file.write_text(lines.replace('"model.dropout"', '"x"', 1))
    changed = run("reproduce", "w", trial=Trainer())
    assert "trials.jsonl:2: is corrupt: the choices must have" in str(changed.exception)
    assert [entry.name for entry in Path("runs").iterdir()] == ["w"]


def test_a_damaged_log_of_a_search_is_named_and_nothing_is_written(run: Run) -> None:
    run("search", "s.yaml", trial=search_worker.do)
    for name in ("trials.jsonl", "baseline.jsonl"):
        path = Path("runs/s", name)
        lines = path.read_text()
        path.write_text(lines.replace('"encoded": [', '"encoded": [99, ', 1))
        refused = run("reproduce", "s", trial=search_worker.do)
        assert f"{name}:1: is corrupt: the choices are not in the space of this search." in str(refused.exception)
        path.write_text(lines)
    assert [entry.name for entry in Path("runs").iterdir()] == ["s"]


def test_a_trial_that_the_log_lacks_is_named_as_not_compared(run: Run) -> None:
    run("sweep", "w.yaml", trial=Trainer())
    path = Path("runs/w/trials.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    parents = {one["parent"] for one in log("w")}
    number = next(one["trial"] for one in log("w")[1:-1] if one["trial"] not in parents)
    path.write_text("".join(line for line in lines if json.loads(line)["trial"] != number))
    done = run("reproduce", "w", trial=Trainer())
    assert f"note: runs/w/trials.jsonl lacks trial {number}, not compared" in done.stdout


def test_options_of_runs_are_refused(run: Run) -> None:
    run("sweep", "w.yaml", trial=Trainer())
    for option, value in (("--epochs-only", "1"), ("--evaluation", "test"), ("--attack", "pgd")):
        refused = run("reproduce", "w", option, value, trial=Trainer())
        assert refused.exit_code == 2
        assert f"{option} is for runs, and runs/w is a sweep." in refused.stderr
    divided = run("reproduce", "w", "--device", "cpu:x2", trial=Trainer())
    assert "each worker uses one CPU or GPU. Received 'cpu:x2'." in divided.stderr
    same = run("reproduce", "w", "--with", "w", trial=Trainer())
    assert str(same.exception) == "--with: must be another sweep than runs/w."


def test_a_search_of_several_workers_is_reproduced_in_another_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("search", "s.yaml", trial=search_worker.do).exit_code == 0
    monkeypatch.setattr(LocalPool, "wait", lambda pool: (lambda key, task: (key, pool._do(task)))(*pool._waiting.pop()))
    done = run("reproduce", "s", "--json", trial=search_worker.do)
    found = json.loads(done.stdout)
    assert (found["verdict"], found["reproduced"], found["first"]) == ("exact", True, None)
    for name in ("trials.jsonl", "baseline.jsonl", "finals.jsonl"):
        logs = [log(one, name) for one in ("s", "s-reproduced")]
        assert logs[0] != logs[1]
        assert sorted(logs[0], key=lambda one: one["trial"]) == sorted(logs[1], key=lambda one: one["trial"])

    def with_one_changed(task: dict[str, Any]) -> dict[str, Any]:
        outcome: dict[str, Any] = search_worker.do(task)
        if task["kind"] == "test" and task["run"].endswith("-1"):
            outcome["metrics"]["accuracy"] += 0.001
        return outcome

    changed = run("reproduce", "s", trial=with_one_changed)
    assert "not reproduced: first difference: result, chosen.search.values.1: was " in str(changed.exception)


def test_an_interrupted_reproduction_is_resumed_with_the_trials_of_the_log(run: Run) -> None:
    run("sweep", "w.yaml", trial=Trainer())
    path = Path("runs/w/trials.jsonl")
    records = log("w")
    for record in records:  # of another method, in all that the space allows
        if "model.dropout" in record["choices"]:
            record["choices"]["model.dropout"] = 0.5
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    stopped = run("reproduce", "w", trial=Trainer(stop_after=3))
    assert isinstance(stopped.exception, Interrupted)
    assert str(stopped.exception).splitlines() == [
        "stopped after 3 trials. Resume with: dlcli sweep --resume runs/w-reproduced",
        "Then compare the two with: dlcli reproduce runs/w --with runs/w-reproduced",
    ]
    assert run("sweep", "--resume", "w-reproduced", trial=Trainer()).exit_code == 0
    logs = [sorted(log(name), key=lambda one: one["trial"]) for name in ("w", "w-reproduced")]
    assert [one["choices"] for one in logs[0]] == [one["choices"] for one in logs[1]]
