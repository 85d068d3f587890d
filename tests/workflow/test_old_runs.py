"""Runs made by dlcli 0.1 before the spelling became American and the layout changed: they are still read.

``old_runs/shapes`` was stopped in its third of four epochs; ``shapes_never_stopped.csv`` is what the same program wrote
into metrics.csv when nothing stopped it.
"""

import shutil
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

OLD = Path(__file__).parent / "old_runs"
LAST_DIGITS = 1e-5  # relative: another processor adds in another order; after another random choice all digits differ


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs in which the old ones are the only ones."""
    shutil.copytree(OLD, tmp_path / "runs")
    (tmp_path / "runs" / "shapes_never_stopped.csv").unlink()
    return tmp_path


def run(*arguments: object, folder: Path) -> processes.Finished:
    return processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(0)


@pytest.mark.slow
def test_a_stopped_run_of_localisation_resumes_as_if_it_had_not_stopped(runs: Path) -> None:
    run("train", "--resume", "shapes", folder=runs)
    rows = read_csv(runs / "runs" / "shapes" / "metrics.csv")
    assert "val_localization_accuracy" in rows[0]
    assert not [name for name in rows[0] if "localis" in name]
    # the columns are the same in the same order; their names alone are spelled otherwise
    expected = [list(row.values()) for row in read_csv(OLD / "shapes_never_stopped.csv")]
    seconds = list(rows[0]).index("seconds")
    for row, wanted in zip([list(row.values()) for row in rows], expected, strict=True):
        del row[seconds], wanted[seconds]
        assert row[0] == wanted[0]
        assert [float(value) for value in row[1:]] == pytest.approx([float(x) for x in wanted[1:]], rel=LAST_DIGITS)
    info = read_json(runs / "runs" / "shapes" / "run.json")
    assert info["status"] == "completed"
    assert info["best"]["metric"] == "val_localization_accuracy"
    assert info["best"]["epoch"] == 2


def test_a_completed_classifier_is_evaluated_attacked_and_extended(runs: Path) -> None:
    folder = runs / "runs" / "digits"
    old = read_json(folder / "run.json")["final"]
    run("evaluate", "digits", folder=runs)
    metrics = read_json(folder / "evaluation" / "test" / "metrics.json")
    for name in ("loss", "accuracy"):
        assert metrics[name] == pytest.approx(old[f"test_{name}"], rel=LAST_DIGITS)
    run("attack", "digits", "--fgsm", "--eps", "0.1", "--no-checks", folder=runs)
    assert (folder / "attacks" / "fgsm" / "attack.json").exists()
    run("train", "--extend", "digits", "--epochs", "3", folder=runs)
    assert [row["epoch"] for row in read_csv(folder / "metrics.csv")] == ["1", "2", "3"]


def test_a_completed_encoder_decoder_is_evaluated_and_predicts(runs: Path) -> None:
    folder = runs / "runs" / "addition"
    old = read_json(folder / "evaluation" / "test" / "metrics.json")
    predictions = read_csv(folder / "evaluation" / "test" / "predictions.csv")
    run("evaluate", "addition", folder=runs)
    new = read_json(folder / "evaluation" / "test" / "metrics.json")
    assert new["chrf"] >= 0  # reported since
    added = ("evaluated", "environment", "chrf", "signatures")
    assert new["loss"] == pytest.approx(old["loss"], rel=LAST_DIGITS)
    assert new == {**old, **{key: new[key] for key in (*added, "loss")}, "trained_on": 0}
    for row, before in zip(read_csv(folder / "evaluation" / "test" / "predictions.csv"), predictions, strict=True):
        score, score_before = float(row.pop("log_probability")), float(before.pop("log_probability"))
        assert score == pytest.approx(score_before, rel=LAST_DIGITS)
        assert row == before
    done = run("predict", "addition", "--text", "12+3", "--json", folder=runs)
    assert '"text": "12+3"' in done.stdout


def test_a_run_whose_class_weights_had_another_meaning_is_not_continued(runs: Path) -> None:
    path = runs / "runs" / "digits"
    for name, old, new in (
        ("run.json", '"class_weights": null', '"class_weights": "balanced"'),
        ("config.yaml", "class_weights: null", "class_weights: balanced"),
    ):
        text = (path / name).read_text()
        assert old in text
        (path / name).write_text(text.replace(old, new))
    files = {file: file.read_bytes() for file in path.rglob("*.*") if file.is_file()}
    extend = ("train", "--extend", "digits", "--epochs", "3")
    done = processes.run(*extend, folder=runs, prepare=processes.without_plots).expect(2)
    assert "runs/digits: was trained with class weights by an earlier version" in done.stderr
    assert {file: file.read_bytes() for file in files} == files
    run("evaluate", "digits", folder=runs)
