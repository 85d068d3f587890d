"""Means over several seeds, and what to do after an interruption."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlcli.errors import Interrupted
from dlcli.workflow import seeds

ACCURACIES = {3: 0.5, 4: 0.75, 5: 1.0}


def run_seeds(train: Any, monkeypatch: pytest.MonkeyPatch, *, name: str | None = None) -> dict[str, Any]:
    monkeypatch.setattr(seeds, "train", train)
    loaded: Any = lambda seed: SimpleNamespace(seed=seed, recipe=SimpleNamespace(name="digits"))  # noqa: E731
    device: Any = None
    console: Any = SimpleNamespace(log="of the run before")
    return seeds.train_seeds(loaded, range(3, 6), runs=Path("runs"), name=name, device=device, console=console)


def test_mean_and_standard_deviation_over_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(loaded: Any, *, name: str, console: Any, **other: Any) -> dict[str, Any]:
        assert console.log is None  # each run opens its own
        console.log = name
        return {"run": name, "final": {"test_accuracy": ACCURACIES[loaded.seed]}}

    result = run_seeds(train, monkeypatch)
    assert result["runs"] == ["digits-seed3", "digits-seed4", "digits-seed5"]
    assert result["seeds"] == [3, 4, 5]
    assert result["mean"]["test_accuracy"] == pytest.approx(0.75)
    assert result["spread"]["test_accuracy"] == pytest.approx(np.sqrt((0.25**2 + 0 + 0.25**2) / 2))
    names = run_seeds(train, monkeypatch, name="a" * 200)["runs"]
    assert [name[-6:] for name in names] == ["-seed3", "-seed4", "-seed5"]
    assert len(names[0]) < 200


@pytest.mark.parametrize(
    ("stopped", "hint"),
    [(3, "\nThen train the remaining seeds, 4, 5, with --seed."), (5, "")],
)
def test_an_interruption_names_the_seeds_that_remain(stopped: int, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(loaded: Any, **other: Any) -> dict[str, Any]:
        if loaded.seed == stopped:
            raise Interrupted("Resume it.", 15)
        return {"run": "", "final": {}}

    with pytest.raises(Interrupted) as caught:
        run_seeds(train, monkeypatch)
    assert (str(caught.value), caught.value.signal_number) == (f"Resume it.{hint}", 15)
