"""``dlcli find-lr`` as users run it: its files, its suggestions, that it repeats itself and creates no run."""

import json
from pathlib import Path
from typing import Any

import pytest
from processes import run  # type: ignore[import-not-found]
from run_outcome import EVERYTHING  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

MLP = """\
task: classification
data: {kind: digits, limit: 60}
model: {kind: mlp, units: [8]}
train: {batch_size: 16, optimizer: {kind: sgd, learning_rate: 1e-2}}
"""
SMALL = {
    "image_regression": ("{kind: shapes, num_samples: 64, image_size: [16, 16]}", "{kind: mlp}"),
    "multilabel": (
        "{kind: scenes, num_samples: 40, image_size: [32, 32]}",
        "{kind: convnet, blocks: [{filters: 4, kernel_size: 3}]}",
    ),
    "localization": (
        "{kind: shapes, num_samples: 64, image_size: [32, 32]}",
        "{kind: convnet, blocks: [{filters: 4}]}",
    ),
    "detection": (
        "{kind: scenes, num_samples: 24, image_size: [32, 32]}",
        "{kind: fcos, levels: [3, 4], channels: 8, num_convs: 1, backbone: {kind: convnet, blocks: [{filters: 4}, "
        "{filters: 4}, {filters: 4}, {filters: 8}, {filters: 8}]}}",
    ),
    "tagging": ("{kind: columns, path: words.txt, allow_leakage: true}", "{kind: recurrent, units: 8}"),
    "forecasting": ("{kind: csv, path: series.csv, time: [day], target: load}", "{kind: recurrent, units: 8}"),
    "segmentation": ("{kind: scenes, num_samples: 24, image_size: [32, 32]}", "{kind: unet, filters: 4, depth: 2}"),
    "text_classification": ("{kind: csv, path: texts.csv}", "{kind: recurrent, units: 8}"),
    "language_model": ("{kind: text, path: prose.txt}", "{kind: recurrent, units: 8}"),
    "sequence_to_sequence": ("{kind: addition, num_samples: 60}", "{kind: encoder_decoder, units: 8}"),
    "sequence_regression": ("{kind: adding, num_samples: 64, length: 10}", "{kind: recurrent, units: 8}"),
    "step_prediction": ("{kind: copy, num_samples: 64}", "{kind: recurrent, units: 8}"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("find_lr")
    (folder / "tiny.yaml").write_text(MLP)
    return folder


def find(folder: Path, recipe: str, *options: object) -> dict[str, Any]:
    done = run("find-lr", recipe, "--json", *options, folder=folder)
    found: dict[str, Any] = json.loads(done.expect(0).stdout)
    return found


def test_a_curve_a_table_and_two_suggestions(folder: Path) -> None:
    found = find(folder, "tiny.yaml", "--steps", 80, "--from", "1e-5")
    rows = read_csv(folder / "learning_rates.csv")
    assert (folder / "learning_rates.png").read_bytes().startswith(b"\x89PNG")
    assert len(rows) == found["steps"]
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[1] / rates[0] == pytest.approx((10 / 1e-5) ** (1 / 79))
    lowest = min(rows, key=lambda row: float(row["smoothed_loss"]))
    assert found["lowest_at"] == pytest.approx(float(lowest["learning_rate"]))
    assert found["suggestions"]["a_tenth_of_the_minimum"] == pytest.approx(found["lowest_at"] / 10)
    assert 1e-5 < found["suggestions"]["steepest_descent"] <= found["lowest_at"]
    assert found["own_rate"] == 0.01
    assert not (folder / "runs").exists()

    refused = run("find-lr", "tiny.yaml", folder=folder).expect(2)
    assert refused.stderr == (
        "learning_rates.png: already exists. Choose another name, or use --force to replace it.\n"
    )
    before = (folder / "learning_rates.csv").read_bytes()
    again = find(folder, "tiny.yaml", "--steps", 80, "--from", "1e-5", "--force")
    assert again["suggestions"] == found["suggestions"]
    assert (folder / "learning_rates.csv").read_bytes() == before


@pytest.mark.slow
def test_rates_that_change_nothing_have_no_suggestion_but_a_curve(folder: Path) -> None:
    done = run("find-lr", "tiny.yaml", "--steps", 20, "--from", 1e-12, "--to", 1e-11, "-o", "flat.png", folder=folder)
    done.expect(1)
    assert "no suggestion: the loss does not fall by more than its noise" in done.stderr
    assert (folder / "flat.png").exists()
    # another seed has other initial weights
    run("find-lr", "tiny.yaml", "--steps", 20, "--seed", 1, "-o", "other.png", folder=folder)
    first = [read_csv(folder / name)[0]["loss"] for name in ("flat.csv", "other.csv")]
    assert first[0] != first[1]
    assert len(read_csv(folder / "flat.csv")) == 20


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--from", "1", "--to", "0.1"], "--from must be lower than --to. Received 1 and 0.1."),
        (["--from", "0"], "expected a number > 0, such as 1e-5. Received '0'."),
        (["--to", "inf"], "expected a number > 0, such as 1e-5. Received 'inf'."),
        (["--steps", "3"], "'--steps'"),
        (["-o", "rates.jpg"], "rates.jpg: expected a file name ending in .png."),
        (["-o", "none/rates.png"], "none: no such folder to write rates.png to."),
        (["-s", "train.epoch=3"], "--set train.epoch=3: train.epoch: unknown key; did you mean 'epochs'?"),
        (["--stage", "rest"], "--stage rest: no such stage in the recipe; it has no train.stages"),
        (["--seed", "x"], "--seed x: train.seed: expected a whole number"),
    ],
)
def test_refusals(folder: Path, options: list[str], error: str) -> None:
    done = run("find-lr", "tiny.yaml", *options, folder=folder).expect(2)
    assert error in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_stages_with_frozen_layers_clipping_averages_and_a_schedule(folder: Path) -> None:
    (folder / "everything.yaml").write_text(EVERYTHING)
    found = find(folder, "everything.yaml", "--steps", 60, "-o", "everything.png")
    assert found["own_rate"] == 0.01  # of the first stage
    shown = run("find-lr", "everything.yaml", "--steps", 60, "-o", "again.png", folder=folder).expect(0).stdout
    assert shown.startswith(f"tested: stage {found['stage']}. For another one: --stage ")
    cached = {path.name for path in (folder / "runs").iterdir()} if (folder / "runs").exists() else set()
    assert cached <= {".features"}


@pytest.mark.slow
def test_a_later_stage_starts_from_what_the_stages_before_it_have_learned(folder: Path) -> None:
    stages = "train.stages=[{name: first, epochs: 20, learning_rate: 0.1}, {name: second, epochs: 5}]"
    losses = {}
    for name in ("first", "second"):
        options = ("-s", stages, "--stage", name, "--steps", 20, "--from", "1e-6", "--to", "1e-5", "-o", f"{name}.png")
        run("find-lr", "tiny.yaml", *options, folder=folder).expect(1)  # at these rates nothing is learned
        losses[name] = [float(row["loss"]) for row in read_csv(folder / f"{name}.csv")]
    assert max(losses["second"]) < min(losses["first"])
    assert list((folder / "runs").glob("[!.]*")) == []  # kept features of frozen layers are no run


@pytest.mark.slow
@pytest.mark.parametrize("task", SMALL)
def test_every_task(task: str, tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text("the cat sat on the mat.\n" * 100)
    (tmp_path / "texts.csv").write_text("text,label\n" + "a good film,yes\na bad film,no\n" * 30)
    (tmp_path / "words.txt").write_text("a DET\ncat NOUN\n\nthe DET\ndog NOUN\nsleeps VERB\n\n" * 40)
    days = [f"{month:02d}-{day:02d}" for month in range(1, 9) for day in range(1, 29)]
    (tmp_path / "series.csv").write_text("day,load\n" + "".join(f"2024-{day},{day[-1]}\n" for day in days))
    data, model = SMALL[task]
    text = "text: {unit: characters}\n" * (task == "sequence_to_sequence")
    (tmp_path / "r.yaml").write_text(f"task: {task}\ndata: {data}\nmodel: {model}\n{text}")
    done = run("find-lr", "r.yaml", "--steps", 20, "--from", "1e-4", "--to", "1e-1", folder=tmp_path)
    assert done.status in (0, 1), done.stderr  # so few steps may not suffice for a suggestion
    assert len(read_csv(tmp_path / "learning_rates.csv")) > 3
