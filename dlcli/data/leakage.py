"""Samples that validation or test share with train, classes that a split lacks, and names of classes alike."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Protocol

from dlcli.data.listing import NUM_NAMED, name_some
from dlcli.data.splits import DataWarning, Labels
from dlcli.errors import InputError


class Labeled(Protocol):
    """The samples of a split of any kind."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def digests(self) -> tuple[str, ...]: ...


def warn_of_absent_classes(splits: Mapping[str, Labeled], classes: tuple[str, ...]) -> list[DataWarning]:
    """A warning for each split that has no sample of some class."""
    warnings = []
    for split, samples in splits.items():
        present = set(samples.labels.tolist())
        absent = [name for label, name in enumerate(classes) if label not in present]
        if absent:
            warnings.append(DataWarning("classes", f"{describe_absent(split, absent, len(classes))}."))
    return warnings


def describe_absent(split: str, absent: Sequence[str], num_classes: int, *, noun: str = "sample") -> str:
    """``test has no sample of class 'cat'``"""
    which = "class" if len(absent) == 1 else f"{len(absent)} of the {num_classes} classes:"
    return f"{split} has no {noun} of {which} {name_some(absent)}"


def similar_names(names: Sequence[str]) -> list[list[str]]:
    """The groups of names that differ only in case, such as ``Cat`` and ``cat``."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(unicodedata.normalize("NFC", name.casefold()), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def warn_of_similar_names(classes: Sequence[str], *, nouns: str = "classes") -> list[DataWarning]:
    """A warning if the names of some classes, or labels, differ only in case: they are classes of their own."""
    similar = similar_names(classes)
    return [DataWarning("classes", f"{describe_similar(similar, nouns=nouns)}.")] if similar else []


def describe_similar(groups: Sequence[Sequence[str]], *, nouns: str = "classes") -> str:
    """``classes 'Cat' and 'cat' differ only in case``, with what that means."""
    shown = "; ".join(" and ".join(f"'{name}'" for name in group) for group in groups[:NUM_NAMED])
    more = f"; … ({len(groups)} in all)" if len(groups) > NUM_NAMED else ""
    return f"{nouns} whose names differ only in case are different {nouns}: {shown}{more}. If one is meant, rename them"


def refuse_copies(splits: Mapping[str, Labeled], *, source: str, allow_leakage: bool) -> list[DataWarning]:
    """A warning for each split that shares samples with train.

    Raises:
        InputError: a split shares samples with train, and leakage is not allowed.
    """
    copies = _find_copies(splits)
    if copies and not allow_leakage:
        raise InputError(
            f"{source}: {' '.join(copies)} A score on them says nothing about new data: remove them from one of the "
            "splits, or set data.allow_leakage: true."
        )
    return [DataWarning("leakage", text) for text in copies]


def _find_copies(splits: Mapping[str, Labeled]) -> list[str]:
    """For each split that shares samples with train, how many and an example."""
    found = []
    train = dict(zip(splits["train"].digests, splits["train"].names, strict=True))
    for split, samples in splits.items():
        copies = [
            (name, train[digest])
            for name, digest in zip(samples.names, samples.digests, strict=True)
            if split != "train" and digest in train
        ]
        if copies:
            noun = "sample is" if len(copies) == 1 else "samples are"
            found.append(f"{len(copies)} {noun} both in {split} and in train: {copies[0][0]} equals {copies[0][1]}.")
    return found
