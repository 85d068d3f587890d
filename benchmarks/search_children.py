"""What the candidates of a search cost: memory over hundreds of them, seconds for each, and the share of tracing.

    python benchmarks/search_children.py [--children 500] [--workers 1] [--every 50]

Searches cells for the digits with tiny candidates of one epoch, and prints after every 50 of them their mean seconds
and the resident memory of this process and of its largest worker, which is replaced after 50 candidates or when it
holds more than 2 GiB. Exits with 1 if a candidate is lost, if the memory of this process grows by more than a tenth, or
if a worker exceeds its limit by as much.

Then the parts of a candidate's time: some are trained for 1 and for 9 epochs, whose difference gives the seconds of an
epoch; the rest is building and tracing the network. What a graph that serves all candidates would save is bounded in
the same way: such a graph computes each operation of the space at each place, so that its epoch takes at least as long
as that of a network with all of them.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine

from dlcli.recipe.load import load_text
from dlcli.runtime.console import Console
from dlcli.workflow.search.candidates import Candidates, written_values
from dlcli.workflow.search.proposer import CellProposer
from dlcli.workflow.search.search import SearchWork
from dlcli.workflow.trials.pool import MAX_RESIDENT, Lost, Pool
from dlcli.workflow.trials.records import TrialLog
from dlcli.workflow.trials.work import start

OPERATIONS = ("identity", "conv1", "sep3", "avg3", "max3")
COMBINATIONS = 3
MAX_GROWTH = 1.1
FEW, MANY = 1, 9  # epochs
RECIPE = f"""\
task: classification
data: {{kind: digits, validation: 0.2, test: 0.2}}
model: {{kind: cells, genotype: nasnet_a, repeats: 1, filters: 4}}
train: {{epochs: 1, batch_size: 64, optimizer: {{kind: sgd, learning_rate: 0.1, momentum: 0.9}}}}
search:
  space: {{kind: cells, operations: [{", ".join(OPERATIONS)}], combinations: {COMBINATIONS}}}
  method: {{kind: evolution, population: 16, sample: 4}}
  budget: {{trials: %d}}
  workers: %d
  baseline: none
  final: {{top: 1, seeds: 1}}
"""


def resident(process: int) -> float:
    """The resident memory of a process in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


class Watching(Console):
    """A quiet console that measures memory at each line about a candidate."""

    def __init__(self, every: int) -> None:
        super().__init__(quiet=True)
        self.every = every
        self.own: list[float] = []
        self.workers: list[float] = []
        self._start = time.perf_counter()

    def say(self, text: str) -> None:
        if not text.startswith("trial "):
            return
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        self.own.append(resident(os.getpid()))
        self.workers.append(max(map(resident, map(int, children)), default=0.0))
        if len(self.own) % self.every == 0:
            seconds = (time.perf_counter() - self._start) / self.every
            self._start = time.perf_counter()
            worker = max(self.workers[-self.every :])
            memory = f"this process {self.own[-1]:.0f} MiB   largest worker {worker:.0f} MiB"
            print(f"  {len(self.own):4} candidates   {seconds:.2f} s each   {memory}", flush=True)


def soak(folder: Path, *, num_children: int, num_workers: int, every: int) -> bool:
    """Search, and return whether no candidate was lost and memory did not grow."""
    console = Watching(every)
    loaded = load_text((RECIPE % (num_children, num_workers)).encode(), folder / "soak.yaml")
    start(SearchWork(loaded), name="soak", runs=folder, device="cpu", ray=None, command=[], console=console)
    records = TrialLog(folder / "soak" / "trials.jsonl").read()
    lost = sum(record.status != "complete" for record in records)
    print(f"  {len(records)} candidates, {lost} not complete")
    grown = console.own[-1] / console.own[min(every, len(console.own)) - 1]
    largest = max(console.workers)
    print(f"  memory of this process grew by {grown - 1:+.1%}; the largest worker had {largest:.0f} MiB")
    is_bounded = grown < MAX_GROWTH and largest < MAX_GROWTH * MAX_RESIDENT / 2**20
    return lost == 0 and len(records) == num_children and is_bounded


def seconds_of(pool: Pool, folder: Path, recipe: dict[str, Any], epochs: int) -> float:
    """The seconds in which a worker trains a candidate."""
    task = {"kind": "trial", "device": "cpu", "path": str(folder / "recipe.yaml"), "runs": str(folder), "limits": {}}
    values = {**recipe, "train": {**recipe["train"], "epochs": epochs}}
    pool.submit(0, {**task, "folder": str(folder), "recipe": values, "optimize_graphs": False})
    _, outcome = pool.wait()
    if isinstance(outcome, Lost) or outcome["status"] != "complete":
        sys.exit(f"a candidate failed: {outcome}")
    return float(outcome["seconds"])


def parts(pool: Pool, folder: Path, recipe: dict[str, Any]) -> tuple[float, float]:
    """The seconds before and between the epochs of a candidate, and those of an epoch."""
    few, many = (seconds_of(pool, folder, recipe, epochs) for epochs in (FEW, MANY))
    epoch = (many - few) / (MANY - FEW)
    return few - FEW * epoch, epoch


def every_operation() -> dict[str, Any]:
    """Cells with as many operations as a graph that serves all candidates: each one at each place."""
    states = [[f"{name}(s0)", f"{name}(s1)"] for name in OPERATIONS] * COMBINATIONS
    cell = {"states": states, "concatenate": [f"s{number}" for number in range(2, 2 + len(states))]}
    return {"normal": cell, "reduction": cell}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=50)
    arguments = parser.parse_args()
    print(f"{machine()}; {arguments.workers} workers")
    with tempfile.TemporaryDirectory() as name, Pool(1) as pool:
        folder = Path(name)
        passed = soak(folder, num_children=arguments.children, num_workers=arguments.workers, every=arguments.every)
        loaded = load_text((RECIPE % (1, 1)).encode(), folder / "recipe.yaml")
        section: Any = getattr(loaded.recipe, "search", None)
        candidates, proposer = Candidates(written_values(loaded), section, 0), CellProposer(section, 0)
        recipes = [candidates.trial(proposer.ask(number).choices["genotype"], number) for number in range(6)]
        parts(pool, folder, recipes[0])  # starts the worker
        measured = [parts(pool, folder, recipe) for recipe in recipes[1:]]
        rest, epoch = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"  a candidate: {rest:.2f} s to build and trace, {epoch:.3f} s for an epoch")
        rest, epoch = parts(pool, folder, candidates.trial(every_operation(), 0))
        print(f"  every operation at each place: {rest:.2f} s to build and trace, once; {epoch:.3f} s for an epoch")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
