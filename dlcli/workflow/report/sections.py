"""The sections of a report on one run. Each names what is missing with the command that makes it."""

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile, read_file
from dlcli.report.page.figures import embedded_svg
from dlcli.report.page.page import Image, Section, Table
from dlcli.rundir.tables import read_csv
from dlcli.workflow.report.corrupt_files import corrupt_files
from dlcli.workflow.report.explanations import explanations, maps_of_mistakes
from dlcli.workflow.report.facts import Facts, capitalized, is_better, is_number, newest_results, spoken
from dlcli.workflow.report.images import image_of

MAX_CLASSES = 60  # rows of the table of classes; beyond it, those with the lowest values
MAX_TEXT_BYTES = 2**26
NOT_METRICS = ("samples", "trained_on")  # numbers in metrics.json that are shown elsewhere
RESULT_PLOTS = {
    "confusion_matrix.png": "Confusions: true classes in rows, predicted ones in columns",
    "per_label.png": "Precision, recall and F1 by label",
    "precision_recall.png": "Precision by recall",
    "roc.png": "True positive rate by false positive rate",
    "f1.png": "F1 by the score from which detections count",
    "iou.png": "Intersection over union by class",
    "iou_curve.png": "Share of images by the intersection over union that they reach",
    "ap50.png": "Average precision by class",
    "predictions.png": "Predictions by true values",
    "by_horizon.png": "Error by steps ahead",
    "backtest.png": "Error by origin of the backtest",
}
MISTAKE_PLOTS = {
    "mistakes.png": "The most confident mistakes, with label and prediction",
    "errors.png": "Images with the largest errors",
    "overlays.png": "Images with the best, median and worst masks",
    "detections.png": "Images with the best, median and worst detections",
    "boxes.png": "Images with their true and predicted boxes",
    "forecasts.png": "Forecasts beside the true values",
}
REMARK = re.compile(r"\S+ (?P<text>.*)")
AN_EPOCH = re.compile(r"\S+ epoch \d+/\d+ ")


def sections_of(facts: Facts, *, max_width: int) -> list[Section]:
    """All sections of a run.

    Args:
        max_width: of an image in pixels.
    """
    makers: Sequence[Callable[[Facts, int], Section]] = (
        verdict,
        data,
        curves,
        results,
        mistakes,
        explanations,
        robustness,
        cost,
        reproduction,
        limits,
    )
    return [make(facts, max_width) for make in makers]


def verdict(facts: Facts, max_width: int) -> Section:
    """The headline metric with its interval beside the baselines, and all warnings of the run."""
    warnings = _warnings(facts)
    if facts.headline is None:
        return Section("Verdict", ["The run has no score yet."], warnings, missing=[_evaluation(facts)])
    metric, value = facts.headline
    interval = facts.interval(metric)
    certainty = "" if interval is None else f" (95% interval {facts.interval_text(metric)})"
    lines = [capitalized(f"{spoken(metric)} on the {facts.split} split: {value:.4f}{certainty}.")]
    best = facts.best_baseline
    if best is None:
        return Section("Verdict", [*lines, "There is no baseline to compare it with."], warnings)
    if not is_better(metric, value, best):
        lines.append(f"It does not beat the best baseline, {best:.4f}.")
    elif interval is not None and interval[0] <= best <= interval[1]:
        lines.append(f"It is better than the best baseline, {best:.4f}, which is within the interval.")
    else:
        lines.append(f"It is better than the best baseline, {best:.4f}.")
    rows = [("this run", value), *((spoken(name), other) for name, other in facts.baselines.items())]
    return Section("Verdict", lines, warnings, [Table(["", spoken(metric)], rows)])


def _evaluation(facts: Facts) -> tuple[str, str]:
    """What a report says where there is no evaluation."""
    return "There is no evaluation.", f"dlcli evaluate {_name(facts)}"


def _warnings(facts: Facts) -> list[str]:
    """The warnings in the log, and what was reported after the last epoch; and what an evaluation found in the data."""
    lines = _lines(facts.run.log)
    last = max((number for number, line in enumerate(lines) if AN_EPOCH.match(line)), default=len(lines))
    texts = [match["text"] for line in lines if (match := REMARK.fullmatch(line))]
    found = [text.removeprefix("warning: ") for text in texts if text.startswith("warning: ")]
    found += [text for text in texts[last + 1 :] if not text.startswith(("warning: ", "failed: ", "interrupted: "))]
    trained_on = facts.metrics.get("trained_on")
    if trained_on:
        found.append(f"{trained_on} of {facts.metrics['samples']} samples were trained on: this is not a test score.")
    if facts.info["status"] != "completed":
        found.append(f"The run is {facts.info['status']}: {facts.info.get('reason') or 'no reason is recorded'}.")
    return list(dict.fromkeys([*map(capitalized, found), *corrupt_files(facts.run, facts.info, facts.split)]))


def _lines(path: Path) -> list[str]:
    """The lines of a text file of the run; none if it is missing or cannot be read."""
    try:
        return read_file(path, MAX_TEXT_BYTES).decode("utf-8", "replace").splitlines()
    except BadFile:
        return []


def data(facts: Facts, max_width: int) -> Section:
    """The splits, the classes, what was left out, and images of the first batch."""
    info = facts.info["data"]
    section, splits = facts.info["config"].get("data") or {}, info["samples"]
    lines = [f"Source: {section.get('kind', 'unknown')}{_of_path(section)}. Fingerprint: {info['fingerprint'][:16]}…"]
    if info.get("shape"):
        lines.append(f"Shape of a sample: {'x'.join(str(side) for side in info['shape'])}.")
    if info.get("classes"):
        lines.append(f"{len(info['classes'])} class{'' if len(info['classes']) == 1 else 'es'}.")
    match section.get("allow_leakage"):
        case False:
            lines.append("No sample of another split has the content of a training sample: training refuses such data.")
        case True:
            lines.append(
                "Training samples may be in other splits, too (data.allow_leakage); a warning would count them."
            )
    left_out = info.get("left_out") or []
    if left_out:
        lines.append(f"{len(left_out)} files were left out; run.json has the reason of each.")
    tables = [Table(["split", "samples"], list(splits.items()))]
    shown = image_of(facts.run.plots / "batch.png", "The first training batch as the network sees it", max_width)
    return Section("Data", lines, tables=tables, images=shown)


def _of_path(section: dict[str, Any]) -> str:
    return f", {Path(str(section['path'])).name}" if section.get("path") else ""


def curves(facts: Facts, max_width: int) -> Section:
    """Learning curves, drawn from metrics.csv."""
    from dlcli.report.plots.curves import learning_curves
    from dlcli.report.plots.figure import svg

    rows = read_csv(facts.run.metrics) if facts.run.metrics.exists() else []
    if not rows:
        return Section("Training", ["No epoch is complete."])
    best = facts.info.get("best") or {}
    lines = [
        f"{len(rows)} epoch{'s' if len(rows) > 1 else ''}."
        + (f" The model is that of epoch {best['epoch']}, the best by {best['metric']}." if best else "")
    ]
    drawn = embedded_svg(learning_curves(rows, best_epoch=best.get("epoch"), output=svg))
    return Section("Training", lines, images=[Image(drawn, "Loss, metrics and learning rate by epoch")])


def results(facts: Facts, max_width: int) -> Section:
    """All metrics, the classes, their confusions and the calibration."""
    if not facts.metrics:
        return Section("Results", missing=[_evaluation(facts)])
    rows = [
        (spoken(name), value, facts.interval_text(name))
        for name, value in facts.metrics.items()
        if name not in NOT_METRICS and is_number(value)
    ]
    number = facts.metrics.get("samples")
    counted = f"{number:,}" if isinstance(number, int) else "the"
    has_intervals = any(interval for *_, interval in rows)
    header = ["metric", "value", "95% interval"][: 3 if has_intervals else 2]
    caption = f"On {counted} samples of the {facts.split} split"
    tables = [Table(header, [row[: len(header)] for row in rows], caption)]
    for name in ("per_class.csv", "per_label.csv", "per_target.csv"):
        classes = facts.table(name)
        if classes:
            tables.append(_classes(classes, name))
    images = [image for name, alt in RESULT_PLOTS.items() for image in image_of(facts.folder / name, alt, max_width)]
    missing = []
    if "calibration_error" in facts.metrics and not facts.run.calibration.exists():
        missing.append(("The probabilities are not calibrated.", f"dlcli evaluate {_name(facts)} --calibrate"))
    return Section("Results", tables=tables, images=images, missing=missing)


def _classes(rows: list[dict[str, str]], file: str) -> Table:
    """A row for each class; of many, those with the lowest value of the first rate."""
    columns = [name for name in rows[0] if not name.endswith(("_ci_low", "_ci_high"))][:9]
    caption = f"By {columns[0]}"
    if len(rows) > MAX_CLASSES:
        rate = next((name for name in ("recall", "iou", "ap", "f1") if name in columns), columns[-1])
        rows = sorted(rows, key=lambda row: _number(row[rate]) if isinstance(_number(row[rate]), float) else 2.0)[
            :MAX_CLASSES
        ]
        caption = f"Those {MAX_CLASSES} with the lowest {rate}; {file} has all"
    cells = [[row[columns[0]], *(_number(row[name]) for name in columns[1:])] for row in rows]
    return Table([spoken(name) for name in columns], cells, caption)


def _number(text: str) -> float | int | str:
    """A cell of a table as the number that it holds, else its text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def mistakes(facts: Facts, max_width: int) -> Section:
    """The samples that the evaluation shows: the most confident mistakes, or the best, median and worst images."""
    images = [image for name, alt in MISTAKE_PLOTS.items() for image in image_of(facts.folder / name, alt, max_width)]
    if not facts.metrics:
        return Section("Mistakes", missing=[_evaluation(facts)])
    lines = [] if images else ["The evaluation of this task draws no mistakes."]
    if facts.task is None or "--mistakes" not in facts.task.explanation_options or not images:
        return Section("Mistakes", lines, images=images)
    maps = maps_of_mistakes(facts, max_width)
    missing = [] if maps else [("The mistakes have no maps.", f"dlcli explain {_name(facts)} --mistakes")]
    return Section("Mistakes", lines, images=images + maps, missing=missing)


def robustness(facts: Facts, max_width: int) -> Section:
    """Robust accuracy under each attack of the current model."""
    found = newest_results(facts.run.attacks, "attack.json", model=facts.info.get("model"))
    rows: list[tuple[str, float, float, float]] = []
    for name, _ in found:
        with contextlib.suppress(InputError, OSError, KeyError, ValueError):
            for row in read_csv(facts.run.attacks / name / "robustness.csv"):
                rows.append((name, float(row["eps"]), float(row["clean_accuracy"]), float(row["robust_accuracy"])))
    if not rows:
        if facts.task is None or "attack" not in facts.task.verbs:
            return Section("Robustness", ["dlcli attack does not support this task."])
        missing = [("Robustness is not measured.", f"dlcli attack {_name(facts)} --fgsm")]
        return Section("Robustness", missing=missing)
    images = [
        image
        for file, alt in (("curve.png", "Accuracy by epsilon"), ("examples.png", "Adversarial examples"))
        for image in image_of(facts.run.attacks / found[0][0] / file, alt, max_width)
    ]
    header = ["attack", "epsilon (of the pixel range)", "accuracy before", "accuracy under attack"]
    return Section("Robustness", tables=[Table(header, rows)], images=images)


def cost(facts: Facts, max_width: int) -> Section:
    """Size of the model, and time and device of training."""
    layers = _lines(facts.run.layers)
    rows: list[tuple[str, Any]] = [("network", layers[0])] if layers else [("parameters", facts.info.get("parameters"))]
    if facts.run.model.exists():
        rows.append(("model.keras", f"{facts.run.model.stat().st_size / 2**20:.1f} MiB"))
    if isinstance(facts.info.get("seconds"), (int, float)):
        rows.append(("training", f"{facts.info['seconds']:,.0f} s"))
    rows.append(("device", facts.info.get("device")))
    return Section("Cost", tables=[Table(["", ""], rows)])


def reproduction(facts: Facts, max_width: int) -> Section:
    """The commands, the seed and the versions."""
    versions = facts.info.get("versions") or {}
    lines = [
        f"Seed {facts.info.get('seed')}, started {str(facts.info.get('started'))[:19]} UTC.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        f"SHA-256 of model.keras: {facts.info.get('model') or 'no model'}.",
    ]
    commands = [
        " ".join(map(shlex.quote, map(str, facts.info.get("command") or []))),
        f"dlcli train {shlex.quote(str(facts.run.config))}",
    ]
    return Section("How to reproduce", lines, commands=list(dict.fromkeys(filter(None, commands))))


def limits(facts: Facts, max_width: int) -> Section:
    """What the figures do not say."""
    return Section("Limits", list(_limits_of(facts)))


def _limits_of(facts: Facts) -> Iterator[str]:
    samples = facts.metrics.get("samples")
    if samples:
        yield f"The score is measured on {samples:,} samples, after one training with one seed."
    if facts.split == "validation":
        yield "The validation split chose the best epoch: a test split would give a lower score."
    section = facts.info["config"].get("data") or {}
    if section.get("split_seed") is not None and section.get("test"):
        yield "The test split was drawn at random from the same source: data from elsewhere may give a lower score."
    if facts.info.get("base"):
        yield "The weights were pretrained: what they were trained on is not a part of this report."
    yield "A report cannot say what the model may be used for; a model card (--card) has a place for that."


def _name(facts: Facts) -> str:
    return shlex.quote(str(facts.run.path))
