"""What a run directory says, as far as it is there: the source of every section of a report."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, read_file
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import MAX_METRICS_BYTES, read_json
from dlcli.rundir.tables import read_csv
from dlcli.training.direction import lower_is_better
from dlcli.workflow.headline import final_metrics, task_of_info

MAX_OLD_BYTES = 2**26  # of a report or card that is replaced
ABBREVIATIONS = {
    **{name.lower(): name for name in ("AP", "AP50", "AP75", "AR", "AR1", "AR10", "AR100", "AUC", "CI", "F1", "HOG")},
    **{name.lower(): name for name in ("Brier", "Dice", "Hamming", "Matthews", "TF-IDF")},
    **{name.lower(): name for name in ("CRPS", "IoU", "MAE", "MASE", "MSE", "NLL", "NMS", "R2", "RMSE", "ROC", "VOC")},
}
"""Words in the names of metrics that people write in capitals."""


@dataclass(frozen=True)
class Facts:
    """A run as a report needs it.

    Attributes:
        run: its directory.
        info: the content of run.json.
        metrics: the evaluation of the best model, metrics.json; empty if there is none.
    """

    run: RunDir
    info: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The folder of the evaluation, which may not exist."""
        return self.run.evaluation(self.split)

    @property
    def split(self) -> str:
        return str(self.info.get("evaluated") or "test")

    @property
    def task(self) -> type[Any] | None:
        """The schema of the run's task; None for a task that this program does not have."""
        return task_of_info(self.info)

    @property
    def headline(self) -> tuple[str, float] | None:
        """Name, without the split, and value of the headline metric; None for a run that was never evaluated."""
        metrics = () if self.task is None else (self.task.special_headline, self.task.headline)
        values = {metric: self._value(metric) for metric in metrics if metric is not None}
        return next(((metric, value) for metric, value in values.items() if value is not None), None)

    @property
    def baselines(self) -> dict[str, float]:
        """What baselines reach in the headline metric."""
        names = () if self.task is None else self.task.baselines
        if self.task is not None and self.headline is not None and self.headline[0] == self.task.special_headline:
            names = (f"baseline_{self.headline[0]}",)
        values = {name: self._value(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def _value(self, metric: str) -> float | None:
        """A metric of the evaluation, or, without its files, of run.json."""
        value = self.metrics.get(metric) if self.metrics else final_metrics(self.info).get(f"{self.split}_{metric}")
        return float(value) if isinstance(value, (int, float)) and is_number(value) else None

    @property
    def best_baseline(self) -> float | None:
        """The best value of a baseline in the headline metric."""
        if self.headline is None or not self.baselines:
            return None
        choose = min if lower_is_better(self.headline[0]) else max
        return choose(self.baselines.values())

    def interval_text(self, metric: str) -> str:
        """The 95% interval of a metric as text; empty for metrics without one."""
        found = self.interval(metric)
        return "" if found is None else f"{found[0]:.4f} to {found[1]:.4f}"

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95% interval of a metric of the evaluation; None for metrics without one."""
        intervals = self.metrics.get("intervals")
        found = intervals.get(metric) if isinstance(intervals, Mapping) else None
        return (float(found[0]), float(found[1])) if isinstance(found, Sequence) and len(found) == 2 else None

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table of the evaluation; none if there is no such table."""
        path = self.folder / name
        return read_csv(path) if path.exists() else []


def read_facts(run: RunDir) -> Facts:
    """Read a run, whether it is complete or not.

    Raises:
        InputError: run.json, or the evaluation, is corrupt.
    """
    info = run.read_info()
    facts = Facts(run, {**info, "status": run.status()}, {})
    path = facts.folder / "metrics.json"
    return Facts(run, facts.info, read_json(path, MAX_METRICS_BYTES)) if path.exists() else facts


def existing(path: Path) -> bytes | None:
    """The content of a file that is to be replaced; None if there is none.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return read_file(path, MAX_OLD_BYTES)
    except NoFile:
        return None
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Remove it, or name another file with --output.") from None


@contextlib.contextmanager
def values_of_others(runs: Sequence[RunDir]) -> Iterator[None]:
    """A context in which values of a run that dlcli never writes, as in a run from a stranger, are bad input.

    Raises:
        InputError: names the runs and the kind of value.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        names = " or ".join(str(run.path) for run in runs)
        raise InputError(
            f"{names}: is corrupt: has a value that dlcli does not write ({type(error).__name__}: {error}). Restore it "
            "from a copy."
        ) from error


def newest_results(folder: Path, file: str, *, model: Any) -> list[tuple[str, dict[str, Any]]]:
    """The results folders of a verb for the run's current model, the newest first: name and content of ``file``.

    What cannot be read, and results of an earlier model, are left out.
    """
    found = []
    for path in sorted(folder.glob(f"*/{file}"), key=lambda path: (-path.stat().st_mtime, path)):
        with contextlib.suppress(InputError, OSError):
            content = read_json(path)
            if content.get("sha256") == model:
                found.append((path.parent.name, content))
    return found


def is_better(metric: str, value: float, other: float) -> bool:
    """Whether a value of a metric is better than another one."""
    return value < other if lower_is_better(metric) else value > other


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a number, which can be shown."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def spoken(name: str) -> str:
    """The name of a metric in words: ``mean IoU`` for ``mean_iou``."""
    return " ".join(ABBREVIATIONS.get(word, word) for word in name.replace("tf_idf", "tf-idf").split("_"))


def capitalized(text: str) -> str:
    """A sentence with a capital first letter."""
    return text[:1].upper() + text[1:]
