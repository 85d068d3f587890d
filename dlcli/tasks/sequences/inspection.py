"""What ``dlcli data`` reports about sequences: texts, series and pairs of texts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.data.images.duplicates import copies
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.tasks.inspection import Finding, Named, about_alike, about_counts, about_warnings, report, some


def check(dataset: SequenceDataset, *, classes_are_predicted: bool = True) -> dict[str, Any]:
    """What ``dlcli data check`` writes about a data set of sequences.

    Args:
        classes_are_predicted: False where a class is an input, as of a language model: then a text may have several.
    """
    findings = [
        *about_warnings(dataset),
        *_about_samples(dataset, classes_are_predicted=classes_are_predicted),
        *_about_values(dataset),
    ]
    return report(counts(dataset), findings)


def counts(dataset: SequenceDataset) -> dict[str, dict[str, int]]:
    """The samples of each class by split (words of each tag); all samples where there are no classes."""
    if dataset.classes == ("",):
        return {name: {"samples": len(split)} for name, split in dataset.splits.items()}
    found = {}
    for name, split in dataset.splits.items():
        labels = split.labels if split.tags is None else split.tags.flat
        numbers = np.bincount(labels, minlength=len(dataset.classes)).tolist()
        found[name] = dict(zip(dataset.classes, numbers, strict=True))
    return found


def _about_samples(dataset: SequenceDataset, *, classes_are_predicted: bool) -> Iterator[Finding]:
    """Copies, contradicting labels, and classes."""
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
    # a text may well be translated, and a measurement turn out, in more than one way
    labels = goals if classes_are_predicted and not (is_number or is_pair) else [""] * len(goals)
    yield from about_alike("copies", groups, Named(names, splits, labels), "samples", "the same")
    several = [group for group in groups if len({goals[i] for i in group}) > 1] if is_pair else []
    if several:
        examples = some([f"{names[group[0]]} and {names[group[1]]}" for group in several])
        text = f"{len(several):,} of the texts given have several answers: {examples}"
        yield Finding("several answers", False, text, tuple(tuple(names[i] for i in group) for group in several))
    if dataset.classes != ("",):
        is_tagged = any(samples.tags is not None for samples in dataset.splits.values())
        yield from about_counts(counts(dataset), absent_is_problem=not is_tagged, has_weights=not is_tagged)


def _about_values(dataset: SequenceDataset) -> Iterator[Finding]:
    train = dataset.splits["train"].values
    if train is None:
        return
    for name, column in zip(dataset.feature_names, train.flat.T, strict=True):
        missing = float(np.isnan(column).mean())
        if missing > 0:
            yield Finding("missing", missing == 1, f"{name}: {missing:.1%} of the values are missing", ())
        if missing < 1 and np.nanmin(column) == np.nanmax(column):
            yield Finding("constant", False, f"{name} has one value throughout the training split", ())


# Statistics -----------------------------------------------------------------------------------------------------------


def stats(dataset: SequenceDataset) -> dict[str, Any]:
    """Lengths of the samples of each split, and statistics of the features in the training split.

    Returns ``samples``, ``lengths`` (minimum, median, maximum by split and unit), ``features`` (name, mean, std,
    missing) and ``texts``, which is empty here.
    """
    lengths = {
        name: {unit: [int(measure(numbers)) for measure in (np.min, np.median, np.max)] for unit, numbers in found}
        for name, split in dataset.splits.items()
        if (found := list(_lengths(split)))
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
    for noun, texts in (("", split.texts), (" wanted", split.answers)):
        if texts is not None:
            yield f"words{noun}", np.array([len(text.split()) for text in texts])
            yield f"characters{noun}", np.array([len(text) for text in texts])


def feature_statistics(names: Sequence[str], rows: np.ndarray) -> list[dict[str, Any]]:
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
