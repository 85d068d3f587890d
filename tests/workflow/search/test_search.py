"""``dlcli search`` through real processes, with workers that train nothing in place of those that do."""

import csv
import json
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes  # type: ignore[import-not-found]
import pytest
from click.testing import CliRunner
from search_worker import WithoutTraining  # type: ignore[import-not-found]

from dlcli.cli import cli
from dlcli.recipe.load import load

RECIPE = """
task: classification
data: {kind: digits, validation: 0.2, test: 0.2}
model: {kind: cells, genotype: nasnet_a, repeats: 1, filters: 8}
train: {epochs: 3}
search:
  space: {kind: cells, operations: [identity, sep3, max3], combinations: 2}
  method: {kind: evolution, population: 4, sample: 2}
  trial: {filters: 4, epochs: 1}
  budget: {trials: 12}
  objective: [val_accuracy, {multiply_adds: {at_most: 900e3}}]
  final: {top: 2, seeds: 2}
"""


WITHOUT_TRAINING = WithoutTraining(processes.without_plots)


def search(folder: Path, *arguments: str, status: int = 0, prepare: Any = WITHOUT_TRAINING) -> tuple[str, str]:
    done = processes.run("search", *arguments, folder=folder, prepare=prepare).expect(status)
    return done.stdout, done.stderr


def log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with the directory of a complete search, and its result."""
    folder: Path = tmp_path_factory.mktemp("search")
    (folder / "digits.yaml").write_text(RECIPE)
    stdout, _ = search(folder, "digits.yaml", "--json", prepare=WithoutTraining(int))
    return folder, json.loads(stdout)


def test_the_directory_has_all_files(done: tuple[Path, dict[str, Any]]) -> None:
    folder = done[0] / "runs" / "digits"
    files = {path.name for path in folder.iterdir()}
    assert files == {
        *("trials.jsonl", "baseline.jsonl", "finals.jsonl", "front.csv", "best.yaml", "finals", "plots"),
        *("search.json", "search.log", "recipe.yaml", "run.lock"),
    }
    assert {path.name for path in (folder / "plots").iterdir()} == {"progress.png", "front.png", "cells.png"}
    assert (folder / "recipe.yaml").read_text() == RECIPE


def test_as_many_networks_are_trained_at_random(done: tuple[Path, dict[str, Any]]) -> None:
    folder, info = done
    for name, origin in (("trials.jsonl", "search"), ("baseline.jsonl", "random")):
        records = log(folder / "runs" / "digits" / name)
        trained = [record for record in records if record["status"] != "refused"]
        assert len(trained) == 12
        assert all(record["cost"]["multiply_adds"] <= 900e3 for record in trained)
        counts = {status: sum(record["status"] == status for record in records) for status in ("complete", "refused")}
        assert {status: info["result"][origin][status] for status in counts} == counts
        assert [record["seed"] for record in records] == [record["trial"] for record in records]
    logs = [log(folder / "runs" / "digits" / name) for name in ("trials.jsonl", "baseline.jsonl")]
    assert {record["status"] for records in logs for record in records} == {"complete", "failed", "refused"}


def test_finalists_are_the_best_of_each_and_have_new_seeds(done: tuple[Path, dict[str, Any]]) -> None:
    folder, info = done
    finals = log(folder / "runs" / "digits" / "finals.jsonl")
    assert {record["seed"] for record in finals} == {10**6, 10**6 + 1}
    for name, origin in (("trials.jsonl", "search"), ("baseline.jsonl", "random")):
        records = [record for record in log(folder / "runs" / "digits" / name) if record["status"] == "complete"]
        best = sorted(records, key=lambda record: -record["metrics"]["val_accuracy"])
        distinct = {json.dumps(record["choices"]): record["trial"] for record in reversed(best)}
        expected = sorted(distinct.values(), key=[record["trial"] for record in best].index)[:2]
        assert {r["choices"]["trial"] for r in finals if r["choices"]["origin"] == origin} == set(expected)
    means = [one["mean"] for one in info["result"]["finalists"]]
    assert means == sorted(means, reverse=True)
    assert len(means) == 4


def test_the_best_recipe_is_that_of_the_chosen_finalist(done: tuple[Path, dict[str, Any]]) -> None:
    folder, info = done
    directory = folder / "runs" / "digits"
    recipe: Any = load(directory / "best.yaml").recipe
    chosen = info["result"]["chosen"]["search"]["trial"]
    record = next(record for record in log(directory / "trials.jsonl") if record["trial"] == chosen)
    assert recipe.model.genotype.normal.states == tuple(map(tuple, record["choices"]["genotype"]["normal"]["states"]))
    assert (recipe.model.filters, recipe.model.stem_filters, recipe.train.epochs, recipe.train.seed) == (8, 24, 3, 0)
    assert recipe.search is None
    assert f"trial {chosen}, the best finalist" in (directory / "best.yaml").read_text()


def test_the_front_has_no_trial_that_another_one_dominates(done: tuple[Path, dict[str, Any]]) -> None:
    directory = done[0] / "runs" / "digits"
    with (directory / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    points = [(float(row["val_accuracy"]), -int(row["multiply_adds"])) for row in rows]
    assert points == sorted(points, reverse=True)
    complete = [record for record in log(directory / "trials.jsonl") if record["status"] == "complete"]
    for record in complete:
        value, cost = record["metrics"]["val_accuracy"], -record["cost"]["multiply_adds"]
        assert any(value <= point[0] and cost <= point[1] for point in points)


def test_the_comparison_is_printed(done: tuple[Path, dict[str, Any]]) -> None:
    folder, info = done
    result = info["result"]
    assert result["compared_by"] == "test_accuracy"
    values = [result["chosen"][origin]["values"] for origin in ("search", "random")]
    assert all(len(each) == 2 for each in values)
    assert result["comparison"]["difference"] == pytest.approx(sum(values[0]) / 2 - sum(values[1]) / 2)
    assert info["status"] == "completed"
    _, stderr = search(folder, "--resume", "digits", status=2)
    assert "runs/digits: this search is complete. Its best recipe is runs/digits/best.yaml." in stderr


def test_the_search_is_listed_reported_and_removed(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    runs, info = tmp_path / "runs", done[1]
    shutil.copytree(done[0] / "runs", runs)
    found = CliRunner().invoke(cli, ["runs", "list", "--runs", str(runs), "--json"])
    (listed,) = json.loads(found.stdout)
    best = info["result"]["search"]["best"]
    assert {key: listed[key] for key in ("name", "kind", "status", "metric", "best", "headline", "value")} == {
        "name": "digits",
        "kind": "search",
        "status": "completed",
        "metric": "val_accuracy",
        "best": best["val_accuracy"],
        "headline": "test_accuracy",
        "value": info["result"]["chosen"]["search"]["mean"],
    }
    report = CliRunner().invoke(cli, ["report", "digits", "--runs", str(runs)])
    assert report.exit_code == 0, report.exception
    page = (runs / "digits" / "report.html").read_text()
    for one in info["result"]["finalists"]:
        assert f'<td class="number">{one["mean"]:.4f}</td>' in page
    assert "No evidence" in page or "Difference of search to random" in page or "no evidence" in page
    other = CliRunner().invoke(cli, ["report", "digits", "--card", "--runs", str(runs)])
    assert "is a search, for which there is no --card." in other.stderr
    shown = CliRunner().invoke(cli, ["runs", "show", "digits", "--runs", str(runs)])
    assert "is a search, not a run. See its result with: dlcli report" in str(shown.exception)
    (runs / "digits" / "trials.jsonl").write_text("{\n")
    listed_again = CliRunner().invoke(cli, ["runs", "list", "--runs", str(runs)])
    assert "corrupt" in listed_again.stdout
    assert "trials.jsonl:1: is corrupt: the line is not valid JSON." in listed_again.stderr
    removed = CliRunner().invoke(cli, ["runs", "remove", "digits", "--yes", "--runs", str(runs)])
    assert removed.exit_code == 0, removed.exception
    assert not list(runs.iterdir())


def same(one: Path, other: Path) -> None:
    """The same trials in the same order, and the same result."""
    for name in ("trials.jsonl", "baseline.jsonl", "finals.jsonl"):
        assert log(one / name) == log(other / name)
    results = [json.loads((folder / "search.json").read_text())["result"] for folder in (one, other)]
    for result in results:
        for score in result["chosen"].values():
            score.pop("values")
    assert results[0] == results[1]


@dataclass(frozen=True)
class AtWrite:
    """Sends this process a signal after it has written a log or another file for the k-th time."""

    number: int
    call: int

    def __call__(self) -> None:
        processes.without_plots()
        functions = tuple(f"dlcli.rundir.writing.{name}" for name in ("append_line", "replace_file"))
        processes.KillAtCall(functions, self.call, after=True, number=self.number)()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_says_how_to_resume_to_the_same_trials(
    number: int, status: int, done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "digits.yaml").write_text(RECIPE)
    stop = WithoutTraining(AtWrite(number, 12))
    _, stderr = search(tmp_path, "digits.yaml", status=status, prepare=stop)
    assert "trials. Resume with: dlcli search --resume runs/digits" in stderr
    assert json.loads((tmp_path / "runs" / "digits" / "search.json").read_text())["status"] == "interrupted"
    stdout, _ = search(tmp_path, "--resume", "digits")
    assert "difference of search to random in test_accuracy: " in stdout or "chose the same cells" in stdout
    same(tmp_path / "runs" / "digits", done[0] / "runs" / "digits")


def killed_and_resumed(folder: Path, num_kills: int, seed: int) -> None:
    """Kills a search at its writes, and resumes it to its end."""
    (folder / "digits.yaml").write_text(RECIPE)
    directory = folder / "runs" / "digits"
    wait = random.Random(seed)
    for _ in range(num_kills):
        if directory.exists() and json.loads((directory / "search.json").read_text())["status"] == "completed":
            return
        prepare = WithoutTraining(AtWrite(signal.SIGKILL, wait.randrange(1, 12)))
        arguments = ["--resume", "digits"] if directory.exists() else ["digits.yaml"]
        processes.run("search", *arguments, folder=folder, prepare=prepare)
    search(folder, *(["--resume", "digits"] if directory.exists() else ["digits.yaml"]))


@pytest.mark.slow
def test_a_search_killed_several_times_has_the_same_trials(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, 6, seed=0)
    same(tmp_path / "runs" / "digits", done[0] / "runs" / "digits")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_search_killed_20_times_has_the_same_trials(
    seed: int, done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    killed_and_resumed(tmp_path, 20, seed)
    same(tmp_path / "runs" / "digits", done[0] / "runs" / "digits")


@pytest.mark.slow
def test_a_search_with_several_workers_continues_from_its_log(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(RECIPE + "  workers: 3\n  baseline: none\n")
    search(tmp_path, "digits.yaml", "-s", "search.budget.trials=5", "--name", "short")
    log_file = tmp_path / "runs" / "short" / "trials.jsonl"
    kept = log_file.read_text().splitlines()[:3]
    log_file.write_text("\n".join(kept) + "\n")
    info_file = tmp_path / "runs" / "short" / "search.json"
    info_file.write_text(json.dumps({**json.loads(info_file.read_text()), "status": "interrupted"}))
    (tmp_path / "runs" / "short" / "finals.jsonl").write_text("")
    stdout, _ = search(tmp_path, "--resume", "short", "--json")
    assert log_file.read_text().splitlines()[:3] == kept
    assert sorted(record["trial"] for record in log(log_file)) == list(range(len(log(log_file))))
    assert json.loads(stdout)["result"]["comparison"] is None


def test_what_cannot_be_used_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(RECIPE)
    (tmp_path / "mlp.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: mlp}\n")
    for arguments, expected in (
        (["mlp.yaml"], "mlp.yaml: a search section is missing"),
        (["digits.yaml", "-s", "search.objective=[val_loss]"], "search.objective.0: must be one of val_accuracy."),
        (
            ["digits.yaml", "-s", "search.final.filters=1"],
            "search.final: gives a recipe that is not valid: model.filters",
        ),
        (["digits.yaml", "--name", "../x"], "a run name must be at most"),
        (["--resume", "nothing"], "nothing: no search of this name in runs. Available: none."),
        ([], "give a recipe with a search section, or --resume NAME"),
        (
            ["--resume", "digits", "--data", "x"],
            "--resume continues the search with its own recipe, which --data cannot",
        ),
    ):
        _, stderr = search(tmp_path, *arguments, status=2)
        assert expected in stderr
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
