"""Runs from strangers: with values, sizes and kinds of files that dlcli never writes, no verb hangs, fails with a
traceback, runs code, prints control characters or changes anything else.
"""

import json
import os
import shutil
from pathlib import Path

import hostile_runs  # type: ignore[import-not-found]
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image

from dlcli.printing import escaped
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json

OLD = Path(__file__).parent / "old_runs"
READ_ONLY = (
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "show", "hostile"),
    ("runs", "show", "hostile", "--json"),
    ("runs", "diff", "hostile", "good"),
    ("report", "hostile", "good"),
    ("report", "hostile", "--card"),
)
WITH_MODEL = (
    ("evaluate", "hostile", "-q"),
    ("predict", "hostile", "image.png", "-q"),
    ("attack", "hostile", "--fgsm", "--eps", "0.1", "--no-checks", "-q"),
    ("explain", "hostile", "image.png", "--method", "gradcam", "-q"),
    ("export", "hostile", "--format", "saved_model", "--samples", "2", "-q"),
    ("summary", "hostile"),
    ("reproduce", "hostile", "--epochs-only", "1", "-q"),
    ("reproduce", "hostile", "--evaluation", "test", "-q"),
    ("reproduce", "hostile", "--with", "good", "-q"),
    ("ensemble", "good", "hostile", "-q"),
    ("ensemble", "hostile", "good", "-q"),
    ("runs", "remove", "-y", "hostile"),
)
RESUMED = (("train", "--resume", "hostile", "-q"),)


def check(folder: Path, seed: int, verbs: tuple[tuple[str, ...], ...], source: str = "digits") -> None:
    """Runs verbs on a run that is changed anew for each of them."""
    good = folder / "runs" / "good"
    shutil.copytree(OLD / "digits", good)
    before = {path: path.read_bytes() for path in good.rglob("*") if path.is_file()}
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "image.png")
    for verb in verbs:
        shutil.rmtree(folder / "runs" / "hostile", ignore_errors=True)
        changes = hostile_runs.make_hostile(folder, seed, source=source)
        done = processes.run(*verb, folder=folder, prepare=processes.without_plots)
        report = f"seed {seed}, {verb}: {changes}\n{done.stderr[:2000]}"
        assert done.status in (0, 1, 2), report
        assert "Traceback" not in done.stderr, report
        assert done.stdout + done.stderr == escaped(done.stdout + done.stderr), report
        assert len(done.stderr) < 5000, report
        assert not (folder / "ran").exists(), report
        assert {path: path.read_bytes() for path in good.rglob("*") if path.is_file()} == before, report


@pytest.mark.parametrize("seed", range(3))
def test_listing_and_showing(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, READ_ONLY[::2])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_every_verb(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, READ_ONLY + WITH_MODEL)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 20))
def test_every_verb_on_more_runs(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, READ_ONLY + WITH_MODEL)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_resuming(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, RESUMED, source="shapes")


@pytest.mark.parametrize("name", ["metrics.csv", "labels.json", "model.keras", "run.json", "run.lock", "train.log"])
def test_a_pipe_hides_no_other_run_and_blocks_nothing(tmp_path: Path, name: str) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(OLD / "digits", runs / "good")
    shutil.copytree(OLD / "shapes", runs / "bad")
    (runs / "bad" / name).unlink(missing_ok=True)
    os.mkfifo(runs / "bad" / name)
    listed = json.loads(processes.run("runs", "list", "--json", folder=tmp_path).expect(0).stdout)
    statuses = {run["name"]: run["status"] for run in listed}
    assert statuses["good"] == "completed"
    is_read = name in ("metrics.csv", "run.json")  # by `runs list`
    assert statuses["bad"] == ("corrupt" if is_read else "interrupted")
    refused = processes.run("train", "--resume", "bad", folder=tmp_path).expect(2)
    assert f"runs/bad/{name}: is a pipe or device. A run directory must contain only files and folders." in (
        refused.stderr
    )


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("best",), {}),
        (("best", "value"), "0.5"),
        (("best", "metric"), ["val_loss"]),
        (("data", "samples", "train"), []),
        (("data", "baseline"), 1e308),
        (("data", "baseline"), {"box": [0.0, 0.0, 1.0, 1.0], "class": 0}),
    ],
)
def test_values_of_other_types_are_corrupt(tmp_path: Path, keys: tuple[str, ...], value: object) -> None:
    run = tmp_path / "runs" / "digits"
    shutil.copytree(OLD / "digits", run)
    info = read_json(run / "run.json")
    hostile_runs.exchange(info, keys, value)
    replace_json(run / "run.json", info)
    refused = processes.run("evaluate", "digits", folder=tmp_path).expect(2)
    assert "run.json: is corrupt: " in refused.stderr


def test_an_error_about_changed_keys_is_bounded(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "shapes"
    shutil.copytree(OLD / "shapes", run)
    info = read_json(run / "run.json")
    info["config"]["train"] = "x" * 100_000
    info["config"] |= {f"key{i}": "y" * 1000 for i in range(1000)}
    replace_json(run / "run.json", info)
    refused = processes.run("train", "--resume", "shapes", folder=tmp_path).expect(2)
    assert "differs from the recipe" in refused.stderr
    assert len(refused.stderr) < 3000
