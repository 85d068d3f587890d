"""What ``dlcli data`` reports about images, and its previews. The user's data are never changed."""

import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import boxes_of, relative_boxes
from dlcli.data.files import printable
from dlcli.data.images.duplicates import SIDE, copies, has_wrong_suffix, near_copies
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.scan_index import ScanIndex
from dlcli.data.images.sources.class_folders import class_folders
from dlcli.data.images.statistics import channel_statistics
from dlcli.data.paths import is_outside
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation.localization import LOCALIZED, intersection_over_union
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.image_data import Csv, Folder
from dlcli.report.plots import images as image_plots
from dlcli.rundir import replace_file, rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.images.augmentation import check_augment, make_augmentation
from dlcli.tasks.images.sources import AnyData, open_dataset, read_dataset
from dlcli.tasks.inspection import (
    Finding,
    NamedSamples,
    class_findings,
    count,
    duplicate_findings,
    group_finding,
    report,
    some,
)

CONTENT = ("boxes", "range", "frames")  # kinds of warnings about the contents of files, which are findings
NUM_LOADED = 256  # samples in memory at a time
MAX_VALUES = 4_000_000  # values in memory at a time, for statistics in float64


# Check ----------------------------------------------------------------------------------------------------------------


def check(section: AnyData, console: Console) -> dict[str, Any]:
    """Look for problems in all the data of a recipe's ``data`` section, as :meth:`dlcli.tasks.task.Task.check`.

    Raises:
        InputError: there is nothing to train on.
    """
    # thumbnails are enough, and what would stop training is to be reported here
    changes: dict[str, Any] = {"image_size": (SIDE, SIDE), "allow_leakage": True}
    if isinstance(section, (Folder, Csv)):
        changes["on_bad_image"] = "skip"
    if getattr(section, "layout", "image") != "image":
        del changes["image_size"]
    # the classes are given, as for a trained model, so that a class without images is a finding, not an error
    classes = class_folders(section.path, folders=section.folders) if isinstance(section, Folder) else ()
    dataset = read_dataset(section.model_copy(update=changes), console, classes=classes if len(classes) > 1 else None)
    samples = _all(dataset)
    findings = [
        *_file_findings(dataset),
        *(Finding(warning.kind, False, warning.text, ()) for warning in dataset.warnings if warning.kind in CONTENT),
        *_box_findings(dataset),
        *_duplicate_findings(dataset, samples, console),
        *class_findings(counts(dataset)),
    ]
    checked = [image for split in dataset.splits.values() for image in split.checked]
    sizes, modes = Counter((image.height, image.width) for image in checked), Counter(image.mode for image in checked)
    return report(
        counts(dataset),
        findings,
        sizes={f"{height}x{width}": number for (height, width), number in sizes.most_common()},
        modes=dict(modes.most_common()),
    )


def folder_section(folder: Path) -> Folder:
    """The ``data`` section for a folder with a folder for each class."""
    return Folder(kind="folder", path=str(folder.absolute()))


@dataclass(frozen=True)
class _All:
    """The samples of all splits, one after another."""

    named: NamedSamples
    boxes: NDArray[np.float64]  # corners [n, 4]; NaN where a sample has none
    digests: list[str]


def _all(dataset: Dataset) -> _All:
    corners = [
        np.full((len(split), 4), np.nan) if (boxes := boxes_of(split)) is None else boxes.corners
        for split in dataset.splits.values()
    ]
    names: list[str] = []
    splits: list[str] = []
    labels: list[str] = []
    digests: list[str] = []
    for name, split in dataset.splits.items():
        names.extend(split.names)
        splits.extend([name] * len(split))
        labels.extend(dataset.classes[label] for label in split.labels)
        digests.extend(split.digests)
    return _All(NamedSamples(names, splits, labels), np.concatenate(corners), digests)


def _file_findings(dataset: Dataset) -> Iterator[Finding]:
    unreadable = [item for item in dataset.left_out if item.kind == "unreadable"]
    for item in unreadable:
        yield Finding("unreadable", True, f"{item.name}: {item.reason}", (item.name,))
    skipped = [item.name for item in dataset.left_out if item.kind != "unreadable"]
    if skipped:
        yield Finding("skipped", False, f"{len(skipped):,} skipped: {some(skipped)}", tuple(skipped))
    wrong = [
        name
        for samples in dataset.splits.values()  # samples in arrays have no files
        for name, path, image in zip(samples.names, samples.files or (), samples.checked, strict=False)
        if has_wrong_suffix(path, image.image_format)
    ]
    if wrong:
        verb = "has a suffix" if len(wrong) == 1 else "have suffixes"
        text = f"{count(wrong, 'file')} {verb} that the content contradicts: {some(wrong)}"
        yield Finding("wrong suffix", True, text, tuple(wrong))


def _box_findings(dataset: Dataset) -> Iterator[Finding]:
    for name, split in dataset.splits.items():
        boxes = boxes_of(split)
        if boxes is None:
            continue
        without = tuple(split.names[i] for i in np.flatnonzero(np.isnan(boxes.corners).any(axis=1)))
        if len(without) == len(split):
            yield Finding("no box", True, f"no image in {name} has a box", without)
        elif without:
            noun = "image has" if len(without) == 1 else "images have"
            yield Finding("no box", False, f"{name}: {len(without):,} {noun} no box: {some(without)}", without)


def _duplicate_findings(dataset: Dataset, samples: _All, console: Console) -> Iterator[Finding]:
    groups = copies(samples.digests)
    yield from duplicate_findings("duplicates", groups, samples.named, "byte-identical images")
    conflicts = [group for group in groups if _have_different_boxes(samples.boxes[list(group)])]
    if conflicts:
        kind, description = "duplicates with different boxes", "byte-identical images with different boxes"
        yield group_finding(kind, True, conflicts, samples.named.names, description)
    if dataset.policy is None:
        return
    thumbnails = np.concatenate([_thumbnails(split, console) for split in dataset.splits.values()])
    pairs = near_copies(thumbnails, samples.digests)
    groups = [list(pair) for pair in pairs]
    yield from duplicate_findings("near duplicates", groups, samples.named, "nearly identical images")


def _have_different_boxes(boxes: NDArray[np.float64]) -> bool:
    """Whether the boxes of identical images disagree: some are missing, or overlap too little with the first one."""
    overlaps = intersection_over_union(np.broadcast_to(boxes[0], boxes.shape), boxes)
    return not np.isnan(boxes).all() and not (overlaps >= LOCALIZED).all()


def _thumbnails(samples: Samples, console: Console) -> np.ndarray:
    """Grayscale thumbnails, uint8 ``[n, SIDE, SIDE]``; those of files are kept in the index of images."""
    result = np.empty((len(samples), SIDE, SIDE), np.uint8)
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


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """The number of samples of each class, by split."""
    return {
        name: dict(
            zip(dataset.classes, np.bincount(split.labels, minlength=len(dataset.classes)).tolist(), strict=True)
        )
        for name, split in dataset.splits.items()
    }


# Statistics and splits ------------------------------------------------------------------------------------------------


def stats(loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Mean and standard deviation of each channel over the training split, of decoded and resized samples."""
    dataset = open_dataset(loaded, console)
    train = dataset.splits["train"]
    mean, std = channel_statistics(loaded_in_parts(train, console))
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "classes": len(dataset.classes),
        "shape": list(dataset.shape),
        "mean": mean.tolist(),
        "std": std.tolist(),
    }


def loaded_in_parts(samples: Samples, console: Console) -> Iterator[np.ndarray]:
    """The samples, at most MAX_VALUES values of them at a time, but at least one."""
    step = max(1, min(NUM_LOADED, MAX_VALUES // math.prod(samples.shape)))
    for start in range(0, len(samples), step):
        stop = min(start + step, len(samples))
        yield samples.load(np.arange(start, stop))
        console.reading(stop, len(samples))


def divide(loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
    """As :meth:`dlcli.tasks.task.Task.divide`.

    For images in files the table has paths relative to its own folder, so that ``data.kind: csv`` can read it.
    """
    dataset = open_dataset(loaded, console)
    if output is not None:
        paths = [path for split in dataset.splits.values() for path in split.files or ()]
        rows = dataset.split_rows()
        if paths:
            folder = output.absolute().parent
            if num_outside := sum(is_outside(folder, path) for path in paths):
                noun = "1 image is" if num_outside == 1 else f"{num_outside:,} images are"
                console.say(f"{noun} outside of {folder}: a recipe for {output} needs data.allow_outside: true")
            invalid = next((path for path in paths if not _is_utf8(path)), None)
            if invalid is not None:
                raise InputError(
                    f"{printable(str(invalid))}: its name is not valid UTF-8, so a table cannot hold it. Rename it."
                )
            rows = [{**row, "file": os.path.relpath(path, folder)} for row, path in zip(rows, paths, strict=True)]
        replace_file(output, rows_text(rows))
    return counts(dataset)


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


# Preview --------------------------------------------------------------------------------------------------------------


def preview(loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console) -> None:
    """Draw training samples next to their augmented versions in the first epochs, with the random parameters.

    Raises:
        InputError: the samples are not images, or the data cannot be used.
    """
    recipe = loaded.of_images
    dataset = open_dataset(loaded, console)
    if dataset.policy is None:
        raise InputError(f"{loaded.path}: only images can be previewed; the samples have shape {dataset.shape}.")
    check_augment(loaded, dataset.shape)
    if recipe.augment is not None and (recipe.augment.mixup or recipe.augment.cutmix):
        console.say("mixup and cutmix are not shown: they mix samples of a batch; see plots/batch.png of a run")
    train = dataset.splits["train"]
    chosen = evenly_spaced(len(train), num_samples)
    pixels = train.load(chosen)
    names = [f"{dataset.classes[train.labels[i]]}\n{train.names[i]}" for i in chosen]
    columns = [("original", pixels.astype(np.float32), names)]
    boxes = relative_boxes(train)
    outlines = [] if boxes is None else [boxes[chosen]]
    if recipe.augment is not None:
        augmentation = make_augmentation(recipe.augment)
        height, width = dataset.shape[:2]
        compiled = tf.function(augmentation.apply, autograph=False)
        for epoch in range(num_epochs):
            drawn = augmentation.draw(seed=recipe.train.seed, epoch=epoch, num=len(train), height=height, width=width)
            rows = {name: values[chosen] for name, values in drawn.items()}
            augmented = compiled(tf.constant(pixels), augmentation.to_tensors(rows, height=height, width=width)).numpy()
            captions = [augmentation.describe(rows, i) for i in range(len(chosen))]
            columns.append((f"epoch {epoch + 1}", augmented, captions))
            if boxes is not None:
                outlines.append(augmentation.move_boxes(boxes[chosen], rows, height=height, width=width))
    replace_file(output, image_plots.preview(columns, outlines))
