"""What the candidates of a search cost: memory over hundreds of them, seconds for each, and the share of tracing.

    python benchmarks/search_children.py [--children 500] [--combinations 3] [--limit N] [--workers 1] [--every 50]

Searches cells for the digits with tiny candidates of one epoch, and prints after every 50 of them the mean processor
time of a candidate, the resident memory of this process and of its largest worker, and how many workers there were: one
is replaced after 50 candidates or when it holds more than 2 GiB. Exits with 1 if a candidate is lost, if the memory of
this process grows by more than a tenth, or if a worker exceeds its limit by as much.

Then the parts of a candidate's time: some are trained for 1 and for 9 epochs, whose difference gives the seconds of an
epoch; the rest is building and tracing the network. What a graph that serves all candidates would save is bounded in
the same way: such a graph computes each operation of the space at each place, so that its epoch takes at least as long
as that of a network with all of them. All times are processor times of workers, so that other programs do not count.
"""

import argparse
import os
import statistics
import sys
import tempfile
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
MAX_GROWTH = 1.1
FEW, MANY = 1, 9  # epochs
RECIPE = f"""\
task: classification
data: {{kind: digits, validation: 0.2, test: 0.2, limit: %s}}
model: {{kind: cells, genotype: nasnet_a, repeats: 1, filters: 4}}
train: {{epochs: 1, batch_size: 64, optimizer: {{kind: sgd, learning_rate: 0.1, momentum: 0.9}}}}
search:
  space: {{kind: cells, operations: [{", ".join(OPERATIONS)}], combinations: %d}}
  method: {{kind: evolution, population: 16, sample: 4}}
  budget: {{trials: %d}}
  workers: %d
  baseline: none
  final: {{top: 1, seeds: 1}}
"""


def recipe_text(options: argparse.Namespace, trials: int) -> str:
    """The recipe of a search."""
    return RECIPE % (options.limit or "null", options.combinations, trials, options.workers)


def children() -> list[int]:
    """The processes of the workers."""
    return [int(number) for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def processor_seconds(process: int) -> float:
    """The processor time that a process has used, with that of its threads."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> float:
    """The resident memory of a process in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


class Watching(Console):
    """A quiet console that measures memory and time at each line about a candidate."""

    def __init__(self, every: int) -> None:
        super().__init__(quiet=True)
        self.every = every
        self.own: list[float] = []
        self.workers: list[float] = []
        self.seconds: dict[int, float] = {}  # of each worker
        self._printed = 0.0

    def say(self, text: str) -> None:
        if not text.startswith("trial "):
            return
        self.seconds |= {worker: processor_seconds(worker) for worker in children()}
        self.own.append(resident(os.getpid()))
        self.workers.append(max(map(resident, children()), default=0.0))
        if len(self.own) % self.every == 0:
            total = sum(self.seconds.values())
            seconds = (total - self._printed) / self.every
            self._printed = total
            worker = max(self.workers[-self.every :])
            memory = f"this process {self.own[-1]:.0f} MiB   largest worker {worker:.0f} MiB"
            print(
                f"  {len(self.own):4} candidates   {seconds:.2f} s each   {memory}   {len(self.seconds)} workers",
                flush=True,
            )


def soak(folder: Path, options: argparse.Namespace) -> bool:
    """Search, and return whether no candidate was lost and memory did not grow."""
    console = Watching(options.every)
    loaded = load_text(recipe_text(options, options.children).encode(), folder / "soak.yaml")
    start(SearchWork(loaded), name="soak", runs=folder, device="cpu", ray=None, command=[], console=console)
    records = TrialLog(folder / "soak" / "trials.jsonl").read()
    lost = sum(record.status != "complete" for record in records)
    print(f"  {len(records)} candidates, {lost} not complete, in {len(console.seconds)} workers")
    grown = console.own[-1] / console.own[min(options.every, len(console.own)) - 1]
    largest = max(console.workers)
    print(f"  memory of this process grew by {grown - 1:+.1%}; the largest worker had {largest:.0f} MiB")
    is_bounded = grown < MAX_GROWTH and largest < MAX_GROWTH * MAX_RESIDENT / 2**20
    return lost == 0 and len(records) == options.children and is_bounded


def seconds_of(pool: Pool, folder: Path, recipe: dict[str, Any], epochs: int) -> float:
    """The processor seconds in which a worker trains a candidate."""
    task = {"kind": "trial", "device": "cpu", "path": str(folder / "recipe.yaml"), "runs": str(folder), "limits": {}}
    values = {**recipe, "train": {**recipe["train"], "epochs": epochs}}
    before = sum(map(processor_seconds, children()))
    pool.submit(0, {**task, "folder": str(folder), "recipe": values, "optimize_graphs": False})
    _, outcome = pool.wait()
    if isinstance(outcome, Lost) or outcome["status"] != "complete":
        sys.exit(f"a candidate failed: {outcome}")
    return sum(map(processor_seconds, children())) - before


def parts(pool: Pool, folder: Path, recipe: dict[str, Any]) -> tuple[float, float]:
    """The seconds before and between the epochs of a candidate, and those of an epoch."""
    few, many = (seconds_of(pool, folder, recipe, epochs) for epochs in (FEW, MANY))
    epoch = (many - few) / (MANY - FEW)
    return few - FEW * epoch, epoch


def every_operation(combinations: int) -> dict[str, Any]:
    """Cells with as many operations as a graph that serves all candidates: each one at each place."""
    states = [[f"{name}(s0)", f"{name}(s1)"] for name in OPERATIONS] * combinations
    cell = {"states": states, "concatenate": [f"s{number}" for number in range(2, 2 + len(states))]}
    return {"normal": cell, "reduction": cell}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--combinations", type=int, default=3)
    parser.add_argument("--limit", type=int, help="samples per split; default: all")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    size = f"{options.combinations} combinations, {options.limit or 'all'} samples"
    print(f"{machine()}; {options.workers} workers; {size}", flush=True)
    with tempfile.TemporaryDirectory() as name, Pool(1, tasks_per_worker=10**6, max_resident=2**60) as pool:
        folder = Path(name)
        passed = soak(folder, options)
        loaded = load_text(recipe_text(options, 1).encode(), folder / "recipe.yaml")
        section: Any = getattr(loaded.recipe, "search", None)
        candidates, proposer = Candidates(written_values(loaded), section, 0), CellProposer(section, 0)
        recipes = [candidates.trial(proposer.ask(number).choices["genotype"], number) for number in range(6)]
        parts(pool, folder, recipes[0])  # starts the worker
        measured = [parts(pool, folder, recipe) for recipe in recipes[1:]]
        rest, epoch = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"  a candidate: {rest:.2f} s to build and trace, {epoch:.3f} s for an epoch")
        rest, epoch = parts(pool, folder, candidates.trial(every_operation(options.combinations), 0))
        print(f"  every operation at each place: {rest:.2f} s to build and trace, once; {epoch:.3f} s for an epoch")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
