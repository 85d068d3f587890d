"""Training several runs of one recipe, one after the other: over seeds or over folds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.errors import Interrupted
from dlcli.evaluation.paired import deviation
from dlcli.runtime.console import Console


@dataclass(frozen=True)
class Member:
    """One of several runs.

    Attributes:
        label: such as its seed, for messages.
        train: trains it to its end, and returns the content of run.json with ``run``.
    """

    label: str
    train: Callable[[], dict[str, Any]]


def train_several(
    members: Sequence[Member], *, console: Console, hint: Callable[[list[str]], str]
) -> list[dict[str, Any]]:
    """Train runs one after the other.

    Args:
        hint: what to do after an interruption, given the labels of the runs that remain.

    Raises:
        Interrupted: with the hint.
    """
    results = []
    for number, member in enumerate(members):
        console.log = None  # each run opens its own
        try:
            results.append(member.train())
        except Interrupted as stop:
            remaining = [other.label for other in members[number + 1 :]]
            raise Interrupted(f"{stop}{hint(remaining)}", stop.signal_number) from None
    return results


def mean_and_spread(finals: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The ``mean`` and ``spread`` (standard deviation, n - 1) of each final metric that all runs have."""
    names: Iterable[str] = [name for name in finals[0] if all(name in final for final in finals)]
    return {
        "mean": {name: float(np.mean([final[name] for final in finals])) for name in names},
        "spread": {name: deviation([final[name] for final in finals]) or 0.0 for name in names},
    }
