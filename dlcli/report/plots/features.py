"""Patches that excite filters beside their projections, images that maximize filters, and filters as images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from dlcli.report.plots.figure import GRAY, new_figure, png, printable, shrink_to, style

Array = npt.NDArray[Any]

MOST_ROWS = 12
FILTERS_OF_STAGE = 4  # in the figure of all stages
BEYOND = (0.80, 0.88, 0.96)
"""The pale blue of positions beyond the image."""
PERCENTILE = 99.5
"""Of the absolute values, where the shades of a projection end."""


@dataclass(frozen=True)
class StageFeatures:
    """What a stage's rows show.

    Attributes:
        stage, layer: names.
        filters: their numbers.
        patches: ``[filters, n, height, width, channels]`` in [0, 255], NaN beyond the image; n is at most 9.
        projections: of the same shape, signed.
        largest: the activation of the first patch of each filter.
        maximized: an image for each filter ``[filters, height, width, channels]`` in [0, 255], or None.
        values: what the filters have for them, before the activation.
    """

    stage: str
    layer: str
    filters: Sequence[int]
    patches: Array
    projections: Array
    largest: Array
    maximized: Array | None = None
    values: Array | None = None


def feature_rows(features: StageFeatures) -> bytes:
    """A row for each of at most 12 filters: nine patches, their projections, and the image that maximizes it."""
    num_rows = min(len(features.filters), MOST_ROWS)
    titles = ["patches", "deconvnet projections", *(["maximized"] if features.maximized is not None else [])]
    side = 2.0  # of a block in inches
    with style():
        figure = new_figure(max(len(titles) * side, 4.2), num_rows * (side * _aspect(features) + 0.35) + 0.5)
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.05)
        figure.suptitle(_title(features), fontsize=9, color=GRAY)
        for row in range(num_rows):
            texts = [f"filter {features.filters[row]}", f"largest {features.largest[row]:.3g}", ""]
            if features.values is not None:
                texts[2] = f"{features.values[row]:.3g}"
            for column, (title, text, block) in enumerate(zip(titles, texts, _blocks(features, row), strict=False)):
                axes = figure.add_subplot(num_rows, len(titles), row * len(titles) + column + 1)
                _show(axes, block)
                if row == 0:
                    shrink_to(axes.set_title(title, fontsize=8), side - 0.15)
                shrink_to(axes.set_xlabel(text, fontsize=7, color=GRAY), side - 0.15)
        return png(figure)


def hierarchy(stages: Sequence[StageFeatures]) -> bytes:
    """A row for each stage, from edges to parts: the patches of four filters, each beside its projections."""
    side = 1.5
    columns = 2 * FILTERS_OF_STAGE
    with style():
        height = sum(side * _aspect(features) + 0.2 for features in stages) + 0.4
        figure = new_figure(columns * side, height)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.03)
        figure.suptitle(
            "Patches that excite filters most, beside their deconvnet projections; pale blue is beyond the image",
            fontsize=10,
            color=GRAY,
        )
        for row, features in enumerate(stages):
            chosen = np.linspace(0, len(features.filters) - 1, FILTERS_OF_STAGE).round().astype(int)
            for position, place in enumerate(np.unique(chosen)):
                for half, block in enumerate(_blocks(features, place)[:2]):
                    axes = figure.add_subplot(len(stages), columns, row * columns + 2 * position + half + 1)
                    _show(axes, block)
                    if half == 0:
                        axes.set_xlabel(f"filter {features.filters[place]}", fontsize=7, color=GRAY)
                    if position == half == 0:
                        height, width = features.patches.shape[2:4]
                        text = f"{printable(features.stage, 12)}\n{height} x {width}"
                        axes.set_ylabel(text, fontsize=8)
        return png(figure)


def filter_grid(filters: Array, layer: str) -> bytes:
    """All filters of a layer as images.

    Args:
        filters: ``[filters, height, width, channels]``, 1 or 3 channels; zero is gray, and the largest absolute value
            of each filter is black or white.
    """
    block = _tiles(np.stack([_signed(image, float(np.abs(image).max())) for image in filters]))
    num_columns = math.ceil(math.sqrt(len(filters)))
    side = max(3.2, min(8.0, 0.5 * num_columns))
    with style():
        figure = new_figure(side, side * block.shape[0] / block.shape[1] + 0.5)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        _show(axes, block)
        title = f"{len(filters)} filters of {printable(layer, 30)}: gray is 0"
        shrink_to(axes.set_title(title, fontsize=9, color=GRAY), side - 0.2)
        return png(figure)


def _title(features: StageFeatures) -> str:
    height, width = features.patches.shape[2:4]
    layer = "" if features.layer == features.stage else f" ({printable(features.layer, 30)})"
    field = f"{printable(features.stage, 30)}{layer}: each filter sees {height} x {width} pixels"
    return f"{field}\npale blue is beyond the image"


def _aspect(features: StageFeatures) -> float:
    height, width = features.patches.shape[2:4]
    return float(min(max(height / width, 0.4), 2.0))


def _blocks(features: StageFeatures, place: int) -> list[Array]:
    """The blocks of a filter's row: patches and projections in squares, and the image that maximizes it."""
    projections = [_signed(image, scale_of(image)) for image in features.projections[place]]
    blocks = [_tiles(np.stack([_shades(patch) for patch in features.patches[place]])), _tiles(np.stack(projections))]
    if features.maximized is not None:
        blocks.append(_shades(features.maximized[place]))
    return blocks


def scale_of(values: Array) -> float:
    """The absolute value at which the shades of a projection end; 0 if all its values are 0."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(np.percentile(sizes, PERCENTILE) or sizes.max()) if sizes.size else 0.0


def _signed(image: Array, largest: float) -> Array:
    """Shades of signed values, of which 0 is gray."""
    return _shades(127.5 + 127.5 * image / (largest or 1.0))


def _shades(image: Array) -> Array:
    """Colors ``[height, width, 4]`` in [0, 1] of an image in [0, 255], pale blue where it is NaN."""
    outside = np.isnan(image).any(axis=-1)
    shades = np.clip(np.nan_to_num(image.astype(np.float64)) / 255, 0, 1)
    if shades.shape[-1] != 3:
        shades = np.repeat(shades.mean(axis=-1, keepdims=True), 3, axis=-1)
    shades[outside] = BEYOND
    return np.concatenate([shades, np.ones_like(shades[..., :1])], axis=-1)


def _tiles(images: Array) -> Array:
    """Images ``[n, height, width, 4]`` in a square with clear gaps."""
    num, height, width, _ = images.shape
    num_columns = math.ceil(math.sqrt(num))
    gap = max(1, round(0.06 * max(height, width)))
    rows = math.ceil(num / num_columns)
    block = np.zeros((rows * (height + gap) - gap, num_columns * (width + gap) - gap, 4))
    for position, image in enumerate(images):
        top, left = position // num_columns * (height + gap), position % num_columns * (width + gap)
        block[top : top + height, left : left + width] = image
    return block


def _show(axes: Axes, block: Array) -> None:
    axes.imshow(block, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
