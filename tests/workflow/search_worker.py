"""A worker of ``dlcli search`` that trains nothing: what a network reaches is a function of its recipe.

Run as a script, and imported by the tests for WithoutTraining.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlcli.workflow.trials.worker import serve


def between(*what: Any) -> float:
    """A number in [0, 1) that depends on the values."""
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def do(task: dict[str, Any]) -> dict[str, Any]:
    outcome = {"status": "complete", "error": None, "metrics": {}, "seconds": 1.0}
    if task["kind"] == "test":
        return outcome | {"cost": {}, "metrics": {"accuracy": between(task["run"].rpartition("/")[2])}}
    model, seed = task["recipe"]["model"], task["recipe"]["train"]["seed"]
    cost = {"parameters": 1000 * model["filters"], "multiply_adds": round(1e6 * between(model))}
    if task["kind"] == "check":
        splits = {"train": 100, "validation": 20, "test": 20}
        facts = {"splits": splits, "fingerprint": "f", "columns": ["train_loss", "val_accuracy"], "warnings": []}
        environment = {"device": "CPU", "versions": {"dlcli": "1"}, "machine": {"cores": 1}}
        return outcome | {"cost": cost, "environment": environment} | facts
    limit = task.get("limits", {}).get("multiply_adds", 1e9)
    if cost["multiply_adds"] > limit:
        return outcome | {"cost": cost, "status": "refused", "error": "too large"}
    reached = 0.5 + 0.4 * between(model["genotype"]) + 0.1 * between(seed, model)
    if task["kind"] == "trial" and between(seed, "fails") < 0.2:
        return outcome | {"cost": cost, "status": "failed", "error": "the loss is not finite"}
    return outcome | {"cost": cost, "metrics": {"val_accuracy": reached, "train_loss": 1.0, "epoch": 2}}


@dataclass(frozen=True)
class WithoutTraining:
    """Has workers of this file do the trials of a command, before it is prepared otherwise."""

    prepare: Callable[[], object]

    def __call__(self) -> None:
        from dlcli.workflow.trials.pool import Pool

        defaults = Pool.__init__.__kwdefaults__
        assert defaults is not None
        defaults["command"] = (sys.executable, __file__)
        self.prepare()


if __name__ == "__main__":
    serve(do)
