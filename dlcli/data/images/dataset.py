"""From a source's listings to a data set: check the images, choose their size and color mode, warn.

Every source ends here, so that splits, limits and images are treated alike whatever the source.
"""

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NotRequired, Protocol, TypeVar

import numpy as np

from dlcli.data.annotations import Annotation
from dlcli.data.files import AnyPath, Progress, hash_content
from dlcli.data.images.decoding import HIGHEST, ColorMode, ImagePolicy, ValueRange, resize_images
from dlcli.data.images.discovery import Scan
from dlcli.data.images.formats import FORMAT_NAMES
from dlcli.data.images.members import Member
from dlcli.data.images.resizing import Interpolation, Resize
from dlcli.data.images.samples import Dataset, ImageAnnotation, Samples
from dlcli.data.images.scan_index import Checked
from dlcli.data.leakage import refuse_copies, warn_of_absent_classes, warn_of_similar_names
from dlcli.data.listing import (
    NUM_NAMED,
    Listing,
    Row,
    SplitKeys,
    divide,
    list_rows,
    name_some,
    warn_of_unmatched,
    without_excluded,
    without_excluded_samples,
)
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.errors import InputError


class CommonKeys(SplitKeys):
    """The keys common to all sources of images."""

    image_size: tuple[int, int] | None
    color_mode: ColorMode | None
    resize: Resize | Literal["none"]
    interpolation: Interpolation
    antialias: bool
    file_range: NotRequired[ValueRange | None]
    """The values in image files of more than 8 bits that become 0 and 255; absent for arrays."""
    tiles: NotRequired[tuple[tuple[int, int], int] | None]
    """Size and overlap of the tiles that images are cut into, in place of resizing them."""


OnBadImage = Literal["error", "skip"]


@dataclass(frozen=True)
class Reading:
    """How the image files of a source are read, whatever lists them.

    Attributes:
        on_bad_image: whether an image that cannot be read is an error, or is left out.
        exclude: patterns of the names of images to leave out.
        classes: those of a trained model, to use its labels. Default: those of train, sorted as strings.
        aliases: other names of these.
        progress: called with the number of images checked and their total.
    """

    on_bad_image: OnBadImage = "error"
    exclude: Sequence[str] = ()
    classes: tuple[str, ...] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None


RESIZED_BYTES = 2**30  # arrays of images that would need more memory than this when resized are resized batch by batch


# Files --------------------------------------------------------------------------------------------------------------


class FileRow(Row, Protocol):
    """An image file as its source lists it."""

    @property
    def file(self) -> AnyPath: ...


AnyFileRow = TypeVar("AnyFileRow", bound=FileRow)


def assemble_files(
    rows: Sequence[AnyFileRow],
    *,
    source: str,
    rule: str,
    place: Callable[[str], str],
    on_bad_image: OnBadImage,
    trained: tuple[str, ...] | None,
    aliases: Mapping[str, str],
    progress: Progress | None,
    common: CommonKeys,
    outputs: tuple[str, ...] | None = None,
    annotate: Callable[[Sequence[AnyFileRow]], Mapping[str, Annotation]] = lambda part: {},
    has_groups: bool = False,
    least: int = 2,
    by_suffix: bool = False,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    warnings: Sequence[DataWarning] = (),
) -> Dataset:
    """A data set of image files; each one used is decoded once, to find corrupt files and the sizes.

    Args:
        rule, has_groups, trained, aliases, least: as for :func:`dlcli.data.listing.list_rows`.
        place: where a sample with this name comes from, for messages: its path, or the line of a table.
        progress: called with the number of images checked and their total.
        outputs: names of the model's outputs, if images have no class: rows then need no label, and splits are drawn
            without regard to it.
        annotate: the annotations of some rows besides the class, each an ImageAnnotation.
        by_suffix: refuse files with the suffix of a format that is not supported.
        exclude: patterns of the names of images to leave out, which the source may have done.

    Raises:
        InputError: the rows are not as :func:`dlcli.data.listing.list_rows` requires, images are corrupt, they differ
            in size and no size is given, a new model would have no image of a class, or the splits cannot be drawn.
    """
    rows, excluded = without_excluded(rows, exclude, source=source)
    left_out = [*left_out, *excluded]
    known, listings = list_rows(
        rows,
        source=source,
        rule=rule,
        has_groups=has_groups,
        complete=lambda listing, part: replace(
            listing, files=tuple(_as_kept(row.file) for row in part), annotations=annotate(part)
        ),
        has_classes=outputs is None,
        trained=trained,
        aliases=aliases,
        least=least,
    )
    classes = known if outputs is None else outputs
    if outputs is not None:
        listings = {split: listing.without_classes() for split, listing in listings.items()}
    scan = Scan(by_suffix=by_suffix, value_range=common.get("file_range"), progress=progress)
    divided, more_warnings = divide(
        listings,
        digests=lambda listing: scan.digests(listing.files or (), only=common["limit"] is not None),
        num_classes=len(classes),
        source=source,
        common=common,
    )
    files = [path for listing in divided.values() for path in listing.files or ()]
    checked = scan.check(files)
    names = [name for listing in divided.values() for name in listing.names]
    bad = left_out_of(names, checked)
    bad.sort(key=lambda item: item.name)
    if bad and (on_bad_image == "error" or len(bad) == len(files)):
        raise InputError(_describe_bad(bad, len(files), place))
    good = [result for result in checked if isinstance(result, Checked)]
    policy = choose_policy(good, source=source, common=common)
    splits: dict[str, Samples] = {}
    start = 0
    for split, listing in divided.items():
        results = checked[start : start + len(listing)]
        start += len(listing)
        kept = listing.take(np.array([i for i, result in enumerate(results) if isinstance(result, Checked)], np.int64))
        properties = tuple(result for result in results if isinstance(result, Checked))
        splits[split] = Samples(
            names=kept.names,
            labels=kept.labels,
            digests=tuple(result.digest for result in properties),
            groups=kept.groups,
            policy=policy,
            files=kept.files,
            annotations=_of_images(kept.annotations),
            checked=properties,
        )
    if len(splits["train"]) == 0 and outputs is not None:
        raise InputError(f"{source}: train must have a readable image. Received none: repair its images.")
    emptied = sorted(set(divided["train"].labels.tolist()) - set(splits["train"].labels.tolist()))
    if emptied and trained is None:
        raise InputError(
            f"{source}: train must have a readable image of each class. Received none of class "
            f"{name_some([classes[i] for i in emptied])}: repair its images or remove the class."
        )
    return _finish(
        splits,
        classes,
        policy=policy,
        source=source,
        left_out=[*left_out, *bad],
        warnings=[
            *warnings,
            *warn_of_unmatched(exclude, left_out),
            *more_warnings,
            *_warn_of_range(good, policy.value_range),
            *_warn_of_frames(good),
            *_warn_of_padding(good, policy),
        ],
        common=common,
    )


def _as_kept(file: AnyPath) -> AnyPath:
    """A path as text, of which there may be many."""
    return file if isinstance(file, Member) else os.fspath(file)


def _of_images(annotations: Mapping[str, Annotation]) -> dict[str, ImageAnnotation]:
    """The annotations of a listing, all of which are of images."""
    found = {name: kept for name, kept in annotations.items() if isinstance(kept, ImageAnnotation)}
    assert found.keys() == annotations.keys()
    return found


def _warn_of_range(images: Sequence[Checked], value_range: ValueRange | None) -> list[DataWarning]:
    """Warns where gray values of more than 8 bits leave most of the range unused, or lie outside of the given one."""
    extremes = [image.extremes for image in images if image.extremes is not None]
    if not extremes:
        text = "data.value_range has no effect: it is for gray images of more than 8 bits, and there are none."
        return [] if value_range is None else [DataWarning("range", text)]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    noun = "image" if len(extremes) == 1 else "images"
    if value_range is None and high - low < HIGHEST / 2:
        text = (
            f"the values of {len(extremes):,} {noun} of 16 bits are all between {low:g} and {high:g}, so that few of "
            f"the 256 gray levels are left when 0 to {HIGHEST} is mapped to them: set data.value_range, for example to "
            f"[{low:g}, {high:g}], or to the range of the camera, such as [0, {2 ** int(high).bit_length() - 1}]."
        )
        return [DataWarning("range", text)]
    if value_range is not None and (low < value_range[0] or high > value_range[1]):
        text = (
            f"the values of {len(extremes):,} {noun} are between {low:g} and {high:g}: those outside data.value_range, "
            f"[{value_range[0]:g}, {value_range[1]:g}], are clipped."
        )
        return [DataWarning("range", text)]
    return []


def _warn_of_frames(images: Sequence[Checked]) -> list[DataWarning]:
    number = sum(image.has_more_frames for image in images)
    if not number:
        return []
    noun = "file has several frames or pages; its" if number == 1 else "files have several frames or pages; the"
    return [DataWarning("frames", f"{number:,} {noun} first is read.")]


def _warn_of_padding(images: Sequence[Checked], policy: ImagePolicy) -> list[DataWarning]:
    """Warns where every image fits into one tile, with room to spare."""
    height, width = policy.image_size
    largest = max(image.height for image in images), max(image.width for image in images)
    if not policy.is_tiled or largest[0] > height or largest[1] > width or largest == (height, width):
        return []
    used = sum(image.height * image.width for image in images) / (len(images) * height * width)
    text = (
        f"every image fits into one tile of {height}x{width} (the largest sides are {largest[0]}x{largest[1]}), and "
        f"{1 - used:.0%} of the tiles is padding: set a smaller data.tiles.size, or data.image_size in place of tiles."
    )
    return [DataWarning("tiles", text)]


def left_out_of(names: Sequence[str], checked: Sequence[Checked | str]) -> list[LeftOut]:
    """The images that cannot be read, as :meth:`Scan.check` reports them."""
    results = zip(names, checked, strict=True)
    return [LeftOut(name, result, "unreadable") for name, result in results if isinstance(result, str)]


def _describe_bad(bad: Sequence[LeftOut], num_files: int, place: Callable[[str], str]) -> str:
    lines = [f"{place(item.name)}: {item.reason}" for item in bad[:NUM_NAMED]]
    if len(bad) > NUM_NAMED:
        lines.append(f"… and {len(bad) - NUM_NAMED} more")
    if len(bad) == num_files:
        lines.append(f"none of the images can be read. Give {FORMAT_NAMES} files.")
    else:
        lines.append(
            f"{len(bad)} of {num_files} images cannot be read. Repair or remove the files above, "
            "or leave them out with `data.on_bad_image: skip`."
        )
    return "\n".join(lines)


def choose_policy(images: Sequence[Checked], *, source: str, common: CommonKeys) -> ImagePolicy:
    """How images are resized and converted: the given size and color mode, by default those of the images. Images that
    are cut into tiles, or are not resized, may have different sizes.

    Raises:
        InputError: there is no image, or the sizes differ and no size is given.
    """
    if not images:
        raise InputError(f"{source}: none of the images can be read. Give {FORMAT_NAMES} files.")
    tiles = common.get("tiles")
    image_size, overlap = (common["image_size"], None) if tiles is None else tiles
    if image_size is None:
        counts = Counter((image.height, image.width) for image in images)
        by_area = sorted(counts, key=lambda size: (size[0] * size[1], size))
        cumulative = np.cumsum([counts[size] for size in by_area])
        image_size = by_area[int(np.searchsorted(cumulative, (len(images) + 1) // 2))]  # the median
        if by_area[0] != by_area[-1] and common["resize"] != "none":
            smallest, median, largest = (list(size) for size in (by_area[0], image_size, by_area[-1]))
            raise InputError(
                f"{source}: the images must have the same size, or data.image_size must be set to resize them, "
                f"for example to {median}. Received {len(by_area)} sizes [height, width]: smallest {smallest}, "
                f"median {median}, largest {largest}."
            )
    color_mode = common["color_mode"]
    if color_mode is None:
        color_mode = "grayscale" if all(image.is_gray for image in images) else "rgb"
    return ImagePolicy(
        image_size,
        color_mode,
        "pad" if common["resize"] == "none" else common["resize"],
        common["interpolation"],
        common["antialias"],
        common.get("file_range"),
        overlap,
        common["resize"] == "none",
    )


# Arrays -------------------------------------------------------------------------------------------------------------


def assemble_images(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    has_classes: bool = True,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    common: CommonKeys,
) -> Dataset:
    """A data set of images in memory, uint8 [n, height, width, channels] with 1 or 3 channels.

    Args:
        classes: names of the model's outputs in their order.
        has_classes: whether the labels of the listings are classes; else they are ignored, and splits are drawn without
            regard to them.
        exclude: patterns of the names of samples to leave out.
    """
    if not has_classes:
        listings = {split: listing.without_classes() for split, listing in listings.items()}
    height, width, channels = _common_shape(listings, source)
    listings, left_out, unused = _excluded(listings, left_out, exclude, source)
    divided, warnings = divide(listings, digests=_hash_arrays, num_classes=len(classes), source=source, common=common)
    policy = choose_policy([Checked(height, width, channels == 1, "")], source=source, common=common)
    splits = {split: as_samples(listing, policy) for split, listing in divided.items()}
    if policy.is_tiled:
        splits = {split: leave_unsized(samples) for split, samples in splits.items()}
    elif policy.shape != (height, width, channels):
        num_bytes = sum(map(len, splits.values())) * math.prod(policy.shape)
        splits = {
            split: leave_unsized(samples) if num_bytes > RESIZED_BYTES else _resize_now(samples)
            for split, samples in splits.items()
        }
    warnings = [*warnings, *unused]
    return _finish(splits, classes, policy=policy, source=source, left_out=left_out, warnings=warnings, common=common)


def assemble_values(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    common: CommonKeys,
) -> Dataset:
    """A data set of signals or volumes in memory, float32 [n, ...], used unchanged.

    Args:
        exclude: patterns of the names of samples to leave out.
    """
    _common_shape(listings, source)
    listings, left_out, unused = _excluded(listings, left_out, exclude, source)
    divided, warnings = divide(listings, digests=_hash_arrays, num_classes=len(classes), source=source, common=common)
    splits = {split: as_samples(listing, None) for split, listing in divided.items()}
    warnings = [*warnings, *unused]
    return _finish(splits, classes, policy=None, source=source, left_out=left_out, warnings=warnings, common=common)


def _excluded(
    listings: Mapping[str, Listing], left_out: Sequence[LeftOut], exclude: Sequence[str], source: str
) -> tuple[Mapping[str, Listing], list[LeftOut], list[DataWarning]]:
    """The listings without what ``data.exclude`` leaves out, all that is left out, and a warning of unused patterns."""
    kept, excluded = without_excluded_samples(listings, exclude, source=source)
    return kept, [*left_out, *excluded], warn_of_unmatched(exclude, excluded)


def _common_shape(listings: Mapping[str, Listing], source: str) -> tuple[int, ...]:
    """The shape of one sample in every split.

    Raises:
        InputError: splits differ.
    """
    shapes = {split: listing.arrays.shape[1:] for split, listing in listings.items() if listing.arrays is not None}
    for split, shape in shapes.items():
        if shape != shapes["train"]:
            raise InputError(
                f"{source}: samples must have the same shape. Received {shapes['train']} in train and {shape} in "
                f"{split}."
            )
    return shapes["train"]


def _hash_arrays(listing: Listing) -> tuple[str, ...]:
    assert listing.arrays is not None
    return tuple(hash_content(sample.tobytes()) for sample in listing.arrays)


def as_samples(listing: Listing, policy: ImagePolicy | None) -> Samples:
    """The listed arrays as samples in memory, not yet resized."""
    assert listing.arrays is not None
    return Samples(
        names=listing.names,
        labels=listing.labels,
        digests=_hash_arrays(listing),
        groups=listing.groups,
        policy=policy,
        pixels=listing.arrays,
        annotations=_of_images(listing.annotations),
    )


def leave_unsized(samples: Samples) -> Samples:
    """The same samples, whose images are resized, or cut into tiles, when they are loaded."""
    return replace(samples, pixels=None, unsized=samples.pixels)


def _resize_now(samples: Samples) -> Samples:
    assert samples.pixels is not None
    assert samples.policy is not None
    return replace(samples, pixels=resize_images(samples.pixels, policy=samples.policy))


# Both ---------------------------------------------------------------------------------------------------------------


def _finish(
    splits: dict[str, Samples],
    classes: tuple[str, ...],
    *,
    policy: ImagePolicy | None,
    source: str,
    left_out: Sequence[LeftOut],
    warnings: Sequence[DataWarning],
    common: CommonKeys,
) -> Dataset:
    copies = refuse_copies(splits, source=source, allow_leakage=common["allow_leakage"])
    splits = {split: samples for split, samples in splits.items() if len(samples)}
    of_classes: list[DataWarning] = []
    if splits["train"].has_classes:
        of_classes = [*warn_of_absent_classes(splits, classes), *warn_of_similar_names(classes)]
    return Dataset(
        classes=classes,
        shape=splits["train"].shape if policy is None else policy.shape,
        dtype="float32" if policy is None else "uint8",
        splits=splits,
        policy=policy,
        left_out=tuple(left_out),
        warnings=(*warnings, *of_classes, *copies),
    )
