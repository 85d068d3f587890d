"""What ``dlcli data`` reports about objects: their numbers, classes and sizes, and anchors that fit them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.anchor_shapes import GOOD, Anchors, shape_iou, suggest
from dlcli.data.boxes.objects import objects_of
from dlcli.data.boxes.statistics import SIZES, ObjectStatistics, count_objects, nearly_same
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Dataset, Samples
from dlcli.recipe.sections.detection_model import AnyDetector
from dlcli.report.plots import objects as object_plots
from dlcli.tasks.detection.anchor_fit import describe_poor_fit, sides_in_input, trained_target
from dlcli.tasks.inspection import IMBALANCE, Finding, count, some
from dlcli.tasks.job import MAX_LISTED

FEW_PIXELS = 8  # a box with a shorter side in the network's input is hardly found
QUANTILES = {"5%": 0.05, "median": 0.5, "95%": 0.95}


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """The number of objects of each class, by split; crowds and difficult ones are not counted."""
    found = count_objects(dataset.splits, len(dataset.classes))
    return {split: dict(zip(dataset.classes, counted.boxes.tolist(), strict=True)) for split, counted in found.items()}


def notes(dataset: Dataset, model: AnyDetector) -> list[str]:
    """A line for each split about its images and objects, and lines about the training objects: those of each class,
    unless there are more than MAX_LISTED classes, those that are cropped away, and those without a similar anchor."""
    lines = []
    for split, found in count_objects(dataset.splits, len(dataset.classes)).items():
        total = int(found.per_image.sum())
        parts = [f"{count(found.per_image, 'image')}", f"{total:,} object{'' if total == 1 else 's'}"]
        negatives = int(_negatives(dataset.splits[split]).sum())
        parts += [f"{negatives:,} without objects"] if negatives else []
        parts += [f"{found.crowds:,} crowd{'' if found.crowds == 1 else 's'}"] if found.crowds else []
        parts += [f"{found.difficult:,} difficult"] if found.difficult else []
        lines.append(f"{split}: {', '.join(parts)}; at most {int(found.per_image.max(initial=0))} in an image")
        if split == "train" and len(dataset.classes) <= MAX_LISTED:
            of_classes = zip(dataset.classes, found.boxes.tolist(), strict=True)
            lines.append(f"train, objects: {', '.join(f'{name} {number:,}' for name, number in of_classes)}")
    train, policy = dataset.splits["train"], dataset.policy
    cropped = trained_target(train, policy).num_dropped
    if cropped:
        subject = "1 object is" if cropped == 1 else f"{cropped:,} objects are"
        lines.append(f"train: {subject} not trained on: data.resize: crop leaves too little of them (data.min_visible)")
    poor = "" if policy is None else describe_poor_fit(train, policy, dataset.classes, model)
    return [*lines, f"train: {poor}"] if poor else lines


def _negatives(samples: Samples) -> NDArray[np.bool_]:
    """Which images have no object of any kind."""
    objects = objects_of(samples)
    assert objects is not None
    return np.asarray(objects.counts == 0)


# Statistics -----------------------------------------------------------------------------------------------------------


def statistics(dataset: Dataset) -> dict[str, Any]:
    """``objects``: for each split the numbers of objects and images, by class and by size; and ``anchors``: the sizes
    and ratios of the training boxes in the network's input, with anchors that fit them."""
    found = count_objects(dataset.splits, len(dataset.classes))
    described = {
        split: {
            "images": len(counted.per_image),
            "negatives": int(_negatives(dataset.splits[split]).sum()),
            "objects": int(counted.boxes.sum()),
            "crowds": counted.crowds,
            "difficult": counted.difficult,
            "per_image": {
                "mean": float(counted.per_image.mean()),
                "median": float(np.median(counted.per_image)),
                "maximum": int(counted.per_image.max(initial=0)),
            },
            "sizes": dict(zip(SIZES, counted.sizes.tolist(), strict=True)),
            "ratios": _quantiles(counted.ratios),
            "classes": _by_class(dataset, counted),
        }
        for split, counted in found.items()
    }
    sides = _sides_of(dataset.splits["train"], dataset.policy)
    return {"objects": described, "anchors": None if len(sides) == 0 else _anchors(sides)}


def _by_class(dataset: Dataset, counted: ObjectStatistics) -> dict[str, dict[str, int]]:
    rows = zip(dataset.classes, counted.boxes.tolist(), counted.images.tolist(), strict=True)
    return {name: {"objects": boxes, "images": images} for name, boxes, images in rows}


def _quantiles(values: NDArray[np.float64]) -> dict[str, float] | None:
    """Quantiles by their names; None if there are no values."""
    return {name: float(np.quantile(values, at)) for name, at in QUANTILES.items()} if len(values) else None


def _sides_of(samples: Samples, policy: ImagePolicy | None) -> NDArray[np.float64]:
    """Width and height of the boxes to train on in pixels of the network's input ``[m, 2]``."""
    assert policy is not None
    return sides_in_input(trained_target(samples, policy), policy)


def _anchors(sides: NDArray[np.float64]) -> dict[str, Any]:
    anchors: Anchors = suggest(sides)
    overlap = shape_iou(sides, anchors)
    return {
        "sizes_in_input": _quantiles(np.sqrt(sides.prod(axis=1))),
        "ratios_in_input": _quantiles(sides[:, 0] / sides[:, 1]),
        "levels": list(anchors.levels),
        "anchor_sizes": list(anchors.sizes),
        "anchor_ratios": list(anchors.ratios),
        "mean_iou": float(overlap.mean()),
        "fitting": float((overlap >= GOOD).mean()),
    }


# Check ----------------------------------------------------------------------------------------------------------------


def findings(
    dataset: Dataset,
    image_size: tuple[int, int] | None = None,
    *,
    overlap: int | None = None,
    model: AnyDetector,
) -> Iterator[Finding]:
    """Missing and rare classes, images without objects, repeated and contradicting boxes, objects that are tiny in the
    network's input, and those that fit no anchor.

    Args:
        image_size: of the recipe, or of its tiles; None if images keep their size.
        overlap: of the recipe's tiles, if images are cut into these.
    """
    found = count_objects(dataset.splits, len(dataset.classes))
    for split, samples in dataset.splits.items():
        yield from _missing(split, found[split], dataset.classes)
        without = tuple(samples.names[i] for i in np.flatnonzero(_negatives(samples)))
        if without:
            verb = "has" if len(without) == 1 else "have"
            yield Finding(
                "no objects", False, f"{split}: {count(without, 'image')} {verb} no objects: {some(without)}", without
            )
        yield from _same_boxes(split, samples)
    if dataset.policy is not None:
        policy = (
            dataset.policy if image_size is None else replace(dataset.policy, image_size=image_size, overlap=overlap)
        )
        yield from _tiny(dataset.splits["train"], policy)
        if poor := describe_poor_fit(dataset.splits["train"], policy, dataset.classes, model):
            yield Finding("poor fit", False, f"train: {poor}", ())


def _missing(split: str, found: ObjectStatistics, classes: tuple[str, ...]) -> Iterator[Finding]:
    absent = tuple(name for name, number in zip(classes, found.boxes, strict=True) if number == 0)
    if absent:
        text = f"{split} has no object of {len(absent)} of the {len(classes)} classes: {some(absent)}"
        yield Finding("missing class", split == "train", text, absent)
    largest, smallest = int(found.boxes.max()), int(found.boxes.min())
    if split == "train" and smallest and largest > IMBALANCE * smallest:
        few = tuple(name for name, number in zip(classes, found.boxes, strict=True) if largest > IMBALANCE * number)
        text = f"the largest class has {largest / smallest:.0f} times as many objects as the smallest: {some(few)}"
        yield Finding("imbalance", False, text, few)


def _same_boxes(split: str, samples: Samples) -> Iterator[Finding]:
    objects = objects_of(samples)
    assert objects is not None
    alike, contradicting = nearly_same(objects)
    for kind, positions, text in (
        ("repeated objects", alike, "two nearly equal boxes of one class"),
        ("contradicting objects", contradicting, "two nearly equal boxes of different classes"),
    ):
        names = tuple(samples.names[i] for i in positions)
        if names:
            verb = "has" if len(names) == 1 else "have"
            yield Finding(kind, False, f"{split}: {count(names, 'image')} {verb} {text}: {some(names)}", names)


def _tiny(train: Samples, policy: ImagePolicy) -> Iterator[Finding]:
    sides = _sides_of(train, policy)
    number = int((sides.min(axis=1, initial=np.inf) < FEW_PIXELS).sum())
    if number:
        height, width = policy.image_size
        verb = "is" if number == 1 else "are"
        text = f"{number:,} of {len(sides):,} training objects {verb} less than {FEW_PIXELS} pixels wide or high"
        if not policy.is_tiled:
            text += f" in the network's input of {height}x{width}: a larger data.image_size shows them better"
        yield Finding("tiny objects", False, text, ())


def plot(dataset: Dataset) -> bytes:
    """The PNG file of the numbers of objects by class and by image, and their sizes."""
    found = count_objects(dataset.splits, len(dataset.classes))
    sizes = {}
    for split, samples in dataset.splits.items():
        objects = objects_of(samples)
        assert objects is not None
        sizes[split] = np.sqrt(objects.areas[objects.is_trained])
    return object_plots.counts_and_sizes(
        dataset.classes,
        {split: counted.boxes for split, counted in found.items()},
        {split: counted.per_image for split, counted in found.items()},
        sizes,
    )
