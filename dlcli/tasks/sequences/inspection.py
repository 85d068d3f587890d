"""What ``dlcli data`` reports about sequences: texts, series and pairs of texts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.data.images.duplicates import copies
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.tasks.checks import too_constant
from dlcli.tasks.inspection import (
    Finding,
    NamedSamples,
    class_findings,
    duplicate_findings,
    incomplete_findings,
    report,
    similar_findings,
    some,
    warning_findings,
)
from dlcli.tasks.several_labels import label_findings


def check(dataset: SequenceDataset, *, classes_are_predicted: bool = True) -> dict[str, Any]:
    """The report of ``dlcli data check`` on a data set of sequences.

    Args:
        classes_are_predicted: False if the class is an input, as in a language model: then a text may have several.
    """
    findings = [
        *warning_findings(dataset),
        *_sample_findings(dataset, classes_are_predicted=classes_are_predicted),
        *_value_findings(dataset),
        *_target_findings(dataset),
    ]
    return report(counts(dataset), findings)


def counts(dataset: SequenceDataset) -> dict[str, dict[str, int]]:
    """The number of samples of each class (of each label, words of each tag), by split; of all samples if there are no
    classes."""
    if dataset.classes == ("",):
        return {name: {"samples": len(split)} for name, split in dataset.splits.items()}
    by_split = {}
    for name, split in dataset.splits.items():
        if split.applies is not None:
            numbers = (split.applies == 1).sum(axis=0).tolist()
            by_split[name] = dict(zip(dataset.classes, numbers, strict=True))
            continue
        labels = split.labels if split.tags is None else split.tags.flat
        numbers = np.bincount(labels, minlength=len(dataset.classes)).tolist()
        by_split[name] = dict(zip(dataset.classes, numbers, strict=True))
    return by_split


def _sample_findings(dataset: SequenceDataset, *, classes_are_predicted: bool) -> Iterator[Finding]:
    """Findings about duplicates, conflicting labels, and classes."""
    names: list[str] = []
    splits: list[str] = []
    digests: list[str] = []
    goals: list[str] = []
    for split, samples in dataset.splits.items():
        names += samples.names
        splits += [split] * len(samples)
        digests += samples.digests
        goals += dataset.goals(samples)
    groups = copies(digests)
    is_number = any(samples.targets is not None for samples in dataset.splits.values())
    is_pair = any(samples.answers is not None for samples in dataset.splits.values())
    # a text can have several translations, and a measurement several results: those are no conflicts
    labels = goals if classes_are_predicted and not (is_number or is_pair) else [""] * len(goals)
    yield from duplicate_findings("duplicates", groups, NamedSamples(names, splits, labels), "identical samples")
    several = [group for group in groups if len({goals[i] for i in group}) > 1] if is_pair else []
    if several:
        examples = some([f"{names[group[0]]} and {names[group[1]]}" for group in several])
        verb = "source text has" if len(several) == 1 else "source texts have"
        text = f"{len(several):,} {verb} several targets: {examples}"
        yield Finding("several targets", False, text, tuple(tuple(names[i] for i in group) for group in several))
    has_labels = any(samples.applies is not None for samples in dataset.splits.values())
    if dataset.classes != ("",) and not has_labels:
        is_tagged = any(samples.tags is not None for samples in dataset.splits.values())
        remedies = "train.class_weights" if is_tagged else "train.class_weights and data.sampling"
        yield from class_findings(counts(dataset), remedies=remedies)


def _target_findings(dataset: SequenceDataset) -> Iterator[Finding]:
    """Findings about labels and numbers of texts."""
    yield from incomplete_findings(dataset.left_out, stops=False)
    splits = {name: samples.applies for name, samples in dataset.splits.items() if samples.applies is not None}
    if splits:
        yield from similar_findings(dataset.classes, nouns="labels")
    yield from label_findings(splits, dataset.classes, samples="texts")
    train = dataset.splits["train"]
    if train.targets is not None and train.texts is not None:
        reason = too_constant("the number to predict", train.targets)
        if reason is not None:
            yield Finding("constant target", True, f"{reason}. Training refuses it", ())


def _value_findings(dataset: SequenceDataset) -> Iterator[Finding]:
    train = dataset.splits["train"].values
    if train is None:
        return
    for name, column in zip(dataset.feature_names, train.flat.T, strict=True):
        missing = float(np.isnan(column).mean())
        if missing > 0:
            yield Finding("missing values", missing == 1, f"{name}: {missing:.1%} of the values are missing", ())
        if missing < 1 and np.nanmin(column) == np.nanmax(column):
            yield Finding("constant", False, f"{name} is constant in the training split", ())


# Statistics -----------------------------------------------------------------------------------------------------------


def stats(dataset: SequenceDataset) -> dict[str, Any]:
    """Compute the lengths of the samples of each split, and statistics of the features in the training split.

    Returns:
        ``samples``, ``lengths`` (minimum, median, maximum by split and unit), ``features`` (name, mean, std, missing)
        and ``texts``, which is empty here.
    """
    lengths = {
        name: {unit: [int(measure(numbers)) for measure in (np.min, np.median, np.max)] for unit, numbers in by_unit}
        for name, split in dataset.splits.items()
        if (by_unit := list(_lengths(split)))
    }
    train = dataset.splits["train"].values
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "lengths": lengths,
        "features": [] if train is None else feature_statistics(dataset.feature_names, train.flat),
        "texts": {},
    }


def _lengths(split: Sequences) -> Iterator[tuple[str, np.ndarray]]:
    if split.values is not None:
        yield "steps", split.values.lengths
    if split.words is not None:
        yield "words", np.array([len(words) for words in split.words])
    for suffix, texts in (("", split.texts), (" (target)", split.answers)):
        if texts is not None:
            yield f"words{suffix}", np.array([len(text.split()) for text in texts])
            yield f"characters{suffix}", np.array([len(text) for text in texts])


def feature_statistics(names: Sequence[str], rows: np.ndarray) -> list[dict[str, Any]]:
    """Name, mean, std and proportion of missing values of each column that has any values."""
    measures: tuple[tuple[str, Callable[..., Any]], ...] = (("mean", np.nanmean), ("std", np.nanstd))
    return [
        {
            "name": name,
            **{key: float(measure(column, dtype=np.float64)) for key, measure in measures},
            "missing": float(np.isnan(column).mean()),
        }
        for name, column in zip(names, rows.T, strict=True)
        if not np.isnan(column).all()
    ]
