"""Shared by the benchmarks: alternating runs, medians, and a description of the machine."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MNIST = ROOT.parent / "shared" / "data" / "mnist" / "mnist.npz"


def machine() -> str:
    """Processor, cores and versions, for the record."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def alternate(
    runners: dict[str, Callable[[int], None]],
    *,
    rounds: int,
    warmups: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Calls all runners in turn, ``rounds`` times after the warm-ups; returns the seconds of each call by name.

    Args:
        clock: ``time.process_time`` on a machine where other programs are at work.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(warmups + rounds):
        for name, run in runners.items():
            start = clock()
            run(number)
            if number >= warmups:
                seconds[name].append(clock() - start)
    return seconds


def report(title: str, seconds: dict[str, list[float]], *, of: str, num_steps: int) -> dict[str, float]:
    """Prints medians, and the median ratio of the time of ``of`` to that of each runner; returns these ratios."""
    print(f"\n{title}")
    ratios = {}
    for name, values in seconds.items():
        pairs = [a / b for a, b in zip(seconds[of], values, strict=True)]
        ratios[name] = statistics.median(pairs)
        spread = f"{min(pairs):.2f} to {max(pairs):.2f}"
        each = statistics.median(values) / num_steps * 1e3
        print(f"  {name:26} {each:8.3f} ms/step   {of} / {name} = {ratios[name]:.2f} ({spread})")
    return ratios


def mnist_like(num_samples: int = 60_000) -> tuple[Any, Any]:
    """MNIST's training images uint8 ``[n, 28, 28, 1]`` and labels int32 ``[n]``; random data if it is not available."""
    import numpy as np

    if MNIST.is_file():
        with np.load(MNIST, allow_pickle=False) as file:
            return file["x_train"][:num_samples, :, :, None], file["y_train"][:num_samples].astype(np.int32)
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num_samples, 28, 28, 1), np.uint8), rng.integers(0, 10, num_samples, np.int32)


class Silence:
    """An observer of the loop that does nothing."""

    def stage(self, *args: Any) -> None: ...
    def progress(self, *args: Any) -> None: ...
    def epoch(self, *args: Any) -> None: ...


def dlcli_epochs(
    model: Any, goal: Any, data: Any, *, rate: float, folder: Path, xla: bool = False
) -> Callable[[int], None]:
    """A function that trains an epoch as `dlcli train` does, with Adam."""
    import keras

    from dlcli.rundir.directory import RunDir
    from dlcli.training import loop, schedule

    training = loop.Loop(
        run=RunDir(folder),
        model=model,
        train_objective=goal,
        validation_objective=goal,
        train_data=data,
        validation_data=None,
        stages=[
            loop.Stage(
                name="train",
                num_epochs=1000,
                rate=schedule.constant(learning_rate=rate),
                learning_rate=rate,
                optimizer=lambda variables: keras.optimizers.Adam(rate),
                prepare=lambda: None,
            )
        ],
        settings=loop.Settings(best_metric="train_loss", xla=xla),
        observer=Silence(),
    )
    return epochs_of(training)


def epochs_of(training: Any) -> Callable[[int], None]:
    """A function that trains an epoch of a loop."""

    def epoch(number: int) -> None:
        training.state.epoch, training.state.epoch_step = number, 0
        training.train_epoch()

    return epoch
