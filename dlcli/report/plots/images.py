"""Plots of samples: a batch as the model sees it, augmented samples, and the most confident mistakes.

Each function returns the bytes of a PNG file.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.report.plots.figure import GRAY, VERMILION, new_figure, png, printable, style
from dlcli.report.plots.image_grid import MAX_IMAGES, Images, Overlay, draw_image, image_grid, outline_box


def sample_batch(images: Images, titles: Sequence[str], boxes: npt.NDArray[Any] | None = None) -> bytes:
    """A grid of samples as the model sees them: at most the first 25.

    Args:
        images: at least one.
        titles: title of each, such as the name of its class.
        boxes: rel_xyxy ``[n, 4]``; NaN where a sample has no box.

    Raises:
        ValueError: there are no images.
    """
    if len(images) == 0:
        raise ValueError("the plot of a batch needs at least one sample. Received none.")
    captions = [[printable(title, 24)] for title in titles]
    outlines = [] if boxes is None else [(boxes[:MAX_IMAGES], VERMILION)]
    return image_grid(images[:MAX_IMAGES], captions[:MAX_IMAGES], title="What the model sees", outlines=outlines)


def preview(
    columns: Sequence[tuple[str, Images, Sequence[str]]],
    boxes: Sequence[npt.NDArray[Any]] = (),
    overlays: Sequence[Overlay] = (),
) -> bytes:
    """A row for each sample: the original, and versions of it that augmentation produces.

    Args:
        columns: for each column a title, the images ``[n, height, width, channels]``, and a caption for each image,
            which may have several lines.
        boxes: for each column, boxes rel_xyxy ``[n, 4]``.
        overlays: for each column, what draws on the image of a row.
    """
    num_rows, num_columns = len(columns[0][1]), len(columns)
    side = 2.1  # of a column in inches
    shape = columns[0][1].shape
    height = side * min(max(shape[1] / shape[2], 0.4), 2.0)
    texts = [[_wrapped(caption) for caption in captions] for _, _, captions in columns]
    num_lines = max(len(text) for column in texts for text in column)
    with style():
        figure = new_figure(num_columns * side, num_rows * (height + 0.15 + 0.1 * num_lines) + 0.4)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        for column, (title, images, _) in enumerate(columns):
            for row, (image, text) in enumerate(zip(images, texts[column], strict=True)):
                axes = figure.add_subplot(num_rows, num_columns, row * num_columns + column + 1)
                axes.set_xticks([])
                axes.set_yticks([])
                if row == 0:
                    axes.set_title(title, fontsize=9)
                draw_image(axes, image.astype(np.float64), (0.0, 255.0))
                if boxes:
                    outline_box(axes, boxes[column][row], image.shape, VERMILION)
                if overlays:
                    overlays[column](axes, row)
                axes.set_xlabel("\n".join(text), fontsize=6, color=GRAY)
        return png(figure)


def _wrapped(caption: str) -> list[str]:
    """The lines of a caption below an image, at most eight."""
    return [printable(part, 40) for line in caption.splitlines() for part in textwrap.wrap(line, 40)][:8]


def mistakes(
    images: Images,
    *,
    labels: Sequence[str],
    predicted: Sequence[str],
    confidence: Sequence[float],
    names: Sequence[str | int],
) -> bytes:
    """A grid of at most 25 mistakes, the most confident first; a plot that reads "No mistakes" if there are none.

    Args:
        images: the misclassified images.
        labels: true class of each.
        predicted: predicted class of each.
        confidence: probability of the predicted class.
        names: file or index of each.
    """
    if len(images) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No mistakes", ha="center", va="center", fontsize=14, color=GRAY)
            return png(figure)
    order = sorted(range(len(confidence)), key=lambda i: -confidence[i])[:MAX_IMAGES]
    captions = [
        [
            f"label: {printable(labels[i], 16)}\npredicted: {printable(predicted[i], 16)} {confidence[i]:.2f}",
            printable(str(names[i]), 30),
        ]
        for i in order
    ]
    return image_grid(images[order], captions, title="The most confident mistakes")


def with_captions(images: Images, captions: Sequence[str], *, names: Sequence[str], title: str) -> bytes:
    """A grid of at most 25 images, each with a caption of one or more lines above it and its name below.

    Args:
        images: at least one.
        title: of the figure.
    """
    shown = [
        ["\n".join(printable(line, 34) for line in caption.splitlines()), printable(name, 30)]
        for caption, name in zip(captions, names, strict=True)
    ]
    return image_grid(images[:MAX_IMAGES], shown[:MAX_IMAGES], title=title)
