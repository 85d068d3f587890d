"""Plots of images with any number of objects: their boxes and classes, counts and sizes.

Each function returns the bytes of a PNG file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dlcli.report.plots.box_labels import write_labels
from dlcli.report.plots.figure import BLUE, GRAY, GREEN, LINE_COLORS, VERMILION, new_figure, png, printable, style
from dlcli.report.plots.image_grid import MAX_IMAGES, Images, Overlay, image_grid, outline_box
from dlcli.report.plots.images import preview
from dlcli.report.plots.mask_overlay import tinted

OPACITY = 0.45  # of the color on an object
MAX_CLASSES = 30  # bars of classes
SPLIT_COLORS = {"train": BLUE, "validation": VERMILION, "test": GREEN}


def object_grid(
    images: Images, boxes: npt.NDArray[Any], labels: npt.NDArray[Any], names: Sequence[str], *, title: str
) -> bytes:
    """A grid of at most 25 images with their objects.

    Args:
        images: ``[n, height, width, channels]``, at least one.
        boxes: rel_xyxy ``[n, k, 4]``.
        labels: the class of each box ``[n, k]``; negative where there is none.
        names: of the classes.
        title: of the figure.
    """
    images, labels = images[:MAX_IMAGES], labels[:MAX_IMAGES]
    numbers = (labels >= 0).sum(axis=1).tolist()
    captions = [[_count(number)] for number in numbers]
    return image_grid(images, captions, title=title, overlay=_overlay(boxes, labels, names, images.shape[1:]))


def _count(number: int) -> str:
    return "1 object" if number == 1 else f"{number:,} objects"


def object_preview(
    columns: Sequence[tuple[str, Images, Sequence[str]]],
    boxes: Sequence[npt.NDArray[Any]],
    labels: Sequence[npt.NDArray[Any]],
    names: Sequence[str],
) -> bytes:
    """A row for each sample: the original, and versions of it that augmentation produces, with their objects, which are
    counted.

    Args:
        columns: as in :func:`dlcli.report.plots.images.preview`.
        boxes, labels: of each column, as for :func:`object_grid`.
    """
    shape = columns[0][1].shape[1:]
    columns = [
        (title, images, [f"{_count(number)}\n{text}" for number, text in zip(numbers, captions, strict=True)])
        for (title, images, captions), numbers in zip(
            columns, [(of_column >= 0).sum(axis=1).tolist() for of_column in labels], strict=True
        )
    ]
    overlays = [_overlay(*of_column, names, shape) for of_column in zip(boxes, labels, strict=True)]
    return preview(columns, overlays=overlays)


def with_masks(images: Images, masks: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Color images in which the pixels of each object are tinted in the color of its class, for the plots above.

    Args:
        images: in [0, 255], ``[n, height, width, 1 or 3]``.
        masks: 1 in each object ``[n, k, height, width]``.
        labels: the class of each object ``[n, k]``; negative where there is none.
    """
    result = np.array(np.broadcast_to(images, (*images.shape[:3], 3)), np.float64)
    for position, slot in np.argwhere(labels >= 0):
        color = LINE_COLORS[int(labels[position, slot]) % len(LINE_COLORS)]
        result[position] = tinted(result[position], masks[position, slot] > 0, color, opacity=OPACITY)
    return result


def _overlay(boxes: npt.NDArray[Any], labels: npt.NDArray[Any], names: Sequence[str], shape: Sequence[int]) -> Overlay:
    def draw(axes: Axes, position: int) -> None:
        own = labels[position][labels[position] >= 0]
        own_boxes = boxes[position][labels[position] >= 0]
        colors = [LINE_COLORS[int(label) % len(LINE_COLORS)] for label in own]
        for box, color in zip(own_boxes, colors, strict=True):
            outline_box(axes, box, shape, color)
        write_labels(
            axes,
            [tuple(np.clip(box, 0, 1) * (shape[1], shape[0], shape[1], shape[0]) - 0.5) for box in own_boxes],
            [printable(names[int(label)], 16) for label in own],
            colors,
            fontsize=5,
        )

    return draw


def counts_and_sizes(
    names: Sequence[str],
    boxes: Mapping[str, npt.NDArray[np.int64]],
    per_image: Mapping[str, npt.NDArray[np.int64]],
    sizes: Mapping[str, npt.NDArray[np.float64]],
) -> bytes:
    """The objects of each class, the objects of each image, and the sizes of objects, by split.

    Args:
        names: of the classes; of more than 30, those with the fewest training objects are not shown.
        boxes: the number of objects of each class, by split.
        per_image: the number of objects of each image, by split.
        sizes: the square root of the area of each object in pixels, by split. Lines separate what COCO calls small,
            medium and large.
    """
    first = next(iter(boxes.values()))
    shown = np.argsort(-first, kind="stable")[:MAX_CLASSES]
    with style():
        figure = new_figure(9.0, max(3.2, 1.0 + 0.22 * len(shown)))
        figure.set_layout_engine("constrained", w_pad=0.1)
        of_classes, of_images, of_sizes = figure.subplots(1, 3)
        _draw_classes(of_classes, [names[i] for i in shown], {split: found[shown] for split, found in boxes.items()})
        if len(shown) < len(names):
            of_classes.set_title(f"the {len(shown)} most frequent of {len(names)} classes", fontsize=9)
        most = max(1, *(int(found.max(initial=0)) for found in per_image.values()))
        steps = np.arange(0, most + 2, max(1, (most + 1) // 25)) - 0.5
        _draw_shares(of_images, per_image, np.append(steps[steps < most + 0.5], most + 0.5))
        of_images.xaxis.set_major_locator(MaxNLocator(integer=True))
        of_images.set_xlabel("objects in an image")
        of_images.set_ylabel("share of images")
        found = np.concatenate(list(sizes.values()))
        low, high = (found.min(), found.max()) if len(found) else (1.0, 2.0)
        _draw_shares(of_sizes, sizes, np.geomspace(max(low, 0.5), max(high, low + 1.0) * 1.001, 25))
        of_sizes.set_xscale("log")
        ticks = [2**power for power in range(16) if low <= 2**power <= high]
        of_sizes.set_xticks(ticks, list(map(str, ticks)))
        of_sizes.minorticks_off()
        for limit in (32, 96):  # between small, medium and large
            of_sizes.axvline(limit, color=GRAY, linewidth=0.8, linestyle=":")
        of_sizes.set_xlabel("square root of area in pixels")
        of_sizes.set_ylabel("share of objects")
        return png(figure)


def _draw_classes(axes: Axes, names: Sequence[str], boxes: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Bars of the objects of each class, one for each split."""
    height = 0.8 / len(boxes)
    for i, (split, found) in enumerate(boxes.items()):
        axes.barh(np.arange(len(names)) + i * height, found, height, color=SPLIT_COLORS.get(split, GRAY), label=split)
    axes.set_yticks(np.arange(len(names)) + 0.4 - height / 2, [printable(name, 24) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("objects")
    axes.legend(frameon=False, fontsize=7)


def _draw_shares(axes: Axes, values: Mapping[str, npt.NDArray[Any]], edges: npt.NDArray[Any]) -> None:
    """The share of the values of each split between two edges."""
    for split, found in values.items():
        if len(found):
            shares = np.histogram(found, edges)[0] / len(found)
            axes.stairs(shares, edges, color=SPLIT_COLORS.get(split, GRAY), label=split, linewidth=1.4)
