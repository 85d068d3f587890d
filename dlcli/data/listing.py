"""What a source lists before anything is decoded: samples with names, labels and annotations, by split."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NotRequired, Protocol, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Annotation
from dlcli.data.files import AnyPath
from dlcli.data.folds import draw_folds
from dlcli.data.junk import pattern_of, unmatched
from dlcli.data.splits import (
    NO_LABEL,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    DataWarning,
    Index,
    Labels,
    LeftOut,
    draw_splits,
    limit_evenly,
)
from dlcli.errors import InputError

DEFAULT_VALIDATION = 0.1  # if the source has no validation split
DEFAULT_TEST = 0.2  # if the source has no splits at all
NO_ALIASES: Mapping[str, str] = {}
NO_CLASSES = ("",)  # of samples that have no class
CONTROLS = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters and of ends of lines and paragraphs
NUM_NAMED = 10  # names listed in one message; the rest are counted


class SplitKeys(TypedDict):
    """The keys of a recipe's ``data`` section that control the splits, spelled as there."""

    validation: float | None
    test: float | None
    split_seed: int
    limit: int | None
    allow_leakage: bool
    fold: NotRequired[tuple[int, int] | None]
    """The fold that is held out for validation, counted from 1, and the number of folds."""


@dataclass(frozen=True)
class Listing:
    """The samples of one split as their source lists them, before anything is decoded."""

    names: tuple[str, ...]
    labels: Labels
    groups: tuple[str, ...] | None = None
    files: tuple[AnyPath, ...] | None = None
    arrays: NDArray[Any] | None = None  # [n, ...]
    annotations: Mapping[str, Annotation] = field(default_factory=dict)

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
            annotations={name: annotation.take(index) for name, annotation in self.annotations.items()},
        )

    def without_classes(self) -> "Listing":
        """The same samples, which have no class: their labels are NO_LABEL."""
        return replace(self, labels=np.full(len(self), NO_LABEL, np.int32))

    @property
    def strata(self) -> Labels:
        """The labels by which splits are stratified; samples without a class are all alike."""
        return np.maximum(self.labels, 0)


# Rows -----------------------------------------------------------------------------------------------------------------


class Grouped(Protocol):
    """A row that belongs to a group."""

    @property
    def line(self) -> int: ...
    @property
    def split(self) -> str: ...
    @property
    def group(self) -> str: ...


class Named(Protocol):
    """A sample's name and split."""

    @property
    def name(self) -> str: ...
    @property
    def split(self) -> str: ...


class Row(Grouped, Named, Protocol):
    """A sample as its source lists it."""

    @property
    def label(self) -> str: ...


AnyRow = TypeVar("AnyRow", bound=Row)
AnyNamed = TypeVar("AnyNamed", bound=Named)


def sort_names(names: Sequence[str]) -> tuple[str, ...]:
    """The distinct names, sorted as strings."""
    return tuple(sorted(set(names)))


def excluded(name: str, exclude: Sequence[str]) -> LeftOut | None:
    """A sample, or a file below the root, as left out by the patterns of ``data.exclude``; None if none fits it."""
    pattern = pattern_of(name, exclude) if exclude else None
    return None if pattern is None else LeftOut(name, f"excluded by '{pattern}'", "excluded")


def without_excluded(
    rows: Sequence[AnyNamed], exclude: Sequence[str], *, source: str
) -> tuple[Sequence[AnyNamed], list[LeftOut]]:
    """The rows whose names fit none of the patterns of ``data.exclude``, and those that are left out.

    Raises:
        InputError: nothing is left, or nothing of train.
    """
    if not exclude:
        return rows, []
    found = [(row, excluded(row.name, exclude)) for row in rows]
    kept = [row for row, item in found if item is None]
    left_out = [item for _, item in found if item is not None]
    splits, left = {row.split for row in rows}, {row.split for row in kept}
    refuse_all_excluded(left_out, source=source, is_left=bool(left) and ("train" in left or "train" not in splits))
    return kept, left_out


def refuse_all_excluded(left_out: Sequence[LeftOut], *, source: str, is_left: bool) -> None:
    """Names ``data.exclude`` as the reason why there are no samples.

    Args:
        is_left: whether there are some.

    Raises:
        InputError: there are none, and some were excluded.
    """
    num_excluded = sum(item.kind == "excluded" for item in left_out)
    if num_excluded and not is_left:
        raise InputError(
            f"{source}: data.exclude must leave samples to train on. It excludes all {num_excluded:,}."
            if num_excluded > 1
            else f"{source}: data.exclude must leave samples to train on. It excludes the only one."
        )


def without_excluded_samples(
    listings: Mapping[str, Listing], exclude: Sequence[str], *, source: str
) -> tuple[Mapping[str, Listing], list[LeftOut]]:
    """The listings without the samples whose names fit a pattern of ``data.exclude``, and those that are left out.

    Raises:
        InputError: nothing is left to train on.
    """
    if not exclude:
        return listings, []
    left_out: list[LeftOut] = []
    kept: dict[str, Listing] = {}
    for split, listing in listings.items():
        items = [excluded(name, exclude) for name in listing.names]
        left_out += [item for item in items if item is not None]
        index = np.array([i for i, item in enumerate(items) if item is None], np.int64)
        if len(index):
            kept[split] = listing if len(index) == len(listing) else listing.take(index)
    refuse_all_excluded(left_out, source=source, is_left="train" in kept)
    return kept, left_out


def warn_of_unmatched(exclude: Sequence[str], left_out: Sequence[LeftOut]) -> list[DataWarning]:
    """A warning if patterns of ``data.exclude`` fit nothing."""
    names = unmatched(exclude, (item.name for item in left_out)) if exclude else []
    if not names:
        return []
    verb = "leaves" if len(names) == 1 else "leave"
    text = f"data.exclude: {name_some(names)} {verb} out nothing. The names of samples are those in a run's split.csv."
    return [DataWarning("exclude", text)]


def list_rows(
    rows: Sequence[AnyRow],
    *,
    source: str,
    rule: str,
    has_groups: bool,
    complete: Callable[[Listing, Sequence[AnyRow]], Listing],
    has_classes: bool = True,
    in_order: Callable[[Sequence[str]], tuple[str, ...]] = sort_names,
    trained: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    least: int = 2,
) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """The classes and the listing of each split that has rows.

    Args:
        rule: reported if no row is in train, such as "there must be texts to train on."
        complete: adds files or annotations to the listing of some rows.
        has_classes: whether a row's label is its class; else the classes are NO_CLASSES.
        in_order: the distinct classes of train in the order of the outputs.
        trained, aliases, least: as for :func:`index_labels`.

    Raises:
        InputError: train has no row, a group is in two splits, or the classes are not as :func:`index_labels` requires.
    """
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    by_split = {split: part for split, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{source}: {rule} Received none.")
    if has_groups:
        check_groups(source, rows)
    if has_classes:
        names = {split: [row.label for row in part] for split, part in by_split.items()}
        own = in_order(names["train"])
        known, labels = index_labels(names, own, source=source, trained=trained, aliases=aliases, least=least)
    else:
        known, labels = NO_CLASSES, {split: np.zeros(len(part), np.int32) for split, part in by_split.items()}
    listings = {}
    for split, part in by_split.items():
        listing = Listing(
            names=tuple(row.name for row in part),
            labels=labels[split],
            groups=tuple(row.group for row in part) if has_groups else None,
        )
        listings[split] = complete(listing, part)
    return known, listings


def check_groups(source: object, rows: Sequence[Grouped]) -> None:
    """Refuses a group that is in two splits.

    Args:
        source: the file of the rows, for the message.

    Raises:
        InputError: there is one.
    """
    first: dict[str, Grouped] = {}
    for row in rows:
        earlier = first.setdefault(row.group, row)
        if earlier.split != row.split:
            raise InputError(
                f"{source}:{row.line}: a group must be in one split. Group '{row.group}' is in {row.split} here "
                f"and in {earlier.split} on line {earlier.line}."
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
    """The classes in the order of the outputs, and each sample's index among them.

    Args:
        labels: class names by split.
        classes: those of train, in order.
        trained: the classes of a trained model, which then replace ``classes``.
        aliases: other names of these.
        least: the smallest number of classes allowed.

    Raises:
        InputError: there are too few classes, a split has a class that is not among them, or a name cannot be written,
            as :func:`check_names` says.
    """
    check_names(classes, source=source)
    if trained is None and len(classes) < least:
        raise InputError(f"{source}: {describe_too_few(classes, least)}")
    known = classes if trained is None else trained
    position = {name: index for index, name in enumerate(known)}
    labels = {split: [aliases.get(name, name) for name in names] for split, names in labels.items()}
    for split, names in labels.items():
        unknown = sorted(set(names) - set(known))
        if unknown:
            where = f"in {split} must also be in train" if trained is None else "must be one of the trained model's"
            raise InputError(
                f"{source}: every class {where}. Received {name_some(unknown)}{like(unknown, known)}: "
                f"correct the name or remove the samples. Classes: {name_some(list(known))}."
            )
    return known, {split: np.array([position[name] for name in names], np.int32) for split, names in labels.items()}


def check_names(names: Sequence[str], *, source: str, noun: str = "class") -> None:
    """Refuses names of classes, or labels, that cannot be written or distinguished.

    Raises:
        InputError: UTF-8 has no bytes for a name, it has control characters, such as the end of a line, or two look the
            same but are written with different code points, as ``é`` can be.
    """
    plural = "classes" if noun == "class" else f"{noun}s"
    composed: dict[str, str] = {}
    for name in names:
        if error := name_error(name, noun=noun):
            raise InputError(f"{source}: {error}")
        other = composed.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise InputError(
                f"{source}: two {plural} are both called '{name}', with different Unicode code points: {other!a} "
                f"and {name!a}. Rename one of them."
            )


def name_error(name: str, *, noun: str = "class") -> str | None:
    """Why a name of a class, or label, cannot be written into files and on the screen; None if it can."""
    if not is_encodable(name):
        return f"a {noun} name must be valid Unicode. Received {ascii(name)[:60]}."
    if any(unicodedata.category(character) in CONTROLS for character in name):
        return f"a {noun} name must be on one line, without control characters. Received {ascii(name)[:60]}."
    return None


def describe_too_few(classes: Sequence[str], least: int = 2) -> str:
    """That there are fewer classes than ``least``, which is 1 or 2."""
    only = f" Received one: '{classes[0]}'." if classes else ""
    return f"there must be {'at least two classes' if least > 1 else 'at least one class'}.{only}"


def like(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Which classes the first unknown names are like, if they differ only in case or in code points."""

    def plain(name: str) -> str:
        return unicodedata.normalize("NFC", name.casefold())

    by_plain = {plain(name): name for name in known}
    for name in unknown:
        if other := by_plain.get(plain(name)):
            same = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
            return f", which differs from '{other}' only in {'its Unicode code points' if same else 'case'}"
    return ""


def is_encodable(text: str) -> bool:
    """Whether a text can be written to a file: it contains no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


# Splits ---------------------------------------------------------------------------------------------------------------


def divide(
    listings: Mapping[str, Listing],
    *,
    digests: Callable[[Listing], Sequence[str]],
    num_classes: int,
    source: str,
    common: SplitKeys,
) -> tuple[dict[str, Listing], list[DataWarning]]:
    """Draws the splits that the source lacks, and applies the limit to each. Returns warnings as well.

    Splits are stratified by class, if samples have one. Samples with the same content stay in one split: ``digests``
    identifies contents. It is called only if a split is drawn.

    Raises:
        InputError: a proportion is given for a split that the source has, or nothing is left to train on.
    """
    own = {split for split in SPLITS if len(listings.get(split, ())) > 0}
    fold = common.get("fold")
    validation = _validation(common["validation"], fold, own, source)
    default_test = DEFAULT_TEST if own == {"train"} else 0.0
    test = _proportion(common["test"], default_test, "test", own, source)
    train = listings["train"]
    seed = common["split_seed"]
    drawn = draw_splits(
        train.names,
        train.strata,
        train.groups,
        digests(train) if validation or test else None,
        num_classes=num_classes,
        validation=validation,
        test=test,
        seed=seed,
    )
    if fold is not None:
        validation = _hold_out(fold, drawn, train, digests, num_classes=num_classes, seed=seed, source=source)
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
            if split != "train" and _is_far(len(index), proportion * len(train)):
                text = (
                    f"{split} has {len(index):,} of {len(train):,} samples, not {proportion:g} of them: groups and "
                    "copies of a sample stay in one split, and each class keeps a sample in train."
                )
                warnings.append(DataWarning("splits", text))
        elif proportion:
            noun = "1 sample is" if len(train) == 1 else f"{len(train)} samples are"
            text = f"{noun} too few for {split}: {proportion:g}. There is no {split} split."
            warnings.append(DataWarning("splits", text))
    limit = common["limit"]
    if limit is not None:
        for split, listing in result.items():
            if len(listing) > limit:
                index = limit_evenly(listing.names, listing.strata, num_classes=num_classes, limit=limit, seed=seed)
                result[split] = listing.take(index)
    return result, warnings


def _validation(given: float | None, fold: tuple[int, int] | None, own: set[str], source: str) -> float:
    """The proportion of the validation split that is drawn; folds are drawn later, of what is not for the test."""
    if fold is None:
        return _proportion(given, DEFAULT_VALIDATION, "validation", own, source)
    if "validation" in own:
        raise InputError(
            f"{source}: data.fold holds out a part of the training split for validation, but the data has its own "
            "validation split. Move its samples into the training split."
        )
    return 0.0


def _hold_out(
    fold: tuple[int, int],
    drawn: NDArray[np.int8],
    train: Listing,
    digests: Callable[[Listing], Sequence[str]],
    *,
    num_classes: int,
    seed: int,
    source: str,
) -> float:
    """Marks a fold of the samples that are not for the test as the validation split; its proportion of all samples."""
    index = np.flatnonzero(drawn == TRAIN)
    kept = train.take(index)
    number, of = fold
    folds = draw_folds(
        kept.names,
        kept.strata,
        kept.groups,
        digests(kept),
        num_classes=num_classes,
        num_folds=of,
        seed=seed,
        source=source,
    )
    drawn[index[folds == number - 1]] = VALIDATION
    return len(index) / (of * len(train))


def _is_far(number: int, asked: float) -> bool:
    """Whether a split's size is off by more than half of the size asked for, and by more than two samples."""
    return abs(number - asked) > max(2.0, asked / 2)


def _proportion(given: float | None, default: float, split: str, own: set[str], source: str) -> float:
    if split not in own:
        return default if given is None else given
    if given:
        raise InputError(
            f"{source}: data.{split} must be left out or null, because the data has its own {split} split. "
            f"Received {given:g}."
        )
    return 0.0


def name_some(names: Sequence[str]) -> str:
    """The names in quotes, at most the first NUM_NAMED of them."""
    shown = ", ".join(f"'{name}'" for name in names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > NUM_NAMED else shown


def refuse(lines: Iterable[str], remedy: str) -> None:
    """Refuses a source that has errors, given one per line; the first NUM_NAMED are reported and the rest counted.

    Raises:
        InputError: there are errors.
    """
    lines = list(lines)
    if lines:
        more = [f"… and {len(lines) - NUM_NAMED} more"] if len(lines) > NUM_NAMED else []
        raise InputError("\n".join([*lines[:NUM_NAMED], *more, remedy]))
