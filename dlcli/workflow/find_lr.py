"""``dlcli find-lr``: a learning-rate range test on a recipe's own data, augmentation, network, loss and optimizer."""

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import CheckFailed, Interrupted
from dlcli.recipe.load import LoadedRecipe
from dlcli.report.plots.range_test import range_test_curve
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import replace_file
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.job import Job, describe
from dlcli.tasks.optimization import stage_sections
from dlcli.tasks.run_models import with_run_files
from dlcli.training.range_test import RangeTest, exponential_range, range_test
from dlcli.workflow.dry_run import SECONDS_BETWEEN_LINES

STEEPEST = "steepest descent"
MINIMUM_TENTH = "a tenth of the minimum"
RUN = "find-lr"  # the name of the run that training writes to
MIN_STEPS = 3  # fewer have no slope


def find_learning_rate(
    loaded: LoadedRecipe,
    output: Path,
    *,
    runs: Path,
    rates: tuple[float, float],
    num_steps: int,
    stage: int,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train one step at each of ``num_steps`` learning rates, and suggest one. No run is created.

    The step is that of a stage, with its optimizer, clipping, accumulation and precision, from the weights that it
    starts with, at the tested rates in place of the schedule. The curve is written to ``output`` and, as a table,
    to the CSV file of the same name.

    Args:
        rates: the first and the last learning rate.
        stage: the index of the stage; those before it are trained first.

    Raises:
        CheckFailed: the loss is not finite from the start, or does not fall by more than its noise.
    """
    train = loaded.recipe.train
    job = prepare(with_run_files(loaded, runs), device, console)
    describe(job, None)
    own_rate = stage_sections(train)[stage].learning_rate or train.optimizer.learning_rate
    with contextlib.ExitStack() as stack:
        if stage > 0:  # checkpoints of the stages before it
            runs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dlcli-")))
            (runs / RUN).mkdir()
        test = _test(job, exponential_range(*rates, num_steps), stage, runs=runs, base=own_rate)
    suggestions = {} if test.steepest is None else {STEEPEST: float(test.learning_rates[test.steepest])}
    if suggestions:
        suggestions[MINIMUM_TENTH] = test.minimum_tenth
    table = output.with_suffix(".csv")
    _write(test, output, table, suggestions=suggestions, own_rate=own_rate)
    if not suggestions:
        raise CheckFailed(
            f"no suggestion: the loss does not fall by more than its noise between the learning rates {rates[0]:g} and "
            f"{test.learning_rates[-1]:g}; see {output}. Raise --steps, lower --from or raise --to, or "
            "check the data with dlcli train --overfit."
        )
    return {
        "stage": stage_sections(train)[stage].name,
        "suggestions": {name.replace(" ", "_"): rate for name, rate in suggestions.items()},
        "own_rate": own_rate,
        "initial_loss": test.initial_loss,
        "lowest_loss": float(test.smoothed[test.lowest]),
        "lowest_at": float(test.learning_rates[test.lowest]),
        "diverged_at": float(test.learning_rates[-1]) if test.diverged else None,
        "steps": len(test.losses),
        "plot": str(output),
        "table": str(table),
    }


def _test(job: Job, learning_rates: Any, stage: int, *, runs: Path, base: float) -> RangeTest:
    console, last_line = job.console, time.monotonic()

    def progress(done: int, rate: float, loss: float) -> None:
        nonlocal last_line
        console.testing_rates(done, len(learning_rates), rate, loss)
        if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            console.say(f"step {done:,} of {len(learning_rates):,}: learning rate {rate:.2g}, loss {loss:.4g}")

    try:
        # for the first stage the run is never created: only the cache of features, which all runs share, is beside it
        step, data = job.loop(RunDir(runs / RUN), console).begin(stage)
        test = range_test(step, data, learning_rates=learning_rates, base=base, progress=progress)
    except Interrupted as stop:
        raise Interrupted("stopped before the test; nothing is kept", stop.signal_number) from None
    except Exception:
        failure: Exception | None = getattr(job.train_data, "failure", None)  # data that could not be read
        if failure is not None:
            raise failure from None
        raise
    finally:
        console.close()
    if len(test.losses) < MIN_STEPS or not np.isfinite(test.losses).all():
        raise CheckFailed(
            f"the loss or gradient is not finite in step {len(test.losses) + 1}, at the learning rate "
            f"{learning_rates[len(test.losses)]:g}. Try a lower --from, or train.gradient_clipping."
        )
    return test


def _write(test: RangeTest, output: Path, table: Path, *, suggestions: dict[str, float], own_rate: float) -> None:
    rows = zip(test.learning_rates.tolist(), test.losses.tolist(), test.smoothed.tolist(), strict=True)
    numbered = ([number, *(f"{value:.9g}" for value in row)] for number, row in enumerate(rows, start=1))
    replace_file(table, csv_text(["step", "learning_rate", "loss", "smoothed_loss"], numbered))
    curve = range_test_curve(
        test.learning_rates, test.losses, test.smoothed, suggestions=suggestions, own_rate=own_rate
    )
    replace_file(output, curve)
