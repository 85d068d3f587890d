"""Whether TPE and ASHA find a learning rate that is known to be best, and the epochs that ASHA saves against random.

    python benchmarks/sweep.py [--trials 27] [--workers 2]

The best learning rate of a perceptron on the digits is measured first: a grid of 16 rates from 1e-5 to 1, each trained
with three seeds. Then random search, TPE and ASHA look for it in the same range, with the seed of the recipe. A method
has found it if the mean loss of the grid at its rate is within two standard errors of the lowest one. The epochs come
from the records of the trials. The saving of ASHA is the ratio of the epochs of random search to its own, and that of
the epochs until each had reached the loss that random search ended with.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.load import load_text
from dlcli.runtime.console import Console
from dlcli.workflow.sweep.files import epochs_of
from dlcli.workflow.sweep.sweep import SweepWork
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.work import start

KEY = "train.optimizer.learning_rate"
SEEDS = 3
TOLERANCE = 1e-6  # metrics.csv, from which the rungs of ASHA are read, has nine digits
RECIPE = f"""\
task: classification
data: {{kind: digits, validation: 0.2, test: 0.2}}
model: {{kind: mlp, units: [64]}}
train: {{epochs: 9, batch_size: 64, optimizer: {{kind: sgd, learning_rate: 1e-3, momentum: 0.9}}}}
sweep:
  space:
    {KEY}: {{log: [1e-5, 1], points: 16}}
  budget: {{trials: 16}}
  objective: val_loss
  baseline: false
"""


def records_of(folder: Path, name: str, *settings: str) -> list[Record]:
    """The records of a sweep with these settings."""
    loaded = load_text(RECIPE.encode(), folder / "recipe.yaml", [parse_setting(text) for text in settings])
    how: Any = {"device": "cpu", "ray": None, "command": [], "console": Console(quiet=True)}
    start(SweepWork(loaded), name=name, runs=folder / "runs", **how)
    return TrialLog(folder / "runs" / name / "trials.jsonl").read()


def best_of(records: Sequence[Record]) -> Record:
    return min((record for record in records if record.status == "complete"), key=lambda one: one.metrics["val_loss"])


def epochs_to(records: Sequence[Record], loss: float) -> int | None:
    """The epochs of all trials until one of them had reached a loss."""
    total = 0
    for record, epochs in zip(records, epochs_of(records), strict=True):
        total += epochs
        if record.metrics.get("val_loss", math.inf) <= loss * (1 + TOLERANCE):
            return total
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=27)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    common = (f"sweep.workers={options.workers}", f"sweep.budget.trials={options.trials}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        grid = records_of(folder, "grid", "sweep.method=grid", f"sweep.seeds={SEEDS}", common[0])
        rates = np.array([record.choices[KEY] for record in grid])
        losses = np.array([record.metrics.get("val_loss", math.inf) for record in grid])
        errors = np.array([record.metrics.get("spread", math.inf) for record in grid]) / math.sqrt(SEEDS)
        order = np.argsort(rates)
        lowest = int(np.argmin(losses))
        limit = losses[lowest] + 2 * errors[lowest]
        for place in order:
            print(f"rate {rates[place]:.2e}  val_loss {losses[place]:.4f} (standard error {errors[place]:.4f})")
        good = rates[losses <= limit]
        print(f"best rate {rates[lowest]:.2e}; as good: {good.min():.2e} to {good.max():.2e}")
        found: dict[str, list[Record]] = {}
        for method in ("random", "tpe", "asha"):
            found[method] = records_of(folder, method, f"sweep.method={method}", *common)
            report(method, found[method], rates[order], losses[order], limit)
        target = best_of(found["random"]).metrics["val_loss"]
        total = {method: sum(epochs_of(records)) for method, records in found.items()}
        reached: dict[str, Any] = {method: epochs_to(records, target) for method, records in found.items()}
        print(f"ASHA trains {total['random'] / total['asha']:.1f} times fewer epochs than random search in all")
        print(f"epochs until the loss that random search ended with, {target:.4f}: {reached}")


def report(method: str, records: Sequence[Record], rates: np.ndarray, losses: np.ndarray, limit: float) -> None:
    best = best_of(records)
    rate = best.choices[KEY]
    known = float(np.interp(math.log(rate), np.log(rates), losses))
    started = sum(record.parent is None for record in records)
    print(
        f"{method}: {started} trials, {sum(epochs_of(records))} epochs, rate {rate:.2e}, val_loss "
        f"{best.metrics['val_loss']:.4f}; the grid's mean loss there is {known:.4f}: "
        f"{'found' if known <= limit else 'not found'}"
    )


if __name__ == "__main__":
    main()
