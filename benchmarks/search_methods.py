"""Methods of architecture search on a table of trained networks: NAS-Bench-Macro (Su et al. 2021), 6,561 of them.

    python benchmarks/search_methods.py nas-bench-macro_cifar10.json [--repeats 200] [--evaluations 100]

The table is the file of that name in https://github.com/xiusu/NAS-Bench-Macro. A network has 8 blocks of 3 kinds, and
was trained three times; each evaluation of a method reads one of the three accuracies. The network with the best
reading is what the method found, and its regret is how far its mean accuracy is from the best mean in the table.
Prints the mean regret of each method and the probability P that a repeat of it has a lower regret than a repeat of
random search, with the Mann-Whitney test of P = 0.5. Exits with 1 if aging evolution or REINFORCE does not reach P >=
0.70 with p < 0.001.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import machine
from scipy.stats import mannwhitneyu

from dlcli.search.controller import Controller
from dlcli.search.evolution import Evolution
from dlcli.search.method import Method
from dlcli.search.random_search import RandomSearch
from dlcli.search.reinforce import Reinforce

SPACE = (3,) * 8
MIN_PROBABILITY, MAX_P = 0.70, 0.001

METHODS: dict[str, Callable[[int], Method]] = {
    "random": lambda seed: RandomSearch(SPACE, seed=seed),
    "evolution": lambda seed: Evolution(SPACE, population=16, sample=4, seed=seed),
    "tournament": lambda seed: Evolution(SPACE, population=16, sample=4, aging=False, seed=seed),
    "reinforce": lambda seed: Reinforce(SPACE, learning_rate=0.2, decay=0.9, seed=seed),
    "reinforce, lstm": lambda seed: Controller(SPACE, units=32, learning_rate=0.02, decay=0.9, seed=seed),
}


def regret(method: Method, readings: np.ndarray, *, evaluations: int, seed: int) -> float:
    """The points of accuracy that a search of this length misses, with readings ``[3, 3, 3, 3, 3, 3, 3, 3, 3]``."""
    random = np.random.default_rng([seed, 1])
    means = readings.mean(axis=-1)
    best, found = -np.inf, 0.0
    for trial in range(evaluations):
        choices = method.ask(trial).choices
        score = float(readings[choices][random.integers(3)])
        method.tell(trial, choices, score)
        if score > best:
            best, found = score, float(means[choices])
    return float(means.max() - found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--evaluations", type=int, default=100)
    arguments = parser.parse_args()
    table = json.loads(arguments.table.read_text())
    readings = np.zeros((*SPACE, 3))
    for name, entry in table.items():
        readings[tuple(map(int, name))] = entry["test_acc"]
    print(f"{machine()}; {arguments.repeats} repeats of {arguments.evaluations} evaluations")
    regrets, passed = {}, True
    for name, make in METHODS.items():
        start = time.perf_counter()
        regrets[name] = [
            regret(make(seed), readings, evaluations=arguments.evaluations, seed=seed)
            for seed in range(arguments.repeats)
        ]
        line = f"  {name:16} mean regret {np.mean(regrets[name]):.3f} points"
        if name != "random":
            test = mannwhitneyu(regrets["random"], regrets[name], alternative="two-sided")
            probability = test.statistic / arguments.repeats**2
            line += f"   P {probability:.2f} (p {test.pvalue:.1e})"
            if name in ("evolution", "reinforce"):
                passed &= probability >= MIN_PROBABILITY and test.pvalue < MAX_P
        print(f"{line}   {time.perf_counter() - start:.1f} s")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
