"""The headline metric of runs."""

import json
from pathlib import Path

from dlcli.recipe.load import TASKS
from dlcli.rundir.directory import RunDir
from dlcli.workflow.headline import headline, headline_of_targets, telling_metrics, worst_classes

OLD_RUNS = Path(__file__).parent / "old_runs"


def test_headline_of_runs_as_they_were_written() -> None:
    infos = {run: json.loads((OLD_RUNS / run / "run.json").read_text()) for run in ("addition", "digits", "shapes")}
    assert headline(infos["addition"]) == ("test_exact", 0.0)
    assert headline(infos["digits"]) == ("test_accuracy", infos["digits"]["final"]["test_accuracy"])
    assert headline(infos["shapes"]) is None  # never finished


def test_every_task_has_one() -> None:
    for task, schema in TASKS.items():
        info = {"task": task, "evaluated": "test", "final": {f"test_{schema.headline}": 0.5, "val_loss": 1.0}}
        assert headline(info) == (f"test_{schema.headline}", 0.5)
    assert headline({"task": "alchemy", "evaluated": "test", "final": {"test_accuracy": 0.5}}) is None


def test_worst_classes(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    table = run.evaluation("test") / "per_class.csv"
    assert worst_classes(run, "test") == []  # a task without classes
    table.parent.mkdir(parents=True)

    def worst(**recalls: str) -> list[tuple[str, float]]:
        table.write_text("class,support,recall\n" + "".join(f"{name},4,{text}\n" for name, text in recalls.items()))
        return worst_classes(run, "test")

    assert worst(a="1.0", b="0.5", c="", d="0.25", e="0.75", f="0.5") == [("d", 0.25), ("b", 0.5), ("f", 0.5)]
    assert worst(a="0.5", b="0.75") == [("a", 0.5)]
    assert worst(a="1.0", b="1.0") == []
    assert worst(a="1.0") == []


def test_metrics_that_say_something(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    table = run.evaluation("test") / "per_class.csv"
    table.parent.mkdir(parents=True)
    final = {"test_accuracy": 1.0, "test_localization_accuracy": 0.5, "test_mean_iou": 0.6, "train_accuracy": 1.0}
    info = {"task": "localization", "evaluated": "test", "final": final}
    table.write_text("class,recall\nraccoon,1.0\n")
    assert telling_metrics(run, info) == {"test_mean_iou": 0.6}
    table.write_text("class,recall\nraccoon,1.0\ncat,1.0\n")
    assert list(telling_metrics(run, info)) == ["test_accuracy", "test_mean_iou", "train_accuracy"]


def test_several_numbers_have_a_headline_each(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    info = {"task": "image_regression", "evaluated": "test", "final": {"test_mae": 10.0}}
    assert headline_of_targets(run, info) == []
    table = run.evaluation("test") / "per_target.csv"
    table.parent.mkdir(parents=True)
    table.write_text("target,rmse,mae\nage,6.0,5.0\nheight,20.0,15.0\n")
    assert headline_of_targets(run, info) == [("age", 5.0), ("height", 15.0)]
    table.write_text("target,rmse,mae\nage,6.0,5.0\n")
    assert headline_of_targets(run, info) == []
