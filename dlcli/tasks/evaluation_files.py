"""Writes the files of an evaluation: metrics.json, tables and plots."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from dlcli.data.listing import name_some
from dlcli.evaluation.class_predictions import MANY_CLASSES, ScoredClasses
from dlcli.evaluation.classification import most_confused, neglect
from dlcli.printing import json_text
from dlcli.report.plots import classification as classification_plots
from dlcli.report.plots.classification import ClassCurve
from dlcli.report.plots.figure import NOT_DRAWABLE, without_glyph
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import now
from dlcli.rundir.tables import write_rows
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.startup import started_device
from dlcli.tasks.probability_file import ProbabilityFile
from dlcli.tasks.split_choice import OWN_DATA
from dlcli.tasks.task import EvaluationRequest

Rows = Iterable[Mapping[str, Any]]

NUM_CONFUSED = 30  # classes in the plot of a confusion matrix that is too large to be seen


@dataclass(frozen=True)
class Source:
    """What an evaluation is of, as metrics.json names it.

    Attributes:
        data: the path of other data than the run's own.
        epoch: the epoch of the model, if the run is not complete.
        trained_on: the number of samples that are also in the run's training split; None if they were not compared.
        split: of the run's own data, by tasks on images; None for other data.
    """

    data: str = OWN_DATA
    epoch: int | None = None
    trained_on: int | None = None
    split: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be known besides the metrics, by name."""
        facts = {"epoch": self.epoch, "trained_on": self.trained_on}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True)
class Destination:
    """Where the results of an evaluation are written, and in which form.

    Attributes:
        folder: ``evaluation/<split>/`` of the run.
        source: what is evaluated.
        request: the options of ``dlcli evaluate``; at the end of training, none.
    """

    folder: Path
    source: Source = Source()
    request: EvaluationRequest = field(default_factory=EvaluationRequest)

    @property
    def run_info(self) -> Path:
        """The run.json of the run, for messages about what it records."""
        return self.folder.parents[1] / "run.json"

    def probability_file(self, num_samples: int, num_classes: int) -> ProbabilityFile | None:
        """Where the probabilities of all classes are kept until they are written; None if they are not wanted."""
        if not self.request.all_probabilities:
            return None
        return ProbabilityFile(self.folder.parents[1], num_samples=num_samples, num_classes=num_classes)


class HasDigests(Protocol):
    """The samples of a split, by their contents."""

    @property
    def digests(self) -> Sequence[str]: ...


def destination_after_training(run: RunDir, splits: Mapping[str, HasDigests], split: str) -> Destination:
    """Where the evaluation at the end of training goes, with the facts that ``dlcli evaluate`` would state."""
    trained = set(splits["train"].digests)
    trained_on = sum(digest in trained for digest in splits[split].digests)
    return Destination(run.evaluation(split), Source(trained_on=trained_on, split=split))


def write_evaluation(
    to: Destination,
    metrics: Mapping[str, Any],
    *,
    tables: Mapping[str, Rows],
    others: Mapping[str, bytes | str | Callable[[Path], None]],
) -> None:
    """Write metrics.json and the task's other files: a folder with exactly these, which is renamed when complete.

    Args:
        tables: the rows of each .csv file, by file name; at least one row each.
        others: the content of each other file by its name, or a function that writes it.
    """
    content = {
        "data": to.source.data,
        "evaluated": now(),
        "environment": environment(started_device()),
        **to.source.facts,
        **metrics,
    }
    replace_folder(
        to.folder,
        {
            "metrics.json": json_text(content, allow_nan=False) + "\n",
            **{
                name: functools.partial(write_rows, rows=rows, safe=to.request.safe_csv)
                for name, rows in tables.items()
            },
            **others,
        },
    )


def write_classification(
    to: Destination,
    metrics: Mapping[str, Any],
    scored: ScoredClasses,
    classes: Sequence[str],
    *,
    names: Sequence[str],
    per_class: Rows,
    predictions: Rows,
    others: Mapping[str, bytes | str],
    console: Console,
    probabilities: ProbabilityFile | None = None,
    more_tables: Mapping[str, Rows] = MappingProxyType({}),
) -> None:
    """Write the files of a classifier's evaluation: also per_class.csv, predictions.csv, confusion_matrix.png, roc.png
    and precision_recall.png.

    With many classes, the confusion matrix is in confusion_matrix.csv, without its zeros, its plot shows the classes
    that are confused most often, and there are no curves.
    """
    report_missing_glyphs(console, classes, what="plots")
    tables: dict[str, Rows] = {"per_class.csv": per_class, "predictions.csv": predictions, **more_tables}
    files: dict[str, bytes | str | Callable[[Path], None]] = dict(others)
    if len(classes) <= MANY_CLASSES:
        files["confusion_matrix.png"] = classification_plots.confusion_matrix(metrics["confusion_matrix"], classes)
    else:
        found = scored.confusions
        tables["confusion_matrix.csv"] = (
            {"label": classes[label], "predicted": classes[predicted], "count": count}
            for label, predicted, count in found.tolist()
        )
        files["confusion_matrix.png"] = classification_plots.confused_classes(
            found, most_confused(found, NUM_CONFUSED), classes
        )
    files |= _curves(scored, classes)
    if probabilities is not None:
        arrays = {"label": scored.labels, "file": np.array(names), "classes": np.array(classes)}
        files["probabilities.npz"] = functools.partial(probabilities.save, arrays=arrays)
    write_evaluation(to, metrics, tables=tables, others=files)


def report_missing_glyphs(console: Console, texts: Iterable[str], *, what: str) -> None:
    """Say which characters of texts that are drawn no installed font has.

    Args:
        what: they are drawn in, such as plots.
    """
    if missing := without_glyph(texts):
        console.say(
            f"{what}: no installed font has {name_some(missing)}, drawn as {NOT_DRAWABLE}; "
            "install a Noto font of the script"
        )


def _curves(scored: ScoredClasses, classes: Sequence[str]) -> dict[str, bytes]:
    """The plots of each class against all others, of two classes the second one."""
    found = dict(zip(classes, scored.curves, strict=False))
    if len(classes) == 2:
        del found[classes[0]]
    known = {name: curve for name, curve in found.items() if curve is not None}
    if not known:
        return {}
    roc = [
        ClassCurve(name, curve.false_positive_rate, curve.true_positive_rate, curve.roc_auc)
        for name, curve in known.items()
    ]
    precision_recall = [
        ClassCurve(name, curve.true_positive_rate[1:], curve.precision, curve.average_precision)
        for name, curve in known.items()
    ]
    return {
        "roc.png": classification_plots.roc(roc),
        "precision_recall.png": classification_plots.precision_recall(precision_recall),
    }


def report_neglect(
    console: Console,
    metrics: Mapping[str, Any],
    scored: ScoredClasses,
    classes: Sequence[str],
    *,
    suggests_weights: bool,
) -> None:
    """Say what a high accuracy hides: classes that are never predicted, or a low recall of rare classes.

    Args:
        suggests_weights: whether train.class_weights may be set, and is not.
    """
    text = neglect(metrics, scored, classes)
    if text:
        console.say(text + ("; see train.class_weights and data.sampling" if suggests_weights else ""))
