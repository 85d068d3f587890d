"""``dlcli sweep`` with a training whose outcome is known: methods, files, failures, resumption, and what is refused."""

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from local_pool import LocalPool  # type: ignore[import-not-found]
from sweep_trainer import Trainer, quality  # type: ignore[import-not-found]

from dlcli.cli import cli
from dlcli.errors import CheckFailed, InputError, Interrupted
from dlcli.recipe.load import load
from dlcli.workflow.sweep import trials as trials_of_sweep
from dlcli.workflow.trials import work

RECIPE = """\
task: classification
data: {kind: digits, limit: 60}
model: {kind: mlp, units: [8], dropout: 0.1}
train: {epochs: 9, optimizer: {kind: adam, learning_rate: 1e-3}}
sweep:
  space:
    train.optimizer.learning_rate: {log: [1e-4, 1]}
    model.dropout: [0, 0.3, 0.5]
  budget: {trials: 12}
  objective: val_accuracy
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``dlcli sweep`` in a folder with recipe.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE)

    def run(*arguments: str, trainer: Trainer | None = None, plots: bool = False) -> Result:
        if not plots:  # drawing takes most of the time
            monkeypatch.setattr(trials_of_sweep, "write_plots", lambda *arguments: None)
        monkeypatch.setattr(work, "open_workers", lambda workers, ray, device: LocalPool(workers, trainer or Trainer()))
        return CliRunner().invoke(cli, ["sweep", *arguments])

    return run


def result_of(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(name: str) -> list[dict[str, str]]:
    with open(Path("runs") / name / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_random_sweep_and_its_files(sweep: Callable[..., Result]) -> None:
    trainer = Trainer()
    found = result_of(sweep("recipe.yaml", "--json", trainer=trainer, plots=True))
    assert (found["trials"], found["failed"], found["epochs"]) == (13, 0, 13 * 9)
    rows = table("recipe")
    assert len(rows) == 13
    own = {key: rows[0][key] for key in ("trial", "model.dropout", "train.optimizer.learning_rate", "epochs")}
    assert own == {"trial": "0", "model.dropout": "0.1", "train.optimizer.learning_rate": "0.001", "epochs": "9"}
    assert found["baseline"]["val_accuracy"] == quality({}, 9)
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert found["best"]["trial"] == int(best["trial"])
    assert all(
        task["seeds"] == [0] and task["recipe"]["train"]["best_metric"] == "val_accuracy" for task in trainer.tasks
    )
    written = load(Path("runs/recipe/best.yaml")).recipe
    assert written.sweep is None
    assert written.train.optimizer.learning_rate == float(best["train.optimizer.learning_rate"])
    assert written.train.best_metric == "val_accuracy"
    assert {path.name for path in Path("runs/recipe/plots").iterdir()} >= {"progress.png", "parallel_coordinates.png"}
    assert not [task for task in trainer.tasks if "test" in task["kind"]]
    assert CliRunner().invoke(cli, ["report", "recipe"]).exit_code == 0
    page = Path("runs/recipe/report.html").read_text()
    assert f"Best val accuracy: {float(best['val_accuracy']):.4f}, in trial {best['trial']} of 13 trials" in page
    assert page.count("data:image/webp;base64,") == len(list(Path("runs/recipe/plots").iterdir()))
    ranks = [page.index(f'<td class="number">{float(row["val_accuracy"]):.4f}</td>') for row in (best, rows[0])]
    assert ranks == sorted(ranks)


def test_asha_trains_fewer_epochs_and_keeps_no_checkpoint(sweep: Callable[..., Result]) -> None:
    trainer = Trainer()
    found = result_of(sweep("recipe.yaml", "--json", "-s", "sweep.method=asha", "--trials", "27", trainer=trainer))
    assert found["trials"] == 28
    assert 27 < found["epochs"] - 9 < 27 * 9 / 2
    by_trial: dict[int, list[int]] = {}
    for row in table("recipe"):
        by_trial.setdefault(int(row["trial"]), []).append(int(row["epochs"]))
    assert list(by_trial) == list(range(28))  # as many numbers as trials, whatever their number of parts
    assert by_trial[0] == [9]
    assert {tuple(epochs) for number, epochs in by_trial.items() if number} == {(1,), (1, 3), (1, 3, 9)}
    assert not Path("runs/recipe/paused").exists()
    random = result_of(sweep("recipe.yaml", "--json", "--trials", "27", "--name", "random"))
    assert found["best"]["values"] == random["best"]["values"]


def test_a_grid_tries_all_combinations(sweep: Callable[..., Result]) -> None:
    space = "sweep.space={model.dropout: [0, 0.3], train.optimizer.learning_rate: {log: [1e-3, 1e-1], points: 3}}"
    options = ("-s", "sweep.method=grid", "-s", space, "-s", "sweep.budget={}", "-s", "sweep.baseline=false")
    found = result_of(sweep("recipe.yaml", "--json", *options))
    assert (found["trials"], found["baseline"]) == (6, None)
    assert found["best"]["values"] == {"model.dropout": 0.3, "train.optimizer.learning_rate": 0.01}
    small = sweep("recipe.yaml", *options, "--trials", "5")
    assert (
        str(small.exception)
        == "--trials 5: sweep.budget.trials: the grid has 6 combinations. Received 5; raise or remove it"
    )


def test_a_failed_trial_is_reported_and_not_fatal(sweep: Callable[..., Result]) -> None:
    done = sweep("recipe.yaml", trainer=Trainer(fails=lambda changes: changes.get("model.dropout") == 0))
    assert done.exit_code == 0
    failed = [row for row in table("recipe") if row["status"] == "failed"]
    assert {row["error"] for row in failed} == {"the loss is not finite"}
    assert {row["model.dropout"] for row in failed} == {"0"}
    assert f"13 trials, {len(failed)} failed" in done.stdout
    hopeless = sweep("recipe.yaml", "--name", "hopeless", trainer=Trainer(fails=lambda changes: True))
    assert isinstance(hopeless.exception, CheckFailed)
    assert "the first 10 trials failed" in str(hopeless.exception)


@pytest.mark.parametrize("method", ["random", "asha"])
def test_an_interrupted_sweep_says_how_to_resume_and_ends_the_same(method: str, sweep: Callable[..., Result]) -> None:
    whole = result_of(sweep("recipe.yaml", "--json", "-s", f"sweep.method={method}", "--name", "whole"))
    done = sweep("recipe.yaml", "-s", f"sweep.method={method}", trainer=Trainer(stop_after=5))
    assert isinstance(done.exception, Interrupted)
    assert done.exception.signal_number == signal.SIGINT
    assert str(done.exception) == "stopped after 5 trials. Resume with: dlcli sweep --resume runs/recipe"
    changed = sweep("--resume", "recipe", trainer=Trainer(fingerprint="b"))
    assert "runs/recipe: the data have changed since the sweep was started." in str(changed.exception)
    log = Path("runs/recipe/trials.jsonl").rename("kept.jsonl")
    missing = sweep("--resume", "recipe")
    assert str(missing.exception).startswith("runs/recipe/trials.jsonl: is missing, with the trials that were recorded")
    log.rename("runs/recipe/trials.jsonl")
    resumed = result_of(sweep("--resume", "recipe", "--json"))
    for key in ("best", "baseline", "trials", "epochs"):
        assert resumed[key] == whole[key]
    logs = [Path("runs", name, "trials.jsonl").read_text() for name in ("whole", "recipe")]
    assert logs[0] == logs[1]
    assert "this sweep is complete" in str(sweep("--resume", "recipe").exception)


@pytest.mark.parametrize(
    ("settings", "errors"),
    [
        (
            ["sweep.space={model.dropuot: [1]}"],
            ["--set sweep.space={model.dropuot: [1]}: model.dropuot: unknown key; did you mean 'dropout'?"],
        ),
        (
            ["sweep.budget={}", "sweep.space={model.dropuot: [1, 2]}", "sweep.method=asha", "sweep.asha.min_epochs=10"],
            [
                "--set sweep.budget={}: sweep.budget: asha needs a limit; set budget.trials or budget.hours, or --tria",
                "model.dropuot: unknown key; did you mean 'dropout'?",
                "sweep.asha.min_epochs: must be at most train.epochs, 9. Received 10.",
            ],
        ),
        (["sweep.method=asha", "sweep.space={train.epochs: [1, 2]}"], ["cannot be varied by method: asha"]),
        (["sweep.space={train.seed: [1, 2]}"], ["sweep.space.train.seed: cannot be varied; sweep.seeds trains"]),
        (["sweep.space={data.validation: [0.1, 0.2]}"], ["trials must be compared on the same validation data"]),
        (["sweep.space={train.label_smoothing: [0, 0.1]}", "sweep.objective=val_loss"], ["changes the loss, so that"]),
        (
            ["sweep.objective=val_acuracy"],
            ["sweep.objective: unknown value 'val_acuracy'; did you mean 'val_accuracy'?"],
        ),
        (
            ["sweep.method=asha", "sweep.asha.brackets=4"],
            ["sweep.asha.brackets: must be at most the number of comparisons, 3: after 1, 3, 9 epochs. Received 4."],
        ),
        (["sweep.method=asha", "sweep.seeds=2"], ["sweep.seeds: must be 1 for method: asha"]),
        (
            ["sweep.space={model: [{kind: mlp}], model.dropout: [0, 0.5]}"],
            ["sweep.space.model: contains model.dropout, which is varied too; remove one of them"],
        ),
        (
            [
                "sweep.method=grid",
                "sweep.space={train.optimizer.learning_rate: {log: [1e-4, 1], points: 400}, model.dropout: "
                "{uniform: [0, 0.9], points: 400}}",
            ],
            ["sweep.space: a grid may have at most 100,000 combinations. Received 160,000; use method: random"],
        ),
        (["sweep=null"], ["recipe.yaml: a sweep section is missing, such as sweep:"]),
    ],
)
def test_refusals(settings: list[str], errors: list[str], sweep: Callable[..., Result]) -> None:
    done = sweep("recipe.yaml", *(part for setting in settings for part in ("-s", setting)))
    assert isinstance(done.exception, InputError)
    for error in errors:
        assert error in str(done.exception)
    assert not Path("runs").exists()


def test_errors_of_values_have_their_place_in_the_file(sweep: Callable[..., Result]) -> None:
    text = RECIPE.replace("[0, 0.3, 0.5]", "[0, 0.3, 1.5]").replace("{log: [1e-4, 1]}", "{log: [1e-4, 1], points: 1}")
    Path("recipe.yaml").write_text(text)
    assert str(sweep("recipe.yaml").exception) == (
        "recipe.yaml:7:61: sweep.space.train.optimizer.learning_rate.points: expected a whole number in [2, 1000], "
        "or null. Received 1."
    )
    Path("recipe.yaml").write_text(
        RECIPE.replace("[0, 0.3, 0.5]", "[0, 0.3, 1.5, 0.3]").replace("dropout: [", "dropout:   [")
    )
    assert str(sweep("recipe.yaml").exception).splitlines() == [
        "recipe.yaml:8:31: model.dropout: expected a number in [0, 1). Received 1.5.",
        "recipe.yaml:8:36: model.dropout: the value 0.3 occurs twice",
    ]


def test_an_unknown_key_is_reported_once_at_the_key(sweep: Callable[..., Result]) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("learning_rate: {", "lr: {"))
    error = "recipe.yaml:7:5: train.optimizer.lr: unknown key; did you mean 'learning_rate'?"
    assert str(sweep("recipe.yaml").exception) == error


def test_what_is_seldom_meant_is_warned_of(sweep: Callable[..., Result]) -> None:
    text = RECIPE.replace("model.dropout: [0, 0.3, 0.5]", "train.batch_size: [40, 41]").replace("val_acc", "train_acc")
    Path("recipe.yaml").write_text(text)
    settings = ("-s", "sweep.method=asha", "-s", "sweep.asha.min_epochs=9")
    assert sweep("recipe.yaml", *settings).stderr.splitlines()[1:4] == [
        "warning: recipe.yaml:10:14: sweep.objective is train_accuracy: the trial that fits the training data best "
        "wins",
        "warning: --set sweep.asha.min_epochs=9: no trial stops early: sweep.asha.min_epochs is train.epochs, 9",
        "warning: recipe.yaml:8:28: train.batch_size: batches of 41 hold all 40 training samples, as all sizes from "
        "there on do",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "give a recipe with a sweep section, or --resume NAME to continue a sweep."),
        (["recipe.yaml", "--resume", "x"], "give a recipe with a sweep section, or --resume NAME"),
        (["--resume", "x", "--trials", "3"], "--resume continues the sweep with its own recipe, which --trials cannot"),
    ],
)
def test_usage_errors(arguments: list[str], error: str, sweep: Callable[..., Result]) -> None:
    done = sweep(*arguments)
    assert done.exit_code == 2
    assert error in done.stderr


def test_an_unknown_sweep_is_not_resumed(sweep: Callable[..., Result]) -> None:
    assert "x: no sweep of this name in runs. Available: none." in str(sweep("--resume", "x").exception)


@pytest.mark.slow
def test_a_real_sweep_is_the_same_in_worker_processes(sweep: Callable[..., Result], monkeypatch: Any) -> None:
    space = "sweep.space={train.optimizer.learning_rate: [0.001, 0.03]}"
    options = ("-s", space, "-s", "train.epochs=2", "--trials", "2", "--json")
    trained = CliRunner().invoke(cli, ["sweep", "recipe.yaml", *options])
    found = result_of(trained)
    monkeypatch.setattr(work, "open_workers", lambda workers, ray, device: LocalPool(workers))
    again = result_of(CliRunner().invoke(cli, ["sweep", "recipe.yaml", *options, "--name", "again"]))
    assert again["best"] == found["best"]
    assert found["best"]["values"] == {"train.optimizer.learning_rate": 0.03}
    best = CliRunner().invoke(cli, ["train", "runs/recipe/best.yaml", "--json", "-q"])
    assert result_of(best)["final"]["val_accuracy"] == pytest.approx(found["best"]["val_accuracy"])
