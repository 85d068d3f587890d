"""``dlcli train --seeds``: the same recipe trained with several seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import Interrupted
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.runs import run_name, suffixed
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
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
    results = []
    for seed in seeds:
        loaded = load_with_seed(seed)
        base = name or loaded.recipe.name or run_name(loaded.path)
        console.log = None
        try:
            results.append(
                train(loaded, runs=runs, name=suffixed(base, f"-seed{seed}"), device=device, console=console)
            )
        except Interrupted as stop:
            remaining = ", ".join(str(other) for other in seeds if other > seed)
            hint = f"\nThen train the remaining seeds, {remaining}, with --seed." if remaining else ""
            raise Interrupted(f"{stop}{hint}", stop.signal_number) from None
    finals = [result["final"] for result in results]
    return {
        "runs": [result["run"] for result in results],
        "seeds": list(seeds),
        "mean": {key: float(np.mean([final[key] for final in finals])) for key in finals[0]},
        "spread": {key: float(np.std([final[key] for final in finals], ddof=1)) for key in finals[0]},
    }
