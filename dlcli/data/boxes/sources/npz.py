"""Images with boxes in NumPy .npz files: arrays of pixels, labels and corners."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.annotated import valid_corners
from dlcli.data.boxes.boxes import BadBox, Boxes, Frame, refuse_proportions
from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.npz import BRING_TO_RANGE, SET_RANGE, list_arrays, read_labeled_arrays, to_samples
from dlcli.data.listing import refuse
from dlcli.errors import InputError


def read_box_npz(
    *,
    path: str | Path,
    value_range: tuple[float, float],
    classes: tuple[str, ...] | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The arrays x_train, y_train and box_train, and if present those of val and test, of an .npz file.

    x and y are as for `read_npz`. A box is xmin, ymin, xmax, ymax in pixels of its image, ``[n, 4]``; a row of NaN
    means that an image has none.

    Args:
        classes: those of a trained model, to use its labels; a file with a single split, whichever it is, is then
            treated as undivided.

    Raises:
        InputError: the file, its arrays, shapes, values or boxes are not as described.
    """
    file = Path(path)
    found = read_labeled_arrays(file, ("x", "y", "box"), classes=classes, least=1)
    remedy = SET_RANGE if classes is None else BRING_TO_RANGE
    listings = {}
    boxes: dict[str, Boxes] = {}
    errors: list[str] = []
    for split, suffix in found.suffixes.items():
        where = f"{file}: x_{suffix}"
        x = to_samples(found.arrays.pop(f"x_{suffix}"), where, layout="image", value_range=value_range, remedy=remedy)
        frame = Frame(width=x.shape[2], height=x.shape[1])
        own = found.listed_as(split)
        boxes[own] = _check_boxes(
            found.arrays[f"box_{suffix}"], found.names[split], frame, f"{file}: box_{suffix}", errors
        )
        listings[own] = replace(list_arrays(split, x, found.labels[split], where), annotations={"boxes": boxes[own]})
    refuse(errors, "Correct these boxes: xmin, ymin, xmax, ymax in pixels of the arrays, or NaN for no box.")
    for split, part in boxes.items():
        refuse_proportions(part.corners, part.frames, f"{file}: {split}")
    return assemble_images(
        listings, found.classes, source=str(file), exclude=exclude, left_out=found.left_out, common=common
    )


def _check_boxes(corners: NDArray[Any], labels: Sequence[str], frame: Frame, source: str, errors: list[str]) -> Boxes:
    """The boxes of one split; their errors are appended to ``errors``."""
    if corners.ndim != 2 or corners.shape[1] != 4 or corners.dtype.kind not in "iuf":
        raise InputError(
            f"{source} must be numbers [n, 4]: xmin, ymin, xmax, ymax. "
            f"Received {corners.dtype} of shape {corners.shape}."
        )
    valid = corners.astype(np.float64)
    for position in np.flatnonzero(~np.isnan(valid).all(axis=1)).tolist():
        x1, y1, x2, y2 = valid[position].tolist()
        try:
            valid[position] = valid_corners((x1, y1, x2, y2), frame)
        except BadBox as reason:
            errors.append(f"{source}: row {position} ({labels[position]}): {reason}")
    return Boxes(valid, (frame,) * len(valid))
