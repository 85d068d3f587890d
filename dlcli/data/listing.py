"""What a source lists before anything is decoded: names, labels, and files or arrays; their classes and splits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Boxes
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import SPLITS, TEST, TRAIN, VALIDATION, Index, Labels, draw_splits, limit_evenly
from dlcli.errors import InputError

DEFAULT_VALIDATION = 0.1  # where the source has no validation split of its own
DEFAULT_TEST = 0.2  # where the source comes without any split
NO_ALIASES: Mapping[str, str] = {}
NUM_NAMED = 10  # things named in one message; the rest is counted


class SplitKeys(TypedDict):
    """The keys of a recipe's ``data`` section by which samples are divided, with the same spelling."""

    validation: float | None
    test: float | None
    split_seed: int
    limit: int | None
    allow_leakage: bool


@dataclass(frozen=True)
class Listing:
    """The samples of one split as their source lists them, with files, arrays or text, before anything is decoded."""

    names: tuple[str, ...]
    labels: Labels
    groups: tuple[str, ...] | None = None
    files: tuple[Path, ...] | None = None
    arrays: NDArray[Any] | None = None  # [n, ...]
    boxes: Boxes | None = None  # for localization
    texts: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None  # the text to give for each text
    values: Ragged | None = None  # steps float32 [features]
    targets: NDArray[np.float32] | None = None  # numbers to predict [n]
    words: tuple[tuple[str, ...], ...] | None = None  # of sentences
    tags: Ragged | None = None  # a class for each word, int32

    def __len__(self) -> int:
        return len(self.names)

    def take(self, index: Index) -> "Listing":
        """The samples at these positions."""
        return Listing(
            names=tuple(self.names[i] for i in index),
            labels=self.labels[index],
            groups=None if self.groups is None else tuple(self.groups[i] for i in index),
            files=None if self.files is None else tuple(self.files[i] for i in index),
            arrays=None if self.arrays is None else self.arrays[index],
            boxes=None if self.boxes is None else self.boxes.take(index),
            texts=None if self.texts is None else tuple(self.texts[i] for i in index),
            answers=None if self.answers is None else tuple(self.answers[i] for i in index),
            values=None if self.values is None else self.values.take(index),
            targets=None if self.targets is None else self.targets[index],
            words=None if self.words is None else tuple(self.words[i] for i in index),
            tags=None if self.tags is None else self.tags.take(index),
        )


def index_labels(
    labels: Mapping[str, Sequence[str]],
    classes: tuple[str, ...],
    *,
    source: str,
    trained: tuple[str, ...] | None,
    aliases: Mapping[str, str] = NO_ALIASES,
    least: int = 2,
) -> tuple[tuple[str, ...], dict[str, Labels]]:
    """Turns class names, given by split, into the classes in the order of the outputs and each sample's index.

    ``classes`` are those that train holds, in order; ``trained`` those of a trained model, which then count instead,
    also under the other names that ``aliases`` has for them. There must be at ``least`` so many.

    Raises:
        InputError: there are too few classes, or a split holds a class that is not among them.
    """
    if trained is None and len(classes) < least:
        only = f" Received one: '{classes[0]}'." if classes else ""
        must = "two classes to tell apart" if least > 1 else "one class"
        raise InputError(f"{source}: there must be at least {must}.{only}")
    known = classes if trained is None else trained
    position = {name: index for index, name in enumerate(known)}
    labels = {split: [aliases.get(name, name) for name in names] for split, names in labels.items()}
    for split, names in labels.items():
        strangers = sorted(set(names) - set(known))
        if strangers:
            where = f"in {split} must be in train" if trained is None else "of the data must be in the trained model"
            raise InputError(
                f"{source}: every class {where} too, which lacks {name_some(strangers)}. "
                f"Correct the name or remove the samples. Classes: {name_some(list(known))}."
            )
    return known, {split: np.array([position[name] for name in names], np.int32) for split, names in labels.items()}


def divide(
    listings: Mapping[str, Listing],
    *,
    digests: Callable[[Listing], Sequence[str]],
    num_classes: int,
    source: str,
    common: SplitKeys,
) -> tuple[dict[str, Listing], list[str]]:
    """Draws the splits that the source does not have of its own, and applies the limit to each. Warnings come with it.

    Samples of one content stay in one split: ``digests`` tells contents apart, and is asked only if a split is drawn.

    Raises:
        InputError: a proportion is given for a split that the source has, or nothing is left to train on.
    """
    own = {split for split in SPLITS if len(listings.get(split, ())) > 0}
    validation = _proportion(common["validation"], DEFAULT_VALIDATION, "validation", own, source)
    default_test = DEFAULT_TEST if own == {"train"} else 0.0
    test = _proportion(common["test"], default_test, "test", own, source)
    train = listings["train"]
    seed = common["split_seed"]
    drawn = draw_splits(
        train.names,
        train.labels,
        train.groups,
        digests(train) if validation or test else None,
        num_classes=num_classes,
        validation=validation,
        test=test,
        seed=seed,
    )
    result: dict[str, Listing] = {}
    warnings = []
    for split, code, proportion in (
        ("train", TRAIN, 1.0),
        ("validation", VALIDATION, validation),
        ("test", TEST, test),
    ):
        index = np.flatnonzero(drawn == code)
        if split != "train" and split in own:
            result[split] = listings[split]
        elif len(index):
            result[split] = train if len(index) == len(train) else train.take(index)
        elif proportion:
            noun = "1 sample is" if len(train) == 1 else f"{len(train)} samples are"
            warnings.append(f"{noun} too few for {split}: {proportion:g}. There is no {split} split.")
    limit = common["limit"]
    if limit is not None:
        for split, listing in result.items():
            if len(listing) > limit:
                index = limit_evenly(listing.names, listing.labels, num_classes=num_classes, limit=limit, seed=seed)
                result[split] = listing.take(index)
    return result, warnings


def _proportion(given: float | None, default: float, split: str, own: set[str], source: str) -> float:
    if split not in own:
        return default if given is None else given
    if given:
        raise InputError(
            f"{source}: data.{split} must be left out or null, for the data has a {split} split of its own. "
            f"Received {given:g}."
        )
    return 0.0


def name_some(names: Sequence[str]) -> str:
    """The names in quotes, the first ten of them."""
    shown = ", ".join(f"'{name}'" for name in names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > NUM_NAMED else shown
