"""Sequence data sets: the samples of train, validation and test are texts, sentences or series of numbers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Array, Items, find
from dlcli.data.files import hash_content
from dlcli.data.label_lists import BETWEEN
from dlcli.data.leakage import refuse_copies, warn_of_absent_classes, warn_of_similar_names
from dlcli.data.listing import Listing, SplitKeys, divide, warn_of_unmatched, without_excluded_samples
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import SPLIT_COLUMNS, DataWarning, Labels, LeftOut


@dataclass(frozen=True)
class Sequences:
    """The samples of one split, in a fixed order and of any length. One of `texts`, `values` and `words` is given."""

    names: tuple[str, ...]
    """The name of each sample in tables and messages, such as "reviews.csv:17"."""
    labels: Labels
    """Index of each sample's class [n]."""
    digests: tuple[str, ...]
    """The first 16 hexadecimal digits of the SHA-256 of each sample's text or numbers."""
    groups: tuple[str, ...] | None = None
    """The group of each sample, if the source has groups; each group is in one split."""
    texts: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None
    """The target text of each text, instead of a class."""
    values: Ragged | None = None
    """Steps float32 [features], NaN for a missing value."""
    targets: NDArray[Any] | None = None
    """The number to predict for each sample [n], instead of a class: float32, of texts float64."""
    applies: NDArray[np.float64] | None = None
    """Which labels apply to each sample [n, labels], instead of a class: 1, 0, or NaN where that is unknown."""
    words: tuple[tuple[str, ...], ...] | None = None
    """The words of sentences, which have a class for each word."""
    tags: Ragged | None = None
    """Index of each word's class, int32."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class SequenceDataset:
    """All the samples of a source."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the model's outputs."""
    splits: dict[str, Sequences]
    """By name: train, validation, test; a split without samples is absent."""
    left_out: tuple[LeftOut, ...]
    """The rest of the source."""
    warnings: tuple[DataWarning, ...]
    features: tuple[str, ...] = ()
    """Names of a step's features, if the source has names."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of a step's features: from the source, or by position."""
        values = self.splits["train"].values
        assert values is not None
        return self.features or tuple(f"feature {i + 1}" for i in range(values.flat.shape[1]))

    def fingerprint(self) -> str:
        """SHA-256 over the classes, and each sample's split, name, label and content."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for row in self.split_rows():
            digest.update(json.dumps([row["split"], row["file"], row["label"], row["digest"]]).encode())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv, one for each sample, with the columns SPLIT_COLUMNS."""
        rows = []
        for split, samples in self.splits.items():
            groups = samples.groups or ("",) * len(samples)
            for values in zip(samples.names, self.goals(samples), groups, samples.digests, strict=True):
                name, goal, group, digest = values
                rows.append(dict(zip(SPLIT_COLUMNS, (name, split, goal, group, digest), strict=True)))
        return rows

    def goals(self, samples: Sequences) -> list[str]:
        """What is to be predicted for each sample, as text."""
        if samples.applies is not None:
            return [self._named(row) for row in samples.applies]
        if samples.targets is not None:
            digits = 9 if samples.targets.dtype == np.float32 else 17
            return [f"{value:.{digits}g}" for value in samples.targets]
        if samples.answers is not None:
            return list(samples.answers)
        if samples.tags is not None:
            tags = samples.tags
            return [" ".join(self.classes[tag] for tag in tags[i]) for i in range(len(tags))]
        return [self.classes[label] for label in samples.labels]

    def _named(self, applies: NDArray[np.float64]) -> str:
        """The labels that apply to a sample ``[labels]``; those of which that is unknown end in a question mark."""
        marks = ("" if value == 1 else "?" if np.isnan(value) else None for value in applies)
        return BETWEEN.join(name + mark for name, mark in zip(self.classes, marks, strict=True) if mark is not None)


def assemble_sequences(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Sequence[LeftOut],
    warnings: Sequence[DataWarning],
    common: SplitKeys,
    features: tuple[str, ...] = (),
    exclude: Sequence[str] = (),
) -> SequenceDataset:
    """The data set of a source's listings: missing splits are drawn, and samples with the same content stay together.

    Args:
        exclude: patterns of the names of samples to leave out, unless the source has done so.

    Raises:
        InputError: splits cannot be drawn, or share a sample.
    """
    listings, excluded = without_excluded_samples(listings, exclude, source=source)
    has_labels = any("applies" in listing.annotations for listing in listings.values())  # classes are then labels
    divided, more_warnings = divide(
        listings, digests=_digests, num_classes=1 if has_labels else len(classes), source=source, common=common
    )
    splits = {split: _as_sequences(listing) for split, listing in divided.items() if len(listing)}
    # of tags and labels, not every split needs all
    needs_all = not has_labels and all(part.tags is None for part in splits.values())
    absent = warn_of_absent_classes(splits, classes) if needs_all else []
    copies = refuse_copies(splits, source=source, allow_leakage=common["allow_leakage"])
    return SequenceDataset(
        classes=classes,
        splits=splits,
        left_out=(*left_out, *excluded),
        warnings=(
            *warnings,
            *warn_of_unmatched(exclude, excluded),
            *more_warnings,
            *absent,
            *(warn_of_similar_names(classes, nouns="labels") if has_labels else warn_of_similar_names(classes)),
            *copies,
        ),
        features=features,
    )


def _as_sequences(listing: Listing) -> Sequences:
    targets, applies = (find(listing.annotations, name, Array) for name in ("targets", "applies"))
    return Sequences(
        names=listing.names,
        labels=listing.labels,
        digests=_digests(listing),
        groups=listing.groups,
        texts=_items(listing, "texts"),
        answers=_items(listing, "answers"),
        values=find(listing.annotations, "values", Ragged),
        targets=None if targets is None else targets.values,
        applies=None if applies is None else applies.values,
        words=_items(listing, "words"),
        tags=find(listing.annotations, "tags", Ragged),
    )


def _items(listing: Listing, name: str) -> tuple[Any, ...] | None:
    items = find(listing.annotations, name, Items)
    return None if items is None else items.values


def _digests(listing: Listing) -> tuple[str, ...]:
    texts, words = _items(listing, "texts"), _items(listing, "words")
    values = find(listing.annotations, "values", Ragged)
    if texts is None and words is not None:
        texts = tuple("\t".join(sentence) for sentence in words)
    if texts is not None:
        contents = (text.encode("utf-8", "surrogatepass") for text in texts)
    else:
        assert values is not None
        contents = (values[i].tobytes() for i in range(len(values)))
    return tuple(hash_content(content) for content in contents)
