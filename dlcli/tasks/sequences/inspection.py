"""``dlcli data`` for sequences: checking, describing and dividing texts, series and pairs. Nothing is changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dlcli.data.images.duplicates import copies
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.series.windows import Series
from dlcli.data.text.corpus import LongTexts
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, SequenceRecipe
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.tasks.findings import Finding, Named, about_alike, about_counts, some
from dlcli.tasks.forecasting import sources as forecasting_sources
from dlcli.tasks.forecasting.inspection import about_series
from dlcli.tasks.language_model import sources as language_model_sources
from dlcli.tasks.language_model.inspection import about_texts
from dlcli.tasks.sequence_to_sequence import sources as sequence_to_sequence_sources
from dlcli.tasks.sequences.sources import open_sequences

AnyData = SequenceDataset | LongTexts | Series


def open_data(loaded: LoadedRecipe, *, allow_leakage: bool = False) -> AnyData:
    """The data of a recipe of sequences.

    Args:
        allow_leakage: read them even where splits share samples.

    Raises:
        InputError: they cannot be used, or there are none: they are made for the purpose.
    """
    recipe = loaded.recipe
    if allow_leakage and hasattr(recipe.data, "allow_leakage"):
        data = recipe.data.model_copy(update={"allow_leakage": True})
        recipe = recipe.model_copy(update={"data": data})
        loaded = replace(loaded, recipe=recipe)
    if isinstance(recipe, SequenceRecipe):
        return open_sequences(loaded, recipe.data)
    if isinstance(recipe, Forecasting):
        return forecasting_sources.open_series(loaded, recipe)
    if isinstance(recipe, LanguageModel):
        return language_model_sources.open_texts(loaded, recipe)
    if isinstance(recipe, SequenceToSequence):
        return sequence_to_sequence_sources.open_pairs(loaded, recipe)
    raise InputError(f"{loaded.path}: its samples are made for the purpose: there is nothing to look at.")


def check(loaded: LoadedRecipe) -> dict[str, Any]:
    """Looks at all the data of a recipe.

    Returns ``splits`` (samples of each class), ``findings`` and ``problems``, their number.

    Raises:
        InputError: there is nothing that could be trained on.
    """
    dataset = open_data(loaded, allow_leakage=True)
    # what is said of classes and copies is found here in full
    findings = [
        Finding("warning", False, warning.text.rstrip("."), ())
        for warning in dataset.warnings
        if warning.kind not in ("classes", "leakage")
    ]
    if dataset.left_out:
        names = [f"{left.name} ({left.reason})" for left in dataset.left_out]
        findings.append(Finding("left out", False, f"{len(names):,} left out: {some(names)}", tuple(names)))
    match dataset:
        case SequenceDataset():
            # names may well be of several nations, where none is to be told from another
            is_told = not isinstance(loaded.recipe, LanguageModel)
            findings += [*_about_samples(dataset, is_told=is_told), *_about_values(dataset)]
        case LongTexts():
            findings += about_texts(dataset)
        case Series():
            findings += about_series(dataset)
    return {
        "splits": counts(dataset),
        "sizes": {},
        "modes": {},
        "findings": [vars(finding) | {"samples": list(finding.samples)} for finding in findings],
        "problems": sum(finding.is_problem for finding in findings),
    }


def counts(dataset: AnyData) -> dict[str, dict[str, int]]:
    """Of each split how many samples it has of each class (words of each tag), or of all that there are."""
    if not isinstance(dataset, SequenceDataset):
        noun = "characters" if isinstance(dataset, LongTexts) else "forecasts"
        return {name: {noun: len(split)} for name, split in dataset.splits.items()}
    if dataset.classes == ("",):
        return {name: {"samples": len(split)} for name, split in dataset.splits.items()}
    found = {}
    for name, split in dataset.splits.items():
        labels = split.labels if split.tags is None else split.tags.flat
        numbers = np.bincount(labels, minlength=len(dataset.classes)).tolist()
        found[name] = dict(zip(dataset.classes, numbers, strict=True))
    return found


def _about_samples(dataset: SequenceDataset, *, is_told: bool) -> Iterator[Finding]:
    """Copies, what contradicts itself, and classes.

    Args:
        is_told: whether classes are what is to be told of a sample.
    """
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
    labels = goals if is_told and not (is_number or is_pair) else [""] * len(goals)
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


def stats(loaded: LoadedRecipe) -> dict[str, Any]:
    """How long the samples of each split are, and the numbers' scale in the training split.

    Returns ``samples``, ``lengths`` (least, median, most; the unit), ``features`` (name, mean, std, missing), and of
    one long text ``texts``: how many characters, words and lines each split has, and how many different ones.
    """
    dataset = open_data(loaded)
    found: dict[str, Any] = {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "lengths": {},
        "features": [],
        "texts": {},
    }
    if isinstance(dataset, Series):
        rows, names = dataset.of_train(), dataset.table.features
        found["features"] = _features(names, rows)
    elif isinstance(dataset, LongTexts):
        for name, passage in dataset.splits.items():
            parts = {"characters": passage.text, "words": passage.text.split(), "lines": passage.text.splitlines()}
            found["texts"][name] = {unit: [len(there), len(set(there))] for unit, there in parts.items()}
    elif isinstance(dataset, SequenceDataset):
        for name, split in dataset.splits.items():
            for unit, numbers in _lengths(split):
                found["lengths"].setdefault(name, {})[unit] = [
                    int(measure(numbers)) for measure in (np.min, np.median, np.max)
                ]
        train = dataset.splits["train"].values
        if train is not None:
            found["features"] = _features(dataset.feature_names, train.flat)
    return found


def _lengths(split: Sequences) -> Iterator[tuple[str, np.ndarray]]:
    if split.values is not None:
        yield "steps", split.values.lengths
    if split.words is not None:
        yield "words", np.array([len(words) for words in split.words])
    for noun, texts in (("", split.texts), (" wanted", split.answers)):
        if texts is not None:
            yield f"words{noun}", np.array([len(text.split()) for text in texts])
            yield f"characters{noun}", np.array([len(text) for text in texts])


def _features(names: Sequence[str], rows: np.ndarray) -> list[dict[str, Any]]:
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
