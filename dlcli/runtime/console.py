"""Messages and progress of a command, on stderr and, once there is a run, in the run's train.log.

A terminal shows a progress bar with rate and time left; other outputs get one line per epoch, and one every ten seconds
while images are read. Results go to stdout, not through the console.
"""

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from rich import console as rich_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dlcli.errors import raise_lost_stop
from dlcli.printing import escaped, escaped_line
from dlcli.rundir.runs import now
from dlcli.rundir.writing import append_line

SECONDS_PER_LINE = 10.0  # between lines about progress where there is no terminal


class _Terminal(rich_console.Console):
    """A console that stops printing, instead of exiting, when its pipe is closed, as by ``| head``."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Console:
    """Prints messages, shows progress, and observes the training loop."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = _Terminal(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bars = self._console.is_terminal and not quiet
        self._bar: Progress | None = None
        self._label = ""
        self._reading_since: float | None = None  # time of the last line, or of the first image
        self._epoch_start = time.monotonic()
        self.log: Path | None = None

    def say(self, text: str) -> None:
        """Print and log a line of information."""
        self._print(text)
        self.note(text)

    def warn(self, text: str) -> None:
        """Print and log a warning, even when quiet."""
        if self._quiet:
            with contextlib.suppress(OSError):
                print(escaped(f"warning: {text}"), file=sys.stderr)
        else:
            self._print(f"warning: {text}", style="yellow")
        self.note(f"warning: {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        with contextlib.suppress(OSError):  # a full disk behind a redirection
            self._console.print(escaped(text), markup=False, style=style)

    def note(self, text: str) -> None:
        """Write a line to the run's train.log only."""
        if self.log is not None:
            for line in escaped(text).split("\n"):
                append_line(self.log, f"{now()} {line}")

    # Progress ---------------------------------------------------------------------------------------------------------

    def reading(self, done: int, total: int) -> None:
        """Show the number of images read, out of the total."""
        raise_lost_stop()
        self._show("reading images", done, total, "")
        if not self._bars and not self._quiet:
            self._report_reading(done, total)
        if done == total:
            self.close()

    def _report_reading(self, done: int, total: int) -> None:
        """Print a line every SECONDS_PER_LINE, so that a log shows that a command with much to read is at work."""
        seconds = time.monotonic()
        if self._reading_since is None:
            self._reading_since = seconds
        if seconds - self._reading_since >= SECONDS_PER_LINE and done < total:
            self._reading_since = seconds
            self._print(f"reading images: {done:,} of {total:,}")
        if done == total:
            self._reading_since = None

    def evaluating(self, done: int, total: int) -> None:
        """Show the number of batches evaluated, out of the total."""
        raise_lost_stop()
        self._show("evaluating", done, total, "")
        if done == total:
            self.close()

    def computing_features(self, done: int, total: int) -> None:
        """Show the number of batches whose features are computed, out of the total."""
        raise_lost_stop()
        self._show("computing features", done, total, "")
        self._epoch_start = time.monotonic()  # the time of an epoch covers its steps only

    def testing_rates(self, done: int, total: int, learning_rate: float, loss: float) -> None:
        """Show the number of steps of a learning-rate range test, out of the total."""
        raise_lost_stop()
        self._show("range test", done, total, f"learning rate {learning_rate:.2g}  loss {loss:.4g}")

    def _show(self, label: str, done: int, total: int, details: str) -> None:
        if not self._bars:
            return
        if self._bar is None or self._label != label:
            self.close()
            self._label = label
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[details]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(escaped_line(label), total=total, details=details)
            with contextlib.suppress(OSError):  # the terminal is gone
                self._bar.start()
        with contextlib.suppress(OSError):
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, details=escaped_line(details))

    def close(self) -> None:
        """Remove the progress bar."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.stop()
            self._bar = None

    # The training loop's observer -------------------------------------------------------------------------------------

    def stage(self, name: str, num_epochs: int) -> None:
        self._epoch_start = time.monotonic()
        self.say(f"stage {name}: {num_epochs} epochs" if num_epochs != 1 else f"stage {name}: 1 epoch")

    def stopping(self) -> None:
        self._print("stopping after this step; press Ctrl-C again to stop immediately")

    def progress(
        self, epoch: int, num_epochs: int, step: int, num_steps: int, samples_per_second: float, loss: float
    ) -> None:
        details = f"{samples_per_second:,.0f} samples/s  loss {loss:.4f}"
        self._show(f"epoch {epoch}/{num_epochs}", step, num_steps, details)

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self.close()
        metrics = "  ".join(f"{key} {value:.4f}" for key, value in row.items() if key.startswith(("train_", "val_")))
        seconds = time.monotonic() - self._epoch_start
        self._epoch_start = time.monotonic()
        best = "  best" if is_best else ""
        self.say(f"epoch {row['epoch']}/{num_epochs}  {metrics}  {seconds:.1f} s{best}")
