"""Where the labels of boxes are written, so that they do not cover each other as far as possible."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text

Corners = Sequence[float]  # left, top, right and bottom; downwards is positive
PAD = 0.6  # points around a text in an image
MUCH = 0.25  # of a box: a label that covers more is rather written outside of it


def place_labels(
    boxes: Sequence[Corners], sizes: Sequence[Sequence[float]], area: Corners
) -> list[tuple[float, float]]:
    """The left and top of each box's label: above the box if it covers no label of an earlier box there, else at
    another edge, else where it covers the least of them.

    Args:
        sizes: width and height of each label.
        area: in which labels must be.
    """
    placed: list[Corners] = []
    for box, (width, height) in zip(boxes, sizes, strict=True):
        best = min(
            enumerate(_candidates(box, width, height, area)),
            key=lambda item: (
                round(sum(_overlap(item[1], label) for label in placed), 3),
                _overlap(item[1], box) > MUCH * (box[2] - box[0]) * (box[3] - box[1]),
                item[0],
            ),
        )[1]
        placed.append(best)
    return [(left, top) for left, top, _, _ in placed]


def _candidates(box: Corners, width: float, height: float, area: Corners) -> Iterator[Corners]:
    """Places of a label in the area, the most usual one first."""
    left, top, right, bottom = box
    starts = [
        *((x, y) for x in (left, right - width) for y in (top - height, top, bottom, bottom - height)),
        *((x, y) for x in (right, left - width) for y in (top, bottom - height)),
        *((left, y) for y in (top - 2 * height, bottom + height)),
    ]
    inside = [(x, y) for x, y in starts if area[1] <= y <= area[3] - height] or [(left, top)]
    for x, y in inside:
        x = max(area[0], min(x, area[2] - width))
        y = max(area[1], min(y, area[3] - height))
        yield x, y, x + width, y + height


def _overlap(first: Corners, second: Corners) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def write_labels(
    axes: Axes, boxes: Sequence[Corners], texts: Sequence[str], colors: Sequence[str], *, fontsize: float
) -> None:
    """Write the labels of boxes into an image, the first one above the others.

    Args:
        boxes: in the coordinates of the axes, whose vertical one increases downwards.
        colors: behind each label.
    """
    if not texts:
        return
    labels = [
        axes.text(
            *(box[0], box[1], text),
            fontsize=fontsize,
            color="white",
            va="top",
            clip_on=True,
            zorder=4 - 0.5 * number / len(texts),
            bbox={"facecolor": color, "edgecolor": "none", "pad": PAD},
        )
        for number, (box, text, color) in enumerate(zip(boxes, texts, colors, strict=True))
    ]
    axes.add_artist(_Placement(labels, boxes))


class _Placement(Artist):
    """Moves labels right before they are drawn, when the sizes of the image and of the texts are known."""

    def __init__(self, labels: Sequence[Text], boxes: Sequence[Corners]) -> None:
        super().__init__()
        self.labels = labels
        self.boxes = boxes
        self.set_in_layout(False)
        self.set_zorder(3)  # below the labels

    def draw(self, renderer: RendererBase) -> None:
        axes = self.axes
        assert axes is not None
        figure: Any = axes.get_figure(root=True)
        pad = PAD * figure.dpi / 72
        extents = [label.get_window_extent(renderer) for label in self.labels]
        sizes = [(extent.width + 2 * pad, extent.height + 2 * pad) for extent in extents]
        ends = axes.transData.transform(np.reshape(self.boxes, (-1, 2))) * (1, -1)  # in pixels, downwards
        (x1, y1), (x2, y2) = axes.bbox.get_points()
        places = place_labels(ends.reshape(-1, 4).tolist(), sizes, (x1, -y2, x2, -y1))
        moved = axes.transData.inverted().transform((np.array(places) + pad) * (1, -1))
        for label, position in zip(self.labels, moved.tolist(), strict=True):
            label.set_position(position)
