"""Samples that are sequences, as text or as numbers, in train, validation and test."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.leakage import refuse_copies, warn_of_absent_classes
from dlcli.data.listing import Listing, SplitKeys, divide
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import SPLIT_COLUMNS, Labels, LeftOut


@dataclass(frozen=True)
class Sequences:
    """The samples of one split, in a fixed order, each of its own length: `texts`, `values` or `words` is there."""

    names: tuple[str, ...]
    """What tables and messages call each sample, such as "reviews.csv:17"."""
    labels: Labels
    """Index of each sample's class [n]."""
    digests: tuple[str, ...]
    """The first 16 hexadecimal digits of the SHA-256 of each sample's text or numbers."""
    groups: tuple[str, ...] | None = None
    """What must not be divided between splits, where the source says."""
    texts: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None
    """The text to give for each text, in place of a class."""
    values: Ragged | None = None
    """Steps float32 [features], NaN where one is missing."""
    targets: NDArray[np.float32] | None = None
    """The number to predict for each sample [n], in place of a class."""
    words: tuple[tuple[str, ...], ...] | None = None
    """Of sentences, each of which has a class for each word, in place of one."""
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
    """What the source holds besides."""
    warnings: tuple[str, ...]
    """What the user should know, one line each."""
    features: tuple[str, ...] = ()
    """Names of the numbers of a step, where the source has names."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the numbers of a step are called: by the source, or by their position."""
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
        """What is to be predicted for each sample, in words."""
        if samples.targets is not None:
            return [f"{value:.9g}" for value in samples.targets]
        if samples.answers is not None:
            return list(samples.answers)
        if samples.tags is not None:
            tags = samples.tags
            return [" ".join(self.classes[tag] for tag in tags[i]) for i in range(len(tags))]
        return [self.classes[label] for label in samples.labels]


def assemble_sequences(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Sequence[LeftOut],
    warnings: Sequence[str],
    common: SplitKeys,
    features: tuple[str, ...] = (),
) -> SequenceDataset:
    """A data set of what a source lists: splits that it lacks are drawn, samples of one content stay together.

    Raises:
        InputError: splits cannot be drawn, or share a sample.
    """
    divided, more_warnings = divide(listings, digests=_digests, num_classes=len(classes), source=source, common=common)
    splits = {
        split: Sequences(
            names=listing.names,
            labels=listing.labels,
            digests=_digests(listing),
            groups=listing.groups,
            texts=listing.texts,
            answers=listing.answers,
            values=listing.values,
            targets=listing.targets,
            words=listing.words,
            tags=listing.tags,
        )
        for split, listing in divided.items()
        if len(listing)
    }
    # not every tag is in every split
    absent = [] if any(part.tags is not None for part in splits.values()) else warn_of_absent_classes(splits, classes)
    copies = refuse_copies(splits, source=source, allow_leakage=common["allow_leakage"])
    return SequenceDataset(
        classes=classes,
        splits=splits,
        left_out=tuple(left_out),
        warnings=(*warnings, *more_warnings, *absent, *copies),
        features=features,
    )


def _digests(listing: Listing) -> tuple[str, ...]:
    if listing.texts is not None or listing.words is not None:
        texts = listing.texts or tuple("\t".join(words) for words in listing.words or ())
        contents = (text.encode("utf-8", "surrogatepass") for text in texts)
    else:
        values = listing.values
        assert values is not None
        contents = (values[i].tobytes() for i in range(len(values)))
    return tuple(hashlib.sha256(content).hexdigest()[:16] for content in contents)
