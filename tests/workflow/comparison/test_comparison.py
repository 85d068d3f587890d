"""``dlcli runs diff`` and ``runs compare`` on the tables of runs, and on tables that are not those of runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from dlcli.cli import cli
from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.workflow.comparison.samples import compare_on_samples
from dlcli.workflow.comparison.settings import compare_settings
from dlcli.workflow.runs import diff

RIGHT = "file,label,predicted,correct"


def make_run(
    folder: Path,
    name: str,
    rows: Sequence[str] = (),
    *,
    split: str = "test",
    accuracy: float | None = 0.5,
    seed: int = 0,
    **model: Any,
) -> RunDir:
    """A run with an evaluation of these lines, as far as a comparison reads it."""
    path = folder / "runs" / name
    path.mkdir(parents=True, exist_ok=True)
    train = {"seed": seed, "epochs": 2}
    info = {
        "dlcli": "0.3.0",
        "status": "completed",
        "task": "classification",
        "seed": seed,
        "evaluated": "test",
        "started": "2026-01-01T00:00:00+00:00",
        "data": {"fingerprint": "0", "samples": {"test": 40}},
        "final": None if accuracy is None else {"test_accuracy": accuracy, "test_loss": 1 - accuracy},
        "config": {"task": "classification", "name": name, "model": {"kind": "mlp", **model}, "train": train},
    }
    (path / "run.json").write_text(json.dumps(info))
    if rows:
        (path / "evaluation" / split).mkdir(parents=True)
        (path / "evaluation" / split / "predictions.csv").write_text("\n".join(rows) + "\n")
    return RunDir(path)


def right(number: int, wrong: Sequence[int]) -> list[str]:
    cells = [f"{i}.png,{'ab'[i % 2]},{'ab'[(i + (i in wrong)) % 2]},{i not in wrong}" for i in range(number)]
    return [RIGHT, *cells]


def test_classifiers_are_compared_on_their_common_samples(tmp_path: Path) -> None:
    one = make_run(tmp_path, "one", right(40, []))
    other = make_run(tmp_path, "other", right(44, [0, 2, 4, 6, 8, 10, 12, 14]))
    found = compare_on_samples(one, other)
    assert found is not None
    assert (found["split"], found["samples"], found["unmatched"]) == ("test", 40, [0, 4])
    assert found["right"] == {"both": 32, "only_one": 8, "only_other": 0, "neither": 0}
    accuracy = found["scores"]["accuracy"]
    assert accuracy["value"] == pytest.approx(-0.2)
    assert accuracy["p"] == pytest.approx(2 / 2**8)
    assert [row["class"] for row in found["classes"]] == ["a", "b"]
    assert [row["other"] for row in found["classes"]] == [pytest.approx(0.6), 1.0]
    assert found["changed"][0] == {"sample": "0.png", "one": "a", "other": "b", "right": "one"}
    shown = CliRunner().invoke(cli, ["runs", "diff", str(one.path), str(other.path)])
    assert shown.exit_code == 0, shown.output
    assert "accuracy: one is better by 20.0 points on 40 test samples (95% interval 7.5 to 32.5; " in shown.output
    assert "McNemar's exact test, p = 0.0078)" in shown.output
    assert "right: both 32, only one 8, only other 0, neither 0" in shown.output
    assert "not compared: 0 samples of one and 4 of other" in shown.output
    copy = make_run(tmp_path, "copy", right(40, []))
    equal = CliRunner().invoke(cli, ["runs", "diff", str(one.path), str(copy.path)])
    assert "accuracy: equal on 40 test samples" in equal.output


@pytest.mark.parametrize(
    ("header", "metric", "is_other_better"),
    [
        ("file,target,predicted,error", "mae", False),
        ("file,target_x,predicted_x,error_x", "mae of x", False),
        ("file,text,tokens,loss", "loss", False),
        ("file,a,b,mean_iou", "mean_iou", True),
    ],
)
def test_scores_of_samples_are_compared_in_their_direction(
    tmp_path: Path, header: str, metric: str, is_other_better: bool
) -> None:
    one = make_run(tmp_path, "one", [header, *(f"{i},1,1,{0.1 + i / 100}" for i in range(20))])
    other = make_run(tmp_path, "other", [header, *(f"{i},1,1,{0.4 + i / 90}" for i in range(20))])
    found = compare_on_samples(one, other)
    assert found is not None
    assert list(found["scores"]) == [metric]
    assert found["scores"][metric]["value"] > 0.3
    assert found["scores"][metric]["is_evidence"]
    assert "right" not in found
    shown = CliRunner().invoke(cli, ["runs", "diff", str(one.path), str(other.path)]).output
    assert f"{metric}: {'other' if is_other_better else 'one'} is better by" in shown


def test_a_split_that_both_have_is_found_or_named(tmp_path: Path) -> None:
    one = make_run(tmp_path, "one", right(6, [1]), split="validation")
    other = make_run(tmp_path, "other", right(6, [2]), split="validation")
    found = compare_on_samples(one, other)
    assert found is not None
    assert found["split"] == "validation"
    with pytest.raises(InputError, match=r"one: has no evaluation of 'test' with a row .* --split test"):
        compare_on_samples(one, other, "test")
    assert compare_on_samples(one, make_run(tmp_path, "bare")) is None
    assert compare_on_samples(one, make_run(tmp_path, "tiles", ["x,y", "1,2"], split="validation")) is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([RIGHT, "0.png,b,b,True"], r"must have the same samples, but 1 of 1 differ in the column 'label', such as '0"),
        ([RIGHT, "0.png,a,a,maybe"], r"the column 'correct' must hold values .* Received 'maybe' for '0\.png'"),
        ([RIGHT, "0.png,a,a,True", "0.png,a,a,True"], r"predictions\.csv:3: is corrupt: names a sample twice"),
        (["file,label,error", "0.png,a,nan"], r"predictions\.csv: is corrupt: the column 'error' .* Received 'nan'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    header = rows[0]
    own = [header, "0.png,a,a,True" if header == RIGHT else "0.png,a,0.5"]
    with pytest.raises(InputError, match=message):
        compare_on_samples(make_run(tmp_path, "one", own), make_run(tmp_path, "other", rows))


def test_runs_that_differ_in_their_seed_are_one_setting(tmp_path: Path) -> None:
    names = []
    for units, accuracies in ((8, (0.7, 0.72, 0.71)), (64, (0.9, 0.88, 0.91))):
        for seed, accuracy in enumerate(accuracies):
            names.append(make_run(tmp_path, f"u{units}-s{seed}", accuracy=accuracy, seed=seed, units=units).path)
    plot = tmp_path / "seeds.png"
    result = CliRunner().invoke(cli, ["runs", "compare", *map(str, names), "--plot", str(plot), "--json"])
    assert result.exit_code == 0, result.output
    best, behind = json.loads(result.output)["settings"]
    assert (best["name"], best["seeds"], best["mean"]) == ("u64-s0", [0, 1, 2], pytest.approx(0.89666, abs=1e-4))
    assert behind["behind"]["value"] == pytest.approx(0.18666, abs=1e-4)
    assert behind["behind"]["is_evidence"]
    with Image.open(plot) as image:
        assert image.size[0] > 300
    again = CliRunner().invoke(cli, ["runs", "compare", *map(str, names), "--plot", str(plot)])
    assert "seeds.png: already exists" in str(again.exception)
    table = CliRunner().invoke(cli, ["runs", "compare", *map(str, names), "--markdown"]).output
    assert "| u64-s0 | 3 | 0.8967 |" in table
    table = CliRunner().invoke(cli, ["runs", "compare", *map(str, names), "--metric", "test_loss"]).output
    assert not any("-0." in line for line in table.splitlines() if line.startswith("u8-s0"))  # the worse is behind
    by_loss = compare_settings([RunDir(name) for name in names], "test_loss")
    assert [setting["name"] for setting in by_loss["settings"]] == ["u64-s0", "u8-s0"]  # lower is better


def test_what_so_many_seeds_would_miss_is_said_with_the_number_that_would_not(tmp_path: Path) -> None:
    names = [
        str(make_run(tmp_path, f"u{units}-s{seed}", accuracy=accuracy, seed=seed, units=units).path)
        for units, accuracies in ((8, (0.70, 0.74)), (64, (0.73, 0.75)))
        for seed, accuracy in enumerate(accuracies)
    ]
    output = CliRunner().invoke(cli, ["runs", "compare", *names]).output
    assert "no evidence of a difference over 2 and 2 seeds: 2.0 points (95% interval " in output
    assert "A difference below 16.4 points would often not be seen; to see one of 2.0 points takes about 21 " in output


def test_what_cannot_be_compared_over_seeds_is_refused(tmp_path: Path) -> None:
    one = make_run(tmp_path, "one")
    for other, metric, message in (
        (make_run(tmp_path, "copy"), None, r"one and .*copy: have the same recipe and seed 0"),
        (make_run(tmp_path, "open", accuracy=None), None, r"open: has no final metrics yet\. Finish it"),
        (
            make_run(tmp_path, "next", seed=1),
            "test_iou",
            r"one: has no final metric 'test_iou'\. It has, for example: test_accuracy, test_loss",
        ),
    ):
        with pytest.raises(InputError, match=message):
            compare_settings([one, other], metric)


def test_runs_on_other_data_are_compared_with_a_note(tmp_path: Path) -> None:
    names = [str(make_run(tmp_path, name, seed=seed).path) for seed, name in enumerate(("one", "two", "three"))]
    assert "note" not in CliRunner().invoke(cli, ["runs", "compare", *names]).output
    path = Path(names[1]) / "run.json"
    path.write_text(path.read_text().replace('"fingerprint": "0"', '"fingerprint": "1"'))
    compared = CliRunner().invoke(cli, ["runs", "compare", *names])
    assert compared.stderr == "note: the runs differ in their data or splits, such as one and two\n"
    assert compared.exit_code == 0


def test_an_evaluation_that_a_run_lacks_is_named_with_those_that_it_has(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, right(4, []), split="flowers") for name in ("one", "other")]
    assert compare_on_samples(*runs, "flowers") is not None
    with pytest.raises(InputError, match=r"has no evaluation of '' with a row for each sample\. It has: flowers\."):
        compare_on_samples(*runs, "")
    with pytest.raises(InputError, match=r"Evaluate it with: dlcli evaluate .*one --split test"):
        compare_on_samples(*runs, "test")


def test_a_final_metric_that_is_not_finite_is_named(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "one"), make_run(tmp_path, "two", seed=1)]
    runs[1].update_info(final={"test_accuracy": "high", "test_loss": 0.5})
    with pytest.raises(
        InputError, match=r"two: its headline metric is not a finite number\. Name another with --metric"
    ):
        compare_settings(runs)
    assert compare_settings(runs, "test_loss")["settings"][0]["runs"] == ["one", "two"]


def test_an_ensemble_is_another_setting_than_the_member_whose_recipe_it_has(tmp_path: Path) -> None:
    member, both = make_run(tmp_path, "member"), make_run(tmp_path, "both")
    both.update_info(ensemble=[{"run": "member", "sha256": "0"}])
    assert len(compare_settings([member, both])["settings"]) == 2
    assert list(diff(member, both)["recipe"]) == ["ensemble"]
