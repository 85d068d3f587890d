"""From what a source lists to a data set: draw the splits, check the pictures, settle their size, warn.

Every source ends here, so that splits, limits and pictures are treated alike whatever they come from.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images import BadImage, ColorMode, PicturePolicy, resize_pictures
from dlcli.data.resize import Interpolation, Resize
from dlcli.data.samples import SPLITS, Dataset, Index, Labels, LeftOut, Samples
from dlcli.data.scan import Checked, Progress, check_pictures, hash_content
from dlcli.data.split import TEST, TRAIN, VALIDATION, draw_splits, limit_evenly
from dlcli.errors import InputError

OnBadImage = Literal["error", "skip"]

DEFAULT_VALIDATION = 0.1  # where the source has no validation split of its own
DEFAULT_TEST = 0.2  # where the source comes without any split
NUM_NAMED = 10  # faults named in one message; the rest is counted
RESIZED_BYTES = 2**30  # arrays of pictures that would need more than this once resized are resized batch by batch


class CommonKeys(TypedDict):
    """The keys of a recipe's ``data`` section that every source of images has, with the same spelling."""

    image_size: tuple[int, int] | None
    color_mode: ColorMode | None
    resize: Resize
    interpolation: Interpolation
    antialias: bool
    validation: float | None
    test: float | None
    split_seed: int
    limit: int | None


@dataclass(frozen=True)
class Listing:
    """The samples of one split as their source lists them, with files or arrays, before anything is decoded."""

    names: tuple[str, ...]
    labels: Labels
    groups: tuple[str, ...] | None = None
    files: tuple[Path, ...] | None = None
    arrays: NDArray[Any] | None = None  # [n, ...]

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
        )


# Labels and splits --------------------------------------------------------------------------------------------------


def index_labels(
    labels: Mapping[str, Sequence[str]], classes: tuple[str, ...], *, source: str, trained: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[str, Labels]]:
    """Turns class names, given by split, into the classes in the order of the outputs and each sample's index.

    ``classes`` are those that train holds, in order; ``trained`` those of a trained model, which then count instead.

    Raises:
        InputError: there are fewer than two classes, or a split holds a class that is not among them.
    """
    if trained is None and len(classes) < 2:
        only = f" Received one: '{classes[0]}'." if classes else ""
        raise InputError(f"{source}: there must be at least two classes to tell apart.{only}")
    known = classes if trained is None else trained
    position = {name: index for index, name in enumerate(known)}
    where = "train" if trained is None else "the trained model"
    for split, names in labels.items():
        strangers = sorted(set(names) - set(known))
        if strangers:
            raise InputError(
                f"{source}: every class in {split} must be in {where} too, which lacks {name_some(strangers)}. "
                f"Correct the name or remove the samples. Classes: {name_some(list(known))}."
            )
    return known, {split: np.array([position[name] for name in names], np.int32) for split, names in labels.items()}


def divide(
    listings: Mapping[str, Listing], *, num_classes: int, source: str, common: CommonKeys
) -> tuple[dict[str, Listing], list[str]]:
    """Draws the splits that the source does not have of its own, and applies the limit to each. Warnings come with it.

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
            warnings.append(f"{len(train)} samples are too few for {split}: {proportion:g}. There is no {split} split.")
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


# Files --------------------------------------------------------------------------------------------------------------


def assemble_files(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    place: Callable[[str], str],
    on_bad_image: OnBadImage,
    left_out: Sequence[LeftOut],
    warnings: Sequence[str],
    by_suffix: bool,
    progress: Progress | None,
    common: CommonKeys,
) -> Dataset:
    """A data set of picture files; each that is used is decoded once, to find damage and to learn the sizes.

    ``place`` says where a sample comes from, for messages: its path, or the line of a table.

    Raises:
        InputError: pictures are bad, or differ in size while none is asked for, or the splits cannot be drawn.
    """
    divided, more_warnings = divide(listings, num_classes=len(classes), source=source, common=common)
    files = [path for listing in divided.values() for path in listing.files or ()]
    checked = check_pictures(files, by_suffix=by_suffix, progress=progress)
    names = [name for listing in divided.values() for name in listing.names]
    bad = [LeftOut(name, str(result)) for name, result in zip(names, checked, strict=True) if not _is_good(result)]
    bad.sort(key=lambda item: item.name)
    if bad and on_bad_image == "error":
        raise InputError(_describe_bad(bad, len(files), place))
    good = [result for result in checked if isinstance(result, Checked)]
    policy = settle_policy(good, source=source, common=common)
    splits: dict[str, Samples] = {}
    start = 0
    for split, listing in divided.items():
        results = checked[start : start + len(listing)]
        start += len(listing)
        kept = listing.take(np.array([i for i, result in enumerate(results) if _is_good(result)], np.int64))
        splits[split] = Samples(
            names=kept.names,
            labels=kept.labels,
            digests=tuple(result.digest for result in results if isinstance(result, Checked)),
            groups=kept.groups,
            policy=policy,
            files=kept.files,
        )
    emptied = sorted(set(divided["train"].labels.tolist()) - set(splits["train"].labels.tolist()))
    if emptied:
        raise InputError(
            f"{source}: no picture to train on can be read of class {name_some([classes[i] for i in emptied])}. "
            "Repair its pictures or remove the class."
        )
    return _finish(
        splits,
        classes,
        policy.shape,
        "uint8",
        policy,
        source=source,
        left_out=[*left_out, *bad],
        warnings=[*warnings, *more_warnings],
    )


def _is_good(result: Checked | BadImage) -> bool:
    return isinstance(result, Checked)


def _describe_bad(bad: Sequence[LeftOut], num_files: int, place: Callable[[str], str]) -> str:
    lines = [f"{place(item.name)}: {item.reason}" for item in bad[:NUM_NAMED]]
    if len(bad) > NUM_NAMED:
        lines.append(f"… and {len(bad) - NUM_NAMED} more")
    verb = "picture cannot" if len(bad) == 1 else "pictures cannot"
    lines.append(
        f"{len(bad)} of {num_files} {verb} be read. Repair or remove what is named above, "
        "or leave it out with `data.on_bad_image: skip`."
    )
    return "\n".join(lines)


def settle_policy(pictures: Sequence[Checked], *, source: str, common: CommonKeys) -> PicturePolicy:
    """The size and colour mode: as asked for, else what the pictures have.

    Raises:
        InputError: there is no picture, or sizes differ while none is asked for.
    """
    if not pictures:
        raise InputError(f"{source}: no picture here can be read. Give JPEG, PNG, BMP or GIF files.")
    image_size = common["image_size"]
    if image_size is None:
        sizes = Counter((picture.height, picture.width) for picture in pictures)
        image_size = next(iter(sizes))
        if len(sizes) > 1:
            by_area = sorted(sizes.elements(), key=lambda size: (size[0] * size[1], size))
            smallest, middle, largest = by_area[0], median_low(range(len(by_area))), by_area[-1]
            common_size = list(by_area[middle])
            raise InputError(
                f"{source}: the pictures must have one size, or data.image_size must say which to bring them to, "
                f"such as {common_size}. Received {len(sizes)} sizes [height, width]: smallest {list(smallest)}, "
                f"median {common_size}, largest {list(largest)}."
            )
    color_mode = common["color_mode"]
    if color_mode is None:
        color_mode = "grayscale" if all(picture.is_grey for picture in pictures) else "rgb"
    return PicturePolicy(image_size, color_mode, common["resize"], common["interpolation"], common["antialias"])


# Arrays -------------------------------------------------------------------------------------------------------------


def assemble_pictures(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Sequence[LeftOut] = (),
    common: CommonKeys,
) -> Dataset:
    """A data set of pictures in memory, uint8 [n, height, width, channels] with 1 or 3 channels."""
    height, width, channels = _common_shape(listings, source)
    divided, warnings = divide(listings, num_classes=len(classes), source=source, common=common)
    policy = settle_policy([Checked(height, width, channels == 1, "")], source=source, common=common)
    splits = {split: as_samples(listing, policy) for split, listing in divided.items()}
    if policy.shape != (height, width, channels):
        num_bytes = sum(map(len, splits.values())) * math.prod(policy.shape)
        splits = {
            split: leave_unsized(samples) if num_bytes > RESIZED_BYTES else _resize_now(samples)
            for split, samples in splits.items()
        }
    return _finish(splits, classes, policy.shape, "uint8", policy, source=source, left_out=left_out, warnings=warnings)


def assemble_values(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Sequence[LeftOut] = (),
    common: CommonKeys,
) -> Dataset:
    """A data set of signals or volumes in memory, float32 [n, ...], which are taken as they are."""
    shape = _common_shape(listings, source)
    divided, warnings = divide(listings, num_classes=len(classes), source=source, common=common)
    splits = {split: as_samples(listing, None) for split, listing in divided.items()}
    return _finish(splits, classes, shape, "float32", None, source=source, left_out=left_out, warnings=warnings)


def _common_shape(listings: Mapping[str, Listing], source: str) -> tuple[int, ...]:
    """The shape of one sample in every split.

    Raises:
        InputError: splits differ.
    """
    shapes = {split: listing.arrays.shape[1:] for split, listing in listings.items() if listing.arrays is not None}
    for split, shape in shapes.items():
        if shape != shapes["train"]:
            raise InputError(
                f"{source}: samples must have one shape. Received {shapes['train']} in train and {shape} in {split}."
            )
    return shapes["train"]


def as_samples(listing: Listing, policy: PicturePolicy | None) -> Samples:
    """The listed arrays as samples in memory, not yet resized."""
    assert listing.arrays is not None
    return Samples(
        names=listing.names,
        labels=listing.labels,
        digests=tuple(hash_content(sample.tobytes()) for sample in listing.arrays),
        groups=listing.groups,
        policy=policy,
        pixels=listing.arrays,
    )


def leave_unsized(samples: Samples) -> Samples:
    """The same pictures, to be resized when they are loaded."""
    return replace(samples, pixels=None, unsized=samples.pixels)


def _resize_now(samples: Samples) -> Samples:
    assert samples.pixels is not None
    assert samples.policy is not None
    return replace(samples, pixels=resize_pictures(samples.pixels, policy=samples.policy))


# Either -------------------------------------------------------------------------------------------------------------


def _finish(
    splits: dict[str, Samples],
    classes: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: str,
    policy: PicturePolicy | None,
    *,
    source: str,
    left_out: Sequence[LeftOut],
    warnings: Sequence[str],
) -> Dataset:
    splits = {split: samples for split, samples in splits.items() if len(samples)}
    if "train" not in splits:
        raise InputError(f"{source}: no sample is left to train on. Lower data.validation and data.test.")
    return Dataset(
        classes=classes,
        shape=shape,
        dtype=dtype,
        splits=splits,
        policy=policy,
        left_out=tuple(left_out),
        warnings=(*warnings, *_warn_of_absent_classes(splits, classes), *_warn_of_copies(splits)),
    )


def _warn_of_absent_classes(splits: Mapping[str, Samples], classes: tuple[str, ...]) -> list[str]:
    warnings = []
    for split, samples in splits.items():
        present = set(samples.labels.tolist())
        absent = [name for label, name in enumerate(classes) if label not in present]
        if absent:
            noun = "class" if len(absent) == 1 else f"{len(absent)} classes"
            warnings.append(f"{split} has no sample of {noun} {name_some(absent)}.")
    return warnings


def _warn_of_copies(splits: Mapping[str, Samples]) -> list[str]:
    """Samples of validation or test that train holds too: scores on them say nothing about new data."""
    warnings = []
    train = dict(zip(splits["train"].digests, splits["train"].names, strict=True))
    for split, samples in splits.items():
        copies = [
            (name, train[digest])
            for name, digest in zip(samples.names, samples.digests, strict=True)
            if split != "train" and digest in train
        ]
        if copies:
            noun = "sample is" if len(copies) == 1 else "samples are"
            warnings.append(f"{len(copies)} {noun} both in {split} and in train: {copies[0][0]} equals {copies[0][1]}.")
    return warnings


def name_some(names: Sequence[str]) -> str:
    """The names in quotes, the first ten of them."""
    shown = ", ".join(f"'{name}'" for name in names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > NUM_NAMED else shown
