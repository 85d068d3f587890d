"""What a command says while it works: on stderr, and in the run's train.log once there is a run.

In a terminal, a bar with rate and time left; elsewhere one line an epoch. Results are not console: they go to stdout.
"""

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from rich import console as rich_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dlcli.rundir import append_line, now


class _Terminal(rich_console.Console):
    """A console that falls silent where nobody listens any more, as behind ``| head``: no reason to stop working."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Console:
    """Says things, shows progress, and observes the training loop."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = _Terminal(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bars = self._console.is_terminal and not quiet
        self._bar: Progress | None = None
        self._label = ""
        self._epoch_began = time.monotonic()
        self.log: Path | None = None

    def say(self, text: str) -> None:
        """A line of information."""
        self._print(text)
        self.note(text)

    def warn(self, text: str) -> None:
        """A line that the user should not miss: it is said even when quiet."""
        if self._quiet:
            with contextlib.suppress(OSError):
                print(f"warning: {text}", file=sys.stderr)
        else:
            self._print(f"warning: {text}", style="yellow")
        self.note(f"warning: {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        with contextlib.suppress(OSError):  # a full disk behind a redirection
            self._console.print(text, markup=False, style=style)

    def note(self, text: str) -> None:
        """A line for the run's train.log alone."""
        if self.log is not None:
            for line in text.splitlines():
                append_line(self.log, f"{now()} {line}")

    # Progress ---------------------------------------------------------------------------------------------------------

    def reading(self, done: int, total: int) -> None:
        """Images read of all that are to be."""
        self._show("reading images", done, total, "")
        if done == total:
            self.close()

    def evaluating(self, done: int, total: int) -> None:
        """Batches evaluated of all that are to be."""
        self._show("evaluating", done, total, "")
        if done == total:
            self.close()

    def computing_features(self, done: int, total: int) -> None:
        """Batches of which features are computed of all that are to be."""
        self._show("computing features", done, total, "")
        self._epoch_began = time.monotonic()  # an epoch's time is that of its steps

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
            self._bar.add_task(label, total=total, details=details)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, details=details)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    # The training loop's observer -------------------------------------------------------------------------------------

    def stage(self, name: str, num_epochs: int) -> None:
        self._epoch_began = time.monotonic()
        self.say(f"stage {name}: {num_epochs} epochs" if num_epochs != 1 else f"stage {name}: 1 epoch")

    def stopping(self) -> None:
        self._print("stopping after this step; Ctrl-C again stops at once")

    def progress(
        self, epoch: int, num_epochs: int, step: int, num_steps: int, samples_per_second: float, loss: float
    ) -> None:
        details = f"{samples_per_second:,.0f} samples/s  loss {loss:.4f}"
        self._show(f"epoch {epoch}/{num_epochs}", step, num_steps, details)

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self.close()
        metrics = "  ".join(f"{key} {value:.4f}" for key, value in row.items() if key.startswith(("train_", "val_")))
        seconds = time.monotonic() - self._epoch_began
        self._epoch_began = time.monotonic()
        best = "  best" if is_best else ""
        self.say(f"epoch {row['epoch']}/{num_epochs}  {metrics}  {seconds:.1f} s{best}")
