"""Images with true and predicted masks over them, and a legend of the classes' colors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dlcli.report.plots.figure import GRAY, new_figure, png, printable, shrink_to, style
from dlcli.report.plots.image_grid import MAX_IMAGES, Images, draw_image
from dlcli.report.plots.mask_overlay import class_colors, overlay

MAX_IN_LEGEND = 24  # classes
SIDE = 2.1  # of an image in inches


def mask_comparison(
    images: Images,
    *,
    true: npt.NDArray[np.uint8],
    predicted: npt.NDArray[np.uint8],
    titles: Sequence[str],
    names: Sequence[str],
    classes: Sequence[str],
) -> bytes:
    """A row for each image: the image, its true mask over it, and the predicted mask over it.

    Args:
        images: uint8 ``[n, height, width, 1 or 3]``.
        true, predicted: masks uint8 ``[n, height, width]``, with 255 for ignored pixels.
        titles: caption of each image.
        names: name of each image.
        classes: their names.
    """
    kinds = {"image": images, "true": _over(images, true, classes), "predicted": _over(images, predicted, classes)}
    captions = [
        [f"{printable(title, 24)}\n{printable(name, 40)}", "", ""] for title, name in zip(titles, names, strict=True)
    ]
    return _grid(kinds, captions, [*np.unique(true), *np.unique(predicted)], classes)


def mask_grid(images: Images, masks: npt.NDArray[np.uint8], classes: Sequence[str], *, title: str) -> bytes:
    """At most the first 25 images with their masks over them.

    Args:
        images: ``[n, height, width, 1 or 3]`` in [0, 255].
        masks: uint8 ``[n, height, width]``.
    """
    images, masks = images[:MAX_IMAGES], masks[:MAX_IMAGES]
    shown = _over(images, masks, classes)
    num_columns = int(np.ceil(np.sqrt(len(shown))))
    num_rows = -(-len(shown) // num_columns)
    with style():
        figure = _figure(num_rows, num_columns, shown.shape)
        figure.suptitle(title)
        for i, image in enumerate(shown):
            _draw(figure, (num_rows, num_columns, i + 1), image)
        _legend(figure, np.unique(masks).tolist(), classes)
        return png(figure)


def mask_preview(
    columns: Sequence[tuple[str, Images, Sequence[str]]], masks: Sequence[npt.NDArray[np.uint8]], classes: Sequence[str]
) -> bytes:
    """A row for each sample: the original, and versions of it that augmentation produces, each with its mask.

    Args:
        columns: for each column a title, images and captions, as in :func:`dlcli.report.plots.images.preview`.
        masks: of the images of each column.
    """
    kinds = {
        title: _over(images, of_column, classes) for (title, images, _), of_column in zip(columns, masks, strict=True)
    }
    captions = [[printable(text, 60) for text in row] for row in zip(*(texts for _, _, texts in columns), strict=True)]
    present = [label for of_column in masks for label in np.unique(of_column)]
    return _grid(kinds, captions, present, classes)


def _over(images: Images, masks: npt.NDArray[np.uint8], classes: Sequence[str]) -> npt.NDArray[np.uint8]:
    pixels = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    return np.stack([overlay(image, mask, len(classes)) for image, mask in zip(pixels, masks, strict=True)])


def _grid(
    kinds: dict[str, Images], captions: Sequence[Sequence[str]], present: Sequence[int], classes: Sequence[str]
) -> bytes:
    """A row for each image and a column for each kind."""
    num_columns = len(kinds)
    with style():
        figure = _figure(len(captions), num_columns, next(iter(kinds.values())).shape)
        for column, (title, images) in enumerate(kinds.items()):
            for row, image in enumerate(images):
                axes = _draw(figure, (len(captions), num_columns, row * num_columns + column + 1), image)
                if row == 0:
                    axes.set_title(title, fontsize=9)
                shrink_to(axes.set_xlabel(captions[row][column], fontsize=6, color=GRAY), SIDE - 0.15)
        _legend(figure, sorted({int(label) for label in present}), classes)
        return png(figure)


def _figure(num_rows: int, num_columns: int, shape: Sequence[int]) -> Figure:
    height = SIDE * min(max(shape[1] / shape[2], 0.4), 2.0)
    figure = new_figure(num_columns * SIDE, num_rows * (height + 0.35) + 0.9)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    return figure


def _draw(figure: Figure, place: tuple[int, int, int], image: Images) -> Axes:
    axes = figure.add_subplot(*place)
    axes.set_xticks([])
    axes.set_yticks([])
    draw_image(axes, image.astype(np.float64), (0.0, 255.0))
    return axes


def _legend(figure: Figure, present: Sequence[int], classes: Sequence[str]) -> None:
    """The colors of the classes that occur, at most MAX_IN_LEGEND of them."""
    colors = class_colors(len(classes)) / 255
    shown = [label for label in present if label < len(classes)][:MAX_IN_LEGEND]
    # the edge shows a white class on the white page; class 0 shows the image, see `overlay`
    patches = [
        Patch(
            facecolor=tuple(colors[label]) if label else "none",
            edgecolor="gray",
            linestyle="-" if label else ":",
            label=printable(classes[label], 20) + ("" if label else " (not painted)"),
        )
        for label in shown
    ]
    if any(label >= len(classes) for label in present):
        patches.append(Patch(facecolor=tuple(colors[255]), edgecolor="gray", label="ignored"))
    width = figure.get_size_inches()[0]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=max(1, int(width / 1.3)), fontsize=7, frameon=False
    )
