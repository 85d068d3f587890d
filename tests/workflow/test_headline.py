"""The headline metric of runs."""

import json
from pathlib import Path

from dlcli.recipe.load import TASKS
from dlcli.workflow.headline import headline

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
