"""``dlcli train --seeds``: several runs that differ in their seed, and the spread of their results."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.runs import run_name, suffixed
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.workflow.several import Member, mean_and_spread, train_several
from dlcli.workflow.train import train


def train_seeds(
    load_with_seed: Callable[[int], LoadedRecipe],
    seeds: Sequence[int],
    *,
    runs: Path,
    name: str | None,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train a run for each seed; return the mean and standard deviation (n - 1) of each final metric over the seeds."""

    def train_one(seed: int) -> dict[str, Any]:
        loaded = load_with_seed(seed)
        base = name or loaded.recipe.name or run_name(loaded.path)
        return train(loaded, runs=runs, name=suffixed(base, f"-seed{seed}"), device=device, console=console)

    def hint(remaining: list[str]) -> str:
        return f"\nThen train the remaining seeds, {', '.join(remaining)}, with --seed." if remaining else ""

    members = [Member(str(seed), lambda seed=seed: train_one(seed)) for seed in seeds]  # type: ignore[misc]
    results = train_several(members, console=console, hint=hint)
    summary = mean_and_spread([result["final"] for result in results])
    return {"runs": [result["run"] for result in results], "seeds": list(seeds), **summary}
