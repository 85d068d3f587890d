"""``dlcli runs``: listing, showing, comparing and removing runs. Needs no TensorFlow."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.yaml_writer import completed
from dlcli.rundir import RunDir, list_runs, read_csv, read_json
from dlcli.workflow.compare import ABSENT, differing


def summary(run: RunDir) -> dict[str, Any]:
    """One run in a few values; what cannot be read is said in ``status``."""
    try:
        info = run.read_info()
        best = info.get("best") or {}
        epochs = len(read_csv(run.metrics)) if run.metrics.exists() else 0
        return {
            "name": run.name,
            "status": run.status(),
            "started": info.get("started"),
            "seed": info.get("seed"),
            "epochs": epochs,
            "best": best.get("value"),
            "metric": best.get("metric"),
            "final": info.get("final"),
        }
    except (InputError, AttributeError, OSError):
        return {"name": run.name, "status": "corrupt", "final": None}


def list_all(runs: Path) -> list[dict[str, Any]]:
    """All runs of a folder, newest first."""
    return [summary(run) for run in list_runs(runs)]


def show(run: RunDir) -> dict[str, Any]:
    """All that run.json says, the status as it is now, and the last row of metrics.csv."""
    rows = read_csv(run.metrics) if run.metrics.exists() else []
    return {
        "run": str(run.path),
        **run.read_info(),
        "status": run.status(),
        "last_epoch": rows[-1] if rows else None,
        "attacks": attacks(run),
    }


def attacks(run: RunDir) -> dict[str, float]:
    """Robust accuracy by attack and epsilon, such as ``pgd 0.1``, of the run's model as it is now."""
    found: dict[str, float] = {}
    for folder in sorted((run.path / "attacks").glob("*")):
        with contextlib.suppress(InputError, OSError, KeyError, TypeError, ValueError):
            if read_json(folder / "attack.json")["sha256"] == run.read_info().get("model"):
                for row in read_csv(folder / "robustness.csv"):
                    if float(row["eps"]) > 0:
                        found[f"{folder.name} {float(row['eps']):.4g}"] = float(row["robust_accuracy"])
    return found


def diff(one: RunDir, other: RunDir) -> dict[str, Any]:
    """Recipe keys that differ but the run's name, and final metrics and robust accuracies side by side, as pairs."""
    first, second = one.read_info(), other.read_info()
    recipe = differing(completed(first.get("config", {})), completed(second.get("config", {})))
    recipe.pop("name", None)
    metrics_one, metrics_two = first.get("final") or {}, second.get("final") or {}
    names = [*metrics_one, *(name for name in metrics_two if name not in metrics_one)]
    robust_one, robust_two = attacks(one), attacks(other)
    return {
        "runs": [one.name, other.name],
        "recipe": {key: list(pair) for key, pair in recipe.items()},
        "metrics": {name: [metrics_one.get(name, ABSENT), metrics_two.get(name, ABSENT)] for name in names},
        "attacks": {
            name: [robust_one.get(name, ABSENT), robust_two.get(name, ABSENT)] for name in robust_one | robust_two
        },
    }


def remove(run: RunDir) -> None:
    """Deletes a run's folder.

    It is renamed first, so that a half-deleted folder is never taken for a run.

    Raises:
        InputError: a process is working on it, or it is a link to a folder elsewhere.
    """
    if run.path.is_symlink():
        raise InputError(f"{run.path}: is a link; remove what it points to by its own path.")
    run.lock()
    try:
        grave = run.path.with_name(f".removing-{run.path.name}")
        run.path.rename(grave)
        shutil.rmtree(grave)
    finally:
        with contextlib.suppress(OSError):
            run.unlock()
