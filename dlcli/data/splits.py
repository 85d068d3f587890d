"""Drawing the splits: stratified by class, disjoint, each group in one split, the same on every machine.

A sample's split depends on a hash of the seed and its name, not on a random generator's stream: it is the same in every
version of NumPy and in every order of the files, and most samples keep their split when others are added.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": ("train", "training", "tr", "trainval"),
    "validation": ("validation", "val", "valid", "validating", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""What each split is called, in lowercase; see :func:`split_named`."""
SPLIT_NOUNS = ("set", "data", "split", "images")  # may follow such a word: training_set, Test Data
YEAR = re.compile(r"(19|20)\d\d$")  # may follow too: train2017
SPLIT_NAMES = "train, validation (or val, valid, dev, eval) or test"  # for messages
SPLIT_COLUMNS = ("file", "split", "label", "group", "digest")  # of split.csv; annotations may add more
NO_LABEL = -1  # of a sample without ground truth
TRAIN, VALIDATION, TEST = 0, 1, 2

Index = NDArray[np.int64]
Labels = NDArray[np.int32]
Counts = NDArray[np.int64]

LeftOutKind = Literal["unused", "excluded", "unreadable", "incomplete", "unpaired"]
WarningKind = Literal[
    "folders", "splits", "classes", "tags", "leakage", "boxes", "masks", "times", "range", "frames", "tiles", "exclude"
]


@dataclass(frozen=True)
class LeftOut:
    """A file, row or array of the source that is left out, and why.

    Attributes:
        kind: ``excluded`` by ``data.exclude``; ``unreadable`` if it should be a sample and cannot be read;
            ``incomplete`` if a value to predict of it is missing; ``unpaired`` for an image without its mask, and for a
            mask without its image.
    """

    name: str
    reason: str
    kind: LeftOutKind = "unused"


@dataclass(frozen=True)
class DataWarning:
    """What the user should know about the data, in one line.

    Attributes:
        kind: what it is about: ``folders`` that are not read, ``splits`` that are missing or far from their proportion,
            ``classes`` that a split lacks, ``tags`` that train lacks, ``leakage`` between splits, ``boxes`` that were
            repaired or left out, ``masks`` that may not mean what they should, ``times`` with gaps, the ``range`` of
            the pixels' values, ``frames`` of a file that are not read, or patterns of ``exclude`` that fit nothing.
    """

    kind: WarningKind
    text: str

    def __str__(self) -> str:
        return self.text


def split_named(name: str) -> str | None:
    """The split that a folder, a cell of a table or the end of an array's name stands for: train, validation or test.

    Case, spaces, hyphens, underscores and dots do not matter, and a noun or a year may follow: ``Valid``,
    ``training_set``, ``test-data``, ``val2017``. Train and validation together are train: ``trainval``. None if the
    name is not a split's.
    """
    return _SPLIT_OF.get(YEAR.sub("", "".join(_words(name))))


def split_word_in(name: str) -> str | None:
    """The split that is named by one of the words of a longer name, such as ``seg_train``; None without one."""
    found = {split for word in _words(name) if (split := _SPLIT_OF.get(YEAR.sub("", word))) is not None}
    return found.pop() if len(found) == 1 else None


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s._-]+", name.casefold()) if word]


_SPLIT_OF = {
    word + noun: split for split, words in SPLIT_WORDS.items() for word in words for noun in ("", *SPLIT_NOUNS)
}


def draw_splits(
    names: Sequence[str],
    labels: Labels,
    groups: Sequence[str] | None,
    contents: Sequence[str] | None,
    *,
    num_classes: int,
    validation: float,
    test: float,
    seed: int,
) -> NDArray[np.int8]:
    """The split of each sample [n]: TRAIN, VALIDATION or TEST; the last two as proportions of all samples.

    Each class keeps at least one sample in train, unless groups prevent it. Samples with the same content stay
    together: a copy follows the first of them, and groups that share a content count as one group.

    Raises:
        InputError: the proportions leave nothing to train on, or there are fewer groups than splits.
    """
    if validation + test >= 1:
        raise InputError(
            "data.validation and data.test must leave samples to train on: together less than 1. "
            f"Received {validation:g} and {test:g}."
        )
    if groups is not None and (validation or test):
        if contents is not None:
            groups = join_groups(groups, contents)
        return _draw_groups(labels, groups, num_classes=num_classes, validation=validation, test=test, seed=seed)
    if contents is not None and len(set(contents)) < len(contents):
        first, original = np.unique(
            np.asarray(contents, dtype=object).astype(str), return_index=True, return_inverse=True
        )[1:]
        drawn = draw_splits(
            [names[i] for i in first],
            labels[first],
            None,
            None,
            num_classes=num_classes,
            validation=validation,
            test=test,
            seed=seed,
        )
        return drawn[original]
    counts = np.bincount(labels, minlength=num_classes)
    num_test = _quotas(counts, test, counts - 1)
    num_validation = _quotas(counts, validation, counts - num_test - 1)
    splits = np.full(len(labels), TRAIN, np.int8)
    for label, members in enumerate(members_by_class(names, labels, num_classes, seed)):
        end_of_test = num_test[label]
        splits[members[:end_of_test]] = TEST
        splits[members[end_of_test : end_of_test + num_validation[label]]] = VALIDATION
    return splits


def limit_evenly(names: Sequence[str], labels: Labels, *, num_classes: int, limit: int, seed: int) -> Index:
    """The positions, ascending, of at most ``limit`` samples, with classes as balanced as possible.

    The samples of a smaller limit are a subset of those of a larger one.
    """
    members = members_by_class(names, labels, num_classes, seed)
    rank = np.empty(len(labels), np.int64)  # of a sample within its class
    for positions in members:
        rank[positions] = np.arange(len(positions))
    chosen: Index = np.sort(np.lexsort((labels, rank))[:limit])
    return chosen


def members_by_class(names: Sequence[str], labels: Labels, num_classes: int, seed: int) -> list[Index]:
    """The positions of each class's samples in the order in which they are drawn."""
    order = np.lexsort((_hashes(names, seed), labels))
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    return np.split(order, ends[:-1])


def _hashes(names: Sequence[str], seed: int) -> NDArray[np.uint64]:
    digests = (hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names)
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)


def _quotas(counts: Counts, proportion: float, room: Counts) -> Counts:
    """How many samples of each class a split gets: by largest remainders, at most ``room`` of each class."""
    exact = counts * proportion
    room = np.maximum(room, 0)
    quotas: Counts = np.minimum(np.floor(exact).astype(np.int64), room)
    missing = int(counts.sum() * proportion + 0.5) - int(quotas.sum())
    by_remainder = np.argsort(quotas - exact, kind="stable")
    candidates = by_remainder[(quotas < room)[by_remainder]]
    quotas[candidates[: max(0, missing)]] += 1
    return quotas


def join_groups(groups: Sequence[str], contents: Sequence[str]) -> list[str]:
    """The name of each sample's group; groups that share a content have one name."""
    joined = {group: group for group in groups}

    def name(group: str) -> str:
        while joined[group] != group:
            group = joined[group]
        return group

    first: dict[str, str] = {}  # the first group with each content
    for group, content in zip(groups, contents, strict=True):
        joined[name(group)] = name(first.setdefault(content, group))
    return [name(group) for group in groups]


def _draw_groups(
    labels: Labels, groups: Sequence[str], *, num_classes: int, validation: float, test: float, seed: int
) -> NDArray[np.int8]:
    shares = np.array([1 - validation - test, validation, test])
    num_used, num_groups = int((shares > 0).sum()), len(set(groups))
    if num_groups < num_used:
        raise InputError(
            f"data.group: there must be at least as many groups as splits ({num_used}). "
            f"Received {num_groups}: set data.validation or data.test to 0."
        )
    return assign_groups(labels, groups, num_classes=num_classes, shares=shares, seed=seed).astype(np.int8)


def assign_groups(
    labels: Labels, groups: Sequence[str], *, num_classes: int, shares: NDArray[np.float64], seed: int
) -> NDArray[np.int16]:
    """Assigns whole groups, large ones first, to the part that lacks most of their classes.

    Args:
        shares: of all samples that each part should have, ``[parts]``; there must be at least as many groups as parts.

    Returns:
        The part of each sample ``[n]``.
    """
    group_names, group_of = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    used = [int(part) for part in np.flatnonzero(shares > 0)]
    contents = np.zeros((len(group_names), num_classes), np.int64)  # samples of each class in each group
    np.add.at(contents, (group_of, labels), 1)
    class_sizes = np.maximum(contents.sum(axis=0), 1)
    lacking = shares[:, None] * class_sizes  # samples of each class that each part still needs
    parts = np.empty(len(group_names), np.int16)
    empty = set(used)
    # Sizes are compared by their power of two, so that the seed decides between groups of similar size.
    size = np.floor(np.log2(contents.sum(axis=1)))
    for turn, group in enumerate(np.lexsort((_hashes(list(group_names), seed), -size))):
        num_left = len(group_names) - turn
        candidates = sorted(empty) if num_left == len(empty) else used
        need = lacking[candidates] @ (contents[group] / class_sizes)
        chosen = candidates[int(np.argmax(need))]
        parts[group] = chosen
        lacking[chosen] -= contents[group]
        empty.discard(chosen)
    return parts[group_of]


def evenly_spaced(total: int, number: int) -> Index:
    """At most ``number`` of the positions from 0 to ``total - 1``, evenly spaced because a split may be sorted."""
    return np.unique(np.linspace(0, total - 1, min(number, total)).round().astype(np.int64))


def _annotations(row: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name not in SPLIT_COLUMNS and cell}


def describe_difference(old_rows: Iterable[Mapping[str, str]], new_rows: Iterable[Mapping[str, str]]) -> str:
    """How the rows of split.csv have changed, such as "3 samples added (cats/9.jpg, …), 1 changed (dogs/2.jpg)".

    "no sample differs" if only the classes or the shape of the samples can have changed.
    """
    old = {row["file"]: row for row in old_rows}
    new = {row["file"]: row for row in new_rows}
    common = [name for name in new if name in old]
    changes = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in common if old[name]["digest"] != new[name]["digest"]],
        "with another label": [name for name in common if old[name]["label"] != new[name]["label"]],
        "with other annotations": [name for name in common if _annotations(old[name]) != _annotations(new[name])],
        "moved to another split": [name for name in common if old[name]["split"] != new[name]["split"]],
    }
    parts: list[str] = []
    for what, names in changes.items():
        if names:
            noun = "" if parts else " sample" if len(names) == 1 else " samples"
            parts.append(f"{len(names)}{noun} {what} ({names[0]}{', …' if len(names) > 1 else ''})")
    return ", ".join(parts) or "no sample differs"
