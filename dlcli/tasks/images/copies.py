"""What ``dlcli data check`` reports about copies of images, and which images to leave out so that none remains."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import boxes_of
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.duplicates import SIDE, copies, near_copies
from dlcli.data.images.probable_copies import MANY, ProbableCopy, find_probable_copies
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.scan_index import ScanIndex
from dlcli.data.images.targets import TABLE, TargetTable
from dlcli.data.label_lists import BETWEEN
from dlcli.data.masks.masks import masks_of
from dlcli.data.splits import SPLITS
from dlcli.evaluation.localization import LOCALIZED, intersection_over_union
from dlcli.runtime.console import Console
from dlcli.tasks.inspection import NUM_NAMED, Finding, NamedSamples, count, duplicate_findings, group_finding

NUM_LOADED = 256  # samples in memory at a time
MASKS = "masks"  # the noun of samples whose labels are digests of masks


@dataclass(frozen=True)
class Copies:
    """The copies among the samples of all splits, one after another, as groups of positions.

    Attributes:
        identical: byte-identical images.
        near: pairs that differ by how they were saved.
        probable: pairs that are probably the same image, and not among the others.
        num_crowded: images that are like many others, among which copies cannot be distinguished.
    """

    named: NamedSamples
    boxes: NDArray[np.float64]  # corners [n, 4]; NaN where a sample has none
    identical: list[list[int]]
    near: list[list[int]]
    probable: list[ProbableCopy]
    num_crowded: int


def find_copies(dataset: Dataset, console: Console) -> Copies:
    """Compare the images of all splits; of samples that are not images only identical ones are found."""
    splits = dataset.splits
    named = NamedSamples(
        [name for split in splits.values() for name in split.names],
        [name for name, split in splits.items() for _ in split.names],
        [label for split in splits.values() for label in _truths(dataset, split)],
        _nouns(splits["train"]),
    )
    boxes = np.concatenate([_corners(split) for split in splits.values()])
    digests = [digest for split in splits.values() for digest in split.digests]
    identical = copies(digests)
    if dataset.policy is None:
        return Copies(named, boxes, identical, [], [], 0)
    thumbnails = np.concatenate([_thumbnails(split, console) for split in splits.values()])
    near = near_copies(thumbnails, digests)
    probable, num_crowded = find_probable_copies(thumbnails)
    known = set(near)
    probable = [copy for copy in probable if copy.pair not in known and len({digests[i] for i in copy.pair}) == 2]
    return Copies(named, boxes, identical, [list(pair) for pair in near], probable, num_crowded)


def copy_findings(found: Copies) -> Iterator[Finding]:
    """The findings about copies. What is only probable is a note, not a problem."""
    yield from duplicate_findings("duplicates", found.identical, found.named, "byte-identical images")
    conflicts = [group for group in found.identical if _have_different_boxes(found.boxes[group])]
    if conflicts:
        kind, description = "duplicates with different boxes", "byte-identical images with different boxes"
        yield group_finding(kind, True, conflicts, found.named.names, description)
    yield from duplicate_findings("near duplicates", found.near, found.named, "nearly identical images")
    yield from _probable_findings(found)
    if found.num_crowded:
        images = "1 image is" if found.num_crowded == 1 else f"{found.num_crowded:,} images are"
        text = f"{images} like {MANY} or more others; copies among these are not distinguished from images of one kind"
        yield Finding("many alike", False, text, ())


def names_to_exclude(found: Copies) -> list[str]:
    """The samples without which no copies remain, as patterns for ``data.exclude``.

    Of two copies that of test stays rather than that of validation, and that rather than that of train; of two in one
    split the first by name.
    """
    names, splits = found.named.names, found.named.splits
    priority = {split: rank for rank, split in enumerate(reversed(SPLITS))}
    groups = [*found.identical, *found.near, *(list(copy.pair) for copy in found.probable)]
    ordered = [sorted(group, key=lambda i: (priority[splits[i]], names[i])) for group in groups]
    excluded: set[int] = set()
    for group in sorted(ordered, key=lambda group: [(priority[splits[i]], names[i]) for i in group]):
        excluded.update([i for i in group if i not in excluded][1:])
    return sorted(glob.escape(names[i]) for i in excluded)


def _probable_findings(found: Copies) -> Iterator[Finding]:
    """One finding for each pair of splits, those across splits first."""
    of_splits: dict[tuple[str, ...], list[ProbableCopy]] = {}
    for copy in found.probable:
        of_splits.setdefault(tuple(found.named.splits[i] for i in copy.pair), []).append(copy)
    for splits, members in sorted(of_splits.items(), key=lambda item: item[0][0] == item[0][1]):
        is_across = splits[0] != splits[1]
        where = "across " + " and ".join(splits) if is_across else f"within {splits[0]}"
        examples = "; ".join(_described(copy, found.named) for copy in members[:NUM_NAMED])
        more = f"; … ({len(members):,} in total)" if len(members) > NUM_NAMED else ""
        text = f"{count(members, 'pair')} {where}: probably the same image: {examples}{more}"
        kind = "probable copies across splits" if is_across else "probable copies within a split"
        pairs = tuple(tuple(found.named.names[i] for i in copy.pair) for copy in members)
        yield Finding(kind, False, text, pairs)


def _described(copy: ProbableCopy, named: NamedSamples) -> str:
    one, other = copy.pair
    details = f"correlation {min(copy.correlation, 1.0):.2f}{', mirrored' if copy.is_mirrored else ''}"
    if named.labels[one] != named.labels[other]:
        labels = f"{named.nouns} {named.labels[one]} and {named.labels[other]}"
        details += ", different masks" if named.nouns == MASKS else f", {labels}"  # whose labels are digests
    return f"{named.names[one]} and {named.names[other]} ({details})"


def _truths(dataset: Dataset, samples: Samples) -> list[str]:
    """What copies must agree in: the class, the numbers, the labels or the objects of each sample, as text."""
    table = samples.annotations.get(TABLE)
    if isinstance(table, TargetTable):
        return [_in_words(table, row) for row in table.values]
    if (masks := masks_of(samples)) is not None:
        return [mask.digest for mask in masks.masks]
    if (objects := objects_of(samples)) is not None:
        return [_objects_in_words(objects, dataset.classes, i) for i in range(len(samples))]
    return [dataset.classes[i] if samples.has_classes else "" for i in samples.labels]


def _in_words(table: TargetTable, row: NDArray[np.float64]) -> str:
    if table.entry == "labels" and not np.isnan(row).any():
        return BETWEEN.join(name for name, value in zip(table.names, row, strict=True) if value) or "none"
    return ", ".join(f"{name} {value:.15g}" for name, value in zip(table.names, row, strict=True))


def _objects_in_words(objects: ObjectBoxes, classes: tuple[str, ...], position: int) -> str:
    """The number of objects of each class in an image; boxes may differ a little."""
    labels, numbers = np.unique(
        objects.labels[objects.offsets[position] : objects.offsets[position + 1]], return_counts=True
    )
    return ", ".join(f"{number} {classes[label]}" for label, number in zip(labels, numbers, strict=True)) or "none"


def _nouns(samples: Samples) -> str:
    table = samples.annotations.get(TABLE)
    if isinstance(table, TargetTable):
        return table.nouns
    if objects_of(samples) is not None:
        return "objects"
    return "labels" if masks_of(samples) is None else MASKS


def _corners(samples: Samples) -> NDArray[np.float64]:
    boxes = boxes_of(samples)
    return np.full((len(samples), 4), np.nan) if boxes is None else boxes.corners


def _have_different_boxes(boxes: NDArray[np.float64]) -> bool:
    """Whether the boxes of identical images disagree: some are missing, or overlap too little with the first one."""
    overlaps = intersection_over_union(np.broadcast_to(boxes[0], boxes.shape), boxes)
    return not np.isnan(boxes).all() and not (overlaps >= LOCALIZED).all()


def _thumbnails(samples: Samples, console: Console) -> np.ndarray:
    """Grayscale thumbnails, uint8 ``[n, SIDE, SIDE]``; those of files are kept in the index of images."""
    result = np.empty((len(samples), SIDE, SIDE), np.uint8)
    samples = samples.of_one_size()
    kinds = [f"{digest} {samples.policy}" for digest in samples.digests]  # a thumbnail depends on how it is resized
    with ScanIndex(samples.files or ()) as index:
        is_known = np.zeros(len(samples), bool)
        for position, pixels in index.thumbnails(kinds).items():
            if len(pixels) == SIDE * SIDE:
                result[position] = np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE)
                is_known[position] = True
        missing = np.flatnonzero(~is_known)
        for start in range(0, len(missing), NUM_LOADED):
            part = missing[start : start + NUM_LOADED]
            result[part] = samples.load(part).mean(axis=-1)
            if samples.files is not None:
                index.add_thumbnails({int(i): result[i].tobytes() for i in part}, kinds)
            console.reading(start + len(part), len(missing))
    return result
