"""A run that is trained again is the same bit for bit, and a planted change is found and named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

RECIPE = """\
task: classification
data: {kind: npz, path: data.npz, validation: 0.25, test: 0.25}
model: {kind: mlp, units: [4]}
train: {epochs: 2, batch_size: 8, schedule: {kind: cosine}}
"""


def write_data(path: Path, *, flipped: int | None = None) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = random.integers(0, 256, (24, 4, 4, 1)).astype(np.uint8)
    if flipped is not None:
        labels[flipped] = 1 - labels[flipped]
    np.savez(path, x_train=images, y_train=labels)


def dlcli(folder: Path, *arguments: object) -> Any:
    return processes.run(*arguments, folder=folder, prepare=processes.without_plots)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a completed run and its reproduction."""
    folder: Path = tmp_path_factory.mktemp("reproduced")
    (folder / "r.yaml").write_text(RECIPE)
    write_data(folder / "data.npz")
    dlcli(folder, "train", "r.yaml").expect(0)
    done = dlcli(folder, "reproduce", "r", "--json").expect(0)
    (folder / "verdict.json").write_text(done.stdout)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    config = copy / "runs" / "r" / "config.yaml"
    config.write_text(config.read_text().replace(str(made), str(copy)))
    return copy


def change_info(folder: Path, **changes: Any) -> None:
    path = folder / "runs" / "r" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_run_is_reproduced_bit_for_bit(made: Path) -> None:
    verdict = json.loads((made / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["reproduced"], verdict["epochs"]) == ("exact", True, 2)
    assert verdict["weights"][0] == verdict["weights"][1]
    assert (verdict["environment"], verdict["unrecorded"], verdict["first"]) == ({}, [], None)
    new = json.loads((made / "runs" / "r-reproduced" / "run.json").read_text())
    assert new["reproduces"] == {"run": "r", "verdict": "exact"}
    assert new["machine"]["cores"] >= 1
    assert set(new["machine"]["threads"]) == {"intra_op", "inter_op"}


@pytest.mark.slow
def test_only_the_first_epochs_with_the_schedule_of_all(folder: Path) -> None:
    done = dlcli(folder, "reproduce", "r", "--epochs-only", "1").expect(0)
    assert "r-reproduced-2: equals runs/r bit for bit: 1 epoch of metrics.csv" in done.stdout
    assert json.loads((folder / "runs/r-reproduced-2/run.json").read_text())["status"] == "interrupted"


def test_a_flipped_label_is_named_and_nothing_is_trained(folder: Path) -> None:
    write_data(folder / "data.npz", flipped=5)
    done = dlcli(folder, "reproduce", "r").expect(1)
    assert "not reproduced: the data differ: 1 sample with another label (train/5)" in done.stderr
    assert not (folder / "runs" / "r-reproduced-2").exists()


def test_a_changed_key_is_named_and_nothing_is_trained(folder: Path) -> None:
    config = folder / "runs" / "r" / "config.yaml"
    config.write_text(config.read_text().replace("batch_size: 8", "batch_size: 6"))
    done = dlcli(folder, "reproduce", "r", "--json").expect(1)
    assert "train.batch_size was 8 and is 6" in json.loads(done.stdout)["differs"]
    assert not (folder / "runs" / "r-reproduced-2").exists()


def test_another_version_is_named_beside_an_equal_result(folder: Path) -> None:
    versions = json.loads((folder / "runs/r/run.json").read_text())["versions"]
    change_info(folder, versions={**versions, "tensorflow": "1.15.0"})
    done = dlcli(folder, "reproduce", "r", "--with", "r-reproduced").expect(0)
    assert "bit for bit" in done.stdout
    assert "environment: versions.tensorflow was 1.15.0 and is" in done.stdout


@pytest.mark.parametrize(("factor", "status"), [(1.001, 0), (1.5, 1)])
def test_another_result_is_accepted_within_the_tolerance_where_the_environment_differs(
    folder: Path, factor: float, status: int
) -> None:
    path = folder / "runs" / "r" / "metrics.csv"
    header, first, second = path.read_text().splitlines()
    cells = dict(zip(header.split(","), second.split(","), strict=True))
    cells["val_loss"] = repr(float(cells["val_loss"]) * factor)
    path.write_text("\n".join([header, first, ",".join(cells.values()), ""]))
    different = dlcli(folder, "reproduce", "r", "--with", "r-reproduced").expect(1)
    assert "not reproduced: first difference: metrics.csv, epoch 2, column val_loss: was" in different.stderr
    change_info(folder, device="CPU, 64 cores")
    done = dlcli(folder, "reproduce", "r", "--with", "r-reproduced").expect(status)
    assert "device was CPU, 64 cores and is CPU, " in done.stdout


def test_a_run_of_an_earlier_version_says_what_it_does_not_record(folder: Path) -> None:
    info = json.loads((folder / "runs/r/run.json").read_text())
    for key in ("machine", "commit", "weights"):
        del info[key]
    (folder / "runs/r/run.json").write_text(json.dumps(info))
    done = dlcli(folder, "reproduce", "r", "--with", "r-reproduced").expect(0)
    assert "equals runs/r bit for bit: the weights" in done.stdout
    assert "not recorded by the old run: machine" in done.stdout


def test_an_evaluation_is_computed_again_and_a_changed_value_is_named(folder: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / "runs/r").rglob("*"))
    done = dlcli(folder, "reproduce", "r", "--evaluation", "test").expect(0)
    assert "evaluation/test: the same bit for bit: metrics.json and predictions.csv (6 rows)" in done.stdout
    assert sorted((path, path.stat().st_mtime_ns) for path in (folder / "runs/r").rglob("*")) == before
    path = folder / "runs/r/evaluation/test/metrics.json"
    metrics = json.loads(path.read_text())
    almost = {**metrics, "loss": metrics["loss"] * (1 + 1e-6)}
    path.write_text(json.dumps(almost))
    done = dlcli(folder, "reproduce", "r", "--evaluation", "test").expect(1)
    assert "first difference: metrics.json, loss: was" in done.stderr
    environment = {**metrics["environment"], "device": "another"}
    path.write_text(json.dumps({**almost, "environment": environment}))
    done = dlcli(folder, "reproduce", "r", "--evaluation", "test").expect(0)
    assert "the same within the tolerance, not bit for bit" in done.stdout
    assert "environment: device was another and is CPU" in done.stdout
    (path.parent / "predictions.csv").unlink()
    assert (
        "evaluation/test/predictions.csv: no such file"
        in dlcli(folder, "reproduce", "r", "--evaluation", "test").expect(2).stderr
    )


@pytest.mark.parametrize(
    ("rows", "error"), [(0, "metrics.csv: has no rows, so there is"), (None, "metrics.csv: no such")]
)
def test_a_run_without_its_metrics_is_not_trained_again(folder: Path, rows: int | None, error: str) -> None:
    path = folder / "runs/r/metrics.csv"
    before = sorted((folder / "runs").iterdir())
    path.unlink() if rows is None else path.write_text(path.read_text().splitlines()[0] + "\n")
    assert error in dlcli(folder, "reproduce", "r").expect(2).stderr
    assert sorted((folder / "runs").iterdir()) == before


@pytest.mark.slow
def test_an_attack_is_run_again_with_its_settings(folder: Path) -> None:
    dlcli(folder, "attack", "r", "--fgsm", "--eps", "0.1", "--no-checks", "--limit", "4").expect(0)
    done = dlcli(folder, "reproduce", "r", "--attack", "fgsm").expect(0)
    assert "attacks/fgsm: the same bit for bit: robustness.csv (1 row) and samples.csv (4 rows)" in done.stdout
    path = folder / "runs/r/attacks/fgsm/attack.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "settings": {**info["settings"], "kind": "rm -rf"}}))
    done = dlcli(folder, "reproduce", "r", "--attack", "fgsm").expect(2)
    assert "attack.json: is corrupt" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--epochs-only", "3"], "--epochs-only must be at most the 2 epochs"),
        (["--with", "r"], "--with: must be another run"),
        (["--evaluation", "../x"], "has no results named '../x'. It has: evaluation/test"),
        (["--attack", "\x1b"], "has no results named '\\x1b'"),
        (["--attack", "a", "--with", "b"], "--with and --attack cannot be combined"),
        (["--attack", "a", "--epochs-only", "1"], "--epochs-only and --attack cannot be combined"),
        (["--tolerance", "nan"], "--tolerance"),
    ],
)
def test_bad_options_get_one_line(made: Path, arguments: list[str], error: str) -> None:
    done = dlcli(made, "reproduce", "r", *arguments).expect(2)
    assert done.stderr.count("\n") == 1
    assert error in done.stderr or error.replace("--with and --attack", "--attack and --with") in done.stderr
